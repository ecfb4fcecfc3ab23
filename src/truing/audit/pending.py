"""What is the schema when a pending change runs? Tables and columns as the changes before it leave them.

:class:`Schema` is what :mod:`truing.audit.walk` carries from change to change. Only what the rows have to be asked
through is kept: names, types, NOT NULL, which columns exist only then, and what changes rows meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from truing.audit.layers import Base, layered
from truing.audit.model import Source
from truing.audit.probes.foreign_key import Parent
from truing.audit.probes.probe import ALIAS, MOVED, PARENT, Fill, Forget, Move, Probe, Rename
from truing.catalog.model import Index, Table
from truing.changes import AddCheck, AddForeignKey
from truing.errors import CatalogError
from truing.names import QualifiedName, ident, literal


class ColumnThen(msgspec.Struct, frozen=True):
    """A column as it is at some point of the walk.

    Attributes:
        now: the name that it has now; None where it does not exist yet, though its values may be known.
        type: its type.
        not_null: whether it is NOT NULL.
        altered: whether a pending change gives rows another value in it.
        unknown: why nothing can be said of its values; empty where something can.
    """

    now: str | None
    type: str
    not_null: bool = False
    altered: bool = False
    unknown: str = ""


class Touch(msgspec.Struct, frozen=True):
    """A pending statement that changes rows in a way that the audit does not follow.

    Attributes:
        what: its command, for example ``UPDATE``.
        source: its line.
        columns: the columns that it sets; None where any may change.
        adds: whether it only adds rows.
    """

    what: str
    source: Source
    columns: frozenset[str] | None = None
    adds: bool = False


class Found(msgspec.Struct, frozen=True):
    """A table as it is now.

    Attributes:
        table: what the catalog says.
        base: how it is read.
        unreadable: why this role cannot read (all of) its rows; empty where it can.
        remedy: what to do about that.
    """

    table: Table
    base: Base
    unreadable: str = ""
    remedy: str = ""


class TableThen:
    """A table as it is at some point of the walk.

    Attributes:
        found: as it is now; None where it does not exist yet.
        columns: its columns then, by their names then.
        moves: what has happened to it so far.
        created: the revision that creates it; empty for one that exists.
        touches: statements that change its rows.
        unvalidated: name -> pending constraint that is NOT VALID.
        sentinels: (column, value) of rows that pending operations make in it.
    """

    def __init__(self, found: Found | None, created: str = "") -> None:
        self.found, self.created = found, created
        self.columns = {
            column.name: ColumnThen(column.name, column.type, column.not_null)
            for column in (found.table.columns if found else ())
        }
        self.moves: list[Move] = []
        self.touches: list[Touch] = []
        self.unvalidated: dict[str, AddCheck | AddForeignKey] = {}
        self.sentinels: list[tuple[str, str]] = []

    @property
    def here(self) -> Found:
        """The table as it is now; only for tables that exist now."""
        if self.found is None:
            raise CatalogError(f"a table that is {self.created or 'nobody'} has no rows yet")
        return self.found

    def add(self, name: str, type_: str, unknown: str) -> None:
        """Take note of a new column, or of one whose values nobody knows any more."""
        if name in self.columns:
            self.moves.append(Forget(name))
        self.columns[name] = ColumnThen(None, type_, unknown=unknown)

    def fill(self, name: str, type_: str, value: str, uses: tuple[str, ...]) -> None:
        """Take note of a new column whose values can be computed now."""
        if name in self.columns:
            self.moves.append(Forget(name))
        self.moves.append(Fill(name, type_, value, uses))
        self.columns[name] = ColumnThen(None, type_)

    def drop(self, name: str) -> None:
        """Take note that a column goes."""
        if self.columns.pop(name, None) is not None:
            self.moves.append(Forget(name))

    def rename(self, name: str, to: str) -> None:
        """Take note that a column gets another name."""
        column = self.columns.pop(name, None)
        if column is not None:
            self.columns[to] = column
            if not column.unknown:
                self.moves.append(Rename(name, to))

    def change(self, name: str, **fields: object) -> None:
        """Take note of what is different about a column from here on."""
        column = self.columns.get(name)
        if column is not None:
            self.columns[name] = msgspec.structs.replace(column, **fields)

    def forget(self, name: str, why: str) -> None:
        """Take note that a column's values cannot be known from here on."""
        if name in self.columns:
            self.moves.append(Forget(name))
            self.change(name, unknown=why)

    def make(self, column: str, value: str) -> None:
        """Take note of a row that a pending operation makes."""
        if (column, value) not in self.sentinels:
            self.sentinels.append((column, value))

    def ask(self, probe: Probe) -> None:
        """Add a question, with what its change does to the rows."""
        self.moves.append(probe)
        for column in probe.effects:
            self.change(column, altered=True)

    def now(self, columns: Iterable[str]) -> tuple[str, ...]:
        """Return the names that altered columns among these have now."""
        found = (self.columns.get(column) for column in columns)
        return tuple(column.now for column in found if column is not None and column.altered and column.now is not None)

    def touched(self, columns: tuple[str, ...], *, parent: bool = False) -> Touch | None:
        """Return a statement that may settle rows for a question about some columns."""
        for touch in self.touches:
            matters = parent if touch.adds else touch.columns is None or bool(touch.columns & set(columns))
            if matters:
                return touch
        return None

    def parent(self, columns: tuple[str, ...], values: tuple[str, ...], type_: str) -> Parent:
        """Say how values are looked for in this table, as it is at this point.

        Args:
            columns: the referenced columns.
            values: the expressions that refer to them, over :data:`ALIAS`.
            type_: the type of the (last) value.
        """
        matched = " AND ".join(f"{PARENT}.{ident(c)} = {v}" for c, v in zip(columns, values, strict=True))
        source = self.here.table.name.sql
        if not self._is_as_now(columns):
            listed = ", ".join(f"{ALIAS}.{ident(column)}" for column in columns)
            rows = f"({layered(self.here.base, self.moves)}) AS {ALIAS} WHERE NOT {ALIAS}.{MOVED}"
            source = f"(SELECT DISTINCT {listed} FROM {rows})"
        found = f"{PARENT}.{ident(columns[0])} IS NOT NULL"
        if len(columns) == 1:
            for value in [value for column, value in self.sentinels if column == columns[0]]:
                found = f"({found} OR coalesce({values[0]} = {literal(value)}::{type_}, false))"
        return Parent(f"LEFT JOIN {source} AS {PARENT} ON {matched}", found)

    def _is_as_now(self, columns: tuple[str, ...]) -> bool:
        """Tell whether these columns are a key now, and no pending change moves rows or alters them."""
        then = [self.columns[column] for column in columns]
        if any(column.altered or column.now != name for name, column in zip(columns, then, strict=True)):
            return False
        if any(isinstance(move, Probe) and move.moved for move in self.moves):
            return False
        return any(is_key(index, columns) for index in self.here.table.indexes)


def is_key(index: Index, columns: tuple[str, ...]) -> bool:
    """Tell whether an index guarantees that no two rows agree in these columns."""
    plain = None not in index.columns and index.predicate is None
    return index.unique and index.valid and plain and set(index.columns) <= set(columns)


class Schema:
    """All tables, as they are at some point of the walk.

    Attributes:
        tables: by their names then.
        drops: the text of statements that drop something, with their lines.
        dropped: constraints and indexes that are gone by then.
        opaque: statements that may do anything to any table.
    """

    def __init__(self, find: Callable[[QualifiedName], Found | None]) -> None:
        self._find = find
        self._seen: list[TableThen] = []
        self.tables: dict[QualifiedName, TableThen | None] = {}
        self.drops: list[tuple[str, Source]] = []
        self.dropped: set[QualifiedName] = set()
        self.opaque: list[Touch] = []

    def table(self, name: QualifiedName) -> TableThen | None:
        """Find a table by its name then; None where there is none."""
        if name not in self.tables:
            found = self._find(name)
            table = TableThen(found) if found is not None else None
            self.tables[name] = table
            self._seen += [table] if table is not None else []
        return self.tables[name]

    def known(self) -> tuple[TableThen, ...]:
        """Return every table that was looked at, also those that are dropped by then."""
        return tuple(self._seen)

    def rename(self, name: QualifiedName, to: str) -> None:
        """Take note that a table gets another name."""
        self.tables[QualifiedName(name.schema, to)] = self.table(name)
        self.tables[name] = None

    def touched(self, table: TableThen, columns: tuple[str, ...], *, parent: bool = False) -> Touch | None:
        """Return a statement that may settle rows for a question; see :meth:`TableThen.touched`."""
        return table.touched(columns, parent=parent) or next(iter(self.opaque), None)
