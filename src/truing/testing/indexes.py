"""Assertions about indexes, and about what they keep unique."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import psycopg

from truing.catalog.model import Index, Table
from truing.names import QualifiedName, ident, idents
from truing.testing import printing
from truing.testing.place import Database, Unasked, differing, lines, opened, several, table_of


def assert_unique(
    database: Database,
    table: str | QualifiedName,
    columns: Sequence[str],
    *,
    name: str | Unasked = ...,
    nulls_not_distinct: bool | Unasked = ...,
    deferrable: bool | Unasked = ...,
) -> None:
    """Assert that no two rows have the same values in these columns: by a constraint, the primary key or an index.

    An index that is partial, invalid or over more columns does not do.

    Args:
        database: a connection.
        table: the table.
        columns: the columns, in any order.
        name: the constraint's or index's name.
        nulls_not_distinct: whether NULLs count as equal.
        deferrable: whether it is checked at the end of a transaction at the earliest.

    Raises:
        AssertionError: it is not so; the message says what is unique.
    """
    __tracebackhide__ = True
    columns = several(columns)
    with opened(database) as connection:
        there = table_of(connection, table)
    every = [each for each in there.indexes if each.unique]
    whole = [each for each in every if each.valid and each.predicate is None]
    found = [each for each in whole if sorted(map(str, each.columns)) == sorted(columns)]
    asked = {"name": name, "nulls_not_distinct": nulls_not_distinct, "deferrable": deferrable}
    _require(there, f"unique ({idents(columns)})", "unique indexes", found, asked, every)


def assert_index(
    database: Database,
    table: str | QualifiedName,
    columns: Sequence[str],
    *,
    name: str | Unasked = ...,
    unique: bool | Unasked = ...,
    method: str | Unasked = ...,
    where: str | Unasked | None = ...,
    include: Sequence[str] | Unasked = ...,
    valid: bool = True,
) -> None:
    """Assert that a table has an index over these columns, in this order.

    Args:
        database: a connection.
        table: the table.
        columns: its columns, or expressions as SQL.
        name: its name.
        unique: UNIQUE.
        method: ``btree``, ``gin`` and so on.
        where: the condition of a partial index as SQL, in any spelling that PostgreSQL prints alike; None for none.
        include: the INCLUDE columns, in any order.
        valid: False for one that a failed CREATE INDEX CONCURRENTLY has left.

    Raises:
        AssertionError: it is not so; the message says which indexes there are.
    """
    __tracebackhide__ = True
    columns = several(columns)
    with opened(database) as connection:
        there = table_of(connection, table)
        elements = _elements(connection, there, columns)
        found = [each for each in there.indexes if _matches(each, elements)]
        if where is not ... and where is not None and found and where not in {each.predicate for each in found}:
            where = printing.index(connection, there.name, ["1"], where)[1]
    asked: dict[str, Any] = {"name": name, "unique": unique, "method": method, "where": where, "valid": valid}
    asked["include"] = include if include is ... else tuple(sorted(include))
    _require(there, f"index ({', '.join(columns)})", "indexes", found, asked, there.indexes)


def _elements(connection: psycopg.Connection[Any], table: Table, columns: Sequence[str]) -> tuple[str, ...]:
    """Return columns as they are, and expressions as PostgreSQL prints them."""
    known = {each.name for each in table.columns} | {text for each in table.indexes for text in each.elements}
    return tuple(
        each if each in known else printing.index(connection, table.name, [each], None)[0][0] for each in columns
    )


def _matches(index: Index, elements: Sequence[str]) -> bool:
    names = zip(index.columns, index.elements, strict=True)
    there = [name if name is not None else _bare(element) for name, element in names]
    return there == [each if each in there else _bare(each) for each in elements]


def _bare(element: str) -> str:
    """Take off the parentheses that an expression has in an index."""
    return element[1:-1] if element.startswith("(") and element.endswith(")") else element


def _require(
    table: Table,
    what: str,
    kind: str,
    found: Sequence[Index],
    asked: Mapping[str, Any],
    every: Sequence[Index],
) -> None:
    """Pass if one of those that were found is as it was asked for, else say what is nearest."""
    __tracebackhide__ = True
    wrong = [differing(asked, _facts(table, each)) for each in found]
    if [] in wrong:
        return
    if wrong:
        nearest = min(range(len(wrong)), key=lambda number: len(wrong[number]))
        head = f"The {what} of {table.name} is not as expected ({ident(found[nearest].name)})."
        raise AssertionError(lines(head, "It differs in", wrong[nearest]))
    listed = [each.definition + ("" if each.valid else " (INVALID)") for each in every]
    raise AssertionError(lines(f"{table.name} has no {what}.", f"Its {kind}", listed))


def _facts(table: Table, index: Index) -> dict[str, Any]:
    constraint = table.constraint(index.constraint) if index.constraint else None
    return {
        "name": index.name,
        "unique": index.unique,
        "method": index.method,
        "where": index.predicate,
        "include": tuple(sorted(index.include)),
        "valid": index.valid,
        "nulls_not_distinct": index.nulls_not_distinct,
        "deferrable": constraint is not None and constraint.deferrable,
    }
