"""Where are the tables and functions of an RBAC command, and how does it say what it has changed?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from truing.cli.options import Invocation

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from truing.rbac.policies.apply import Change
    from truing.report.document import Document


def tables(function: Callable[..., int]) -> Callable[..., int]:
    """Give a command the option that says where the tables are."""
    option = click.option("--schema", default="public", show_default=True, metavar="NAME", help="Of the tables.")
    return option(function)


def functions(function: Callable[..., int]) -> Callable[..., int]:
    """Give a command the option that says where the program is."""
    option = click.option("--program", default="rbac", show_default=True, metavar="NAME", help="Of the functions.")
    return option(function)


@contextmanager
def using(invocation: Invocation, schema: str, program: str | None = None) -> Iterator[Connection]:
    """Open a transaction in which the tables are found; the log names who runs the command. Committed at the end."""
    import getpass

    from truing.cli.database import url_of
    from truing.rbac.access import acting
    from truing.rbac.access.named import use_schema

    with opened(url_of(invocation)) as connection, connection.begin():
        use_schema(connection, schema, program)
        with acting(connection, f"truing ({getpass.getuser()})"):
            yield connection


@contextmanager
def opened(url: str) -> Iterator[Connection]:
    """Open a connection of its own."""
    from sqlalchemy import create_engine, pool
    from sqlalchemy.exc import OperationalError

    from truing.revisions.urls import sqlalchemy_url, unreachable

    engine = create_engine(sqlalchemy_url(url), poolclass=pool.NullPool, connect_args={"application_name": "truing"})
    try:
        connection = engine.connect()
    except OperationalError as error:
        raise unreachable(url, error.orig or error) from error
    with connection:
        yield connection


def changed(name: str, todo: tuple[Change, ...], summary: str, note: str = "") -> Document:
    """Say which changes were made, or would be."""
    from truing.report.document import Column, Table, document

    rows = tuple({"verb": change.verb, "subject": change.subject} for change in todo)
    table = Table("changes", "Changes", (Column("verb", "change"), Column("subject", "of what")), rows, note)
    return document(
        name, tables=[table] if rows else (), summary=summary, next_steps=(note,) if note and not rows else ()
    )
