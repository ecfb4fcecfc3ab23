"""What an operation needs to know of a table before it plans: that it is there, its key, its columns."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

import msgspec
import psycopg

from truing.catalog.model import Column, Table
from truing.catalog.read import read_table
from truing.errors import UnsupportedChangeError
from truing.names import QualifiedName, ident


class RowKey(tuple[tuple[str, ...], tuple[str, ...]]):
    """The columns of a unique NOT NULL key and their types, in the order of the key."""

    __slots__ = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns."""
        return self[0]

    @property
    def types(self) -> tuple[str, ...]:
        """Their types, as ``format_type`` prints them."""
        return self[1]


def require_table(connection: psycopg.Connection[Any], name: QualifiedName) -> Table:
    """Read a table.

    Raises:
        UnsupportedChangeError: there is no such table (or it is not an ordinary one).
    """
    table = read_table(connection, name)
    if table is None:
        known = [
            f"{schema}.{relation}"
            for schema, relation in connection.execute("SELECT schemaname, tablename FROM pg_tables").fetchall()
        ]
        close = get_close_matches(f"{name.schema}.{name.name}", known, n=1)
        raise UnsupportedChangeError(
            f"there is no table {name}", hint=f"Did you mean {close[0]}?" if close else "Check the name and the schema."
        )
    if table.kind != "table" or table.parents or table.partition_key:
        raise UnsupportedChangeError(
            f"{name} is partitioned, inherits, or is foreign; online operations work on ordinary tables",
            hint="Work on the partitions one by one.",
        )
    return table


class Referrer(msgspec.Struct, frozen=True):
    """A foreign key that refers to a table: its name, its table, its columns and those that they refer to."""

    name: str
    table: QualifiedName
    columns: tuple[str, ...]
    referenced: tuple[str, ...]

    def refers(self, target: QualifiedName, alias: str, *, as_text: bool = False) -> str:
        """Return the condition that a row of ``target`` (by its alias) is referred to by another row.

        With ``as_text`` it holds whatever types the columns have by then.
        """
        pairs = zip(self.columns, self.referenced, strict=True)
        type_ = "::text" if as_text else ""
        same = " AND ".join(
            f"__truing_r.{ident(mine)}{type_} = {alias}.{ident(theirs)}{type_}" for mine, theirs in pairs
        )
        # A row that refers to itself goes with itself.
        other = f" AND __truing_r.ctid <> {alias}.ctid" if self.table == target else ""
        return f"EXISTS (SELECT FROM {self.table.sql} __truing_r WHERE {same}{other})"


def referrers(connection: psycopg.Connection[Any], table: QualifiedName) -> tuple[Referrer, ...]:
    """Find the foreign keys that refer to a table."""
    rows = connection.execute(
        "SELECT f.conname, n.nspname, c.relname,"
        " ARRAY(SELECT a.attname::text FROM unnest(f.conkey) WITH ORDINALITY k(num, i) JOIN pg_attribute a"
        "  ON a.attrelid = f.conrelid AND a.attnum = k.num ORDER BY k.i),"
        " ARRAY(SELECT a.attname::text FROM unnest(f.confkey) WITH ORDINALITY k(num, i) JOIN pg_attribute a"
        "  ON a.attrelid = f.confrelid AND a.attnum = k.num ORDER BY k.i)"
        " FROM pg_constraint f JOIN pg_class c ON c.oid = f.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE f.contype = 'f' AND f.conparentid = 0 AND f.confrelid = %s::regclass ORDER BY 2, 3, 1",
        (table.sql,),
    ).fetchall()
    return tuple(
        Referrer(name, QualifiedName(schema, relation), tuple(columns), tuple(referenced))
        for name, schema, relation, columns, referenced in rows
    )


def require_column(table: Table, name: str) -> Column:
    """Find a column.

    Raises:
        UnsupportedChangeError: the table has no such column.
    """
    column = table.column(name)
    if column is None:
        close = get_close_matches(name, [column.name for column in table.columns], n=1)
        raise UnsupportedChangeError(
            f"{table.name} has no column {name!r}", hint=f"Did you mean {close[0]!r}?" if close else ""
        )
    return column


def row_key(table: Table) -> RowKey:
    """Find the key that rows are passed over by: the primary key, else a unique index over NOT NULL columns.

    Raises:
        UnsupportedChangeError: rows of this table cannot be told apart.
    """
    for index in sorted(table.indexes, key=lambda index: (not index.primary, index.name)):
        columns = [table.column(name) for name in index.columns if name is not None]
        if (
            index.unique
            and index.valid
            and index.method == "btree"
            and index.predicate is None
            and len(columns) == len(index.columns)
            and all(column is not None and column.not_null for column in columns)
        ):
            found = [column for column in columns if column is not None]
            return RowKey((tuple(c.name for c in found), tuple(c.type for c in found)))
    raise UnsupportedChangeError(
        f"{table.name} has neither a primary key nor a unique key over NOT NULL columns",
        hint="Give it a primary key first; rows that cannot be told apart cannot be kept in the journal.",
    )
