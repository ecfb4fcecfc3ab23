"""May this profile do this, answered from memory, never with what was true longer ago than a stated time?

For each tenant that was asked about, the cache keeps the version, the bits of the permissions, and for each profile a
mask. Three things keep it right, each without the others:

- a notification (LISTEN) throws a tenant away as soon as a change of it commits;
- a poll, three times within the bound, compares the versions of all tenants that are kept, and renews those that agree;
- what was not renewed within the bound is not used: it is asked again, and where that fails, the failure is raised.

So an answer is never older than ``staleness`` seconds, whether the notifications come or not, the listener lives or
not, and the database can be reached or not. Grants that begin or end by the clock do so on time.

In: an engine. Out: :meth:`Cache.can`, and :meth:`Cache.can_async` for an event loop, which never waits for the
database: a thread asks for what is not in memory. It is not meant to see what its caller has not committed.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, Final, Self
from uuid import UUID

from sqlalchemy import Connection, Engine

from truing.errors import UsageError
from truing.names import ident, literal
from truing.rbac.access import ask, asking
from truing.rbac.access.answers import Standing
from truing.rbac.access.local import claims
from truing.rbac.access.local import tenant as in_tenant
from truing.rbac.program import PROGRAM, SETTING
from truing.rbac.program.binding import Claim

# Unlike time.monotonic(), it goes on while the machine is suspended.
_now: Final = partial(time.clock_gettime, time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic

_log: Final = logging.getLogger(__name__)

APPLICATION_NAME: Final = "truing rbac cache"

_NEVER: Final = float("inf")
_TICK: Final = 0.2
"""Seconds after which the watcher looks whether it is to end."""

_TRIES: Final = 5
"""How often a tenant may change between two questions before one is asked that needs no second."""


class _Tenant:
    """What is kept of one tenant at one version; a new version has a new object, so a reader never sees two."""

    __slots__ = ("flags", "fresh_until", "id", "masks", "version")

    def __init__(self, tenant: UUID, version: int, flags: dict[str, int], fresh_until: float) -> None:
        self.id = tenant
        self.version = version
        self.flags = flags
        self.fresh_until = fresh_until
        # By the UUID's number, here and below: hashing a UUID itself takes ten times as long.
        self.masks: dict[int, tuple[int, float]] = {}


class Cache:
    """Answers from memory.

    Args:
        engine: used for what is not in memory, and for one connection more that listens.
        staleness: the bound in seconds: no answer is older.
        listen: also listen for notifications, which needs psycopg and a connection without a transaction pooler;
            without, a change is seen within the bound and not sooner.
        program: the schema of the functions.
        setting: that holds a transaction's tenant.
        secret: to sign the tenant with, where the program is bound by ``signed``.
        claim: that names the tenant, where it is bound by ``supabase``: ``app_metadata.tenant_id``.
        size: how many profiles are kept; when there are more, it starts anew.

    Raises:
        UsageError: the bound or the size is not above 0.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        staleness: float = 5.0,
        listen: bool = True,
        program: str = PROGRAM,
        setting: str = SETTING,
        secret: bytes | None = None,
        claim: str | None = None,
        size: int = 200_000,
    ) -> None:
        if not 0 < staleness < _NEVER:
            raise UsageError(
                f"A cache cannot be {staleness} seconds old.",
                hint="Give staleness a number of seconds above 0; without a cache, ask truing.rbac.access.",
            )
        if size < 1:
            raise UsageError(f"A cache cannot keep {size} profiles.", hint="Give size a number above 0.")
        self.staleness = staleness
        self.listening = False
        self._engine = engine
        self._listen = listen
        self._program = program
        self._setting = setting
        self._secret = secret
        self._claim = None if claim is None else Claim.parse(claim)
        self._size = size
        self._tenants: dict[int, _Tenant] = {}
        self._lock = threading.Lock()
        # What was heard while an answer was on its way: it must not be kept then.
        self._heard: dict[int, int] = {}
        self._heard_of_all = 0
        self._closing = threading.Event()
        self._watcher: threading.Thread | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self.close)

    def can(self, tenant: UUID, profile: UUID, permission: str) -> bool:
        """Say whether a profile may do something."""
        try:
            kept = self._tenants[tenant.int]
            mask, until = kept.masks[profile.int]
        except KeyError:
            return self._load(tenant, profile, permission)
        now = _now()
        if now < kept.fresh_until and now < until:
            # A name that is not among the flags was made since: as soon as anybody has it, the version is another.
            return mask & kept.flags.get(permission, 0) != 0
        return self._load(tenant, profile, permission)

    async def can_async(self, tenant: UUID, profile: UUID, permission: str) -> bool:
        """Say the same where a loop must not wait: from memory at once, and otherwise from a thread that asks."""
        kept = self._tenants.get(tenant.int)
        held = None if kept is None else kept.masks.get(profile.int)
        if kept is not None and held is not None and _now() < min(kept.fresh_until, held[1]):
            return held[0] & kept.flags.get(permission, 0) != 0
        return await asyncio.to_thread(self.can, tenant, profile, permission)

    def close(self) -> None:
        """End the watcher and forget everything."""
        self._closing.set()
        if self._watcher is not None:
            self._watcher.join()
        self._tenants.clear()

    def _load(self, tenant: UUID, profile: UUID, permission: str) -> bool:
        """Ask the database, and keep what it says."""
        self._watch_if_nobody_does()
        for _ in range(_TRIES):
            started = _now()
            before = self._marks(tenant)
            with self._engine.connect() as connection, self._in(connection, tenant, profile):
                standing = ask(connection, asking.standing(tenant, profile, program=self._program))
                kept = self._tenants.get(tenant.int)
                if standing is None:
                    self._tenants.pop(tenant.int, None)
                    return False
                if kept is None or kept.version != standing.version:
                    found = ask(connection, asking.catalogue(tenant, program=self._program))
                    connection.commit()
                    if found is None or found[0] != standing.version:
                        # It changed between the two questions.
                        continue
                    kept = _Tenant(tenant, standing.version, self._shared(found[1]), started + self.staleness)
                connection.commit()
            self._keep(tenant, profile, kept, standing, started, before)
            return standing.mask & kept.flags.get(permission, 0) != 0
        with self._engine.connect() as connection, self._in(connection, tenant, profile):
            return ask(connection, asking.can(tenant, profile, permission, program=self._program))

    def _in(self, connection: Connection, tenant: UUID, profile: UUID) -> AbstractContextManager[None]:
        if self._claim is not None:
            return claims(connection, self._claim.of(tenant, profile))
        return in_tenant(connection, tenant, setting=self._setting, secret=self._secret)

    def _keep(
        self, tenant: UUID, profile: UUID, kept: _Tenant, standing: Standing, started: float, before: tuple[int, int]
    ) -> None:
        until = _NEVER if standing.seconds is None else started + standing.seconds
        with self._lock:
            if self._marks(tenant) != before or self._closing.is_set():
                return
            if sum(len(each.masks) for each in self._tenants.values()) >= self._size:
                self._tenants.clear()
            present = self._tenants.get(tenant.int)
            if present is not None and present.version > kept.version:
                return
            if present is None or present.version < kept.version:
                # Made anew: what was thrown away in the meantime must not come back with it.
                present = _Tenant(tenant, kept.version, kept.flags, started + self.staleness)
                self._tenants[tenant.int] = present
            present.fresh_until = max(present.fresh_until, started + self.staleness)
            present.masks[profile.int] = (standing.mask, until)

    def _shared(self, flags: dict[str, int]) -> dict[str, int]:
        """Take another tenant's dictionary where it is the same, as it nearly always is."""
        for each in list(self._tenants.values())[:1]:
            if each.flags == flags:
                return each.flags
        return flags

    def _marks(self, tenant: UUID) -> tuple[int, int]:
        return self._heard.get(tenant.int, 0), self._heard_of_all

    def _hear(self, payload: str) -> None:
        """Throw away what a notification is about; all of it where it names no tenant."""
        with self._lock:
            try:
                tenant = UUID(payload).int
            except ValueError:
                self._forget_all()
                return
            if len(self._heard) >= self._size:
                self._heard.clear()
                self._forget_all()
            self._heard[tenant] = self._heard.get(tenant, 0) + 1
            self._tenants.pop(tenant, None)

    def _forget_all(self) -> None:
        self._heard_of_all += 1
        self._tenants.clear()

    def _watch_if_nobody_does(self) -> None:
        # Also in a child process, which has the cache but not its thread.
        if (self._watcher is None or not self._watcher.is_alive()) and not self._closing.is_set():
            with self._lock:
                if self._watcher is None or not self._watcher.is_alive():
                    self._watcher = threading.Thread(target=self._watch, name="truing-rbac-cache", daemon=True)
                    self._watcher.start()

    def _watch(self) -> None:
        while not self._closing.is_set():
            try:
                with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                    driver = connection.connection.driver_connection
                    # Taken out of the pool, whose size is for those who work.
                    connection.detach()
                    self._watch_on(connection, driver)
            except Exception as error:  # noqa: BLE001 - whatever it is, the bound holds without the watcher
                _log.warning("The cache of permissions does not hear of changes for now: %s", error)
            finally:
                self.listening = False
            # Between two connections a server may have gone back in time (a replica that took over).
            with self._lock:
                self._forget_all()
            self._closing.wait(min(_TICK, self.staleness / 3))

    def _watch_on(self, connection: Connection, driver: Any) -> None:
        # So that an operator sees what this connection is for.
        connection.exec_driver_sql(f"SET application_name TO {literal(APPLICATION_NAME)}")
        listens = self._listen and hasattr(driver, "notifies")
        if listens:
            connection.exec_driver_sql(f"LISTEN {ident(self._program)}")
            self.listening = True
        due = 0.0
        while not self._closing.is_set():
            if _now() >= due:
                due = _now() + self.staleness / 3
                self._poll(connection)
            rest = max(0.0, min(_TICK, due - _now()))
            if listens:
                # One at a time: in a storm of them the poll comes on time all the same.
                for notification in driver.notifies(timeout=rest, stop_after=1):
                    self._hear(notification.payload)
            else:
                self._closing.wait(rest)

    def _poll(self, connection: Connection) -> None:
        """Renew what is still the newest version, and throw the rest away."""
        tenants = list(self._tenants.values())
        if not tenants:
            # Also asked, so that a connection that is dead is noticed.
            connection.exec_driver_sql("SELECT 1")
            return
        started = _now()
        versions = ask(connection, asking.versions_of([each.id for each in tenants], program=self._program))
        with self._lock:
            for each in tenants:
                kept = self._tenants.get(each.id.int)
                if kept is not None and versions.get(each.id) == kept.version:
                    kept.fresh_until = max(kept.fresh_until, started + self.staleness)
                else:
                    self._tenants.pop(each.id.int, None)
