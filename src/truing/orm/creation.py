"""Could PostgreSQL make a table of a model? A table of the models in; what stands against it out. Nothing is run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from sqlalchemy import Index, PrimaryKeyConstraint, Table, UniqueConstraint
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import ExcludeConstraint
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.schema import CreateIndex, CreateTable
from sqlalchemy.types import UUID, Boolean, Date, DateTime, Integer, Numeric, String, Uuid

from truing.catalog.model import Snapshot

# Types without a default operator class for GIN; the extension btree_gin brings those.
_NO_GIN = (String, Integer, Numeric, Boolean, Date, DateTime, UUID, Uuid)


def problems(table: Table, snapshot: Snapshot, used: Counter[tuple[str | None, str]]) -> Iterator[tuple[str, str]]:
    """Give the name of each thing that cannot be created (empty for the table), and why.

    Args:
        table: of the models.
        snapshot: the database, for its extensions.
        used: how often each name of a table, an index or a key is used, by schema.
    """
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    try:
        str(CreateTable(table).compile(dialect=dialect))
    except (SQLAlchemyError, TypeError, ValueError, AttributeError) as error:
        yield "", _one_line(error)
        return
    for index in sorted(table.indexes, key=lambda each: str(each.name)):
        name = str(index.name or "an index without a name")
        if _elsewhere(index):
            continue
        if not index.expressions:
            yield name, "it is an index without columns"
            continue
        try:
            str(CreateIndex(index).compile(dialect=dialect))
        except (SQLAlchemyError, TypeError, ValueError, AttributeError) as error:
            yield name, _one_line(error)
            continue
        if (refused := _without_operators(index, snapshot)) is not None:
            yield name, f"{refused} has no operator class for GIN"
    yield from _twice(table, used)
    yield from _loose_keys(table)


def _elsewhere(index: Index) -> bool:
    """Tell whether ``ddl_if`` may keep an index from PostgreSQL."""
    condition = index._ddl_if  # noqa: SLF001 - there is no public way to ask
    if condition is None:
        return False
    named = (condition.dialect,) if isinstance(condition.dialect, str) else tuple(condition.dialect or ())
    return "postgresql" not in named or condition.callable_ is not None


def _without_operators(index: Index, snapshot: Snapshot) -> str | None:
    options = index.dialect_options["postgresql"]
    if str(options["using"]).lower() != "gin" or any(each.name == "btree_gin" for each in snapshot.extensions):
        return None
    for column in index.columns:
        if index.expressions and len(index.expressions) == 1 and index.expressions[0] is not column:
            # An expression has a type of its own, such as tsvector.
            continue
        if isinstance(column.type, _NO_GIN) and not options["ops"]:
            return f"{column.name} ({column.type})"
    return None


def key_names(table: Table) -> list[str]:
    """Give the names of the indexes that a table gets: its own, and those of its keys."""
    keys = (UniqueConstraint, PrimaryKeyConstraint, ExcludeConstraint)
    named = [*table.indexes, *(each for each in table.constraints if isinstance(each, keys))]
    return [str(each.name) for each in named if isinstance(each.name, str)]


def _twice(table: Table, used: Counter[tuple[str | None, str]]) -> Iterator[tuple[str, str]]:
    names = Counter(key_names(table))
    for name in sorted(names):
        if used[table.schema, name] > 1 or names[name] > 1:
            yield name, "two tables, indexes or keys of one schema cannot have the same name"
    # What belongs to a type is made where the type is not PostgreSQL's own.
    made = [each for each in table.constraints if not each._type_bound and each._ddl_if is None]  # noqa: SLF001
    constraints = Counter(str(each.name) for each in made if isinstance(each.name, str))
    for name in sorted(constraints):
        if constraints[name] > 1 and name not in names:
            yield name, "two constraints of one table cannot have the same name"


def _loose_keys(table: Table) -> Iterator[tuple[str, str]]:
    for key in sorted(table.foreign_key_constraints, key=lambda each: str(each.name)):
        try:
            parent, targets = key.referred_table, {element.column.name for element in key.elements}
        except SQLAlchemyError:
            # A key to a table that the models do not have; PostgreSQL may know it.
            continue
        unique = [{column.name for column in parent.primary_key}]
        unique += [{c.name for c in each.columns} for each in parent.constraints if isinstance(each, UniqueConstraint)]
        unique += [
            {c.name for c in each.columns}
            for each in parent.indexes
            if each.unique and each.dialect_options["postgresql"]["where"] is None
        ]
        if targets not in unique:
            columns = ", ".join(sorted(map(str, targets)))
            yield str(key.name or ", ".join(key.column_keys)), f"{parent.fullname} ({columns}) is not unique"


def _one_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
