"""Databases with the RBAC tables: `engine` (empty), `legacy` (at the baseline, dirty), `world` (to ask), `isolated` (to break in)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import Engine, create_engine

from tests.fix_server import Database, Servers
from tests.rbac_isolation import Isolated
from tests.rbac_world import World, prepare
from tests.supabase import EMPTY
from truing.rbac.program.binding import Binding
from truing.server import Cluster

if TYPE_CHECKING:
    from truing.rbac.legacy import Inventory


@pytest.fixture
def engine(database: Database) -> Iterator[Engine]:
    """An engine on a database of the test's own."""
    engine = create_engine(database.url)
    yield engine
    engine.dispose()


@pytest.fixture
def legacy(engine: Engine) -> Inventory:
    """Fill that database with the legacy tables and 1,000 profiles."""
    # Imported here, because Alembic takes a third of a second that most tests do not need.
    from truing.rbac.legacy import build_legacy  # noqa: PLC0415

    with engine.connect() as connection:
        return build_legacy(connection, tenants=20, profiles=1_000, seed=7, dirty_fraction=0.1)


class Prepared:
    """Databases with the RBAC tables and program, one for each server, to copy from: making one takes seconds."""

    def __init__(self, servers: Servers) -> None:
        self._servers = servers
        self._made: dict[tuple[Cluster, str, str, str], str] = {}

    def on(self, cluster: Cluster, schema: str = "public", name: str = "rbac", profile: str = "") -> str:
        key = cluster, schema, name, profile
        if key not in self._made:
            scratch = self._servers.scratch(cluster).create()
            engine = create_engine(scratch.url)
            if profile == "supabase":
                Database(cluster, scratch).execute(EMPTY)
            prepare(engine, schema=schema, name=name, profile=profile)
            engine.dispose()
            self._made[key] = scratch.name
        return self._made[key]


@pytest.fixture(scope="session")
def prepared(servers: Servers) -> Prepared:
    """Templates of RBAC databases."""
    return Prepared(servers)


@pytest.fixture
def rbac_database(make_database: Callable[..., Database], prepared: Prepared, cluster: Cluster) -> Database:
    """A database of the test's own with the RBAC tables and program, in the schema public."""
    return make_database(template=prepared.on(cluster))


@pytest.fixture
def isolated(make_database: Callable[..., Database], prepared: Prepared, cluster: Cluster) -> Callable[..., Isolated]:
    """A function that makes a database at head with two tenants, bound as it is told."""

    def make(bind: Binding = "setting") -> Isolated:
        profile = bind if bind == "supabase" else ""
        return Isolated(make_database(template=prepared.on(cluster, profile=profile)), bind=bind)

    return make


@pytest.fixture
def world(rbac_database: Database) -> Iterator[World]:
    """A connection to that database, and short words to put things into it."""
    engine = create_engine(rbac_database.url)
    world = World(engine)
    yield world
    world.close()
    engine.dispose()
