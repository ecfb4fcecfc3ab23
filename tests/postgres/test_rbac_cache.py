"""Is an answer from memory never older than it may be, whatever happens to the notifications, the listener, the server?"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import threading
import time
import timeit
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import create_engine, event, text
from sqlalchemy.exc import DBAPIError

from truing.errors import UsageError
from truing.rbac import access
from truing.rbac.access import cache as module
from truing.rbac.access.cache import Cache

KILL = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'truing rbac cache'"
SLACK = 1.5
"""Seconds that a loaded machine may take to get around to it."""


@pytest.fixture
def acme(world):
    return world.tenant("acme")


@pytest.fixture
def make(world):
    made = []

    def make(**options):
        made.append(Cache(world.engine, **options))
        return made[-1]

    yield make
    for each in made:
        each.close()


@contextmanager
def counted(engine):
    """Count the questions that get as far as the database (not the watcher's)."""
    seen = []
    me = threading.get_ident()

    def note(_connection, _cursor, statement, *_):
        if threading.get_ident() == me:
            seen.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    yield seen
    event.remove(engine, "before_cursor_execute", note)


def until(condition, seconds):
    """The seconds until something holds; fails where it takes longer."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, "it has not happened in time"
        time.sleep(0.005)
    return time.monotonic() - began


def listening(cache, *question):
    cache.can(*question)
    until(lambda: cache.listening, 10)
    return cache.can(*question)


def test_it_says_what_the_database_says_and_asks_once(world, acme, make):
    world.permission("page.read")
    profile = world.profile(acme, world.role(acme, "r", "doc.*", "doc.read", "!doc.purge"))
    cache = make(staleness=60)
    names = ["doc.read", "doc.purge", "page.read", "nothing", "doc.*"]
    listening(cache, acme, profile, "doc.read")
    with counted(world.engine) as asked:
        answers = {name: cache.can(acme, profile, name) for name in names}
    assert asked == []
    assert answers == access.can_many(world.connection, acme, profile, names)
    assert sum(answers.values()) == 2
    assert cache.can(acme, uuid4(), "doc.read") is False
    assert cache.can(uuid4(), profile, "doc.read") is False


CHANGES = {
    "revoked": "DELETE FROM user_roles",
    "expired": "UPDATE user_roles SET expires_at = now() - interval '1 s'",
    "denied": "UPDATE role_permissions SET effect = 'deny'",
    "role taken away": "DELETE FROM roles",
    "profile inactive": "UPDATE profiles SET active = false",
    "profile gone": "DELETE FROM profiles",
    "tenant inactive": "UPDATE tenants SET is_active = false",
    "tenant gone": "DELETE FROM tenants",
    "permission renamed": "UPDATE permissions SET name = 'other'",
    "permission gone": "DELETE FROM permissions",
    "bits exchanged": "UPDATE permissions SET bit_no = 900 WHERE name = 'doc.read'",
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_every_change_is_heard_long_before_the_bound(world, acme, make, change):
    profile = world.profile(acme, world.role(acme, "r", "doc.read"))
    cache = make(staleness=60)
    assert listening(cache, acme, profile, "doc.read")
    world.run(change)
    until(lambda: acme.int not in cache._tenants, SLACK)
    assert cache.can(acme, profile, "doc.read") is world.can(acme, profile, "doc.read") is ("bit_no" in change)


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_the_bound_holds_when_the_listener_is_dead(world, acme, make, monkeypatch, change):
    """The watcher is killed and does not come back: neither notification nor poll."""
    profile = world.profile(acme, world.role(acme, "r", "doc.read"))
    cache = make(staleness=1.0)
    assert listening(cache, acme, profile, "doc.read")
    died = threading.Event()
    monkeypatch.setattr(cache, "_watch_on", lambda *_: died.wait())
    monkeypatch.setattr(cache, "_forget_all", lambda: None)
    try:
        world.run(KILL)
        until(lambda: not cache.listening, 10)
        cache.can(acme, profile, "doc.read")
        world.run(change)
        if "bit_no" not in change:
            took = until(lambda: not cache.can(acme, profile, "doc.read"), 1.0 + SLACK)
            assert took <= 1.0 + SLACK / 3
        assert cache.can(acme, profile, "doc.read") is world.can(acme, profile, "doc.read")
    finally:
        died.set()


def test_the_poll_alone_keeps_the_bound_and_renews_what_has_not_changed(world, acme, make):
    profile = world.profile(acme, world.role(acme, "r", "doc.read"))
    cache = make(staleness=1.0, listen=False)
    assert cache.can(acme, profile, "doc.read")
    time.sleep(1.5)
    with counted(world.engine) as asked:
        assert cache.can(acme, profile, "doc.read")
    assert asked == [], "renewed by the poll, so nothing had to be asked"
    assert not cache.listening
    world.run("DELETE FROM user_roles")
    until(lambda: not cache.can(acme, profile, "doc.read"), 1.0)


def test_a_killed_listener_comes_back_and_hears_again(world, acme, make):
    profile = world.profile(acme, world.role(acme, "r", "doc.read"))
    cache = make(staleness=60)
    assert listening(cache, acme, profile, "doc.read")
    world.run(KILL)
    world.run("DELETE FROM user_roles")
    until(lambda: not cache.can(acme, profile, "doc.read"), 5)
    until(lambda: cache.listening, 5)
    world.grant(acme, profile, world.one("SELECT id FROM roles"))
    until(lambda: cache.can(acme, profile, "doc.read"), SLACK)


def test_a_database_that_is_gone_is_an_error_and_never_a_yes(world, acme):
    profile = world.profile(acme, world.role(acme, "r", "doc.read"))
    engine = create_engine(world.engine.url)
    with Cache(engine, staleness=0.6) as cache:
        assert cache.can(acme, profile, "doc.read")
        engine.dialect.create_connect_args = lambda _: ([], {"host": "127.0.0.1", "port": 1, "connect_timeout": 2})
        event.listen(engine, "do_connect", lambda *_: (_ for _ in ()).throw(OSError("unplugged")))
        world.run(KILL)
        began = time.monotonic()
        with pytest.raises((OSError, DBAPIError)):
            until(lambda: not cache.can(acme, profile, "doc.read"), 0.6 + SLACK)
        assert time.monotonic() - began < 0.6 + SLACK
    engine.dispose()


def test_a_change_that_is_heard_while_an_answer_is_on_its_way_is_not_lost(world, acme, make, monkeypatch):
    profile = world.profile(acme, world.role(acme, "r", "doc.read"))
    cache = make(staleness=60)
    assert listening(cache, acme, profile, "doc.read")
    cache._hear(str(acme))
    keep = cache._keep

    def late(*args):
        world.run("DELETE FROM user_roles")
        until(lambda: cache._heard[acme.int] >= 2, 5)
        keep(*args)

    monkeypatch.setattr(cache, "_keep", late)
    assert cache.can(acme, profile, "doc.read"), "it was so when it was asked"
    monkeypatch.undo()
    assert not cache.can(acme, profile, "doc.read")


@pytest.mark.parametrize("listen", [True, False])
def test_time_passes_without_a_notification(world, acme, make, listen):
    profile = world.profile(acme)
    role = world.role(acme, "r", "doc.read")
    now = world.one("SELECT now()")
    world.grant(acme, profile, role, valid_from=now + timedelta(seconds=0.7), expires_at=now + timedelta(seconds=1.4))
    cache = make(staleness=60, listen=listen)
    seen = []
    until(
        lambda: (
            seen.append(cache.can(acme, profile, "doc.read"))
            or world.one("SELECT now()") > now + timedelta(seconds=1.6)
        ),
        10,
    )
    changes = [each for each, before in zip(seen, [None, *seen], strict=False) if each is not before]
    assert changes == [False, True, False]


def grant_and_revoke(world, cache, tenant, profiles, seed):
    """Change one profile after the other and wait for each change to be seen; says which was not in time."""
    chance = random.Random(seed)
    late = []
    with world.engine.connect() as connection:
        for wanted in [True, False] * 25:
            profile = chance.choice(profiles) if wanted else profile  # noqa: F821 - the one that was granted
            (access.grant if wanted else access.revoke)(connection, tenant, profile, "r")
            connection.commit()
            began = time.monotonic()
            while cache.can(tenant, profile, "doc.read") is not wanted and time.monotonic() - began < 1.0 + SLACK:
                time.sleep(0.001)
            if time.monotonic() - began >= 1.0 + SLACK:
                late.append(f"{profile} is still {not wanted}")
    return late


def test_a_storm_of_grants_loses_nothing(world, acme, make):
    """Four writers grant and revoke; whoever does must see it within the bound, every time."""
    world.role(acme, "r", "doc.read")
    profiles = [world.profile(acme) for _ in range(40)]
    cache = make(staleness=1.0)
    listening(cache, acme, profiles[0], "doc.read")
    stop = threading.Event()

    def read():
        while not stop.is_set():
            for profile in profiles:
                cache.can(acme, profile, "doc.read")

    with ThreadPoolExecutor() as pool:
        reading = [pool.submit(read) for _ in range(2)]
        writing = [pool.submit(grant_and_revoke, world, cache, acme, profiles[n::4], n) for n in range(4)]
        late = [each.result() for each in writing]
        stop.set()
    assert late == [[]] * 4
    assert [each.exception() for each in reading] == [None, None]


STORM = float(os.environ.get("TRUING_STORM", "3"))
"""Seconds of it."""
WRITERS, RATE, AT_ONCE = 4, 1_000, 5
GIVE = "INSERT INTO user_roles (tenant_id, user_id, role_id) SELECT %s, unnest(%s::uuid[]), %s"
TAKE = "DELETE FROM user_roles WHERE tenant_id = %s AND user_id = ANY (%s)"


def give_and_take(connection, tenant, role, profiles, since):
    """Change a few in each transaction, a writer's part of the rate; who has the role since when; how many a second."""
    chance, done, began = random.Random(role), 0, time.monotonic()
    while (passed := time.monotonic() - began) < STORM:
        if done > passed * RATE / WRITERS:
            time.sleep(0.001)
            continue
        some = chance.sample(profiles, AT_ONCE)
        had = {each: since[each][0] for each in some}
        since |= dict.fromkeys(some)
        with connection.transaction():
            connection.execute(GIVE, [tenant, [each for each in some if not had[each]], role])
            connection.execute(TAKE, [tenant, [each for each in some if had[each]]])
        moment = time.monotonic()
        since |= {each: (not had[each], moment) for each in some}
        done += AT_ONCE
    rate = done / (time.monotonic() - began)
    # In the end the one that is watched has it, which it had not in the beginning.
    if not since[profiles[0]][0]:
        # Nobody knows which it is until it is done.
        since[profiles[0]] = None
        connection.execute(GIVE, [tenant, profiles[:1], role])
        since[profiles[0]] = (True, time.monotonic())
    return rate


class Watched:
    """Asks two caches again and again: one with a short bound, one that would be wrong for a minute.

    About one profile of each tenant: a question about another that is not in memory brings a new version along, and so
    would hide that one was missed.
    """

    def __init__(self, short, long, since):
        self.short, self.long, self.since = short, long, since
        self.settled, self.wrong, self.over = 0, [], threading.Event()

    def note(self, profile, before, asked, answer):
        """Count an answer about what has been so for longer than the bound, all the while it was asked."""
        if before is None or self.since[profile] is not before or asked - before[1] <= self.short.staleness:
            return
        self.settled += 1
        if answer is not before[0]:
            self.wrong.append(f"{profile} was {answer} {asked - before[1]:.2f} s after it was {before[0]}")

    def from_a_thread(self, some):
        while not self.over.wait(0.001):
            for tenant, profile in some:
                self.long.can(tenant, profile, "doc.read")
                before, asked = self.since[profile], time.monotonic()
                self.note(profile, before, asked, self.short.can(tenant, profile, "doc.read"))

    def from_a_loop(self, some):
        async def read(tenant, profile):
            while not self.over.is_set():
                await self.long.can_async(tenant, profile, "doc.read")
                before, asked = self.since[profile], time.monotonic()
                self.note(profile, before, asked, await self.short.can_async(tenant, profile, "doc.read"))
                await asyncio.sleep(0.001)

        async def read_all():
            await asyncio.gather(*(read(*each) for each in some))

        asyncio.run(read_all())


@pytest.mark.parametrize("reader", ["from_a_thread", "from_a_loop"])
def test_under_a_thousand_grants_a_second_nothing_is_missed(
    world, rbac_database, make, reader, record_property, capsys
):
    """Never older than the bound while it lasts; and what only notifications can correct is right soon after it."""
    since, writers, asked = {}, [], []
    for number in range(WRITERS):
        tenant = world.tenant(f"t{number}")
        role = world.role(tenant, "r", "doc.read")
        made = "INSERT INTO profiles (tenant_id) SELECT :t FROM generate_series(1, 200) RETURNING id"
        profiles = [row[0] for row in world.run(made, t=tenant)]
        since |= dict.fromkeys(profiles, (False, time.monotonic()))
        asked.append((tenant, profiles[0]))
        writers.append((rbac_database.connect(), tenant, role, profiles, since))
    watched = Watched(make(staleness=0.5), make(staleness=60), since)
    for cache in (watched.short, watched.long):
        assert not any(listening(cache, *each, "doc.read") for each in asked)
    with ThreadPoolExecutor() as pool:
        reading = [pool.submit(getattr(watched, reader), asked[n::2]) for n in range(2)]
        rates = [each.result() for each in [pool.submit(give_and_take, *each) for each in writers]]
        watched.over.set()
    # `--log-cli-level=INFO` shows it.
    logging.getLogger(__name__).info("%.0f grants a second, %d answers compared", sum(rates), watched.settled)
    assert sum(rates) > RATE / 4, "that was no storm"
    assert [each.exception() for each in reading] == [None, None]
    assert watched.wrong == []
    assert watched.settled > 50
    until(lambda: all(watched.long.can(*each, "doc.read") for each in asked), 10)


def test_a_loop_goes_on_while_the_database_is_waited_for(world, acme, rbac_database):
    profile = world.profile(acme, world.role(acme, "r", "doc.read"))
    blocker = rbac_database.connect(autocommit=False)

    async def ask():
        async with Cache(world.engine, staleness=60) as cache:
            assert await cache.can_async(acme, profile, "doc.read")
            assert not await cache.can_async(acme, profile, "nothing")
            blocker.execute("LOCK TABLE user_roles")
            with counted(world.engine) as asked:
                assert await cache.can_async(acme, profile, "doc.read"), "from memory"
            assert asked == []
            waiting = asyncio.create_task(cache.can_async(acme, uuid4(), "doc.read"))
            for _ in range(20):
                await asyncio.sleep(0.005)
            assert not waiting.done()
            blocker.rollback()
            assert await waiting is False
            thread = cache._watcher
        assert not thread.is_alive()

    asyncio.run(asyncio.wait_for(ask(), 30))


def test_a_tenant_that_is_made_again_is_another_one(world, acme, make):
    profile = world.profile(acme, world.role(acme, "r", "doc.read"))
    cache = make(staleness=60)
    assert listening(cache, acme, profile, "doc.read")
    version = world.version(acme)
    world.run("DELETE FROM tenants")
    world.run("INSERT INTO tenants (id, name, slug) VALUES (:t, 'a', 'a')", t=acme)
    assert world.version(acme) > version


def test_it_keeps_no_more_than_its_size(world, acme, make):
    role = world.role(acme, "r", "doc.read")
    profiles = [world.profile(acme, role) for _ in range(12)]
    cache = make(staleness=60, size=5)
    for profile in profiles:
        assert cache.can(acme, profile, "doc.read")
        assert sum(len(each.masks) for each in cache._tenants.values()) <= 5


def test_the_watcher_takes_no_connection_from_the_pool_and_ends(world, acme, rbac_database):
    profile = world.profile(acme, world.role(acme, "r", "doc.read"))
    world.connection.close()
    engine = create_engine(rbac_database.url, pool_size=1, max_overflow=0, pool_timeout=2)
    with Cache(engine, staleness=60) as cache:
        listening(cache, acme, profile, "doc.read")
        with engine.connect() as connection:
            assert connection.execute(text("SELECT 1")).scalar_one() == 1
        thread = cache._watcher
    assert not thread.is_alive()
    engine.dispose()


def test_an_answer_from_memory_takes_less_than_a_microsecond(world, acme, make):
    profile = world.profile(acme, world.role(acme, "r", "doc.read"))
    cache = make(staleness=600)
    assert listening(cache, acme, profile, "doc.read")
    best = min(timeit.repeat(lambda: cache.can(acme, profile, "doc.read"), number=20_000, repeat=15)) / 20_000
    assert best < 1e-6, f"{best * 1e9:.0f} ns"
    assert module._now() > 0


@pytest.mark.parametrize(
    "wrong", [{"staleness": -1}, {"staleness": 0}, {"staleness": float("nan")}, {"size": 0}], ids=str
)
def test_a_bound_that_bounds_nothing_is_refused(engine, wrong):
    with pytest.raises(UsageError, match="A cache cannot"):
        Cache(engine, **wrong)
