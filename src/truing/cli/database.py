"""Connections of commands: one that only reads, and the Alembic project that an invocation is about."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

from truing.cli.options import Invocation
from truing.errors import ConnectionFailedError

if TYPE_CHECKING:
    import psycopg

    from truing.revisions.project import Project

CONNECT_TIMEOUT_S = "10"


def project(invocation: Invocation) -> Project:
    """Find the Alembic project of an invocation.

    Raises:
        ProjectError: there is none.
    """
    from truing.revisions.project import discover

    return discover(
        config=invocation.alembic_config,
        section=invocation.alembic_name or "alembic",
        x=invocation.x_arguments,
        database_url=invocation.database_url,
    )


def connect_reading(url: str) -> closing[psycopg.Connection[Any]]:
    """Connect to look, not to touch: the session refuses to write whatever it is asked.

    Args:
        url: any spelling that SQLAlchemy takes.

    Returns:
        A context manager that gives the connection, in autocommit.

    Raises:
        ConnectionFailedError: it cannot be reached.
    """
    import psycopg

    from truing.revisions.urls import conninfo, redact

    try:
        connection = psycopg.connect(
            conninfo(url, application_name="truing"), autocommit=True, connect_timeout=CONNECT_TIMEOUT_S
        )
    except psycopg.OperationalError as error:
        raise ConnectionFailedError(
            f"{redact(url)} cannot be reached: {redact(str(error).strip())}",
            hint="Check the address, and that PostgreSQL is running and lets you in.",
        ) from error
    connection.execute("SET default_transaction_read_only = on")
    return closing(connection)
