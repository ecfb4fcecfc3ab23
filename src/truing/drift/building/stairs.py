"""Does every revision come down again, without a trace, and up to the same database?

In: a workshop and an Alembic project. Out: :class:`Stairs`, what each revision did on its way up, down and up again on
a scratch database, and the findings about it. Nothing is guessed from the revisions' text: before and after are two
looks at the catalog.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from truing.catalog.diff import Difference
from truing.drift.building.builds import roles_settled
from truing.drift.building.workshop import Workshop
from truing.drift.exchange import Reply, Request, Stair, ask
from truing.errors import RevisionError
from truing.finding import Evidence, Finding, Location, Severity
from truing.patterns import table_patterns
from truing.revisions.project import Project
from truing.server import ScratchDatabase

BASE: Final = "base"

_DROPPED: Final = frozenset({"table", "view", "sequence", "type", "schema", "extension", "function"})
"""Kinds whose name in a difference is what DROP takes."""

_FAILED: Final = {
    "upgrade": ("upgrade-fails", "The revision cannot be applied, so no later one was looked at"),
    "downgrade": ("downgrade-fails", "The revision cannot be taken back"),
    "second upgrade": ("second-upgrade-fails", "The revision cannot be applied again once it was taken back"),
}


class Stairs(msgspec.Struct, frozen=True, kw_only=True):
    """What came of climbing.

    Attributes:
        heads: the newest revisions.
        revisions: every revision, from the bottom.
        stairs: what came of each; without those above one that cannot be applied.
        floor: down to where all of them were taken back at the end; None where that was not tried.
        bottom: what was left then.
        fell: the revision that could not be taken back then; ``fall`` says why.
    """

    heads: tuple[str, ...] = ()
    revisions: tuple[str, ...] = ()
    stairs: tuple[Stair, ...] = ()
    floor: str | None = None
    bottom: tuple[Difference, ...] = ()
    fell: str = ""
    fall: str = ""


def climb(
    workshop: Workshop,
    project: Project,
    *,
    floor: str = "",
    unmanaged: tuple[str, ...] = (),
    start: ScratchDatabase | None = None,
    stamp: tuple[str, ...] = (),
) -> Stairs:
    """Apply every revision of a project, take it back and apply it again; then take all of them back.

    After a revision that fails it goes on in another database, above that revision.

    Args:
        workshop: where.
        project: the Alembic project.
        floor: the oldest revision that is not to be taken back; empty to go down to the base.
        unmanaged: patterns of other people's tables.
        start: what the revisions begin with, if not with an empty database; it is copied.
        stamp: what that database is at, though it does not say so.

    Raises:
        ConfigurationError: a pattern cannot be read.
        ProjectError: the project cannot be used.
        RevisionError: it has no such revision as `floor`, or its revisions cannot be run at all.
    """
    table_patterns(unmanaged, source="unmanaged")  # what cannot be read is said before anything is run
    settled: set[str] = set()
    stairs: dict[str, Stair] = {}
    request = Request(
        task="climb",
        project=msgspec.structs.replace(project, database_url=None),
        folder=project.root,
        floor=floor,
        unmanaged=unmanaged,
        stamp=stamp,
    )
    while True:
        reply = _climbed(workshop, request, start)
        last = reply.stairs[-1] if reply.stairs else Stair(revision="")
        trouble = reply.error or (last.error if last.failed == "upgrade" else "")
        if trouble and roles_settled(trouble, workshop, settled):
            continue
        if reply.error:
            raise RevisionError(f"the revisions cannot be run one by one: {reply.error}", hint=reply.hint)
        stairs |= {each.revision: each for each in reply.stairs}
        if last.failed in {"", "upgrade"}:
            return Stairs(
                heads=reply.heads,
                revisions=reply.revisions,
                stairs=tuple(stairs.values()),
                # What is below a revision that does not come down was never reached.
                floor=None if request.start or last.failed else floor or BASE,
                bottom=reply.bottom,
                fell=reply.fell,
                fall=reply.fall,
            )
        request = msgspec.structs.replace(request, start=last.revision)


def _climbed(workshop: Workshop, request: Request, start: ScratchDatabase | None) -> Reply:
    database = workshop.prepared((), start)
    try:
        return ask(msgspec.structs.replace(request, server=workshop.server(database)))
    finally:
        workshop.scratch.drop(database)


def single_head(stairs: Stairs) -> Iterator[Finding]:
    """Say which heads there are, if they are several."""
    if len(stairs.heads) > 1:
        yield Finding(
            rule="several-heads",
            severity=Severity.ERROR,
            subject=", ".join(stairs.heads),
            message=f"The project has {len(stairs.heads)} heads, so `alembic upgrade head` refuses to choose.",
            evidence=tuple(
                Evidence(each.revision, Path(each.file).name) for each in stairs.stairs if each.revision in stairs.heads
            ),
            remedy="alembic merge heads",
        )


def stairway(stairs: Stairs) -> Iterator[Finding]:
    """Say which revisions do not survive going up, down and up again."""
    for each in stairs.stairs:
        if each.failed:
            yield _failure(each)
        for difference in each.changed:
            what = f"{difference.kind} {difference.name}"
            yield Finding(
                rule="second-upgrade-differs",
                severity=Severity.ERROR,
                subject=what,
                message=f"Taken back and applied again, the revision builds another database: {_told(difference)}.",
                location=_place(each, "downgrade"),
                evidence=_evidence(difference, "after the first upgrade", "after the second"),
                revision=each.revision,
                remedy="Let downgrade() undo all that upgrade() does, and nothing else.",
            )


def traces(stairs: Stairs) -> Iterator[Finding]:
    """Say what downgrades leave: of each revision, then of all of them together."""
    said: set[tuple[str, str, str]] = set()
    for each in stairs.stairs:
        if each.failed == "downgrade":
            yield _failure(each)
        for difference in each.left:
            said.add((difference.kind, difference.name, difference.attribute))
            yield _trace(difference, each, f"the downgrade of {each.revision}")
    # After a trace a later failure says nothing new.
    if stairs.fell and not any(each.left or each.changed for each in stairs.stairs):
        fallen = next((each for each in stairs.stairs if each.revision == stairs.fell), Stair(revision=stairs.fell))
        yield _failure(msgspec.structs.replace(fallen, failed="downgrade", error=stairs.fall))
    for difference in stairs.bottom:
        # What one revision leaves is left by all of them together as well.
        if (difference.kind, difference.name, difference.attribute) not in said:
            yield _trace(difference, None, f"`alembic downgrade {stairs.floor}`")


def _failure(stair: Stair) -> Finding:
    rule, sentence = _FAILED[stair.failed]
    return Finding(
        rule=rule,
        severity=Severity.ERROR,
        subject=stair.revision,
        message=f"{sentence}: {stair.error}",
        location=stair.place or _place(stair, "downgrade" if stair.failed == "downgrade" else "upgrade"),
        revision=stair.revision,
    )


def _trace(difference: Difference, stair: Stair | None, when: str) -> Finding:
    what = f"{difference.kind} {difference.name}"
    if difference.attribute:
        message = f"{what} is not what it was before: {difference.attribute} differs after {when}."
    elif difference.before is None:
        message = f"{what} is still there after {when}."
    else:
        message = f"{what} was there before the upgrade and is gone after {when}."
    return Finding(
        rule="downgrade-leaves-trace",
        severity=Severity.ERROR,
        subject=what,
        message=message,
        location=_place(stair, "downgrade") if stair is not None else None,
        evidence=_evidence(difference, "before the upgrade", "after the downgrade"),
        revision=stair.revision if stair is not None else "",
        remedy=_remedy(difference),
    )


def _remedy(difference: Difference) -> str:
    if difference.attribute or difference.before is not None or difference.kind not in _DROPPED:
        return "Undo in downgrade() what upgrade() does to it."
    # op.execute() reads :name as a parameter.
    word = "ROUTINE" if difference.kind == "function" else difference.kind.upper()
    statement = f"DROP {word} {difference.name}".replace(":", r"\:")
    return f"op.execute({statement!r}) at the end of downgrade()"


def _told(difference: Difference) -> str:
    what = f"{difference.kind} {difference.name}"
    if difference.attribute:
        return f"{what} differs in {difference.attribute}"
    return f"{what} is missing" if difference.after is None else f"{what} is new"


def _evidence(difference: Difference, before: str, after: str) -> tuple[Evidence, ...]:
    absent = "(none)" if difference.attribute else "(not there)"
    return (
        Evidence(before, absent if difference.before is None else difference.before),
        Evidence(after, absent if difference.after is None else difference.after),
    )


def _place(stair: Stair, function: str) -> Location | None:
    """Find the line of a function in a revision's file."""
    if not stair.file:
        return None
    lines: Iterable[str] = ()
    with suppress(OSError, UnicodeDecodeError):
        lines = Path(stair.file).read_text(encoding="utf-8").splitlines()
    start = re.compile(rf"\s*(?:async )?def {function}\b")
    return Location(stair.file, next((number for number, line in enumerate(lines, 1) if start.match(line)), 1))
