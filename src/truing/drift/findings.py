"""How is drift said to a person? A :class:`Drift` goes in, a finding with what each side says comes out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from hashlib import sha256
from operator import attrgetter
from typing import Final

from truing.drift.exchange import Refusal
from truing.drift.model import Aspect, Drift, LeftOut, Tier, Verdict
from truing.drift.stubs import KNOWN, WHERE
from truing.finding import Evidence, Finding, Severity
from truing.names import ident

RULES: Final = {
    Verdict.MIGRATION_MISSING: "migration-missing",
    Verdict.LIVE_EDITED: "live-edited-by-hand",
    Verdict.MIGRATION_WRONG: "migration-wrong",
    Verdict.CONFLICT: "conflicting-definitions",
    Verdict.PENDING: "pending-migration",
    Verdict.HIDDEN: "hidden-from-autogenerate",
}

_FEW: Final = 3
_SPEAKERS: Final = {"models": "the models", "migrations": "the migrations", "live": "the live database"}
_ADVICE: Final = {
    Verdict.MIGRATION_MISSING: "Write the revision (`truing revision` is a start), then compare again.",
    Verdict.LIVE_EDITED: "Undo it on the live database, or write the revision that makes it official.",
    Verdict.MIGRATION_WRONG: "Write a revision that brings the migrations to what models and live database have.",
    Verdict.CONFLICT: "Decide what is right, then change the models and write a revision for the rest.",
    Verdict.PENDING: "Nothing is wrong: truing upgrade (or alembic upgrade head) brings it.",
    Verdict.HIDDEN: "",
}


_LONGEST_VALUE: Final = 80
"""Characters of a value in a baseline; of a longer one there is a hash."""

_MANY: Final = 5
"""So many that differ in the same harmless words are said at once."""


def findings(drifts: Iterable[Drift]) -> list[Finding]:
    """Say what drifts; what is written in the same other words in many places is said once."""
    alike: dict[object, list[Drift]] = {}
    for drift in drifts:
        harmless = drift.tier is Tier.EQUIVALENT and len(drift.aspects) == 1
        key: object = (drift.kind, drift.verdict, drift.schemas, drift.aspects) if harmless else drift
        alike.setdefault(key, []).append(drift)
    found: list[Finding] = []
    for group in alike.values():
        found += [_together(group)] if len(group) >= _MANY else map(finding, group)
    return found


def _together(drifts: list[Drift]) -> Finding:
    first, aspect = drifts[0], drifts[0].aspects[0]
    sides = {"models": aspect.models, "migrations": aspect.migrations, "live": aspect.live}
    said = ", ".join(f"{sides[side]} in {_SPEAKERS[side]}" for side in first.sides if sides[side] is not None)
    return Finding(
        rule=RULES[first.verdict],
        severity=first.severity,
        subject=f"{aspect.attribute} of many a {first.kind}: {said}",
        message=f"{len(drifts)} times the same {aspect.attribute} of a {first.kind} is written in other words that"
        f" mean the same: {said}. [{first.tier.value}]",
        evidence=(Evidence("where", ", ".join(drift.name for drift in drifts)),),
        remedy=_ADVICE[first.verdict],
    )


def finding(drift: Drift) -> Finding:
    """Say one drift."""
    evidence = []
    for aspect in drift.aspects:
        label = aspect.attribute or "definition"
        sides = {"models": aspect.models, "migrations": aspect.migrations, "live": aspect.live}
        told = {side: text for side, text in sides.items() if side in drift.sides}
        evidence += [Evidence(f"{label}, {side}", _said(text, aspect)) for side, text in told.items()]
    return Finding(
        rule=RULES[drift.verdict],
        severity=drift.severity,
        subject=f"{drift.kind} {drift.name}{_tenants(drift)}",
        message=f"{_done(drift) if _beforehand(drift) else _sentence(drift)} [{drift.tier.value}]",
        location=drift.location,
        evidence=tuple(evidence),
        remedy=_remedy(drift),
        revision=drift.revision,
        about="; ".join(filter(None, map(_about, sorted(drift.aspects, key=attrgetter("attribute"))))),
    )


def _about(aspect: Aspect) -> str:
    """Say what differs, the same whichever sides were looked at: a baseline that knows it knows nothing worse."""
    if not aspect.attribute:
        return ""
    values = sorted({each for each in (aspect.models, aspect.migrations, aspect.live) if each is not None})
    return f"{aspect.attribute}: {' | '.join(map(_short, values))}"


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_VALUE else sha256(text.encode()).hexdigest()[:16]


def _fix(drift: Drift) -> str:
    return _online(drift.remedy) or _ADVICE[drift.verdict]


def _wanted(drift: Drift) -> str:
    """Offer to declare what the models lack: the other way leads to losing it."""
    first = drift.aspects[0]
    lacking = drift.verdict is Verdict.MIGRATION_MISSING and not first.attribute and first.models is None
    return "If it is wanted, declare it in the models. If it is not:\n" if lacking else ""


def _remedy(drift: Drift) -> str:
    if _beforehand(drift):
        return "Undo it before the upgrade, which may fail at it; or alembic stamp REVISION, if that is all it does."
    return _declare(drift) if drift.tier is Tier.UNDECLARED else _wanted(drift) + _fix(drift)


_ONLINE: Final = {
    r"\btype_=|\bALTER COLUMN .+ TYPE ": "op.convert_column_online",
    r"\bop\.create_index\(|CREATE (?:UNIQUE )?INDEX ": "op.create_index_online",
    r"\bop\.drop_index\(": "op.drop_index_online",
    r"\bADD CONSTRAINT .+ FOREIGN KEY ": "op.add_foreign_key_online",
    r"\bADD CONSTRAINT .+ CHECK ": "op.add_check_online",
    r"\bADD CONSTRAINT .+ UNIQUE ": "op.add_unique_online",
    r"\bop\.alter_column\(.+\bnullable=False": "op.set_not_null_online",
}
"""What blocks a table that is in use while it runs -> what does the same without. The proof has nobody to wait for."""


def _online(remedy: str) -> str:
    """Name the online operations for what a fix would do in one long lock; as a comment, so that it can be pasted."""
    if not remedy or "op.create_table(" in remedy:
        return remedy
    names = [name for pattern, name in _ONLINE.items() if re.search(pattern, remedy)]
    return f"{remedy}\n# Where the table is in use, without blocking it: {', '.join(names)}." if names else remedy


def _tenants(drift: Drift) -> str:
    """Name the tenants' schemas where it is not about all of them; many are counted."""
    if not drift.schemas:
        return ""
    few = ", ".join(map(ident, drift.schemas[:_FEW]))
    return f" (in {few}" + (f" and {len(drift.schemas) - _FEW:,} more)" if len(drift.schemas) > _FEW else ")")


def _declare(drift: Drift) -> str:
    default = next(each.migrations or each.live for each in drift.aspects if each.attribute == "default")
    return f"In the model: server_default=sa.text({default!r})\nor a revision that drops it, if nobody counts on it."


def _said(text: str | None, aspect: Aspect) -> str:
    return text if text is not None else "(none)" if aspect.attribute else "(not there)"


def _sentence(drift: Drift) -> str:
    what = f"{drift.kind} {drift.name}"
    first = drift.aspects[0]
    if drift.verdict is Verdict.HIDDEN:
        return f"{what} is kept out of autogenerate by env.py, and the sides differ in it."
    if not first.attribute:
        return _existence(drift, what, first)
    attributes = ", ".join(aspect.attribute for aspect in drift.aspects)
    if "name" in {aspect.attribute for aspect in drift.aspects}:
        return f"{what} is renamed: {_names(drift)}."
    if drift.tier is Tier.UNDECLARED:
        return f"{what} has a default that the models do not declare: tables made from them go without."
    if drift.tier is Tier.EQUIVALENT:
        return f"{what} is written in other words that mean the same ({attributes})."
    opening = {
        Verdict.MIGRATION_MISSING: "The models have changed and no revision says so",
        Verdict.LIVE_EDITED: "The live database is not what its revisions build",
        Verdict.MIGRATION_WRONG: "Models and live database agree, and the migrations build something else",
        Verdict.CONFLICT: "The sides contradict each other",
        Verdict.PENDING: "A revision that is not applied yet changes it",
        Verdict.HIDDEN: "",
    }
    return f"{opening[drift.verdict]}: {what} differs in {attributes}."


def _beforehand(drift: Drift) -> bool:
    """Tell whether the live database is already what the newest revision makes of it, and is not at that revision."""
    return drift.verdict is Verdict.LIVE_EDITED and all(each.migrations == each.live for each in drift.aspects)


def _done(drift: Drift) -> str:
    what, first = f"{drift.kind} {drift.name}", drift.aspects[0]
    how = "there" if first.live is not None else "gone"
    how = ", ".join(each.attribute for each in drift.aspects) if first.attribute else how
    return f"A revision that is not applied yet has been done by hand in the live database: {what} ({how} already)."


def _existence(drift: Drift, what: str, first: Aspect) -> str:
    sides = {"models": first.models, "migrations": first.migrations, "live": first.live}
    have = [_SPEAKERS[side] for side in drift.sides if sides[side] is not None]
    lack = [_SPEAKERS[side] for side in drift.sides if sides[side] is None]
    if drift.verdict is Verdict.PENDING:
        return f"{what} {'comes' if sides['migrations'] is not None else 'goes'} with a revision not applied yet."
    return f"{what} is in {' and '.join(have) or 'nothing'}, not in {' and '.join(lack) or 'nothing'}."


def _names(drift: Drift) -> str:
    names = next(aspect for aspect in drift.aspects if aspect.attribute == "name")
    said = {"models": names.models, "migrations": names.migrations, "live": names.live}
    return ", ".join(f"{said[side]} in {_SPEAKERS[side]}" for side in drift.sides if said[side] is not None)


def refusals(refused: Iterable[Refusal]) -> Iterable[Finding]:
    """Say what PostgreSQL refuses of the models."""
    for each in refused:
        yield Finding(
            rule="model-not-creatable",
            severity=Severity.ERROR,
            subject=each.statement[:120],
            message=f"PostgreSQL refuses what the models ask for: {each.message}",
            evidence=(Evidence("statement", each.statement),),
            remedy="Correct the model; everything else was compared without it.",
        )


def helped(statements: Iterable[str]) -> Iterable[Finding]:
    """Say what the migrations take for granted: a new database would not have it."""
    for each in statements:
        yield Finding(
            rule="migrations-need-help",
            severity=Severity.WARNING,
            subject=each,
            message="The migrations need this and no revision makes it, so they fail on an empty database.",
            remedy=f'op.execute("{each.replace(chr(34), chr(92) + chr(34))}")',
        )


def stand_ins(names: Iterable[str], version: str) -> Iterable[Finding]:
    """Say which extensions the scratch server has not got, so that something stood in for them."""
    for name in names:
        where = WHERE.get(name)
        what = "functions of the same names stood in for it" if name in KNOWN else "its name alone stood in for it"
        yield Finding(
            rule="extension-not-here",
            severity=Severity.INFO if name in KNOWN else Severity.WARNING,
            subject=f"extension {ident(name)}",
            message=f"The scratch server ({version}) has no extension {ident(name)}; {what}.",
            remedy=f"Install it{f' ({where})' if where else ''}, or give a server that has it: --scratch-url URL.",
        )


def unread(catalogs: Mapping[str, int]) -> Iterable[Finding]:
    """Say what nobody looked at."""
    for catalog, count in catalogs.items():
        yield Finding(
            rule="not-compared",
            severity=Severity.WARNING,
            subject=catalog,
            message=f"The live database has {count} object(s) in {catalog} that truing does not read, nor compare.",
        )


def revisions(
    applied: tuple[str, ...] | None, heads: tuple[str, ...], known: tuple[str, ...], branches: Mapping[str, str]
) -> Iterable[Finding]:
    """Say what is odd about the revisions themselves.

    Args:
        applied: what the live database is stamped with; None where it has no table for it.
        heads: the newest revisions of the project.
        known: all of them.
        branches: the label of each head's branch. Heads of branches with labels of their own are meant to be several.
    """
    if len({branches.get(head, "") for head in heads}) < len(heads):
        yield Finding(
            rule="several-heads",
            severity=Severity.WARNING,
            subject=", ".join(heads),
            message=f"The project has {len(heads)} heads, so `alembic upgrade head` refuses to choose.",
            remedy="alembic merge heads",
        )
    if not applied and known:
        yield Finding(
            rule="unstamped-database",
            severity=Severity.ERROR,
            subject="alembic_version",
            message="The live database is at no revision; it is compared with the newest one.",
            remedy="alembic stamp REVISION, once it is what that revision builds",
        )
    for revision in applied or ():
        if revision not in known:
            yield Finding(
                rule="unknown-revision",
                severity=Severity.ERROR,
                subject=revision,
                message=f"The live database is at revision {revision}, which this project does not have.",
                remedy="Is it another project's database, or was the revision's file deleted or renamed?",
            )


def left_out(values: Iterable[LeftOut]) -> dict[str, list[str]]:
    """Group what was not compared: reason -> names."""
    groups: dict[str, list[str]] = {}
    for each in sorted(set(values)):
        groups.setdefault(each.reason, []).append(each.name)
    return groups
