"""The document for a person at a terminal: ``full`` with tables and remedies, ``concise`` with one line for each thing.

Everything that came from outside goes through :func:`truing.report.clean.clean` and into :class:`rich.text.Text`, so
that neither terminal escapes nor markup in it have any effect.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from rich import box
from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table as RichTable
from rich.text import Text

from truing.finding import Severity
from truing.report.clean import LONGEST_CELL, clean
from truing.report.document import Cell, Document, ReportedFinding, ReportedPlan, ReportedStep, Table

_COLOURS: Final = {Severity.ERROR: "bold red", Severity.WARNING: "yellow", Severity.INFO: "blue"}
_WHOLE: Final = 1000
"""From here on nobody reads decimals."""
FEW: Final = 3
"""So many hints of a rule are shown in full."""
LONGEST_QUERY: Final = 50_000
"""A query that is cut cannot be run."""

_RUN: Final = {
    "locked": "one short transaction",
    "plain": "one transaction, row locks only",
    "concurrent": "outside a transaction, blocks nobody",
    "batches": "in small batches, resumable",
    "settle": "look and mend until none is left",
}


def render_full(document: Document, console: Console) -> None:
    """Print all of it."""
    for table in document.tables:
        # A table ends in a blank line of its own: the lower edge of its box.
        _print(console, _table(table, console.width))
        if table.note:
            _print(console, Text(clean(table.note, multiline=True), "dim"))
            console.print()
    for plan in document.plans:
        _plan(plan, console)
    shown, folded = _folded(document.findings)
    for finding in shown:
        _finding(finding, console)
    for rule, subjects in folded.items():
        head = Text.assemble((Severity.INFO.value, _COLOURS[Severity.INFO]), " ", (clean(rule), "bold"))
        _print(console, head.append(f" {len(subjects):,} more; --output-format concise has a line for each"))
        _indented(console, Text(clean(", ".join(subjects), longest=LONGEST_CELL * 2)))
        console.print()
    if document.facts:
        _print(console, _facts(document))
        console.print()
    good = document.verdict == "true"
    _print(console, Text(clean(document.summary), "bold green" if good else "bold red"))
    for step in document.next_steps:
        _print(console, Text.assemble(("  next: ", "dim"), clean(step)))


def _folded(
    findings: Iterable[ReportedFinding],
) -> tuple[list[ReportedFinding], dict[str, list[str]]]:
    """Keep a few hints of each rule, and the subjects of the rest: hundreds of them would hide what matters."""
    hints: dict[str, list[ReportedFinding]] = {}
    for finding in findings:
        if finding.severity is Severity.INFO:
            hints.setdefault(finding.rule, []).append(finding)
    # One that is left would take no less room.
    many = {rule: found for rule, found in hints.items() if len(found) > FEW + 1}
    rest = {finding.fingerprint for found in many.values() for finding in found[FEW:]}
    shown = [each for each in findings if each.severity is not Severity.INFO or each.fingerprint not in rest]
    return shown, {rule: [each.subject for each in found[FEW:]] for rule, found in many.items()}


def render_concise(document: Document, console: Console) -> None:
    """Print one line for each finding, row and step, without wrapping: for ``grep`` and for editors."""
    lines = [concise(finding) for finding in document.findings]
    for table in document.tables:
        for row in table.rows:
            cells = (f"{column.key}={cell(row.get(column.key))}" for column in table.columns)
            lines.append(f"{table.id}: {' '.join(cells)}")
    for plan in document.plans:
        for number, step in enumerate(plan.steps, 1):
            locks = ", ".join(f"{lock.mode} on {lock.table}" for lock in step.locks) or "no table lock"
            lines.append(clean(f"{plan.op_id}: {number}. {step.title} [{locks}]"))
    lines += [f"{clean(name)}: {cell(value)}" for name, value in document.facts.items()]
    for line in [*lines, clean(document.summary)]:
        console.print(Text(line), soft_wrap=True)


def concise(finding: ReportedFinding) -> str:
    """Return a finding as ``file:line: severity rule: message``, which editors and CI systems read."""
    where = f"{finding.location.file}:{finding.location.line}" if finding.location else finding.subject
    return clean(f"{where}: {finding.severity} {finding.rule}: {finding.message}")


def cell(value: Cell) -> str:
    """Return a cell as text: thousands separated, no more decimals than matter."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case float():
            return f"{value:,.0f}" if abs(value) >= _WHOLE else f"{value:,.3g}"
    return clean(value, longest=LONGEST_CELL)


def _print(console: Console, renderable: RenderableType) -> None:
    # Long words (a hash, a qualified name) are folded rather than cut: a name that is cut is no name.
    if console.is_terminal:
        console.print(renderable, overflow="fold")
        return
    # rich fills tables and wrapped lines with blanks up to their width, which is nothing for a pipe.
    with console.capture() as held:
        console.print(renderable, overflow="fold")
    for line in held.get().removesuffix("\n").split("\n"):
        console.file.write(f"{line.rstrip()}\n")


def _finding(finding: ReportedFinding, console: Console) -> None:
    colour = _COLOURS[finding.severity]
    head = Text.assemble(
        (finding.severity.value, colour), " ", (clean(finding.rule), "bold"), " ", clean(finding.subject)
    )
    if finding.location:
        head.append(f"  {clean(finding.location.file)}:{finding.location.line}", "dim")
    _print(console, head)
    _indented(console, Text(clean(finding.message, multiline=True)))
    if finding.revision:
        _indented(console, Text.assemble(("revision: ", "dim"), clean(finding.revision)))
    for each in finding.evidence:
        _indented(console, Text.assemble((f"{clean(each.label)}: ", "dim"), clean(each.value, multiline=True)))
        if each.query:
            _indented(console, Text(clean(each.query, multiline=True, longest=LONGEST_QUERY), "cyan"), whole=True)
    if finding.remedy:
        remedy = Text.assemble(("instead: ", "green"), clean(finding.remedy, multiline=True))
        # At a terminal it is read; from a pipe it is copied, and a line break in a literal makes another literal of it.
        _indented(console, remedy, whole=not console.is_terminal)
    console.print()


def _indented(console: Console, text: Text, *, whole: bool = False) -> None:
    """Print text two columns in, without blanks at the ends of lines.

    Args:
        console: where to.
        text: what.
        whole: break no line: it is to be copied, and the terminal wraps it without changing it.
    """
    lines = text.split() if whole else text.wrap(console, max(console.width - 2, 1), overflow="fold")
    for line in lines:
        line.rstrip()
        console.print(Text.assemble("  ", line) if line else Text(), soft_wrap=True)


def _plan(plan: ReportedPlan, console: Console) -> None:
    _print(console, Text(clean(plan.title), "bold"))
    for note in plan.notes:
        _print(console, Padding(Text(clean(note), "yellow"), (0, 0, 0, 2)))
    table = RichTable(box=box.SIMPLE_HEAD, pad_edge=False)
    # On a narrow terminal the locks get a line of their own below the step, so that no column becomes a sliver.
    wide = console.width >= 110  # noqa: PLR2004 - what both columns need
    table.add_column("#", justify="right", no_wrap=True)
    table.add_column("step", overflow="fold")
    if wide:
        table.add_column("locks", overflow="fold")
        table.add_column("what waits", overflow="fold")
    for number, step in enumerate(plan.steps, 1):
        title = Text.assemble(clean(step.title), ("\n" + _RUN[step.run], "dim"))
        if wide:
            table.add_row(str(number), title, _locks(step), _waits(step))
        elif step.locks:
            table.add_row(str(number), Text.assemble(title, "\n", _locks(step), ": ", _waits(step)))
        else:
            table.add_row(str(number), title)
    _print(console, table)


def _locks(step: ReportedStep) -> Text:
    return Text(clean("\n".join(f"{lock.mode} on {lock.table}" for lock in step.locks) or "none", multiline=True))


def _waits(step: ReportedStep) -> Text:
    waiting = {lock.blocks for lock in step.locks} - {""}
    if not waiting:
        return Text("nothing", "green")
    what = "reads and writes" if "reads and writes" in waiting else "writes"
    return Text(f"{what}, for a moment", "yellow")


def _table(table: Table, width: int) -> RichTable:
    title = Text(clean(table.title), "bold")
    built = RichTable(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in table.columns:
        cells = [row.get(column.key) for row in table.rows]
        known = [each for each in cells if each is not None]
        numbers = bool(known) and all(isinstance(each, int | float) for each in known)
        # Numbers are never folded: a count broken over two lines reads as two counts.
        built.add_column(
            Text(clean(column.title)),
            justify="right" if numbers else "left",
            no_wrap=numbers,
            overflow="fold",
            max_width=max(12, width * 2 // 3),
        )
    for row in table.rows:
        built.add_row(*(Text(cell(row.get(column.key))) for column in table.columns))
    return built


def _facts(document: Document) -> RichTable:
    grid = RichTable.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in document.facts.items():
        grid.add_row(Text(clean(name), "dim"), Text(cell(value)))
    return grid
