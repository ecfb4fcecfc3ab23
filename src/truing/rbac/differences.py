"""In what does a live database differ from the baseline, and which of it would the revisions stumble over?

Two snapshots flow in, findings flow out. What the revisions name has to be there as they expect it (error); what they
carry along whatever it is, and what is there besides, is worth knowing (warning); owners, grants and comments are the
person's own (info).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec

from truing.catalog.model import Function, Snapshot, Table, View
from truing.finding import Evidence, Finding, Severity

RULE: Final = "database-differs-from-baseline"

_PARTS: Final = ("columns", "constraints", "indexes", "policies", "triggers", "rules", "statistics")
_SINGULAR: Final = {
    "columns": "column",
    "constraints": "constraint",
    "indexes": "index",
    "policies": "policy",
    "triggers": "trigger",
    "rules": "rule",
    "statistics": "statistics object",
}
# Where a column stands means nothing; the sequence's name is part of the default that is compared anyway.
_NEVER: Final = frozenset({"position", "not_nulls", "local", "inherited", *_PARTS})
_OWN: Final = frozenset(
    {"owner", "grants", "comment", "options", "statistics", "storage", "compression", "tablespace", "clustered"}
)


def differences(live: Snapshot, baseline: Snapshot) -> tuple[Finding, ...]:
    """List every difference of what the baseline has.

    Args:
        live: the database to judge.
        baseline: the database as the baseline's revision makes it, in a schema of the same name.

    Returns:
        Findings, the worst first, then by subject.
    """
    found = [
        *_relations(live.tables_by_name, baseline.tables_by_name, "table", Severity.ERROR),
        *_relations(live.views_by_name, baseline.views_by_name, "view", Severity.WARNING),
        *_functions(live, baseline),
    ]
    return tuple(sorted(found, key=lambda finding: (-finding.severity.rank, finding.subject)))


def _relations(
    live: Mapping[Any, Table | View], baseline: Mapping[Any, Table | View], kind: str, weight: Severity
) -> Iterator[Finding]:
    for name, wanted in baseline.items():
        if name.name == "alembic_version":
            continue
        seen = live.get(name)
        if seen is None:
            yield _finding(weight, str(name), f"The baseline has the {kind} {name}; this database has not.")
            continue
        yield from _fields(seen, wanted, str(name), f"The {kind} {name}", weight)
        for part in _PARTS:
            yield from _parts(getattr(seen, part, ()), getattr(wanted, part, ()), str(name), _SINGULAR[part], weight)


def _parts(seen: Iterable[Any], wanted: Iterable[Any], owner: str, kind: str, weight: Severity) -> Iterator[Finding]:
    have, want = {str(each.name): each for each in seen}, {str(each.name): each for each in wanted}
    for name in want.keys() - have.keys():
        yield _finding(
            weight,
            f"{owner}.{name}",
            f"The baseline has the {kind} {name} on {owner}; this database has not.",
            Evidence("baseline", _shown(want[name])),
        )
    for name in have.keys() - want.keys():
        yield _finding(
            Severity.WARNING,
            f"{owner}.{name}",
            f"{owner} has the {kind} {name}, which the baseline has not; the revisions leave it as it is.",
            Evidence("live", _shown(have[name])),
        )
    for name in want.keys() & have.keys():
        yield from _fields(have[name], want[name], f"{owner}.{name}", f"The {kind} {name} on {owner}", weight)


def _functions(live: Snapshot, baseline: Snapshot) -> Iterator[Finding]:
    def identity(function: Function) -> str:
        return f"{function.name}({function.arguments})"

    have = {identity(function): function for function in live.functions}
    for function in baseline.functions:
        name = identity(function)
        if name not in have:
            yield _finding(Severity.ERROR, name, f"The baseline has the function {name}; this database has not.")
        else:
            yield from _fields(have[name], function, name, f"The function {name}", Severity.WARNING)


def _fields(seen: Any, wanted: Any, subject: str, what: str, weight: Severity) -> Iterator[Finding]:
    """Compare two objects of one kind, field by field."""
    for field in msgspec.structs.fields(type(wanted)):
        if field.name in _NEVER:
            continue
        left, right = getattr(seen, field.name), getattr(wanted, field.name)
        if left != right:
            yield _finding(
                Severity.INFO if field.name in _OWN else weight,
                subject,
                f"{what} differs in {field.name.replace('_', ' ')}.",
                Evidence("live", _shown(left)),
                Evidence("baseline", _shown(right)),
            )


def _shown(value: Any) -> str:
    if isinstance(value, msgspec.Struct):
        value = (
            getattr(value, "definition", None) or getattr(value, "type", None) or msgspec.json.encode(value).decode()
        )
    if value is None or value == "":
        return "none"
    if isinstance(value, tuple):
        return ", ".join(map(_shown, value)) or "none"
    return str(value)


def _finding(severity: Severity, subject: str, message: str, *evidence: Evidence) -> Finding:
    return Finding(rule=RULE, severity=severity, subject=subject, message=message, evidence=evidence)
