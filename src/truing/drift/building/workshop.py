"""Where are things built? On a server of our own, started when it is first needed and gone afterwards.

In: the version of the live server, or the URL of a server whose role may create databases. Out: scratch databases, and
connections to them. Nothing here ever sees the live database.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from contextlib import closing, suppress
from functools import cached_property
from threading import RLock, Thread
from types import TracebackType
from typing import Any, Final, Self

import psycopg
from psycopg.conninfo import conninfo_to_dict

from truing.drift.building.prefix import Kept, Prefix
from truing.drift.child.halfway import shared_state
from truing.drift.exchange import Server
from truing.drift.stubs import KNOWN, WHERE, missing, rewritten, unloadable
from truing.errors import ConnectionFailedError, MissingExtensionError, ServerError
from truing.names import ident
from truing.redaction import redact
from truing.server import Binaries, Cluster, Scratch, ScratchDatabase, address, archive, available, find
from truing.server.account import is_roomy
from truing.versions import PostgresVersion

SETTINGS: Final[dict[str, str | int | float | bool]] = {
    "synchronous_commit": False,
    "jit": False,
    # create_all of 1,000 tables is one transaction, and two may be made at the same time.
    "max_locks_per_transaction": 2048,
    # With "minimal" every commit would look after each file that it has made, and a build makes thousands.
    "wal_level": "replica",
    "max_wal_senders": 0,
    # Nothing is kept, so that nothing need be written out; but the log of it must not fill the memory.
    "max_wal_size": "512MB",
    "checkpoint_timeout": "1h",
    "max_connections": 40,
}


_HARDLY: Final = 256 * 1024**2
"""In bytes."""


class Workshop:
    """A server for scratch databases; leaving the context drops them all."""

    def __init__(
        self,
        *,
        major: int | None = None,
        scratch_url: str | None = None,
        extensions: Collection[str] = (),
        memory: bool = False,
        prefix: Prefix | None = None,
        unloadable: Collection[tuple[str, str]] = (),
    ) -> None:
        """Choose a server; nothing is started yet.

        Args:
            major: the live server's, which is preferred: two majors may print a definition in different words.
            scratch_url: a server to use instead of a private one.
            extensions: what it should have; on a private server, a stand-in is made for those that it has not got.
            memory: whether a private server may keep its data in memory, where there is room.
            prefix: what may be kept of the older revisions, which a private server begins with.
            unloadable: what an installation says it has and cannot load: its version, and the extension.
        """
        self._unloadable = frozenset(unloadable)
        self._memory, self.prefix = memory, prefix
        self._major, self._scratch_url, self._wanted = major, scratch_url, frozenset(extensions)
        self.roles_put_aside = 0
        # Two builds may be made at the same time.
        self._turn = RLock()
        self._cluster: Cluster | None = None
        self._scratch: Scratch | None = None

    @cached_property
    def binaries(self) -> Binaries:
        """The installation that is started: one with the extensions, of the live server's major where there is one."""
        usual = find()
        others = [find(major) for major in sorted({each.version.major for each in available()}, reverse=True)]

        def worth(each: Binaries) -> tuple[int, bool, int]:
            lacking = self._lacking(each)
            # Another major's words can be put right, an extension that is not there cannot.
            return len(lacking - KNOWN), self._major not in {None, each.version.major}, len(lacking)

        return min((usual, *others), key=worth)

    @cached_property
    def lacking(self) -> frozenset[str]:
        """The wanted extensions that a private server has not got, for which stand-ins are made."""
        return frozenset() if self._scratch_url is not None else self._lacking(self.binaries)

    def _lacking(self, binaries: Binaries) -> frozenset[str]:
        unloadable = {name for version, name in self._unloadable if version == str(binaries.version)}
        return self._wanted - (binaries.extensions - unloadable) if self._wanted else frozenset()

    @cached_property
    def version(self) -> PostgresVersion:
        """The version of the server, known before it runs."""
        if self._scratch_url is None:
            return self.binaries.version
        with self._connect(self._scratch_url) as connection:
            return PostgresVersion(connection.info.server_version)

    @classmethod
    def begun(cls, connection: psycopg.Connection[Any], prefix: Prefix | None = None) -> Self:
        """Begin to start the server that suits a live database. Whoever needs it waits, or hears why there is none.

        Args:
            connection: to the live database.
            prefix: what may be kept of the older revisions.
        """
        rows = connection.execute("SELECT extname::text FROM pg_catalog.pg_extension").fetchall()
        major = PostgresVersion(connection.info.server_version).major
        workshop = cls(major=major, extensions=[name for (name,) in rows], memory=True, prefix=prefix)

        def start() -> None:
            with suppress(Exception):
                _ = workshop.scratch

        Thread(target=start, name="truing scratch server", daemon=True).start()
        return workshop

    def suits(self, major: int | None, extensions: Collection[str]) -> bool:
        """Tell whether this is what would be made for another server of this version and with these extensions."""
        return (self._major, self._wanted) == (major, frozenset(extensions))

    @property
    def crowded(self) -> bool:
        """Whether the data is in memory, and there is hardly any room left."""
        cluster = self._cluster
        return cluster is not None and cluster.in_memory and not is_roomy(cluster.data_dir, _HARDLY)

    @property
    def scratch(self) -> Scratch:
        """The databases, on a running server.

        Raises:
            ServerError: none can be started.
        """
        with self._turn:
            if self._scratch is None:
                if self._scratch_url is not None:
                    self._scratch = Scratch(self._scratch_url)
                else:
                    prefix = self.prefix
                    seed = prefix.seed if prefix is not None and prefix.suits(self.binaries) else None
                    self._cluster = Cluster(
                        self.binaries, settings=SETTINGS, autovacuum=False, memory=self._memory, seed=seed
                    )
                    self._cluster.start()
                    self._scratch = Scratch(self._cluster)
            return self._scratch

    @property
    def began_with(self) -> Kept | None:
        """What was kept of the older revisions, where the server has it."""
        _ = self.scratch
        began = self._cluster is not None and self._cluster.is_seeded
        return self.prefix.kept if self.prefix is not None and began else None

    def there(self, name: str) -> ScratchDatabase:
        """Give a database that the server began with."""
        return ScratchDatabase(name, address.with_database(self.url, name))

    def packed(self, database: str, shared: str, most: int) -> bytes | None:
        """Stop a private server, and put what it holds into one piece; nothing can be built afterwards.

        Args:
            database: the only one that is left.
            shared: what all databases must have in common, as :func:`.child.halfway.shared_state` digests it.
            most: how many bytes it may be.

        Returns:
            The archive of its data directory; None where something has changed since, or it would be larger.
        """
        cluster = self._cluster
        if cluster is None:
            return None
        with self._turn, self._connect(self.url) as connection:
            rows = connection.execute(
                "SELECT datname::text FROM pg_database WHERE NOT datistemplate AND datname NOT IN ('postgres', %s)",
                [database],
            ).fetchall()
            for (name,) in rows:
                connection.execute(f"DROP DATABASE {ident(name)} WITH (FORCE)".encode())
            if shared_state(connection) != shared:
                return None
        cluster.stop("fast")
        cluster.shorten_log()
        return archive.pack(cluster.data_dir, most)

    @property
    def url(self) -> str:
        """The server's URL, for another process that makes databases of its own there."""
        return self._scratch_url or self.scratch.server_url

    def prepared(self, statements: Iterable[str], template: ScratchDatabase | None = None) -> ScratchDatabase:
        """Make a database and run statements in it.

        Args:
            statements: each in its own transaction.
            template: a database to copy.

        Raises:
            ServerError: a statement is refused.
        """
        database = self.scratch.clone(template) if template is not None else self.scratch.create()
        with self.connect(database) as connection:
            for statement in statements:
                self._execute(connection, statement)
        return database

    def refuse_without(self, error: str) -> None:
        """Say it where an error is about an extension that the server has not got.

        Raises:
            MissingExtensionError: it is; with ``unloadable`` where the server has it and cannot load its library.
        """
        library = unloadable(error)
        if library is not None and self._scratch_url is None and library in self.binaries.extensions:
            raise MissingExtensionError(
                f"The scratch server ({self.version}) cannot load its extension {ident(library)}: {error}",
                hint="Install the library that it needs, or give a server that has it: --scratch-url URL.",
                extension=library,
                unloadable=True,
            )
        name = missing(error)
        if name is not None:
            where = WHERE.get(name)
            raise MissingExtensionError(
                f"The scratch server ({self.version}) has no extension {ident(name)}.",
                hint=f"Install it{f' ({where})' if where else ''}, or give a server that has it: --scratch-url URL.",
                extension=name,
            )

    def make_roles(self, names: Iterable[str]) -> None:
        """Make roles without any attribute, where the server has not got them.

        Raises:
            ServerError: the server refuses.
        """
        wanted = sorted(set(names))
        if not wanted:
            return
        with self._turn, self._connect(self.url) as connection:
            there = {name for (name,) in connection.execute("SELECT rolname::text FROM pg_roles").fetchall()}
            for name in wanted:
                if name not in there:
                    self._execute(connection, f"CREATE ROLE {ident(name)} NOLOGIN")

    def put_aside(self, role: str, name: str) -> None:
        """Give a role another name; ``roles_put_aside`` counts it.

        Raises:
            ServerError: the server refuses.
        """
        with self._turn, self._connect(self.url) as connection:
            self._execute(connection, f"ALTER ROLE {ident(role)} RENAME TO {ident(name)}")
            self.roles_put_aside += 1

    def connect(self, database: ScratchDatabase) -> closing[psycopg.Connection[Any]]:
        """Connect to a scratch database, in autocommit."""
        return self._connect(database.libpq_url)

    def server(self, database: ScratchDatabase) -> Server:
        """Say to a child process where a scratch database is."""
        given = conninfo_to_dict(database.libpq_url)
        return Server(
            host=str(given.get("host") or "localhost"),
            port=int(given.get("port") or 5432),
            user=str(given.get("user") or "postgres"),
            dbname=database.name,
            password=str(given.get("password") or ""),
        )

    def close(self) -> None:
        """Drop what was made, and stop the server if it is ours. No effect the second time."""
        with self._turn:
            cluster, self._cluster = self._cluster, None
            scratch, self._scratch = self._scratch, None
        if cluster is not None:
            cluster.close()
        elif scratch is not None:
            scratch.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _execute(self, connection: psycopg.Connection[Any], statement: str) -> None:
        try:
            connection.execute(rewritten(statement, self.lacking).encode())
        except psycopg.Error as error:
            self.refuse_without(str(error.diag.message_primary))
            raise ServerError(
                f"The scratch server {self.version} refuses: {statement}: {error.diag.message_primary}",
                hint="Give a server that has it: --scratch-url postgresql://user@host/postgres",
                sqlstate=error.sqlstate,
            ) from error

    @staticmethod
    def _connect(url: str) -> closing[psycopg.Connection[Any]]:
        from truing.revisions.urls import conninfo  # noqa: PLC0415 - it loads SQLAlchemy

        try:
            return closing(psycopg.connect(conninfo(url, application_name="truing"), autocommit=True))
        except psycopg.OperationalError as error:
            raise ConnectionFailedError(
                f"The server for scratch databases cannot be reached: {redact(str(error).strip())}",
                hint="Is the URL in --scratch-url right, and is the server running?",
            ) from error
