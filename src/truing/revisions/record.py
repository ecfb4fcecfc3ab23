"""What would these revisions run, statement by statement, and which of their lines causes what? No database is needed.

A project and a range go in; a :class:`RecordedRevision` comes out for each, in the order of the run. Reading happens in
a child process (:mod:`truing.revisions.recorder`): importing revisions changes people's MetaData, and their programs
may print, exit or hang.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from typing import Final, Literal, TypeAlias

import msgspec

from truing.changes import AnyChange
from truing.errors import ProjectError, RevisionError
from truing.finding import Finding, Location
from truing.redaction import redact
from truing.revisions.project import Project

Direction: TypeAlias = Literal["upgrade", "downgrade"]

UNRECORDABLE: Final = "unrecordable-revision"
"""The rule of findings about revisions that cannot be read without a database."""


class Revision(msgspec.Struct, frozen=True, kw_only=True):
    """A revision of the project.

    Attributes:
        revision: its identifier.
        down_revisions: the revisions it follows, and those it depends on.
        branch_labels: its branch labels.
        message: the first line of its docstring.
        path: its file.
    """

    revision: str
    down_revisions: tuple[str, ...] = ()
    branch_labels: tuple[str, ...] = ()
    message: str = ""
    path: str = ""


class RecordedStatement(msgspec.Struct, frozen=True, kw_only=True):
    """One statement that a revision would run.

    Attributes:
        sql: the statement; empty for an online operation, which decides by the live catalog what to run.
        location: the line of the revision that causes it.
        changes: what it changes.
        autocommit: whether it runs outside the transaction of the migration.
        online: whether it is one of truing's online operations.
        operation: the operation that caused it, for example ``create_foreign_key``; None for SQL that is executed.
        title: what an online operation calls itself.
        problem: why the statement could not be read as SQL; its change is then an OtherStatement without a tag.
    """

    sql: str
    location: Location
    changes: tuple[AnyChange, ...]
    autocommit: bool = False
    online: bool = False
    operation: str | None = None
    title: str = ""
    problem: str = ""


class RecordedRevision(Revision, frozen=True, kw_only=True):
    """A revision with what it would run.

    Attributes:
        statements: its statements in order; those before the problem, if there is one.
        problem: why it could not be read to its end.
    """

    statements: tuple[RecordedStatement, ...] = ()
    problem: Finding | None = None


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What the child process is asked; fields as in :func:`record` and :func:`truing.revisions.history.pending`.

    A record of a downgrade from where a database is has ``applied``, and its target in ``lower``.
    """

    project: Project
    task: Literal["record", "pending", "all"]
    revisions: tuple[str, ...] | None = None
    lower: str = "base"
    upper: str = "heads"
    direction: Direction = "upgrade"
    default_schema: str = "public"
    applied: tuple[str, ...] = ()


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """What the child process answers: revisions, or why there are none."""

    revisions: tuple[Revision, ...] = ()
    recorded: tuple[RecordedRevision, ...] = ()
    error: str = ""
    hint: str = ""


def record(
    project: Project,
    revisions: Iterable[str] | None = None,
    *,
    lower: str = "base",
    upper: str = "heads",
    direction: Direction = "upgrade",
    default_schema: str = "public",
    applied: tuple[str, ...] = (),
    timeout: float = 120.0,
) -> tuple[RecordedRevision, ...]:
    """Record what revisions would run.

    Args:
        project: the Alembic project.
        revisions: the identifiers of those to record; by default the range from ``lower`` (left out) to ``upper``.
        lower: where the range begins: a revision or ``base``.
        upper: where it ends: a revision, ``head``, ``heads`` or ``label@head``.
        direction: which of their two functions is read.
        default_schema: the schema of names that a statement does not qualify.
        applied: for a downgrade, where the database is: the range is then what ``alembic downgrade`` would run to get
            to ``lower``, which may be relative (``-1``).
        timeout: seconds that all of it may take.

    Returns:
        The revisions in the order they would run (downgrades: the newest first). One that cannot be read without a
        database has a ``problem``.

    Raises:
        ProjectError: the project or one of its revision files cannot be loaded.
        RevisionError: there is no such revision, or reading took too long.
    """
    request = Request(
        project=project,
        task="record",
        revisions=None if revisions is None else tuple(revisions),
        lower=lower,
        upper=upper,
        direction=direction,
        default_schema=default_schema,
        applied=applied,
    )
    return ask(request, timeout).recorded


def ask(request: Request, timeout: float = 120.0) -> Reply:
    """Put a request to a child process.

    Raises:
        ProjectError: the child says that the project cannot be used.
        RevisionError: the child took too long or ended without an answer.
    """
    # -P: the project's own folder `alembic/` must not be imported instead of Alembic.
    command = [sys.executable, "-P", "-m", "truing.revisions.recorder"]
    try:
        child = subprocess.run(
            command,
            input=msgspec.json.encode(request),
            capture_output=True,
            cwd=request.project.root,
            timeout=timeout,
            check=False,
            env=os.environ | {"PYTHONIOENCODING": "utf-8"},
        )
    except subprocess.TimeoutExpired:
        raise RevisionError(
            f"reading the revisions of {request.project.name} took more than {timeout:g} seconds",
            hint="Does a revision or env.py wait for something (a network, a prompt, a lock) when it is imported?",
        ) from None
    try:
        reply = msgspec.json.decode(child.stdout, type=Reply)
    except msgspec.DecodeError:
        raise RevisionError(
            f"the process that reads the revisions of {request.project.name} ended with status {child.returncode}",
            hint=redact(child.stderr.decode(errors="replace").strip()[-800:]),
        ) from None
    if reply.error:
        raise ProjectError(reply.error, hint=reply.hint)
    return reply
