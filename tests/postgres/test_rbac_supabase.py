"""Does a database of Supabase keep its tenants apart, whatever a token, a sign-up or a default privilege says?"""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from uuid import UUID, uuid4

import jwt
import psycopg
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from tests.postgres.test_rbac_holes import HOLES
from tests.rbac_isolation import Isolated
from tests.supabase import DEFAULTS, EMPTY, as_gotrue, claims, request, sign_up
from truing.errors import UsageError
from truing.names import ident, literal
from truing.rbac import access, invariants, program, script
from truing.rbac.access import aio
from truing.rbac.access.cache import Cache
from truing.rbac.fastapi import InTenant, Rbac, jwt_verifier
from truing.rbac.models import Base
from truing.rbac.program import privileges
from truing.rbac.program.binding import Claim
from truing.rbac.program.supabase import make_role, make_roles

NIL = UUID(int=0)
MINE = "SELECT id FROM profiles"
EVERY = "SELECT id FROM public.profiles"


@pytest.fixture
def it(isolated) -> Isolated:
    return isolated("supabase")


def sees(it, given, query=MINE, *, role="authenticated"):
    """The rows of a request with these claims; the state of the error where there is one."""
    try:
        with request(it.database, given, role) as connection:
            return {row[0] for row in connection.execute(query).fetchall()}
    except psycopg.Error as error:
        return error.sqlstate


def broken(it):
    engine = create_engine(it.database.url, poolclass=NullPool)
    with engine.connect() as connection:
        found = invariants.verify(connection)
    return {each.invariant.name: each.examples[0][1] for each in found if each.broken}


def profiles(it, user):
    return it.rows("SELECT tenant_id, email, active FROM profiles WHERE id = %s", user)


def test_a_tenant_is_that_of_a_verified_claim_and_a_profile_in_it(it):
    own, other, user = it.tenants["own"], it.tenants["other"], it.profiles["own"]
    only, nothing = {user}, set()
    wanted = {
        "its own": (claims(user, own), only),
        "capitals": (claims(str(user).upper(), str(own).upper()), only),
        "another tenant": (claims(user, other), nothing),
        "a tenant that is not there": (claims(user, uuid4()), nothing),
        "no tenant": (claims(user, None), nothing),
        "an empty tenant": (claims(user, ""), nothing),
        "a null tenant": (json.dumps({"sub": str(user), "app_metadata": {"tenant_id": None}}), nothing),
        "the nil tenant": (claims(user, NIL), nothing),
        "no user": (claims(None, own), nothing),
        "an empty user": (claims("", own), nothing),
        "another user": (claims(uuid4(), own), nothing),
        "what the user says of itself": (claims(user, None, user_metadata={"tenant_id": str(own)}), nothing),
        "a claim beside": (claims(user, None, tenant_id=str(own)), nothing),
        "user over service": (claims(user, own, user_metadata={"tenant_id": str(other)}, tenant_id=str(other)), only),
        "no claims": (None, nothing),
        "empty claims": ("", nothing),
        "no object": ("[]", nothing),
        "a null": ("null", nothing),
        "metadata that is no object": (json.dumps({"sub": str(user), "app_metadata": str(own)}), nothing),
        "no JSON": ("{", "22P02"),
        "plain": (str(own), "22P02"),
        "a name": (claims(user, "acme"), "22P02"),
        "SQL": (claims(user, f"{own}' OR true --"), "22P02"),
        "a number": (json.dumps({"sub": 1, "app_metadata": {"tenant_id": 1}}), "22P02"),
    }
    assert {name: sees(it, given) for name, (given, _) in wanted.items()} == {
        name: rows for name, (_, rows) in wanted.items()
    }


def test_a_token_that_outlives_what_it_says_shows_nothing(it):
    own, other, user = it.tenants["own"], it.tenants["other"], it.profiles["own"]
    given = claims(user, own)
    for there, back in (
        ("UPDATE profiles SET active = false WHERE id = %s", "UPDATE profiles SET active = true WHERE id = %s"),
        ("UPDATE tenants SET is_active = false WHERE id = %s", "UPDATE tenants SET is_active = true WHERE id = %s"),
    ):
        whom = [own if "tenants" in there else user]
        it.admin.execute(there, whom)
        assert sees(it, given) == set(), there
        it.admin.execute(back, whom)
        assert sees(it, given) == {user}
    it.admin.execute("DELETE FROM user_roles WHERE user_id = %s", [user])
    it.admin.execute("UPDATE profiles SET tenant_id = %s, role = NULL, email = NULL WHERE id = %s", [other, user])
    assert sees(it, given) == set()
    # The sentinel of migrations is a tenant like any other, but never an active one.
    it.admin.execute("INSERT INTO tenants (id, name, slug, is_active) VALUES (%s, 'x', 'x', false) ON CONFLICT DO NOTHING", [NIL])  # fmt: skip
    it.admin.execute("UPDATE profiles SET tenant_id = %s WHERE id = %s", [NIL, user])
    assert sees(it, claims(user, NIL)) == set()


def test_strangers_have_nothing_users_read_and_the_service_administers(it):
    tables = (
        "profiles",
        "user_roles",
        "permissions",
        "alembic_version",
        "tenant_moves",
        "active_profiles",
        "roles_id_seq",
    )
    assert {name: sees(it, None, f"SELECT 1 FROM {name}", role="anon") for name in tables} == dict.fromkeys(
        tables, "42501"
    )
    assert sees(it, None, "SELECT rbac.current_tenant()", role="anon") == "42501"
    given = claims(it.profiles["own"], it.tenants["own"])
    writes = (
        "UPDATE profiles SET active = true RETURNING id",
        "DELETE FROM alembic_version RETURNING 1",
        "SELECT setval('roles_id_seq', 1)",
        "SELECT rbac.rebuild_masks()",
        "INSERT INTO user_roles (tenant_id, user_id, role_id) SELECT tenant_id, user_id, role_id FROM user_roles RETURNING 1",
    )
    assert [sees(it, given, each) for each in writes] == ["42501"] * len(writes)
    service = claims(None, None, "service_role")
    assert sees(it, service, role="service_role") == set(it.profiles.values())
    assert sees(it, service, "UPDATE profiles SET bio = 'x' RETURNING id", role="service_role") == set(
        it.profiles.values()
    )
    assert sees(it, service, "DELETE FROM rbac_audit RETURNING 1", role="service_role") == "42501"
    assert sees(it, given, "SELECT tenant_id FROM active_profiles") == {it.tenants["own"]}


def test_whoever_can_run_sql_through_postgrest_is_anybody(it):
    """The plain truth of claims in a setting, and of a login that may become the service."""
    victim = claims(it.profiles["other"], it.tenants["other"])
    given = claims(it.profiles["own"], it.tenants["own"])
    for attack, rows in (
        (f"SELECT set_config('request.jwt.claims', {literal(victim)}, true)", {it.profiles["other"]}),
        ("SET LOCAL ROLE service_role", set(it.profiles.values())),
    ):
        with request(it.database, given) as connection:
            connection.execute(attack)
            assert {row[0] for row in connection.execute(MINE).fetchall()} == rows
    # Without the id of a profile of that tenant there is nothing to say, and a login that is a user's stays one.
    login = it.database.role("LOGIN IN ROLE authenticated")
    with psycopg.connect(it.database.dsn, user=login) as connection:
        guess = claims(it.profiles["own"], it.tenants["other"])
        connection.execute("SELECT set_config('request.jwt.claims', %s, true)", [guess])
        assert connection.execute(MINE).fetchall() == []
        for role in ("service_role", "rbac_signup", "postgres", "anon"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(f"SET ROLE {role}")
            connection.rollback()


def test_a_function_of_ones_own_is_no_way_out(it):
    """What PostgREST lets be called runs as the user, within the user's rows."""
    it.admin.execute("CREATE FUNCTION everybody() RETURNS SETOF uuid LANGUAGE sql AS 'SELECT id FROM public.profiles'")
    assert sees(it, claims(it.profiles["own"], it.tenants["own"]), "SELECT * FROM everybody()") == {it.profiles["own"]}
    assert sees(it, None, "SELECT * FROM everybody()", role="anon") == "42501"


def test_who_acts_is_the_user_of_the_token_and_grants_no_more_than_it_may(it):
    own, user = it.tenants["own"], it.profiles["own"]
    it.admin.execute(
        "CREATE FUNCTION hand_out(p_role text) RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = '' AS"
        f" $$ SELECT rbac.grant_role({literal(str(own))}, {literal(str(user))}, p_role, NULL, NULL, NULL) $$"
    )
    given = claims(user, own)
    with psycopg.connect(it.database.dsn, user="authenticator") as connection:
        for statement, value in (("role", "authenticated"), ("request.jwt.claims", given), ("app.actor", str(uuid4()))):
            connection.execute("SELECT set_config(%s, %s, true)", [statement, value])
        connection.execute("SELECT public.hand_out('reader')")
    assert it.rows("SELECT granted_by FROM user_roles WHERE user_id = %s", user) == [(user,)]
    assert it.rows("SELECT actor FROM rbac_audit ORDER BY id DESC LIMIT 1") == [(str(user),)]
    assert sees(it, given, "SELECT public.hand_out('boss')") == "42501"


# Signing up: what a stranger sends is raw_user_meta_data, what the service sets raw_app_meta_data.


def test_a_stranger_who_signs_up_with_a_tenant_has_none(it):
    victim = str(it.tenants["other"])
    for sent in (
        {"tenant_id": victim},
        {"app_metadata": {"tenant_id": victim}},
        {"raw_app_meta_data": {"tenant_id": victim}},
    ):
        user = sign_up(it.database, f"{uuid4()}@evil.example", user=sent)
        assert profiles(it, user) == []
        assert sees(it, claims(user, None, user_metadata=sent)) == set()
        # Even a token that said so would show nothing, for there is no profile.
        assert sees(it, claims(user, victim)) == set()
        as_gotrue(it.database, "UPDATE auth.users SET raw_user_meta_data = %s WHERE id = %s", json.dumps(sent), user)
        assert profiles(it, user) == []


def test_the_service_gives_a_tenant_and_takes_it_away(it):
    own, other = it.tenants["own"], it.tenants["other"]
    put = "UPDATE auth.users SET raw_app_meta_data = %s WHERE id = %s"
    user = sign_up(it.database, "new@example.org", {"tenant_id": str(own).upper()}, {"tenant_id": str(other)})
    assert profiles(it, user) == [(own, "new@example.org", True)]
    assert user in sees(it, claims(user, own))
    later = sign_up(it.database, "later@example.org")
    assert profiles(it, later) == []
    as_gotrue(it.database, put, json.dumps({"tenant_id": str(own)}), later)
    assert profiles(it, later) == [(own, "later@example.org", True)]

    role = "(SELECT id FROM roles WHERE tenant_id = %s AND name = 'boss')"
    it.admin.execute(f"INSERT INTO user_roles (tenant_id, user_id, role_id) VALUES (%s, %s, {role})", [own, user, own])
    as_gotrue(it.database, put, json.dumps({"tenant_id": str(other)}), user)
    assert profiles(it, user) == [(other, "new@example.org", True)]
    assert it.rows("SELECT 1 FROM user_roles WHERE user_id = %s", user) == []
    assert sees(it, claims(user, own)) == set()
    as_gotrue(it.database, put, json.dumps({}), user)
    assert profiles(it, user) == [(other, "new@example.org", False)]
    assert sees(it, claims(user, other)) == set()
    as_gotrue(it.database, put, json.dumps({"tenant_id": str(other)}), user)
    assert profiles(it, user) == [(other, "new@example.org", True)]

    # Whoever is switched off stays so, whatever else of the user changes; the address goes along.
    it.admin.execute("UPDATE profiles SET active = false WHERE id = %s", [user])
    as_gotrue(it.database, put, json.dumps({"tenant_id": str(other), "providers": ["email", "github"]}), user)
    as_gotrue(
        it.database, "UPDATE auth.users SET email = 'moved@example.org', last_sign_in_at = now() WHERE id = %s", user
    )
    assert profiles(it, user) == [(other, "moved@example.org", False)]
    as_gotrue(it.database, "DELETE FROM auth.users WHERE id = %s", user)
    assert profiles(it, user) == []


def test_signing_up_never_fails_for_a_profile(it):
    own = str(it.tenants["own"])
    for email, app in (
        ("X@Example.org", {"tenant_id": own}),  # the address of a profile of that tenant
        ("a@b", {"tenant_id": str(uuid4())}),
        ("a@b", {"tenant_id": str(NIL)}),
        ("a@b", {"tenant_id": "acme'; DROP TABLE profiles; --"}),
        ("a@b", {"tenant_id": {"x": 1}}),
        ("a@b", {"tenant_id": 7}),
        ("a@b", {"tenant_id": ""}),
    ):
        user = sign_up(it.database, email, app)
        assert it.rows("SELECT 1 FROM auth.users WHERE id = %s", user) == [(1,)]
        assert profiles(it, user) == [], app
    for odd in (None, "", "@nobody"):
        user = sign_up(it.database, odd, {"tenant_id": own})
        assert profiles(it, user) == [(UUID(own), None, True)]
    # Nor does a user's change of address to a colleague's, who keeps it.
    as_gotrue(it.database, "UPDATE auth.users SET email = 'x@example.org' WHERE id = %s", user)
    assert profiles(it, user) == [(UUID(own), None, True)]
    # The service that moves somebody to where they do not fit is told.
    taken = sign_up(it.database, "y@example.org", {"tenant_id": own})
    it.admin.execute("UPDATE profiles SET email = 'Y@example.org' WHERE id = %s", [it.profiles["other"]])
    with pytest.raises(psycopg.errors.UniqueViolation):
        as_gotrue(
            it.database,
            "UPDATE auth.users SET raw_app_meta_data = %s WHERE id = %s",
            json.dumps({"tenant_id": str(it.tenants["other"])}),
            taken,
        )
    assert profiles(it, taken) == [(UUID(own), "y@example.org", True)]


def test_a_profile_that_is_there_is_not_taken_over(it):
    user, own = it.profiles["other"], it.tenants["own"]
    as_gotrue(
        it.database,
        "INSERT INTO auth.users (id, email, raw_app_meta_data) VALUES (%s, 'z@z', %s)",
        user,
        json.dumps({"tenant_id": str(own)}),
    )
    assert profiles(it, user) == [(it.tenants["other"], "x@example.org", True)]
    assert broken(it) == {"users-have-profiles": str(user)}


def test_the_function_of_the_trigger_has_the_least_rights(it):
    (row,) = it.rows(
        "SELECT prosecdef, proconfig, proowner::regrole::text FROM pg_proc WHERE proname = 'follow_auth_user'"
    )
    assert row == (True, ['search_path=""'], "rbac_signup")
    held = it.rows(
        "SELECT DISTINCT c.relname::text, a.privilege_type FROM pg_class c CROSS JOIN aclexplode(c.relacl) a"
        " WHERE a.grantee = 'rbac_signup'::regrole UNION SELECT c.relname::text, a.privilege_type || ' ' || t.attname"
        " FROM pg_class c JOIN pg_attribute t ON t.attrelid = c.oid CROSS JOIN aclexplode(t.attacl) a"
        " WHERE a.grantee = 'rbac_signup'::regrole"
    )
    assert {f"{table}: {what}" for table, what in held} == {
        "tenants: SELECT id",
        *("profiles: DELETE", "profiles: SELECT id", "profiles: SELECT tenant_id", "profiles: SELECT active"),
        *("profiles: INSERT id", "profiles: INSERT tenant_id", "profiles: INSERT email"),
        *(f"profiles: UPDATE {column}" for column in ("tenant_id", "email", "role", "active")),
        *("user_roles: DELETE", "user_roles: SELECT user_id"),
    }
    assert it.rows(
        "SELECT rolcanlogin OR rolsuper OR rolbypassrls OR rolcreaterole, has_schema_privilege(oid, 'rbac', 'CREATE')"
        " FROM pg_roles WHERE rolname = 'rbac_signup'"
    ) == [(False, False)]
    for role in ("anon", "authenticated", "service_role", "public"):
        assert it.rows(f"SELECT has_function_privilege('{role}', 'rbac.follow_auth_user()', 'EXECUTE')") == [(False,)]


# What comes back is noticed, and taken away again.

RETURNS = {
    "GRANT ALL ON ALL TABLES IN SCHEMA public TO anon": "privileges-are-least",
    "GRANT UPDATE (active) ON profiles TO authenticated": "application-only-reads privileges-are-least",
    "GRANT SELECT ON alembic_version TO PUBLIC": "privileges-are-least",
    "GRANT USAGE ON SEQUENCE roles_id_seq TO authenticated": "privileges-are-least",
    "GRANT EXECUTE ON FUNCTION log_tenant_move() TO authenticated": "privileges-are-least",
    "GRANT EXECUTE ON FUNCTION rbac.rebuild_masks TO authenticated": "privileges-are-least",
    "GRANT EXECUTE ON FUNCTION rbac.can(uuid, uuid, text) TO anon": "privileges-are-least",
    "GRANT TRUNCATE ON rbac_audit TO service_role": "privileges-are-least",
    "DROP TRIGGER rbac_follow_d ON auth.users": "users-are-followed",
    "ALTER TABLE auth.users DISABLE TRIGGER rbac_follow_i": "users-are-followed",
    "DROP POLICY rbac_signup ON profiles": "",
}
STAYS = {
    "CREATE POLICY x ON roles FOR SELECT TO authenticated USING (tenant_id::text = auth.jwt() ->> 'tenant_id')":
        "tenants-are-isolated policies-ask-for-the-tenant",
    "GRANT service_role TO authenticated": "tenants-are-isolated users-cannot-rise",
    "ALTER ROLE anon BYPASSRLS": "users-cannot-rise",
}  # fmt: skip


def test_what_comes_back_is_noticed_and_taken_away(it):
    engine = create_engine(it.database.url, poolclass=NullPool)
    assert broken(it) == {}
    for statement, name in RETURNS.items():
        it.admin.execute(statement)
        assert list(broken(it)) == name.split(), statement
        if "DISABLE" in statement:
            it.admin.execute("DROP TRIGGER rbac_follow_i ON auth.users")
        with engine.begin() as connection:
            program.install(connection)
        assert broken(it) == {}, statement
    for statement, name in STAYS.items():
        with engine.connect() as connection:
            connection.exec_driver_sql(statement)
            found = [each.invariant.name for each in invariants.verify(connection) if each.broken]
            assert found == name.split(), statement
            connection.rollback()


def test_the_checks_can_be_had_as_sql(it):
    written = invariants.as_sql(bind="supabase")
    assert [each for said in (RETURNS | STAYS).values() for each in said.split() if each not in written] == []
    with it.database.connect() as connection:
        lines = connection.execute(written)
        while lines.nextset():
            assert "not ok" not in str(lines.fetchall() if lines.description else "")


def test_no_table_is_left_out():
    """One that is made tomorrow would be everybody's, as Supabase has it."""
    assert {*privileges.READ, *privileges.CLOSED} == {*Base.metadata.tables, "alembic_version"}


# To head, and back.


def state(database):
    """All that the way up may leave behind: privileges, triggers and policies."""
    acls = database.execute(
        "SELECT c.relname, COALESCE(r.rolname, 'PUBLIC'), a.privilege_type FROM pg_class c"
        " CROSS JOIN aclexplode(c.relacl) a LEFT JOIN pg_roles r ON r.oid = a.grantee"
        " WHERE c.relnamespace IN ('public'::regnamespace, 'auth'::regnamespace)"
        " UNION ALL SELECT n.nspname, COALESCE(r.rolname, 'PUBLIC'), a.privilege_type FROM pg_namespace n"
        " CROSS JOIN aclexplode(n.nspacl) a LEFT JOIN pg_roles r ON r.oid = a.grantee WHERE n.nspname IN ('public', 'auth')"
        " UNION ALL SELECT p.proname, COALESCE(r.rolname, 'PUBLIC'), a.privilege_type FROM pg_proc p"
        " CROSS JOIN aclexplode(COALESCE(p.proacl, acldefault('f', p.proowner))) a LEFT JOIN pg_roles r ON r.oid = a.grantee"
        " WHERE p.pronamespace = 'public'::regnamespace"
    )
    kept = database.execute(
        "SELECT tgname::text, tgrelid::regclass::text, '' FROM pg_trigger WHERE NOT tgisinternal"
        " UNION ALL SELECT policyname, tablename, roles::text || cmd FROM pg_policies"
        " UNION ALL SELECT nspname, '', '' FROM pg_namespace WHERE nspname !~ '^pg_'"
    )
    return set(acls) | set(kept)


def test_there_and_back_leaves_nothing(database):
    database.execute(EMPTY)
    engine = create_engine(database.url, poolclass=NullPool)
    with engine.connect() as connection:
        script.upgrade(connection, "rbac_tenant_keys_contract", profile="supabase")
        before = state(database)
        script.upgrade(connection, "rbac_row_security", profile="supabase")
        # Until row security is forced nobody notices: not even a stranger.
        with request(database, None, "anon") as stranger:
            stranger.execute("SELECT FROM profiles")
            stranger.execute("UPDATE tenants SET name = 'x'")
        script.upgrade(connection, profile="supabase")
        assert state(database) - before
        script.downgrade(connection, "rbac_row_security", profile="supabase")
        with request(database, None, "anon") as stranger:
            stranger.execute("UPDATE tenants SET name = 'x'")
        script.downgrade(connection, "rbac_tenant_keys_contract", profile="supabase")
    assert state(database) == before
    user = sign_up(database, "a@b", {"tenant_id": str(uuid4())})
    as_gotrue(database, "DELETE FROM auth.users WHERE id = %s", user)


def test_another_binding_leaves_no_trigger_and_taking_the_program_out_neither(it):
    engine = create_engine(it.database.url, poolclass=NullPool)
    triggers = "SELECT tgname FROM pg_trigger WHERE tgrelid = 'auth.users'::regclass"
    trace = "SELECT tablename FROM pg_policies WHERE policyname = 'rbac_signup'"
    assert len(it.rows(triggers)) == len(it.rows(trace)) == 3
    with pytest.raises(psycopg.Error, match="bound more tightly"):
        it.admin.execute(";".join(program.statements()))
    for leave in (lambda on: program.install(on, application="authenticated", bind="setting"), program.uninstall):
        with engine.begin() as connection:
            leave(connection)
        assert it.rows(triggers) == it.rows(trace) == []
        assert it.rows("SELECT relname FROM pg_class, aclexplode(relacl) WHERE grantee = 'rbac_signup'::regrole") == []
        with engine.begin() as connection:
            program.install(connection, bind="supabase")
        assert broken(it) == {}


def test_where_the_policies_are_for_another_role_it_is_said(rbac_database):
    engine = create_engine(rbac_database.url, poolclass=NullPool)
    for statement in ("profiles_jwt_read ON profiles", "sidebar_features_jwt_read ON sidebar_features"):
        rbac_database.execute(f"DROP POLICY {statement}")
    with engine.connect() as connection, pytest.raises(DBAPIError, match="no policy shows the role authenticated"):
        program.install(connection, bind="supabase")


def test_the_owner_need_be_no_superuser(database):
    """As `postgres` at Supabase is: it makes roles, is past row security, and may make triggers on auth.users."""
    database.execute(EMPTY)
    with suppress(psycopg.errors.DuplicateObject):
        database.execute("CREATE ROLE rbac_migration NOLOGIN")
    for statement in make_roles():
        database.execute(statement)
    owner = database.role("LOGIN CREATEROLE BYPASSRLS")
    admin = " WITH ADMIN OPTION"
    database.execute(
        f"GRANT CREATE ON DATABASE {database.name} TO {owner}; GRANT CREATE ON SCHEMA public TO {owner};"
        f" GRANT USAGE ON SCHEMA auth TO {owner}; GRANT TRIGGER, SELECT ON auth.users TO {owner};"
        f" GRANT rbac_signup TO {owner}{admin};"
        + DEFAULTS.replace("DEFAULT PRIVILEGES", f"DEFAULT PRIVILEGES FOR ROLE {owner}")
    )
    engine = create_engine(database.url_as(owner), poolclass=NullPool)
    with engine.connect() as connection:
        script.upgrade(connection, profile="supabase")
        program.install(connection)
        connection.commit()
        tenant = connection.execute(text("INSERT INTO tenants (name) VALUES ('t') RETURNING id")).scalar_one()
        connection.commit()
        user = sign_up(database, "a@b", {"tenant_id": str(tenant)})
        assert connection.execute(text("SELECT id FROM profiles WHERE active")).scalars().all() == [user]
        assert [each.invariant.name for each in invariants.verify(connection) if each.broken] == []
        connection.rollback()
        with request(database, claims(user, tenant)) as asking:
            assert asking.execute(MINE).fetchall() == [(user,)]
        script.downgrade(connection, "rbac_tenant_keys_contract", profile="supabase")
    assert database.execute("SELECT 1 FROM pg_trigger WHERE tgrelid = 'auth.users'::regclass") == []
    database.execute(f"DROP OWNED BY {owner}")


def test_a_role_is_made_as_supabase_makes_it_and_one_past_row_security_is_refused(database):
    name = f'made "{uuid4()}'
    try:
        for _ in range(2):
            database.execute(make_role(name, "NOLOGIN NOINHERIT BYPASSRLS"))
        found = "SELECT rolcanlogin, rolinherit, rolbypassrls FROM pg_roles WHERE rolname = %s"
        assert database.execute(found, [name]) == [(False, False, True)]
    finally:
        database.execute(f"DROP ROLE IF EXISTS {ident(name)}")
    with database.connect(autocommit=False) as connection:
        for statement in make_roles():
            connection.execute(statement)
        connection.execute("ALTER ROLE authenticated BYPASSRLS")
        with pytest.raises(psycopg.Error, match="would not hold for authenticated"):
            connection.execute(make_roles()[-1])
        connection.rollback()


def test_it_works_elsewhere_with_another_claim(make_database, prepared, cluster):
    schema, name = 'we"ird $$ naïve', "pro $body$ gram"
    database = make_database(template=prepared.on(cluster, schema, name, "supabase"))
    engine = create_engine(database.url, poolclass=NullPool)
    claim = Claim.parse('org"anis\\ation.the tenant')
    with engine.begin() as connection:
        program.install(connection, schema=schema, program=name, claim=claim)
        program.install(connection, schema=schema, program=name)
        tenant = connection.execute(
            text(f"INSERT INTO {ident(schema)}.tenants (name) VALUES ('t') RETURNING id")
        ).scalar()
    names = database.execute("SELECT tgname FROM pg_trigger WHERE tgrelid = 'auth.users'::regclass ORDER BY 1")
    assert [name for (name,) in names] == [f"{name}_follow_{event}" for event in "diu"]
    user = sign_up(database, "a@b", {'org"anis\\ation': {"the tenant": str(tenant)}})
    mine = f"SELECT id, {ident(name)}.current_tenant() FROM {ident(schema)}.profiles"
    with request(database, json.dumps(claim.of(tenant, user))) as connection:
        assert connection.execute(mine).fetchall() == [(user, tenant)]
    with request(database, claims(user, tenant)) as connection:
        assert connection.execute(mine).fetchall() == []
    with engine.begin() as connection:
        found = invariants.verify(connection, schema=schema, program=name)
        assert [each.invariant.name for each in found if each.broken] == []
        program.uninstall(connection, schema=schema, program=name)


@pytest.mark.parametrize(
    "path", ["user_metadata.tenant_id", "raw_user_meta_data.tenant_id", "a.user_metadata", "", "a..b"]
)
def test_a_claim_that_the_user_could_write_is_refused(path):
    with pytest.raises(UsageError, match="written by the user" if "user" in path else "names no claim"):
        Claim.parse(path)


def test_every_hole_is_closed_here_too(it):
    tenants = {side: f"'{tenant}'::uuid" for side, tenant in it.tenants.items()}
    it.admin.autocommit = False
    for each, (statement, error, name) in HOLES.items():
        # Before 18, ON DELETE RESTRICT is told as any foreign key is.
        with pytest.raises((error, psycopg.errors.ForeignKeyViolation)) as caught:
            it.admin.execute(statement.format(**tenants))
        it.admin.rollback()
        assert (caught.value.diag.constraint_name or caught.value.diag.column_name).startswith(name), each


# From Python, on a connection of the service's own.


@pytest.fixture
def service(it):
    engine = create_engine(it.database.url_as(it.database.role("LOGIN IN ROLE authenticated")), poolclass=NullPool)
    it.admin.execute("INSERT INTO permissions (name) VALUES ('doc.read') ON CONFLICT DO NOTHING")
    return engine


def test_claims_last_for_a_block_and_each_transaction_in_it(it, service):
    own, user = it.tenants["own"], it.profiles["own"]
    given = {"sub": user, "app_metadata": {"tenant_id": own}, "exp": 1.5}
    query = text(EVERY)
    with service.connect() as on:
        with access.claims(on, given):
            for _ in range(2):
                assert on.execute(query).scalars().all() == [user]
                assert access.current_tenant(on) == own
                assert access.can(on, own, user, "doc.read")
                on.commit()
        assert on.execute(query).scalars().all() == []
        with pytest.raises(UsageError, match="Claims are what a token holds"):
            access.claims(on, {"sub": object()})

    async def ask():
        engine = create_async_engine(service.url, poolclass=NullPool)
        async with engine.connect() as on, aio.claims(on, given):
            seen = (await on.execute(query)).scalars().all()
        await engine.dispose()
        return seen

    assert asyncio.run(ask()) == [user]


def test_one_statement_says_its_claims_and_leaves_nothing(it, service):
    own, other, user = it.tenants["own"], it.tenants["other"], it.profiles["own"]
    given = {"sub": user, "app_metadata": {"tenant_id": own}}
    alone = {"isolation_level": "AUTOCOMMIT", "poolclass": NullPool}
    with create_engine(service.url, **alone).connect() as on:
        assert access.can_once(on, own, user, "doc.read", claims=given)
        # The claims decide whose rows are seen, not the tenant that is asked about.
        assert not access.can_once(on, other, it.profiles["other"], "doc.read", claims=given)
        assert not access.can_once(on, own, user, "doc.read", claims={**given, "sub": uuid4()})
        assert not access.can_once(on, own, user, "doc.read")
        assert access.current_tenant(on) is None
        with pytest.raises(UsageError, match="either signed or that of a token"):
            access.can_once(on, own, user, "doc.read", claims=given, secret=b"s" * 32)
    with service.connect() as on, pytest.raises(UsageError, match="would last for this whole transaction"):
        access.can_once(on, own, user, "doc.read", claims=given)

    async def ask():
        engine = create_async_engine(service.url, **alone)
        async with engine.connect() as on:
            answer = await aio.can_once(on, own, user, "doc.read", claims=given)
            left = await aio.current_tenant(on)
        await engine.dispose()
        return answer, left

    assert asyncio.run(ask()) == (True, None)


def test_a_cache_and_an_api_ask_as_the_user(it, service):
    own, other, user = it.tenants["own"], it.tenants["other"], it.profiles["own"]
    path = "app_metadata.tenant_id"
    with Cache(service, claim=path, listen=False) as cache:
        assert cache.can(own, user, "doc.read")
        assert not cache.can(other, user, "doc.read")
    key = "k" * 32
    app = FastAPI()
    rbac = Rbac(app, service, jwt_verifier(key, algorithms=["HS256"], audience="authenticated"), claim=path)

    @app.get("/")
    def mine(connection: InTenant) -> list[str]:
        return [str(row) for row in connection.execute(text(EVERY)).scalars()]

    def get(given, **more):
        token = jwt.encode({**json.loads(given), "exp": 4_000_000_000, **more}, key, algorithm="HS256")
        return client.get("/", headers={"Authorization": f"Bearer {token}"})

    with TestClient(app) as client:
        assert get(claims(user, own)).json() == [str(user)]
        assert get(claims(user, other)).json() == []
        assert get(claims(user, None, user_metadata={"tenant_id": str(own)})).status_code == 401
        assert get(claims(None, own)).status_code == 401
        assert get(claims(user, own), app_metadata="x").status_code == 401
    rbac.close()
