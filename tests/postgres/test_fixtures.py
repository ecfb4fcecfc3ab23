"""The fixtures of the other tests do what they say."""

from __future__ import annotations

import psycopg
import pytest
import sqlalchemy

from tests.fix_server import _satisfies


def test_database_is_empty_and_of_the_version_the_cluster_says(database):
    (number,) = database.execute("SELECT current_setting('server_version_num')::int")[0]
    assert number == database.version.number
    assert database.execute("SELECT * FROM pg_class WHERE relnamespace = 'public'::regnamespace") == []


def test_connections_are_in_autocommit_and_reach_the_same_database(database, connect):
    connect().execute("CREATE TABLE t (a int)")
    with connect(autocommit=False) as connection:
        connection.execute("INSERT INTO t VALUES (1), (2)")
        assert database.execute("SELECT count(*) FROM t") == [(0,)]
    assert database.execute("SELECT 1; SELECT count(*) FROM t") == [(2,)]


def test_databases_are_apart(database, make_database):
    other = make_database()
    database.execute("CREATE TABLE t (a int)")
    assert other.name != database.name
    assert other.execute("SELECT to_regclass('t')") == [(None,)]
    assert make_database(template=database.name).execute("SELECT to_regclass('t')::text") == [("t",)]


def test_roles_can_log_in_with_the_address_given_for_them(database):
    role = database.role()
    with psycopg.connect(database.url_as(role)) as connection:
        assert connection.execute("SELECT current_user, current_database()").fetchone() == (role, database.name)


def test_sqlalchemy_takes_the_address(database):
    engine = sqlalchemy.create_engine(database.url)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT current_database()").scalar() == database.name
    engine.dispose()


@pytest.mark.pg(">=15")
def test_marker_lets_run_what_the_server_satisfies(database):
    assert database.version.major >= 15


@pytest.mark.pg("<15")
def test_marker_skips_what_the_server_does_not_satisfy(database):
    assert database.version.major < 15


@pytest.mark.parametrize(
    ("condition", "expected"), [(">=16", True), (">=17", False), ("<16", False), ("==16", True), ("> 15", True)]
)
def test_conditions_of_the_marker(condition, expected):
    assert _satisfies(16, condition) is expected
