"""Fixes that change a column or an enum in place: what rows hold stays, or the server refuses."""

from __future__ import annotations

import psycopg
import pytest
import sqlalchemy
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from sqlalchemy.dialects import postgresql

from truing.catalog.read import read_snapshot
from truing.drift.compare import Sides, compare_sides
from truing.drift.equivalent import Judge
from truing.drift.prove import remedies

ENUM = """CREATE SCHEMA "s S"; CREATE TYPE "s S"."m""ood" AS ENUM ({labels});"""
MOODY = """
CREATE TABLE "s S".t (id integer PRIMARY KEY, mood "s S"."m""ood" NOT NULL DEFAULT 'ok', moods "s S"."m""ood"[]);
CREATE TABLE "s S".p (mood "s S"."m""ood") PARTITION BY HASH (mood);
CREATE TABLE "s S".p_0 PARTITION OF "s S".p FOR VALUES WITH (MODULUS 1, REMAINDER 0);
"""
PLAIN_MOODY = MOODY.partition('CREATE TABLE "s S".p ')[0]
COMPUTED = "CREATE TABLE t (a integer, b integer GENERATED ALWAYS AS ({}) STORED)"
CASES = {
    "a label goes": (
        ENUM.format(labels="'sad', 'ok', 'happy'") + PLAIN_MOODY,
        ENUM.format(labels="'ok', 'happy'") + PLAIN_MOODY,
        """INSERT INTO "s S".t VALUES (1, 'happy', '{ok,happy}')""",
        """SELECT mood::text, moods::text FROM "s S".t""",
        ("happy", "{ok,happy}"),
    ),
    "labels change places": (
        ENUM.format(labels="'sad', 'ok'") + PLAIN_MOODY,
        ENUM.format(labels="'ok', 'sad'") + PLAIN_MOODY,
        """INSERT INTO "s S".t VALUES (1, 'sad', NULL)""",
        """SELECT mood::text, mood > 'ok' FROM "s S".t""",
        ("sad", True),
    ),
    "another expression": (
        COMPUTED.format("a + 1"),
        COMPUTED.format("a + 2"),
        "INSERT INTO t VALUES (1)",
        "SELECT a, b FROM t",
        (1, 3),
    ),
    "another expression and type": (
        COMPUTED.format("a + 1"),
        "CREATE TABLE t (a integer, b text GENERATED ALWAYS AS ((a + 1)::text) STORED)",
        "INSERT INTO t VALUES (1)",
        "SELECT a, b FROM t",
        (1, "2"),
    ),
    "no expression": (
        COMPUTED.format("a + 1"),
        "CREATE TABLE t (a integer, b bigint DEFAULT 7)",
        "INSERT INTO t VALUES (1)",
        "SELECT a, b FROM t",
        (1, 2),
    ),
    "another enum": (
        "CREATE TYPE one AS ENUM ('a', 'b'); CREATE TYPE two AS ENUM ('b', 'a'); CREATE TABLE t (m one, n one[])",
        "CREATE TYPE one AS ENUM ('a', 'b'); CREATE TYPE two AS ENUM ('b', 'a'); CREATE TABLE t (m two, n two[])",
        "INSERT INTO t VALUES ('a', '{a,b}')",
        "SELECT m::text, n::text FROM t",
        ("a", "{a,b}"),
    ),
}


def offered(have, want):
    """What differs between two databases, and what is offered for it, by object."""
    with psycopg.connect(have.dsn) as one, psycopg.connect(want.dsn) as other:
        sides = Sides(head=read_snapshot(one), models=read_snapshot(other))
    judge = Judge(lambda: psycopg.connect(have.dsn, autocommit=True))
    try:
        drifts = compare_sides(sides, judge).drifts
        return {each.identity for each in drifts}, remedies(drifts, sides, have.url, lambda it: it, judge)
    finally:
        judge.close()


def paste(database, text):
    """Run a remedy as the revision that a person would make of it."""
    engine = sqlalchemy.create_engine(database.url, poolclass=sqlalchemy.pool.NullPool)
    with engine.begin() as connection:
        space = {"op": Operations(MigrationContext.configure(connection)), "sa": sqlalchemy, "postgresql": postgresql}
        exec(text.partition(":\n")[2], space)  # noqa: S102 - what a person would paste


@pytest.mark.parametrize("case", CASES)
def test_a_fix_in_place_keeps_what_rows_hold(make_database, case):
    before, after, row, question, answer = CASES[case]
    have, want = make_database(), make_database()
    have.execute(before)
    want.execute(after)
    drifts, fixes = offered(have, want)
    assert fixes.keys() == drifts, case
    have.execute(row)
    for text in fixes.values():
        paste(have, text)
    with psycopg.connect(have.dsn) as connection:
        assert connection.execute(question).fetchone() == answer
    assert offered(have, want) == (set(), {})


def test_a_row_with_the_label_that_goes_is_refused_and_nothing_has_changed(make_database):
    have, want = make_database(), make_database()
    have.execute(ENUM.format(labels="'sad', 'ok'") + PLAIN_MOODY)
    want.execute(ENUM.format(labels="'ok'") + PLAIN_MOODY)
    _, fixes = offered(have, want)
    have.execute("""INSERT INTO "s S".t VALUES (1, 'sad')""")
    (text,) = fixes.values()
    with pytest.raises(sqlalchemy.exc.DataError, match="sad"):
        paste(have, text)
    with psycopg.connect(have.dsn) as connection:
        assert connection.execute("""SELECT mood::text FROM "s S".t""").fetchone() == ("sad",)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        # Its values are a person's, and would be computed over.
        ("CREATE TABLE t (a integer, b integer)", COMPUTED.format("a + 1")),
        # A partition key cannot change its type.
        (ENUM.format(labels="'a', 'ok'") + MOODY, ENUM.format(labels="'ok'") + MOODY),
    ],
)
def test_what_would_lose_values_or_cannot_be_done_is_not_offered(make_database, before, after):
    have, want = make_database(), make_database()
    have.execute(before)
    want.execute(after)
    drifts, fixes = offered(have, want)
    assert drifts
    assert fixes == {}
