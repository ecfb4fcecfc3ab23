"""The conflict table of lock modes, taken on a real server: one session holds a mode, another one asks for the next."""

from __future__ import annotations

import psycopg
import pytest

from truing.locks import LockMode, TableLock
from truing.names import QualifiedName

TABLE = QualifiedName('we"ird', "select")


@pytest.fixture
def sessions(database):
    database.execute(f'CREATE SCHEMA "we""ird"; CREATE TABLE {TABLE.sql} (a int); INSERT INTO {TABLE.sql} VALUES (1)')
    holder, asker = database.connect(autocommit=False), database.connect(autocommit=False)
    asker.execute("SET lock_timeout = '100ms'")
    asker.commit()
    return holder, asker


def granted(connection: psycopg.Connection, statement: str) -> bool:
    try:
        connection.execute(statement.encode())
    except psycopg.errors.LockNotAvailable:
        return False
    finally:
        connection.rollback()
    return True


def take(mode: LockMode) -> str:
    return f"LOCK TABLE {TABLE.sql} IN {mode.sql} MODE"


@pytest.mark.parametrize("held", LockMode, ids=lambda mode: mode.name.lower())
def test_conflicts_are_those_of_the_server(sessions, held):
    holder, asker = sessions
    holder.execute(take(held).encode())
    refused = {asked for asked in LockMode if not granted(asker, take(asked) + " NOWAIT")}
    assert refused == {asked for asked in LockMode if held.conflicts_with(asked)}


@pytest.mark.parametrize("held", LockMode, ids=lambda mode: mode.name.lower())
def test_reads_and_writes_are_blocked_as_the_mode_says(sessions, held):
    holder, asker = sessions
    holder.execute(take(held).encode())
    assert granted(asker, f"SELECT * FROM {TABLE.sql}") is not held.blocks_reads
    for write in ("INSERT INTO {} VALUES (2)", "UPDATE {} SET a = 3", "DELETE FROM {}"):
        assert granted(asker, write.format(TABLE.sql)) is not held.blocks_writes


@pytest.mark.parametrize("mode", LockMode, ids=lambda mode: mode.name.lower())
def test_modes_have_the_servers_names(sessions, mode):
    holder, _ = sessions
    holder.execute(take(mode).encode())
    (named,) = holder.execute(
        "SELECT mode FROM pg_locks WHERE pid = pg_backend_pid() AND relation = %s::regclass", [TABLE.sql]
    ).fetchone()
    assert named == mode.name.title().replace("_", "") + "Lock"
    assert str(TableLock(TABLE, mode)) == f'{mode.sql} on "we""ird"."select"'


def test_a_conflict_goes_both_ways():
    assert {(a, b) for a in LockMode for b in LockMode if a.conflicts_with(b)} == {
        (b, a) for a in LockMode for b in LockMode if a.conflicts_with(b)
    }
