"""``truing check``: every check that applies to this project, in one document with one exit code."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import click
import msgspec

from truing.cli.options import Invocation, judging

if TYPE_CHECKING:
    from collections.abc import Callable

    from truing.cli.part import Part
    from truing.report.document import Cell, Document, Table

Name: TypeAlias = Literal["lint", "drift", "orm"]
CHECKS: Final[tuple[Name, ...]] = ("lint", "drift", "orm")


class Subject(msgspec.Struct, frozen=True):
    """What there is to check: an Alembic project, models, a live database that somebody names."""

    project: bool
    models: bool
    database: bool


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one check: a part, or why there is none.

    Attributes:
        name: of the check.
        part: what it found.
        skipped: why it does not apply.
        failed: why it could not answer.
        seconds: how long it took.
    """

    name: Name
    part: Part | None = None
    skipped: str = ""
    failed: str = ""
    seconds: float = 0.0


@click.command("check")
@click.option("--only", type=click.Choice(CHECKS), multiple=True, help="Only this check (may be repeated).")
@click.option("--skip", type=click.Choice(CHECKS), multiple=True, help="Not this check (may be repeated).")
@click.option("--no-database", is_flag=True, help="Models and migrations only, even where a database is named.")
@judging
def command(invocation: Invocation, only: tuple[Name, ...], skip: tuple[Name, ...], no_database: bool) -> int:
    """Run all checks that apply to this project: lint, drift and orm.

    With a live database, if one is named; else on models and migrations alone. A check that does not apply is skipped,
    and one that cannot answer does not keep the others from it; both say why.

    \b
    Examples:
      truing check
      truing check --no-database --output-format github
      truing check --database-url postgresql://localhost/app --output-format sarif -o truing.sarif
    """
    from truing.errors import UsageError

    chosen = [name for name in only or CHECKS if name not in skip]
    if not chosen:
        raise UsageError("--skip leaves no check of those of --only.", hint=f"The checks: {', '.join(CHECKS)}.")
    subject = _subject(invocation, database=not no_database)
    done = [_run(name, invocation, subject) for name in chosen]
    if all(each.skipped for each in done):
        # Nothing was looked at, which must not pass for agreement.
        reasons = "\n".join(f"{each.name}: {each.skipped}" for each in done)
        raise UsageError(f"There is nothing to check.\n{reasons}", hint="Name the project (-c), or go to its folder.")
    return invocation.answer(_document(invocation, done))


def _subject(invocation: Invocation, *, database: bool) -> Subject:
    from truing.cli.database import named_url, optional_project
    from truing.cli.models import has_models

    project = optional_project(invocation) is not None
    return Subject(project, has_models(invocation), database and named_url(invocation) is not None)


def _run(name: Name, invocation: Invocation, subject: Subject) -> Done:
    from truing.cli.app import explain

    reason = WHY_NOT[name](subject)
    if reason:
        return Done(name=name, skipped=reason)
    start = time.monotonic()
    try:
        part = LOOK[name](invocation, subject)
    except Exception as error:
        explained = explain(error)
        if explained is None or invocation.verbose:
            raise
        # A cell is one line; libpq goes on in a second one. Any other break may be part of a name.
        message, advice = (text.replace("\n\t", " ") for text in (explained.message, explained.advice or ""))
        invocation.say(f"No answer from {name}: {message}")
        why = f"{message} ({advice})" if advice else message
        return Done(name=name, failed=why, seconds=time.monotonic() - start)
    return Done(name=name, part=part, seconds=time.monotonic() - start)


def _lint(invocation: Invocation, subject: Subject) -> Part:
    from truing.cli.lint import look

    there = {"models": subject.models, "revisions": subject.project, "database": subject.database}
    return look(invocation, [place for place, is_there in there.items() if is_there])


def _drift(invocation: Invocation, subject: Subject) -> Part:
    from truing.cli.drift import Sides, look

    return look(
        invocation,
        Sides(
            models="" if subject.models else None,
            migrations=subject.project,
            live="" if subject.database else None,
        ),
    )


def _orm(invocation: Invocation, subject: Subject) -> Part:  # noqa: ARG001 - as the others
    from truing.cli.orm import look

    return look(invocation)


LOOK: Final[dict[Name, Callable[[Invocation, Subject], Part]]] = {"lint": _lint, "drift": _drift, "orm": _orm}
_NO_PROJECT: Final = "no Alembic project"
_NO_MODELS: Final = "no models (target_metadata in env.py, or metadata in [tool.truing])"
_NO_DATABASE: Final = "no database is named"
WHY_NOT: Final[dict[Name, Callable[[Subject], str]]] = {
    "lint": lambda subject: "" if subject.project or subject.models or subject.database else _NO_PROJECT,
    "drift": lambda subject: _two_of(
        {_NO_MODELS: subject.models, _NO_PROJECT: subject.project, _NO_DATABASE: subject.database}
    ),
    "orm": lambda subject: _NO_MODELS if not subject.models else "" if subject.database else _NO_DATABASE,
}
"""Why a check does not apply; empty where it does."""


def _two_of(sides: dict[str, bool]) -> str:
    missing = [reason for reason, is_there in sides.items() if not is_there]
    return ", ".join(missing) if len(missing) > 1 else ""


def _document(invocation: Invocation, done: list[Done]) -> Document:
    from truing.cli.part import review
    from truing.report.document import document

    reviewed = review(invocation, {each.name: each.part for each in done if each.part})
    done = [msgspec.structs.replace(each, part=reviewed.parts.get(each.name)) for each in done]
    return document(
        "check",
        findings=dict.fromkeys(finding for each in done if each.part for finding in each.part.findings),
        tables=[_summary(invocation, done, reviewed.known), *_tables(done), *reviewed.tables],
        facts={"seconds": round(sum(each.seconds for each in done), 2), **_facts(done)},
        fail_on=invocation.fail_on,
        unanswered=[each.name for each in done if each.failed],
        notes=reviewed.notes,
        next_steps=reviewed.next_steps,
    )


def _summary(invocation: Invocation, done: Iterable[Done], known: dict[str, int]) -> Table:
    from truing.finding import Severity
    from truing.report.document import CHECKS as TABLE
    from truing.report.document import Column, Table, fails

    severities = [severity.value for severity in reversed(Severity)]
    rows: list[dict[str, Cell]] = []
    for each in done:
        row: dict[str, Cell] = {"check": each.name, "why": each.skipped or each.failed}
        if each.part is not None:
            failing = fails(each.part.findings, invocation.fail_on)
            row |= {"status": "findings" if failing else "in true"}
            row |= {value: sum(one.severity.value == value for one in each.part.findings) for value in severities}
            row |= {"known": known[each.name]} if known else {}
        else:
            row["status"] = "skipped" if each.skipped else "no answer"
        if not each.skipped:
            row["seconds"] = round(each.seconds, 2)
        rows.append(row)
    keys = ("check", "status", *severities, *(["known"] if known else []), "seconds", "why")
    return Table(TABLE, "Checks", tuple(Column(key, key) for key in keys), tuple(rows))


def _tables(done: Iterable[Done]) -> Iterator[Table]:
    for each in done:
        for table in each.part.tables if each.part else ():
            yield msgspec.structs.replace(table, title=f"{table.title} ({each.name})")


def _facts(done: Iterable[Done]) -> dict[str, Cell]:
    return {
        f"{each.name}: {name}": value
        for each in done
        if each.part
        for name, value in each.part.facts.items()
        if name != "seconds"
    }
