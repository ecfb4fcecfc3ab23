"""What has the demo to show? Values only; :mod:`truing.demo.run` makes them and ``cli/demo.py`` shows them."""

from __future__ import annotations

import msgspec

from truing.demo.ledger import Verdict, Wrongs
from truing.demo.workload import Latency, Traffic


class Phase(msgspec.Struct, frozen=True):
    """A phase of the demo and how long it took, in seconds."""

    name: str
    seconds: float


class Stretch(msgspec.Struct, frozen=True):
    """A revision of the migration: how long it took, and the application's latency meanwhile."""

    revision: str
    seconds: float
    latency: Latency


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


class Settled(msgspec.Struct, frozen=True):
    """Rows of one kind that did not fit, those that the writers wrote left out.

    Attributes:
        table, column, reason: of the quarantine.
        predicted: how many the audit saw before anything was changed.
        found: how many originals the quarantine holds.
    """

    table: str
    column: str
    reason: str
    predicted: int
    found: int

    @property
    def good(self) -> bool:
        """Whether predicted and found agree."""
        return self.predicted == self.found


class Shape(msgspec.Struct, frozen=True):
    """How much the database itself enforces; the keys of a tenant are the foreign keys that hold ``tenant_id``."""

    foreign_keys: int
    valid_foreign_keys: int
    tenant_keys: int
    not_nulls: int
    checks: int
    indexes: int
    closed_tables: int
    tenant_id_type: str


class Digest(msgspec.Struct, frozen=True):
    """Hashes of what no writer touched: profiles' original tenant ids, all their other columns, and every grant.

    After the migration, the originals are those that the quarantine holds, where it holds any.
    """

    other_columns: str
    tenant_ids: str
    grants: str


class Result(msgspec.Struct, frozen=True):
    """Everything that the demo has to show; see the classes of its parts.

    Attributes:
        latency_before: of the application before the migration.
        latency: of the application during the migration.
        lock_held_ms, longest_lock_ms: how long strong locks were held, in all and at most at a time.
        quarantined: originals in the quarantine.
        target: the revision that it went to.
        instead_of_head: why that is not head; empty where it is.
        stretches: the migration by revision.
        settled: the other rows that did not fit.
        wrongs: what became of the writers' wrongful writes.
        stall_during: the step in which the operation with the longest latency was due.
    """

    profiles: int
    target: str
    instead_of_head: str
    phases: tuple[Phase, ...]
    stretches: tuple[Stretch, ...]
    fates: tuple[Fate, ...]
    settled: tuple[Settled, ...]
    wrongs: tuple[Wrongs, ...]
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
            and all(each.good for each in self.settled)
            and all(each.good for each in self.wrongs)
            and (self.instead_of_head != "" or self.traffic.closed_looks > 0)
            and self.after.foreign_keys == self.after.valid_foreign_keys
        )
