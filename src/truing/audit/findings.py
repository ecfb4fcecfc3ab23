"""What should a person know of an audit? Counts, dependents and blockers go in; findings come out, with queries."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from truing.audit.model import ClassCount, DependentFate, TableAudit, Unasked
from truing.catalog.blockers import Blocker
from truing.finding import Evidence, Finding, Severity
from truing.names import ident

_RULES: Final = {
    "refused": ("refused-rows", Severity.ERROR),
    "unsettled": ("unsettled-rows", Severity.WARNING),
    "altered": ("altered-rows", Severity.WARNING),
    "normalised": ("normalised-rows", Severity.INFO),
}

_UNASKED: Final = {
    "missing": ("missing-subject", Severity.WARNING),
    "unanswerable": ("unanswered-question", Severity.WARNING),
    # An audit that could not look must not say that all is well.
    "unreadable": ("unreadable-rows", Severity.ERROR),
    "refused": ("refused-change", Severity.ERROR),
    "kept": ("removed-kept-column", Severity.ERROR),
    "left": ("unanswered-question", Severity.INFO),
}

RULES: Final = {
    "refused-rows": (Severity.ERROR, "Rows that a pending change refuses: it would fail."),
    "unsettled-rows": (Severity.WARNING, "Rows that would be refused unless an earlier statement settles them."),
    "altered-rows": (Severity.WARNING, "Rows that get another value than their own; the originals are kept."),
    "normalised-rows": (Severity.INFO, "Rows whose value stays the same, written as PostgreSQL writes it."),
    "refused-change": (Severity.ERROR, "A change that PostgreSQL refuses whatever the rows are."),
    "refused-dependent": (Severity.ERROR, "A view, policy or other object that depends on a column and cannot follow."),
    "removed-kept-column": (Severity.ERROR, "A change that takes away the originals of an online type change."),
    "unreadable-rows": (Severity.ERROR, "A table whose rows this role may not, or not all, read."),
    "missing-subject": (Severity.WARNING, "A change of something that does not exist and that nothing makes."),
    "unanswered-question": (Severity.WARNING, "What could not be asked; info where the upgrade itself looks."),
    "lock-blocker": (Severity.WARNING, "A session that would keep locks waiting now; info where it holds none."),
}
"""What an audit may find: name -> its severity, and what it means."""

_ARE: Final = {
    "null": "hold NULL",
    "empty": "are empty or blank",
    "malformed": "cannot be read as the new type",
    "orphan": "have no parent row",
    "unmapped": "are not in the map",
    "replaced": "get another value than their own",
    "violation": "break the condition",
    "duplicate": "share their key with others",
    "collision": "will share their key with others, which they do not now",
    "normalised": "are written differently than PostgreSQL writes them",
}

_WAITS: Final = {
    "transaction": "A transaction that has been open for long keeps locks waiting and index builds from finishing.",
    "prepared-transaction": "A prepared transaction holds its locks until somebody ends it.",
    "wraparound-vacuum": "An autovacuum against wraparound does not give way to a lock.",
    "wraparound-due": "An autovacuum against wraparound will start soon, and will not give way to a lock.",
    "replication-slot": "A replication slot keeps WAL and dead rows.",
}
_REMEDIES: Final = {
    "transaction": "Wait for it, or end it: SELECT pg_terminate_backend({pid});",
    "prepared-transaction": "COMMIT PREPARED or ROLLBACK PREPARED it.",
    "wraparound-vacuum": "Wait until it has finished.",
    "wraparound-due": "VACUUM (FREEZE) the table at a quiet hour first.",
    "replication-slot": "See that its consumer follows, or drop it: SELECT pg_drop_replication_slot(...);",
}


def of_table(table: TableAudit) -> Iterable[Finding]:
    """Return what there is to say of one table."""
    for count in table.classes:
        if count.count > count.settled and count.verdict in _RULES:
            yield _of_rows(count)
    for dependent in table.dependents:
        if dependent.refused:
            yield _of_dependent(dependent)
    for unasked in table.unasked:
        if unasked.kind in _UNASKED:
            yield _of_unasked(unasked)


def _of_rows(count: ClassCount) -> Finding:
    rule, severity = _RULES[count.verdict]
    number = count.count - count.settled
    rows = f"{number:,} row{'s' if number > 1 else ''}"
    before = f" ({count.settled:,} more are moved away before)" if count.settled else ""
    groups = f" in {count.groups:,} group{'s' if count.groups > 1 else ''}" if count.groups else ""
    fate = f"{'' if count.fate.startswith('→') else ':'} {count.fate}" if count.fate else ""
    shown = ", ".join(f"{each.key} ({each.value!r})" if each.value is not None else each.key for each in count.samples)
    return Finding(
        rule=rule,
        severity=severity,
        subject=f"{count.table} {count.change} [{count.row_class}]",
        message=f"{rows} {_ARE.get(count.row_class, count.row_class)}{groups}{before}{fate}",
        location=count.source.location,
        evidence=(Evidence("for example", shown, count.query),) if count.query else (),
        remedy=_remedy(count),
        revision=count.source.revision,
    )


def _remedy(count: ClassCount) -> str:
    if count.verdict != "refused":
        return ""
    if count.row_class in {"duplicate", "collision"}:
        return "Settle the rows that the query lists: keep one of each group."
    if count.source.online:
        return "Settle the rows that the query lists, or choose a policy for them in the revision."
    return "Settle the rows that the query lists, or use an online operation, which has policies for them."


def _of_dependent(dependent: DependentFate) -> Finding:
    return Finding(
        rule="refused-dependent",
        severity=Severity.ERROR,
        subject=f"{dependent.table}.{ident(dependent.column)} [{dependent.name}]",
        message=f"{dependent.name} depends on the column; {dependent.fate}.",
        location=dependent.source.location,
        remedy=dependent.advice,
        revision=dependent.source.revision,
    )


def _of_unasked(unasked: Unasked) -> Finding:
    rule, severity = _UNASKED[unasked.kind]
    return Finding(
        rule=rule,
        severity=severity,
        subject=f"{unasked.table} {unasked.change}",
        message=f"{unasked.reason}.",
        location=unasked.source.location,
        remedy=unasked.remedy,
        revision=unasked.source.revision,
    )


def of_blockers(blockers: Iterable[Blocker]) -> Iterable[Finding]:
    """Return what there is to say of those who would keep locks waiting now."""
    for blocker in blockers:
        matters = bool(blocker.locks) or blocker.kind in {"prepared-transaction", "wraparound-vacuum"}
        yield Finding(
            rule="lock-blocker",
            severity=Severity.WARNING if matters else Severity.INFO,
            subject=f"{blocker.kind} {blocker.name}".strip(),
            message=_WAITS[blocker.kind],
            evidence=(Evidence("now", str(blocker)),),
            remedy=_REMEDIES[blocker.kind].format(pid=blocker.pid),
        )
