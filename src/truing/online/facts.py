"""What an operation needs to know of a table before it plans: that it is there, its key, its columns."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

import psycopg

from truing.catalog.model import Column, Table
from truing.catalog.read import read_table
from truing.errors import UnsupportedChangeError
from truing.names import QualifiedName


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
