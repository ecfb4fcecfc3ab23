"""Does deleting through the session end as deleting through SQL does? Every relationship in, a verdict for each out.

The rules say what is wrong with a relationship; this says of all of them what happens, so that it can be written down.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, TypeAlias

import msgspec

from truing.catalog.model import Constraint
from truing.names import QualifiedName
from truing.orm.context import Context
from truing.orm.subjects import MappedRelationship

Outcome: TypeAlias = str
"""What becomes of the rows that refer to a deleted one; the keys of :data:`_WORDS`."""

_WORDS: Final = {
    "deleted": ("deletes the rows", "delete the rows"),
    "emptied": ("sets their key to NULL", "set their key to NULL"),
    "defaulted": ("sets their key to its default", "set their key to its default"),
    "refused": ("refuses", "refuse"),
    "left": ("leaves the rows as they are", "leave the rows as they are"),
}
_OF_ACTION: Final = {
    "CASCADE": "deleted",
    "SET NULL": "emptied",
    "SET DEFAULT": "defaulted",
    "NO ACTION": "refused",
    "RESTRICT": "refused",
}

_ALL: Final = frozenset({"save-update", "merge", "refresh-expire", "expunge", "delete"})
"""What ``cascade="all"`` stands for."""


class Agreement(msgspec.Struct, frozen=True, kw_only=True):
    """A relationship beside the foreign key that it goes along.

    Attributes:
        class_name: the class that declares it.
        attribute: its name there.
        target: the class that it leads to.
        direction: ``one to many``, ``many to one`` or ``many to many``.
        table: the table with the foreign key; None where the columns are of several.
        columns: of the foreign key.
        references: the table that it points at.
        key: the constraint in the database; None where there is none.
        on_delete: what that does.
        cascade: the ORM's cascades.
        passive_deletes: as SQLAlchemy has it: ``False``, ``True`` or ``all``.
        agrees: whether session and database end in the same.
        why: what they do.
    """

    class_name: str
    attribute: str
    target: str
    direction: str
    table: QualifiedName | None
    columns: tuple[str, ...]
    references: QualifiedName | None
    key: str | None
    on_delete: str
    cascade: str
    passive_deletes: str
    agrees: bool
    why: str


def agreements(context: Context) -> tuple[Agreement, ...]:
    """Judge every relationship that the unit of work acts on, in the order of classes and attributes."""
    found = (_agreement(each, context) for each in context.relationships)
    return tuple(sorted(found, key=lambda each: (each.class_name, each.attribute)))


def unmapped_keys(context: Context) -> Iterator[tuple[QualifiedName, Constraint]]:
    """Give the foreign keys of mapped tables that no relationship goes along."""
    along = {id(key) for each in context.relationships for key in (each.key, context.key_of(each.secondary_pairs))}
    for foreign in context.foreign_keys:
        if id(foreign.key) not in along:
            yield foreign.owner.name, foreign.key


def _agreement(one: MappedRelationship, context: Context) -> Agreement:
    agrees, why = _verdict(one, context)
    return Agreement(
        class_name=one.parent,
        attribute=one.relationship.key,
        target=one.target,
        direction=one.relationship.direction.name.lower().replace("to", " to "),
        table=one.referring.name if one.referring else None,
        columns=one.referring_columns,
        references=one.referenced.name if one.referenced else None,
        key=one.key.name if one.key else None,
        on_delete=one.key.on_delete if one.key else "",
        cascade=_cascade(one),
        passive_deletes=str(one.passive),
        agrees=agrees,
        why=why,
    )


def _cascade(one: MappedRelationship) -> str:
    """Write the cascades as people write them."""
    found = set(one.relationship.cascade)
    if found >= _ALL:
        found = found - _ALL | {"all"}
    return ", ".join(sorted(found))


def _verdict(one: MappedRelationship, context: Context) -> tuple[bool, str]:
    if not one.is_one_to_many and not one.is_many_to_many:
        if one.deletes:
            return False, f"deleting {one.a_parent} deletes its {one.target} in the session, and in the database not"
        return True, f"deleting {one.a_parent} leaves its {one.target} alone"
    database = of_database(one, context)
    loaded, unloaded = of_session(one, context, database)
    if loaded == unloaded == database:
        end = ", after loading all of them" if loaded == "deleted" and not one.passive else ""
        return True, f"both {_WORDS[database][1]}{end}"
    session = _WORDS[loaded][0]
    if loaded != unloaded:
        session += " that are loaded" if loaded == "deleted" else " (of loaded rows)"
    return False, f"the session {session}, the database {_WORDS[database][0]}"


def of_database(one: MappedRelationship, context: Context) -> Outcome:
    """Say what SQL's DELETE of the one side does to the many."""
    if one.key is None or not one.key.enforced or one.key.triggers_disabled:
        return "left"
    outcome = _OF_ACTION[one.key.on_delete]
    return "refused" if outcome == "emptied" and context.refuses_null(one) else outcome


def of_session(one: MappedRelationship, context: Context, database: Outcome) -> tuple[Outcome, Outcome]:
    """Say what ``session.delete()`` does to rows that are loaded, and to the others."""
    if one.passive == "all":
        return database, database
    if one.cannot_be_loaded:
        return "refused", "refused"
    if one.is_many_to_many or one.deletes or any("delete" in twin.cascade for twin in one.twins):
        loaded = "deleted"
    else:
        loaded = "refused" if context.refuses_null(one) else "emptied"
    return loaded, database if one.passive else loaded
