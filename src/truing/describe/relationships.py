"""What do the mappers say about the foreign keys? Facts about each relationship in, a table for the page out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from truing.describe.naming import Names, in_brackets
from truing.describe.texts import code, table
from truing.names import QualifiedName

_HEAD: Final = (
    *("foreign key", "on delete", "relationship", "direction", "cascade"),
    *("passive deletes", "agree", "what happens"),
)


class Relationship(msgspec.Struct, frozen=True, kw_only=True):
    """A relationship of the mappers beside the foreign key that it goes along; a key without one has no class.

    Attributes:
        class_name: the class that declares it.
        attribute: its name there.
        target: the class that it leads to.
        direction: ``one to many``, ``many to one`` or ``many to many``.
        table: the table with the foreign key.
        columns: of the foreign key.
        references: the table that it points at.
        key: the constraint in the database; None where there is none.
        on_delete: what that does.
        cascade: the ORM's cascades.
        passive_deletes: as SQLAlchemy has it.
        agrees: whether session and database end in the same.
        why: what they do.
    """

    class_name: str = ""
    attribute: str = ""
    target: str = ""
    direction: str = ""
    table: QualifiedName | None = None
    columns: tuple[str, ...] = ()
    references: QualifiedName | None = None
    key: str | None = None
    on_delete: str = ""
    cascade: str = ""
    passive_deletes: str = ""
    agrees: bool = True
    why: str = ""


def section(relationships: tuple[Relationship, ...] | None, names: Names) -> Iterator[str]:
    """Write the section; nothing where nobody asked for it."""
    if relationships is None:
        return
    mapped = [each for each in relationships if each.class_name]
    apart = [each for each in mapped if not each.agrees]
    yield (
        "Every relationship that the session acts on (none that is `viewonly`), beside the foreign key that it goes"
        " along: does deleting through the session end as deleting through SQL?"
    )
    if mapped:
        yield "All of them agree." if not apart else f"**{len(apart)} of {len(mapped)} do not agree.**"
        # Both directions of a key stand together.
        ordered = sorted(mapped, key=_place)
        yield table(
            _HEAD,
            (_row(each, names) for each in ordered),
        )
    else:
        yield "The models have no relationships."
    alone = [each for each in relationships if not each.class_name]
    if alone:
        yield "Foreign keys that no relationship goes along:"
        yield "\n".join(
            f"- {_key(each, names)} references {names.link(each.references)}, {each.on_delete}" for each in alone
        )


def _place(each: Relationship) -> tuple[bool, QualifiedName, str, str, str, str]:
    where = each.table or QualifiedName("", "")
    return each.key is None, where, each.key or "", each.direction, each.class_name, each.attribute


def _row(each: Relationship, names: Names) -> tuple[str, ...]:
    return (
        _key(each, names),
        each.on_delete,
        f"{code(f'{each.class_name}.{each.attribute}')} → {code(each.target)}",
        each.direction,
        code(each.cascade) if each.cascade else "",
        code(each.passive_deletes),
        "yes" if each.agrees else "**no**",
        each.why,
    )


def _key(each: Relationship, names: Names) -> str:
    columns = in_brackets(each.columns)
    where = f"{names.link(each.table)} {columns}" if each.table else columns
    return f"{where}: {code(each.key)}" if each.key else f"{where}: **none**"
