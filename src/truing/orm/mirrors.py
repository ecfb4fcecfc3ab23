"""Which relationships are each other's other side, and do not say so? Relationships in; pairs of them out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import combinations
from typing import Any

from sqlalchemy.orm import RelationshipProperty

from truing.orm.subjects import MappedRelationship


def mirrors(relationships: Iterable[MappedRelationship]) -> Iterator[tuple[MappedRelationship, MappedRelationship]]:
    """Find pairs over the same columns, one from A to B and one from B to A, that do not know of each other.

    Pairs that their author has called overlapping are meant as they are.
    """
    groups: defaultdict[frozenset[tuple[int, int]], list[MappedRelationship]] = defaultdict(list)
    for each in relationships:
        every = (*each.pairs, *each.secondary_pairs)
        groups[frozenset((id(to), id(by)) for to, by in every)].append(each)
    for group in groups.values():
        for one, other in combinations(group, 2):
            if _mirrored(one.relationship, other.relationship):
                yield one, other


def _mirrored(one: RelationshipProperty[Any], other: RelationshipProperty[Any]) -> bool:
    same_classes = one.mapper is other.parent and other.mapper is one.parent
    # A self-referential relationship has the same classes on both sides; the direction tells the sides apart.
    opposite = one.direction is not other.direction or one.parent is not other.parent or one.secondary is not None
    linked = bool(one._reverse_property or other._reverse_property)  # noqa: SLF001 - there is no public way to ask
    overlapping = other.key in one._overlaps or one.key in other._overlaps  # noqa: SLF001
    return same_classes and opposite and not linked and not overlapping
