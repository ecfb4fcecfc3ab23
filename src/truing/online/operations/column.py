"""Add a column with a value for every row while the application writes, and drop it.

Before: ``op.add_column(...)`` with a value that depends on the row needs one UPDATE of the whole table, and rows that
the application inserts meanwhile get no value. After: ``op.add_column_online("sidebar_features", "is_global",
"boolean", value="tenant_id IS NULL", ...)`` adds the column with a trigger that fills it for every row inserted by an
application that does not know it yet, fills the rest in small batches, and proves NOT NULL without a scan under a lock.

The trigger stays after the upgrade, for the old release still writes then. ``op.finish_column_online`` (in the contract
revision) drops it.
"""

from __future__ import annotations

import re
from typing import Any

import psycopg
from alembic.operations import MigrateOperation, Operations

from truing.catalog.model import Table
from truing.changes import AddColumn, DropColumn
from truing.errors import UnsupportedChangeError
from truing.locks import LockMode, TableLock
from truing.names import QualifiedName, body, derived, ident, idents
from truing.online.facts import require_table, row_key
from truing.online.journal import SCHEMA
from truing.online.operations.invoke import carry_out, qualified
from truing.online.operations.not_null import proof_steps, set_statements
from truing.online.run import Planned
from truing.plan import Batches, Locked, Plain, Plan, Settle, Step


def identity(table: QualifiedName, column: str) -> str:
    """Return the operation's identity."""
    return f"add column {table.sql}.{ident(column)}"


def _names(op_id: str) -> tuple[str, str]:
    """Return the names of the trigger and (qualified) of its function."""
    tag = derived(op_id, "fill")
    return f"zzzz_truing_{tag.removeprefix('__truing_')}", f"{SCHEMA}.f_{tag.removeprefix('__truing_')}"


def plan_add(change: AddColumn, connection: psycopg.Connection[Any]) -> Planned | None:
    """Plan a column; None where the table has it already."""
    table = require_table(connection, change.table)
    present = table.column(change.column)
    if present is not None:
        if present.not_null == change.nullable:
            raise UnsupportedChangeError(
                f"{table.name} has a column {change.column} already, with another nullability",
                hint="Use op.set_not_null_online or op.drop_not_null_online.",
            )
        return None
    op_id, key, target, name = identity(table.name, change.column), row_key(table), table.name.sql, ident(change.column)
    exclusive = (TableLock(table.name, LockMode.ACCESS_EXCLUSIVE),)
    trigger, function = _names(op_id)
    add = [f"ALTER TABLE {target} ADD COLUMN {name} {change.type}"]
    if change.value is None and not change.nullable:
        # The catalog keeps the default for the rows that are there ("Modifying Tables").
        _refuse_volatile(change, connection)
        add = [f"{add[0]} DEFAULT {change.default} NOT NULL"]
    elif change.default is not None:
        # Not in ADD COLUMN: there it would fill existing rows, which get the value.
        add.append(f"ALTER TABLE {target} ALTER COLUMN {name} SET DEFAULT {change.default}")
    if change.on_insert is not None:
        _refuse_generated(table, change.on_insert)
        add += _fill_on_insert(change, trigger, function)
    steps = [Step("add", "Add the column", Locked(exclusive, tuple(add)))]
    if change.value is not None:
        steps += _fill(change, key.columns, key.types)
        if not change.nullable:
            check = derived(op_id, "not_null")
            steps += proof_steps(table.name, change.column, check, on_violation="settle")
            last = set_statements(table.name, change.column, check)
            steps.append(Step("set", "Set it NOT NULL", Locked(exclusive, last)))
    title = f"Column {change.column} ({change.type}) of {table.name}"
    return Plan(op_id, title, table.name, tuple(steps)), {}


def _refuse_volatile(change: AddColumn, connection: psycopg.Connection[Any]) -> None:
    """Refuse a default that is another for each row: adding it would rewrite the table under the lock.

    Raises:
        UnsupportedChangeError: it is, or there is none.
    """
    if change.default is None:
        raise UnsupportedChangeError(f"column {change.column} is NOT NULL, so it needs a value for existing rows")
    connection.execute("BEGIN; CREATE TEMPORARY TABLE __truing_look () ON COMMIT DROP")
    try:
        connection.execute(f"ALTER TABLE pg_temp.__truing_look ADD COLUMN c {change.type} DEFAULT {change.default}")
        row = connection.execute(
            "SELECT atthasmissing FROM pg_attribute"
            " WHERE attrelid = 'pg_temp.__truing_look'::regclass AND attname = 'c'"
        ).fetchone()
    finally:
        connection.execute("ROLLBACK")
    if not (row and row[0]):
        raise UnsupportedChangeError(
            f"the default of {change.column} is another one for each row (or NULL), so adding it would rewrite all",
            hint="Say the same expression as `value` too: rows are then filled in small batches.",
        )


def _refuse_generated(table: Table, on_insert: str) -> None:
    """Refuse an expression that looks at a generated column: a BEFORE trigger sees NULL there.

    Raises:
        UnsupportedChangeError: it does.
    """
    for column in table.columns:
        spelled = re.escape('"' + column.name.replace('"', '""') + '"')
        if ident(column.name) == column.name:
            spelled += rf"|(?i:{re.escape(column.name)})\b"
        if column.generated and re.search(rf"(?i:\bnew)\s*\.\s*({spelled})", on_insert):
            raise UnsupportedChangeError(
                f"on_insert looks at {table.name}.{ident(column.name)}, which is generated only after the trigger ran",
                hint="Write the expression that the column is generated from instead.",
            )


def _fill_on_insert(change: AddColumn, trigger: str, function: str) -> list[str]:
    """Return the statements of the trigger; it sets the column where the writer did not choose the value itself.

    A writer that does not know the column leaves its default, one that knows it and means the default cannot be told
    apart from that; so the expression decides wherever the value is NULL or the default.
    """
    name = ident(change.column)
    default = f" OR NEW.{name} IS NOT DISTINCT FROM ({change.default})" if change.default is not None else ""
    source = f"BEGIN\nIF NEW.{name} IS NULL{default} THEN NEW.{name} := ({change.on_insert}); END IF;\nRETURN NEW;\nEND"
    return [
        (
            f"CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql"
            f" SET search_path = pg_catalog, pg_temp AS {body(source)}"
        ),
        f"CREATE TRIGGER {trigger} BEFORE INSERT ON {change.table.sql} FOR EACH ROW EXECUTE FUNCTION {function}()",
        f"ALTER TABLE {change.table.sql} ENABLE ALWAYS TRIGGER {trigger}",
    ]


def _fill(change: AddColumn, key: tuple[str, ...], types: tuple[str, ...]) -> list[Step]:
    target, name = change.table.sql, ident(change.column)
    keys = ", ".join(f"t.{ident(column)}" for column in key)
    # Names that no column has: the value may name the key's own columns.
    named = tuple(f"__truing_key_{number}" for number, _ in enumerate(key))
    same = " AND ".join(f"t.{ident(mine)} = l.{theirs}" for mine, theirs in zip(key, named, strict=True))
    batch = (
        f"WITH l({idents(named)}) AS MATERIALIZED (SELECT {keys} FROM {target} t WHERE {{range}} AND t.{name} IS NULL"
        f" ORDER BY {keys} FOR NO KEY UPDATE SKIP LOCKED)"
        f" UPDATE {target} t SET {name} = ({change.value}) FROM l WHERE {same} AND t.{name} IS NULL"
    )
    mend = (
        f"WITH l({idents(named)}) AS ({{keys}}) UPDATE {target} t SET {name} = ({change.value}) FROM l"
        f" WHERE {same} AND t.{name} IS NULL"
    )
    wrong = f"SELECT {keys} FROM {target} t WHERE t.{name} IS NULL AND ({change.value}) IS NOT NULL"
    return [
        Step("backfill", "Fill the column", Batches(change.table, key, types, batch)),
        Step("settle", "Fill what was locked", Settle(wrong, key, types, mend=mend)),
    ]


def plan_drop(change: DropColumn, connection: psycopg.Connection[Any]) -> Planned | None:
    """Plan to drop the column and its trigger; None where it is gone already."""
    table = require_table(connection, change.table)
    if table.column(change.column) is None:
        return None
    undone = identity(table.name, change.column)
    trigger, function = _names(undone)
    drop = (
        f"DROP TRIGGER IF EXISTS {trigger} ON {table.name.sql}",
        f"ALTER TABLE {table.name.sql} DROP COLUMN {ident(change.column)}",
    )
    exclusive = (TableLock(table.name, LockMode.ACCESS_EXCLUSIVE),)
    steps = (
        Step("drop", f"Drop column {change.column}", Locked(exclusive, drop)),
        Step("function", "Drop its function", Plain((f"DROP FUNCTION IF EXISTS {function}()",))),
    )
    title = f"Drop column {change.column} of {table.name}"
    op_id = f"drop column {table.name.sql}.{ident(change.column)}"
    return Plan(op_id, title, table.name, steps, undoes=undone), {}


def plan_finish(change: AddColumn, connection: psycopg.Connection[Any]) -> Planned | None:
    """Plan to drop (``on_insert`` None) or make again the trigger of a column; None where that is so already."""
    table, undone = require_table(connection, change.table), identity(change.table, change.column)
    trigger, function = _names(undone)
    there = any(found.name == trigger for found in table.triggers)
    if there == (change.on_insert is not None):
        return None
    exclusive = (TableLock(table.name, LockMode.SHARE_ROW_EXCLUSIVE),)
    if change.on_insert is not None:
        _refuse_generated(table, change.on_insert)
        made = Locked(exclusive, tuple(_fill_on_insert(change, trigger, function)))
        steps: tuple[Step, ...] = (Step("trigger", "Make the trigger again", made),)
        title = f"Fill {table.name}.{ident(change.column)} on insert again"
        op_id, undoes = f"fill {undone}", f"finish {undone}"
    else:
        gone = Locked(
            (TableLock(table.name, LockMode.ACCESS_EXCLUSIVE),), (f"DROP TRIGGER {trigger} ON {table.name.sql}",)
        )
        steps = (
            Step("trigger", "Drop the trigger", gone),
            Step("function", "Drop its function", Plain((f"DROP FUNCTION IF EXISTS {function}()",))),
        )
        title = f"No longer fill {table.name}.{ident(change.column)} on insert"
        op_id, undoes = f"finish {undone}", f"fill {undone}"
    return Plan(op_id, title, table.name, steps, undoes=undoes), {}


@Operations.register_operation("add_column_online")
class AddColumnOnlineOp(MigrateOperation):
    """Add a column with a value for every row, online."""

    def __init__(self, table: str, column: str, type_: str, options: dict[str, Any]) -> None:
        self.table, self.column, self.type, self.options = table, column, type_, options

    @classmethod
    def add_column_online(
        cls,
        operations: Operations,
        table: str,
        column: str,
        type_: str,
        *,
        value: str | None = None,
        nullable: bool = False,
        default: str | None = None,
        on_insert: str | None = None,
        schema: str | None = None,
    ) -> None:
        """Add a column and fill it while the application writes.

        Args:
            operations: Alembic's.
            table: the table.
            column: the new column.
            type_: its type, as SQL.
            value: what existing rows get: an SQL expression over the row. Without it a NOT NULL column gives them its
                default, which then must be the same for all of them; no row is touched.
            nullable: whether it may hold NULL afterwards.
            default: its default, as SQL.
            on_insert: what rows get whose writer does not know the column: an SQL expression over ``NEW``.
            schema: of the table.
        """
        options = {"value": value, "nullable": nullable, "default": default, "on_insert": on_insert}
        operations.invoke(cls(table, column, type_, {"schema": schema, **options}))


@Operations.implementation_for(AddColumnOnlineOp)
def _add(operations: Operations, op: AddColumnOnlineOp) -> None:
    options = dict(op.options)
    change = AddColumn(qualified(operations, op.table, options.pop("schema")), op.column, op.type, **options)
    if not change.nullable and change.value is None and change.default is None:
        raise UnsupportedChangeError(f"column {op.column} is NOT NULL, so it needs a value for existing rows")
    carry_out(operations, identity(change.table, op.column), change, lambda c: plan_add(change, c))


@Operations.register_operation("drop_column_online")
class DropColumnOnlineOp(MigrateOperation):
    """Drop a column under a short lock."""

    def __init__(self, table: str, column: str, schema: str | None) -> None:
        self.table, self.column, self.schema = table, column, schema

    @classmethod
    def drop_column_online(cls, operations: Operations, table: str, column: str, *, schema: str | None = None) -> None:
        """Drop a column and the trigger that ``add_column_online`` made. Its values are gone.

        Args:
            operations: Alembic's.
            table: the table.
            column: the column.
            schema: of the table.
        """
        operations.invoke(cls(table, column, schema))


@Operations.implementation_for(DropColumnOnlineOp)
def _drop(operations: Operations, op: DropColumnOnlineOp) -> None:
    change = DropColumn(qualified(operations, op.table, op.schema), op.column)
    op_id = f"drop column {change.table.sql}.{ident(op.column)}"
    carry_out(operations, op_id, change, lambda connection: plan_drop(change, connection))


@Operations.register_operation("finish_column_online")
class FinishColumnOnlineOp(MigrateOperation):
    """Drop the trigger that fills a column for writers that do not know it; or make it again."""

    def __init__(self, table: str, column: str, options: dict[str, Any]) -> None:
        self.table, self.column, self.options = table, column, options

    @classmethod
    def finish_column_online(
        cls,
        operations: Operations,
        table: str,
        column: str,
        *,
        default: str | None = None,
        on_insert: str | None = None,
        schema: str | None = None,
    ) -> None:
        """End the transition of a column that was added online; with ``on_insert``, begin it again (in a downgrade).

        Args:
            operations: Alembic's.
            table: the table.
            column: the column.
            default: the column's default, as SQL, as it was given to ``add_column_online``.
            on_insert: as it was given to ``add_column_online``; None drops the trigger.
            schema: of the table.
        """
        operations.invoke(cls(table, column, {"default": default, "on_insert": on_insert, "schema": schema}))


@Operations.implementation_for(FinishColumnOnlineOp)
def _finish(operations: Operations, op: FinishColumnOnlineOp) -> None:
    options = dict(op.options)
    change = AddColumn(qualified(operations, op.table, options.pop("schema")), op.column, "", **options)
    verb = "fill" if change.on_insert else "finish"
    op_id = f"{verb} {identity(change.table, op.column)}"
    carry_out(operations, op_id, change, lambda connection: plan_finish(change, connection))
