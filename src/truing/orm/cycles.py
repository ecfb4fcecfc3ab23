"""Which foreign keys form circles that nothing breaks? Foreign keys in; the keys of each circle out, in its order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from truing.names import QualifiedName
from truing.orm.live import Types, is_not_null
from truing.orm.subjects import LiveForeignKey


def required_cycles(types: Types, keys: Iterable[LiveForeignKey]) -> tuple[tuple[LiveForeignKey, ...], ...]:
    """Find circles of NOT NULL foreign keys that are checked at once: no first row can be inserted.

    Args:
        types: the types of the database.
        keys: all foreign keys.
    """
    return _circles(each for each in keys if _required(types, each) and not each.key.deferrable and each.key.enforced)


def flush_cycles(types: Types, keys: Iterable[LiveForeignKey]) -> tuple[tuple[LiveForeignKey, ...], ...]:
    """Find circles of relationships none of which is written after the rows (``post_update``).

    Args:
        types: the types of the database.
        keys: all foreign keys.
    """
    along = [each for each in keys if not all(one.post_update for one in each.relationships)]
    return tuple(circle for circle in _circles(along) if not all(_required(types, each) for each in circle))


def _required(types: Types, key: LiveForeignKey) -> bool:
    columns = [column for name in key.key.columns if (column := key.table.column(name)) is not None]
    return all(is_not_null(types, key.table, column) for column in columns)


def _circles(keys: Iterable[LiveForeignKey]) -> tuple[tuple[LiveForeignKey, ...], ...]:
    edges: dict[QualifiedName, dict[QualifiedName, LiveForeignKey]] = {}
    for each in keys:
        target = each.key.references
        # A row may refer to itself: the key is checked when the statement has ended.
        if target and target != each.table.name:
            edges.setdefault(each.table.name, {}).setdefault(target, each)
    _cut_ends(edges)
    return tuple(
        tuple(edges[one][other] for one, other in zip(cycle, (*cycle[1:], cycle[0]), strict=True))
        for cycle in _cycles(edges)
    )


def _cut_ends(edges: dict[QualifiedName, dict[QualifiedName, LiveForeignKey]]) -> None:
    """Take out the tables that no circle goes through because it would end or begin there; of most nothing is left."""
    while True:
        entered = {target for targets in edges.values() for target in targets}
        ends = [name for name, targets in edges.items() if name not in entered or edges.keys().isdisjoint(targets)]
        for name in ends:
            del edges[name]
        if not ends:
            return


def _cycles(edges: dict[QualifiedName, dict[QualifiedName, LiveForeignKey]]) -> Iterator[tuple[QualifiedName, ...]]:
    """Give a shortest cycle through each table that is in one; every cycle once, from its first table by name."""
    seen: set[frozenset[QualifiedName]] = set()
    for start in sorted(edges):
        paths: list[tuple[QualifiedName, ...]] = [(start,)]
        visited = {start}
        while paths:
            path = paths.pop(0)
            following = sorted(edges.get(path[-1], ()))
            if start in following:
                if frozenset(path) not in seen:
                    seen.add(frozenset(path))
                    yield path
                break
            paths += [(*path, each) for each in following if each not in visited]
            visited.update(following)
