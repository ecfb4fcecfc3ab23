"""From the legacy database to head and back: nothing is lost, the models agree, and nobody sees what is not theirs."""

from __future__ import annotations

import psycopg
import pytest
from alembic import command
from sqlalchemy import create_engine, make_url

from tests.rbac_refused import REFUSED_AT_HEAD
from truing.catalog.read import read_snapshot
from truing.finding import Severity
from truing.rbac import script
from truing.rbac.adopt import init
from truing.rbac.differences import differences
from truing.rbac.dirt import CLEAN, DIRTY_CLASSES
from truing.rbac.legacy_sql import profile_rows
from truing.rbac.models import Base
from truing.rbac.program.triggers import TRIGGERS

NIL = "00000000-0000-0000-0000-000000000000"
KEYS = "rbac_foreign_key_implementation"
ROWS = profile_rows(tenants=20, profiles=1_000, seed=7, parts_per_million=100_000)
ORDER = ["rbac@base", script.LEGACY, KEYS, "rbac_contract", "rbac_tenant_keys", "rbac_tenant_keys_contract"]
ORDER += ["rbac_row_security", "rbac_row_security_forced"]
NEW = {"role_inherits", "role_grants", "tenant_rbac_versions", "rbac_audit"}
TABLES = sorted(Base.metadata.tables.keys() - NEW)


def go(engine, revision, schema=""):
    """Up or down to a revision; a relative one goes down."""
    with engine.connect() as connection:
        where = script.current(connection)
        connection.rollback()
        down = bool(where) and ORDER.index(revision) < ORDER.index(where[0])
        (script.downgrade if down else script.upgrade)(connection, revision, schema=schema)


def contents(database, schema="public"):
    """Every row of every table as text, whatever the order of its columns."""
    return {
        table: database.execute(
            f"SELECT count(*), md5(string_agg(md5(r), '' ORDER BY r)) FROM (SELECT to_jsonb(t)::text AS r FROM {schema}.{table} t) x"
        )
        for table in TABLES
    }


def snapshot(database):
    with database.connect() as connection:
        return read_snapshot(connection, include=("public",))


def autogenerate_finds_nothing(engine):
    with engine.connect() as connection:
        command.check(script.configuration(connection))


@pytest.mark.parametrize("turn", ORDER[2:])
def test_there_and_back_loses_nothing_and_leaves_nothing(legacy, engine, database, turn):
    rows, before = contents(database), snapshot(database)
    for _ in range(2):
        go(engine, turn)
        assert contents(database) != rows
        go(engine, script.LEGACY)
        assert contents(database) == rows
        assert differences(snapshot(database), before) == ()


def test_what_head_refuses_comes_back_to_the_byte(legacy, engine, database):
    for statement in REFUSED_AT_HEAD:
        database.execute(statement)
    rows, before = contents(database), snapshot(database)
    for _ in range(2):
        go(engine, ORDER[-1])
        autogenerate_finds_nothing(engine)
        for table in ("user_roles", "sidebar_features", "profiles", "roles"):
            assert contents(database)[table] != rows[table]
        assert database.execute(
            "SELECT count(*) FROM user_roles u JOIN roles r ON r.id = u.role_id JOIN profiles p ON p.id = u.user_id"
            " WHERE u.tenant_id <> r.tenant_id OR u.tenant_id <> p.tenant_id"
        ) == [(0,)]
        assert database.execute("SELECT count(*) FROM sidebar_features WHERE sidebar_name = 'bad'") == [(0,)]
        go(engine, script.LEGACY)
        assert contents(database) == rows
        assert differences(snapshot(database), before) == ()


def test_the_models_agree_with_head_also_the_second_time(legacy, engine):
    go(engine, ORDER[-1])
    autogenerate_finds_nothing(engine)
    go(engine, script.LEGACY)
    go(engine, ORDER[-1])
    autogenerate_finds_nothing(engine)


def test_the_models_make_the_tables_that_the_revisions_make(legacy, engine, database, make_database):
    """Read back from the catalog, where autogenerate does not look: names, checks, definitions of indexes."""
    go(engine, ORDER[-1])
    other = make_database()
    modelled = create_engine(other.url)
    Base.metadata.create_all(modelled)
    modelled.dispose()
    migrated, made = snapshot(database), snapshot(other)
    # Row level security and triggers belong to the revisions alone, but nothing may be missing or different.
    said = [each for each in differences(migrated, made) if each.severity is not Severity.INFO]
    of_tenant = sorted(Base.metadata.tables.keys() - {"permissions", "feature_flags", "tenant_moves"})
    assert {each.message for each in said if each.severity is Severity.ERROR} == {
        f"The table public.{table} differs in {what}row security." for table in of_tenant for what in ("", "force ")
    }
    extra = {each.subject for each in said if each.severity is Severity.WARNING}
    # What keeps the originals in step until they are settled; no application sees it.
    extra = {subject for subject in extra if "zzzz_truing_" not in subject}
    policies = ("tenant_isolation", "rbac_admin_all", "rbac_migration_all")
    assert extra == {
        "public.profiles.profiles_jwt_read",
        "public.profiles.trg_profiles_tenant_move",
        "public.profiles.trg_profiles_updated_at",
        "public.sidebar_features.sidebar_features_jwt_read",
        *(f"public.{table}.{policy}" for table in of_tenant for policy in policies),
        *(f"public.{trigger.table}.{trigger.name}" for trigger in TRIGGERS),
    }


def test_every_class_of_dirt_meets_its_fate(legacy, engine, database):
    go(engine, "rbac_contract")
    fates = {case.name: case.fate for case in (CLEAN, *DIRTY_CLASSES)}
    rows = database.execute(
        f"SELECT r.class, p.tenant_id::text, t.name, 'Tenant ' || r.tenant, t.is_active"
        f" FROM ({ROWS}) r JOIN profiles p USING (id) JOIN tenants t ON t.id = p.tenant_id"
    )
    assert len(rows) == 1_000
    for name, tenant_id, tenant, true_tenant, active in rows:
        if fates[name] in {"clean", "normalised"}:
            assert tenant == true_tenant, name
        else:
            assert (tenant_id, active) == (NIL, False), name


def test_the_originals_are_kept_where_a_person_can_see_them(legacy, engine, database):
    go(engine, KEYS)
    wanted = sum(count for fate, count in legacy.by_fate().items() if fate not in {"clean", "normalised"})
    rows = database.execute(
        f"SELECT count(*), count(*) FILTER (WHERE q.raw IS NOT DISTINCT FROM r.tenant_id)"
        f" FROM _truing.quarantine q JOIN ({ROWS}) r ON r.id = (q.pk ->> 'id')::uuid WHERE q.col = 'tenant_id'"
        " AND q.op_id LIKE 'convert%'"
    )
    assert rows == [(wanted, wanted)]


def test_constraints_of_the_plan_hold(legacy, engine, database):
    go(engine, "rbac_contract")
    with pytest.raises(psycopg.errors.ForeignKeyViolation, match="fk_profiles_tenant"):
        database.execute("UPDATE profiles SET tenant_id = gen_random_uuid()")
    with pytest.raises(psycopg.errors.NotNullViolation):
        database.execute("INSERT INTO profiles (email) VALUES ('a@b')")
    assert database.execute(
        "SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND convalidated"
        " AND connamespace = 'public'::regnamespace"
    ) == [(11,)]
    assert database.execute("SELECT count(*) FROM pg_index WHERE NOT indisvalid") == [(0,)]


class Visitor:
    """A session of a tenant that is subject to the policies."""

    def __init__(self, database):
        self.role = database.role()
        database.execute(f"GRANT SELECT ON sidebar_features, profiles TO {self.role}")
        self.url = database.url_as(self.role)
        self.tenants = dict(database.execute("SELECT name, id::text FROM tenants"))

    def sees(self, tenant):
        """The kinds of sidebar items that a tenant sees, by its setting and by its token alike."""
        token = f'{{"tenant_id": "{tenant}"}}'
        settings = [("app.tenant_id", tenant), ("request.jwt.claims", token)]
        seen = []
        for name, value in settings:
            with psycopg.connect(self.url) as connection:
                connection.execute("SELECT set_config(%s, %s, false)", (name, value))
                seen.append(connection.execute("SELECT sidebar_name FROM sidebar_features ORDER BY 1").fetchall())
        assert seen[0] == seen[1]
        # Items of features that do not exist are in quarantine at head, which is another test's concern.
        return [name for (name,) in seen[0] if not name.startswith(("ghost feature", "no feature"))]


GLOBALS = [f"global item {number}" for number in range(1, 7)]


def test_orphaned_items_are_never_seen(legacy, engine, database):
    """Not the items of tenants that went before the migration, not those that go after, not on the way back."""
    visitor = Visitor(database)
    one, two = visitor.tenants["Tenant 1"], visitor.tenants["Tenant 2"]
    own = visitor.sees(two)
    assert set(GLOBALS) < set(own)
    assert visitor.sees(NIL) == GLOBALS
    for revision in (KEYS, "rbac_contract"):
        go(engine, revision)
        assert visitor.sees(two) == own
        assert visitor.sees(NIL) == GLOBALS
    assert len(visitor.sees(one)) > len(GLOBALS)
    database.execute(f"DELETE FROM tenants WHERE id = '{one}'")
    assert visitor.sees(two) == own
    assert visitor.sees(one) == GLOBALS
    for revision in (KEYS, script.LEGACY):
        go(engine, revision)
        assert visitor.sees(two) == own
        assert visitor.sees(one) == GLOBALS
    go(engine, KEYS)
    assert visitor.sees(two) == own
    assert visitor.sees(one) == GLOBALS


def test_the_release_before_still_writes_between_the_revisions(legacy, engine, database):
    """It knows nothing of is_global: no tenant means everybody's, and an item may be given to a tenant."""
    go(engine, KEYS)
    visitor = Visitor(database)
    one, two = visitor.tenants["Tenant 1"], visitor.tenants["Tenant 2"]
    database.execute(
        "INSERT INTO sidebar_features (feature_id, sidebar_name, url_path) SELECT id, 'new', '/n' FROM feature_flags LIMIT 1"
    )
    assert "new" in visitor.sees(one)
    database.execute(f"UPDATE sidebar_features SET tenant_id = '{two}' WHERE sidebar_name = 'new'")
    assert "new" not in visitor.sees(one)
    assert "new" in visitor.sees(two)
    database.execute("UPDATE sidebar_features SET tenant_id = NULL WHERE sidebar_name = 'new'")
    assert "new" not in visitor.sees(one)
    assert database.execute("INSERT INTO profiles (email) VALUES ('a@b') RETURNING tenant_id::text") == [(NIL,)]


def test_a_deleted_tenant_takes_its_rows(legacy, engine, database):
    go(engine, "rbac_contract")
    (tenant,) = database.execute("SELECT id FROM tenants WHERE name = 'Tenant 3'")[0]
    database.execute(f"DELETE FROM tenants WHERE id = '{tenant}'")
    for table in ("profiles", "roles", "user_roles", "tenant_features", "sidebar_features"):
        assert database.execute(f"SELECT count(*) FROM {table} WHERE tenant_id = '{tenant}'") == [(0,)], table


def test_another_schema(engine, database):
    database.execute('CREATE SCHEMA "My ""App"""')
    with engine.connect() as connection:
        script.upgrade(connection, schema='My "App"')
        command.check(script.configuration(connection, schema='My "App"'))
    assert database.execute("SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace") == [(0,)]
    with engine.connect() as connection:
        script.downgrade(connection, "rbac@base", schema='My "App"')


def test_init_makes_a_database_straight_at_head(database, cluster):
    url = make_url(database.url).set(database=f"{database.name}_new")
    try:
        init(url.render_as_string(hide_password=False))
        engine = create_engine(url)
        autogenerate_finds_nothing(engine)
        engine.dispose()
        init(url.render_as_string(hide_password=False))
    finally:
        database.execute(f"DROP DATABASE IF EXISTS {url.database} WITH (FORCE)")
