"""Alembic operations on a test's database, as a revision would call them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext

from tests.fix_server import Database
from truing.online.events import Event, current_observer
from truing.online.settings import OnlineSettings


@contextmanager
def migrating(url: str, **opts: Any) -> Iterator[Operations]:
    """Give Alembic's operations in a transaction, as env.py would."""
    engine = sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://"), poolclass=sa.NullPool)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"transaction_per_migration": True, **opts})
        with context.begin_transaction(_per_migration=True):
            yield Operations(context)


@pytest.fixture
def op(database: Database) -> Iterator[Operations]:
    settings = OnlineSettings(lock_budget_s=20, patience_s=5)
    with migrating(database.url, truing_settings=settings) as operations:
        yield operations


@pytest.fixture
def events() -> Iterator[list[Event]]:
    """Everything that runs in this test tells."""
    seen: list[Event] = []
    token = current_observer.set(seen.append)
    yield seen
    current_observer.reset(token)


@pytest.fixture
def sql(connect: Callable[..., psycopg.Connection[Any]]) -> Callable[..., list[tuple[Any, ...]]]:
    """Run SQL and return its rows."""
    connection = connect()

    def run(statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        cursor = connection.execute(statement, parameters or None)
        return cursor.fetchall() if cursor.description else []

    return run
