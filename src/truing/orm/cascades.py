"""What does the session do about the children of a deleted parent that the database, left alone, does not?

A relationship to the children goes in, with the database's own cascades around it; every gap between the two comes out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
from sqlalchemy.orm import Mapper

from truing.orm.context import Context
from truing.orm.subjects import MappedRelationship, MappedTable


class Gap(msgspec.Struct, frozen=True):
    """Something that only the session does.

    Attributes:
        told: what the database does instead, as the end of a sentence about it.
        refused: whether it refuses the delete, rather than leaving something behind.
        reported: whether a rule says it of a relationship of the children already.
    """

    told: str
    refused: bool = False
    reported: bool = False


def gaps(context: Context, relationship: MappedRelationship) -> Iterator[Gap]:
    """Compare what becomes of children that the session deletes with what the database makes of them by itself.

    Args:
        context: with the database's foreign keys.
        relationship: from the parent to the children, over a foreign key that is ON DELETE CASCADE.
    """
    return _below(context, relationship, _Way(root=relationship.referenced, seen={relationship}))


class _Way(msgspec.Struct):
    """From which table the cascades begin, and along which relationships they were followed."""

    root: MappedTable | None
    seen: set[MappedRelationship]

    def goes_as_well(self, context: Context, table: MappedTable | None) -> bool:
        """Tell whether the rows of a table go by a cascade of their own, before anything is checked."""
        if self.root is None or table is None:
            return False
        reached, left = {self.root.name}, [self.root.name]
        while left:
            new = context.cascading.get(left.pop(), frozenset()) - reached
            reached |= new
            left += new
        return table.name in reached


def _below(context: Context, relationship: MappedRelationship, way: _Way) -> Iterator[Gap]:
    """Look at the children, and along what they own; at each relationship once, however many ways lead there."""
    child = relationship.relationship.mapper
    above = list(child.iterate_to_root())
    base = next((each for each in above if each.concrete), above[-1])
    # A concrete class shares no row with the one that it inherits from.
    below = [each for each in child.self_and_descendants if each is child or not each.concrete]
    classes = dict.fromkeys((*above[: above.index(base) + 1], *below))
    yield from _rows(context, relationship, base, classes)
    for each in context.relationships_of[child.base_mapper]:
        if each.relationship.parent in classes and each not in way.seen:
            way.seen.add(each)
            yield from _along(context, each, way)


def _rows(
    context: Context, relationship: MappedRelationship, base: Mapper[Any], classes: Iterable[Mapper[Any]]
) -> Iterator[Gap]:
    """A row of joined-table inheritance is several, and a cascade begins at one of them."""
    first, own = relationship.referring, context.tables.get(base.local_table)  # type: ignore[call-overload]
    if first is None or first is not own:
        where = first.name.sql if first else "one of their tables"
        yield Gap(f"deletes their rows in {where} and leaves those in {own.name.sql if own else 'others'}")
        return
    for table in dict.fromkeys(each.local_table for each in classes if each.local_table is not base.local_table):
        mapped = context.tables.get(table)  # type: ignore[call-overload]
        live = mapped.live if mapped else None
        primary = {str(column.name) for column in table.primary_key}
        keys = [key for key in live.foreign_keys if set(key.columns) == primary] if live else []
        if not any(key.on_delete == "CASCADE" for key in keys):
            names = ", ".join(key.name for key in keys)
            yield Gap(f"refuses ({names} is not ON DELETE CASCADE)" if keys else f"leaves {table}", bool(keys))


def _along(context: Context, one: MappedRelationship, way: _Way) -> Iterator[Gap]:
    """Follow a relationship of the deleted children."""
    key, action = one.key, one.key.on_delete if one.key else None
    deletes = one.deletes or any("delete" in twin.cascade for twin in one.twins)
    if not one.is_one_to_many and not one.is_many_to_many:
        if one.deletes:
            yield Gap(f"leaves {one.label}, which only the session deletes")
    elif action in ("NO ACTION", "RESTRICT") and key is not None:
        # What the session refuses as well is no difference, nor are rows that are gone when the key is checked.
        if way.goes_as_well(context, one.referring):
            return
        if one.passive != "all" and (deletes or one.is_many_to_many or not context.refuses_null(one)):
            yield Gap(f"refuses where there are {one.label} ({key.name} is ON DELETE {action})", refused=True)
    elif one.is_many_to_many or deletes:
        if action != "CASCADE":
            yield Gap(f"leaves {one.label}", reported=key is not None)
        elif one.is_one_to_many:
            yield from _below(context, one, way)
    elif not one.passive and action != "SET NULL":
        yield Gap(f"does not empty the key of {one.label}", reported=True)
