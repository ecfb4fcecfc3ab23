"""What blocks a lock is named, with what a person needs to act; also to a role that may not see much."""

from __future__ import annotations

import threading
import time

import psycopg
import pytest

from truing.catalog.blockers import Blocker, blockers, blocking
from truing.locks import LockMode, TableLock
from truing.names import QualifiedName
from truing.server import Cluster

TABLE = QualifiedName('S "1', "t'able")
T = TABLE.sql
SET_BACK = (
    "SET allow_system_table_mods = on; UPDATE pg_class SET relfrozenxid ="
    " ((txid_current() - 100001 + 4294967296) % 4294967296)::text::xid WHERE relname = 't''able'"
)


@pytest.fixture
def table(database):
    database.execute(
        f'CREATE SCHEMA "S ""1"; CREATE TABLE {T} (id int PRIMARY KEY, a text); INSERT INTO {T} VALUES (1)'
    )
    return database


def open_transaction(database, statement, name="the app"):
    connection = database.connect(autocommit=False, application_name=name)
    connection.execute(statement)
    return connection


def eventually(look, seconds=10):
    """Until the look is true, which another session brings about."""
    end = time.monotonic() + seconds
    while not (result := look()) and time.monotonic() < end:
        time.sleep(0.02)
    return result


def test_a_quiet_database_has_none(table):
    assert blockers(table.connect(), [TABLE]) == ()


def test_an_idle_transaction_that_has_read_the_table(table):
    holder = open_transaction(table, f"SELECT * FROM {T}")
    (blocker,) = blockers(table.connect(), [TABLE])
    assert (blocker.kind, blocker.pid, blocker.name) == ("transaction", holder.info.backend_pid, "the app")
    assert (blocker.state, blocker.user) == ("idle in transaction", holder.info.user)
    assert blocker.locks == (TableLock(TABLE, LockMode.ACCESS_SHARE),)
    assert 0 <= blocker.age < 60
    assert blocker.query is None
    assert blocker.blocks(TableLock(TABLE, LockMode.ACCESS_EXCLUSIVE))
    assert not blocker.blocks(TableLock(TABLE, LockMode.SHARE_ROW_EXCLUSIVE))
    assert not blocker.blocks(TableLock(QualifiedName("S", "t"), LockMode.ACCESS_EXCLUSIVE))
    assert "the app" in str(blocker)
    assert "idle in transaction" in str(blocker)


def test_the_query_is_told_only_when_asked_for(table):
    holder = open_transaction(table, f"SELECT 'a secret' FROM {T}")
    (blocker,) = blockers(table.connect(), [TABLE], verbose=True)
    assert "a secret" in blocker.query
    holder.rollback()
    assert blockers(table.connect(), [TABLE]) == ()


def test_every_mode_is_known(table):
    holder = table.connect(autocommit=False)
    for mode in LockMode:
        holder.execute(f"LOCK TABLE {T} IN {mode.sql} MODE")
        assert TableLock(TABLE, mode) in blockers(table.connect(), [TABLE])[0].locks
        holder.rollback()


def test_a_serializable_reader_holds_no_table_lock_of_another_kind(table):
    holder = table.connect(autocommit=False)
    holder.isolation_level = psycopg.IsolationLevel.SERIALIZABLE
    holder.execute(f"SELECT * FROM {T}")
    assert blockers(table.connect(), [TABLE])[0].locks == (TableLock(TABLE, LockMode.ACCESS_SHARE),)


def test_a_transaction_elsewhere_counts_when_it_is_old(table):
    open_transaction(table, "SELECT 1")
    assert blockers(table.connect(), [TABLE]) == ()
    (blocker,) = eventually(lambda: blockers(table.connect(), [TABLE], older_than=0.2))
    assert blocker.locks == ()
    assert not blocker.holds_snapshot


def test_a_snapshot_that_is_held(table):
    holder = table.connect(autocommit=False)
    holder.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    holder.execute("SELECT 1")
    (blocker,) = eventually(lambda: blockers(table.connect(), older_than=0.01))
    assert blocker.holds_snapshot


def test_transactions_of_another_database_do_not_count(table, make_database):
    open_transaction(make_database(), "CREATE TABLE t (a int)")
    time.sleep(0.1)
    assert blockers(table.connect(), [TABLE], older_than=0.05) == ()


def test_a_prepared_transaction(table):
    connection = table.connect()
    connection.execute("BEGIN")
    connection.execute(f"UPDATE {T} SET a = 'x'")
    connection.execute("PREPARE TRANSACTION 'it''s \"one\"'")
    (blocker,) = blockers(connection, [TABLE])
    try:
        assert (blocker.kind, blocker.name, blocker.pid, blocker.state) == (
            "prepared-transaction",
            'it\'s "one"',
            None,
            "prepared",
        )
        assert TableLock(TABLE, LockMode.ROW_EXCLUSIVE) in blocker.locks
        waiter = Waiter(table)
        (chain,) = eventually(lambda: blocking(connection, waiter.pid))
        assert (chain.pid, chain.state, chain.blocks) == (0, "prepared", waiter.pid)
        assert str(chain) == "a prepared transaction"
    finally:
        connection.execute("ROLLBACK PREPARED 'it''s \"one\"'")
    waiter.join()


def test_a_replication_slot_nobody_reads(table):
    connection = table.connect()
    connection.execute("SELECT pg_create_logical_replication_slot('slot_of_truing', 'pgoutput')")
    try:
        (blocker,) = blockers(connection)
        assert (blocker.kind, blocker.name, blocker.state, blocker.user) == (
            "replication-slot",
            "slot_of_truing",
            "inactive",
            "pgoutput",
        )
    finally:
        connection.execute("SELECT pg_drop_replication_slot('slot_of_truing')")


def test_a_table_that_autovacuum_will_freeze_soon(table):
    """The lowest limit is 100,000 transactions; instead of making them, the table's mark is set back."""
    table.execute(f"ALTER TABLE {T} SET (autovacuum_freeze_max_age = 100000)")
    for _ in range(3):
        table.execute("SELECT txid_current()")
    assert blockers(table.connect(), [TABLE]) == ()
    table.execute(SET_BACK)
    (blocker,) = blockers(table.connect(), [TABLE])
    assert (blocker.kind, blocker.name) == ("wraparound-due", T)
    assert blocker.age >= 100_000
    assert "transactions ago" in str(blocker)


def test_a_vacuum_that_does_not_give_way(cluster):
    """A server of its own whose autovacuum finds the table at once, and is slow."""
    settings = {
        "autovacuum_naptime": "1s",
        "autovacuum_vacuum_cost_delay": "100ms",
        "autovacuum_vacuum_cost_limit": 1,
        "max_prepared_transactions": 2,
    }
    with Cluster(cluster.binaries, settings=settings) as own, psycopg.connect(own.dsn(), autocommit=True) as connection:
        connection.execute(
            f'CREATE SCHEMA "S ""1"; CREATE TABLE {T} (a text) WITH (autovacuum_freeze_max_age = 100000);'
            f"INSERT INTO {T} SELECT repeat('x', 1000) FROM generate_series(1, 3000)"
        )
        connection.execute(SET_BACK)
        kinds = eventually(
            lambda: [b for b in blockers(connection, [TABLE]) if b.kind == "wraparound-vacuum"], seconds=60
        )
        assert kinds[0].locks == (TableLock(TABLE, LockMode.SHARE_UPDATE_EXCLUSIVE),)
        assert kinds[0].name == "autovacuum worker"


def test_inside_one_transaction_it_looks_anew(table):
    connection = table.connect()
    with connection.transaction():
        assert blockers(connection, [TABLE]) == ()
        open_transaction(table, f"SELECT * FROM {T}")
        assert len(blockers(connection, [TABLE])) == 1


def test_tables_that_are_not_there(table):
    assert blockers(table.connect(), [QualifiedName("no", "such")]) == ()


def test_a_role_that_may_only_connect_is_told_what_it_may_know(table):
    holder = open_transaction(table, f"SELECT * FROM {T}")
    role = table.role()
    with psycopg.connect(table.url_as(role), autocommit=True) as connection:
        (blocker,) = blockers(connection, [TABLE], verbose=True)
        assert (blocker.pid, blocker.name, blocker.hidden) == (holder.info.backend_pid, "the app", True)
        assert (blocker.state, blocker.age) == ("", None)
        assert blocker.locks == (TableLock(TABLE, LockMode.ACCESS_SHARE),)
        assert "hidden" in str(blocker)
        waiter = Waiter(table)
        (chain,) = eventually(lambda: blocking(connection, waiter.pid))
        assert (chain.pid, chain.hidden, chain.state) == (holder.info.backend_pid, True, "")
    holder.rollback()
    waiter.join()


# -- who waits for whom ------------------------------------------------------------------------------------------------


class Waiter:
    """A session that wants a lock, in a thread of its own."""

    def __init__(self, database, mode=LockMode.ACCESS_EXCLUSIVE, name="waiter"):
        self.connection = database.connect(autocommit=False, application_name=name)
        self.pid = self.connection.info.backend_pid
        self._thread = threading.Thread(target=self._run, args=(mode,))
        self._thread.start()

    def _run(self, mode):
        self.connection.execute(f"LOCK TABLE {T} IN {mode.sql} MODE")
        self.connection.rollback()

    def join(self):
        self._thread.join(10)
        assert not self._thread.is_alive()


def test_nobody_blocks(table):
    connection = table.connect()
    assert blocking(table.connect(), connection.info.backend_pid) == ()
    assert blocking(table.connect(), 2**31 - 1) == ()


def test_the_chain_from_the_waiter_to_the_one_who_holds(table):
    holder = open_transaction(table, f"SELECT * FROM {T}", name="holder")
    middle = Waiter(table, name="middle")
    look = table.connect()
    assert eventually(lambda: blocking(look, middle.pid))
    last = Waiter(table, LockMode.ROW_EXCLUSIVE, name="last")
    chain = eventually(lambda: blocking(look, last.pid))
    # The last one waits behind the middle one, which waits for the holder.
    assert [(w.name, w.blocks, w.depth) for w in chain] == [("middle", last.pid, 1), ("holder", middle.pid, 2)]
    assert (chain[0].waits_for, chain[0].waits_mode) == (TABLE, LockMode.ACCESS_EXCLUSIVE)
    assert (chain[1].waits_for, chain[1].state) == (None, "idle in transaction")
    assert chain[1].state_age <= chain[1].age
    assert chain[1].query is None
    assert f"waits for ACCESS EXCLUSIVE on {T}" in str(chain[0])
    assert blocking(look, last.pid, verbose=True)[1].query.startswith("SELECT")
    holder.rollback()
    middle.join()
    last.join()


def test_row_locks_are_chains_too(table):
    holder = open_transaction(table, f"UPDATE {T} SET a = 'h'", name="holder")
    second = table.connect(application_name="second")
    thread = threading.Thread(target=second.execute, args=(f"UPDATE {T} SET a = 's'",))
    thread.start()
    chain = eventually(lambda: blocking(table.connect(), second.info.backend_pid))
    assert [w.name for w in chain] == ["holder"]
    holder.rollback()
    thread.join(10)


@pytest.mark.parametrize(
    ("age", "text"),
    [(0.25, "for 0.2 s"), (59.9, "for 59.9 s"), (61, "for 1 min 1 s"), (3600 * 27 + 61, "for 27 h 1 min")],
)
def test_ages_are_readable(age, text):
    assert str(Blocker(kind="transaction", pid=7, name="n", age=age)) == f"transaction n (pid 7) {text}"
