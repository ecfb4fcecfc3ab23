"""The document as Markdown for a pull request or a job's summary: what was found, and the details folded below it.

Text from outside is escaped so that it is shown as it is: no markup, no HTML, no links, nobody is mentioned.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from html import escape
from typing import Final

from truing.report.clean import clean
from truing.report.document import Document, ReportedFinding, ReportedPlan, ReportedStep, Table
from truing.report.telling import subject_apart
from truing.report.terminal import cell

MOST: Final = 100
"""Findings, and rows of a table, that are shown: GitHub cuts a comment at 65,536 characters."""

LONGEST: Final = 600
"""Characters of a text in a cell."""

_SPECIAL: Final = re.compile(r"([\\`*_\[\]<>|~#&$!])")
_VERDICTS: Final = {"true": "in true", "findings": "findings", "no answer": "no answer"}
_OPENING: Final = re.compile(r"^(\d*)([-+=.)])")
"""What would make a list or a heading of a line."""


def encode(document: Document) -> str:
    """Write the document as Markdown."""
    title = f"## truing {text(document.command)}: {_VERDICTS[document.verdict]}"
    parts = [title, text(document.summary), *map(_table, document.tables), *map(_plan, document.plans)]
    if document.findings:
        parts += [_findings(document.findings[:MOST]), *_details(document.findings[:MOST])]
    if len(document.findings) > MOST:
        parts.append(f"... and {len(document.findings) - MOST:,} more.")
    if document.facts:
        parts.append("\n".join(f"- {text(name)}: {text(cell(value))}" for name, value in document.facts.items()))
    if document.next_steps:
        parts.append("\n".join(f"- next: {text(step)}" for step in document.next_steps))
    return "\n\n".join(filter(None, parts)) + "\n"


def text(value: str) -> str:
    """Write text from outside so that Markdown shows it as it is, on one line."""
    escaped = _SPECIAL.sub(r"\\\1", clean(value, longest=LONGEST).strip())
    return _unlinked(_OPENING.sub(r"\1\\\2", escaped))


def _strong(value: str) -> str:
    shown = text(value)
    return f"<b>{shown}</b>" if shown else ""


def _html(value: str) -> str:
    return _unlinked(escape(clean(value, longest=LONGEST)))


def _unlinked(value: str) -> str:
    # No escape keeps GitHub from notifying people or making links; an empty comment in between does.
    return value.replace("@", "@<!-- -->").replace("://", ":<!-- -->//").replace("www.", "www<!-- -->.")


def block(value: str) -> str:
    """Write text of several lines as a code block, in which nothing has a meaning but its end."""
    body = clean(value, multiline=True)
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", body)), default=0))
    return f"{fence}text\n{body}\n{fence}"


def _rows(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [list(head), *map(list, rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _findings(findings: Iterable[ReportedFinding]) -> str:
    return _rows(
        ("severity", "rule", "what", "where"),
        (
            (
                finding.severity.value,
                text(finding.rule),
                f"{_strong(subject_apart(finding))} {text(finding.message)}",
                where,
            )
            for finding in findings
            for where in [text(f"{finding.location.file}:{finding.location.line}") if finding.location else ""]
        ),
    )


def _details(findings: Iterable[ReportedFinding]) -> Iterator[str]:
    for finding in findings:
        seen = [f"{each.label}: {each.value}" + (f"\n{each.query}" if each.query else "") for each in finding.evidence]
        seen += [f"instead: {finding.remedy}"] if finding.remedy else []
        if seen:
            head = _html(f"{finding.rule}: {finding.subject}")
            yield f"<details><summary>{head}</summary>\n\n{block(chr(10).join(seen))}\n\n</details>"


def _table(table: Table) -> str:
    rows = [[text(cell(row.get(column.key))) for column in table.columns] for row in table.rows[:MOST]]
    shown = _rows((text(column.title) for column in table.columns), rows)
    more = f"... and {len(table.rows) - MOST:,} more rows." if len(table.rows) > MOST else ""
    return "\n\n".join(filter(None, (f"### {text(table.title)}", shown, more, text(table.note))))


def _plan(plan: ReportedPlan) -> str:
    steps = [f"{number}. {text(f'{step.title} ({_locks(step)})')}" for number, step in enumerate(plan.steps, 1)]
    return "\n\n".join((f"### {text(plan.title)}", "\n".join(steps), *(text(note) for note in plan.notes)))


def _locks(step: ReportedStep) -> str:
    return ", ".join(f"{lock.mode} on {lock.table}" for lock in step.locks) or "no table lock"
