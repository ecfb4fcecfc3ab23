"""What is the live database now? Read in one READ ONLY, REPEATABLE READ transaction; nothing is left behind.

:func:`take` reads all of it. :func:`glance` only tells whether it is what it was, which is ten times as quick.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec
import psycopg

from truing.catalog.digest import digest
from truing.catalog.session import LOCK_TIMEOUT_MS, STATEMENT_TIMEOUT_MS, reading
from truing.errors import CatalogError
from truing.names import ident

if TYPE_CHECKING:
    from truing.drift.snapshots import Taken

VERSION_TABLE = "alembic_version"


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """Where a database stands besides what its catalog says: as in :class:`~truing.drift.snapshots.Taken`."""

    revisions: tuple[str, ...] | None
    search_path: tuple[str, ...]
    runner: str


class Glance(msgspec.Struct, frozen=True, kw_only=True):
    """What a database is, as far as it can be told from another state of it. Two that are equal give one snapshot.

    Attributes:
        catalog: the digest of its catalog.
        standing: what its rows and this session's settings say.
    """

    catalog: str
    standing: Standing


def take(connection: psycopg.Connection[Any], version_table: str = VERSION_TABLE, schema: str | None = None) -> Taken:
    """Read a database, with the revisions it is stamped with, at one moment.

    Args:
        connection: in autocommit and idle.
        version_table: Alembic's table.
        schema: its schema; None leaves it to the search path.

    Raises:
        CatalogError: it cannot be read.
    """
    from truing.catalog.read import read_snapshot  # noqa: PLC0415 - a glance needs neither of them
    from truing.drift.snapshots import Taken  # noqa: PLC0415

    with _moment(connection, version_table):
        standing = _standing(connection, version_table, schema)
        snapshot = read_snapshot(connection)
    now = datetime.now(UTC).replace(microsecond=0).isoformat()
    return Taken(snapshot=snapshot, taken=now, **msgspec.structs.asdict(standing))


def glance(
    connection: psycopg.Connection[Any], salt: str, version_table: str = VERSION_TABLE, schema: str | None = None
) -> Glance | None:
    """Look whether a database is what it was.

    Args:
        connection: in autocommit and idle.
        salt: a secret of whoever keeps the answer.
        version_table: Alembic's table.
        schema: its schema; None leaves it to the search path.

    Returns:
        What there is to compare; None where the server cannot say it, so that all has to be read.
    """
    try:
        with _moment(connection, version_table):
            standing = _standing(connection, version_table, schema)
            with reading(connection) as reader:
                return Glance(catalog=digest(reader, salt), standing=standing)
    except CatalogError:
        # What is wrong is said by whoever reads all of it.
        return None


@contextmanager
def _moment(connection: psycopg.Connection[Any], version_table: str) -> Iterator[None]:
    try:
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        try:
            # Alembic's table may be locked by whoever changes it.
            for name, most in (("lock_timeout", LOCK_TIMEOUT_MS), ("statement_timeout", STATEMENT_TIMEOUT_MS)):
                connection.execute("SELECT pg_catalog.set_config(%s, %s, true)", [name, str(most)])
            yield
        finally:
            connection.execute("ROLLBACK")
    except psycopg.errors.LockNotAvailable as error:
        raise CatalogError(
            f"{version_table} cannot be read now: somebody holds an exclusive lock on it",
            hint="Wait until that transaction has ended, and run it again.",
        ) from error
    except psycopg.Error as error:
        raise CatalogError(
            f"the database cannot be read: {error.diag.message_primary or error}",
            hint=f"A role that may CONNECT and read {version_table} is enough.",
        ) from error


def _standing(connection: psycopg.Connection[Any], version_table: str, schema: str | None) -> Standing:
    path = tuple(_one(connection, "SELECT pg_catalog.current_schemas(false)::text[]"))
    name = f"{ident(schema)}.{ident(version_table)}" if schema else ident(version_table)
    oid = _one(connection, "SELECT pg_catalog.to_regclass(%s)::pg_catalog.oid", name)
    if oid is None:
        return Standing(revisions=None, search_path=path, runner="")
    rows = connection.execute(f"SELECT version_num FROM {name} ORDER BY version_num".encode()).fetchall()
    runner = _one(
        connection, "SELECT pg_catalog.pg_get_userbyid(relowner) FROM pg_catalog.pg_class WHERE oid = %s", oid
    )
    return Standing(revisions=tuple(str(row[0]) for row in rows), search_path=path, runner=runner)


def _one(connection: psycopg.Connection[Any], query: str, *parameters: object) -> Any:
    row = connection.execute(query.encode(), parameters or None).fetchone()
    return row[0] if row else None
