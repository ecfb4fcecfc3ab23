"""What does the diagram show? Boxes with their columns, and an arrow for each foreign key, from a snapshot.

:mod:`truing.describe.mermaid` and :mod:`truing.describe.svg` draw it.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import msgspec

from truing.catalog.model import Constraint, Table
from truing.changes import Action
from truing.describe.choose import Chosen
from truing.names import QualifiedName

Detail: TypeAlias = Literal["all", "keys"]

MANY: Final = 15
"""With more tables than this, a diagram shows only the columns of keys unless somebody asks for all."""

_SHORT: Final = {
    "timestamp with time zone": "timestamptz",
    "timestamp without time zone": "timestamp",
    "time with time zone": "timetz",
    "time without time zone": "time",
    "character varying": "varchar",
    "double precision": "float8",
}


class Line(msgspec.Struct, frozen=True):
    """A column in a box.

    Attributes:
        name: its name.
        type: its type, shortened.
        keys: of ``PK``, ``FK`` and ``UK`` those that it is part of.
        optional: whether it can be NULL.
    """

    name: str
    type: str
    keys: tuple[str, ...] = ()
    optional: bool = False


class Box(msgspec.Struct, frozen=True):
    """A table.

    Attributes:
        name: of the table.
        title: what to call it: without its schema where all are of one.
        lines: its columns; none for one that is only pointed at.
        hidden: how many more columns it has.
        outside: whether it was not chosen.
    """

    name: QualifiedName
    title: str
    lines: tuple[Line, ...] = ()
    hidden: int = 0
    outside: bool = False


class Arrow(msgspec.Struct, frozen=True):
    """A foreign key.

    Attributes:
        child: the table that has it.
        parent: the table that it points at.
        columns: of the child.
        targets: of the parent, in the same order.
        name: of the constraint.
        on_delete: what it does when the parent row goes.
        optional: whether a row may be without a parent.
        single: whether a parent has one such child at most.
    """

    child: QualifiedName
    parent: QualifiedName
    columns: tuple[str, ...]
    targets: tuple[str, ...]
    name: str
    on_delete: Action = "NO ACTION"
    optional: bool = False
    single: bool = False


class Graph(msgspec.Struct, frozen=True):
    """All of it, sorted by name."""

    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]


def graph(chosen: Chosen, detail: Detail | None = None) -> Graph:
    """Make the diagram of the chosen tables.

    Args:
        chosen: what is on the page.
        detail: which columns; by how many tables there are, when None.
    """
    tables = chosen.shown.tables
    detail = detail or ("all" if len(tables) <= MANY else "keys")
    arrows = tuple(_arrow(table, key) for table in tables for key in table.foreign_keys if key.references)
    inside = {each.name for each in tables}
    outside = {arrow.parent for arrow in arrows} - inside
    one_schema = len({each.schema for each in inside | outside}) == 1
    boxes = [_box(table, detail, named(table.name, one_schema=one_schema)) for table in tables]
    boxes += [Box(name, named(name, one_schema=one_schema), outside=True) for name in outside]
    return Graph(tuple(sorted(boxes, key=lambda box: box.name)), arrows)


def named(name: QualifiedName, *, one_schema: bool) -> str:
    """Call a table as the catalog does, with its schema where there are several."""
    return name.name if one_schema else f"{name.schema}.{name.name}"


def _box(table: Table, detail: Detail, title: str) -> Box:
    keys = {column.name: _keys(table, column.name) for column in table.columns}
    lines = tuple(
        Line(column.name, short_type(column.type), keys[column.name], not column.not_null)
        for column in table.columns
        if detail == "all" or keys[column.name]
    )
    return Box(table.name, title, lines, hidden=len(table.columns) - len(lines))


def _keys(table: Table, column: str) -> tuple[str, ...]:
    words = {"primary-key": "PK", "foreign-key": "FK", "unique": "UK"}
    found = {words.get(each.kind, "") for each in table.constraints if column in each.columns}
    found |= {"UK" for each in table.indexes if each.unique and not each.primary and each.columns == (column,)}
    return tuple(each for each in ("PK", "FK", "UK") if each in found)


def _arrow(table: Table, key: Constraint) -> Arrow:
    columns = [table.column(name) for name in key.columns]
    unique = [set(each.columns) for each in table.indexes if each.unique and each.valid and not each.predicate]
    return Arrow(
        child=table.name,
        parent=key.references or table.name,
        columns=key.columns,
        targets=key.referenced_columns,
        name=key.name,
        on_delete=key.on_delete,
        optional=any(column is None or not column.not_null for column in columns),
        single=any(names <= set(key.columns) for names in unique),
    )


def short_type(printed: str) -> str:
    """Write a type as people say it: ``timestamptz``, ``varchar(20)``."""
    for long, short in _SHORT.items():
        head, found, tail = printed.partition(long)
        if found and not head:
            return short + tail
    # timestamp(3) with time zone has its precision in the middle.
    if printed.startswith(("timestamp(", "time(")):
        return printed.removesuffix(" without time zone").replace(" with time zone", " tz")
    return printed
