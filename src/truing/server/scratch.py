"""How does one get a throw-away database on a server?

In: a running :class:`~truing.server.Cluster`, or the URL of a server whose role may create databases. Out: databases
with names of their own, empty or cloned from a template, and dropped again. Only databases made here are ever dropped.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Self

import msgspec

from truing.errors import ConnectionFailedError, ServerError
from truing.names import MAX_IDENTIFIER_BYTES, ident
from truing.server import address
from truing.server.cluster import Cluster

if TYPE_CHECKING:
    import psycopg


class ScratchDatabase(msgspec.Struct, frozen=True):
    """A database that will be dropped.

    Attributes:
        name: its name.
        url: its address, as psycopg and SQLAlchemy accept it (with the driver name of the server's URL, if it has one).
    """

    name: str
    url: str

    @property
    def libpq_url(self) -> str:
        """The address without SQLAlchemy's driver name, for psycopg and libpq."""
        return address.libpq_url(self.url)


class Scratch:
    """Throw-away databases on one server; leaving the context drops those that are still there."""

    def __init__(self, server: Cluster | str, *, named_by: str = "--scratch-url") -> None:
        """Use a server.

        Args:
            server: a running cluster, or the URL of a database on a server (``--scratch-url``), which is only connected
                to in order to create and drop others.
            named_by: where a person gave that URL, for messages.

        Raises:
            UsageError: the URL is not that of a PostgreSQL database.
        """
        self._url = server.url() if isinstance(server, Cluster) else server
        address.libpq_url(self._url)  # refuse what is no URL now, not at the first use
        self._named_by = named_by
        self._made: dict[str, ScratchDatabase] = {}

    @property
    def server_url(self) -> str:
        """The URL that databases are made through."""
        return self._url

    def create(self, name: str | None = None, template: str | None = None) -> ScratchDatabase:
        """Create a database.

        Args:
            name: its name; None makes one up that nobody else has.
            template: the database to copy; None gives an empty one. Nobody may be connected to it meanwhile.

        Raises:
            ConnectionFailedError: the server cannot be reached.
            ServerError: the server refuses, for example because the name is taken or the template is in use.
        """
        # Process id and chance: several runs may share one server given by URL.
        name = name or f"truing_{os.getpid()}_{secrets.token_hex(4)}"
        if len(name.encode()) > MAX_IDENTIFIER_BYTES:
            # The server would cut it, and we would lose sight of the database.
            raise ServerError(f"The name {ident(name)} is longer than {MAX_IDENTIFIER_BYTES} bytes.", database=name)
        # template0 is free of whatever a site has put into template1, and nobody can be connected to it.
        source = f"TEMPLATE {ident(template)}" if template else "TEMPLATE template0 ENCODING 'UTF8'"
        self._execute(f"CREATE DATABASE {ident(name)} {source}", name)
        self._made[name] = ScratchDatabase(name, address.with_database(self._url, name))
        return self._made[name]

    def clone(self, template: ScratchDatabase | str) -> ScratchDatabase:
        """Create a copy of a database, with a name that nobody else has; raises as :meth:`create` does."""
        return self.create(template=template if isinstance(template, str) else template.name)

    def drop(self, database: ScratchDatabase | str) -> None:
        """Drop a database made here, ending the sessions that are connected to it. No effect when it is gone.

        Raises:
            ServerError: the database was not made here, or the server refuses.
        """
        name = database if isinstance(database, str) else database.name
        if name not in self._made:
            raise ServerError(f"The database {ident(name)} was not made here, so it is not dropped.", database=name)
        self._execute(f"DROP DATABASE IF EXISTS {ident(name)} WITH (FORCE)", name)
        del self._made[name]

    @contextmanager
    def database(self, name: str | None = None, template: str | None = None) -> Iterator[ScratchDatabase]:
        """Create a database for the length of a ``with`` block."""
        database = self.create(name, template)
        try:
            yield database
        finally:
            self.drop(database)

    def close(self) -> None:
        """Drop every database made here that is still there."""
        for name in tuple(self._made):
            self.drop(name)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _execute(self, statement: str, name: str) -> None:
        import psycopg  # noqa: PLC0415 - loaded only where a connection is meant

        with self._connect() as connection:
            try:
                connection.execute(statement.encode())
            except psycopg.Error as error:
                raise ServerError(
                    f"The server refuses: {str(error).strip()}",
                    hint="Scratch databases need a role with CREATEDB; a template must not be in use.",
                    database=name,
                    sqlstate=error.sqlstate,
                ) from error

    def _connect(self) -> psycopg.Connection:
        import psycopg  # noqa: PLC0415 - loaded only where a connection is meant

        try:
            return psycopg.connect(
                address.libpq_url(self._url), autocommit=True, application_name="truing", client_encoding="utf8"
            )
        except psycopg.Error as error:
            raise ConnectionFailedError(
                f"The server for scratch databases cannot be reached: {str(error).strip()}",
                hint=f"Is the URL in {self._named_by} right, and is the server running?",
            ) from error
