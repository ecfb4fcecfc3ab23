"""The child process of :mod:`truing.revisions.record`: a request on standard input, a reply on standard output.

Run as ``python -P -m truing.revisions.recorder`` in the project's folder. What the project's own programs print goes
to standard error.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable
from typing import Any

import msgspec
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import Script, ScriptDirectory
from alembic.util import CommandError

from truing.errors import TruingError
from truing.finding import Finding, Location, Severity
from truing.revisions.answering import answer_channel
from truing.revisions.capture import Capture, patch_alembic
from truing.revisions.environment import default_url, no_connections, run_environment
from truing.revisions.failure import failure, one_line
from truing.revisions.record import UNRECORDABLE, RecordedRevision, Reply, Request, Revision


def main() -> None:
    """Answer one request."""
    request = msgspec.json.decode(sys.stdin.buffer.read(), type=Request)
    answer = answer_channel()
    try:
        reply = _reply(request)
    except TruingError as error:
        reply = Reply(error=error.message, hint=error.advice)
    except CommandError as error:
        reply = Reply(error=str(error), hint=f"The project is {request.project.name}.")
    except (Exception, SystemExit) as error:  # noqa: BLE001 - other people's code raises anything
        reply = Reply(error=failure(error).sentence, hint=f"The project is {request.project.name}.")
    with answer:
        answer.write(msgspec.json.encode(reply))


def _reply(request: Request) -> Reply:
    script = request.project.script()
    match request.task:
        case "all":
            return Reply(revisions=tuple(map(_revision, reversed(list(script.walk_revisions())))))
        case "pending":
            return Reply(revisions=tuple(map(_revision, _pending(script, request))))
        case "record":
            patch_alembic()
            return Reply(recorded=_record(script, request))


def _revision(script: Script) -> Revision:
    return Revision(**_facts(script))


def _facts(script: Script) -> dict[str, Any]:
    down = script._all_down_revisions  # noqa: SLF001 - the public attribute leaves out depends_on
    return {
        "revision": script.revision,
        "down_revisions": tuple(down),
        "branch_labels": tuple(sorted(script.branch_labels or ())),
        "message": script.doc or "",
        "path": script.path,
    }


def _pending(script: ScriptDirectory, request: Request) -> Iterable[Script]:
    for applied in request.applied:
        if applied not in script.revision_map._revision_map:  # noqa: SLF001 - get_revision() also takes abbreviations
            raise TruingError(
                f"the database is at revision {applied!r}, which {request.project.name} does not have",
                hint="Is this another project's database, or was the revision's file deleted or renamed?",
            )
    steps = script._upgrade_revs(request.upper, request.applied)  # type: ignore[arg-type]  # noqa: SLF001 - what alembic.command.upgrade() asks
    return [step.revision for step in steps]


def _chosen(script: ScriptDirectory, request: Request) -> list[Script]:
    if request.revisions is not None:
        found = []
        for name in request.revisions:
            one = script.get_revision(name)
            if one is None:
                raise CommandError(f"there is no revision {name!r}")
            found.append(one)
        return found
    if request.direction == "downgrade" and request.applied:
        # What alembic.command.downgrade() asks.
        return [step.revision for step in script._downgrade_revs(request.lower, request.applied)]  # type: ignore[arg-type]  # noqa: SLF001
    newest_first = list(script.walk_revisions(request.lower, request.upper))
    lower = {one.revision for one in script.get_revisions(request.lower) if one} if request.lower != "base" else set()
    chosen = [one for one in newest_first if one.revision not in lower]
    return chosen if request.direction == "downgrade" else chosen[::-1]


def _record(script: ScriptDirectory, request: Request) -> tuple[RecordedRevision, ...]:
    chosen = _chosen(script, request)
    recorded: list[RecordedRevision] = []

    def work(context: MigrationContext, arguments: dict[str, Any]) -> None:
        # An env.py for several databases makes several contexts; the revisions are read once.
        if not recorded and context.dialect.name == "postgresql":
            recorded.extend(_one(one, context, arguments, request) for one in chosen)

    try:
        run_environment(request.project, work, script=script)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - other people's code raises anything
        # A revision never raises here, so it is env.py that cannot be run offline.
        print(f"env.py: {failure(error).sentence}", file=sys.stderr)  # noqa: T201 - the child's log
    if not recorded and chosen:
        _without_environment(script, request, work)
    return tuple(recorded)


def _without_environment(script: ScriptDirectory, request: Request, work: Any) -> None:
    """Read the revisions in a context of our own, where env.py makes none."""
    config = request.project.configuration(default_url(request.project))
    with no_connections(), EnvironmentContext(config, script, as_sql=True, output_buffer=io.StringIO()) as environment:
        environment.configure(dialect_name="postgresql", version_table_pk=True)
        work(environment.get_context(), {})


def _one(script: Script, context: MigrationContext, arguments: dict[str, Any], request: Request) -> RecordedRevision:
    capture = Capture(script.path, request.default_schema)
    problem = None
    try:
        with capture.installed(context):
            getattr(script.module, request.direction)(**arguments)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - other people's code raises anything
        problem = _problem(script, error)
    return RecordedRevision(**_facts(script), statements=tuple(capture.statements), problem=problem)


def _problem(script: Script, error: BaseException) -> Finding:
    where = failure(error, script.path)
    return Finding(
        rule=UNRECORDABLE,
        severity=Severity.WARNING,
        subject=script.revision,
        message=f"this revision cannot be read without a database: {one_line(error)}",
        location=Location(script.path, where.line or 1),
        remedy=(
            "What it runs after this line is not known. Say it with op.* operations or as one SQL statement"
            " (INSERT ... SELECT, UPDATE ... FROM), or skip the query when context.is_offline_mode() is true."
        ),
        revision=script.revision,
    )


if __name__ == "__main__":
    main()
