"""Which objects of two databases are the same under another name? Those that went and those that came go in, pairs out.

What has a definition of its own (a constraint, an index, a policy, a view ...) is known by it. A table or column is
known by what it is like, and only when no other that went or came is like it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable
from collections.abc import Sequence as Listing
from typing import Any

import msgspec

from truing.catalog.model import (
    CatalogValue,
    Column,
    Constraint,
    Index,
    Policy,
    Statistic,
    Table,
    Trigger,
    UserType,
    View,
)
from truing.names import ident


def _nameless(value: CatalogValue) -> Hashable | None:
    """What a renamed object keeps, where renaming is looked for."""
    kept: Hashable | None = None
    match value:
        case Constraint():
            kept = value.kind, value.definition
        case Index():
            # The index of a constraint goes with it, and is no index that somebody has renamed.
            kept = definition(value), value.primary, value.constraint is None
        case Policy():
            kept = value.command, value.permissive, value.roles, value.using, value.check
        case Trigger():
            kept = value.definition.replace(f"TRIGGER {ident(value.name)} ", "TRIGGER ", 1)
        case Statistic():
            kept = value.definition.replace(f"STATISTICS {value.name} ", "STATISTICS ", 1)
        case UserType() if value.labels:
            kept = value.labels
        case View():
            kept = value.name.schema, value.materialized, value.definition
    return kept


def _lone(value: CatalogValue) -> Hashable | None:
    """What a renamed object keeps that is told from its likes only when it is the single one that went or came."""
    if isinstance(value, Table) and value.columns:
        columns = frozenset((each.name, each.type, each.not_null) for each in value.columns)
        return value.name.schema, value.kind, value.partition_bound, columns
    if isinstance(value, Column):
        return "column", value.type, value.not_null, value.default, value.identity, value.generated, value.expression
    return None


def under_one_name(one: CatalogValue, other: CatalogValue) -> tuple[CatalogValue, CatalogValue]:
    """Let the definitions in a renamed table call it by one name, so that the renaming is said once."""
    if not (isinstance(one, Table) and isinstance(other, Table)):
        return one, other
    name = min(one.name, other.name)

    def named(table: Table) -> Table:
        parts: dict[str, tuple[Any, ...]] = {"indexes": table.indexes, "triggers": table.triggers}
        changed = {
            part: tuple(
                msgspec.structs.replace(
                    each, definition=each.definition.replace(f" ON {table.name} ", f" ON {name} ", 1)
                )
                for each in values
            )
            for part, values in parts.items()
        }
        return msgspec.structs.replace(table, **changed)

    return named(one), named(other)


def printed_name(value: Any) -> str:
    """The name of an object as text."""
    return str(value.name)


def definition(value: CatalogValue) -> str | None:
    """The definition, without the name where it is an index that may have been renamed."""
    text: str | None = getattr(value, "definition", None)
    if isinstance(value, Index) and text is not None:
        return text.replace(f"INDEX {ident(value.name)} ON", "INDEX ON", 1)
    return text


def renamed(gone: Listing[CatalogValue], new: Listing[CatalogValue]) -> list[tuple[CatalogValue, CatalogValue]]:
    """Pair objects that only differ in their name; twins are paired in the order of their names."""
    ours, theirs = (_by(_nameless, values) for values in (gone, new))
    pairs = [
        pair
        for what in ours.keys() & theirs.keys()
        if what is not None
        for pair in zip(*(sorted(side[what], key=_name) for side in (ours, theirs)), strict=False)
    ]
    columns = all(isinstance(each, Column) for each in (*gone, *new))
    if not columns or len(gone) == len(new) == 1:
        ours, theirs = (_by(_lone, values) for values in (gone, new))
        pairs += [
            (ours[what][0], theirs[what][0])
            for what in ours.keys() & theirs.keys()
            if what is not None and len(ours[what]) == len(theirs[what]) == 1
        ]
    return pairs


def _by(key: Callable[[CatalogValue], Hashable], values: Iterable[CatalogValue]) -> dict[Hashable, list[CatalogValue]]:
    groups: defaultdict[Hashable, list[CatalogValue]] = defaultdict(list)
    for value in values:
        groups[key(value)].append(value)
    return groups


def _name(value: Any) -> Any:
    return value.name


def said_by_constraint(a: CatalogValue, b: CatalogValue) -> bool:
    """Tell whether two indexes differ in what the definitions of their constraints say as well."""
    if not isinstance(a, Index) or not isinstance(b, Index):
        return False
    key = [(each.columns, each.include, each.nulls_not_distinct) for each in (a, b)]
    return bool(a.constraint and b.constraint) and key[0] != key[1]
