"""What can a session of the application learn of another tenant by other ways than a table, and what can it not?

The last tests say what it can: docs/explanation/tenant-isolation.md promises no more than that.
"""

from __future__ import annotations

import json

import psycopg
import pytest
from sqlalchemy import create_engine, text

from truing.names import literal
from truing.rbac.access import tenant

PROFILES = "SELECT tenant_id FROM profiles"


@pytest.fixture
def it(isolated):
    return isolated()


@pytest.fixture(params=["setting", "supabase"])
def each(request, isolated):
    """Bound by what the transaction says, and by the claims of a token, with the roles of Supabase."""
    return isolated(request.param)


def tenants(connection, query=PROFILES):
    return {row[0] for row in connection.execute(query).fetchall()}


def refused(connection, statement, state):
    with pytest.raises(psycopg.Error) as caught:
        connection.execute(statement)
    assert caught.value.sqlstate == state, caught.value
    connection.rollback()


@pytest.mark.parametrize("role", ["rbac_admin", "rbac_migration", "postgres"])
@pytest.mark.parametrize("how", ["SET ROLE", "SET SESSION AUTHORIZATION"])
def test_nobody_else_can_be_become(it, how, role):
    with it.within("own") as connection:
        refused(connection, f"{how} {role}", "42501")


@pytest.mark.parametrize("how", ["SET ROLE app_user", "RESET ROLE", "RESET SESSION AUTHORIZATION", "SET ROLE NONE"])
def test_going_back_to_who_one_was_changes_nothing(it, how):
    with it.within("own") as connection:
        connection.execute("SET ROLE app_user")
        connection.execute(how)
        assert tenants(connection) == {it.tenants["own"]}


def test_row_security_cannot_be_switched_off(each):
    with each.within("own") as connection:
        connection.execute("SET row_security = off")
        refused(connection, PROFILES, "42501")


def test_a_function_cannot_be_called_leakproof(each):
    with each.within("own") as connection:
        refused(
            connection,
            "CREATE FUNCTION pg_temp.f(uuid) RETURNS boolean LANGUAGE sql LEAKPROOF AS 'SELECT true'",
            "42501",
        )


@pytest.mark.parametrize("setting", ["", None])
def test_no_tenant_is_nothing(it, setting):
    with psycopg.connect(it.database.dsn, user=it.logins["own"]) as connection:
        if setting is not None:
            connection.execute("SELECT set_config('app.tenant_id', %s, true)", [setting])
        assert tenants(connection) == set()


@pytest.mark.parametrize("setting", ["x", " ", "NULL", "0", "00000000-0000-0000-0000-00000000000", "' OR true --"])
def test_what_is_no_tenant_is_an_error(it, setting):
    with psycopg.connect(it.database.dsn, user=it.logins["own"]) as connection:
        connection.execute("SELECT set_config('app.tenant_id', %s, true)", [setting])
        refused(connection, PROFILES, "22P02")


def test_shadows_of_tables_functions_and_operators_change_no_answer(each):
    own, victim, profile = (literal(str(x)) for x in (each.tenants["own"], each.tenants["other"], each.profiles["own"]))
    with each.within("own") as connection:
        for statement in (
            "CREATE TEMP TABLE user_roles AS SELECT * FROM public.user_roles",
            "CREATE TEMP TABLE roles AS SELECT * FROM public.roles",
            "UPDATE pg_temp.roles SET allow_mask = ~0::bit(1024)",
            f"CREATE TEMP TABLE permissions AS SELECT 'doc.purge' AS name, 9 AS bit_no, {own}::uuid AS id",
            "CREATE TEMP TABLE tenants AS SELECT id, true AS is_active, slug, name FROM public.tenants",
            f"CREATE FUNCTION pg_temp.current_tenant() RETURNS uuid LANGUAGE sql AS $$ SELECT {victim}::uuid $$",
            "CREATE FUNCTION pg_temp.yes(uuid, uuid) RETURNS boolean LANGUAGE sql AS 'SELECT true'",
            "CREATE OPERATOR pg_temp.= (LEFTARG = uuid, RIGHTARG = uuid, FUNCTION = pg_temp.yes)",
            "SET LOCAL search_path = pg_temp, public, pg_catalog",
        ):
            connection.execute(statement)
        assert tenants(connection, "SELECT tenant_id FROM public.profiles") == {each.tenants["own"]}
        (can,) = connection.execute(f"SELECT rbac.can({own}, {profile}, 'doc.purge')").fetchone()
        assert can is False


def test_nothing_that_writes_as_its_owner_can_be_called_by_a_table_of_ones_own(each):
    with each.within("own") as connection:
        connection.execute("CREATE TEMP TABLE forged (id uuid, tenant_id text)")
        trigger = "CREATE TRIGGER t AFTER UPDATE ON forged FOR EACH ROW EXECUTE FUNCTION public.log_tenant_move()"
        refused(connection, trigger, "42501")
    each.admin.execute("UPDATE profiles SET role = NULL, email = NULL; DELETE FROM user_roles")
    each.admin.execute("UPDATE profiles SET tenant_id = %s", [each.tenants["own"]])
    assert each.rows("SELECT count(*) FROM tenant_moves") == [(1,)]


@pytest.mark.parametrize("plan", ["auto", "force_generic_plan", "force_custom_plan"])
def test_a_prepared_statement_follows_the_tenant_of_each_transaction(each, plan):
    with psycopg.connect(each.database.dsn, user=each.logins["own"]) as connection:
        connection.execute(f"SET plan_cache_mode = {plan}")
        connection.execute(f"PREPARE p AS {PROFILES}")
        connection.commit()
        for _ in range(4):
            for side in ("own", "other", "none"):
                each.enter(connection, side)
                assert tenants(connection, "EXECUTE p") == {each.tenants[side]} - {None}
                connection.commit()


@pytest.mark.parametrize("end", ["commit", "rollback", "error", "close"])
def test_nothing_of_a_tenant_is_left_on_a_pooled_connection(it, end):
    engine = create_engine(it.database.url_as(it.logins["own"]), pool_size=1, max_overflow=0)
    with engine.connect() as connection, tenant(connection, it.tenants["own"]):
        before = connection.connection.driver_connection
        assert connection.execute(text(PROFILES)).scalars().all() == [it.tenants["own"]]
        if end == "error":
            with pytest.raises(Exception, match="zero"):
                connection.execute(text("SELECT 1 / 0"))
        elif end != "close":
            getattr(connection, end)()
    with engine.connect() as connection:
        assert connection.connection.driver_connection is before
        assert connection.execute(text(PROFILES)).scalars().all() == []
    engine.dispose()


def test_statistics_of_the_rows_are_hidden(each):
    each.admin.execute("ANALYZE")
    assert each.rows("SELECT 1 FROM pg_stats WHERE tablename = 'profiles'")
    with each.within("own") as connection:
        assert connection.execute("SELECT * FROM pg_stats WHERE schemaname IN ('public', 'rbac')"
                                  " AND tablename NOT IN ('permissions', 'feature_flags')").fetchall() == []  # fmt: skip
        names = "SELECT last_value FROM pg_sequences WHERE schemaname = 'public'"
        assert {row[0] for row in connection.execute(names).fetchall()} == {None}


def test_what_another_session_runs_is_hidden_from_another_login_only(it):
    """So values belong into parameters; and with a login for each tenant nothing is seen."""
    query = "SELECT query FROM pg_stat_activity WHERE pid = %s"
    with it.within("other") as watched:
        watched.execute("SELECT 'a secret of the other', %s::text", ["a parameter"])
        pid = watched.info.backend_pid
        with psycopg.connect(it.database.dsn, user=it.logins["other"]) as same:
            (seen,) = same.execute(query, [pid]).fetchone()
            assert "a secret of the other" in seen
            assert "a parameter" not in seen
        with it.within("own") as another:
            assert another.execute(query, [pid]).fetchone() == ("<insufficient privilege>",)


def test_what_is_not_hidden_is_how_much_there_is(it):
    """Numbers of all tenants together, and the planner's guess for a tenant whose id one knows."""
    other = literal(str(it.tenants["other"]))
    it.admin.execute(f"INSERT INTO profiles (tenant_id) SELECT {other} FROM generate_series(1, 3000)")
    it.admin.execute("ANALYZE profiles")
    with it.within("own") as connection:
        total = connection.execute("SELECT reltuples FROM pg_class WHERE oid = 'profiles'::regclass").fetchone()
        assert total == (3002,)
        ((plan,),) = connection.execute(f"EXPLAIN (FORMAT json) {PROFILES}").fetchall()
        assert json.loads(json.dumps(plan))[0]["Plan"]["Plan Rows"] < 3002
        assert tenants(connection, f"{PROFILES} WHERE tenant_id = {other}") == set()


def test_which_tenants_change_can_be_listened_to_and_locks_are_shared(it):
    """Ids of tenants are no secrets, and whoever may connect may keep others waiting."""
    with psycopg.connect(it.database.dsn, user=it.logins["own"], autocommit=True) as connection:
        connection.execute("LISTEN rbac")
        it.admin.execute("UPDATE tenants SET is_active = false WHERE id = %s", [it.tenants["other"]])
        (heard,) = connection.notifies(timeout=20, stop_after=1)
        assert heard.payload == str(it.tenants["other"])
        it.admin.execute("SELECT pg_advisory_lock(7)")
        assert connection.execute("SELECT objid FROM pg_locks WHERE locktype = 'advisory'").fetchall() == [(7,)]
        assert connection.execute("SELECT pg_try_advisory_lock(7)").fetchone() == (False,)


def test_a_session_that_is_shared_can_be_prepared_for_the_next_tenant(it):
    """Hostile SQL leaves a table of its own behind, which the next unqualified name finds."""
    with psycopg.connect(it.database.dsn, user=it.logins["own"], autocommit=True) as connection:
        connection.execute("CREATE TEMP TABLE profiles AS SELECT 'forged' AS tenant_id")
        connection.execute("SELECT set_config('app.tenant_id', %s, false)", [it.value("other")])
        assert tenants(connection) == {"forged"}
        assert tenants(connection, "SELECT tenant_id FROM public.profiles") == {it.tenants["other"]}
        connection.execute("DISCARD ALL")
        assert tenants(connection) == set()
    it.admin.execute(f'REVOKE TEMPORARY ON DATABASE "{it.database.name}" FROM PUBLIC')
    with it.within("own") as connection:
        refused(connection, "CREATE TEMP TABLE profiles (tenant_id text)", "42501")
