"""What is drift? One object on which models, migrations and the live database do not agree, and whose word stands out.

Values only; :mod:`truing.drift.comparing.compare` makes them and :mod:`truing.drift.findings` says them to a person.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from truing.finding import Finding, Location, Severity


class Tier(StrEnum):
    """What a difference does, the worst first."""

    BREAKS_WRITES = "breaks-writes"
    WEAKER_INTEGRITY = "weaker-integrity"
    PERFORMANCE = "performance"
    BEHAVIOUR = "behaviour"
    SECURITY = "security"
    UNDECLARED = "undeclared"
    NAME = "name"
    EQUIVALENT = "equivalent"
    COSMETIC = "cosmetic"

    @property
    def rank(self) -> int:
        """A number that grows as it matters less."""
        return list(Tier).index(self)

    @property
    def severity(self) -> Severity:
        """How much it matters to a check: what changes answers, rights or rows fails it."""
        return _SEVERITY[self]


_SEVERITY = {
    Tier.BREAKS_WRITES: Severity.ERROR,
    Tier.WEAKER_INTEGRITY: Severity.ERROR,
    Tier.PERFORMANCE: Severity.WARNING,
    Tier.BEHAVIOUR: Severity.ERROR,
    Tier.SECURITY: Severity.ERROR,
    Tier.UNDECLARED: Severity.WARNING,
    Tier.NAME: Severity.INFO,
    Tier.EQUIVALENT: Severity.INFO,
    Tier.COSMETIC: Severity.INFO,
}


class Verdict(StrEnum):
    """Who has to move."""

    MIGRATION_MISSING = "migration missing"
    """The models have moved, and no revision says so."""
    LIVE_EDITED = "live edited by hand"
    """The live database is not what its revisions build."""
    MIGRATION_WRONG = "migration wrong"
    """Models and live database agree; a revision builds something else."""
    CONFLICT = "conflict"
    """All disagree, or there are no migrations to ask."""
    PENDING = "pending"
    """A revision that the live database has not got yet brings it."""
    HIDDEN = "hidden by include_object"
    """``env.py`` or the configuration keeps it out."""


class Aspect(msgspec.Struct, frozen=True, order=True):
    """In what an object differs, and what each side says of it.

    Attributes:
        attribute: for example ``type``; empty when it is about being there at all.
        models, migrations, live: what they say; None where they say nothing (or have no such object).
        tier: what this difference does.
    """

    attribute: str
    models: str | None
    migrations: str | None
    live: str | None
    tier: Tier = Tier.BEHAVIOUR


class Drift(msgspec.Struct, frozen=True, kw_only=True):
    """One object on which the sides disagree.

    Attributes:
        kind: of the object, for example ``column``.
        name: of the object, for a person.
        verdict: who has to move.
        aspects: in what it differs; never empty.
        sides: which of ``models``, ``migrations`` and ``live`` were compared.
        schemas: the tenants' schemas that it is about; empty where it is about all.
        location: where the models say it.
        revision: the revision that made the object.
        remedy: what to do, ready to paste.
        proved: whether the remedy was tried and ended in true.
    """

    kind: str
    name: str
    verdict: Verdict
    aspects: tuple[Aspect, ...]
    sides: tuple[str, ...]
    schemas: tuple[str, ...] = ()
    location: Location | None = None
    revision: str = ""
    remedy: str = ""
    proved: bool = False

    @property
    def tier(self) -> Tier:
        """The worst of its aspects."""
        return min((aspect.tier for aspect in self.aspects), key=lambda tier: tier.rank)

    @property
    def severity(self) -> Severity:
        """How much it matters."""
        return Severity.INFO if self.verdict in {Verdict.PENDING, Verdict.HIDDEN} else self.tier.severity

    @property
    def identity(self) -> tuple[str, str]:
        """What makes it the same drift in another run."""
        return self.kind, self.name


class LeftOut(msgspec.Struct, frozen=True, order=True):
    """What was not compared, and why: counted and named, so that silence is not taken for agreement."""

    reason: str
    name: str


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a comparison.

    Attributes:
        drifts: where the sides disagree, the worst first; hidden ones apart.
        hidden: where they disagree too, but ``env.py`` keeps it out.
        findings: all there is to say, drift included.
        left_out: what was not compared: reason -> names.
        facts: what was compared, and where.
        imported: the person's own files that all of it was made from.
    """

    drifts: tuple[Drift, ...]
    hidden: tuple[Drift, ...]
    findings: tuple[Finding, ...]
    left_out: dict[str, list[str]]
    facts: dict[str, str | int | float]
    imported: tuple[str, ...] = ()
