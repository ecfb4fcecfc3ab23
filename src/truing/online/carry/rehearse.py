"""Would PostgreSQL take this in the swap? Statements go in, its answer comes out; they run on empty temporary copies.

A copy of the table looks as the table will after the swap; new views are made as temporary views on it. The caller's
transaction is rolled back in the end, so nothing of it is ever seen by anybody.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import psycopg
from psycopg.rows import tuple_row

from truing.catalog.model import Index, Statistic, Table, Trigger, View
from truing.names import QualifiedName, ident, idents
from truing.online.carry import indexes, statistics, triggers
from truing.online.carry.statements import renamed_relations
from truing.online.carry.target import Target
from truing.online.carry.views import create

_COLUMNS = """
-- One row is one column of a relation: its type, and whether UPDATE through the relation may set it.
SELECT a.attname, format_type(a.atttypid, a.atttypmod), pg_column_is_updatable(a.attrelid::regclass, a.attnum, true)
FROM pg_attribute a WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
"""


class ViewColumn(msgspec.Struct, frozen=True):
    """A column of a view."""

    name: str
    type: str
    updatable: bool


class Rehearsal:
    """Temporary copies of the table and of its views, and the attempts made on them."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        """Make a rehearsal, in a transaction that the caller rolls back."""
        self._connection = connection
        self._cursor = connection.cursor(row_factory=tuple_row)
        self._copies: dict[QualifiedName, QualifiedName] = {}

    def copy_table(self, table: Table, column: str, new_type: str, other_columns: tuple[str, ...]) -> str:
        """Make the copy of the converted table.

        Args:
            table: the table.
            column: the column.
            new_type: its new type.
            other_columns: the new and the old column's own names; those that exist are left out.

        Returns:
            The new type as ``format_type`` prints it.

        Raises:
            psycopg.Error: PostgreSQL refuses it.
        """
        copy = self._copy_of(table.name)
        self._run(f"CREATE TEMP TABLE {ident(copy.name)} (LIKE {table.name.sql})")
        for name in {column, *(name for name in other_columns if table.column(name))}:
            self._run(f"ALTER TABLE {copy.sql} DROP COLUMN {ident(name)}")
        self._run(f"ALTER TABLE {copy.sql} ADD COLUMN {ident(column)} {new_type}")
        if table.primary_key is not None and column not in table.primary_key.columns:
            # GROUP BY the primary key lets a view select the other columns.
            self._run(f"ALTER TABLE {copy.sql} ADD PRIMARY KEY ({idents(table.primary_key.columns)})")
        return next(found.type for found in self._columns(copy) if found.name == column)

    def view(self, view: View, query: str) -> tuple[tuple[ViewColumn, ...], str]:
        """Make a view; keep it where PostgreSQL takes it.

        Returns:
            Its columns, and why PostgreSQL refuses it (empty where it does not).
        """
        copy = self._copy_of(view.name)
        statement = create(copy, view.columns, view.options, renamed_relations(query, self._copies))
        error = self._attempt(statement.replace("CREATE VIEW", "CREATE TEMP VIEW", 1))
        if error:
            del self._copies[view.name]
            return (), error
        return self._columns(copy), ""

    def drop_view(self, view: View) -> None:
        """Drop a view that is not wanted after all."""
        self._run(f"DROP VIEW {self._copies.pop(view.name).sql}")

    def original_columns(self, view: View) -> tuple[ViewColumn, ...]:
        """Return the columns of a view as it is."""
        return self._columns(view.name)

    def condition(self, expression: str, table: QualifiedName) -> str:
        """Try a condition over a table's rows (a policy's, a CHECK's); return why it is refused."""
        select = f"SELECT ({expression})::boolean AS holds FROM {table.sql} AS {ident(table.name)}"
        return self._attempt(
            f"CREATE TEMP VIEW __truing_probe AS {renamed_relations(select, self._copies)}", keep=False
        )

    def default(self, column: str, expression: str, relation: QualifiedName) -> str:
        """Try a default of a column; return why it is refused."""
        copy = self._copies[relation]
        return self._attempt(f"ALTER TABLE {copy.sql} ALTER COLUMN {ident(column)} SET DEFAULT {expression}")

    def index(self, target: Target, index: Index, cast_elements: tuple[int, ...] = ()) -> str:
        """Try an index; return why it is refused."""
        return self._rewritten(lambda: indexes.new_definition(target, index, "__truing_probe", cast_elements))

    def statistics(self, target: Target, statistic: Statistic) -> str:
        """Try extended statistics; return why they are refused."""
        name = QualifiedName("pg_temp", "__truing_probe")
        made = statistics.new_definition(target, statistic, name, self._copies[target.table])
        return self._attempt(made, keep=False)

    def trigger(self, target: Target, trigger: Trigger) -> str:
        """Try a trigger; return why it is refused."""
        return self._rewritten(lambda: triggers.new_definition(target, trigger))

    def _rewritten(self, make: Callable[[], str]) -> str:
        return self._attempt(renamed_relations(make(), self._copies, keep_names=False), keep=False)

    def _copy_of(self, relation: QualifiedName) -> QualifiedName:
        copy = QualifiedName("pg_temp", f"__truing_probe_{len(self._copies)}")
        self._copies[relation] = copy
        return copy

    def _columns(self, relation: QualifiedName) -> tuple[ViewColumn, ...]:
        rows = self._cursor.execute(_COLUMNS, (relation.sql,)).fetchall()
        return tuple(ViewColumn(*row) for row in rows)

    def _run(self, statement: str) -> None:
        self._cursor.execute(statement.encode(), prepare=False)

    def _attempt(self, statement: str, *, keep: bool = True) -> str:
        """Run a statement in a savepoint; return the error's text, empty where there is none."""
        try:
            with self._connection.transaction(force_rollback=not keep):
                self._run(statement)
        except psycopg.Error as error:
            return error.diag.message_primary or str(error)
        return ""
