"""Add a UNIQUE or PRIMARY KEY constraint while the application writes, and drop it.

Before: ``op.create_unique_constraint("uq", "t", ["a", "b"])`` builds the index while nobody else can read or write the
table. After: ``op.add_unique_online("t", "uq", ["a", "b"])`` looks for duplicates first, builds the index concurrently,
and makes it a constraint in milliseconds (documentation: "ALTER TABLE", ADD table_constraint_using_index). An index
that could not be built is dropped at once, for it may go on refusing the application's writes.

``duplicates`` says what becomes of rows that have the same key as one before them; their originals are kept, and
``op.drop_unique_online`` gives them back.
"""

from __future__ import annotations

from typing import Any

import msgspec
import psycopg
from alembic.operations import MigrateOperation, Operations

from truing.catalog.model import Constraint, Table
from truing.changes import AddUnique, DirtyPolicy, DropConstraint, Settlement
from truing.errors import UnsupportedChangeError
from truing.locks import LockMode, TableLock
from truing.names import QualifiedName, derived, ident, idents
from truing.online import journal, settling
from truing.online.facts import referrers, require_column, require_table
from truing.online.giving_back import give_back_steps
from truing.online.operations.index import build_step
from truing.online.operations.invoke import carry_out, qualified
from truing.online.run import Planned
from truing.plan import Locked, Plan, Step


def identity(table: QualifiedName, name: str) -> str:
    """Return the operation's identity."""
    return f"add unique {ident(name)} to {table.sql}"


def plan_add(change: AddUnique, connection: psycopg.Connection[Any]) -> Planned | None:
    """Plan a UNIQUE or PRIMARY KEY constraint; None where the very same one is there.

    Raises:
        UnsupportedChangeError: it cannot be: a column is missing or may hold NULL, or another constraint is in its way.
    """
    table, name = require_table(connection, change.table), str(change.name)
    for column in change.columns:
        if change.primary and not require_column(table, column).not_null:
            raise UnsupportedChangeError(
                f"{table.name}.{ident(column)} may hold NULL, so it cannot be part of a primary key",
                hint="Use op.set_not_null_online first.",
            )
        require_column(table, column)
    if _there(change, table):
        return None
    replaced = _replaced(change, table, connection)
    op_id, chosen = identity(table.name, name), change.settlement or Settlement()
    found = settling.duplicates(
        table, name, tuple(map(ident, change.columns)), chosen, nulls_not_distinct=change.nulls_not_distinct
    )
    steps = settling.settle_step(op_id, table, found, chosen, referrers=referrers(connection, table.name))
    index, kind = derived(op_id, "unique"), "PRIMARY KEY" if change.primary else "UNIQUE"
    nulls = " NULLS NOT DISTINCT" if change.nulls_not_distinct else ""
    build = build_step(
        f"CREATE UNIQUE INDEX CONCURRENTLY {ident(index)} ON {table.name.sql} ({idents(change.columns)}){nulls}",
        QualifiedName(table.name.schema, index),
        f"Build the index of {name}",
    )
    # Duplicates that the application writes while it is built are settled, or stop the run, like all others.
    steps.append(msgspec.structs.replace(build, on_violation=steps[0].id) if steps else build)
    target = f"ALTER TABLE {table.name.sql}"
    become = [f"{target} DROP CONSTRAINT {ident(replaced.name)}"] if replaced is not None else []
    become.append(f"{target} ADD CONSTRAINT {ident(name)} {kind} USING INDEX {ident(index)}")
    exclusive = (TableLock(table.name, LockMode.ACCESS_EXCLUSIVE),)
    steps.append(Step("add", f"Make it the constraint {name}", Locked(exclusive, tuple(become))))
    title = f"{kind} {name} on {table.name} ({idents(change.columns)})"
    return Plan(op_id, title, table.name, tuple(steps)), {"column": settling.column_of(found, chosen)}


def _there(change: AddUnique, table: Table) -> bool:
    """Tell whether the constraint is there.

    Raises:
        UnsupportedChangeError: another constraint has its name.
    """
    present = table.constraint(str(change.name))
    if present is None:
        return False
    index = table.index(str(present.index))
    same = (
        present.kind == ("primary-key" if change.primary else "unique")
        and present.columns == change.columns
        and index is not None
        and index.nulls_not_distinct == change.nulls_not_distinct
    )
    if not same:
        raise UnsupportedChangeError(
            f"{table.name} has another constraint of the name {change.name}: {present.definition}",
            hint="Drop or rename it first.",
        )
    return True


def _replaced(change: AddUnique, table: Table, connection: psycopg.Connection[Any]) -> Constraint | None:
    """Find the primary key that goes.

    Raises:
        UnsupportedChangeError: there is one that is not said to be replaced, or foreign keys refer to it.
    """
    present = table.primary_key
    if not change.primary or present is None:
        return None
    if present.name != change.replaces:
        raise UnsupportedChangeError(
            f"{table.name} has the primary key {present.name} ({idents(present.columns)}) already",
            hint=f"Say replaces={present.name!r} if the new one is to take its place.",
        )
    users = connection.execute(
        "SELECT f.conrelid::regclass::text || '.' || f.conname FROM pg_constraint f JOIN pg_constraint p"
        " ON p.conindid = f.conindid AND p.contype = 'p' WHERE f.contype = 'f' AND p.conrelid = %s::regclass",
        (table.name.sql,),
    ).fetchall()
    if users:
        raise UnsupportedChangeError(
            f"{', '.join(user for (user,) in users)} refer to the primary key {present.name}, so it cannot go",
            hint="Give them another unique key to refer to first.",
        )
    return present


def plan_drop(change: DropConstraint, connection: psycopg.Connection[Any]) -> Planned | None:
    """Plan to drop the constraint and to give back what was settled for it; None where it is gone already."""
    table, op_id = require_table(connection, change.table), identity(change.table, change.name)
    entry = journal.load(connection, op_id) if journal.exists(connection) else None
    present = table.constraint(change.name)
    if present is None and entry is None:
        return None
    steps = []
    if present is not None:
        exclusive = (TableLock(table.name, LockMode.ACCESS_EXCLUSIVE),)
        drop = f"ALTER TABLE {table.name.sql} DROP CONSTRAINT {ident(change.name)}"
        steps.append(Step("drop", f"Drop {change.name}", Locked(exclusive, (drop,))))
    if entry is not None and entry.record.get("column"):
        steps += give_back_steps(op_id, table, str(entry.record["column"]), parents=table.foreign_keys)
    plan = Plan(
        f"drop unique {ident(change.name)} of {table.name.sql}",
        f"Drop {change.name} of {table.name}",
        table.name,
        tuple(steps),
        undoes=op_id,
    )
    return plan, {}


@Operations.register_operation("add_unique_online")
class AddUniqueOnlineOp(MigrateOperation):
    """Add a UNIQUE constraint without blocking anybody."""

    def __init__(self, table: str, name: str, columns: list[str], options: dict[str, Any]) -> None:
        self.table, self.name, self.columns, self.options = table, name, columns, options

    @classmethod
    def add_unique_online(
        cls,
        operations: Operations,
        table: str,
        name: str,
        columns: list[str],
        *,
        duplicates: DirtyPolicy | dict[str, str] = "fail",
        column: str | None = None,
        first: list[str] | None = None,
        nulls_not_distinct: bool = False,
        schema: str | None = None,
    ) -> None:
        """Add a UNIQUE constraint while the application writes.

        Args:
            operations: Alembic's.
            table: the table.
            name: the constraint.
            columns: its columns.
            duplicates: what becomes of all rows of the same key but the first: ``fail``, ``quarantine-rows``,
                ``null`` (their ``column`` is emptied), or ``{"value": sql}`` with an SQL expression over the row
                (alias ``t``) that ``column`` gets. Originals are kept.
            column: the column that is emptied or replaced; by default the last of the key.
            first: columns that say which row is the first, ties broken by the primary key; they must not be NULL.
            nulls_not_distinct: NULLS NOT DISTINCT (PostgreSQL 15).
            schema: of the table.
        """
        chosen = settling.settlement(duplicates, column, first)
        options = {"settlement": chosen, "nulls_not_distinct": nulls_not_distinct, "schema": schema}
        operations.invoke(cls(table, name, columns, options))


@Operations.register_operation("add_primary_key_online")
class AddPrimaryKeyOnlineOp(AddUniqueOnlineOp):
    """Add a primary key, or put it in the place of another, without blocking anybody."""

    @classmethod
    def add_primary_key_online(
        cls,
        operations: Operations,
        table: str,
        name: str,
        columns: list[str],
        *,
        replaces: str | None = None,
        duplicates: DirtyPolicy | dict[str, str] = "fail",
        schema: str | None = None,
    ) -> None:
        """Add a primary key while the application writes; the columns have to be NOT NULL.

        Args:
            operations: Alembic's.
            table: the table.
            name: the constraint.
            columns: its columns.
            replaces: the primary key that goes in the same moment; no foreign key may refer to it.
            duplicates: as in ``add_unique_online``.
            schema: of the table.
        """
        chosen = settling.settlement(duplicates, None)
        options = {"settlement": chosen, "primary": True, "replaces": replaces, "schema": schema}
        operations.invoke(cls(table, name, columns, options))


def _add(operations: Operations, op: AddUniqueOnlineOp) -> None:
    options = dict(op.options)
    change = AddUnique(qualified(operations, op.table, options.pop("schema")), op.name, tuple(op.columns), **options)
    carry_out(operations, identity(change.table, op.name), change, lambda connection: plan_add(change, connection))


Operations.implementation_for(AddUniqueOnlineOp)(_add)
Operations.implementation_for(AddPrimaryKeyOnlineOp)(_add)


@Operations.register_operation("drop_unique_online")
class DropUniqueOnlineOp(MigrateOperation):
    """Drop a UNIQUE constraint or a primary key under a short lock."""

    def __init__(self, table: str, name: str, schema: str | None) -> None:
        self.table, self.name, self.schema = table, name, schema

    @classmethod
    def drop_unique_online(cls, operations: Operations, table: str, name: str, *, schema: str | None = None) -> None:
        """Drop a UNIQUE constraint or a primary key; what was settled for it comes back.

        Args:
            operations: Alembic's.
            table: the table.
            name: the constraint.
            schema: of the table.
        """
        operations.invoke(cls(table, name, schema))


@Operations.implementation_for(DropUniqueOnlineOp)
def _drop(operations: Operations, op: DropUniqueOnlineOp) -> None:
    change = DropConstraint(qualified(operations, op.table, op.schema), op.name)
    op_id = f"drop unique {ident(op.name)} of {change.table.sql}"
    carry_out(operations, op_id, change, lambda connection: plan_drop(change, connection))
