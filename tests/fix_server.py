"""Real PostgreSQL servers for tests: `cluster`, `database`, `connect`.

One private server for each major and test process (each xdist worker has its own: starting one takes half a second). Which
majors: `--pg 15,18`, `--pg all`, or the environment variable TRUING_TEST_PG; by default the one that truing itself would start. A test
that needs a major says so: `@pytest.mark.pg(">=16")`.
"""

from __future__ import annotations

import operator
import os
import re
import secrets
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql

from truing.errors import ServerError
from truing.names import ident
from truing.server import Binaries, Cluster, Scratch, ScratchDatabase, available, find
from truing.versions import OLDEST_SUPPORTED, PostgresVersion

# What several tests need and no test can set on a running server.
SETTINGS = {"max_prepared_transactions": 8, "wal_level": "logical", "max_connections": 200}

CHOSEN = pytest.StashKey[tuple[Binaries, ...]]()


class Database:
    """A database of the test's own; its connections and roles end with it."""

    def __init__(self, cluster: Cluster, scratch: ScratchDatabase) -> None:
        self.cluster = cluster
        self.name = scratch.name
        self.url = scratch.url
        self._connections: list[psycopg.Connection[Any]] = []
        self._roles: list[str] = []

    @property
    def version(self) -> PostgresVersion:
        return self.cluster.version

    @property
    def dsn(self) -> str:
        return self.cluster.dsn(self.name)

    def url_as(self, user: str) -> str:
        """The address for another role, which needs no password."""
        return self.cluster.url(self.name, user)

    def connect(self, **options: Any) -> psycopg.Connection[Any]:
        """A new connection, in autocommit unless asked otherwise; closed after the test if it is still open."""
        connection = psycopg.connect(self.dsn, **{"autocommit": True, **options})
        self._connections.append(connection)
        return connection

    def execute(self, statement: str, parameters: Any = None) -> list[tuple[Any, ...]]:
        """Run SQL (several statements, if there are no parameters) on a connection of its own.

        Gives the rows of the last statement, if it has rows.
        """
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            cursor = connection.execute(statement.encode(), parameters)
            while cursor.nextset():
                pass
            return cursor.fetchall() if cursor.description else []

    def role(self, attributes: str = "LOGIN", name: str | None = None) -> str:
        """Create a role (roles belong to the whole server, so its name is made up) that is dropped after the test."""
        name = name or f"role_{secrets.token_hex(4)}"
        self.execute(f"CREATE ROLE {ident(name)} {attributes}")
        self._roles.append(name)
        return name

    def close(self) -> None:
        for connection in self._connections:
            connection.close()

    def drop_roles(self) -> None:
        """Once the database is dropped, nothing depends on its roles any more."""
        with psycopg.connect(self.cluster.dsn(), autocommit=True) as connection:
            for name in self._roles:
                connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(name)))


class Servers:
    """The servers that this test process has started."""

    def __init__(self) -> None:
        self._running: dict[Binaries, tuple[Cluster, Scratch]] = {}

    def get(self, binaries: Binaries) -> Cluster:
        if binaries not in self._running:
            # Autovacuum would change statistics at a moment of its own choosing.
            cluster = Cluster(binaries, settings=SETTINGS, autovacuum=False)
            cluster.start()
            self._running[binaries] = cluster, Scratch(cluster)
        cluster, _ = self._running[binaries]
        # A test that has stopped the server does not have to start it again.
        cluster.start()
        return cluster

    def scratch(self, cluster: Cluster) -> Scratch:
        return next(scratch for each, scratch in self._running.values() if each is cluster)

    def close(self) -> None:
        for cluster, _ in self._running.values():
            cluster.close()


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    servers = Servers()
    yield servers
    servers.close()


@pytest.fixture
def cluster(request: pytest.FixtureRequest, servers: Servers) -> Cluster:
    """A running server, shared by all tests; `cluster.version` says which."""
    if request.param is None:
        raise ServerError("No PostgreSQL was found for the tests.", hint="Install one: pip install 'truing[test]'")
    return servers.get(request.param)


@pytest.fixture
def scratch(cluster: Cluster, servers: Servers) -> Scratch:
    """Throw-away databases on the shared server."""
    return servers.scratch(cluster)


@pytest.fixture
def make_database(cluster: Cluster, scratch: Scratch) -> Iterator[Callable[..., Database]]:
    """A function that gives one more database (`template=` copies one), dropped after the test."""
    made: list[Database] = []

    def make(name: str | None = None, template: str | None = None) -> Database:
        made.append(Database(cluster, scratch.create(name, template)))
        return made[-1]

    yield make
    cluster.start()
    for database in made:
        database.close()
        scratch.drop(database.name)
    for database in made:
        database.drop_roles()


@pytest.fixture
def database(make_database: Callable[..., Database]) -> Database:
    """An empty database of the test's own."""
    return make_database()


@pytest.fixture
def connect(database: Database) -> Callable[..., psycopg.Connection[Any]]:
    """A function that gives connections to `database`."""
    return database.connect


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--pg", default=None, help="PostgreSQL majors to test with: 15,18 or all (TRUING_TEST_PG)")


def pytest_configure(config: pytest.Config) -> None:
    try:
        config.stash[CHOSEN] = _choose(config.getoption("--pg") or os.environ.get("TRUING_TEST_PG") or "")
    except ServerError as error:
        raise pytest.UsageError(str(error)) from error


def pytest_report_header(config: pytest.Config) -> list[str]:
    return [f"server: {binaries}" for binaries in config.stash[CHOSEN]] or ["server: no PostgreSQL was found"]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "cluster" in metafunc.fixturenames:
        chosen: list[Binaries | None] = [*metafunc.config.stash[CHOSEN]] or [None]
        ids = [f"pg{binaries.version.major}" if binaries else "no-server" for binaries in chosen]
        metafunc.parametrize("cluster", chosen, ids=ids, indirect=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for marker in item.iter_markers("pg"):
            callspec = getattr(item, "callspec", None)
            if callspec is None or "cluster" not in callspec.params:
                raise pytest.UsageError(f"{item.nodeid} is marked pg{marker.args}, but uses no server")
            binaries = callspec.params["cluster"]
            if binaries and not _satisfies(binaries.version.major, marker.args[0]):
                item.add_marker(
                    pytest.mark.skip(reason=f"needs PostgreSQL {marker.args[0]}, this is {binaries.version}")
                )


def _choose(asked: str) -> tuple[Binaries, ...]:
    majors = sorted(
        {each.version.major for each in available() if each.version.major >= OLDEST_SUPPORTED}, reverse=True
    )
    if not asked:
        return (find(),) if majors else ()
    wanted = majors if asked == "all" else [int(major) for major in asked.split(",")]
    missing = [str(major) for major in wanted if major not in majors]
    if missing:
        raise pytest.UsageError(f"--pg: no PostgreSQL {', '.join(missing)} was found, there is {majors}")
    return tuple(find(major) for major in wanted)


def _satisfies(major: int, condition: str) -> bool:
    compare = {">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt, "==": operator.eq}
    match = re.fullmatch(r"(>=|<=|==|>|<)\s*(\d+)", condition)
    if match is None:
        raise pytest.UsageError(f"pg marker: {condition!r} is not like '>=16'")
    return compare[match[1]](major, int(match[2]))
