"""What do the pending revisions ask of the rows? They are followed change by change; out come the tables with probes.

Nothing is run: what the catalog has to say comes in through :class:`~truing.audit.asking.Catalog`. A change whose rows
cannot be asked for (what it is about does not exist yet, say) is an :class:`~truing.audit.model.Unasked`.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from truing.audit import touches
from truing.audit.asking import Asking, Catalog
from truing.audit.model import Source
from truing.audit.pending import TableThen
from truing.audit.probes import not_null, type_change
from truing.audit.probes.check import mentioned
from truing.audit.probes.foreign_key import Parent
from truing.audit.probes.probe import ALIAS
from truing.audit.wording import created, kept
from truing.changes import (
    AddColumn,
    AlterColumnType,
    AnyChange,
    CreateTable,
    DropColumn,
    DropConstraint,
    DropIndex,
    DropNotNull,
    DropTable,
    OtherStatement,
    RenameColumn,
    RenameTable,
    RestoreColumnType,
    RevertColumnType,
)
from truing.errors import UnsupportedChangeError
from truing.names import QualifiedName, ident, is_derived
from truing.online.conversion import Conversion
from truing.revisions.record import RecordedRevision, RecordedStatement


class Conversions(msgspec.Struct, frozen=True):
    """A type change whose dependents are to be looked at."""

    change: AlterColumnType
    title: str
    source: Source
    table: QualifiedName
    column: str
    dropped: frozenset[QualifiedName]
    drops: tuple[str, ...]


class Walk(Asking):
    """The walk, and what it has found so far.

    Attributes:
        conversions: type changes, for their dependents.
    """

    def __init__(self, catalog: Catalog) -> None:
        super().__init__(catalog)
        self.conversions: list[Conversions] = []
        self._statement: RecordedStatement | None = None

    def follow(self, revisions: Iterable[RecordedRevision]) -> None:
        """Follow revisions in the order they would run."""
        for revision in revisions:
            for statement in revision.statements:
                self._statement = statement
                source = Source(revision.revision, statement.location, statement.online)
                made = {change.table for change in statement.changes if isinstance(change, CreateTable)}
                for change in statement.changes:
                    # What CREATE TABLE says of its own columns is about no row.
                    if change.table not in made or isinstance(change, CreateTable):
                        self._step(change, source)

    def _step(self, change: AnyChange, source: Source) -> None:
        match change:
            case CreateTable():
                self.schema.tables[change.table] = TableThen(None, created=source.revision)
            case DropTable():
                self.schema.tables[change.table] = None
            case RenameTable():
                self.schema.rename(change.table, change.to)
            case DropConstraint() | DropIndex():
                self.schema.dropped.add(QualifiedName(change.table.schema, change.name))
            case DropColumn() | RenameColumn() if is_derived(change.column):
                self._no(change, source, "kept", *kept(change.column))
            case OtherStatement():
                touches.note(self.schema, change, source, self.catalog.default_schema)
            case _:
                table = self.schema.table(change.table)
                if table is None:
                    self._no(change, source, "missing", f"there is no table {change.table}")
                elif table.created:
                    self._no(change, source, "created", created(table.created))
                elif table.found is not None and table.found.unreadable:
                    self._no(change, source, "unreadable", table.found.unreadable, table.found.remedy)
                else:
                    self._of_table(change, table, source)

    def _of_table(self, change: AnyChange, table: TableThen, source: Source) -> None:
        match change:
            case AddColumn():
                self._add_column(change, table, source)
            case AlterColumnType():
                self._alter_type(change, table, source)
            case DropColumn():
                table.drop(change.column)
            case RenameColumn():
                table.rename(change.column, change.to)
            case RevertColumnType() | RestoreColumnType():
                table.forget(change.column, f"given other values by pending revision {source.revision}")
            case DropNotNull():
                table.change(change.column, not_null=False)
            case _:
                self.constraint(change, table, source)

    def _add_column(self, change: AddColumn, table: TableThen, source: Source) -> None:
        if not change.type:
            # The end of an online one's transition: its values stay.
            return
        computed = self._statement is not None and any(
            isinstance(other, OtherStatement) for other in self._statement.changes
        )
        if not change.nullable and change.default is None and not source.online and not computed:
            self._ask(table, not_null.new_column(change.column, change.type, source))
        used = self._computable(change, table) if source.online else None
        if used is None or change.value is None:
            table.add(change.column, change.type, created(source.revision))
        else:
            table.fill(change.column, change.type, change.value, used)

    def _computable(self, change: AddColumn, table: TableThen) -> tuple[str, ...] | None:
        """Say from which columns the value of a new one can be computed now; None where it cannot."""
        if change.value is None or table.found is None or not not_null.is_simple(change.value):
            return None
        used, readable = mentioned(change.value), table.found.base.columns
        for column in map(table.columns.get, used):
            if column is None or column.unknown or (column.now is not None and column.now not in readable):
                return None
        return used

    def _alter_type(self, change: AlterColumnType, table: TableThen, source: Source) -> None:
        column = table.columns.get(change.column)
        if self._unknown(change, table, [change.column], source) or column is None or table.found is None:
            return
        printed = self.catalog.printed(change.type)
        if printed is None:
            reason = f"there is no type {change.type} yet"
            self._no(change, source, "created", reason)
            table.forget(change.column, reason)
            return
        change = msgspec.structs.replace(change, type=printed)
        if column.type == printed and change.using is None:
            self._no(change, source, "settled", f"{ident(change.column)} is {printed} already")
            return
        nullable = not column.not_null if change.nullable is None else change.nullable
        conversion = Conversion(change, column.type, nullable, self.catalog.version)
        title = f"{change.column}: {column.type} → {printed}"
        drops = tuple(sql for sql, _ in self.schema.drops)
        dropped = frozenset(self.schema.dropped)
        at = (table.found.table.name, str(column.now))
        self.conversions.append(Conversions(change, title, source, *at, dropped, drops))
        if self._type_probe(conversion, table, source):
            table.change(change.column, type=printed, not_null=not nullable)
        else:
            table.forget(change.column, f"converted by pending revision {source.revision}")

    def _type_probe(self, conversion: Conversion, table: TableThen, source: Source) -> bool:
        change = conversion.change
        if not source.online:
            if change.using is None and not self.catalog.assignable(conversion.source_type, change.type):
                reason = f"PostgreSQL does not cast {conversion.source_type} to {change.type} by itself"
                remedy = f"Say how: USING {ident(change.column)}::{change.type} (postgresql_using in op.alter_column)."
                self._no(change, source, "refused", reason, remedy)
                return False
            self._ask(table, type_change.plain(conversion, source, change.table.name))
            return True
        try:
            parent = self._converted_parent(conversion, source)
            if parent is None:
                return False
            self._ask(table, type_change.online(conversion, source, parent))
        except UnsupportedChangeError as error:
            self._no(change, source, "unanswerable", error.message, error.advice)
            return False
        reference, dirty = change.references, conversion.dirty
        parent_table = self.schema.table(reference.table) if reference is not None else None
        if reference is not None and parent_table is not None and "sentinel" in _policies(change):
            parent_table.make(reference.column, dirty.sentinel)
        return True

    def _converted_parent(self, conversion: Conversion, source: Source) -> Parent | None:
        """Say how a converted value's parent is found; None (and why) where that cannot be said."""
        change = conversion.change
        reference = change.references
        if reference is None:
            return Parent("", "true")
        columns = self._parent_columns(change, reference.table, (reference.column,), source)
        table = self.schema.table(reference.table)
        if columns is None or table is None:
            return None
        value = conversion.safe_cast(f"{ALIAS}.{ident(change.column)}", read_only=True)
        return table.parent(columns, (value,), change.type)


def _policies(change: AlterColumnType) -> set[str]:
    dirty = change.dirty
    return {dirty.null, dirty.empty, dirty.malformed, dirty.orphan} if dirty is not None else set()
