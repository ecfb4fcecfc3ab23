"""What does a command have to say? One versioned document, which every reporter renders and ``json`` prints as it is.

In: findings, plans, tables of rows and single facts, from any slice. Out: a :class:`Document` with its verdict. Readers
of the JSON may rely on it: a field is only ever added within one ``version``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Final, Literal, TypeAlias

import msgspec

import truing
from truing.finding import Evidence, Finding, Location, Severity
from truing.locks import LockMode
from truing.plan import Batches, Concurrent, Locked, Plain, Plan, Settle, Step

VERSION: Final = 1

CHECKS: Final = "checks"
"""The table of a document whose rows are checks: ``check``, ``status`` and, where there is no answer, ``why``."""

Cell: TypeAlias = str | int | float | bool | None
Verdict: TypeAlias = Literal["true", "findings", "no answer"]


class Tool(msgspec.Struct, frozen=True):
    """Which truing wrote the document."""

    name: str
    version: str


class Column(msgspec.Struct, frozen=True):
    """A column of a table: the key of its cells in each row, and its heading."""

    key: str
    title: str


class Table(msgspec.Struct, frozen=True):
    """Rows of one kind, for example the audit's counts by class.

    Attributes:
        id: its name for programs.
        title: its heading for people.
        columns: in the order to show them.
        rows: column key -> cell; a missing key is an empty cell.
        note: a sentence below the table.
    """

    id: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[Mapping[str, Cell], ...]
    note: str = ""


class ReportedFinding(msgspec.Struct, frozen=True):
    """A finding with the name that stays the same from run to run; see :class:`truing.finding.Finding`."""

    rule: str
    severity: Severity
    subject: str
    message: str
    fingerprint: str
    location: Location | None = None
    evidence: tuple[Evidence, ...] = ()
    remedy: str = ""
    revision: str = ""


class ReportedLock(msgspec.Struct, frozen=True):
    """A lock that a step takes, and what has to wait for it: ``reads and writes``, ``writes`` or nothing."""

    table: str
    mode: str
    blocks: Literal["reads and writes", "writes", ""]


class ReportedStep(msgspec.Struct, frozen=True):
    """A step of a plan, as it will be run."""

    id: str
    title: str
    run: Literal["locked", "plain", "concurrent", "batches", "settle"]
    locks: tuple[ReportedLock, ...]
    statements: tuple[str, ...]


class ReportedPlan(msgspec.Struct, frozen=True):
    """A plan with its steps."""

    op_id: str
    title: str
    table: str
    steps: tuple[ReportedStep, ...]
    notes: tuple[str, ...] = ()


class Document(msgspec.Struct, frozen=True):
    """All that one command has to say.

    Attributes:
        version: of this format.
        tool: who wrote it.
        command: for example ``lint``.
        verdict: ``true`` (nothing to do), ``findings`` (at or above the threshold) or ``no answer``.
        summary: one sentence for a person.
        facts: single results by name, for example the seconds it took.
        findings: most severe first.
        plans: in the order to run them.
        tables: in the order to read them.
        next_steps: commands or sentences that say where to go from here.
        fail_on: the least severity that counts.
        project: the file of the project, for forms in which every finding needs a file.
    """

    version: Literal[1]
    tool: Tool
    command: str
    verdict: Verdict
    summary: str = ""
    facts: dict[str, Cell] = {}
    findings: tuple[ReportedFinding, ...] = ()
    plans: tuple[ReportedPlan, ...] = ()
    tables: tuple[Table, ...] = ()
    next_steps: tuple[str, ...] = ()
    fail_on: Literal["info", "warning", "error", "never"] = "error"
    project: str = "pyproject.toml"

    @property
    def unanswered(self) -> Iterator[tuple[str, str]]:
        """The checks that could not answer, and why."""
        for table in self.tables:
            for row in table.rows if table.id == CHECKS else ():
                if row.get("status") == "no answer":
                    yield str(row.get("check")), str(row.get("why") or "")

    @property
    def exit_code(self) -> int:
        """0 in true, 1 findings, 2 no answer."""
        codes: dict[Verdict, int] = {"true": 0, "findings": 1, "no answer": 2}
        return codes[self.verdict]


def document(
    command: str,
    *,
    findings: Iterable[Finding] = (),
    plans: Iterable[Plan] = (),
    tables: Iterable[Table] = (),
    facts: Mapping[str, Cell] | None = None,
    summary: str = "",
    next_steps: Iterable[str] = (),
    fail_on: Literal["info", "warning", "error", "never"] = "error",
    failed: bool = False,
    unanswered: Sequence[str] = (),
    notes: Sequence[str] = (),
) -> Document:
    """Put together what a command has to say.

    Args:
        command: its name.
        findings: any order.
        plans: in the order to run them.
        tables: in the order to read them.
        facts: single results by name.
        summary: one sentence; findings are counted when it is empty.
        next_steps: where to go from here.
        fail_on: the least severity that counts as a failure.
        failed: whether the command failed for another reason (a verification, say).
        unanswered: parts of the question that have no answer.
        notes: sentences after the summary.
    """
    ordered = sorted(findings, key=_importance)
    verdict: Verdict = "findings" if failed or fails(ordered, fail_on) else "true"
    return Document(
        version=VERSION,
        tool=Tool("truing", truing.__version__),
        command=command,
        verdict="no answer" if unanswered else verdict,
        summary=" ".join((summary or _count(ordered), *notes, *_no_answer(unanswered))),
        facts=dict(facts or {}),
        findings=tuple(map(_reported, ordered)),
        plans=tuple(map(reported_plan, plans)),
        tables=tuple(tables),
        next_steps=tuple(next_steps),
        fail_on=fail_on,
    )


def _no_answer(unanswered: Sequence[str]) -> Sequence[str]:
    return (f"No answer: {', '.join(unanswered)}.",) if unanswered else ()


def fails(findings: Iterable[Finding], fail_on: Literal["info", "warning", "error", "never"]) -> bool:
    """Tell whether there is a finding that counts."""
    return fail_on != "never" and any(each.severity.rank >= Severity(fail_on).rank for each in findings)


def _importance(finding: Finding) -> tuple[object, ...]:
    place = (finding.location.file, finding.location.line) if finding.location else ("", 0)
    return (-finding.severity.rank, *place, finding.rule, finding.subject, finding.message)


def _count(findings: list[Finding]) -> str:
    if not findings:
        return "No findings."
    parts = []
    for severity in reversed(Severity):
        number = sum(each.severity is severity for each in findings)
        # "info" has no plural.
        plural = "s" if number > 1 and severity is not Severity.INFO else ""
        parts += [f"{number} {severity.value}{plural}"] if number else []
    return f"{len(findings)} finding{'s' if len(findings) > 1 else ''}: {', '.join(parts)}."


def shown(file: str) -> str:
    """Name a file as a person would: from the working directory, where it is below it."""
    path, here = PurePath(file), Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else file


def _reported(finding: Finding) -> ReportedFinding:
    values = {name: getattr(finding, name) for name in ReportedFinding.__struct_fields__}
    if finding.location is not None:
        values["location"] = msgspec.structs.replace(finding.location, file=shown(finding.location.file))
    return ReportedFinding(**values)


def reported_plan(plan: Plan) -> ReportedPlan:
    """Turn a plan into what a person or a program reads of it."""
    return ReportedPlan(plan.op_id, plan.title, plan.table.sql, tuple(map(reported_step, plan.steps)), plan.notes)


def reported_step(step: Step) -> ReportedStep:
    """Turn a step into what a person or a program reads of it."""
    locks: tuple[ReportedLock, ...] = ()
    match step.action:
        case Locked() as action:
            run, statements = "locked", action.statements
            locks = tuple(ReportedLock(lock.table.sql, lock.mode.sql, blocks(lock.mode)) for lock in action.locks)
        case Plain() as action:
            run, statements = "plain", action.statements
        case Concurrent() as action:
            run, statements = "concurrent", (action.statement,)
        case Batches() as action:
            run, statements = "batches", (action.statement,)
        case Settle() as action:
            run, statements = "settle", tuple(filter(None, (action.wrong, action.mend)))
    return ReportedStep(step.id, step.title, run, locks, statements)  # type: ignore[arg-type]


def blocks(mode: LockMode) -> Literal["reads and writes", "writes", ""]:
    """Say what has to wait while a lock is held."""
    if mode.blocks_reads:
        return "reads and writes"
    return "writes" if mode.blocks_writes else ""
