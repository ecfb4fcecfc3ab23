"""The laws of drift, for schemas that nobody thought of: a database does not differ from itself, and a fix that is offered fixes.

A bounded number of pairs, the same in each run; TRUING_PAIRS=600 makes it a search, with other pairs each time.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
import sqlalchemy
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy.dialects import postgresql

from tests.postgres.drift_schemas import World, edited, statements, worlds
from truing.catalog.diff import compare
from truing.catalog.model import Snapshot
from truing.catalog.read import read_snapshot
from truing.drift.comparing.compare import Sides, compare_sides
from truing.drift.comparing.equivalent import Judge
from truing.drift.fixing.prove import remedies

pairs = worlds().flatmap(lambda world: st.tuples(st.just(world), edited(world)))


class Bench:
    """One database in which worlds are built, one after the other, and the count of what was offered."""

    def __init__(self, database: Any) -> None:
        self._database = database
        self.engine = sqlalchemy.create_engine(database.url)
        self.drifts = self.offered = self.undone = self.brought_back = 0

    def close(self) -> None:
        self.engine.dispose()

    @contextmanager
    def built(self, world: World) -> Iterator[sqlalchemy.Connection]:
        """A transaction in which the world is as it was drawn; it is rolled back."""
        with self.engine.connect() as connection:
            for statement in statements(world):
                _execute(connection, statement)
            yield connection
            connection.rollback()

    def keep(self, world: World) -> None:
        """Build it for other connections to see."""
        with self.engine.begin() as connection:
            for statement in statements(world):
                _execute(connection, statement)

    def fixes(self, sides: Sides) -> tuple[set[tuple[str, str]], dict[tuple[str, str], str]]:
        """What differs, and what is offered; the database holds `sides.head`."""
        judge = Judge(lambda: psycopg.connect(self._database.dsn, autocommit=True))
        try:
            drifts = compare_sides(sides, judge).drifts
            offered = remedies(drifts, sides, self._database.url, lambda it: it, judge)
            return {each.identity for each in drifts}, {told[:2]: text for told, text in offered.items()}
        finally:
            judge.close()


def _execute(connection: sqlalchemy.Connection, statement: str) -> None:
    connection.connection.driver_connection.execute(statement.encode(), prepare=False)


def _seen(connection: sqlalchemy.Connection) -> Snapshot:
    return read_snapshot(connection.connection.driver_connection)


def _apply(connection: sqlalchemy.Connection, texts: list[str]) -> list[str]:
    """Paste the texts into one revision, in an order in which they can run; gives those that never can."""
    space = {"op": Operations(MigrationContext.configure(connection)), "sa": sqlalchemy, "postgresql": postgresql}
    waiting = list(texts)
    for _ in texts:
        for text in tuple(waiting):
            try:
                with connection.begin_nested():
                    exec(text, space)  # noqa: S102 - what a person would paste
            except sqlalchemy.exc.SQLAlchemyError:
                continue
            waiting.remove(text)
    return waiting


def _part(remedy: str, opening: str) -> str | None:
    """The code under a heading of a remedy."""
    below = remedy.partition(opening)[2]
    return below.partition(":\n")[2].partition("\nTo undo it on the live database")[0] or None


def _law(bench: Bench, one: World, other: World) -> None:
    bench.keep(one)
    with bench.built(one) as connection:
        a = _seen(connection)
    with bench.built(other) as connection:
        b = _seen(connection)
    assert compare(a, a) == compare(b, b) == ()
    assert compare(b, a) == tuple(each.reverse for each in compare(a, b))
    assert compare_sides(Sides(models=a, head=a, live=a)).drifts == ()
    _live(bench, a, b, one, other)
    _models(bench, a, b, one)


def _live(bench: Bench, a: Snapshot, b: Snapshot, one: World, other: World) -> None:
    """The live database was edited: each fix that is offered keeps the edit, or undoes it."""
    found, offered = bench.fixes(Sides(head=a, live=b))
    keep = {identity: _part(text, "To keep it") for identity, text in offered.items()}
    undo = {identity: _part(text, "To undo it") for identity, text in offered.items()}
    undo = {identity: text for identity, text in undo.items() if text}
    bench.drifts += len(found)
    bench.offered += len(keep)
    bench.undone += len(undo)
    with bench.built(one) as connection:
        assert _apply(connection, list(keep.values())) == []
        left = {each.identity for each in compare_sides(Sides(head=_seen(connection), live=b)).drifts}
        assert left <= found - keep.keys()
    if len(undo) == len(found):
        with bench.built(other) as connection:
            assert _apply(connection, list(undo.values())) == []
            assert compare(a, _seen(connection)) == ()
        bench.brought_back += 1


def _models(bench: Bench, a: Snapshot, b: Snapshot, one: World) -> None:
    """The models have moved: each fix that is offered brings the migrations after them."""
    found, offered = bench.fixes(Sides(models=b, head=a))
    bench.drifts += len(found)
    bench.offered += len(offered)
    with bench.built(one) as connection:
        assert _apply(connection, [text.partition(":\n")[2] for text in offered.values()]) == []
        left = {each.identity for each in compare_sides(Sides(models=b, head=_seen(connection))).drifts}
        assert left <= found - offered.keys()


@pytest.fixture
def bench(database):
    bench = Bench(database)
    yield bench
    bench.close()


PAIRS = os.environ.get("TRUING_PAIRS", "")


def _hold(bench: Bench, examples: int) -> None:
    ran = []

    # Shrinking a pair takes many minutes; what fails is said as it was drawn.
    @settings(
        max_examples=examples,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
        derandomize=not PAIRS,
        report_multiple_bugs=False,
        database=None,
    )
    @given(pairs)
    def law(pair: tuple[World, World]) -> None:
        ran.append(pair)
        _law(bench, *pair)

    law()
    assert len(ran) >= examples
    assert bench.drifts > examples
    # A law about fixes says nothing where none is offered.
    assert bench.offered > 0.7 * bench.drifts
    assert bench.undone > 0.3 * bench.drifts
    assert bench.brought_back > 0.3 * examples


def test_no_database_differs_from_itself_and_a_fix_that_is_offered_fixes(bench):
    _hold(bench, 25)


@pytest.mark.slow
def test_the_laws_hold_for_many(bench):
    _hold(bench, int(PAIRS or 60))
