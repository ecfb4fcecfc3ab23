"""Does a transaction get the tenant it is bound to, and no other, when the SQL in it is hostile?

The attacker runs any SQL as the application's role, knows the id of the other tenant, and reads whatever the
application has set for its own.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from tests.rbac_isolation import AROUND
from tests.rbac_world import World
from truing.errors import UsageError
from truing.names import ident, literal
from truing.rbac import access, program
from truing.rbac.access import aio
from truing.rbac.access.cache import Cache

SECRET, NEXT = b"s" * 32, secrets.token_bytes(80)

PLACES = [("public", "rbac", "app.tenant_id"), ('we"ird naïve', "pro gram", "tenancy.who")]


class Bound:
    """A database with two tenants of one profile each, a policy, and an application that is bound."""

    def __init__(self, database, engine, bind, place):
        self.schema, self.program, self.setting = place
        self.database, self.bind = database, bind
        self.world = World(engine, schema=self.schema, name=self.program)
        self.own, self.other = self.world.tenant("own"), self.world.tenant("other")
        self.profiles = {each: self.world.profile(each) for each in (self.own, self.other)}
        self.application = "app_user"
        self.administrator = database.role("LOGIN IN ROLE rbac_admin")
        self.install(bind="setting")
        # The revisions write their policies over the program in the schema rbac.
        mine = f"{ident(self.program)}.current_tenant()"
        for table, using in self.world.run(
            "SELECT tablename, qual FROM pg_policies WHERE policyname = 'tenant_isolation'"
        ):
            self.run(f"ALTER POLICY tenant_isolation ON {table} USING {using.replace('rbac.current_tenant()', mine)}")
        if bind != "setting":
            with pytest.raises(DBAPIError, match="profiles_jwt_read on .*, sidebar_features_jwt_read on "):
                self.install(bind=bind)
            self.world.connection.rollback()
            self.run(AROUND)
        self.install(bind=bind)
        self.login = database.role("LOGIN IN ROLE app_user", name=f"Own tenant {secrets.token_hex(3)}")
        if bind == "role":
            self.administer(
                f"SELECT {ident(self.program)}.bind_role({literal(self.login)}, {literal(str(self.own))}::uuid)"
            )
        if bind == "signed":
            self.rotate(SECRET)
        self.engine = create_engine(database.url_as(self.login), poolclass=NullPool)

    def install(self, **how):
        self.world.connection.rollback()
        program.install(
            self.world.connection,
            schema=self.schema,
            program=self.program,
            setting=self.setting,
            application=self.application,
            administrator="rbac_admin",
            **how,
        )
        self.world.connection.commit()

    def run(self, statements):
        raw = self.world.connection.connection.driver_connection
        raw.execute(statements)
        raw.commit()

    def administer(self, statement, *parameters):
        with psycopg.connect(self.database.dsn, user=self.administrator, autocommit=True) as connection:
            connection.execute(statement, parameters)

    def rotate(self, secret):
        self.administer(f"SELECT {ident(self.program)}.rotate_tenant_key(%s)", secret)

    def value(self, tenant):
        """What the application sets for a tenant."""
        return access.sign(tenant, SECRET) if self.bind == "signed" else str(tenant)

    def sees(self, value, *attack):
        """The profiles that a transaction sees in which the setting is this, after an attack."""
        with psycopg.connect(self.database.dsn, user=self.login) as connection:
            connection.execute("SELECT set_config(%s, %s, true)", [self.setting, value])
            for statement in attack:
                connection.execute(statement)
            rows = connection.execute(f"SELECT id FROM {ident(self.schema)}.profiles").fetchall()
        return {row[0] for row in rows}

    def set(self, value):
        return f"SELECT set_config({literal(self.setting)}, {literal(str(value))}, true)"

    @property
    def only(self):
        return {self.profiles[self.own]}

    @property
    def others(self):
        return {self.profiles[self.other]}


@pytest.fixture(params=PLACES, ids=["public", "elsewhere"])
def bound(request, make_database, prepared, cluster):
    made = []

    def make(bind):
        database = make_database(template=prepared.on(cluster, *request.param[:2]))
        made.append(Bound(database, create_engine(database.url, poolclass=NullPool), bind, request.param))
        return made[-1]

    yield make
    for each in made:
        each.world.close()
        each.engine.dispose()


def refused(state, call, *arguments):
    with pytest.raises(psycopg.Error) as caught:
        call(*arguments)
    assert caught.value.sqlstate == state, caught.value
    return str(caught.value)


@pytest.mark.parametrize("bind", ["setting", "role", "signed"])
def test_the_application_works_in_its_tenant_and_without_one_sees_nothing(bound, bind):
    it = bound(bind)
    assert it.sees(it.value(it.own)) == it.only
    assert it.sees("") == (it.only if bind == "role" else set())


ALONE = {"isolation_level": "AUTOCOMMIT", "pool_size": 1, "max_overflow": 0}
RESET = {"usual": {}, "nothing": {"pool_reset_on_return": None, "skip_autocommit_rollback": True}}


class Alone:
    """Asks on a pool of one connection in autocommit, a checkout for each question."""

    def __init__(self, url, how, reset):
        self.session = "session" in how
        self.runner = asyncio.Runner() if "async" in how else None
        if self.runner is None:
            self.engine = create_engine(url, **ALONE, **reset)
        else:
            url = url.set(drivername="postgresql+asyncpg") if how == "asyncpg" else url
            self.engine = create_async_engine(url, **ALONE, **reset)

    def __call__(self, name, *arguments, **options):
        if self.runner is not None:
            return self.runner.run(self.ask(name, *arguments, **options))
        with Session(self.engine) if self.session else self.engine.connect() as on:
            return getattr(access, name)(on, *arguments, **options)

    async def ask(self, name, *arguments, **options):
        async with AsyncSession(self.engine) if self.session else self.engine.connect() as on:
            return await getattr(aio, name)(on, *arguments, **options)

    def close(self):
        if self.runner is None:
            self.engine.dispose()
        else:
            self.runner.run(self.engine.dispose())
            self.runner.close()


@pytest.mark.parametrize("bind", ["setting", "role", "signed"])
def test_one_statement_says_its_tenant_and_leaves_nothing(bound, bind):
    it = bound(bind)
    for tenant in (it.own, it.other):
        it.world.grant(tenant, it.profiles[tenant], it.world.role(tenant, "r", "doc.read"))
    own, other = it.profiles[it.own], it.profiles[it.other]
    how_to = {"program": it.program, "setting": it.setting, "secret": SECRET if bind == "signed" else None}
    for how in ("connection", "session", "async", "async session", "asyncpg"):
        for reset in RESET.values():
            asking = Alone(it.engine.url, how, reset)
            try:
                # As often as it takes for the statement to be prepared, by the driver and by the server.
                for _ in range(7):
                    assert asking("can_once", it.own, own, "doc.read", **how_to)
                    assert not asking("can_once", it.other, own, "doc.read", **how_to)
                    # A login that is bound to one tenant sees nothing of the other.
                    assert asking("can_once", it.other, other, "doc.read", **how_to) is (bind != "role")
                    assert not asking("can_once", it.own, other, "doc.read", **how_to)
                    left = asking("current_tenant", program=it.program)
                    assert left == (it.own if bind == "role" else None)
                if bind == "signed":
                    with pytest.raises(DBAPIError, match="not signed"):
                        asking("can_once", it.own, own, "doc.read", **how_to | {"secret": None})
            finally:
                asking.close()


@pytest.mark.parametrize("kind", [Session, lambda engine: engine.connect()], ids=["session", "connection"])
def test_one_statement_is_refused_where_its_tenant_would_last(bound, kind):
    it = bound("setting")
    with kind(it.engine) as on:
        with pytest.raises(UsageError, match="would last for this whole transaction"):
            access.can_once(on, it.own, it.profiles[it.own], "doc.read", program=it.program, setting=it.setting)
        assert access.current_tenant(on, program=it.program) is None


@pytest.mark.parametrize("kind", [AsyncSession, lambda engine: engine.connect()], ids=["session", "connection"])
def test_one_statement_is_refused_there_without_a_thread_too(bound, kind):
    it = bound("setting")

    async def ask():
        engine = create_async_engine(it.engine.url, poolclass=NullPool)
        async with kind(engine) as on:
            with pytest.raises(UsageError, match="would last for this whole transaction"):
                await aio.can_once(on, it.own, it.profiles[it.own], "doc.read", program=it.program, setting=it.setting)
            assert await aio.current_tenant(on, program=it.program) is None
        await engine.dispose()

    asyncio.run(ask())


@pytest.mark.parametrize("how", ["connection", "session", "async"])
def test_the_block_signs_anew_for_each_transaction(bound, how, monkeypatch):
    it = bound("signed")
    query = text(f"SELECT id, current_setting(:setting) FROM {ident(it.schema)}.profiles")
    asked = {"setting": it.setting}
    moment = time.time()
    seen = []
    if how == "async":

        async def ask():
            engine = create_async_engine(it.engine.url, poolclass=NullPool)
            async with engine.connect() as on, aio.tenant(on, it.own, setting=it.setting, secret=SECRET):
                for later in (0, 30):
                    monkeypatch.setattr(time, "time", lambda later=later: moment + later)
                    seen.append((await on.execute(query, asked)).one())
                    await on.commit()
            await engine.dispose()

        asyncio.run(ask())
    else:
        on = it.engine.connect() if how == "connection" else Session(it.engine)
        with on, access.tenant(on, it.own, setting=it.setting, secret=SECRET):
            for later in (0, 30):
                monkeypatch.setattr(time, "time", lambda later=later: moment + later)
                seen.append(on.execute(query, asked).one())
                on.commit()
    assert {row[0] for row in seen} == it.only
    first, second = (int(row[1].split(".")[1]) for row in seen)
    assert second == first + 30


def test_a_cache_signs_as_well(bound):
    it = bound("signed")
    role = it.world.role(it.own, "r", "doc.read")
    it.world.grant(it.own, it.profiles[it.own], role)
    options = {"program": it.program, "setting": it.setting, "listen": False}
    with Cache(it.engine, secret=SECRET, **options) as cache:
        assert cache.can(it.own, it.profiles[it.own], "doc.read")
    with Cache(it.engine, **options) as cache, pytest.raises(DBAPIError, match="not signed"):
        cache.can(it.own, it.profiles[it.own], "doc.read")


def test_whoever_can_set_the_setting_is_any_tenant(bound):
    """The plain truth of row security by a setting; the two others are for who has to withstand this."""
    it = bound("setting")
    assert it.sees(it.value(it.own), it.set(it.other)) == it.others
    assert it.sees("", claims(it)) == it.others


def claims(it):
    """Policies of the legacy schema ask this setting as well."""
    return f"""SELECT set_config('request.jwt.claims', '{{"tenant_id": "{it.other}"}}', true)"""


def test_a_login_stays_in_its_tenant(bound):
    it = bound("role")
    for attack in (it.set(it.other), it.set("nonsense")):
        assert it.sees("", attack) == set()
    assert it.sees("", it.set(it.own), f"SET ROLE {it.application}") == it.only
    assert it.sees("", "RESET ROLE", it.set("")) == it.only
    assert it.sees("", claims(it)) == it.only
    table = f"{ident(it.program)}.tenant_roles"
    for attack in (
        f"SELECT * FROM {table}",
        f"UPDATE {table} SET tenant_id = {literal(str(it.other))}",
        f"INSERT INTO {table} VALUES (session_user::text::regrole, {literal(str(it.other))})",
        f"SELECT {ident(it.program)}.bind_role(session_user, {literal(str(it.other))})",
        f"SET SESSION AUTHORIZATION {it.administrator}",
        f"SET ROLE {it.administrator}",
    ):
        refused("42501", it.sees, "", attack)
    it.run(f"GRANT SELECT ON ALL TABLES IN SCHEMA {ident(it.program)} TO {it.application}")
    with psycopg.connect(it.database.dsn, user=it.login) as connection:
        assert connection.execute(f"SELECT * FROM {table}").fetchall() == []


def test_a_login_without_a_tenant_sees_nothing_and_neither_does_one_made_again(bound):
    it = bound("role")
    quoted = ident(it.login)
    it.run(f"DROP ROLE {quoted}; CREATE ROLE {quoted} LOGIN IN ROLE {it.application}")
    assert it.sees("") == set()
    bind = f"SELECT {ident(it.program)}.bind_role(%s, %s)"
    it.administer(bind, it.login, it.own)
    assert it.sees("") == it.only
    it.administer(bind, it.login, it.other)
    assert it.sees("") == it.others
    it.administer(bind, it.login, None)
    assert it.sees("") == set()


def test_only_what_row_security_holds_for_can_be_bound(bound):
    it = bound("role")
    bind = f"SELECT {ident(it.program)}.bind_role(%s, %s)"
    assert "no role nobody here" in refused("42704", it.administer, bind, "nobody here", it.own)
    assert "fk_tenant_roles_tenant" in refused("23503", it.administer, bind, it.login, uuid4())
    for attribute in ("BYPASSRLS", "SUPERUSER"):
        assert "does not hold" in refused("22023", it.administer, bind, it.database.role(attribute), it.own)


def forgeries(it):
    good = access.sign(it.own, SECRET)
    _, expiry, code = good.split(".")
    later = str(int(expiry) + 1_000_000)
    return {
        "plain": str(it.other),
        "another tenant": f"{it.other}.{expiry}.{code}",
        "later": f"{it.own}.{later}.{code}",
        "cut": good[:-1],
        "longer": good + "0",
        "capitals": good.upper(),
        "line break": good + "\n",
        "no code": f"{it.other}.{expiry}.",
        "another secret": access.sign(it.other, b"x" * 32),
        "negative expiry": f"{it.own}.-1.{code}",
        "huge expiry": f"{it.own}.99999999999999999999.{code}",
        "nonsense": "'; DROP TABLE profiles; --",
    }


def test_a_forged_tenant_is_an_error(bound):
    it = bound("signed")
    assert it.sees(it.value(it.own), claims(it)) == it.only
    for name, value in forgeries(it).items():
        said = refused("28000", it.sees, it.value(it.own), it.set(value))
        assert "not signed with a key" in said, name
        assert value not in said, name


def test_the_secret_cannot_be_read_used_or_replaced(bound):
    it = bound("signed")
    it.run(f"GRANT SELECT ON ALL TABLES IN SCHEMA {ident(it.program)} TO {it.application}")
    with psycopg.connect(it.database.dsn, user=it.login) as connection:
        assert connection.execute(f"SELECT * FROM {ident(it.program)}.tenant_keys").fetchall() == []
        assert connection.execute("SELECT * FROM pg_stats WHERE tablename = 'tenant_keys'").fetchall() == []
    it.run(f"REVOKE SELECT ON ALL TABLES IN SCHEMA {ident(it.program)} FROM {it.application}")
    for attack in (
        f"SELECT * FROM {ident(it.program)}.tenant_keys",
        f"COPY {ident(it.program)}.tenant_keys TO STDOUT",
        f"DELETE FROM {ident(it.program)}.tenant_keys",
        f"SELECT {ident(it.program)}.rotate_tenant_key(repeat('x', 32)::bytea)",
        f"SELECT {ident(it.program)}.forget_previous_tenant_key()",
    ):
        refused("42501", it.sees, it.value(it.own), attack)


def test_shadows_of_what_the_check_calls_change_nothing(bound):
    it = bound("signed")
    shadows = (
        "CREATE TEMP TABLE tenant_keys (which text, inner_pad bytea, outer_pad bytea)",
        "CREATE FUNCTION pg_temp.sha256(bytea) RETURNS bytea LANGUAGE sql AS 'SELECT ''x''::bytea'",
        "CREATE FUNCTION pg_temp.yes(bytea, bytea) RETURNS boolean LANGUAGE sql AS 'SELECT true'",
        "CREATE OPERATOR pg_temp.= (LEFTARG = bytea, RIGHTARG = bytea, FUNCTION = pg_temp.yes)",
        "SET LOCAL search_path = pg_temp, pg_catalog",
    )
    forged = forgeries(it)["another tenant"]
    refused("28000", it.sees, it.value(it.own), *shadows, it.set(forged))
    assert it.sees(it.value(it.own), *shadows) == it.only


def test_a_signed_tenant_expires_but_not_within_a_transaction(bound):
    it = bound("signed")
    short = access.sign(it.own, SECRET, lifetime=2)
    assert it.sees(short, "SELECT pg_sleep(3)") == it.only
    assert "has expired" in refused("28000", it.sees, short)


def test_keys_rotate_without_a_gap_and_the_old_one_can_be_forgotten(bound):
    it = bound("signed")
    old, new = access.sign(it.own, SECRET), access.sign(it.own, NEXT)
    refused("28000", it.sees, new)
    it.rotate(NEXT)
    it.rotate(NEXT)
    assert it.sees(old) == it.sees(new) == it.only
    it.administer(f"SELECT {ident(it.program)}.forget_previous_tenant_key()")
    refused("28000", it.sees, old)
    assert it.sees(new) == it.only
    it.rotate(b"a" * 64)
    it.rotate(b"b" * 65)
    refused("28000", it.sees, new)
    assert it.sees(access.sign(it.own, b"a" * 64)) == it.sees(access.sign(it.own, b"b" * 65)) == it.only


def test_without_a_key_nothing_is_believed(bound):
    it = bound("signed")
    it.run(f"DELETE FROM {ident(it.program)}.tenant_keys")
    refused("28000", it.sees, it.value(it.own))
    assert it.sees("") == set()


def test_a_secret_that_is_too_short_is_refused_on_both_sides(bound):
    it = bound("signed")
    assert "at least 32 bytes, not 5" in refused("22023", it.rotate, b"short")
    for arguments in ((it.own, b"short"), (str(it.own), SECRET)):
        with pytest.raises(UsageError):
            access.sign(*arguments)
    with pytest.raises(UsageError, match="more than 0"):
        access.sign(it.own, SECRET, lifetime=0)
    with it.engine.connect() as on, pytest.raises(UsageError, match="32 bytes"):
        access.tenant(on, it.own, secret=b"short")


@pytest.mark.parametrize("bind", ["role", "signed"])
def test_installing_again_loosens_nothing_unless_it_is_said(bound, bind):
    it = bound(bind)
    it.install()
    place = {"schema": it.schema, "program": it.program, "setting": it.setting}
    with pytest.raises(psycopg.Error, match="bound more tightly"):
        it.run(";".join(program.statements(**place)))
    it.world.connection.connection.driver_connection.rollback()
    if bind == "signed":
        refused("28000", it.sees, str(it.other))
    assert it.sees(it.value(it.own)) == it.only
    it.install(bind="setting")
    assert it.sees(str(it.other)) == it.others
    names = it.world.run(
        "SELECT proname FROM pg_proc WHERE pronamespace = to_regnamespace(:name)", name=ident(it.program)
    )
    assert {name for (name,) in names} == set(program.functions())


@pytest.mark.parametrize("bind", ["role", "signed"])
def test_uninstalling_leaves_only_what_a_policy_needs(bound, bind):
    it = bound(bind)
    program.uninstall(it.world.connection, schema=it.schema, program=it.program)
    it.world.connection.commit()
    names = it.world.run(
        "SELECT proname FROM pg_proc WHERE pronamespace = to_regnamespace(:name)", name=ident(it.program)
    )
    assert names == [("current_tenant",)]
    assert it.sees(it.value(it.own)) == it.only
