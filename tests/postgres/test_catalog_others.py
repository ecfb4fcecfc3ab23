"""Objects of rarer kinds are read with their definitions, secrets are not, and what nobody reads is counted."""

from __future__ import annotations

import psycopg
import pytest

from truing.catalog.diff import compare
from truing.catalog.objects import UNSEEN
from truing.catalog.read import read_snapshot

STATEMENTS = {
    "collation": "CREATE COLLATION app.de (locale = 'C')",
    "cast": "CREATE CAST (point AS text) WITH FUNCTION app.of_point(point) AS ASSIGNMENT",
    "operator": "CREATE OPERATOR app.@@@@ (leftarg = text, rightarg = text, function = app.joined)",
    "event trigger": "CREATE EVENT TRIGGER \"e 1\" ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION app.et()",
    "text search configuration": "CREATE TEXT SEARCH CONFIGURATION app.cfg (COPY = english)",
    "text search dictionary": "CREATE TEXT SEARCH DICTIONARY app.dict (TEMPLATE = simple, STOPWORDS = english)",
    "foreign-data wrapper": "CREATE FOREIGN DATA WRAPPER w",
    "foreign server": "CREATE SERVER s FOREIGN DATA WRAPPER w OPTIONS (host 'a')",
    "user mapping": "CREATE USER MAPPING FOR PUBLIC SERVER s OPTIONS (password 'very secret')",
    "default privileges": "ALTER DEFAULT PRIVILEGES IN SCHEMA app GRANT SELECT ON TABLES TO PUBLIC",
    "subscription": "CREATE SUBSCRIPTION sub CONNECTION 'password=secret' PUBLICATION p WITH (connect = false)",
    "operator class": "CREATE OPERATOR CLASS app.oc FOR TYPE int4 USING btree AS FUNCTION 1 btint4cmp(int4, int4)",
    "base type": "CREATE TYPE app.shell",
}
BEFORE = """
CREATE SCHEMA app;
CREATE FUNCTION app.of_point(point) RETURNS text LANGUAGE sql AS 'SELECT ''x''';
CREATE FUNCTION app.joined(text, text) RETURNS text LANGUAGE sql AS 'SELECT $1 || $2';
CREATE FUNCTION app.et() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
"""


@pytest.fixture
def filled(database):
    database.execute(BEFORE)
    for statement in STATEMENTS.values():
        database.execute(statement)
    yield database
    database.execute("ALTER SUBSCRIPTION sub SET (slot_name = NONE)")
    database.execute("DROP SUBSCRIPTION sub")


def test_every_kind_is_read_and_no_secret(filled):
    snapshot = read_snapshot(filled.connect())
    assert {each.kind for each in snapshot.others} >= set(STATEMENTS)
    assert "secret" not in repr(snapshot)
    assert snapshot.unread == ()


def test_a_setting_of_this_database_is_read_and_one_of_another_is_not(database, make_database):
    other = make_database()
    database.execute(f"ALTER DATABASE {database.name} SET work_mem = '5MB'")
    settings = [
        [
            (each.name, each.definition)
            for each in read_snapshot(one.connect()).others
            if each.kind == "database setting"
        ]
        for one in (database, other)
    ]
    assert settings == [[("work_mem", "5MB")], []]


def test_a_comment_on_the_database_is_read_unless_initdb_made_it(database, cluster):
    def about(dsn):
        with psycopg.connect(dsn) as connection:
            return [each.definition for each in read_snapshot(connection).others if each.kind == "database"]

    database.execute(f"COMMENT ON DATABASE {database.name} IS 'ours'")
    assert about(database.dsn) == ["comment 'ours'"]
    assert about(cluster.url("postgres")) == [""]


def of_kind(connection, kind):
    return {each.name: each.definition for each in read_snapshot(connection).others if each.kind == kind}


def test_of_the_options_of_a_user_mapping_the_names_are_read_by_those_who_may(database):
    role = database.role()
    database.execute(
        f"""CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w;
        CREATE USER MAPPING FOR PUBLIC SERVER s OPTIONS ("user" 'u', password 'hunter2', "A b" 'x=y');
        CREATE USER MAPPING FOR {role} SERVER s; CREATE USER MAPPING FOR CURRENT_USER SERVER s OPTIONS (password 'x')"""
    )
    all_of_it = of_kind(database.connect(), "user mapping")
    assert all_of_it == {
        "PUBLIC on s": 'OPTIONS ("A b", "user", password)',
        "postgres on s": "OPTIONS (password)",
        f"{role} on s": "without options",
    }
    with psycopg.connect(database.url_as(role), autocommit=True) as connection:
        assert set(of_kind(connection, "user mapping").values()) == {UNSEEN}
        # What cannot be seen is no difference.
        unseen = read_snapshot(connection)
    assert [each for each in compare(read_snapshot(database.connect()), unseen) if each.kind == "user mapping"] == []
    database.execute(f"GRANT USAGE ON FOREIGN SERVER s TO {role}")
    with psycopg.connect(database.url_as(role), autocommit=True) as connection:
        assert of_kind(connection, "user mapping") == {
            **dict.fromkeys(all_of_it, UNSEEN),
            f"{role} on s": "without options",
        }
    before = read_snapshot(database.connect())
    database.execute("ALTER USER MAPPING FOR PUBLIC SERVER s OPTIONS (DROP password)")
    (difference,) = compare(before, read_snapshot(database.connect()))
    assert (difference.name, difference.after) == ("PUBLIC on s", 'OPTIONS ("A b", "user")')


def test_what_an_operator_orders_by_is_read(database):
    connection, found = database.connect(), []
    for purpose in ("FOR SEARCH", "FOR ORDER BY pg_catalog.float_ops"):
        with connection.transaction(force_rollback=True):
            connection.execute("CREATE OPERATOR FAMILY public.f USING gist")
            operator = "-|-" if purpose == "FOR SEARCH" else "<->"
            kind = "anyrange, anyrange" if purpose == "FOR SEARCH" else "point, point"
            connection.execute(
                f"ALTER OPERATOR FAMILY public.f USING gist ADD OPERATOR 15 {operator} ({kind}) {purpose}"
            )
            found += of_kind(connection, "operator family").values()
    assert found == [
        "OPERATOR 15 -|-(anyrange,anyrange)",
        "OPERATOR 15 <->(point,point) FOR ORDER BY pg_catalog.float_ops",
    ]


def test_large_objects_are_data(database):
    database.execute("SELECT lo_create(0)")
    assert read_snapshot(database.connect()).unread == ()


def test_what_has_no_reader_is_counted(database):
    database.execute("CREATE CONVERSION public.cv FOR 'UTF8' TO 'LATIN1' FROM utf8_to_iso8859_1")
    assert [(each.catalog, each.count) for each in read_snapshot(database.connect()).unread] == [("pg_conversion", 1)]


def test_members_of_extensions_are_not_counted(database):
    database.execute("CREATE EXTENSION citext")
    snapshot = read_snapshot(database.connect())
    assert snapshot.unread == ()
    assert {each.kind for each in snapshot.others} == {"database"}


def test_the_options_of_a_range_and_of_an_aggregate_are_read(database):
    database.execute("CREATE TYPE r AS RANGE (subtype = float8, subtype_diff = float8mi)")
    database.execute("CREATE AGGREGATE total (int) (SFUNC = int4pl, STYPE = int, INITCOND = 7)")
    snapshot = read_snapshot(database.connect())
    assert "subtype_diff float8mi" in snapshot.types[0].range_options
    assert "INITCOND '7'" in snapshot.functions[-1].definition


@pytest.mark.parametrize(
    ("option", "since"),
    [
        ("binary = true", 14),
        ("streaming = on", 14),
        ("synchronous_commit = 'local'", 14),
        ("slot_name = NONE", 14),
        ("disable_on_error = true", 15),
        ("origin = none", 16),
        ("password_required = false", 16),
        ("run_as_owner = true", 16),
    ],
)
def test_the_options_of_a_subscription_are_read_without_its_connection(database, option, since):
    if database.version.major < since:
        pytest.skip(f"PostgreSQL {since} has it first")
    connection, definitions = database.connect(), []
    with connection.transaction(force_rollback=True):
        connection.execute(
            "CREATE SUBSCRIPTION sub CONNECTION 'password=secret' PUBLICATION p"
            " WITH (connect = false, slot_name = 'a', streaming = off)"
        )
        for statement in ("SET ROLE pg_monitor", f"RESET ROLE; ALTER SUBSCRIPTION sub SET ({option})"):
            connection.execute(statement)
            definitions += [each.definition for each in read_snapshot(connection).others if each.kind == "subscription"]
    before, after = definitions
    assert before == "PUBLICATION p, slot a, disabled"
    assert before != after
    assert "secret" not in after
