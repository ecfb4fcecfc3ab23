"""How are constraints asked of the rows? One method for each kind; a change that cannot be asked says why.

The lower half of :class:`truing.audit.walk.Walk`, which follows the revisions and knows types and columns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal, TypeAlias

import msgspec

from truing.audit.keys import existing_keys, new_index, new_key
from truing.audit.model import Source, Unasked
from truing.audit.pending import Found, Schema, TableThen, Touch
from truing.audit.probes import not_null
from truing.audit.probes.check import check, mentioned
from truing.audit.probes.foreign_key import foreign_key
from truing.audit.probes.probe import ALIAS, Probe
from truing.audit.wording import created, describe, soften
from truing.changes import (
    AddCheck,
    AddForeignKey,
    AddUnique,
    AnyChange,
    CreateIndex,
    DropColumn,
    DropNotNull,
    RenameColumn,
    SetNotNull,
    ValidateConstraint,
)
from truing.names import QualifiedName, ident
from truing.versions import PostgresVersion

Reason: TypeAlias = Literal["created", "settled", "missing", "unanswerable", "unreadable", "refused", "kept"]


class Catalog(msgspec.Struct, frozen=True):
    """What the walk has to know of the database.

    Attributes:
        version: the server's.
        default_schema: the schema of names that are not qualified.
        find: a table by its name.
        printed: a type as ``format_type`` prints it; None where there is none of the name.
        assignable: whether PostgreSQL casts one type to another in an assignment, as ALTER TABLE without USING does.
    """

    version: PostgresVersion
    default_schema: str
    find: Callable[[QualifiedName], Found | None]
    printed: Callable[[str], str | None]
    assignable: Callable[[str, str], bool]


class Asking:
    """Questions about constraints, and what was found so far.

    Attributes:
        catalog: what the database says.
        schema: the tables as they are at this point.
        unasked: changes whose rows could not be asked for.
    """

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self.schema = Schema(catalog.find)
        self.unasked: list[Unasked] = []

    def constraint(self, change: AnyChange, table: TableThen, source: Source) -> None:
        """Ask what a constraint or index asks of the rows of a table that exists."""
        match change:
            case SetNotNull():
                self._set_not_null(change, table, source)
            case AddForeignKey():
                self._add_foreign_key(change, table, source)
            case AddUnique():
                self._add_unique(change, table, source)
            case AddCheck():
                self._add_check(change, table, source)
            case CreateIndex() if change.unique:
                self._create_index(change, table, source)
            case ValidateConstraint():
                self._validate(change, table, source)

    # -- saying no -----------------------------------------------------------------------------------------------------

    def _no(self, change: AnyChange, source: Source, kind: Reason, reason: str, remedy: str = "") -> None:
        if kind != "kept" and isinstance(change, DropColumn | RenameColumn | DropNotNull):
            return
        self.unasked.append(
            Unasked(change=describe(change), table=change.table, source=source, reason=reason, kind=kind, remedy=remedy)
        )

    def _unknown(self, change: AnyChange, table: TableThen, columns: Iterable[str], source: Source) -> bool:
        """Say why some columns cannot be asked for; tell whether that is so."""
        for name in columns:
            column = table.columns.get(name)
            if column is None:
                self._no(change, source, "missing", f"{change.table} has no column {ident(name)}")
                return True
            if column.unknown:
                self._no(change, source, "created", column.unknown)
                return True
            if table.found is not None and column.now is not None and column.now not in table.found.base.columns:
                reason = f"this role may not read column {ident(name)}"
                self._no(change, source, "unreadable", reason, f"GRANT SELECT ON {change.table} to it")
                return True
        return False

    # -- asking --------------------------------------------------------------------------------------------------------

    def _ask(self, table: TableThen, probe: Probe, touch: Touch | None = None) -> None:
        """Add a question, and those about keys that exist and that its change may make equal."""
        touch = touch or self.schema.touched(table, probe.columns)
        table.ask(soften(probe, touch) if touch is not None else probe)
        for column in probe.effects:
            self._existing_keys(table, column, probe)

    def _existing_keys(self, table: TableThen, column: str, probe: Probe) -> None:
        for derived in existing_keys(self.schema, table, column, probe):
            table.ask(derived)

    def _parent_columns(
        self, change: AnyChange, parent: QualifiedName, columns: tuple[str, ...], source: Source
    ) -> tuple[str, ...] | None:
        """Fill in and check the referenced columns; None (and why) where they cannot be asked."""
        table = self.schema.table(parent)
        if table is None:
            self._no(change, source, "missing", f"there is no table {parent}")
        elif table.created or table.found is None:
            self._no(change, source, "created", f"{parent} is {created(table.created)}")
        elif table.found.unreadable:
            self._no(change, source, "unreadable", table.found.unreadable, table.found.remedy)
        else:
            key = table.found.table.primary_key
            columns = columns or (key.columns if key is not None else ())
            if not columns:
                self._no(change, source, "refused", f"{parent} has no primary key to refer to")
            elif not self._unknown(change, table, columns, source):
                return columns
        return None

    def _set_not_null(self, change: SetNotNull, table: TableThen, source: Source) -> None:
        if self._unknown(change, table, [change.column], source):
            return
        column = table.columns[change.column]
        if column.not_null:
            self._no(change, source, "settled", f"{ident(change.column)} is NOT NULL by then")
            return
        self._ask(table, not_null.set_not_null(change, source, column.type))
        table.change(change.column, not_null=True)
        if change.value is not None and not not_null.is_simple(change.value):
            table.forget(change.column, f"given values by pending revision {source.revision}")

    def _add_foreign_key(self, change: AddForeignKey, table: TableThen, source: Source) -> None:
        if not change.validated:
            table.unvalidated[change.name or ""] = msgspec.structs.replace(change, validated=True)
            return
        if self._unknown(change, table, change.columns, source) or table.found is None:
            return
        columns = self._parent_columns(change, change.references, change.referenced_columns, source)
        parent = self.schema.table(change.references)
        if columns is None or parent is None:
            return
        change = msgspec.structs.replace(change, referenced_columns=columns)
        if any(
            key.validated
            and (key.columns, key.references, key.referenced_columns) == (change.columns, change.references, columns)
            for key in table.found.table.foreign_keys
            if QualifiedName(change.table.schema, key.name) not in self.schema.dropped
        ):
            self._no(change, source, "settled", "the very same foreign key is there and valid")
            return
        last = table.columns[change.columns[-1]]
        values = tuple(f"{ALIAS}.{ident(column)}" for column in change.columns)
        dirty = change.dirty
        if dirty is not None and dirty.orphan == "sentinel":
            parent.make(columns[-1], dirty.sentinel)
        found = parent.parent(columns, values, last.type)
        touch = self.schema.touched(parent, columns, parent=True)
        self._ask(table, foreign_key(change, source, found, last.type, not_null=last.not_null), touch)

    def _add_unique(self, change: AddUnique, table: TableThen, source: Source) -> None:
        if change.using_index is not None or self._unknown(change, table, change.columns, source):
            return
        if change.primary:
            for name in change.columns:
                if not table.columns[name].not_null:
                    self._ask(table, not_null.primary_key(change.columns, name, describe(change), source))
                    table.change(name, not_null=True)
        self._ask_key(new_key(self.schema, table, change, describe(change), source), change, table, source)

    def _create_index(self, change: CreateIndex, table: TableThen, source: Source) -> None:
        probe = new_index(self.schema, table, change, describe(change), source)
        if probe is not None and self._unknown(change, table, probe.columns, source):
            return
        self._ask_key(probe, change, table, source)

    def _ask_key(self, probe: Probe | None, change: AnyChange, table: TableThen, source: Source) -> None:
        if probe is None:
            self._no(change, source, "settled", "a key that is there already guarantees it")
        else:
            self._ask(table, probe)

    def _add_check(self, change: AddCheck, table: TableThen, source: Source) -> None:
        if not change.validated:
            table.unvalidated[change.name or ""] = msgspec.structs.replace(change, validated=True)
            return
        there = table.found.table.constraint(change.name) if table.found is not None and change.name else None
        dropped = QualifiedName(change.table.schema, change.name or "") in self.schema.dropped
        if there is not None and there.kind == "check" and there.validated and not dropped:
            self._no(change, source, "settled", "a valid CHECK of the name is there already")
            return
        names = [name for name in mentioned(change.expression) if name in table.columns]
        if not self._unknown(change, table, names, source):
            self._ask(table, check(change, source, tuple(table.columns)))

    def _validate(self, change: ValidateConstraint, table: TableThen, source: Source) -> None:
        waiting: AddCheck | AddForeignKey | None = table.unvalidated.pop(change.name, None)
        there = table.found.table.constraint(change.name) if table.found is not None else None
        if waiting is None and there is not None and not there.validated:
            if there.references is not None:
                waiting = AddForeignKey(
                    change.table,
                    there.name,
                    there.columns,
                    there.references,
                    there.referenced_columns,
                    match_full=there.match_full,
                )
            elif there.expression is not None:
                waiting = AddCheck(change.table, there.name, there.expression)
        if waiting is None:
            self._no(change, source, "settled" if there is not None else "missing", "nothing waits to be validated")
        else:
            self.constraint(waiting, table, source)
