"""What is said of each side is what that side says: of an object that it has not got, it says nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import psycopg
import pytest

from tests.project import make_project
from truing.catalog.read import read_snapshot
from truing.drift import live
from truing.drift.comparing.compare import Sides, compare_sides
from truing.drift.model import Tier
from truing.errors import CatalogError


@pytest.fixture
def drifts(make_database):
    """A function that compares sides, given as SQL: (name, attribute) -> what models, migrations and live say of it."""

    def compare(**sides):
        snapshots = {}
        for side, text in sides.items():
            database = make_database()
            database.execute(text)
            snapshots[side] = read_snapshot(database.connect())
        found = compare_sides(Sides(**snapshots)).drifts
        said = {(each.name, aspect.attribute): aspect for each in found for aspect in each.aspects}
        return {key: (each.models, each.migrations, each.live) for key, each in said.items()}

    return compare


def test_a_side_that_lacks_an_object_does_not_speak_of_it(drifts):
    table = "CREATE TABLE t (a integer{});"
    assert drifts(models=table.format(""), head=table.format(", b text"), live=table.format(", b uuid")) == {
        ("public.t.b", ""): (None, "text", "uuid"),
        ("public.t.b", "type"): (None, "text", "uuid"),
    }
    assert drifts(models=table.format(", b uuid"), head=table.format(", b text"), live=table.format("")) == {
        ("public.t.b", ""): ("uuid", "text", None),
        ("public.t.b", "type"): ("uuid", "text", None),
    }


def test_a_partition_is_no_table_that_was_renamed(drifts):
    table = "CREATE TABLE p (id integer) PARTITION BY HASH (id);"
    of = "PARTITION OF p FOR VALUES WITH (MODULUS 1, REMAINDER 0)"
    assert set(drifts(models=f"{table} CREATE TABLE other (id integer)", head=f"{table} CREATE TABLE p_0 {of}")) == {
        ("public.other", "")
    }
    renamed = drifts(head=f"{table} CREATE TABLE p_0 {of}", live=f"{table} CREATE TABLE p_1 {of}")
    assert renamed == {("public.p_0", "name"): (None, "public.p_0", "public.p_1")}


def test_a_unique_index_that_could_not_be_built_is_no_matter_of_speed(database):
    database.execute("CREATE TABLE t (a integer); CREATE UNIQUE INDEX u ON t (a)")
    before = read_snapshot(database.connect())
    database.execute("DROP INDEX u; INSERT INTO t VALUES (1), (1)")
    with pytest.raises(psycopg.errors.UniqueViolation):
        database.execute("CREATE UNIQUE INDEX CONCURRENTLY u ON t (a)")
    found = compare_sides(Sides(head=before, live=read_snapshot(database.connect()))).drifts
    assert [(each.name, each.tier) for each in found] == [("public.u", Tier.WEAKER_INTEGRITY)]


def test_whoever_is_ended_leaves_no_database_on_the_server_of_somebody(cluster, tmp_path):
    body = f"import pathlib, time\npathlib.Path({str(tmp_path / 'begun')!r}).touch()\ntime.sleep(60)"
    make_project(tmp_path, {"one": body}, models="from sqlalchemy import MetaData\nm = MetaData()", metadata="m")
    command = [sys.executable, "-m", "truing", "drift", "--models", "--migrations", "--scratch-url", cluster.url()]
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as truing:
        try:
            deadline = time.monotonic() + 60
            while not (tmp_path / "begun").exists() and time.monotonic() < deadline:
                time.sleep(0.05)
            assert _databases(cluster, truing.pid)
            truing.terminate()
            assert truing.wait(60) == 130
        finally:
            truing.kill()
    assert _databases(cluster, truing.pid) == []


def _databases(cluster, pid):
    """The databases that a process has made."""
    with psycopg.connect(cluster.dsn()) as connection:
        rows = connection.execute("SELECT datname FROM pg_database WHERE datname LIKE %s", [f"truing\\_{pid}\\_%"])
        return rows.fetchall()


def test_nobody_waits_for_ever_for_the_table_of_alembic(database, monkeypatch):
    monkeypatch.setattr(live, "LOCK_TIMEOUT_MS", 50)
    database.execute("CREATE TABLE alembic_version (version_num text)")
    with database.connect() as holder, holder.transaction():
        holder.execute("LOCK TABLE alembic_version IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(CatalogError, match="alembic_version cannot be read now"):
            live.take(database.connect())
