"""Are the answers right, whatever happens to the policy, and is what nobody may do refused?"""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from tests.rbac_world import World, prepare
from truing.rbac import program

SOON, PAST = datetime(2100, 1, 1, tzinfo=UTC), datetime(2000, 1, 1, tzinfo=UTC)


@pytest.fixture
def acme(world):
    return world.tenant("acme")


def refused(call, *args, state="42501", **kwargs):
    with pytest.raises(DBAPIError) as caught:
        call(*args, **kwargs)
    assert caught.value.orig.sqlstate == state, caught.value
    return str(caught.value.orig)


@pytest.mark.parametrize(
    ("schema", "name"),
    [("public", "rbac"), ('we"ird\n $$naïve; --', 'pro "$body$ gram'), ("rbac", "rbac"), ("select", "user")],
)
def test_it_works_in_any_schema_and_twice_and_leaves_nothing(engine, schema, name):
    prepare(engine, schema=schema, name=name)
    world = World(engine, schema=schema, name=name)
    acme = world.tenant("acme")
    profile = world.profile(acme, world.role(acme, "r", "doc.*"))
    world.permission("doc.read")
    program.install(world.connection, schema=schema, program=name)
    world.connection.commit()
    assert world.can(acme, profile, "doc.read")
    program.uninstall(world.connection, schema=schema, program=name)
    left = world.run("SELECT t.tgname, p.proname FROM pg_proc p LEFT JOIN pg_trigger t ON t.tgfoid = p.oid"
                     " WHERE p.pronamespace = quote_ident(:name)::regnamespace", name=name)  # fmt: skip
    assert [row for row in left if row.proname in program.functions()] == [(None, "current_tenant")]
    world.close()


def test_installing_compiles_what_was_there_before(world, acme):
    program.uninstall(world.connection)
    profile = world.profile(acme, world.role(acme, "r", "doc.read"))
    assert program.install(world.connection) == 1
    world.connection.commit()
    assert world.can(acme, profile, "doc.read")
    assert program.install(world.connection) == 0


def test_roles_are_compiled_a_few_tenants_in_each_transaction(world, monkeypatch):
    monkeypatch.setattr(program, "SLICE", 2)
    program.uninstall(world.connection)
    tenants = [world.tenant(f"t{number}") for number in range(5)]
    profiles = [world.profile(tenant, world.role(tenant, "r", "doc.read")) for tenant in tenants[:-1]]
    assert program.install(world.connection, compiling=False) == 0
    world.connection.commit()
    assert not world.can(tenants[0], profiles[0], "doc.read")
    world.connection.commit()
    assert program.compile_in_slices(world.connection) == len(profiles), "the last tenant has no roles"
    assert all(world.can(*each, "doc.read") for each in zip(tenants, profiles, strict=False))
    written = "SELECT count(DISTINCT xmin::text) FROM tenant_rbac_versions WHERE tenant_id = ANY (:t)"
    assert world.one(written, t=tenants) == 3, "two each, with the tenant that holds rows without one"
    world.connection.commit()
    assert program.compile_in_slices(world.connection) == 0


def test_every_function_has_its_path_pinned_and_is_closed_to_the_public(world):
    rows = world.run(
        "SELECT proname, prosecdef, proconfig, has_function_privilege('public', oid, 'EXECUTE') FROM pg_proc"
        " WHERE pronamespace = 'rbac'::regnamespace"
    )
    assert {name for name, *_ in rows} == set(program.functions())
    assert [name for name, _, path, _ in rows if not path and name != "current_tenant"] == []
    assert [name for *_, name, _, _, public in [(None, *row) for row in rows] if public] == []
    definers = {name for name, definer, *_ in rows if definer}
    assert definers & set(program.QUESTIONS) == {"tenants_of", "versions_of"}


def test_a_hierarchy_is_folded_and_a_cycle_ends(world, acme):
    top = world.role(acme, "top", "a")
    middle = world.role(acme, "middle", "b", parents=(top,))
    bottom = world.role(acme, "bottom", parents=(middle,))
    profile = world.profile(acme, bottom)
    assert world.can(acme, profile, "a")
    world.run("INSERT INTO role_inherits VALUES (:t, :r, :p)", t=acme, r=top, p=bottom)
    boss = world.profile(acme, top)
    assert world.can(acme, boss, "b")
    world.run("DELETE FROM role_inherits WHERE role_id = :r", r=middle)
    assert not world.can(acme, profile, "a")
    assert world.can(acme, profile, "b")
    assert world.wrong() == []


def test_deny_wins_from_wherever_it_comes(world, acme):
    plain, strict = world.role(acme, "plain", "*"), world.role(acme, "strict", "!doc.*")
    world.permission("doc.read", "page.read")
    profile = world.profile(acme, plain)
    assert world.can(acme, profile, "doc.read")
    world.grant(acme, profile, strict)
    assert not world.can(acme, profile, "doc.read")
    assert world.can(acme, profile, "page.read")


def test_wildcards_reach_permissions_that_come_later_are_renamed_or_go(world, acme):
    other = world.tenant("other")
    profiles = {each: world.profile(each, world.role(each, "r", "doc.*")) for each in (acme, other)}
    world.permission("doc.new")
    assert all(world.can(each, profile, "doc.new") for each, profile in profiles.items())
    world.run("UPDATE permissions SET name = 'page.new' WHERE name = 'doc.new'")
    assert not any(world.can(each, profile, "page.new") for each, profile in profiles.items())
    world.run("UPDATE permissions SET name = 'doc.back' WHERE name = 'page.new'")
    assert all(world.can(each, profile, "doc.back") for each, profile in profiles.items())
    bit = world.one("SELECT bit_no FROM permissions WHERE name = 'doc.back'")
    world.run("DELETE FROM permissions WHERE name = 'doc.back'")
    world.run("INSERT INTO permissions (name, bit_no) VALUES ('page.secret', :bit)", bit=bit)
    assert not any(world.can(each, profile, "page.secret") for each, profile in profiles.items())
    world.run("UPDATE permissions SET name = 'page.*' WHERE name = 'doc.*'")
    assert all(world.can(each, profile, "page.secret") for each, profile in profiles.items())
    world.run("UPDATE permissions SET bit_no = 1000 WHERE name = 'page.secret'")
    assert all(world.can(each, profile, "page.secret") for each, profile in profiles.items())
    world.run("DELETE FROM permissions WHERE name = 'page.*'")
    assert not any(world.can(each, profile, "page.secret") for each, profile in profiles.items())
    assert world.wrong() == []


def test_numbers_that_were_given_away_do_not_run_out(world, acme):
    """Each deployment inserts the permissions that it needs, and nearly always finds them there."""
    profile = world.profile(acme, world.role(acme, "r", "first"))
    world.run(
        "DO $$ BEGIN FOR n IN 1..3000 LOOP INSERT INTO permissions (name) VALUES ('first') ON CONFLICT DO NOTHING; END LOOP; END $$"
    )
    world.run("INSERT INTO permissions (name) SELECT 'p' || n FROM generate_series(1, 1023) n")
    assert world.one("SELECT count(DISTINCT bit_no) FROM permissions") == 1024
    assert "1,024 permissions" in refused(world.permission, "more", state="54000")
    assert world.run("SELECT * FROM rbac.permissions_of(:t, :p)", t=acme, p=profile) == [("first",)]
    world.run("DELETE FROM permissions WHERE name = 'p7'")
    world.permission("more")
    assert not world.can(acme, profile, "more")


@pytest.mark.parametrize(
    "window", [{"valid_from": SOON}, {"expires_at": PAST}, {"valid_from": PAST, "expires_at": PAST + timedelta(1)}]
)
def test_a_grant_holds_only_in_its_time(world, acme, window):
    role = world.role(acme, "r", "a")
    profile = world.profile(acme)
    world.grant(acme, profile, role, **window)
    assert not world.can(acme, profile, "a")
    world.run("UPDATE user_roles SET valid_from = :past, expires_at = :soon", past=PAST, soon=SOON)
    assert world.can(acme, profile, "a")


def test_who_is_not_active_can_nothing(world, acme):
    profile = world.profile(acme, world.role(acme, "r", "a"))
    for table, column in (("profiles", "active"), ("tenants", "is_active")):
        whose = "id" if table == "tenants" else "tenant_id"
        world.run(f"UPDATE {table} SET {column} = false WHERE {whose} = :t", t=acme)
        assert not world.can(acme, profile, "a")
        assert world.run("SELECT * FROM rbac.who_can(:t, 'a')", t=acme) == []
        assert world.run("SELECT * FROM rbac.tenants_of(:p)", p=profile) == []
        world.run(f"UPDATE {table} SET {column} = true WHERE {whose} = :t", t=acme)
    assert world.can(acme, profile, "a")
    assert world.run("SELECT profile_id FROM rbac.who_can(:t, 'a')", t=acme) == [(profile,)]
    assert world.run("SELECT slug FROM rbac.tenants_of(:p)", p=profile) == [("acme",)]


def test_masks_cannot_be_written_by_hand(world, acme):
    role = world.role(acme, "r")
    world.permission("a")
    profile = world.profile(acme, role)
    world.run("UPDATE roles SET allow_mask = ~0::bit(1024)")
    assert not world.can(acme, profile, "a")
    world.run("INSERT INTO roles (tenant_id, name, allow_mask) VALUES (:t, 'copy', ~0::bit(1024))", t=acme)
    assert world.wrong() == []


def test_what_was_changed_behind_the_triggers_is_found_and_mended(world, acme):
    world.role(acme, "r", "a")
    world.run("ALTER TABLE roles DISABLE TRIGGER ALL; UPDATE roles SET allow_mask = 0::bit(1024);"
              "ALTER TABLE roles ENABLE TRIGGER ALL")  # fmt: skip
    assert [row.role for row in world.wrong()] == ["r"]
    assert world.one("SELECT rbac.rebuild_masks(:t)", t=acme) == 1
    assert world.wrong() == []
    assert world.one("SELECT rbac.rebuild_masks()") == 0


GRANT = "INSERT INTO role_permissions (tenant_id, role_id, permission_id) SELECT %s, %s, id FROM permissions WHERE name = %s"
ADD = "INSERT INTO permissions (name) VALUES (%s)"


@pytest.mark.parametrize(
    ("own", "first", "second", "expected"),
    [
        ("x", (GRANT, "a"), (GRANT, "b"), {"a", "b", "x"}),
        ("doc.*", (GRANT, "a"), (ADD, "doc.b"), {"a", "doc.*", "doc.b"}),
        ("x", (GRANT, "page.*"), (ADD, "page.b"), {"page.*", "page.b", "x"}),
        ("x", (ADD, "page.b"), (GRANT, "page.*"), {"page.*", "page.b", "x"}),
    ],
    ids=["two grants", "a grant and a permission", "a wildcard and a permission", "a permission and a wildcard"],
)
def test_two_writers_both_count(world, acme, rbac_database, own, first, second, expected):
    """Each compiles while it cannot see the other's change; the later must wait, and see it then."""
    role = world.role(acme, "r", own)
    profile = world.profile(acme, role)
    world.permission("a", "b", "page.*")

    def write(connection, statement, name):
        connection.execute(statement, (acme, role, name) if statement is GRANT else (name,))

    earlier = rbac_database.connect(autocommit=False)
    write(earlier, *first)
    thread = threading.Thread(target=lambda: write(rbac_database.connect(), *second))
    thread.start()
    watch = rbac_database.connect()
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    until = time.monotonic() + 15
    while thread.is_alive() and time.monotonic() < until and not watch.execute(waiting).fetchone()[0]:
        time.sleep(0.01)
    earlier.commit()
    thread.join()
    assert {name for (name,) in world.run("SELECT * FROM rbac.permissions_of(:t, :p)", t=acme, p=profile)} == expected
    assert world.wrong() == []


def test_a_fixed_snapshot_is_refused_where_it_would_compile_too_little(world, acme):
    role = world.role(acme, "r", "a")
    world.permission("b")
    world.connection.execution_options(isolation_level="REPEATABLE READ")
    assert "READ COMMITTED" in refused(world.allow, acme, role, "b", state="25000")


def test_a_transaction_counts_once_and_tells_once(world, acme, rbac_database):
    other = world.tenant("other")
    role = world.role(acme, "r")
    profiles = [world.profile(acme) for _ in range(3)]
    before, elsewhere = world.version(acme), world.version(other)
    listener = rbac_database.connect()
    listener.execute("LISTEN rbac")
    for profile in profiles:
        world.connection.execute(
            text("INSERT INTO user_roles (tenant_id, user_id, role_id) VALUES (:t, :p, :r)"),
            {"t": acme, "p": profile, "r": role},
        )
    world.connection.commit()
    assert world.version(acme) == before + 1
    assert world.version(other) == elsewhere
    assert [each.payload for each in listener.notifies(timeout=0.5)] == [str(acme)]
    world.run("DELETE FROM user_roles RETURNING 1")
    assert world.version(acme) == before + 2
    world.connection.execute(text("DELETE FROM roles RETURNING 1"))
    world.connection.rollback()
    assert [each.payload for each in listener.notifies(timeout=0.5)] == [str(acme)]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("UPDATE profiles SET active = false", True),
        ("UPDATE profiles SET display_name = 'x'", False),
        ("UPDATE tenants SET is_active = false", True),
        ("UPDATE tenants SET name = 'x'", False),
        ("UPDATE user_roles SET expires_at = '2100-01-01'", True),
        ("UPDATE permissions SET description = 'x'", False),
        ("UPDATE permissions SET name = 'z'", True),
        ("INSERT INTO permissions (name) VALUES ('unused')", False),
        ("DELETE FROM permissions", True),
        ("DELETE FROM role_permissions", True),
        ("DELETE FROM roles", True),
        ("DELETE FROM profiles", True),
        ("UPDATE roles SET description = 'x'", False),
        ("INSERT INTO feature_flags (name) VALUES ('f')", True),
    ],
)
def test_what_changes_an_answer_counts_and_nothing_else(world, acme, change, told):
    world.profile(acme, world.role(acme, "r", "a"))
    before = world.version(acme)
    world.run(change)
    assert (world.version(acme) > before) is told


def test_a_deleted_tenant_is_told_and_its_log_stays(world, acme, rbac_database):
    listener = rbac_database.connect()
    world.profile(acme, world.role(acme, "r", "a"))
    listener.execute("LISTEN rbac")
    world.run("DELETE FROM tenants")
    assert str(acme) in [each.payload for each in listener.notifies(timeout=0.5)]
    rows = world.run("SELECT op, table_name FROM rbac_audit WHERE tenant_id = :t", t=acme)
    assert {("INSERT", "user_roles"), ("DELETE", "user_roles"), ("DELETE", "tenants")} <= set(map(tuple, rows))


def test_the_log_names_who_did_it_and_who_was_behind(world, acme):
    world.connection.execute(
        text("SELECT set_config('app.actor', 'ops', true), set_config('app.impersonator', 'eve', true)")
    )
    role = world.role(acme, "r")
    world.role(acme, "s")
    rows = world.run("SELECT actor, impersonator, new_row ->> 'name', new_row ? 'allow_mask' FROM rbac_audit"
                     " WHERE table_name = 'roles' ORDER BY id")  # fmt: skip
    login = world.one("SELECT session_user::text")
    assert list(map(tuple, rows)) == [("ops", "eve", "r", False), (login, None, "s", False)]
    before = world.one("SELECT count(*) FROM rbac_audit")
    world.allow(acme, role, "a")
    assert world.one("SELECT count(*) FROM rbac_audit") == before + 1, "a compiled mask is not worth a line"
    world.profile(acme)
    world.run("UPDATE profiles SET active = false, email = 'a@b'")
    (row,) = world.run("SELECT new_row FROM rbac_audit WHERE table_name = 'profiles'")
    assert set(row[0]) == {"id", "tenant_id", "active"}


@pytest.mark.parametrize("change", ["UPDATE rbac_audit SET op = 'x'", "DELETE FROM rbac_audit", "TRUNCATE rbac_audit"])
def test_the_log_is_only_added_to(world, acme, change):
    assert "only ever added to" in refused(world.run, change)
    assert world.one("SELECT count(*) FROM rbac_audit") > 0


class TestWhoMayHandOutWhat:
    @pytest.fixture(autouse=True)
    def _office(self, world, acme):
        self.world, self.tenant = world, acme
        self.boss, self.clerk, self.root = (world.role(acme, name) for name in ("boss", "clerk", "root"))
        world.run("INSERT INTO role_grants VALUES (:t, :b, :c)", t=acme, b=self.boss, c=self.clerk)
        self.ann, self.bob, self.cy = (
            world.profile(acme, self.boss),
            world.profile(acme, self.clerk),
            world.profile(acme),
        )

    def acting(self, actor, statement, **parameters):
        self.world.connection.execute(text("SELECT set_config('app.actor', :a, true)"), {"a": str(actor)})
        return self.world.run(statement, t=self.tenant, **parameters)

    GRANT = "INSERT INTO user_roles (tenant_id, user_id, role_id) VALUES (:t, :p, :r) RETURNING granted_by"

    def test_what_its_role_may(self):
        assert self.acting(self.ann, self.GRANT, p=self.cy, r=self.clerk) == [(self.ann,)]
        self.acting(self.ann, "DELETE FROM user_roles WHERE tenant_id = :t AND user_id = :p", p=self.cy)

    @pytest.mark.parametrize(("who", "role"), [("ann", "root"), ("ann", "boss"), ("bob", "clerk"), ("cy", "root")])
    def test_nothing_else(self, who, role):
        said = refused(self.acting, getattr(self, who), self.GRANT, p=self.cy, r=getattr(self, role))
        assert role in said

    def test_not_in_anothers_name(self):
        refused(self.world.grant, self.tenant, self.cy, self.clerk, granted_by=self.bob)
        statement = self.GRANT.replace("role_id)", "role_id, granted_by)").replace(":r)", ":r, :by)")
        refused(self.acting, self.bob, statement, p=self.cy, r=self.clerk, by=self.ann)

    def test_not_by_turning_one_role_into_another(self):
        self.acting(self.ann, self.GRANT, p=self.cy, r=self.clerk)
        change = "UPDATE user_roles SET role_id = :r WHERE tenant_id = :t AND user_id = :p"
        refused(self.acting, self.ann, change, p=self.cy, r=self.root)
        refused(self.acting, self.ann, change, p=self.ann, r=self.clerk)

    def test_not_by_prolonging_what_another_gave(self):
        change = "UPDATE user_roles SET expires_at = '2100-01-01' WHERE tenant_id = :t AND user_id = :p"
        refused(self.acting, self.bob, change, p=self.bob)
        self.acting(self.ann, change, p=self.bob)
        assert self.world.one("SELECT granted_by FROM user_roles WHERE user_id = :p", p=self.bob) == self.ann

    def test_not_by_taking_away_what_it_may_not_give(self):
        refused(self.acting, self.bob, "DELETE FROM user_roles WHERE tenant_id = :t AND user_id = :p", p=self.ann)

    def test_only_while_the_own_role_is_in_force(self):
        self.world.run("UPDATE user_roles SET expires_at = '2000-01-01' WHERE user_id = :p", p=self.ann)
        refused(self.acting, self.ann, self.GRANT, p=self.cy, r=self.clerk)

    def test_an_operator_is_held_by_privileges_only_and_a_cascade_by_nothing(self):
        self.world.grant(self.tenant, self.cy, self.root)
        self.acting(self.bob, "DELETE FROM profiles WHERE id = :p", p=self.ann)
        assert self.world.run("SELECT 1 FROM user_roles WHERE user_id = :p", p=self.ann) == []


def test_an_unset_or_empty_tenant_is_none(world, acme):
    assert world.one("SELECT rbac.current_tenant()") is None
    world.connection.execute(text("SELECT set_config('app.tenant_id', :t, true)"), {"t": str(acme)})
    assert world.one("SELECT rbac.current_tenant()") == acme
    assert world.one("SELECT rbac.current_tenant()") is None


def test_why_shows_each_path_once_and_what_is_not_in_force(world, acme):
    base = world.role(acme, "base", "doc.*")
    lead = world.role(acme, "lea", parents=(base,))
    chief = world.role(acme, "lead", parents=(lead, base))
    ban = world.role(acme, "ban", "!doc.read")
    world.run("INSERT INTO role_inherits VALUES (:t, :r, :p)", t=acme, r=base, p=chief)
    profile = world.profile(acme, chief)
    world.grant(acme, profile, ban, expires_at=PAST)
    rows = world.run("SELECT via, granted, effect, in_force FROM rbac.why(:t, :p, 'doc.read')", t=acme, p=profile)
    assert list(map(tuple, rows)) == [
        (["ban"], "doc.read", "deny", False),
        (["lead", "base"], "doc.*", "allow", True),
        (["lead", "lea", "base"], "doc.*", "allow", True),
    ]
    assert world.run("SELECT * FROM rbac.why(:t, :p, 'doc.none')", t=acme, p=profile) == []


def test_the_application_may_ask_and_nothing_else(world, acme, rbac_database):
    role = rbac_database.role()
    profile = world.profile(acme, world.role(acme, "r", "a"))
    program.install(world.connection, application=role)
    world.connection.commit()
    # Row security shows it the tenants of the application.
    world.run(f"GRANT app_user TO {role}; GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")
    with psycopg.connect(rbac_database.url_as(role).replace("+psycopg", "")) as asking:
        asking.execute("SELECT set_config('app.tenant_id', %s, true)", (str(acme),))
        assert asking.execute("SELECT rbac.can(%s, %s, 'a')", (acme, profile)).fetchone() == (True,)
        asking.execute("SELECT * FROM rbac.sidebar(%s, %s)", (acme, profile))
        for call in ("rbac.rebuild_masks()", "rbac.bump_tenants(NULL)", "rbac.compile(NULL, NULL)"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege), asking.transaction():
                asking.execute(f"SELECT {call}")
