"""Does `truing rbac verify` name what opens a tenant's rows to another, and nothing in a database that is right?"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection, create_engine, make_url, text
from sqlalchemy.pool import NullPool

from truing.names import ident
from truing.rbac import invariants, program, script
from truing.rbac.program.binding import BINDINGS

ISOLATED, READS, FORCED = "tenants-are-isolated", "application-only-reads", "row-security-is-forced"
DECLARED, HELD, HIDDEN = "policies-are-as-declared", "logins-are-held", "others-rows-are-hidden"


def broken(connection, **where):
    """What is broken, and what is shown of it."""
    found = invariants.verify(connection, **where)
    return {each.invariant.name: [subject for _, subject in each.examples] for each in found if each.broken}


@contextmanager
def connected(database) -> Iterator[Connection]:
    engine = create_engine(database.url, poolclass=NullPool)
    with engine.connect() as connection:
        yield connection


OPEN = {
    # what is done to a database of which all is right           what is named
    "CREATE POLICY oops ON profiles FOR SELECT TO public USING (true)": {ISOLATED: ["oops on profiles"]},
    "CREATE POLICY oops ON roles TO {application} USING (true) WITH CHECK (tenant_id = {program}.current_tenant())": {
        ISOLATED: ["oops on roles"]
    },
    "CREATE POLICY oops ON user_roles FOR INSERT TO {application} WITH CHECK (true); GRANT INSERT ON user_roles TO {application}": {
        ISOLATED: ["oops on user_roles"],
        READS: ["{application}: INSERT on user_roles"],
    },
    "CREATE POLICY oops ON roles TO {application} USING (tenant_id::text = current_setting('app.tenant_id', true))": {
        ISOLATED: ["oops on roles"]
    },
    # It only looks like it.
    "CREATE POLICY oops ON roles TO {application} USING (tenant_id = {program}.current_tenant() OR true)": {
        ISOLATED: ["oops on roles"]
    },
    "CREATE POLICY oops ON roles TO {application} USING ((tenant_id = {program}.current_tenant() AND id > 0) OR id < 0)": {
        ISOLATED: ["oops on roles"]
    },
    "CREATE POLICY oops ON roles TO {application} USING ((tenant_id = {program}.current_tenant() AND id > 0) IS NOT NULL)": {
        ISOLATED: ["oops on roles"]
    },
    "CREATE POLICY oops ON roles TO {application} USING (id < 0 OR (id > 0 AND tenant_id = {program}.current_tenant()))": {
        ISOLATED: ["oops on roles"]
    },
    "CREATE POLICY oops ON roles TO {application} USING (tenant_id IS DISTINCT FROM {program}.current_tenant())": {
        ISOLATED: ["oops on roles"]
    },
    "CREATE POLICY oops ON roles TO {application} USING (tenant_id = tenant_id OR name = 'AND (tenant_id = current_tenant())')": {
        ISOLATED: ["oops on roles"]
    },
    "ALTER POLICY profiles_jwt_read ON profiles TO public USING (tenant_id::text = jwt_tenant_id() OR true)": {
        ISOLATED: ["profiles_jwt_read on profiles"]
    },
    "CREATE POLICY oops ON roles TO {application} USING (name <> 'current_tenant()')": {ISOLATED: ["oops on roles"]},
    "CREATE FUNCTION current_tenant() RETURNS uuid LANGUAGE sql AS 'SELECT NULL::uuid';"
    " CREATE POLICY oops ON roles TO {application} USING (current_tenant() IS NULL)": {ISOLATED: ["oops on roles"]},
    "ALTER POLICY tenant_isolation ON tenants USING (true)": {ISOLATED: ["tenant_isolation on tenants"]},
    "DROP POLICY tenant_isolation ON rbac_audit": {ISOLATED: ["no tenant_isolation on rbac_audit"]},
    "CREATE POLICY truing_transition ON roles USING (true)": {ISOLATED: ["truing_transition on roles"]},
    "ALTER POLICY profiles_jwt_read ON profiles TO public USING (true)": {ISOLATED: ["profiles_jwt_read on profiles"]},
    "ALTER TABLE user_roles DISABLE ROW LEVEL SECURITY": {FORCED: ["user_roles"]},
    "ALTER TABLE sidebar_features NO FORCE ROW LEVEL SECURITY": {FORCED: ["sidebar_features"]},
    "GRANT UPDATE (name) ON tenants TO public": {READS: ["{application}: UPDATE on tenants"]},
    "GRANT DELETE, TRUNCATE ON rbac_audit TO {application}": {
        READS: ["{application}: DELETE on rbac_audit", "{application}: TRUNCATE on rbac_audit"]
    },
    # Not the application's, or less than there is already.
    "CREATE POLICY fine ON roles TO pg_monitor USING (true)": {},
    "CREATE POLICY fine ON roles AS RESTRICTIVE USING (true)": {},
    "CREATE POLICY fine ON roles TO {application} USING (tenant_id = (SELECT {program}.current_tenant()) AND name <> 'x')": {},
    "CREATE POLICY fine ON permissions USING (true)": {},
    "CREATE POLICY fine ON roles TO {application} USING (name <> 'x' AND tenant_id = {program}.current_tenant())": {},
    "CREATE POLICY fine ON sidebar_features TO {application} USING (tenant_id = {program}.current_tenant())": {},
    "CREATE POLICY fine ON roles FOR INSERT TO {application} WITH CHECK (false)": {},
    "ALTER POLICY tenant_isolation ON roles USING (tenant_id = (SELECT {program}.current_tenant()))": {},
}


def every_breach(connection, application, name="rbac", **where):
    """Do each, and give what is named otherwise than it should be."""
    names = {"application": application, "program": ident(name)}
    wrong = {}
    for statement, said in OPEN.items():
        connection.exec_driver_sql(statement.format(**names).replace("%", "%%"))
        wanted = {key: [each.format(**names) for each in shown] for key, shown in said.items()}
        seen = {
            key: shown
            for key, shown in broken(connection, program=name, **where).items()
            if key in (ISOLATED, READS, FORCED)
        }
        if seen != wanted:
            wrong[statement] = seen
        connection.rollback()
    return wrong


@pytest.mark.parametrize("bind", BINDINGS)
def test_what_opens_a_tenant_is_named_and_a_database_that_is_right_is_not(isolated, bind):
    it = isolated(bind)
    with connected(it.database) as connection:
        assert broken(connection) == {}
        assert every_breach(connection, it.role) == {}


def test_the_leak_is_one(isolated):
    """What a user found: without a tenant, the application reads the rows of all."""
    it = isolated()
    it.admin.execute("CREATE POLICY oops ON profiles FOR SELECT TO public USING (true)")
    with it.within("none") as connection:
        seen = {row[0] for row in connection.execute("SELECT id FROM profiles").fetchall()}
    assert seen >= set(it.profiles.values())
    with connected(it.database) as connection:
        assert broken(connection) == {
            ISOLATED: ["oops on profiles"],
            HIDDEN: [
                f"profiles as app_user, in the tenant {it.tenants['own']}",
                "profiles as app_user, without a tenant",
            ],
        }


def test_whoever_could_become_the_administrator_is_not_isolated(isolated):
    it = isolated()
    with connected(it.database) as connection:
        connection.exec_driver_sql("GRANT rbac_admin TO app_user")
        assert "rbac_admin_all on profiles" in broken(connection)[ISOLATED]
        connection.rollback()


@pytest.mark.parametrize("bind", ["role", "signed"])
def test_a_tighter_binding_has_no_policies_of_tokens(isolated, bind):
    with connected(isolated(bind).database) as connection:
        connection.exec_driver_sql("ALTER POLICY profiles_jwt_read ON profiles TO public")
        assert broken(connection) == {ISOLATED: ["profiles_jwt_read on profiles"]}
        connection.rollback()


def test_roles_and_schemas_have_the_names_that_are_given(engine, database):
    schema, name = 'we"ird $$ naïve', 'pro "$body$ gram'
    roles = [database.role("NOLOGIN", name=f"{each} $$ $body$ é") for each in ('app "x', "admin", "migration")]
    told = dict(zip(("app_role", "admin_role", "migration_role"), roles, strict=True))
    with engine.connect() as connection:
        connection.execute(text(f"CREATE SCHEMA {ident(schema)}"))
        connection.execute(text(f"SET search_path TO {ident(schema)}"))
        connection.commit()
        script.upgrade(connection, "rbac_row_security", schema=schema, program=name, **told)
        # The legacy database knows one of another name.
        connection.exec_driver_sql(f"REVOKE ALL ON ALL TABLES IN SCHEMA {ident(schema)} FROM app_user")
        connection.commit()
        script.upgrade(connection, schema=schema, program=name, **told)
        program.install(connection, schema=schema, program=name, application=roles[0], administrator=roles[1])
        connection.commit()
        # Whether its functions are in the path or not.
        for path in (ident(schema), f"{ident(schema)}, {ident(name)}"):
            connection.execute(text(f"SET search_path TO {path}"))
            connection.commit()
            assert broken(connection, schema=schema, program=name) == {}
            assert every_breach(connection, ident(roles[0]), name, schema=schema) == {}


def test_before_row_security_decides_only_that_is_said(legacy, engine):
    with engine.connect() as connection:
        script.upgrade(connection, "rbac_tenant_keys_contract")
        program.install(connection)
        connection.commit()
        assert {ISOLATED, READS} & set(broken(connection)) == set()
        connection.rollback()
        script.upgrade(connection, "rbac_row_security")
        assert set(broken(connection)) == {FORCED}
        connection.exec_driver_sql("CREATE POLICY oops ON roles USING (true); DROP POLICY tenant_isolation ON profiles")
        assert broken(connection)[ISOLATED] == ["no tenant_isolation on profiles", "oops on roles"]
        connection.rollback()
        script.upgrade(connection)
        assert broken(connection) == {}
        connection.rollback()
        script.downgrade(connection, "rbac_row_security")
        assert set(broken(connection)) == {FORCED}


CHANGED = {
    "ALTER POLICY tenant_isolation ON roles USING (tenant_id = rbac.current_tenant() OR true)": [
        "tenant_isolation on roles"
    ],
    # Nobody sees too much, and somebody too little.
    "ALTER POLICY tenant_isolation ON roles USING (false)": ["tenant_isolation on roles"],
    "ALTER POLICY tenant_isolation ON sidebar_features USING (tenant_id = rbac.current_tenant())": [
        "tenant_isolation on sidebar_features"
    ],
    "ALTER POLICY rbac_admin_all ON profiles USING (tenant_id = rbac.current_tenant())": ["rbac_admin_all on profiles"],
    "ALTER POLICY rbac_migration_all ON profiles WITH CHECK (false)": ["rbac_migration_all on profiles"],
    "ALTER POLICY rbac_admin_all ON tenants TO public": ["rbac_admin_all on tenants"],
}


@pytest.mark.parametrize("statement", CHANGED)
def test_a_policy_that_says_something_else_than_its_revision_is_named(isolated, statement):
    with connected(isolated().database) as connection:
        connection.exec_driver_sql(statement)
        assert broken(connection)[DECLARED] == CHANGED[statement]


LOGINS = {
    # what is done with {login}, a login of the application, and {other}     what is named
    "SELECT 1": [],
    "ALTER ROLE {login} BYPASSRLS": ["{login}: BYPASSRLS"],
    "ALTER ROLE {login} SUPERUSER BYPASSRLS": ["{login}: BYPASSRLS", "{login}: SUPERUSER"],
    "ALTER ROLE {other} BYPASSRLS": [],
    "ALTER ROLE {other} BYPASSRLS; GRANT {other} TO {login}": ["{login} can become {other}: BYPASSRLS"],
    "ALTER ROLE {login} NOINHERIT; GRANT rbac_admin TO {other}; GRANT {other} TO {login}": [
        "{login} can become rbac_admin: sees every tenant"
    ],
    "ALTER TABLE profiles OWNER TO {login}; ALTER TABLE roles OWNER TO {login}": ["{login}: owns profiles, roles"],
    "ALTER TABLE profiles OWNER TO {other}": [],
    "ALTER ROLE app_user BYPASSRLS": ["app_user: BYPASSRLS", "{login} can become app_user: BYPASSRLS"],
}


@pytest.mark.parametrize("statement", LOGINS)
def test_a_login_of_the_application_that_row_security_does_not_hold_for_is_named(isolated, statement):
    it = isolated()
    names = {"login": it.logins["own"], "other": it.database.role("NOLOGIN")}
    with connected(it.database) as connection:
        # Those of other sides would be named beside.
        connection.exec_driver_sql(f"REVOKE app_user FROM {it.logins['other']}, {it.logins['none']}")
        connection.exec_driver_sql(statement.format(**names))
        assert broken(connection).get(HELD, []) == sorted(each.format(**names) for each in LOGINS[statement])
        connection.rollback()


@pytest.mark.pg(">= 16")
def test_whoever_only_hands_the_role_on_is_no_login_of_the_application(isolated):
    it = isolated()
    maker = it.database.role("LOGIN BYPASSRLS")
    with connected(it.database) as connection:
        connection.exec_driver_sql(f"GRANT app_user TO {maker} WITH ADMIN TRUE, INHERIT FALSE, SET FALSE")
        assert HELD not in broken(connection)
        connection.exec_driver_sql(f"GRANT app_user TO {maker} WITH SET TRUE")
        assert broken(connection)[HELD] == [f"{maker}: BYPASSRLS"]
        connection.rollback()


def hidden(connection):
    """What was seen of others, and what is said of the trial."""
    (result,) = (each for each in invariants.verify(connection) if each.invariant.name == HIDDEN)
    return [subject for _, subject in result.examples], result.tried


@pytest.mark.parametrize("bind", BINDINGS)
def test_what_the_application_sees_of_others_is_seen_by_trying(isolated, bind):
    it = isolated(bind)
    with connected(it.database) as connection:
        seen, tried = hidden(connection)
        assert seen == []
        in_one = "; in one, 13" if bind in ("setting", "supabase") else ""
        assert tried == (
            f"Tried as {it.role} on 13 tables and views: without a tenant, 13 hold rows that could have been seen{in_one}."
        )
        connection.exec_driver_sql(
            "ALTER POLICY tenant_isolation ON profiles USING (tenant_id = rbac.current_tenant() OR true)"
        )
        seen, _ = hidden(connection)
        assert f"profiles as {it.role}, without a tenant" in seen
        assert any(each.startswith(f"profiles as {it.role}, in the tenant ") for each in seen) == (in_one != "")
        connection.rollback()


def test_a_view_with_its_owners_rights_and_a_table_of_ones_own_are_tried_too(isolated):
    it = isolated()
    with connected(it.database) as connection:
        connection.exec_driver_sql("ALTER VIEW active_profiles RESET (security_invoker)")
        assert "active_profiles as app_user, without a tenant" in hidden(connection)[0]
        connection.rollback()
        connection.exec_driver_sql(
            'CREATE SCHEMA "it\'s" ; CREATE TABLE "it\'s"."pap""ers" (tenant_id uuid, x text); GRANT USAGE ON SCHEMA "it\'s" TO app_user;'
            'ALTER TABLE "it\'s"."pap""ers" ENABLE ROW LEVEL SECURITY;'
            'INSERT INTO "it\'s"."pap""ers" SELECT id FROM tenants; GRANT SELECT ON "it\'s"."pap""ers" TO app_user;'
            'CREATE POLICY p ON "it\'s"."pap""ers" USING (tenant_id = rbac.current_tenant())'
        )
        assert hidden(connection)[0] == []
        connection.exec_driver_sql('ALTER TABLE "it\'s"."pap""ers" DISABLE ROW LEVEL SECURITY')
        assert '"it\'s"."pap""ers" as app_user, without a tenant' in hidden(connection)[0]
        connection.rollback()


def test_what_trying_cannot_tell_is_said(rbac_database, isolated):
    with connected(rbac_database) as connection:
        connection.exec_driver_sql(
            "DELETE FROM tenants; ALTER TABLE rbac_audit DISABLE TRIGGER USER; DELETE FROM rbac_audit"
        )
        assert "trying proves nothing; the policies were compared" in hidden(connection)[1]
        connection.rollback()
    it = isolated()
    login = it.database.role("LOGIN IN ROLE rbac_admin")
    it.admin.execute(f"GRANT USAGE ON SCHEMA rbac TO {login}; GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA rbac TO {login}")
    engine = create_engine(make_url(it.database.url).set(username=login), poolclass=NullPool)
    with engine.connect() as connection:
        assert f"Nothing was tried as app_user, which {login} may not become (a superuser may)" in hidden(connection)[1]


def test_a_role_cannot_write_lines_of_the_answer_in_tap(isolated):
    it = isolated()
    role = it.database.role("NOLOGIN", name="x\nok 1 - all is well")
    it.admin.execute(f"ALTER POLICY tenant_isolation ON roles TO app_user, {ident(role)}")
    with it.database.connect() as connection:
        answer = connection.execute(invariants.as_sql())
        lines = [str(value) for (value,) in answer.fetchall()]
        while answer.nextset():
            lines += [str(value) for (value,) in (answer.fetchall() if answer.description else ())]
    said = [each for each in lines if "all is well" in each]
    assert said
    assert "\n" not in "".join(said)


def test_to_verify_changes_nothing(isolated):
    it = isolated()
    with connected(it.database) as connection:
        connection.exec_driver_sql(
            "CREATE TABLE calls (n int); CREATE FUNCTION leak(uuid) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER AS"
            " 'BEGIN INSERT INTO calls VALUES (1); RETURN true; END';"
            "CREATE POLICY oops ON profiles TO app_user USING (leak(tenant_id))"
        )
        names = ("role", "search_path", "app.tenant_id", "transaction_read_only")
        before = [
            connection.exec_driver_sql(f"SELECT current_setting('{each}', true)").scalar() or "" for each in names
        ]
        assert broken(connection)[ISOLATED] == ["oops on profiles"]
        assert connection.exec_driver_sql("SELECT count(*) FROM calls").scalar() == 0
        after = [connection.exec_driver_sql(f"SELECT current_setting('{each}', true)").scalar() or "" for each in names]
        assert after == before
        connection.rollback()
