"""Assertions about relationships, as the configured mappers have them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import inspect
from sqlalchemy.orm import Mapper, QueryableAttribute, RelationshipProperty

from truing.testing.place import Unasked, differing, lines


def assert_relationship(
    attribute: QueryableAttribute[Any],
    *,
    target: type[Any] | str | Unasked = ...,
    back_populates: str | Unasked | None = ...,
    uselist: bool | Unasked = ...,
    secondary: str | Unasked | None = ...,
    cascade: str | Unasked = ...,
    passive_deletes: bool | str | Unasked = ...,
    viewonly: bool | Unasked = ...,
) -> None:
    """Assert that an attribute is a relationship, and what it is.

    Args:
        attribute: the class's attribute, ``Profile.tenant``.
        target: the class that it leads to, or its name.
        back_populates: the attribute on the other side that SQLAlchemy keeps in step with it (also where it comes from
            ``backref``); None for none.
        uselist: whether it holds a list.
        secondary: the table between the two, as SQLAlchemy calls it (``schema.table``); None for none.
        cascade: its cascades, ``all`` and their order being a matter of spelling.
        passive_deletes: as in ``relationship()``.
        viewonly: as in ``relationship()``.

    Raises:
        AssertionError: it is not so; the message says which relationships there are.
    """
    __tracebackhide__ = True
    mapper: Mapper[Any] = inspect(attribute.class_)
    mapper.registry.configure(cascade=True)
    found = mapper.relationships.get(attribute.key)
    label = f"{attribute.class_.__name__}.{attribute.key}"
    every = [f"{each.key}: {_told(each)}" for each in mapper.relationships]
    if found is None:
        title = f"Relationships of {attribute.class_.__name__}"
        raise AssertionError(lines(f"{label} is no relationship.", title, every))
    mirrors = sorted(each.key for each in found._reverse_property)  # noqa: SLF001 - the only way to what is in step
    asked: dict[str, Any] = {
        "target": target if isinstance(target, str) or target is ... else target.__name__,
        "back_populates": back_populates,
        "uselist": uselist,
        "secondary": secondary,
        "cascade": cascade if cascade is ... else _cascades(cascade),
        "passive_deletes": passive_deletes,
        "viewonly": viewonly,
    }
    wrong = differing(
        asked,
        {
            "target": found.mapper.class_.__name__,
            "back_populates": back_populates if back_populates in mirrors else next(iter(mirrors), None),
            "uselist": bool(found.uselist),
            "secondary": _table(found),
            "cascade": ", ".join(sorted(found.cascade)),
            "passive_deletes": found.passive_deletes,
            "viewonly": bool(found.viewonly),
        },
    )
    if isinstance(target, type) and found.mapper.class_ is not target and not wrong:
        wrong = [f"target: {found.mapper.class_.__module__}, expected the class of {target.__module__}"]
    if wrong:
        raise AssertionError(lines(f"{label} is not as expected.", "It differs in", wrong))


def _told(relationship: RelationshipProperty[Any]) -> str:
    many = "list of " if relationship.uselist else ""
    return f"{many}{relationship.mapper.class_.__name__}"


def _table(relationship: RelationshipProperty[Any]) -> str | None:
    between = relationship.secondary
    return None if between is None else str(getattr(between, "fullname", between))


def _cascades(text: str) -> str:
    from sqlalchemy.orm.util import CascadeOptions  # noqa: PLC0415 - only where somebody asks

    return ", ".join(sorted(CascadeOptions(text)))
