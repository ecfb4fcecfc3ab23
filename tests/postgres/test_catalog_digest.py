"""The digest of a catalog changes with everything that a snapshot says, and with little else."""

from __future__ import annotations

import psycopg
import pytest

from tests.postgres.catalog_zoo import ROLE, ZOO
from tests.postgres.drift_mutations import BASE, MUTATIONS
from truing.catalog.digest import UNSAID, VIEWS, digest
from truing.catalog.read import read_snapshot
from truing.catalog.session import Reader, reading


def of(connection, salt="salt"):
    with reading(connection) as reader:
        return digest(reader, salt)


def test_each_single_change_is_noticed(database, monkeypatch):
    # A session has more settings once a library is loaded; it is not these that shall be noticed.
    monkeypatch.delitem(VIEWS, "pg_settings")
    database.execute(BASE)
    connection = database.connect()
    connection.execute("SET allow_system_table_mods = on")
    before = of(connection)
    unnoticed, tried = [], 0
    for statement, *_, major in ((*each, 0)[:5] for group in MUTATIONS.values() for each in group):
        if database.version.major < major:
            continue
        tried += 1
        with connection.transaction(force_rollback=True):
            connection.execute(statement.encode(), prepare=False)
            if of(connection) == before:
                unnoticed.append(statement)
        # It was taken back: what is the same has the same digest, or everything from here on would be noticed.
        assert of(connection) == before, statement
    assert unnoticed == []
    assert tried >= 190


def test_values_that_two_rows_exchange_are_noticed(database):
    """Also where a column of the catalog holds the same values as before, taken together."""
    database.execute("CREATE TABLE t (a integer, b integer); ALTER TABLE t ALTER a SET STATISTICS 7")
    connection = database.connect()
    before = of(connection)
    database.execute("ALTER TABLE t ALTER a SET STATISTICS -1, ALTER b SET STATISTICS 7")
    assert of(connection) != before


def test_two_copies_of_one_database_that_went_different_ways(make_database):
    """They have the same numbers of transactions where they were copied below the server; the content tells."""
    connection = make_database().connect()
    seen = set()
    for column in ("one", "two"):
        with connection.transaction(force_rollback=True):
            connection.execute(f"CREATE TABLE t ({column} integer)")
            seen.add(of(connection))
    assert len(seen) == 2


def test_rows_vacuum_and_sequences_are_not_the_catalogs(database):
    database.execute("CREATE TABLE t (id serial PRIMARY KEY, a text); CREATE INDEX ON t (a)")
    connection = database.connect()
    before = of(connection)
    database.execute("INSERT INTO t (a) SELECT n::text FROM generate_series(1, 2000) AS n")
    for statement in ("DELETE FROM t WHERE id % 2 = 0", "VACUUM (FREEZE, ANALYZE) t", "VACUUM pg_class", "ANALYZE"):
        database.connect().execute(statement)
    assert database.execute("SELECT relpages > 0 AND reltuples = 1000 FROM pg_class WHERE relname = 't'") == [(True,)]
    assert of(connection) == before


def test_names_of_roles_and_settings_of_the_session_count(database):
    role = database.role()
    other = database.role()
    connection = database.connect()
    before = of(connection)
    assert of(connection, "another salt") != before
    with connection.transaction(force_rollback=True):
        connection.execute(f'ALTER ROLE {role} RENAME TO "{role} renamed"')
        assert of(connection) != before
    with connection.transaction(force_rollback=True):
        connection.execute("SET LOCAL standard_conforming_strings = off")
        assert of(connection) != before
    seen = [before]
    for each in (role, other, role):
        with psycopg.connect(database.url_as(each), autocommit=True) as session:
            seen.append(of(session))
    assert len(set(seen)) == 3
    assert seen[1] == seen[3]


def test_a_role_that_may_only_connect_notices_it_too(database):
    role = database.role()
    with psycopg.connect(database.url_as(role), autocommit=True) as connection:
        before = of(connection)
        assert of(connection) == before
        database.execute("CREATE SCHEMA s; CREATE TABLE s.t (id integer)")
        with_table = of(connection)
        database.execute("COMMENT ON TABLE s.t IS 'x'")
        assert len({before, with_table, of(connection)}) == 3


@pytest.fixture
def zoo(database):
    database.role("NOLOGIN", name=ROLE)
    database.execute(ZOO)
    return database


def locked(connection, monkeypatch, look):
    """Look at the catalog: which tables does the server lock for it, and what is it asked?"""
    execute, tables, queries = Reader.execute, set(), []

    def noting(self, query, parameters=None):
        rows = execute(self, query, parameters)
        queries.append(query)
        held = (
            "SELECT c.relname::text FROM pg_locks AS l JOIN pg_class AS c ON c.oid = l.relation"
            " WHERE l.pid = pg_backend_pid() AND l.locktype = 'relation' AND c.relkind = 'r' AND c.oid < 16384"
        )
        tables.update(name for (name,) in execute(self, held))
        return rows

    with monkeypatch.context() as patch:
        patch.setattr(Reader, "execute", noting)
        look(connection)
    return tables - {"pg_class"}, queries


def test_whatever_a_snapshot_reads_is_in_the_digest(zoo, monkeypatch):
    connection = zoo.connect()
    read, queries = locked(connection, monkeypatch, read_snapshot)
    digested, _ = locked(connection, monkeypatch, of)
    assert {"pg_attribute", "pg_constraint", "pg_authid", "pg_db_role_setting"} <= read
    assert read - digested == set()
    # Nor does a snapshot ask for a column that is left out of the digest.
    assert [name for name in (each.partition(".")[2] for each in UNSAID) if any(name in each for each in queries)] == []
