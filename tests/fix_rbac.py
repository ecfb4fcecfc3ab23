"""Databases with the RBAC tables: `engine` (empty), `legacy` (at the baseline, dirty), `world` (to ask)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import Engine, create_engine

from tests.fix_server import Database
from tests.rbac_world import World

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


@pytest.fixture
def world(engine: Engine) -> Iterator[World]:
    """An RBAC database with its program, in the schema public."""
    world = World(engine)
    yield world
    world.close()
