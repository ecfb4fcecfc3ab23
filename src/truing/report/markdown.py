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
"""Findings, and rows of a table, that are shown."""

LONGEST_COMMENT: Final = 60_000
"""Characters of the whole: GitHub refuses a comment of more than 65,536."""

LONGEST: Final = 600
"""Characters of a text in a cell."""

_SPECIAL: Final = re.compile(r"([\\`*_\[\]<>|~#&$!])")
_VERDICTS: Final = {"true": "in true", "findings": "findings", "no answer": "no answer"}
_OPENING: Final = re.compile(r"^(\d*)([-+=.)])")
"""What would make a list or a heading of a line."""


def encode(document: Document) -> str:
    """Write the document as Markdown."""
    title = f"## truing {text(document.command)}: {_VERDICTS[document.verdict]}"
    parts = [title, text(document.summary)]
    parts += _fitting([*map(_table, document.tables), *map(_plan, document.plans)], LONGEST_COMMENT // 3, "tables")
    rows = _fitting(map(_finding, document.findings[:MOST]), LONGEST_COMMENT // 3)
    shown = document.findings[: len(rows)]
    parts += [_rows(("severity", "rule", "what", "where"), rows)] if rows else []
    last = [f"... and {len(document.findings) - len(shown):,} more."] if len(shown) < len(document.findings) else []
    if document.facts:
        last.append("\n".join(f"- {text(name)}: {text(cell(value))}" for name, value in document.facts.items()))
    if document.next_steps:
        last.append("\n".join(f"- next: {text(step)}" for step in document.next_steps))
    room = LONGEST_COMMENT - sum(map(len, (*parts, *last)))
    return "\n\n".join(filter(None, (*parts, *_fitting(_details(shown), room, "details"), *last))) + "\n"


def _fitting(parts: Iterable[str], room: int, what: str = "") -> list[str]:
    """Take the first parts, as many as there is room for.

    Args:
        parts: to choose from.
        room: characters.
        what: they are; where given, the number that is left out is said.
    """
    wanted, taken = list(parts), []
    for part in wanted:
        room -= len(part) + 2
        if room < 0:
            break
        taken.append(part)
    left = len(wanted) - len(taken)
    return [*taken, f"... and {left:,} more {what}, which would make this too long."] if left and what else taken


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


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _rows(head: Iterable[str], rows: Iterable[str]) -> str:
    titles = list(head)
    return "\n".join((_row(titles), _row(["---"] * len(titles)), *rows))


def _finding(finding: ReportedFinding) -> str:
    where = text(f"{finding.location.file}:{finding.location.line}") if finding.location else ""
    what = f"{_strong(subject_apart(finding))} {text(finding.message)}"
    return _row((finding.severity.value, text(finding.rule), what, where))


def _details(findings: Iterable[ReportedFinding]) -> Iterator[str]:
    for finding in findings:
        seen = [f"{each.label}: {each.value}" + (f"\n{each.query}" if each.query else "") for each in finding.evidence]
        seen += [f"instead: {finding.remedy}"] if finding.remedy else []
        if seen:
            head = _html(f"{finding.rule}: {finding.subject}")
            yield f"<details><summary>{head}</summary>\n\n{block(chr(10).join(seen))}\n\n</details>"


def _table(table: Table) -> str:
    rows = [_row(text(cell(row.get(column.key))) for column in table.columns) for row in table.rows[:MOST]]
    rows = _fitting(rows, LONGEST_COMMENT // 6)
    shown = _rows((text(column.title) for column in table.columns), rows)
    more = f"... and {len(table.rows) - len(rows):,} more rows." if len(rows) < len(table.rows) else ""
    return "\n\n".join(filter(None, (f"### {text(table.title)}", shown, more, text(table.note))))


def _plan(plan: ReportedPlan) -> str:
    steps = [f"{number}. {text(f'{step.title} ({_locks(step)})')}" for number, step in enumerate(plan.steps, 1)]
    return "\n\n".join((f"### {text(plan.title)}", "\n".join(steps), *(text(note) for note in plan.notes)))


def _locks(step: ReportedStep) -> str:
    return ", ".join(f"{lock.mode} on {lock.table}" for lock in step.locks) or "no table lock"
