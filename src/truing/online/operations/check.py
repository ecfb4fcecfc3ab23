"""Add a CHECK while the application writes, and drop it.

Before: ``op.create_check_constraint("ck", "t", "n > 0")`` reads the whole table under a lock that nobody can work
beside. After: ``op.add_check_online("t", "ck", "n > 0")`` adds it NOT VALID in milliseconds and validates it while
everybody works.
"""

from __future__ import annotations

from typing import Any

import psycopg
from alembic.operations import MigrateOperation, Operations

from truing.changes import AddCheck, DropConstraint
from truing.errors import UnsupportedChangeError
from truing.locks import LockMode, TableLock
from truing.names import QualifiedName, ident, literal
from truing.online.facts import require_table
from truing.online.operations.invoke import carry_out, qualified
from truing.online.run import Planned
from truing.plan import Concurrent, Locked, Plan, Step


def identity(table: QualifiedName, name: str) -> str:
    """Return the operation's identity."""
    return f"add check {ident(name)} to {table.sql}"


def plan_add(change: AddCheck, connection: psycopg.Connection[Any]) -> Planned | None:
    """Plan a CHECK; None where a valid one of its name is there with the same meaning."""
    table, name = require_table(connection, change.table), str(change.name)
    present, target = table.constraint(name), table.name.sql
    if present is not None:
        wanted = _printed(change, connection)
        if present.kind != "check" or present.expression != wanted:
            raise UnsupportedChangeError(
                f"{table.name} has another constraint of the name {name}: {present.definition}",
                hint="Drop or rename it first.",
            )
        if present.validated:
            return None
    exclusive = (TableLock(table.name, LockMode.ACCESS_EXCLUSIVE),)
    add = f"ALTER TABLE {target} ADD CONSTRAINT {ident(name)} CHECK ({change.expression}) NOT VALID"
    steps = [] if present else [Step("add", f"Refuse new rows that break {name}", Locked(exclusive, (add,)))]
    steps.append(
        Step(
            "validate",
            f"Validate {name}",
            Concurrent(f"ALTER TABLE {target} VALIDATE CONSTRAINT {ident(name)}"),
            probe=(
                "SELECT convalidated FROM pg_constraint"
                f" WHERE conrelid = {literal(target)}::regclass AND conname = {literal(name)}"
            ),
        )
    )
    return Plan(identity(table.name, name), f"CHECK {name} on {table.name}", table.name, tuple(steps)), {}


def _printed(change: AddCheck, connection: psycopg.Connection[Any]) -> str:
    """Return the condition as PostgreSQL prints it, from an empty copy in a transaction that is rolled back."""
    connection.execute(f"BEGIN; CREATE TEMPORARY TABLE __truing_look (LIKE {change.table.sql}) ON COMMIT DROP")
    try:
        connection.execute(f"ALTER TABLE pg_temp.__truing_look ADD CONSTRAINT c CHECK ({change.expression})")
        row = connection.execute(
            "SELECT pg_get_expr(conbin, conrelid) FROM pg_constraint"
            " WHERE conrelid = 'pg_temp.__truing_look'::regclass AND contype = 'c' AND conname = 'c'"
        ).fetchone()
    finally:
        connection.execute("ROLLBACK")
    return str(row[0]) if row else ""


def plan_drop(change: DropConstraint, connection: psycopg.Connection[Any]) -> Planned | None:
    """Plan to drop a CHECK; None where it is gone already."""
    table = require_table(connection, change.table)
    if table.constraint(change.name) is None:
        return None
    exclusive = (TableLock(table.name, LockMode.ACCESS_EXCLUSIVE),)
    drop = f"ALTER TABLE {table.name.sql} DROP CONSTRAINT {ident(change.name)}"
    step = Step("drop", f"Drop {change.name}", Locked(exclusive, (drop,)))
    undone = identity(table.name, change.name)
    title = f"Drop CHECK {change.name} of {table.name}"
    return Plan(f"drop check {ident(change.name)} of {table.name.sql}", title, table.name, (step,), undoes=undone), {}


@Operations.register_operation("add_check_online")
class AddCheckOnlineOp(MigrateOperation):
    """Add a CHECK without a scan under a strong lock."""

    def __init__(self, table: str, name: str, expression: str, schema: str | None) -> None:
        self.table, self.name, self.expression, self.schema = table, name, expression, schema

    @classmethod
    def add_check_online(
        cls, operations: Operations, table: str, name: str, expression: str, *, schema: str | None = None
    ) -> None:
        """Add a CHECK while the application writes.

        Args:
            operations: Alembic's.
            table: the table.
            name: the constraint.
            expression: the condition, as SQL over the row.
            schema: of the table.
        """
        operations.invoke(cls(table, name, expression, schema))


@Operations.implementation_for(AddCheckOnlineOp)
def _add(operations: Operations, op: AddCheckOnlineOp) -> None:
    change = AddCheck(qualified(operations, op.table, op.schema), op.name, op.expression)
    carry_out(operations, identity(change.table, op.name), change, lambda connection: plan_add(change, connection))


@Operations.register_operation("drop_check_online")
class DropCheckOnlineOp(MigrateOperation):
    """Drop a CHECK under a short lock."""

    def __init__(self, table: str, name: str, schema: str | None) -> None:
        self.table, self.name, self.schema = table, name, schema

    @classmethod
    def drop_check_online(cls, operations: Operations, table: str, name: str, *, schema: str | None = None) -> None:
        """Drop a CHECK while the application works.

        Args:
            operations: Alembic's.
            table: the table.
            name: the constraint.
            schema: of the table.
        """
        operations.invoke(cls(table, name, schema))


@Operations.implementation_for(DropCheckOnlineOp)
def _drop(operations: Operations, op: DropCheckOnlineOp) -> None:
    change = DropConstraint(qualified(operations, op.table, op.schema), op.name)
    op_id = f"drop check {ident(op.name)} of {change.table.sql}"
    carry_out(operations, op_id, change, lambda connection: plan_drop(change, connection))
