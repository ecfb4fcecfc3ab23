"""What does an audit look like? An :class:`~truing.audit.model.Audit` goes in, a document for every reporter comes out.

A table of the document for each table of the database. Its rows hold more cells than a terminal shows (the query, the
policy, the line), for programs that read the JSON.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, Literal

from truing.audit.model import Audit, ClassCount, DependentFate, TableAudit, Unasked
from truing.report.document import Cell, Column, Document, Table, document, shown

_ROWS: Final = (Column("what", "change"), Column("class", "class"), Column("rows", "rows"), Column("fate", "becomes"))
_DEPENDENTS: Final = (Column("name", "depends on it"), Column("fate", "becomes"))
_UNASKED: Final = (Column("what", "change"), Column("reason", "why not"))
_KILO: Final = 1024


def audit_document(
    audit: Audit, fail_on: Literal["info", "warning", "error", "never"] = "error", *, seconds: float | None = None
) -> Document:
    """Put an audit into a document.

    Args:
        audit: the answer.
        fail_on: the least severity that counts as a failure.
        seconds: how long it took.
    """
    facts: dict[str, Cell] = {
        "database": audit.database,
        "PostgreSQL": audit.server,
        "pending revisions": ", ".join(audit.revisions) or "(none)",
    }
    if seconds is not None:
        facts["seconds"] = round(seconds, 1)
    return document(
        "audit",
        findings=audit.findings,
        tables=[table for each in audit.tables for table in _tables(each)],
        facts=facts,
        summary=_summary(audit),
        next_steps=_next(audit),
        fail_on=fail_on,
    )


def _next(audit: Audit) -> tuple[str, ...]:
    if any(count.verdict == "refused" for table in audit.tables for count in table.classes):
        return (
            "choose in the revision what becomes of these rows (dirty=, orphans=): docs/how-to/choose-a-policy.md",
            "truing audit",
        )
    return ("truing upgrade --plan",) if audit.revisions else ()


def _tables(table: TableAudit) -> Iterator[Table]:
    rows = tuple(_rows(table))
    if rows:
        yield Table("rows", _title(table), _ROWS, rows)
    hanging = tuple(map(_dependent, table.dependents))
    if hanging:
        yield Table("dependents", f"What depends on {table.table}.{table.dependents[0].column}", _DEPENDENTS, hanging)
    unasked = tuple(map(_unasked, (each for each in table.unasked if each.kind != "settled")))
    if unasked:
        yield Table("unasked", f"{table.table}: not asked", _UNASKED, unasked)


def _title(table: TableAudit) -> str:
    parts = [] if table.rows is None else [f"{'' if table.counted else 'about '}{table.rows:,} rows"]
    parts += [] if table.size is None else [_bytes(table.size)]
    return f"{table.table}: {', '.join(parts)}" if parts else str(table.table)


def _bytes(size: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < _KILO:
            return f"{size:,.0f} {unit}"
        size /= _KILO
    return f"{size:,.1f} TB"


def _rows(table: TableAudit) -> Iterator[dict[str, Cell]]:
    last: tuple[object, ...] = ()
    for count in table.classes:
        if not count.count:
            continue
        change = (count.change, count.source)
        yield {"what": "" if change == last else count.change, **_cells(count)}
        last = change


def _cells(count: ClassCount) -> dict[str, Cell]:
    moved = f"{count.settled:,} of them are moved before" if count.settled else ""
    groups = f"in {count.groups:,} groups" if count.groups else ""
    return {
        "class": count.row_class,
        "rows": count.count,
        "fate": "; ".join(part for part in (count.fate, groups, moved) if part),
        "table": str(count.table),
        "change": count.change,
        "columns": ", ".join(count.columns),
        "settled": count.settled,
        "groups": count.groups,
        "verdict": count.verdict,
        "policy": count.policy,
        "samples": ", ".join(sample.key for sample in count.samples),
        "revision": count.source.revision,
        "file": shown(count.source.location.file),
        "line": count.source.location.line,
        "query": count.query,
    }


def _dependent(each: DependentFate) -> dict[str, Cell]:
    return {
        "name": each.name,
        "fate": each.fate,
        "table": str(each.table),
        "column": each.column,
        "kind": each.kind,
        "refused": each.refused,
        "advice": each.advice,
        "revision": each.source.revision,
        "line": each.source.location.line,
    }


def _unasked(each: Unasked) -> dict[str, Cell]:
    return {
        "what": each.change,
        "reason": each.reason,
        "table": str(each.table),
        "kind": each.kind,
        "remedy": each.remedy,
        "revision": each.source.revision,
        "line": each.source.location.line,
    }


def _summary(audit: Audit) -> str:
    if not audit.revisions:
        return "Nothing is pending: the database is where its revisions want it."
    counts = [count for table in audit.tables for count in table.classes]
    refused = _sum(counts, "refused")
    altered, normalised = _sum(counts, "altered"), _sum(counts, "normalised")
    kept = f"{altered:,} value or row is" if altered == 1 else f"{altered:,} values or rows are"
    rest = f"{kept} altered and kept aside, {normalised:,} normalised."
    unsettled = _sum(counts, "unsettled")
    if unsettled:
        rest += f" {unsettled:,} would be refused unless an earlier statement settles them."
    if refused:
        return f"The pending revisions would fail: they refuse {refused:,} row{'s' if refused > 1 else ''}. {rest}"
    if any(each.severity == "error" for each in audit.findings):
        return f"The pending revisions would fail, or not all could be looked at. {rest}"
    return f"The pending revisions refuse no row. {rest}"


def _sum(counts: Iterable[ClassCount], verdict: str) -> int:
    return sum(count.count - count.settled for count in counts if count.verdict == verdict)
