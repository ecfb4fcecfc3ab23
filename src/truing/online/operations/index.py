"""Create and drop an index while the application writes.

Before: ``op.create_index("ix_email", "email", ["user_id"])`` keeps every write waiting until the index is built.
After: ``op.create_index_online("ix_email", "email", ["user_id"])`` builds it concurrently, outside a transaction, with
no lock time-out (it waits for older snapshots by design, and giving up leaves an INVALID index that costs every write
and serves no query), removes what an interrupted build left, and believes the catalog, not the name: an index of the
same name that is invalid or defined otherwise is never taken for the one that was asked for.

For a unique index ``duplicates`` says what becomes of rows that have the same key as one before them; their originals
are kept, and ``op.drop_index_online`` gives them back.
"""

from __future__ import annotations

from typing import Any

import msgspec
import psycopg
from alembic.operations import MigrateOperation, Operations

from truing.catalog.model import Index, Table
from truing.changes import CreateIndex, DirtyPolicy, DropIndex, Settlement
from truing.errors import UnsupportedChangeError
from truing.names import QualifiedName, ident, idents, literal
from truing.online import journal, settling
from truing.online.facts import referrers, require_table
from truing.online.giving_back import give_back_steps
from truing.online.operations.invoke import carry_out, qualified
from truing.online.run import Planned
from truing.plan import Concurrent, Plan, Step


def identity(table: QualifiedName, name: str) -> str:
    """Return the operation's identity."""
    return f"create index {QualifiedName(table.schema, name).sql} on {table.sql}"


def build_step(statement: str, index: QualifiedName, title: str, *, step_id: str = "build") -> Step:
    """Return the step that builds an index concurrently and leaves no invalid one behind.

    Args:
        statement: CREATE [UNIQUE] INDEX CONCURRENTLY ...
        index: the index it makes.
        title: for a person.
        step_id: the step's name in its plan.
    """
    found = (
        "FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace"
        f" WHERE n.nspname = {literal(index.schema)} AND c.relname = {literal(index.name)}"
    )
    return Step(
        step_id,
        title,
        Concurrent(
            statement,
            cleanup=(f"DROP INDEX CONCURRENTLY IF EXISTS {index.sql}",),
            leftover=f"SELECT EXISTS (SELECT {found} AND NOT (i.indisvalid AND i.indisready AND i.indislive))",
            lock_timeout_ms=0,
        ),
        probe=f"SELECT EXISTS (SELECT {found} AND i.indisvalid AND i.indisready AND i.indislive)",
    )


def drop_step(index: QualifiedName, *, step_id: str = "drop index") -> Step:
    """Return the step that drops an index concurrently; one that a killed drop left half dead is dropped again."""
    return Step(
        step_id,
        f"Drop index {index.name}",
        Concurrent(f"DROP INDEX CONCURRENTLY IF EXISTS {index.sql}", lock_timeout_ms=0),
        probe=f"SELECT to_regclass({literal(index.sql)}) IS NULL",
    )


def plan_create(change: CreateIndex, connection: psycopg.Connection[Any]) -> Planned | None:
    """Plan an index; None where the very same one is there and valid."""
    table = require_table(connection, change.table)
    if change.name is None:
        raise UnsupportedChangeError("an index built online needs a name, so that a rerun can find it")
    present = table.index(change.name)
    if present is not None and not _is(present, change, connection, table):
        raise UnsupportedChangeError(
            f"there is another index of the name {change.name}: {present.definition}",
            hint="Drop or rename it first.",
        )
    if present is not None and present.valid and present.ready and present.live:
        return None
    index = QualifiedName(table.name.schema, change.name)
    op_id, title = identity(table.name, change.name), f"Index {change.name} on {table.name}"
    step = build_step(statement(change), index, f"Build index {change.name}")
    if not change.unique:
        return Plan(op_id, title, table.name, (step,)), {}
    chosen = change.settlement or Settlement()
    found = settling.duplicates(
        table,
        change.name,
        change.elements,
        chosen,
        where=change.where,
        nulls_not_distinct=change.nulls_not_distinct,
    )
    steps = settling.settle_step(op_id, table, found, chosen, referrers=referrers(connection, table.name))
    # Duplicates that the application writes while it is built are settled, or stop the run, like all others.
    steps.append(msgspec.structs.replace(step, on_violation=steps[0].id) if steps else step)
    return Plan(op_id, title, table.name, tuple(steps)), {"column": settling.column_of(found, chosen)}


def statement(change: CreateIndex, *, concurrently: bool = True, table: str = "") -> str:
    """Return CREATE INDEX for a change; ``table`` puts it on another table (SQL)."""
    include = f" INCLUDE ({idents(change.include)})" if change.include else ""
    nulls = " NULLS NOT DISTINCT" if change.nulls_not_distinct else ""
    where = f" WHERE {change.where}" if change.where else ""
    return (
        f"CREATE {'UNIQUE ' if change.unique else ''}INDEX {'CONCURRENTLY ' if concurrently else ''}"
        f"{ident(str(change.name))} ON {table or change.table.sql} USING {ident(change.method)}"
        f" ({', '.join(change.elements)}){include}{nulls}{where}"
    )


def _is(present: Index, change: CreateIndex, connection: psycopg.Connection[Any], table: Table) -> bool:
    """Tell whether an index is what is asked for, as PostgreSQL itself prints the two.

    The one that is asked for is built on an empty temporary copy of the table, in a transaction that is rolled back.
    """
    copy = "pg_temp.__truing_look"
    connection.execute(f"BEGIN; CREATE TEMPORARY TABLE __truing_look (LIKE {table.name.sql}) ON COMMIT DROP")
    try:
        connection.execute(statement(change, concurrently=False, table=copy))
        row = connection.execute(
            "SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = 'pg_temp.__truing_look'::regclass"
        ).fetchone()
    finally:
        connection.execute("ROLLBACK")
    wanted = str(row[0]) if row else ""
    # Everything after the table's name, and whether it is unique: names differ by design.
    tail = wanted.split(" USING ", 1)[-1]
    return present.unique == change.unique and present.definition.split(" USING ", 1)[-1] == tail


def plan_drop(change: DropIndex, connection: psycopg.Connection[Any]) -> Planned | None:
    """Plan to drop an index and to give back what was settled for it; None where it is gone already."""
    index = QualifiedName(change.table.schema, change.name)
    undone = identity(change.table, change.name)
    entry = journal.load(connection, undone) if journal.exists(connection) else None
    column = str(entry.record.get("column") or "") if entry is not None else ""
    row = connection.execute("SELECT to_regclass(%s) IS NULL", (index.sql,)).fetchone()
    if row and row[0] and not column:
        return None
    backed = connection.execute(
        "SELECT conname FROM pg_constraint WHERE conindid = to_regclass(%s) AND contype IN ('p', 'u', 'x')",
        (index.sql,),
    ).fetchone()
    if backed:
        raise UnsupportedChangeError(
            f"index {index} belongs to the constraint {backed[0]}; drop the constraint instead"
        )
    steps = [drop_step(index)]
    if column:
        table = require_table(connection, change.table)
        steps += give_back_steps(undone, table, column, parents=table.foreign_keys)
    plan = Plan(f"drop index {index.sql}", f"Drop index {index.name}", change.table, tuple(steps), undoes=undone)
    return plan, {}


@Operations.register_operation("create_index_online")
class CreateIndexOnlineOp(MigrateOperation):
    """Build an index without blocking writes."""

    def __init__(self, name: str, table: str, columns: list[str], options: dict[str, Any]) -> None:
        self.name, self.table, self.columns, self.options = name, table, columns, options

    @classmethod
    def create_index_online(
        cls,
        operations: Operations,
        name: str,
        table: str,
        columns: list[str],
        *,
        unique: bool = False,
        where: str | None = None,
        expressions: list[str] | None = None,
        include: list[str] | None = None,
        using: str = "btree",
        nulls_not_distinct: bool = False,
        duplicates: DirtyPolicy | dict[str, str] = "fail",
        column: str | None = None,
        first: list[str] | None = None,
        schema: str | None = None,
    ) -> None:
        """Build an index while the application writes.

        Args:
            operations: Alembic's.
            name: the index.
            table: the table.
            columns: its columns, in order.
            unique: UNIQUE.
            where: the predicate of a partial index, as SQL.
            expressions: elements as SQL, after the columns, for example ``lower(email)`` or ``created_at DESC``.
            include: columns that are only carried along.
            using: the access method.
            nulls_not_distinct: NULLS NOT DISTINCT (PostgreSQL 15).
            duplicates: for a unique index: what becomes of all rows of the same key but the first: ``fail``,
                ``quarantine-rows``, ``null`` (their ``column`` is emptied), or ``{"value": sql}`` with an SQL
                expression over the row (alias ``t``) that ``column`` gets. Originals are kept.
            column: the column that is emptied or replaced; by default the last plain one of the key.
            first: columns that say which row is the first, ties broken by the primary key; they must not be NULL.
            schema: of the table.
        """
        options = {
            "settlement": settling.settlement(duplicates, column, first) if unique else None,
            "unique": unique,
            "where": where,
            "include": tuple(include or ()),
            "method": using,
            "nulls_not_distinct": nulls_not_distinct,
        }
        elements = [ident(column) for column in columns] + list(expressions or ())
        operations.invoke(cls(name, table, elements, {"schema": schema, **options}))


@Operations.implementation_for(CreateIndexOnlineOp)
def _create(operations: Operations, op: CreateIndexOnlineOp) -> None:
    options = dict(op.options)
    table = qualified(operations, op.table, options.pop("schema"))
    change = CreateIndex(table, op.name, tuple(op.columns), concurrently=True, **options)
    carry_out(operations, identity(table, op.name), change, lambda connection: plan_create(change, connection))


@Operations.register_operation("drop_index_online")
class DropIndexOnlineOp(MigrateOperation):
    """Drop an index without blocking anybody."""

    def __init__(self, name: str, table: str, schema: str | None) -> None:
        self.name, self.table, self.schema = name, table, schema

    @classmethod
    def drop_index_online(cls, operations: Operations, name: str, table: str, *, schema: str | None = None) -> None:
        """Drop an index while the application works.

        Args:
            operations: Alembic's.
            name: the index.
            table: its table.
            schema: of the table.
        """
        operations.invoke(cls(name, table, schema))


@Operations.implementation_for(DropIndexOnlineOp)
def _drop(operations: Operations, op: DropIndexOnlineOp) -> None:
    change = DropIndex(qualified(operations, op.table, op.schema), op.name, concurrently=True)
    op_id = f"drop index {QualifiedName(change.table.schema, op.name).sql}"
    carry_out(operations, op_id, change, lambda connection: plan_drop(change, connection))
