"""Add a CHECK while the application writes, and drop it.

Before: ``op.create_check_constraint("ck", "t", "n > 0")`` reads the whole table under a lock that nobody can work
beside. After: ``op.add_check_online("t", "ck", "n > 0")`` adds it NOT VALID in milliseconds and validates it while
everybody works.

``violations`` says what becomes of rows that break it; they are looked for before anything is changed, their originals
are kept, and ``op.drop_check_online`` gives them back.
"""

from __future__ import annotations

from typing import Any

import psycopg
from alembic.operations import MigrateOperation, Operations

from truing.changes import AddCheck, DirtyPolicy, DropConstraint, Settlement
from truing.errors import UnsupportedChangeError
from truing.locks import LockMode, TableLock
from truing.names import QualifiedName, ident, literal
from truing.online import journal, settling
from truing.online.facts import referrers, require_table
from truing.online.giving_back import give_back_steps
from truing.online.operations.invoke import carry_out, qualified
from truing.online.run import Planned
from truing.plan import Concurrent, Locked, Plan, Step


def identity(table: QualifiedName, name: str) -> str:
    """Return the operation's identity."""
    return f"add check {ident(name)} to {table.sql}"


def plan_add(change: AddCheck, connection: psycopg.Connection[Any]) -> Planned | None:
    """Plan a CHECK; None where a valid one of its name is there with the same meaning."""
    table, name = require_table(connection, change.table), str(change.name)
    present, target, op_id = table.constraint(name), table.name.sql, identity(table.name, name)
    wanted, columns = _printed(change, connection)
    if present is not None:
        if present.kind != "check" or present.expression != wanted:
            raise UnsupportedChangeError(
                f"{table.name} has another constraint of the name {name}: {present.definition}",
                hint="Drop or rename it first.",
            )
        if present.validated:
            return None
    exclusive = (TableLock(table.name, LockMode.ACCESS_EXCLUSIVE),)
    add = f"ALTER TABLE {target} ADD CONSTRAINT {ident(name)} CHECK ({change.expression}) NOT VALID"
    chosen = change.settlement or Settlement()
    found = settling.violations(table, name, change.expression, columns)
    users = referrers(connection, table.name)
    # Before, so that a run that stops has changed nothing; after, for what was written meanwhile.
    steps = settling.settle_step(op_id, table, found, chosen, referrers=users)
    after = settling.settle_step(op_id, table, found, chosen, "settle after add", referrers=users)
    steps += [] if present else [Step("add", f"Refuse new rows that break {name}", Locked(exclusive, (add,)))]
    steps += after
    steps.append(
        Step(
            "validate",
            f"Validate {name}",
            Concurrent(f"ALTER TABLE {target} VALIDATE CONSTRAINT {ident(name)}"),
            probe=(
                "SELECT convalidated FROM pg_constraint"
                f" WHERE conrelid = {literal(target)}::regclass AND conname = {literal(name)}"
            ),
            on_violation=after[0].id if after else "",
        )
    )
    plan = Plan(op_id, f"CHECK {name} on {table.name}", table.name, tuple(steps))
    return plan, {"column": settling.column_of(found, chosen)}


def _printed(change: AddCheck, connection: psycopg.Connection[Any]) -> tuple[str, tuple[str, ...]]:
    """Return the condition as PostgreSQL prints it and the columns that it looks at.

    From an empty copy, in a transaction that is rolled back.

    Raises:
        UnsupportedChangeError: the table cannot have such a condition, for one of its columns is missing, say.
    """
    # Under the table's own name, which the condition may say.
    copy = QualifiedName("pg_temp", change.table.name).sql
    connection.execute(f"BEGIN; CREATE TEMPORARY TABLE {copy} (LIKE {change.table.sql}) ON COMMIT DROP")
    try:
        connection.execute(f"ALTER TABLE {copy} ADD CONSTRAINT c CHECK ({change.expression})")
        row = connection.execute(
            "SELECT pg_get_expr(conbin, conrelid), ARRAY(SELECT attname::text FROM pg_attribute"
            " WHERE attrelid = conrelid AND attnum = ANY (conkey) ORDER BY attnum) FROM pg_constraint"
            " WHERE conrelid = %s::regclass AND contype = 'c' AND conname = 'c'",
            (copy,),
        ).fetchone()
    except psycopg.ProgrammingError as error:
        raise UnsupportedChangeError(
            f"PostgreSQL refuses CHECK ({change.expression}) on {change.table}: {error.diag.message_primary}"
        ) from error
    finally:
        connection.execute("ROLLBACK")
    return (str(row[0]), tuple(row[1])) if row else ("", ())


def plan_drop(change: DropConstraint, connection: psycopg.Connection[Any]) -> Planned | None:
    """Plan to drop a CHECK and to give back what was settled for it; None where it is gone already."""
    table, undone = require_table(connection, change.table), identity(change.table, change.name)
    entry = journal.load(connection, undone) if journal.exists(connection) else None
    present = table.constraint(change.name)
    if present is None and entry is None:
        return None
    steps = []
    if present is not None:
        exclusive = (TableLock(table.name, LockMode.ACCESS_EXCLUSIVE),)
        drop = f"ALTER TABLE {table.name.sql} DROP CONSTRAINT {ident(change.name)}"
        steps.append(Step("drop", f"Drop {change.name}", Locked(exclusive, (drop,))))
    if entry is not None and entry.record.get("column"):
        steps += give_back_steps(undone, table, str(entry.record["column"]), parents=table.foreign_keys)
    op_id, title = f"drop check {ident(change.name)} of {table.name.sql}", f"Drop CHECK {change.name} of {table.name}"
    return Plan(op_id, title, table.name, tuple(steps), undoes=undone), {}


@Operations.register_operation("add_check_online")
class AddCheckOnlineOp(MigrateOperation):
    """Add a CHECK without a scan under a strong lock."""

    def __init__(self, table: str, name: str, expression: str, chosen: Settlement, schema: str | None) -> None:
        self.table, self.name, self.expression, self.chosen, self.schema = table, name, expression, chosen, schema

    @classmethod
    def add_check_online(
        cls,
        operations: Operations,
        table: str,
        name: str,
        expression: str,
        *,
        violations: DirtyPolicy | dict[str, str] = "fail",
        column: str | None = None,
        schema: str | None = None,
    ) -> None:
        """Add a CHECK while the application writes.

        Args:
            operations: Alembic's.
            table: the table.
            name: the constraint.
            expression: the condition, as SQL over the row.
            violations: what becomes of rows that break it: ``fail``, ``quarantine-rows``, ``null`` (their ``column``
                is emptied), or ``{"value": sql}`` with an SQL expression over the row (alias ``t``) that ``column``
                gets. Originals are kept.
            column: the column that is emptied or replaced; by default the last one that the condition names.
            schema: of the table.
        """
        operations.invoke(cls(table, name, expression, settling.settlement(violations, column), schema))


@Operations.implementation_for(AddCheckOnlineOp)
def _add(operations: Operations, op: AddCheckOnlineOp) -> None:
    table = qualified(operations, op.table, op.schema)
    change = AddCheck(table, op.name, op.expression, settlement=op.chosen)
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
