"""What is the live database now? Read in one READ ONLY, REPEATABLE READ transaction; nothing is left behind."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import psycopg

from truing.catalog.read import read_snapshot
from truing.drift.snapshots import Taken
from truing.errors import CatalogError
from truing.names import ident


def take(
    connection: psycopg.Connection[Any], version_table: str = "alembic_version", schema: str | None = None
) -> Taken:
    """Read a database, with the revisions it is stamped with, at one moment.

    Args:
        connection: in autocommit and idle.
        version_table: Alembic's table.
        schema: its schema; None leaves it to the search path.

    Raises:
        CatalogError: it cannot be read.
    """
    try:
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        try:
            path = tuple(_one(connection, "SELECT pg_catalog.current_schemas(false)::text[]"))
            name = f"{ident(schema)}.{ident(version_table)}" if schema else ident(version_table)
            oid = _one(connection, "SELECT pg_catalog.to_regclass(%s)::pg_catalog.oid", name)
            revisions, runner = None, ""
            if oid is not None:
                rows = connection.execute(f"SELECT version_num FROM {name} ORDER BY version_num".encode()).fetchall()
                revisions = tuple(str(row[0]) for row in rows)
                runner = _one(
                    connection,
                    "SELECT pg_catalog.pg_get_userbyid(relowner) FROM pg_catalog.pg_class WHERE oid = %s",
                    oid,
                )
            snapshot = read_snapshot(connection)
        finally:
            connection.execute("ROLLBACK")
    except psycopg.Error as error:
        raise CatalogError(
            f"the database cannot be read: {error.diag.message_primary or error}",
            hint=f"A role that may CONNECT and read {version_table} is enough.",
        ) from error
    now = datetime.now(UTC).replace(microsecond=0).isoformat()
    return Taken(snapshot=snapshot, revisions=revisions, search_path=path, runner=runner, taken=now)


def _one(connection: psycopg.Connection[Any], query: str, *parameters: object) -> Any:
    row = connection.execute(query.encode(), parameters or None).fetchone()
    return row[0] if row else None
