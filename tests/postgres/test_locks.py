"""The conflict table of lock modes, taken on a real server: one session holds a mode, another one asks for the next."""

from __future__ import annotations

import psycopg
import pytest

from truing.locks import LockMode, TableLock
from truing.names import QualifiedName
from truing.online.statement_locks import locks_of, say
from truing.sql.lower import lower
from truing.sql.parse import parse

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


STATEMENTS = """
ALTER TABLE app.child ADD COLUMN c int
ALTER TABLE app.child ADD COLUMN c int REFERENCES app.parent
ALTER TABLE app.child DROP COLUMN n
ALTER TABLE app.child DROP COLUMN parent
ALTER TABLE app.child DROP CONSTRAINT fk
ALTER TABLE app.child RENAME COLUMN n TO m
ALTER TABLE app.child RENAME TO kid
ALTER TABLE app.child ALTER COLUMN n TYPE bigint
ALTER TABLE app.child ALTER COLUMN n SET NOT NULL
ALTER TABLE app.child ALTER COLUMN n DROP NOT NULL
ALTER TABLE app.child ALTER COLUMN n SET DEFAULT 1
ALTER TABLE app.child ADD CHECK (n > 0)
ALTER TABLE app.child ADD UNIQUE (n)
ALTER TABLE app.child ADD FOREIGN KEY (n) REFERENCES app.parent
ALTER TABLE app.child ADD FOREIGN KEY (n) REFERENCES app.parent NOT VALID
ALTER TABLE app.child VALIDATE CONSTRAINT unproved
ALTER TABLE app.child ENABLE ROW LEVEL SECURITY
CREATE INDEX ON app.child (n)
DROP INDEX app.ix
DROP TABLE app.child
CREATE TABLE app.toy (id int PRIMARY KEY, parent int REFERENCES app.parent)
CREATE POLICY q ON app.child
ALTER POLICY p ON app.child USING (true)
DROP POLICY p ON app.child
CREATE TRIGGER g AFTER INSERT ON app.child FOR EACH ROW EXECUTE FUNCTION app.nothing()
DROP TRIGGER t ON app.child
CREATE RULE r AS ON DELETE TO app.child DO ALSO NOTHING
CREATE STATISTICS app.s ON n, parent FROM app.child
COMMENT ON TABLE app.child IS 'x'
INSERT INTO app.child VALUES (1)
UPDATE app.child SET n = 1
DELETE FROM app.child
TRUNCATE app.child
ANALYZE app.child
SELECT * FROM app.child
CREATE VIEW app.v AS SELECT * FROM app.child
CREATE FUNCTION app.f() RETURNS int LANGUAGE sql AS 'SELECT 1'
ALTER TABLE app.child SET (fillfactor = 50)
ALTER TABLE app.child ALTER COLUMN n SET STATISTICS 10
ALTER TABLE app.child ALTER COLUMN n SET STATISTICS 10, DISABLE TRIGGER t
ALTER TABLE app.child ALTER COLUMN n SET (n_distinct = 5)
ALTER TABLE app.child ALTER COLUMN n SET STORAGE PLAIN
ALTER TABLE app.child CLUSTER ON ix
ALTER TABLE app.child ENABLE ALWAYS TRIGGER t
ALTER TABLE app.child ALTER CONSTRAINT fk DEFERRABLE
ALTER TABLE app.child ALTER COLUMN parent TYPE bigint
ALTER TABLE app.parent ALTER COLUMN id TYPE bigint
ALTER TABLE app.parent DROP COLUMN id CASCADE
ALTER TABLE app.parent DROP CONSTRAINT parent_pkey CASCADE
ALTER TABLE app.days ATTACH PARTITION app.loose FOR VALUES FROM (10) TO (20)
ALTER TABLE app.days DETACH PARTITION app.day
DROP TABLE app.day
DROP TABLE app.parent CASCADE
TRUNCATE app.parent CASCADE
TRUNCATE app.child, app.parent
COMMENT ON CONSTRAINT fk ON app.child IS 'x'
COMMENT ON TRIGGER t ON app.child IS 'x'
COMMENT ON COLUMN app.child.n IS 'x'
CREATE OR REPLACE VIEW app.seen AS SELECT at FROM app.loose
WITH x AS (SELECT 1) UPDATE app.child SET n = 1
WITH x AS (SELECT 1) SELECT * FROM app.child FOR UPDATE
""".strip().splitlines()

FAMILY = """
CREATE SCHEMA app; CREATE TABLE app.parent (id int PRIMARY KEY);
CREATE TABLE app.child (n int, parent int CONSTRAINT fk REFERENCES app.parent);
CREATE INDEX ix ON app.child (n); CREATE POLICY p ON app.child;
ALTER TABLE app.child ADD CONSTRAINT unproved CHECK (n > 0) NOT VALID;
CREATE FUNCTION app.nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER t AFTER INSERT ON app.child FOR EACH ROW EXECUTE FUNCTION app.nothing();
CREATE TABLE app.days (at int) PARTITION BY RANGE (at); CREATE TABLE app.loose (at int);
CREATE VIEW app.seen AS SELECT at FROM app.loose;
CREATE TABLE app.day PARTITION OF app.days FOR VALUES FROM (0) TO (10);
"""
RELATIONS = {"child", "parent", "seen", "days", "day", "loose"}


def test_ordinary_statements_lock_what_is_said_of_them(database):
    database.execute(FAMILY)
    said, seen = {}, {}
    with database.connect(autocommit=False) as connection:
        for text in STATEMENTS:
            (statement,) = parse(text)
            taken = locks_of(lower(statement), connection) or ()
            said[text] = {each.lock.table.name: each.lock.mode for each in taken}
            names = dict(connection.execute("SELECT oid, relname FROM pg_class").fetchall())
            connection.rollback()
            connection.execute(text)
            held = {}
            for oid, mode in connection.execute("SELECT relation, mode FROM pg_locks WHERE pid = pg_backend_pid()"):
                strength = next((each for each in LockMode if each.name.title().replace("_", "") + "Lock" == mode), 0)
                if names.get(oid) in RELATIONS and strength >= LockMode.ROW_EXCLUSIVE:
                    held[names[oid]] = max(strength, held.get(names[oid], strength))
            seen[text] = held
            connection.rollback()
    assert said == seen


def test_what_runs_other_statements_is_not_known(database):
    connection = database.connect()
    writing = "WITH x AS (DELETE FROM a RETURNING b) SELECT b FROM x"
    for text in (
        "DO $$ BEGIN END $$",
        "CALL f()",
        "VACUUM FULL",
        writing,
        writing.replace("SELECT", "INSERT INTO c SELECT"),
    ):
        assert locks_of(lower(parse(text)[0]), connection) is None


def test_nobody_waits_for_a_table_that_is_new(database):
    connection = database.connect()
    text = "ALTER TABLE app.child ADD FOREIGN KEY (n) REFERENCES app.parent"
    changes = lower(parse(text)[0])
    until = "writes wait until every row is checked"
    assert say(locks_of(changes, connection)) == f"SHARE ROW EXCLUSIVE on app.child, app.parent: {until}"
    new = frozenset({QualifiedName("app", "child")})
    assert say(locks_of(changes, connection, new)) == f"SHARE ROW EXCLUSIVE on app.parent: {until}"
