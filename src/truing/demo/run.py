"""The demo from begin to end: build, write, audit, migrate, verify; out comes one :class:`Result`.

It decides nothing that the product does not decide: the same :mod:`truing.rbac`, :mod:`truing.audit` and
:mod:`truing.online` work on anybody's database.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import msgspec
import psycopg
from sqlalchemy import NullPool, create_engine

from truing.audit.run import audit, pending_revisions
from truing.demo import ledger
from truing.demo.ledger import Verdict
from truing.demo.workload import PROBE_ROWS, Latency, Traffic, Workload
from truing.names import QualifiedName
from truing.online import journal
from truing.online.dual_column import DualColumn
from truing.online.events import Event, Observer, StepFinished, current_observer
from truing.online.operations.convert import Record, identity
from truing.rbac import script
from truing.rbac.legacy import Inventory, build_legacy
from truing.revisions.project import discover
from truing.revisions.urls import conninfo, sqlalchemy_url

_PROFILES: Final = QualifiedName("public", "profiles")
_BASELINE_S: Final = 3.0
"""How long the application writes before (and, two thirds of it, after) the migration."""

_UNTOUCHED: Final = "NOT EXISTS (SELECT FROM truing_demo.ledger l WHERE l.profile_id = p.id)"

_CONSTRAINTS: Final = """
SELECT count(*) FILTER (WHERE contype = 'f'), count(*) FILTER (WHERE contype = 'f' AND convalidated),
  (SELECT count(*) FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND a.attnum > 0 AND a.attnotnull),
  (SELECT count(*) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
    WHERE c.relnamespace = 'public'::regnamespace AND i.indisvalid)
FROM pg_constraint WHERE connamespace = 'public'::regnamespace
"""


class Phase(msgspec.Struct, frozen=True):
    """A phase of the demo and how long it took, in seconds."""

    name: str
    seconds: float


class Fate(msgspec.Struct, frozen=True):
    """What became of the profiles of one class.

    Attributes:
        name: the class.
        planted: how many the generator planted.
        predicted: how many the audit saw before anything was changed.
        became: in words.
        found: how many were found so afterwards.
    """

    name: str
    planted: int
    predicted: int
    became: str
    found: int

    @property
    def good(self) -> bool:
        """Whether planted, predicted and found agree."""
        return self.planted == self.predicted == self.found


class Shape(msgspec.Struct, frozen=True):
    """How much the database itself enforces: foreign keys (and valid ones), NOT NULL columns, usable indexes."""

    foreign_keys: int
    valid_foreign_keys: int
    not_nulls: int
    indexes: int
    tenant_id_type: str


class Digest(msgspec.Struct, frozen=True):
    """Hashes of the rows that no writer touched: of all other columns, and of the original tenant ids."""

    other_columns: str
    tenant_ids: str


class Result(msgspec.Struct, frozen=True):
    """Everything that the demo has to show; see the classes of its parts.

    Attributes:
        latency_before: of the application before the migration.
        latency: of the application during the migration.
        lock_held_ms, longest_lock_ms: how long strong locks were held, in all and at most at a time.
        quarantined: originals in the quarantine.
        stall_during: the step in which the operation with the longest latency was due.
    """

    profiles: int
    phases: tuple[Phase, ...]
    fates: tuple[Fate, ...]
    before: Shape
    after: Shape
    traffic: Traffic
    latency_before: Latency
    latency: Latency
    verdict: Verdict
    digest_before: Digest
    digest_after: Digest
    lock_held_ms: float
    longest_lock_ms: float
    quarantined: int
    stall_during: str = ""

    @property
    def good(self) -> bool:
        """Whether every claim of the demo held."""
        return (
            self.verdict.clean
            and not self.traffic.failures
            and not self.traffic.foreign
            and not self.traffic.missing
            and self.digest_before == self.digest_after
            and all(fate.good for fate in self.fates)
            and self.after.foreign_keys == self.after.valid_foreign_keys
        )


class _Watch:
    """Passes events on, adds up how long strong locks were held, and remembers when which step ran."""

    def __init__(self, observer: Observer) -> None:
        self.observer, self.held, self.longest = observer, 0.0, 0.0
        self.spans: list[tuple[float, float, str]] = []

    def during(self, moment: float) -> str:
        """Return the step that ran at a moment (seconds since the epoch); empty where none did."""
        return next((title for begin, end, title in self.spans if begin <= moment <= end), "")

    def __call__(self, event: Event) -> None:
        if isinstance(event, StepFinished):
            self.held += event.lock_held_ms
            self.longest = max(self.longest, event.lock_held_ms)
            self.spans.append((time.time() - event.seconds, time.time(), event.step.title))
        self.observer(event)


class Demo:
    """One run of the demo on an empty database.

    Args:
        url: the database, of a role that may do everything in it.
        profiles: how many the legacy database has.
        writers: how many processes write to it.
        rate: operations a second of each.
        seed: the same number makes the same rows and the same choices.
        observer: told of the migration's steps.
        on_phase: told the name of each phase as it begins.
    """

    def __init__(
        self,
        url: str,
        *,
        profiles: int,
        writers: int,
        rate: float,
        seed: int,
        observer: Observer,
        on_phase: Callable[[str], None],
    ) -> None:
        self.url, self.dsn = url, conninfo(url)
        self.profiles, self.writers, self.rate, self.seed = profiles, writers, rate, seed
        self._watch, self._on_phase = _Watch(observer), on_phase
        self._phases: list[Phase] = []

    def run(self) -> Result:
        """Run it all.

        Raises:
            TruingError: a part of it could not do its work.
        """
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            with self._phase("Build the legacy database"):
                inventory = self._build()
            before, rows = _shape(connection), _count(connection) + PROBE_ROWS
            with self._phase("Audit, read-only"):
                predicted = self._audit()
            with Workload(self.dsn, writers=self.writers, rate=self.rate, seed=self.seed) as workload:
                digest = _digest(connection)
                with self._phase("The application writes"):
                    time.sleep(_BASELINE_S)
                migrating = time.time()
                with self._phase("Migrate online"):
                    self._migrate()
                migrated = time.time()
                with self._phase("The application goes on"):
                    time.sleep(_BASELINE_S * 2 / 3)
                traffic = workload.stop()
            latency = traffic.latency(migrating, migrated)
            with self._phase("Verify"):
                result = Result(
                    profiles=self.profiles,
                    phases=(),
                    fates=tuple(_fates(connection, inventory, predicted)),
                    before=before,
                    after=_shape(connection),
                    traffic=msgspec.structs.replace(traffic, latencies=()),
                    latency_before=traffic.latency(end=migrating),
                    latency=latency,
                    verdict=ledger.check(connection, profiles_before=rows),
                    digest_before=digest,
                    digest_after=_digest(connection),
                    lock_held_ms=self._watch.held,
                    longest_lock_ms=self._watch.longest,
                    quarantined=sum(row[0] for row in connection.execute("SELECT count(*) FROM _truing.quarantine")),
                    stall_during=self._watch.during(latency.worst_at),
                )
            return msgspec.structs.replace(result, phases=tuple(self._phases))

    @contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        self._on_phase(name)
        began = time.monotonic()
        yield
        self._phases.append(Phase(name, round(time.monotonic() - began, 2)))

    def _build(self) -> Inventory:
        engine = create_engine(sqlalchemy_url(self.url), poolclass=NullPool)
        with engine.connect() as connection:
            return build_legacy(connection, profiles=self.profiles, seed=self.seed)

    def _migrate(self) -> None:
        engine = create_engine(sqlalchemy_url(self.url), poolclass=NullPool)
        token = current_observer.set(self._watch)
        try:
            with engine.connect() as connection:
                # What comes after it refuses what these writers do: they move people with their grants.
                script.upgrade(connection, script.CONTRACT)
        finally:
            current_observer.reset(token)

    def _audit(self) -> dict[str, int]:
        """Ask, read-only, what the pending revisions would meet in profiles.tenant_id: class -> rows."""
        project = discover(config=script.MIGRATIONS / "alembic.ini", database_url=self.url)
        with psycopg.connect(self.dsn, autocommit=True, options="-c default_transaction_read_only=on") as connection:
            found = audit(connection, pending_revisions(project, connection, script.CONTRACT))
        return found.counts(str(_PROFILES), "tenant_id")


def _count(connection: psycopg.Connection[Any]) -> int:
    row = connection.execute("SELECT count(*) FROM profiles").fetchone()
    return int(row[0]) if row else 0


def _shape(connection: psycopg.Connection[Any]) -> Shape:
    row = connection.execute(_CONSTRAINTS).fetchone() or (0, 0, 0, 0)
    kind = connection.execute(
        "SELECT format_type(atttypid, atttypmod) FROM pg_attribute"
        " WHERE attrelid = 'public.profiles'::regclass AND attname = 'tenant_id'"
    ).fetchone()
    return Shape(row[0], row[1], row[2], row[3], str(kind[0]) if kind else "")


def _dual(connection: psycopg.Connection[Any]) -> DualColumn | None:
    """Return the names of the conversion, once it has begun."""
    if not journal.exists(connection):
        return None
    entry = journal.load(connection, identity(_PROFILES, "tenant_id"))
    return msgspec.convert(entry.record, Record).dual if entry else None


def _digest(connection: psycopg.Connection[Any]) -> Digest:
    """Hash the rows that no writer owns; the tenant ids as they were before any conversion."""
    dual = _dual(connection)
    original, source = "p.tenant_id", ""
    if dual is not None:
        original = "CASE WHEN r.id IS NULL THEN p.tenant_id::text ELSE r.__truing_old END"
        source = f" LEFT JOIN {dual.residue} r ON r.id = p.id"
    row = connection.execute(
        "SELECT md5(string_agg(md5(concat_ws('|', p.id, p.email, p.display_name, p.role, p.created_at, p.updated_at)),"
        f" '' ORDER BY p.id)), md5(string_agg(md5(concat(p.id, coalesce({original}, '<null>'))), '' ORDER BY p.id))"
        f" FROM profiles p{source} WHERE {_UNTOUCHED}"
    ).fetchone() or ("", "")
    return Digest(row[0], row[1])


_BECAME: Final = {
    "clean": "the same tenant",
    "normalised": "the same tenant, written as PostgreSQL does",
    "null": "sentinel tenant (inactive), original kept",
    "empty": "sentinel tenant (inactive), original kept",
    "malformed": "sentinel tenant (inactive), original kept",
    "orphan": "sentinel tenant (inactive), original kept",
}


def _fates(connection: psycopg.Connection[Any], inventory: Inventory, predicted: dict[str, int]) -> Iterator[Fate]:
    """Compare what was planted and predicted with what is there now.

    The writers own clean rows only, and write them in other spellings too; those still count as clean.
    """
    dual = _dual(connection)
    found: dict[str, int] = {}
    if dual is not None:
        rows = connection.execute(
            "SELECT CASE WHEN l.profile_id IS NOT NULL THEN 'clean' WHEN q.reason IS NOT NULL THEN q.reason"
            " WHEN r.id IS NOT NULL THEN 'normalised' ELSE 'clean' END, count(*)"
            f" FROM profiles p LEFT JOIN {dual.residue} r ON r.id = p.id"
            " LEFT JOIN truing_demo.ledger l ON l.profile_id = p.id"
            " LEFT JOIN _truing.quarantine q ON q.op_id = %s AND q.pk = jsonb_build_object('id', p.id::text)"
            " WHERE l.inserted IS NOT true AND p.display_name <> 'probe' GROUP BY 1",
            (dual.op_id,),
        ).fetchall()
        found = dict(rows)
    planted = inventory.by_fate()
    for name, became in _BECAME.items():
        yield Fate(name, planted.get(name, 0), predicted.get(name, 0), became, found.get(name, 0))
