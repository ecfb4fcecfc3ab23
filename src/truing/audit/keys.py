"""Which keys are asked for duplicates? New ones, and those that exist on columns which a pending change alters."""

from __future__ import annotations

import msgspec

from truing.audit.model import Source
from truing.audit.pending import Schema, TableThen, is_key
from truing.audit.probes.check import mentioned
from truing.audit.probes.probe import Outcome, Probe
from truing.audit.probes.unique import KeyPart, column_part, index_part, unique
from truing.catalog.model import Index
from truing.changes import AddUnique, CreateIndex, Settlement
from truing.errors import SqlSyntaxError
from truing.names import QualifiedName


def new_key(schema: Schema, table: TableThen, change: AddUnique, title: str, source: Source) -> Probe | None:
    """Ask for duplicates of a new UNIQUE or PRIMARY KEY; None where a key that exists makes them impossible."""
    if _guaranteed(schema, table, change.columns, nulls=change.nulls_not_distinct):
        return None
    return unique(
        title,
        tuple(column_part(column, change.table.name) for column in change.columns),
        source,
        change.table,
        nulls_not_distinct=change.nulls_not_distinct,
        compared=table.now(change.columns),
        chosen=_chosen(change, source),
    )


def new_index(schema: Schema, table: TableThen, change: CreateIndex, title: str, source: Source) -> Probe | None:
    """Ask for duplicates of a new unique index; None where a key that exists makes them impossible."""
    key = tuple(index_part(element, change.table.name) for element in change.elements)
    plain = tuple(part.columns[0] for part in key if part == column_part(part.columns[0], change.table.name))
    if len(plain) == len(key) and _guaranteed(schema, table, plain, nulls=change.nulls_not_distinct):
        return None
    columns = tuple(name for part in key for name in part.columns if name in table.columns)
    return unique(
        title,
        tuple(msgspec.structs.replace(part, columns=tuple(c for c in part.columns if c in columns)) for part in key),
        source,
        change.table,
        where=change.where,
        nulls_not_distinct=change.nulls_not_distinct,
        compared=table.now(columns),
        chosen=_chosen(change, source),
    )


def _chosen(change: AddUnique | CreateIndex, source: Source) -> Settlement | None:
    return (change.settlement or Settlement()) if source.online else None


def _guaranteed(schema: Schema, table: TableThen, columns: tuple[str, ...], *, nulls: bool) -> bool:
    """Tell whether a key over some of the columns exists, stays, and no pending change alters its values."""
    if table.found is None or nulls or table.now(columns):
        return False
    now = tuple(str(table.columns[column].now) for column in columns)
    indexes = table.found.table.indexes
    return any(is_key(index, now) for index in indexes if _stays(schema, table, index))


def _stays(schema: Schema, table: TableThen, index: Index) -> bool:
    if table.found is None:
        return False
    name = table.found.table.name
    return not schema.dropped & {
        QualifiedName(name.schema, index.name),
        QualifiedName(name.schema, index.constraint or index.name),
    }


def existing_keys(schema: Schema, table: TableThen, column: str, cause: Probe) -> list[Probe]:
    """Ask whether a change of a column's values makes keys equal that are different now.

    Args:
        schema: the tables as they are then.
        table: the table, the change already made.
        column: the column.
        cause: the question about the change.
    """
    if table.found is None:
        return []
    then = {state.now: name for name, state in table.columns.items() if state.now is not None}
    probes = []
    for index in table.found.table.indexes:
        if not (index.unique and index.valid and _stays(schema, table, index)):
            continue
        key = _existing(index, then, table.found.table.name.name)
        columns = tuple(name for part in key for name in part.columns)
        if column in columns and all(not table.columns[name].unknown for name in columns):
            probes.append(_derived(table, index, key, cause))
    return probes


def _existing(index: Index, then: dict[str, str], alias: str) -> tuple[KeyPart, ...]:
    """Read the parts of an index by the names that its columns have then; empty where that cannot be done."""
    parts = []
    for column, element in zip(index.columns, index.elements, strict=False):
        if column is not None:
            if column not in then:
                return ()
            parts.append(column_part(then[column], alias))
            continue
        used = tuple(name for name in mentioned(element) if name in then)
        if any(then[name] != name for name in used):
            return ()
        try:
            parts.append(msgspec.structs.replace(index_part(f"({element})", alias), columns=used))
        except SqlSyntaxError:
            return ()
    return tuple(parts)


def _derived(table: TableThen, index: Index, key: tuple[KeyPart, ...], cause: Probe) -> Probe:
    columns = [name for part in key for name in part.columns]
    probe = unique(
        f"{cause.title}: {'PRIMARY KEY' if index.primary else 'unique'} {index.constraint or index.name}",
        key,
        cause.source,
        table.here.table.name,
        where=index.predicate,
        nulls_not_distinct=index.nulls_not_distinct,
        compared=table.now(columns),
        derived=True,
    )
    fate = f"the revision fails: {index.constraint or index.name} forbids them"
    # They differ now, or the key would not exist.
    refused = Outcome("refused", fate)
    return msgspec.structs.replace(probe, outcomes={"collision": refused})
