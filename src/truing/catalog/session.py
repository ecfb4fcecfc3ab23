"""How is the catalog looked at? In one short read-only transaction whose settings end with it.

Works on a connection in autocommit (the usual case: its own REPEATABLE READ transaction) and inside a transaction that
is already open (a savepoint, which sees what that transaction has done so far). Nothing is left behind in either case.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib import resources
from typing import Any, TypeVar

import msgspec
import psycopg
from psycopg.pq import TransactionStatus
from psycopg.rows import tuple_row

from truing.errors import CatalogError
from truing.versions import PostgresVersion

LOCK_TIMEOUT_MS = 5_000
"""pg_get_viewdef() and its like lock what they print, so they may have to wait for DDL; not for ever."""

STATEMENT_TIMEOUT_MS = 120_000

# With only the catalog on the path, every other name is printed qualified, as with an empty path; but naming pg_temp
# last keeps temporary tables that are called like catalogs from being read in their place.
_SETTINGS = {
    "search_path": "pg_catalog, pg_temp",
    "transaction_read_only": "on",
    "TimeZone": "UTC",
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "quote_all_identifiers": "off",
    # Compiling a query takes longer than any of them takes to run.
    "jit": "off",
    "lock_timeout": str(LOCK_TIMEOUT_MS),
    "statement_timeout": str(STATEMENT_TIMEOUT_MS),
}

_TRIES = 3

_Row = TypeVar("_Row")
_Seen = TypeVar("_Seen")


class Reader:
    """Runs the named queries of ``catalog/sql`` within :func:`reading`.

    Attributes:
        version: of the server.
    """

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        # Not connection.cursor(): the connection may have a cursor or row factory of the caller's.
        self._cursor = psycopg.Cursor(connection, row_factory=tuple_row)
        self.version = PostgresVersion(connection.info.server_version)

    def execute(self, query: str, parameters: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """Run one query and fetch all of it. Never prepared: nothing may stay in the session."""
        self._cursor.execute(query.encode(), parameters, prepare=False)
        return self._cursor.fetchall() if self._cursor.description is not None else []

    def values(
        self, name: str, row_type: type[_Row], parameters: Mapping[str, Any] | None = None
    ) -> list[tuple[int, _Row]]:
        """Run ``sql/<name>.sql`` and read each row as a value.

        Rows travel as JSON, so that the names of the columns in the file are the names of the fields, and no type
        adapter that the caller has registered on the connection matters.

        Args:
            name: of the file.
            row_type: what a row is.
            parameters: of the query.

        Returns:
            For each row, the oid in its column ``relation`` (what it belongs to) and its value.
        """
        query = f"SELECT q.relation::bigint, row_to_json(q)::text FROM (\n{sql(name)}\n) AS q"
        decoder = msgspec.json.Decoder(row_type)
        return [(int(relation), decoder.decode(row)) for relation, row in self.execute(query, parameters)]


def look(connection: psycopg.Connection[Any], see: Callable[[Reader], _Seen]) -> _Seen:
    """Look at the catalog, and once more where an object vanished while it was being looked at.

    pg_get_indexdef() and its like look at the present, not at our snapshot: for an object that was dropped in between
    they fail with an "internal error" or give NULL. The next look no longer has it.

    Args:
        connection: a psycopg connection, idle or in a transaction.
        see: what to do within :func:`reading`; it may be called several times.

    Raises:
        CatalogError: the catalog could not be read.
    """
    attempt = 1
    while True:
        try:
            with reading(connection) as reader, _uncollected():
                return see(reader)
        except CatalogError as error:
            if attempt == _TRIES or not isinstance(error.__cause__, psycopg.errors.InternalError_):
                raise
        except msgspec.ValidationError as error:
            if attempt == _TRIES:
                raise CatalogError(
                    f"The catalog holds something that truing does not know: {error}",
                    hint="If no other session is dropping objects, this is a mistake of truing's: please report it.",
                ) from error
        attempt += 1


@contextmanager
def _uncollected() -> Iterator[None]:
    """Do not look for garbage: what is read all stays, and is in no circle."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


@cache
def sql(name: str) -> str:
    """Load ``sql/<name>.sql``."""
    return resources.files("truing.catalog").joinpath("sql", f"{name}.sql").read_text(encoding="utf-8")


@contextmanager
def reading(connection: psycopg.Connection[Any]) -> Iterator[Reader]:
    """Open the transaction in which the catalog is read.

    Args:
        connection: a psycopg connection; idle, or in a transaction that has not failed.

    Yields:
        What runs the queries.

    Raises:
        CatalogError: a query failed, or the connection cannot be used.
    """
    status = connection.info.transaction_status
    if status not in (TransactionStatus.IDLE, TransactionStatus.INTRANS):
        raise CatalogError(
            f"The catalog cannot be read on a connection in state {status.name}.",
            hint="Give truing an idle connection, or roll the failed transaction back first.",
        )
    try:
        with connection.transaction(force_rollback=True):
            reader = Reader(connection)
            if status is TransactionStatus.IDLE:
                reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            # Local settings end with the transaction, or with the savepoint when that is rolled back.
            reader.execute(
                "SELECT pg_catalog.set_config(s.name, s.value, true)"
                " FROM unnest(%(names)s::text[], %(values)s::text[]) AS s (name, value)",
                {"names": list(_SETTINGS), "values": list(_SETTINGS.values())},
            )
            yield reader
    except psycopg.errors.LockNotAvailable as error:
        raise CatalogError(
            "The catalog cannot be read now: somebody holds an exclusive lock on a table that a view uses.",
            hint="Wait until that DDL has ended and run it again; `truing status` shows who it is.",
        ) from error
    except psycopg.Error as error:
        raise CatalogError(
            f"The catalog cannot be read: {error.diag.message_primary or error}",
            hint="A role that may CONNECT is enough; run it again if objects were being dropped meanwhile.",
        ) from error
