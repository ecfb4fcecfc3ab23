"""Assertions about columns and keys of a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Literal

import psycopg

from truing.catalog.model import Column, Constraint, Table
from truing.changes import Action
from truing.names import QualifiedName, ident, idents
from truing.testing import printing
from truing.testing.place import Database, Unasked, differing, lines, opened, resolved, several, table_of


def assert_column(
    database: Database,
    table: str | QualifiedName,
    column: str,
    *,
    type: str | Unasked = ...,  # noqa: A002 - what people call it
    nullable: bool | Unasked = ...,
    default: str | Unasked | None = ...,
    identity: Literal["", "always", "by default"] | Unasked = ...,
    generated: str | Unasked | None = ...,
    comment: str | Unasked | None = ...,
) -> None:
    """Assert that a table has a column, and what it is.

    Args:
        database: a connection.
        table: the table.
        column: the column's name.
        type: its type, in any of PostgreSQL's spellings (``varchar(50)``, ``timestamptz``).
        nullable: whether it may hold NULL.
        default: its default as SQL, in any spelling that PostgreSQL prints alike; None for none.
        identity: ``always``, ``by default`` or empty.
        generated: the expression that it is generated from; None for a column that is not.
        comment: its comment; None for none.

    Raises:
        AssertionError: it is not so; the message says what is there.
    """
    __tracebackhide__ = True
    with opened(database) as connection:
        there = table_of(connection, table)
        found = there.column(column)
        if found is None:
            raise AssertionError(_no_column(there, column))
        if type is not ...:
            type = _type(connection, type, found)  # noqa: A001
        if default is not ... and default is not None and default != found.default:
            default = printing.column(connection, found.type, default)[1]
        expected = {"type": type, "nullable": nullable, "default": default, "identity": identity}
        expected |= {"generated": generated, "comment": comment}
        wrong = differing(
            expected,
            {
                "type": found.type,
                "nullable": not found.not_null,
                "default": found.default,
                "identity": found.identity,
                "generated": found.expression,
                "comment": found.comment,
            },
        )
    if wrong:
        raise AssertionError(lines(f"{there.name}.{ident(column)} is not as expected.", "It differs in", wrong))


def _type(connection: psycopg.Connection[Any], asked: str, found: Column) -> str:
    return asked if asked == found.type else printing.column(connection, asked)[0]


def _no_column(table: Table, column: str) -> str:
    near = get_close_matches(column, [each.name for each in table.columns], n=1)
    meant = f" Did you mean {ident(near[0])}?" if near else ""
    return lines(
        f"{table.name} has no column {ident(column)}.{meant}",
        "Its columns",
        [f"{ident(each.name)} {each.type}" for each in table.columns],
    )


def assert_foreign_key(
    database: Database,
    table: str | QualifiedName,
    columns: Sequence[str],
    references: str | QualifiedName,
    referenced_columns: Sequence[str],
    *,
    name: str | Unasked = ...,
    on_delete: Action | Unasked = ...,
    on_update: Action | Unasked = ...,
    validated: bool | Unasked = ...,
    deferrable: bool | Unasked = ...,
    initially_deferred: bool | Unasked = ...,
    match_full: bool | Unasked = ...,
) -> None:
    """Assert that a table has a foreign key, and what it is.

    Args:
        database: a connection.
        table: the referring table.
        columns: its columns, in any order that goes with that of ``referenced_columns``.
        references: the referenced table.
        referenced_columns: its columns.
        name: the constraint's name.
        on_delete: what happens when the referenced row goes, for example ``CASCADE``.
        on_update: what happens when its key changes.
        validated: False for NOT VALID.
        deferrable: DEFERRABLE.
        initially_deferred: INITIALLY DEFERRED.
        match_full: MATCH FULL.

    Raises:
        AssertionError: it is not so; the message says which foreign keys there are.
    """
    __tracebackhide__ = True
    columns, referenced_columns = several(columns), several(referenced_columns)
    if len(columns) != len(referenced_columns):
        raise ValueError(f"{len(columns)} and {len(referenced_columns)} columns: {columns} and {referenced_columns}")
    with opened(database) as connection:
        there = table_of(connection, table)
        to = resolved(connection, references)
    pairs = set(zip(columns, referenced_columns, strict=True))
    keys = [
        each
        for each in there.foreign_keys
        if each.references == to and set(zip(each.columns, each.referenced_columns, strict=True)) == pairs
    ]
    asked: dict[str, Any] = {
        "name": name,
        "on_delete": on_delete,
        "on_update": on_update,
        "validated": validated,
        "deferrable": deferrable,
        "initially_deferred": initially_deferred,
        "match_full": match_full,
    }
    what = f"foreign key ({idents(columns)}) to {to} ({idents(referenced_columns)})"
    _require(there, what, "foreign keys", keys, asked, there.foreign_keys)


def assert_primary_key(
    database: Database, table: str | QualifiedName, columns: Sequence[str], *, name: str | Unasked = ...
) -> None:
    """Assert that a table's primary key is over exactly these columns.

    Args:
        database: a connection.
        table: the table.
        columns: its columns, in any order.
        name: the constraint's name.

    Raises:
        AssertionError: it is not so; the message says what the primary key is.
    """
    __tracebackhide__ = True
    columns = several(columns)
    with opened(database) as connection:
        there = table_of(connection, table)
    every = [there.primary_key] if there.primary_key is not None else []
    keys = [each for each in every if set(each.columns) == set(columns)]
    _require(there, f"primary key ({idents(columns)})", "primary key", keys, {"name": name}, every)


def _require(
    table: Table,
    what: str,
    kind: str,
    found: Sequence[Constraint],
    asked: Mapping[str, Any],
    every: Sequence[Constraint],
) -> None:
    """Pass if one of those that were found is as it was asked for, else say what is nearest."""
    __tracebackhide__ = True
    wrong = [differing(asked, {name: getattr(each, name) for name in asked}) for each in found]
    if [] in wrong:
        return
    if wrong:
        nearest = min(range(len(wrong)), key=lambda number: len(wrong[number]))
        head = f"The {what} of {table.name} is not as expected ({ident(found[nearest].name)})."
        raise AssertionError(lines(head, "It differs in", wrong[nearest]))
    listed = [f"{ident(each.name)}: {each.definition}" for each in every]
    raise AssertionError(lines(f"{table.name} has no {what}.", f"Its {kind}", listed))
