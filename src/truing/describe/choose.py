"""Which objects are on the page? A snapshot and a person's choice go in; the snapshot of what is shown comes out.

Left out without being asked: Alembic's own table, what truing itself has put there and takes away again, and
partitions, which are listed with their parent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias, TypeVar

import msgspec

from truing.catalog.model import Column, Constraint, Function, Index, Snapshot, Table, Trigger
from truing.catalog.read import OWN_SCHEMA
from truing.describe.mentions import users_of_functions
from truing.names import QualifiedName, is_own

_Part = TypeVar("_Part", Column, Constraint, Index, Trigger)

Wanted: TypeAlias = Callable[[QualifiedName], bool]


class Chosen(msgspec.Struct, frozen=True):
    """What is shown, out of what there is.

    Attributes:
        shown: a snapshot of the chosen objects, partitions left out.
        whole: everything that there is.
        partial: whether somebody chose, so that this is not the whole database.
    """

    shown: Snapshot
    whole: Snapshot
    partial: bool = False


def choose(snapshot: Snapshot, wanted: Wanted | None = None) -> Chosen:
    """Take what a page is about.

    Args:
        snapshot: the database.
        wanted: which tables and views; None for all. Functions, types and sequences come along where these use them.
    """
    whole = _without_ours(snapshot)
    fitting = wanted or (lambda _: True)
    shown = msgspec.structs.replace(
        whole,
        tables=tuple(each for each in whole.tables if fitting(each.name) and each.partition_bound is None),
        views=tuple(each for each in whole.views if fitting(each.name)),
    )
    if wanted is None:
        return Chosen(shown, whole)
    called = users_of_functions(shown)
    found = relations(shown)
    typed = {bare_type(column.type) for each in found.values() for column in each}
    schemas = {name.schema for name in found}
    tables = {each.name for each in shown.tables}
    shown = msgspec.structs.replace(
        shown,
        functions=tuple(each for each in whole.functions if (each.name, is_trigger(each)) in called),
        types=tuple(each for each in whole.types if each.name.sql in typed),
        sequences=tuple(each for each in whole.sequences if each.owned_by and each.owned_by.table in tables),
        schemas=tuple(each for each in whole.schemas if each.name in schemas),
        publications=(),
        others=(),
    )
    return Chosen(shown, whole, partial=True)


def _without_ours(snapshot: Snapshot) -> Snapshot:
    return msgspec.structs.replace(
        snapshot,
        tables=tuple(_settled(table) for table in snapshot.tables if not is_alembics(table)),
        functions=tuple(each for each in snapshot.functions if each.name.schema != OWN_SCHEMA),
    )


def _settled(table: Table) -> Table:
    """Take out what an online operation keeps on a table until it is settled."""

    def theirs(parts: tuple[_Part, ...]) -> tuple[_Part, ...]:
        return tuple(each for each in parts if not is_own(each.name))

    return msgspec.structs.replace(
        table,
        columns=theirs(table.columns),
        constraints=theirs(table.constraints),
        indexes=theirs(table.indexes),
        triggers=theirs(table.triggers),
    )


def is_trigger(function: Function) -> bool:
    """Tell whether only triggers can call it."""
    return function.returns == "trigger"


def relations(snapshot: Snapshot) -> dict[QualifiedName, tuple[Column, ...]]:
    """Give tables and views by their names, with their columns."""
    return {each.name: each.columns for each in snapshot.tables} | {each.name: each.columns for each in snapshot.views}


def is_alembics(table: Table) -> bool:
    """Tell whether Alembic keeps its revisions here; ``env.py`` may give the table any name."""
    return [(each.name, each.type) for each in table.columns] == [("version_num", "character varying(32)")]


def bare_type(printed: str) -> str:
    """Take the array's brackets off a type."""
    return printed.rstrip("[]")


def partitions(snapshot: Snapshot, parent: QualifiedName) -> Iterator[Table]:
    """Give the partitions of a table, and theirs."""
    for each in snapshot.tables:
        if each.partition_bound is not None and parent in each.parents:
            yield each
            yield from partitions(snapshot, each.name)


def referring(snapshot: Snapshot, name: QualifiedName) -> Iterator[tuple[Table, Constraint]]:
    """Give the foreign keys to a table, with the tables that have them; those of partitions are their parent's."""
    for table in snapshot.tables:
        for key in table.foreign_keys:
            if key.references == name and not key.inherited:
                yield table, key
