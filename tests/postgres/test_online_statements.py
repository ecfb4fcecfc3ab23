"""op.execute_online runs a person's own statements under a short lock that nobody queues behind."""

from __future__ import annotations

import threading
import time

import psycopg
import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import create_engine

from truing.errors import OnlineError, UsageError


@pytest.fixture
def engine(database):
    database.execute(
        "CREATE TABLE t (a int); ALTER TABLE t ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON t USING (true)"
    )
    engine = create_engine(database.url)
    yield engine
    engine.dispose()


def run(engine, *arguments, prepare="SELECT 1", **options):
    with engine.connect() as connection:
        connection.exec_driver_sql(prepare)
        connection.commit()
        context = MigrationContext.configure(connection, opts={"transaction_per_migration": True})
        with context.begin_transaction(_per_migration=True):
            Operations(context).execute_online(*arguments, **options)


def policy(database):
    return database.execute("SELECT qual FROM pg_policies WHERE policyname = 'p'")[0][0]


def test_statements_run_together_or_not_at_all(engine, database):
    with pytest.raises((OnlineError, psycopg.Error)):
        run(engine, "t", ["ALTER POLICY p ON t USING (false)", "ALTER TABLE t ALTER nothing SET NOT NULL"])
    assert policy(database) == "true"
    run(engine, "t", ["ALTER POLICY p ON t USING (false)", "ALTER TABLE t ALTER a SET NOT NULL"])
    assert policy(database) == "false"


def test_names_are_found_as_in_the_revision(engine, database):
    database.execute('CREATE SCHEMA "My ""App"""; CREATE TABLE "My ""App""".t (a int)')
    run(engine, "t", ["ALTER TABLE t ALTER a SET NOT NULL"], prepare='SET search_path TO "My ""App"""')
    assert database.execute(
        "SELECT attrelid::regclass::text FROM pg_attribute WHERE attname = 'a' AND attnotnull AND attrelid > 16384"
    ) == [('"My ""App""".t',)]


def test_an_idle_reader_stops_nobody_else(engine, database):
    """A plain ALTER POLICY would queue behind the reader, and every other reader behind it."""
    reader = database.connect(autocommit=False)
    reader.execute("SELECT * FROM t")
    worker = threading.Thread(target=run, args=(engine, "t", ["ALTER POLICY p ON t USING (false)"]))
    worker.start()
    other, longest, until = database.connect(), 0.0, time.monotonic() + 4
    while time.monotonic() < until:
        began = time.monotonic()
        other.execute("SELECT * FROM t")
        longest = max(longest, time.monotonic() - began)
    assert policy(database) == "true"
    reader.rollback()
    worker.join(timeout=20)
    assert not worker.is_alive()
    assert policy(database) == "false"
    assert longest < 1.0


def test_an_unknown_lock_is_refused(engine):
    with pytest.raises(UsageError, match="no table lock"):
        run(engine, "t", ["SELECT 1"], lock="VERY EXCLUSIVE")
