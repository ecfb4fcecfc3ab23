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

from truing.audit.model import Audit
from truing.audit.run import audit, pending_revisions
from truing.demo import ledger
from truing.demo.result import Digest, Fate, Phase, Result, Settled, Shape, Stretch
from truing.demo.workload import PROBE_ROWS, Workload
from truing.names import QualifiedName
from truing.online import journal
from truing.online.dual_column import DualColumn
from truing.online.events import Event, Observer, StepFinished, current_observer
from truing.online.operations.convert import Record, identity
from truing.rbac import script
from truing.rbac.legacy import Inventory, build_legacy
from truing.rbac.place import TENANT_KEYS
from truing.revisions.project import discover
from truing.revisions.urls import conninfo, sqlalchemy_url

_PROFILES: Final = QualifiedName("public", "profiles")
_GRANTS: Final = QualifiedName("public", "user_roles")
_BASELINE_S: Final = 3.0
"""How long the application writes before (and, two thirds of it, after) the migration."""

_UNTOUCHED: Final = "NOT EXISTS (SELECT FROM truing_demo.ledger l WHERE l.profile_id = p.id)"

_CONSTRAINTS: Final = """
SELECT count(*) FILTER (WHERE contype = 'f'), count(*) FILTER (WHERE contype = 'f' AND convalidated),
  count(*) FILTER (WHERE contype = 'f' AND cardinality(conkey) > 1),
  (SELECT count(*) FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND a.attnum > 0 AND a.attnotnull),
  count(*) FILTER (WHERE contype = 'c'),
  (SELECT count(*) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
    WHERE c.relnamespace = 'public'::regnamespace AND i.indisvalid),
  (SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relforcerowsecurity)
FROM pg_constraint WHERE connamespace = 'public'::regnamespace
"""


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
        wrong: the share of them that are wrongful.
        seed: the same number makes the same rows and the same choices.
        observer: told of the migration's steps.
        on_phase: told the name of each phase as it begins.
        on_revision: told each revision once it is done, and how many seconds it took.
    """

    def __init__(
        self,
        url: str,
        *,
        profiles: int,
        writers: int,
        rate: float,
        wrong: float = 0.04,
        seed: int,
        observer: Observer,
        on_phase: Callable[[str], None],
        on_revision: Callable[[str, float], None],
    ) -> None:
        self.url, self.dsn = url, conninfo(url)
        self.profiles, self.writers, self.rate, self.wrong, self.seed = profiles, writers, rate, wrong, seed
        self._watch, self._on_phase, self._on_revision = _Watch(observer), on_phase, on_revision
        self._phases: list[Phase] = []
        self._revisions: list[tuple[str, float, float]] = []

    def run(self) -> Result:
        """Run it all.

        Raises:
            TruingError: a part of it could not do its work.
        """
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            target, instead = _target(connection)
            with self._phase("Build the legacy database"):
                inventory = self._build()
            before, rows = _shape(connection), _count(connection) + PROBE_ROWS
            with self._phase("Audit, read-only"):
                predicted = self._audit(target)
            with Workload(self.dsn, writers=self.writers, rate=self.rate, seed=self.seed, wrong=self.wrong) as workload:
                digest = _digest(connection)
                with self._phase("The application writes"):
                    time.sleep(_BASELINE_S)
                migrating = time.time()
                with self._phase("Migrate online"):
                    self._migrate(workload, predicted.revisions)
                migrated = time.time()
                with self._phase("The application goes on"):
                    time.sleep(_BASELINE_S * 2 / 3)
                traffic = workload.stop()
            latency = traffic.latency(migrating, migrated)
            with self._phase("Verify"):
                result = Result(
                    profiles=self.profiles,
                    target=predicted.revisions[-1],
                    instead_of_head=instead,
                    phases=(),
                    stretches=tuple(
                        Stretch(revision, round(end - begin, 2), traffic.latency(begin, end))
                        for revision, begin, end in self._revisions
                    ),
                    fates=tuple(_fates(connection, inventory, predicted.counts(str(_PROFILES), "tenant_id"))),
                    settled=tuple(_settled(connection, predicted.quarantine())),
                    wrongs=ledger.wrongs(connection, traffic.refusals, at_head=not instead),
                    before=before,
                    after=_shape(connection),
                    traffic=msgspec.structs.replace(traffic, latencies=(), refusals=()),
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

    def _migrate(self, workload: Workload, revisions: tuple[str, ...]) -> None:
        engine = create_engine(sqlalchemy_url(self.url), poolclass=NullPool)
        token = current_observer.set(self._watch)
        try:
            with engine.connect() as connection:
                for revision in revisions:
                    began = time.time()
                    script.upgrade(connection, revision)
                    self._revisions.append((revision, began, time.time()))
                    self._on_revision(revision, time.time() - began)
                    if revision == script.ROW_SECURITY:
                        self._on_phase("Deploy the application that reads as app_user and writes as rbac_admin")
                        workload.deploy("roles")
                        self._on_phase("Migrate on")
        finally:
            current_observer.reset(token)
        if script.ROW_SECURITY in revisions:
            workload.deploy("isolated")

    def _audit(self, target: str) -> Audit:
        """Ask, read-only, what the pending revisions would meet."""
        project = discover(config=script.MIGRATIONS / "alembic.ini", database_url=self.url)
        with psycopg.connect(self.dsn, autocommit=True, options="-c default_transaction_read_only=on") as connection:
            return audit(connection, pending_revisions(project, connection, target))


def _target(connection: psycopg.Connection[Any]) -> tuple[str, str]:
    """Return the revision to go to, and why it is not head."""
    needed, why = TENANT_KEYS
    major = connection.info.server_version // 10_000
    if major >= needed:
        return script.HEAD, ""
    return script.CONTRACT, f"{why.split()[0]}, the next, needs PostgreSQL {needed}; this is {major}"


def _count(connection: psycopg.Connection[Any]) -> int:
    row = connection.execute("SELECT count(*) FROM profiles").fetchone()
    return int(row[0]) if row else 0


def _shape(connection: psycopg.Connection[Any]) -> Shape:
    row = connection.execute(_CONSTRAINTS).fetchone() or (0, 0, 0, 0, 0, 0, 0)
    kind = connection.execute(
        "SELECT format_type(atttypid, atttypmod) FROM pg_attribute"
        " WHERE attrelid = 'public.profiles'::regclass AND attname = 'tenant_id'"
    ).fetchone()
    names = ("foreign_keys", "valid_foreign_keys", "tenant_keys", "not_nulls", "checks", "indexes", "closed_tables")
    return Shape(**dict(zip(names, row, strict=True)), tenant_id_type=str(kind[0]) if kind else "")


def _dual(connection: psycopg.Connection[Any]) -> DualColumn | None:
    """Return the names of the conversion, once it has begun."""
    if not journal.exists(connection):
        return None
    entry = journal.load(connection, identity(_PROFILES, "tenant_id"))
    return msgspec.convert(entry.record, Record).dual if entry else None


def _digest(connection: psycopg.Connection[Any]) -> Digest:
    """Hash the rows that no writer owns, as they were before anything was changed or moved away."""
    dual = _dual(connection)
    original, source, role, moved = "p.tenant_id", "", "p.role", ""
    if dual is not None:
        original = "CASE WHEN r.id IS NULL THEN p.tenant_id::text ELSE r.__truing_old END"
        role = "CASE WHEN q.id IS NULL THEN p.role ELSE q.raw END"
        source = (
            f" LEFT JOIN {dual.residue} r ON r.id = p.id LEFT JOIN (SELECT (pk ->> 'id')::uuid AS id, raw"
            f" FROM _truing.quarantine WHERE rel = '{_PROFILES}' AND col = 'role') q ON q.id = p.id"
        )
        moved = (
            " UNION ALL SELECT row_data ->> 'id', row_data ->> 'user_id', row_data ->> 'role_id',"
            " row_data ->> 'tenant_id', row_data ->> 'created_at' FROM _truing.quarantine"
            f" WHERE rel = '{_GRANTS}' AND row_data IS NOT NULL"
        )
    row = connection.execute(
        f"SELECT md5(string_agg(md5(concat_ws('|', p.id, p.email, p.display_name, {role}, p.created_at, p.updated_at)),"
        f" '' ORDER BY p.id)), md5(string_agg(md5(concat(p.id, coalesce({original}, '<null>'))), '' ORDER BY p.id))"
        f" FROM profiles p{source} WHERE {_UNTOUCHED}"
    ).fetchone() or ("", "")
    grants = connection.execute(
        "SELECT md5(string_agg(md5(u::text), '' ORDER BY u.id)) FROM (SELECT id::text, user_id::text, role_id::text,"
        f" tenant_id::text, created_at::text FROM user_roles{moved}) u"
        " WHERE NOT EXISTS (SELECT FROM truing_demo.ledger l WHERE l.profile_id = u.user_id::uuid)"
    ).fetchone() or ("",)
    return Digest(row[0], row[1], grants[0])


_HAPPENED: Final = """
SELECT q.rel, q.col, q.reason, count(*) FROM _truing.quarantine q
WHERE NOT EXISTS (SELECT FROM truing_demo.wrong w WHERE q.rel = 'public.' || w.rel AND q.pk ->> 'id' = w.id)
  AND NOT EXISTS (SELECT FROM truing_demo.ledger l
    WHERE q.rel = 'public.profiles' AND q.pk ->> 'id' = l.profile_id::text)
GROUP BY 1, 2, 3
"""


def _settled(connection: psycopg.Connection[Any], predicted: dict[tuple[str, str, str], int]) -> Iterator[Settled]:
    """Compare what the audit said the quarantine would hold with what it holds; profiles' tenants are the fates."""
    found = {(table, column, reason): count for table, column, reason, count in connection.execute(_HAPPENED)}
    for key in sorted({*predicted, *found}):
        if key[:2] != (str(_PROFILES), "tenant_id"):
            yield Settled(*key, predicted.get(key, 0), found.get(key, 0))


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
