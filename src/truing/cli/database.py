"""Connections of commands: one that only reads, and the Alembic project that an invocation is about."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

from truing.cli.options import Invocation
from truing.errors import UsageError

if TYPE_CHECKING:
    import psycopg

    from truing.revisions.project import Project

CONNECT_TIMEOUT_S = "10"


def project(invocation: Invocation) -> Project:
    """Find the Alembic project of an invocation.

    Raises:
        ProjectError: there is none.
    """
    from truing.cli.rbac_database import arguments
    from truing.revisions.project import discover

    return discover(
        config=invocation.alembic_config,
        section=invocation.alembic_name or "alembic",
        x=(*arguments(invocation), *invocation.x_arguments),
        database_url=invocation.database_url,
        head=invocation.config.head,
    )


def optional_project(invocation: Invocation) -> Project | None:
    """Find the Alembic project; None where there is none, and nobody names one.

    Raises:
        ProjectError: the one that is named, or found, cannot be used.
    """
    from truing.revisions.project import NoProjectError

    try:
        return project(invocation)
    except NoProjectError:
        return None


def named_url(invocation: Invocation) -> str | None:
    """Name the database, as :func:`url_of`; None where nobody does.

    Raises:
        ProjectError: the project's configuration cannot be read, or names no PostgreSQL database.
    """
    from truing.revisions.urls import postgresql_url

    named = invocation.database_url
    if named is None:
        found = optional_project(invocation)
        named = found.configured_url() if found is not None else None
    return postgresql_url(named) if named else None


def url_of(invocation: Invocation) -> str:
    """Name the database of an invocation: as a person named it, else as the Alembic project does.

    Raises:
        UsageError: nobody names one, and there is no Alembic project to ask.
        ProjectError: the project names none.
    """
    named = invocation.database_url
    if named is not None:
        from truing.revisions.urls import postgresql_url

        return postgresql_url(named)
    found = optional_project(invocation)
    if found is None:
        raise UsageError(
            "No database is named, and there is no Alembic project here that would name one.",
            hint="Give --database-url, or set TRUING_DATABASE_URL or DATABASE_URL.",
        )
    return found.url()


def connect_reading(url: str) -> closing[psycopg.Connection[Any]]:
    """Connect to look, not to touch: the session refuses to write unless it is asked otherwise.

    Args:
        url: any spelling that SQLAlchemy takes.

    Returns:
        A context manager that gives the connection, in autocommit.

    Raises:
        ConnectionFailedError: it cannot be reached.
    """
    connection = _connect(url)
    connection.execute("SET default_transaction_read_only = on")
    return closing(connection)


def connect_writing(url: str) -> closing[psycopg.Connection[Any]]:
    """Connect to do what a person asked for.

    Args:
        url: any spelling that SQLAlchemy takes.

    Returns:
        A context manager that gives the connection, in autocommit.

    Raises:
        ConnectionFailedError: it cannot be reached.
    """
    return closing(_connect(url))


def _connect(url: str) -> psycopg.Connection[Any]:
    import psycopg

    from truing.revisions.urls import conninfo, unreachable

    options = conninfo(url, application_name="truing", connect_timeout=CONNECT_TIMEOUT_S)
    try:
        return psycopg.connect(options, autocommit=True)
    except psycopg.OperationalError as error:
        raise unreachable(url, error) from error
