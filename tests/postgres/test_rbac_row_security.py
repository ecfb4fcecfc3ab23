"""Each tenant sees its own rows and nobody else's, whichever way it asks; the owner's own work goes on."""

from __future__ import annotations

from contextlib import suppress

import psycopg
import pytest
from alembic import command
from sqlalchemy import create_engine, text

from truing.catalog.read import read_snapshot
from truing.rbac import program, script
from truing.rbac.differences import differences
from truing.rbac.models import Base

OPEN, FORCED, BEFORE = "rbac_row_security", "rbac_row_security_forced", "rbac_tenant_keys_contract"
TENANTS = sorted(
    name for name, table in Base.metadata.tables.items() if "tenant_id" in table.columns or name == "tenants"
)


@pytest.fixture
def go(engine):
    def to(revision, *, down=False, **attributes):
        with engine.connect() as connection:
            config = script.configuration(connection)
            config.attributes.update(attributes)
            (command.downgrade if down else command.upgrade)(config, revision)

    return to


@pytest.fixture
def forced(legacy, go):
    go(FORCED)


def tenants(database):
    return dict(database.execute("SELECT name, id::text FROM tenants"))


def as_role(database, role, tenant, statement, setting="app.tenant_id"):
    with psycopg.connect(database.dsn) as connection:
        connection.execute(f"SET LOCAL ROLE {role}")
        connection.execute("SELECT set_config(%s, %s, true)", (setting, tenant or ""))
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def test_a_tenant_sees_its_own_rows_and_nobody_elses(forced, database):
    one = tenants(database)["Tenant 1"]
    for table in TENANTS:
        column = "id" if table == "tenants" else "tenant_id"
        seen = as_role(database, "app_user", one, f"SELECT {column}::text FROM {table}")
        wanted = database.execute(f"SELECT count(*) FROM {table} WHERE {column} = '{one}'")[0][0]
        own = [value for (value,) in seen if value == one]
        assert len(own) == wanted, table
        # What is everybody's belongs to no tenant.
        assert {value for (value,) in seen} <= ({one, None} if table == "sidebar_features" else {one}), table
        assert as_role(database, "app_user", None, f"SELECT FROM {table} WHERE {column} IS NOT NULL") == [], table
        assert database.execute(
            f"SELECT relrowsecurity, relforcerowsecurity FROM pg_class WHERE oid = '{table}'::regclass"
        ) == [(True, True)]
    assert database.execute("SELECT count(*) FROM pg_policies WHERE policyname = 'truing_transition'") == [(0,)]


WRITES = [
    "INSERT INTO user_roles (user_id, role_id, tenant_id) SELECT user_id, 1, tenant_id FROM user_roles LIMIT 1",
    "UPDATE profiles SET active = true",
    "DELETE FROM roles",
    "UPDATE sidebar_features SET is_global = true",
    "INSERT INTO permissions (name) VALUES ('x')",
    "TRUNCATE rbac_audit",
    "SELECT rbac.compile(gen_random_uuid(), ARRAY[1])",
]


def test_the_application_writes_nothing_of_it(forced, database):
    for statement in WRITES:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            as_role(database, "app_user", tenants(database)["Tenant 1"], statement)


def test_nobody_executes_the_functions_but_the_roles(forced, database):
    stranger = database.role()
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        as_role(database, stranger, None, "SELECT rbac.current_tenant()")
    assert database.execute(
        "SELECT count(*) FROM pg_proc p WHERE pronamespace = 'rbac'::regnamespace AND EXISTS"
        " (SELECT FROM aclexplode(COALESCE(p.proacl, acldefault('f', p.proowner))) a WHERE a.grantee = 0)"
    ) == [(0,)]


def test_a_view_shows_what_the_asker_may_see(forced, database):
    one = tenants(database)["Tenant 1"]
    seen = as_role(database, "app_user", one, "SELECT DISTINCT tenant_id::text FROM active_profiles")
    assert seen == [(one,)]
    assert as_role(database, "app_user", one, "SELECT tenant_id::text FROM tenant_profile_counts") == [(one,)]


def test_the_administrator_writes_in_every_tenant_and_the_program_answers(forced, database):
    two = tenants(database)["Tenant 2"]
    role, user = database.execute(
        f"SELECT r.id, p.id FROM roles r JOIN profiles p USING (tenant_id) WHERE r.tenant_id = '{two}'"
        " AND r.name = 'owner' AND NOT EXISTS (SELECT FROM user_roles u WHERE (u.user_id, u.role_id) = (p.id, r.id)) LIMIT 1"
    )[0]
    with psycopg.connect(database.dsn) as connection:
        connection.execute("SET ROLE rbac_admin")
        connection.execute(
            "INSERT INTO user_roles (tenant_id, user_id, role_id) VALUES (%s, %s, %s)", (two, user, role)
        )
        connection.execute("RESET ROLE; SET LOCAL ROLE app_user")
        connection.execute("SELECT set_config('app.tenant_id', %s, true)", (two,))
        name = "billing:delete"
        assert connection.execute("SELECT rbac.can(%s, %s, %s)", (two, user, name)).fetchone() == (True,)
    assert database.execute(f"SELECT version > 0 FROM tenant_rbac_versions WHERE tenant_id = '{two}'") == [(True,)]
    assert database.execute("SELECT op, actor FROM rbac_audit WHERE table_name = 'user_roles'") == [
        ("INSERT", "postgres")
    ]


def test_the_tables_owner_goes_on_with_its_work(database, make_database, cluster):
    """An owner that neither is a superuser nor bypasses policies: COPY, a backfill, truing's operations, and back."""
    owner = database.role("LOGIN CREATEROLE")
    database.execute(f"GRANT CREATE ON DATABASE {database.name} TO {owner}; GRANT CREATE ON SCHEMA public TO {owner}")
    with psycopg.connect(database.dsn, autocommit=True) as connection:
        for role in ("app_user", "rbac_admin", "rbac_migration"):
            with suppress(psycopg.errors.DuplicateObject):
                connection.execute(f"CREATE ROLE {role} NOLOGIN")
        connection.execute(f"GRANT rbac_migration TO {owner}")
    theirs = create_engine(database.url_as(owner))
    with theirs.connect() as connection:
        script.upgrade(connection)
        connection.execute(text("INSERT INTO tenants (name) SELECT 't' || n FROM generate_series(1, 3) n"))
        connection.execute(text("INSERT INTO profiles (tenant_id, email) SELECT id, 'a@b' FROM tenants"))
        connection.commit()
        assert connection.execute(text("SELECT row_security_active('profiles')")).scalar() is True
        # The holding tenant is one of them.
        assert connection.execute(text("UPDATE profiles SET bio = 'x'")).rowcount == 4
        connection.commit()
    with (
        psycopg.connect(database.url_as(owner)) as connection,
        connection.cursor().copy("COPY profiles TO STDOUT") as copy,
    ):
        assert len(list(copy.rows())) == 4
    with theirs.connect() as connection:
        command.downgrade(script.configuration(connection), "rbac@base")
    theirs.dispose()
    database.execute(f"DROP OWNED BY {owner}")


def test_it_is_opened_first_and_nobody_notices(legacy, go, database):
    go(BEFORE)
    before = {
        table: as_role(database, "app_user", None, f"SELECT count(*) FROM {table}") for table in ("tenants", "roles")
    }
    go(OPEN)
    for table, rows in before.items():
        assert as_role(database, "app_user", None, f"SELECT count(*) FROM {table}") == rows
        assert rows != [(0,)]
    # Compiled a few tenants at a time, so that no writer waits for all of them.
    counted = "SELECT count(*), count(*) FILTER (WHERE v.version IS NULL), count(DISTINCT v.xmin::text) > 1"
    assert database.execute(f"{counted} FROM tenants t LEFT JOIN tenant_rbac_versions v ON v.tenant_id = t.id") == [
        (21, 0, True)
    ]
    assert database.execute("SELECT rbac.rebuild_masks()") == [(0,)]
    go(FORCED)
    for table in before:
        assert as_role(database, "app_user", None, f"SELECT count(*) FROM {table}") == [(0,)]


def test_a_role_that_would_be_shut_out_stops_it_by_name(legacy, go, database):
    report = database.role()
    database.execute(f"GRANT SELECT ON roles TO {report}")
    go(OPEN)
    with pytest.raises(psycopg.errors.RaiseException, match=rf"{report} \(roles\)"):
        go(FORCED)
    database.execute(f"GRANT app_user TO {report}")
    go(FORCED)


def test_there_and_back_leaves_nothing(legacy, go, database):
    def snapshot():
        with database.connect() as connection:
            return read_snapshot(connection, include=("public",))

    go(BEFORE)
    before = snapshot()
    for _ in range(2):
        go(FORCED)
        assert differences(snapshot(), before) != ()
        go(BEFORE, down=True)
        assert differences(snapshot(), before) == ()
        assert database.execute("SELECT to_regnamespace('rbac')") == [(None,)]


def test_the_roles_have_the_names_that_are_given(legacy, go, database):
    application = database.role("NOLOGIN", name='app "é')
    names = {
        "app_role": application,
        "admin_role": database.role("NOLOGIN"),
        "migration_role": database.role("NOLOGIN"),
    }
    database.execute("REVOKE ALL ON ALL TABLES IN SCHEMA public FROM app_user")
    go(FORCED, **names)
    one = tenants(database)["Tenant 1"]
    assert len(as_role(database, '"app ""é"', one, "SELECT * FROM tenants")) == 1
    go("rbac@base", down=True, **names)


def test_schema_functions_and_setting_have_the_names_that_are_given(engine, database):
    told = {"schema": 'we"ird naïve', "program": 'pro "gram', "setting": "tenancy.who"}
    with engine.connect() as connection:
        connection.execute(text('CREATE SCHEMA "we""ird naïve"'))
        connection.commit()
        script.upgrade(connection, **told)
    tables = '"we""ird naïve".'
    database.execute(f"INSERT INTO {tables}tenants (name) VALUES ('a'), ('b')")
    one, _ = (row[0] for row in database.execute(f"SELECT id::text FROM {tables}tenants WHERE name IN ('a', 'b')"))
    query = f"SELECT id::text FROM {tables}tenants"
    assert as_role(database, "app_user", one, query, "tenancy.who") == [(one,)]
    assert as_role(database, "app_user", one, query) == []
    assert as_role(database, "app_user", one, """SELECT "pro ""gram".current_tenant()::text""", "tenancy.who") == [
        (one,)
    ]
    assert database.execute("SELECT to_regnamespace('rbac')") == [(None,)]
    with engine.begin() as connection:
        # Brought up to date, it stays so.
        program.install(connection, schema=told["schema"], program=told["program"], application="app_user")
    assert as_role(database, "app_user", one, query, "tenancy.who") == [(one,)]
    with engine.connect() as connection:
        script.downgrade(connection, BEFORE, **told)
    assert database.execute("SELECT count(*) FROM pg_namespace WHERE nspname = 'pro \"gram'") == [(0,)]
