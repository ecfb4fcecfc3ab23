"""Which table is meant, on which connection? What a test gives goes in, a psycopg connection and a table come out."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from types import EllipsisType
from typing import TYPE_CHECKING, Any, TypeAlias, Union

import psycopg

from truing.catalog.model import Table
from truing.catalog.read import read_table
from truing.names import QualifiedName, parse_qualified

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine
    from sqlalchemy.orm import Session, scoped_session

Database: TypeAlias = Union["psycopg.Connection[Any]", "Connection", "Engine", "Session", "scoped_session[Any]"]
"""What a test may give as its database."""

Unasked: TypeAlias = EllipsisType
"""The type of ``...``: nobody asks."""

_ELSEWHERE = "these functions need a connection of psycopg 3 (postgresql+psycopg://), or an SQLAlchemy one that uses it"


@contextmanager
def opened(database: Database) -> Iterator[psycopg.Connection[Any]]:
    """Get at the psycopg connection; nothing is committed, rolled back or closed that is not ours.

    Raises:
        TypeError: it is none, or one of another driver.
    """
    if isinstance(database, psycopg.Connection):
        yield database
        return
    if "sqlalchemy" in sys.modules:
        from sqlalchemy import Connection, Engine  # noqa: PLC0415 - only where somebody has loaded it
        from sqlalchemy.orm import Session, scoped_session  # noqa: PLC0415

        if isinstance(database, Engine):
            with database.connect() as connection:
                yield _driver(connection)
            return
        if isinstance(database, Session | scoped_session):
            database = database.connection()
        if isinstance(database, Connection):
            yield _driver(database)
            return
    raise TypeError(f"{type(database).__name__} is no database: {_ELSEWHERE}")


def _driver(connection: Connection) -> psycopg.Connection[Any]:
    driver = connection.connection.driver_connection
    if not isinstance(driver, psycopg.Connection):
        raise TypeError(f"{type(driver).__module__}.{type(driver).__name__} is another driver's: {_ELSEWHERE}")
    return driver


@contextmanager
def attempt(connection: psycopg.Connection[Any]) -> Iterator[None]:
    """Try something that PostgreSQL is to print, and undo it."""
    with connection.transaction(force_rollback=True):
        yield


def table_of(connection: psycopg.Connection[Any], name: str | QualifiedName) -> Table:
    """Read a table.

    Raises:
        AssertionError: there is none; the message names those that may be meant.
    """
    wanted = resolved(connection, name)
    found = read_table(connection, wanted)
    if found is not None:
        return found
    rows = connection.execute(
        "SELECT n.nspname::text, c.relname::text, c.relkind = ANY ('{r,p,f}') FROM pg_catalog.pg_class AS c"
        " JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace WHERE c.relkind = ANY ('{r,p,f,v,m}')"
        " AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' ORDER BY 1, 2"
    ).fetchall()
    if any((schema, relation) == (wanted.schema, wanted.name) for schema, relation, _ in rows):
        raise AssertionError(f"{wanted} is a view, not a table.")
    tables = [QualifiedName(schema, relation) for schema, relation, is_table in rows if is_table]
    similar = get_close_matches(str(wanted), map(str, tables))
    near = [each for each in tables if each.name == wanted.name or str(each) in similar]
    raise AssertionError(
        lines(f"There is no table {wanted}.", "Perhaps one of these" if near else "There are", near or tables)
    )


def resolved(connection: psycopg.Connection[Any], name: str | QualifiedName) -> QualifiedName:
    """Find out which table a name means on a connection: in its schema, or the first along the search path."""
    wanted = name if isinstance(name, QualifiedName) else parse_qualified(name, "")
    if wanted.schema:
        return wanted
    row = connection.execute(
        "SELECT n.nspname::text FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n"
        " ON n.oid = c.relnamespace WHERE c.relname = %s AND pg_catalog.pg_table_is_visible(c.oid)"
        " UNION ALL SELECT coalesce(pg_catalog.current_schema(), 'public')::text LIMIT 1",
        [wanted.name],
    ).fetchone()
    return QualifiedName(str(row[0]) if row else "public", wanted.name)


def several(columns: Sequence[str]) -> list[str]:
    """Return columns as a list.

    Raises:
        TypeError: one name was given; its letters would be taken for names.
    """
    if isinstance(columns, str):
        raise TypeError(f"columns are given as a list: [{columns!r}]")
    return list(columns)


def lines(head: str, title: str, values: Any) -> str:
    """Write a message: a sentence, then a list with a title."""
    listed = [f"  {each}" for each in values]
    return "\n".join([head, f"{title}:", *(listed or ["  (none)"])])


def differing(expected: Mapping[str, Any], there: Mapping[str, Any]) -> list[str]:
    """Say in what something is not as it was asked for; what nobody asks about does not count."""
    return [
        f"{name}: {shown(there[name])}, expected {shown(value)}"
        for name, value in expected.items()
        if value is not ... and value != there[name]
    ]


def shown(value: Any) -> str:
    """Write a value as a test would."""
    return "none" if value is None else value if isinstance(value, str) else repr(value)
