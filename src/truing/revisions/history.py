"""Which revisions are applied, and which are still to be run? A connection or identifiers go in; revisions come out."""

from __future__ import annotations

from typing import Any

from truing.errors import CatalogError
from truing.names import ident
from truing.revisions.project import Project
from truing.revisions.record import Request, Revision, ask


def applied(connection: Any, version_table: str = "alembic_version", schema: str | None = None) -> tuple[str, ...]:
    """Read the revisions that a database is at: the newest of each branch.

    Args:
        connection: a psycopg connection.
        version_table: the name of Alembic's table; see :meth:`Project.context_options`.
        schema: its schema; None leaves it to the search path.

    Returns:
        The identifiers, sorted; none where the table does not exist, so nothing was ever applied.

    Raises:
        CatalogError: the table may not be read, or is not Alembic's.
    """
    import psycopg  # noqa: PLC0415 - only who has a connection needs the driver

    name = f"{ident(schema)}.{ident(version_table)}" if schema else ident(version_table)
    try:
        row = connection.execute("SELECT to_regclass(%s) IS NOT NULL", (name,)).fetchone()
        if not row[0]:
            return ()
        rows = connection.execute(f"SELECT version_num FROM {name} ORDER BY version_num").fetchall()
    except psycopg.Error as error:
        raise CatalogError(
            f"the revisions in {name} cannot be read: {str(error).strip()}",
            hint=f"GRANT SELECT ON {name} to the role that truing connects as.",
        ) from None
    return tuple(row[0] for row in rows)


def pending(
    project: Project, applied: tuple[str, ...], target: str = "heads", *, timeout: float = 120.0
) -> tuple[Revision, ...]:
    """Say what an upgrade would run.

    Args:
        project: the Alembic project.
        applied: where the database is, from :func:`applied`.
        target: a revision, ``head``, ``heads``, ``label@head`` or ``+1``, as ``alembic upgrade`` takes it.
        timeout: seconds that it may take.

    Returns:
        The revisions in the order they would run.

    Raises:
        ProjectError: the database is at a revision that the project does not have, or the target is not one.
        RevisionError: reading the project took too long.
    """
    return ask(Request(project=project, task="pending", applied=applied, upper=target), timeout).revisions


def revisions(project: Project, *, timeout: float = 120.0) -> tuple[Revision, ...]:
    """List every revision of a project, each after those that it follows.

    Raises:
        ProjectError: the project or one of its files cannot be loaded.
        RevisionError: reading took too long.
    """
    return ask(Request(project=project, task="all"), timeout).revisions
