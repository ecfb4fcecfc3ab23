"""Does `truing rbac verify` name what opens a tenant's rows to another, and nothing in a database that is right?"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.pool import NullPool

from truing.names import ident
from truing.rbac import invariants, program, script
from truing.rbac.program.binding import BINDINGS

ISOLATED, READS, FORCED = "tenants-are-isolated", "application-only-reads", "row-security-is-forced"


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
        assert broken(connection) == {ISOLATED: ["oops on profiles"]}


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
    schema, name = 'we"ird naïve', 'pro "gram'
    roles = [database.role("NOLOGIN", name=f"{each} é") for each in ('app "x', "admin", "migration")]
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
