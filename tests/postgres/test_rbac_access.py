"""Does every kind of connection and session get the right typed answer, and does a tenant end with its block?"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from truing.errors import (
    GrantRefusedError,
    ImpersonationRefusedError,
    NoProgramError,
    UnknownProfileError,
    UnknownRoleError,
    UsageError,
)
from truing.rbac import access, program
from truing.rbac.access import aio

PAST, SOON = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


class Sync:
    """Calls a function of `access` on a synchronous connection or session."""

    def __init__(self, on):
        self.on = on

    def __call__(self, name, *args, **kwargs):
        return getattr(access, name)(self.on, *args, **kwargs)

    def commit(self):
        self.on.commit()

    def close(self):
        self.on.close()


class Async:
    """Calls a function of `access.aio`, waiting for each."""

    def __init__(self, runner, engine, *, session):
        self.runner, self.engine = runner, engine
        self.on = AsyncSession(engine) if session else runner.run(self._open(engine))

    async def _open(self, engine):
        return await engine.connect()

    def __call__(self, name, *args, **kwargs):
        return self.runner.run(getattr(aio, name)(self.on, *args, **kwargs))

    def commit(self):
        self.runner.run(self.on.commit())

    def close(self):
        self.runner.run(self.on.close())
        self.runner.run(self.engine.dispose())


@pytest.fixture(params=["connection", "session", "async connection", "async session", "asyncpg"])
def ask(request, world, rbac_database):
    kind = request.param
    if "async" not in kind:
        given = world.engine.connect() if kind == "connection" else Session(world.engine)
        asking = Sync(given)
        yield asking
        asking.close()
        return
    url = rbac_database.url.replace("+psycopg", "+asyncpg") if kind == "asyncpg" else rbac_database.url
    if kind == "asyncpg" and "+asyncpg" not in url:
        url = url.replace("postgresql://", "postgresql+asyncpg://")
    with asyncio.Runner() as runner:
        asking = Async(runner, create_async_engine(url, poolclass=NullPool), session=kind == "async session")
        yield asking
        asking.close()


@pytest.fixture
def acme(world):
    return world.tenant("acme")


def test_every_question_is_answered(world, acme, ask):
    world.permission("page.read")
    role = world.role(acme, "editor", "doc.*", "doc.read", "!doc.purge")
    profile = world.profile(acme, role)
    assert ask("can", acme, profile, "doc.read") is True
    assert ask("can", acme, profile, "nothing") is False
    assert ask("can", acme, uuid4(), "doc.read") is False
    assert ask("can", uuid4(), profile, "doc.read") is False
    assert list(ask("can_many", acme, profile, ["page.read", "doc.read", "no", "doc.read"]).items()) == [
        ("page.read", False),
        ("doc.read", True),
        ("no", False),
    ]
    assert ask("permissions_of", acme, profile) == {"doc.*", "doc.read"}
    assert ask("who_can", acme, "doc.read") == (profile,)
    assert ask("who_can", acme, "doc.purge") == ()
    assert ask("tenants_of", profile) == (access.Membership(acme, "acme", "acme"),)
    why = ask("why", acme, profile, "doc.purge")
    assert not why.allowed
    assert why.reason == "Denied by editor: deny doc.purge; a deny wins over every allow."
    assert [(path.granted, path.effect) for path in why.paths] == [("doc.purge", "deny"), ("doc.*", "allow")]


def test_a_grant_is_given_prolonged_and_taken_back(world, acme, ask):
    world.role(acme, "editor", "doc.read")
    profile = world.profile(acme)
    version = ask("grant", acme, profile, "editor", expires_at=PAST)
    ask.commit()
    assert ask("can", acme, profile, "doc.read") is False
    assert ask("grant", acme, profile, "editor", expires_at=SOON) == version + 1
    ask.commit()
    assert ask("can", acme, profile, "doc.read") is True
    assert ask("revoke", acme, profile, "editor") == version + 2
    assert ask("can", acme, profile, "doc.read") is False
    assert ask("revoke", acme, profile, "editor") is None


@pytest.mark.parametrize(
    ("role", "by", "error", "said"),
    [
        ("nobody", None, UnknownRoleError, "nobody"),
        ("editor", "stranger", GrantRefusedError, "may not hand out"),
        ("editor", None, UnknownProfileError, r"^There is no such profile in this tenant\.$"),
    ],
)
def test_a_refusal_has_an_error_of_its_own(world, acme, ask, role, by, error, said):
    world.role(acme, "editor")
    other = world.profile(world.tenant("other"))
    by = world.profile(acme) if by else None
    with pytest.raises(error, match=said):
        ask("grant", acme, other, role, by=by)


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("nothing", "No role of the profile allows it."),
        ("expired", "Only boss > reader: allow doc.read allows it, and the profile does not have that role now."),
        ("granted", "Allowed by boss > reader: allow doc.read."),
        ("profile", "The profile is not active."),
        ("tenant", "The tenant is not active."),
        ("permission", "There is no permission nowhere."),
        ("stranger", "The tenant has no such profile."),
        ("no tenant", "There is no such tenant."),
    ],
)
def test_why_gives_the_reason_that_can_has(world, acme, state, said):
    reader = world.role(acme, "reader", "doc.read")
    boss = world.role(acme, "boss", parents=(reader,))
    profile = world.profile(acme)
    if state != "nothing":
        world.grant(acme, profile, boss, expires_at=PAST if state == "expired" else None)
    world.run(
        {"profile": "UPDATE profiles SET active = false", "tenant": "UPDATE tenants SET is_active = false"}.get(
            state, "SELECT 1"
        )
    )
    name = "nowhere" if state == "permission" else "doc.read"
    whose = (uuid4() if state == "no tenant" else acme, uuid4() if state == "stranger" else profile)
    answer = access.why(world.connection, *whose, name)
    assert answer.reason == said
    assert answer.allowed is access.can(world.connection, *whose, name) is (state == "granted")


class TestTenant:
    """Row security is on, and the role that asks sees one tenant at a time."""

    @pytest.fixture(autouse=True)
    def _rows(self, world, rbac_database):
        self.acme, self.other = world.tenant("acme"), world.tenant("other")
        for each in (self.acme, self.other):
            world.profile(each)
        role = rbac_database.role()
        program.install(world.connection, application=role)
        world.connection.commit()
        world.run(
            "ALTER TABLE profiles ENABLE ROW LEVEL SECURITY;"
            " CREATE POLICY isolation ON profiles USING (tenant_id = rbac.current_tenant());"
            f" GRANT SELECT, INSERT ON profiles TO {role}"
        )
        self.url = rbac_database.url_as(role)
        # One connection, which every checkout gets: what one leaves behind, the next one finds.
        self.engine = create_engine(self.url, pool_size=1, max_overflow=0)
        yield
        self.engine.dispose()

    def seen(self, on):
        return {row[0] for row in on.execute(text("SELECT tenant_id FROM profiles"))}

    @pytest.fixture(params=["connection", "session"])
    def begin(self, request):
        return self.engine.connect if request.param == "connection" else lambda: Session(self.engine)

    def test_nothing_is_seen_without_one(self, begin):
        with begin() as on:
            assert self.seen(on) == set()

    def test_it_holds_over_the_transactions_of_its_block_and_no_longer(self, begin):
        with begin() as on:
            with access.tenant(on, self.acme):
                assert self.seen(on) == {self.acme}
                on.commit()
                assert self.seen(on) == {self.acme}
                on.rollback()
                assert self.seen(on) == {self.acme}
                assert access.current_tenant(on) == self.acme
            assert self.seen(on) == set()
            on.commit()
            assert self.seen(on) == set()

    def test_it_starts_in_the_middle_of_a_transaction_and_nests(self, begin):
        with begin() as on:
            assert self.seen(on) == set()
            with access.tenant(on, self.acme):
                with access.tenant(on, self.other):
                    assert self.seen(on) == {self.other}
                    on.commit()
                    assert self.seen(on) == {self.other}
                assert self.seen(on) == {self.acme}
                on.commit()
                assert self.seen(on) == {self.acme}
            assert self.seen(on) == set()

    def test_a_savepoint_that_is_rolled_back_takes_nothing_away(self, begin):
        with begin() as on, access.tenant(on, self.acme):
            inner = on.begin_nested()
            assert self.seen(on) == {self.acme}
            inner.rollback()
            assert self.seen(on) == {self.acme}

    def test_the_pool_gets_nothing_whatever_ends_the_block(self, begin):
        with pytest.raises(AttributeError), begin() as on, access.tenant(on, self.acme):
            self.seen(on).and_then_it_fails()
        with begin() as on:
            assert self.seen(on) == set()
        with pytest.raises(DBAPIError), begin() as on, access.tenant(on, self.acme):
            on.execute(text("SELECT 1 / 0"))
        with begin() as on:
            assert self.seen(on) == set()
        block = access.tenant(kept := begin(), self.acme)
        block.__enter__()
        assert self.seen(kept) == {self.acme}
        kept.close()
        with begin() as on:
            assert self.seen(on) == set()
        block.__exit__(None, None, None)

    def test_writing_for_another_tenant_is_refused(self, begin):
        insert = text("INSERT INTO profiles (tenant_id) VALUES (:t)")
        with begin() as on, access.tenant(on, self.acme):
            on.execute(insert, {"t": self.acme})
            with pytest.raises(DBAPIError, match="row-level security"):
                on.execute(insert, {"t": self.other})

    def test_autocommit_is_refused_for_nothing_would_last(self):
        with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as on:
            with pytest.raises(UsageError, match="autocommit"), access.tenant(on, self.acme):
                self.seen(on)
            assert self.seen(on) == set()

    @pytest.mark.parametrize("wrong", ["", "acme", None])
    def test_what_is_no_tenant_is_refused(self, wrong):
        with self.engine.connect() as on, pytest.raises(UsageError, match="UUID"), access.tenant(on, wrong):
            pass

    @pytest.mark.parametrize("driver", ["psycopg", "asyncpg"])
    @pytest.mark.parametrize("session", [False, True])
    def test_asynchronous_ones_do_the_same(self, driver, session):
        async def go():
            engine = create_async_engine(
                self.url.replace("postgresql+psycopg", "postgresql").replace("postgresql", f"postgresql+{driver}", 1),
                pool_size=1,
                max_overflow=0,
            )

            async def seen(on):
                return {row[0] for row in await on.execute(text("SELECT tenant_id FROM profiles"))}

            async with AsyncSession(engine) if session else engine.connect() as on:
                assert await seen(on) == set()
                async with aio.tenant(on, self.acme):
                    assert await seen(on) == {self.acme}
                    await on.commit()
                    assert await seen(on) == {self.acme}
                assert await seen(on) == set()
            async with engine.connect() as on:
                assert await seen(on) == set()
            await engine.dispose()

        asyncio.run(go())


def test_to_impersonate_needs_a_permission_and_is_logged(world, acme):
    world.role(acme, "clerk")
    support = world.role(acme, "support", "impersonate")
    ann, bob = world.profile(acme, support), world.profile(acme)
    cy = world.profile(world.tenant("other"))
    connection = world.connection
    for actor, profile, said in ((bob, ann, "may not act as"), (ann, cy, "no active profile")):
        with pytest.raises(ImpersonationRefusedError, match=said), access.impersonate(connection, acme, actor, profile):
            pass
    with access.impersonate(connection, acme, ann, bob), pytest.raises(GrantRefusedError):
        access.grant(connection, acme, ann, "clerk")
    connection.rollback()
    with access.impersonate(connection, acme, ann, bob):
        connection.execute(text("UPDATE roles SET description = 'x' WHERE name = 'clerk'"))
        connection.commit()
    rows = world.run("SELECT actor, impersonator FROM rbac_audit WHERE op = 'UPDATE' AND table_name = 'roles'")
    assert list(map(tuple, rows)) == [(str(bob), str(ann))]


@pytest.mark.parametrize("made", ["", "CREATE SCHEMA rbac"])
def test_a_database_without_the_functions_says_what_to_run(database, made):
    if made:
        database.execute(made)
    someone = uuid4()
    asked = {
        "can": (someone, someone, "doc.read"),
        "can_many": (someone, someone, ["doc.read"]),
        "sidebar": (someone, someone),
        "why": (someone, someone, "doc.read"),
        "grant": (someone, someone, "boss"),
        "current_tenant": (),
    }
    engine = create_engine(database.url, poolclass=NullPool)
    for name, arguments in asked.items():
        with engine.connect() as on, pytest.raises(NoProgramError, match="does not exist") as caught:
            getattr(access, name)(on, *arguments)
        assert "truing rbac install" in caught.value.advice
