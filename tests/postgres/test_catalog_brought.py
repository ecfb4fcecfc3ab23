"""What PostgreSQL and extensions brought is as it came until somebody says otherwise, however it got where it is."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import psycopg
import pytest

from truing.catalog.diff import compare
from truing.catalog.read import read_brought, read_snapshot
from truing.errors import ServerError
from truing.names import ident
from truing.server import find

SLEEP = "pg_catalog.pg_sleep(double precision)"


def said(brought):
    return {
        (each.kind, each.name): (
            {f"{one.privilege} to {one.grantee}" + ("*" if one.grantable else "") for one in each.initial},
            {f"{one.privilege} to {one.grantee}" + ("*" if one.grantable else "") for one in each.grants},
        )
        for each in brought
    }


def test_a_new_database_has_nothing_changed_with_any_extension(database):
    connection = database.connect()
    assert read_snapshot(connection).brought == ()
    database.execute("CREATE SCHEMA elsewhere")
    made = 0
    for name, schema in connection.execute("SELECT name, schema FROM pg_available_extension_versions").fetchall():
        where = "" if schema else " SCHEMA elsewhere"
        try:
            connection.execute(f"CREATE EXTENSION {ident(name)}{where} CASCADE")
            made += 1
        except psycopg.Error:
            continue
    assert made > 20
    assert read_snapshot(connection).brought == ()


def test_default_privileges_under_which_an_extension_was_made_are_nobodys_decision_on_its_members(database):
    """PostgreSQL takes no note of them."""
    role = database.role()
    database.execute(
        f"ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC; CREATE SCHEMA s;"
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA s GRANT EXECUTE ON FUNCTIONS TO {role};"
        f"ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO {role};"
        "CREATE EXTENSION citext SCHEMA s; CREATE EXTENSION pg_stat_statements"
    )
    assert database.execute("SELECT count(*) > 40 FROM pg_proc WHERE strpos(proacl::text, %s) > 0", [role]) == [(True,)]
    assert read_snapshot(database.connect()).brought == ()
    database.execute(
        "GRANT EXECUTE ON FUNCTION s.citext_eq TO pg_monitor; GRANT INSERT ON pg_stat_statements TO PUBLIC"
    )
    assert set(said(read_snapshot(database.connect()).brought)) == {
        ("function", "s.citext_eq(s.citext, s.citext)"),
        ("view", "public.pg_stat_statements"),
    }


def test_another_owner_and_a_role_that_is_gone_change_no_privileges(database):
    owner, gone = database.role(), database.role()
    database.execute(
        "CREATE EXTENSION pg_stat_statements; CREATE EXTENSION citext;"
        f"GRANT SELECT ON pg_stat_statements TO {gone};"
        "UPDATE pg_init_privs SET initprivs = (SELECT relacl FROM pg_class WHERE oid = objoid)"
        " WHERE objoid = 'pg_stat_statements'::regclass;"
        f"ALTER VIEW pg_stat_statements OWNER TO {owner}; ALTER FUNCTION citext_eq OWNER TO {owner};"
    )
    database.execute(f"DROP OWNED BY {gone}; DROP ROLE {gone}")
    assert read_snapshot(database.connect()).brought == ()


def test_it_is_said_for_each_role_that_can_do_something_else(database):
    role = database.role()
    database.execute(
        f"GRANT EXECUTE ON FUNCTION pg_sleep(float8) TO {role} WITH GRANT OPTION;"
        "REVOKE EXECUTE ON FUNCTION pg_sleep(float8) FROM PUBLIC"
    )
    assert said(read_snapshot(database.connect()).brought) == {
        ("function", SLEEP): ({"EXECUTE to public"}, {f"EXECUTE to {role}*"})
    }
    with psycopg.connect(database.url_as(role), autocommit=True) as connection:
        assert read_snapshot(connection) == read_snapshot(database.connect())
        # Asked for by name, all of it is said.
        (one,) = read_brought(connection, [f"function {SLEEP}", "function pg_catalog.no_such()"])
    assert {each.grantee for each in (*one.grants, *one.initial)} == {role, "public", "postgres"}


def test_a_dump_brings_back_what_was_changed_and_nothing_else(database, make_database):
    """pg_dump writes what differs from what it was initially, also on members of extensions."""
    role = database.role()
    database.execute(
        "CREATE EXTENSION pg_stat_statements; CREATE EXTENSION citext;"
        f"GRANT SELECT ON pg_stat_statements TO {role} WITH GRANT OPTION;"
        "REVOKE EXECUTE ON FUNCTION citext_eq FROM PUBLIC;"
        f"GRANT EXECUTE ON FUNCTION pg_read_file(text) TO {role}; REVOKE EXECUTE ON FUNCTION pg_sleep FROM PUBLIC;"
    )
    tool = Path(database.cluster.binaries.program("pg_dump"))
    if not tool.exists():
        pytest.skip("this installation has no pg_dump")
    dump = subprocess.run([tool, database.url], capture_output=True, check=True, env=dict(os.environ)).stdout.decode()
    lines = [each for each in dump.splitlines() if not each.startswith(("\\", "SELECT pg_catalog.set_config"))]
    restored = make_database()
    restored.execute("\n".join(lines))
    before, after = (read_snapshot(each.connect()) for each in (database, restored))
    assert len(before.brought) == 4
    assert after.brought == before.brought


def test_what_was_done_to_two_majors_is_the_same(servers):
    """What they came with is not: 18 lets pg_monitor ask where the log is, and owners of tables do one thing more."""
    statements = (
        "REVOKE EXECUTE ON FUNCTION pg_sleep(float8) FROM PUBLIC; GRANT SELECT ON pg_authid TO pg_monitor;"
        "REVOKE ALL ON pg_class FROM CURRENT_USER; CREATE EXTENSION citext;"
        "GRANT EXECUTE ON FUNCTION pg_current_logfile() TO pg_monitor;"
        "REVOKE EXECUTE ON FUNCTION citext_eq FROM PUBLIC; REVOKE SELECT ON information_schema.tables FROM PUBLIC;"
    )
    seen = []
    for major in (15, 18):
        try:
            server = servers.get(find(major))
        except ServerError:
            pytest.skip("needs PostgreSQL 15 and 18")
        with servers.scratch(server).database() as one, psycopg.connect(one.url, autocommit=True) as connection:
            assert read_snapshot(connection).brought == ()
            connection.execute(statements)
            seen.append(read_snapshot(connection))
    differences = [(each.kind, each.name, each.attribute) for each in compare(*seen) if each.kind != "extension"]
    # What 18 came with and 15 did not is a difference here; who compares majors asks first (truing.drift.comparing.brought).
    assert differences == [("function", "pg_catalog.pg_current_logfile()", "privileges of pg_monitor")]
