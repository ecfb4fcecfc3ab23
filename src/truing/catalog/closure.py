"""What is known while a column's dependents are put together? Rows of queries, and how a dependent is made of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from truing.catalog.dependent import Dependent, DependentKind
from truing.catalog.model import Column, Function, Publication, Table, View
from truing.catalog.read import Pieces
from truing.names import QualifiedName


class Relative(msgspec.Struct, frozen=True):
    """A table that has the column as well, by inheritance."""

    kind: Literal["parent-table", "child-table"]
    name: QualifiedName


class Target(msgspec.Struct, frozen=True):
    """The row of column.sql."""

    number: int
    relkind: str
    default_storage: str
    partition_key: bool
    relatives: tuple[Relative, ...]
    labels: tuple[tuple[str, str], ...]


class Way(msgspec.Struct, frozen=True):
    """One row of dependents.sql."""

    object: int
    via: int
    by_type: bool
    owner: int
    description: str
    name: str | None = None
    schema: str | None = None
    column_name: str | None = None
    relkind: str | None = None
    class_name: str = msgspec.field(name="class", default="")


class TextFunction(msgspec.Struct, frozen=True):
    """One row of text_functions.sql."""

    source: str
    bound: bool
    description: str


class Place(msgspec.Struct, frozen=True):
    """Where an object is on the way from the column: what every dependent of it shares."""

    description: str
    depth: int = 0
    via: tuple[QualifiedName, ...] = ()


class Closure(msgspec.Struct, frozen=True):
    """All that is known when the dependents are put together."""

    table_oid: int
    table: Table
    column: Column
    target: Target
    pieces: Pieces
    functions: Mapping[int, Function]
    publications: tuple[Publication, ...]

    def relation(self, oid: int) -> Table | View | None:
        """Find a table or view by its oid."""
        return self.pieces.tables.get(oid) or self.pieces.views.get(oid)


def make(
    kind: DependentKind,
    name: str | None,
    place: Place,
    *,
    table: QualifiedName | None = None,
    schema: str | None = None,
    **fields: Any,
) -> Dependent:
    """Make a dependent; its schema is its table's unless said otherwise."""
    return Dependent(
        kind=kind,
        name=name or "",
        table=table,
        schema=schema if schema is not None else table.schema if table is not None else None,
        description=place.description,
        depth=place.depth,
        via=place.via,
        **fields,
    )


def make_function(kind: DependentKind, function: Function, place: Place) -> Dependent:
    """Make a dependent of a function."""
    return make(
        kind,
        function.name.name,
        place,
        schema=function.name.schema,
        definition=function.definition,
        detail=function,
        arguments=function.arguments,
    )


def make_partition_key(closure: Closure, place: Place) -> Dependent:
    """Make the dependent that says that the column is in the partition key."""
    # pg_depend may say it as well; both must be the same value.
    place = msgspec.structs.replace(place, description=f"table {closure.table.name}")
    key = closure.table.partition_key or ""
    return make("partition-key", closure.table.name.name, place, table=closure.table.name, definition=key)
