"""Set NOT NULL while the application writes, and take it back.

Before: ``op.alter_column("email", "user_id", nullable=False)`` reads the whole table while nobody else can read or
write it. After: ``op.set_not_null_online("email", "user_id")`` adds a CHECK NOT VALID in milliseconds, validates it
while everybody works, and then SET NOT NULL takes the validated CHECK for a proof (documentation: "ALTER TABLE",
SET NOT NULL). The CHECK is dropped by a statement of its own: in one ALTER TABLE with SET NOT NULL it would be gone
before it could prove anything, and the table would be scanned under the lock after all.
"""

from __future__ import annotations

from typing import Any

import psycopg
from alembic.operations import MigrateOperation, Operations

from truing.catalog.model import Table
from truing.changes import Dirty, DirtyPolicy, DropNotNull, SetNotNull
from truing.errors import UnsupportedChangeError
from truing.locks import LockMode, TableLock
from truing.names import MAX_IDENTIFIER_BYTES, QualifiedName, derived, ident, literal
from truing.online import journal, quarantine
from truing.online.facts import referrers, require_column, require_table, row_key
from truing.online.giving_back import give_back_steps
from truing.online.operations.invoke import carry_out, qualified
from truing.online.run import Planned
from truing.plan import Concurrent, Locked, Plan, Settle, Step
from truing.versions import PostgresVersion


def identity(table: QualifiedName, column: str) -> str:
    """Return the operation's identity."""
    return f"set not null on {table.sql}.{ident(column)}"


def proof_steps(
    table: QualifiedName, column: str, check: str, *, on_violation: str, shown: str = ""
) -> tuple[Step, ...]:
    """Return the steps that prove a column to hold no NULL, by a validated CHECK.

    Args:
        table: the table.
        column: the column.
        check: the name of the CHECK.
        on_violation: the step to go back to when there are NULLs after all.
        shown: what people call the column, where that is another name.
    """
    exclusive = (TableLock(table, LockMode.ACCESS_EXCLUSIVE),)
    add = f"ALTER TABLE {table.sql} ADD CONSTRAINT {ident(check)} CHECK ({ident(column)} IS NOT NULL) NOT VALID"
    return (
        Step("check", f"Refuse new NULLs in {shown or column}", Locked(exclusive, (add,))),
        Step(
            "validate not null",
            f"Prove that {shown or column} holds no NULL",
            Concurrent(f"ALTER TABLE {table.sql} VALIDATE CONSTRAINT {ident(check)}"),
            probe=(
                "SELECT convalidated FROM pg_constraint"
                f" WHERE conrelid = {literal(table.sql)}::regclass AND conname = {literal(check)}"
            ),
            on_violation=on_violation,
        ),
    )


def set_statements(table: QualifiedName, column: str, check: str, name: str = "") -> tuple[str, str]:
    """Return the two statements that turn the proof into NOT NULL; they must stay two.

    Args:
        table: the table.
        column: the column.
        check: the CHECK that proves it.
        name: the constraint's name on PostgreSQL 18, which has named NOT NULL constraints (and takes a CHECK for a
            proof here as well); empty lets the server choose, or have none.
    """
    target = f"ALTER TABLE {table.sql}"
    if name:
        proved = f"{target} ADD CONSTRAINT {ident(name)} NOT NULL {ident(column)}"
    else:
        proved = f"{target} ALTER COLUMN {ident(column)} SET NOT NULL"
    return proved, f"{target} DROP CONSTRAINT {ident(check)}"


def constraint_name(table: Table, column: str, version: PostgresVersion) -> str:
    """Return the name that NOT NULL of a column has, or that PostgreSQL would give it; empty before 18.

    A column that is renamed afterwards would keep the name of a temporary one.
    """
    if not version.has("not-null-not-valid"):
        return ""
    present = next((found.name for found in table.not_nulls if found.columns == (column,)), None)
    name = present or f"{table.name.name}_{column}_not_null"
    taken = any(found.name == name for found in (*table.constraints, *table.not_nulls) if found.name != present)
    return "" if taken or len(name.encode()) > MAX_IDENTIFIER_BYTES else name


def plan_set(change: SetNotNull, connection: psycopg.Connection[Any]) -> Planned | None:
    """Plan NOT NULL; None where the column has it already."""
    table = require_table(connection, change.table)
    column = require_column(table, change.column)
    if column.not_null:
        return None
    key, op_id = row_key(table), identity(table.name, change.column)
    check = derived(op_id, "not_null")
    policy = (change.dirty or Dirty()).null
    keys = ", ".join(f"t.{ident(c)}" for c in key.columns)
    wrong = f"t.{ident(change.column)} IS NULL"
    query = f"SELECT {keys} FROM {table.name.sql} t WHERE {wrong}"
    refusal, mend, users = "", "", referrers(connection, table.name)
    if change.value is not None:
        mend = quarantine.mend(
            op_id, table, key, change.column, wrong=wrong, reason="'null'", policy="map", value=change.value
        )
    elif policy in {"quarantine-rows", "sentinel"}:
        sentinel = (change.dirty or Dirty()).sentinel
        mend = quarantine.mend(
            op_id,
            table,
            key,
            change.column,
            wrong=wrong,
            reason="'null'",
            policy=policy,
            sentinel=sentinel,
            referrers=users,
        )
    elif policy == "fail":
        refusal = f"rows of {table.name} hold NULL in {ident(change.column)}"
    else:
        raise UnsupportedChangeError(f"policy {policy!r} does not remove NULLs", hint="Use a value or quarantine-rows.")
    exclusive = (TableLock(table.name, LockMode.ACCESS_EXCLUSIVE),)
    loud = quarantine.loud(table, change.column, policy, users)
    settle = Settle(query, key.columns, key.types, mend=mend, refusal=refusal, loud=loud)
    first, last = Step("settle", "Settle NULLs", settle), set_statements(table.name, change.column, check)
    proof = proof_steps(table.name, change.column, check, on_violation="settle after check")
    again = Step("settle after check", "Settle NULLs written meanwhile", settle)
    moves = policy == "quarantine-rows" and change.value is None
    referred = quarantine.refuse_referred(table, key, wrong, users, "settle") if moves else ()
    steps = (
        *referred,
        first,
        proof[0],
        again,
        proof[1],
        Step("set", f"Set {change.column} NOT NULL", Locked(exclusive, last)),
    )
    return Plan(op_id, f"NOT NULL on {table.name}.{ident(change.column)}", table.name, steps), {"column": change.column}


def plan_drop(change: DropNotNull, connection: psycopg.Connection[Any]) -> Planned | None:
    """Plan the way back: drop NOT NULL, then give back what had to be replaced or moved away."""
    table = require_table(connection, change.table)
    column, op_id = require_column(table, change.column), identity(table.name, change.column)
    entry = journal.load(connection, op_id) if journal.exists(connection) else None
    if not column.not_null and entry is None:
        return None
    exclusive = (TableLock(table.name, LockMode.ACCESS_EXCLUSIVE),)
    check = ident(derived(op_id, "not_null"))
    # The CHECK is still there when setting NOT NULL was given up half way.
    drop = (
        f"ALTER TABLE {table.name.sql} DROP CONSTRAINT IF EXISTS {check}",
        f"ALTER TABLE {table.name.sql} ALTER COLUMN {ident(change.column)} DROP NOT NULL",
    )
    steps = [Step("drop", f"Drop NOT NULL of {change.column}", Locked(exclusive, drop))]
    if entry is not None:
        steps += give_back_steps(op_id, table, change.column, parents=table.foreign_keys)
    plan = Plan(
        f"drop not null of {table.name.sql}.{ident(change.column)}",
        f"Drop NOT NULL of {table.name}.{ident(change.column)}",
        table.name,
        tuple(steps),
        undoes=op_id if entry is not None else "",
    )
    return plan, {}


@Operations.register_operation("set_not_null_online")
class SetNotNullOnlineOp(MigrateOperation):
    """Set NOT NULL without a scan under a strong lock."""

    def __init__(self, table: str, column: str, nulls: DirtyPolicy, value: str | None, schema: str | None) -> None:
        self.table, self.column, self.nulls, self.value, self.schema = table, column, nulls, value, schema

    @classmethod
    def set_not_null_online(
        cls,
        operations: Operations,
        table: str,
        column: str,
        *,
        nulls: DirtyPolicy | dict[str, str] = "fail",
        schema: str | None = None,
    ) -> None:
        """Set a column NOT NULL while the application writes.

        Args:
            operations: Alembic's.
            table: the table.
            column: the column.
            nulls: what becomes of NULLs: ``fail``, ``quarantine-rows``, or ``{"value": sql}`` with an SQL expression
                over the row (alias ``t``). Which rows held NULL is kept.
            schema: of the table.
        """
        if isinstance(nulls, dict):
            operations.invoke(cls(table, column, "fail", nulls["value"], schema))
        else:
            operations.invoke(cls(table, column, nulls, None, schema))


@Operations.implementation_for(SetNotNullOnlineOp)
def _set(operations: Operations, op: SetNotNullOnlineOp) -> None:
    change = SetNotNull(qualified(operations, op.table, op.schema), op.column, Dirty(null=op.nulls), op.value)
    carry_out(operations, identity(change.table, op.column), change, lambda c: plan_set(change, c))


@Operations.register_operation("drop_not_null_online")
class DropNotNullOnlineOp(MigrateOperation):
    """Drop NOT NULL and give back what setting it replaced."""

    def __init__(self, table: str, column: str, schema: str | None) -> None:
        self.table, self.column, self.schema = table, column, schema

    @classmethod
    def drop_not_null_online(
        cls, operations: Operations, table: str, column: str, *, schema: str | None = None
    ) -> None:
        """Drop NOT NULL; what setting it replaced or moved away comes back.

        Args:
            operations: Alembic's.
            table: the table.
            column: the column.
            schema: of the table.
        """
        operations.invoke(cls(table, column, schema))


@Operations.implementation_for(DropNotNullOnlineOp)
def _drop(operations: Operations, op: DropNotNullOnlineOp) -> None:
    change = DropNotNull(qualified(operations, op.table, op.schema), op.column)
    op_id = f"drop not null of {change.table.sql}.{ident(op.column)}"
    carry_out(operations, op_id, change, lambda connection: plan_drop(change, connection))
