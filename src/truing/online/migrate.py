"""Run a project's revisions, or say what running them would do.

In: an Alembic project, the database, a target. Out: the database at the target, with the runner's events told on the
way; or, for a preview, the plan of every operation with its locks. Alembic and the person's ``env.py`` do the running,
exactly as ``alembic upgrade`` would.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Literal

import msgspec
import psycopg

from truing.catalog.read import read_table
from truing.changes import AlterColumnType, AnyChange, CreateTable, DropColumn, RestoreColumnType
from truing.errors import OnlineError, TruingError, UnsupportedChangeError
from truing.finding import Location
from truing.names import QualifiedName, derived, literal
from truing.online import journal
from truing.online.database import check_target, naming
from truing.online.events import Observer, current_observer
from truing.online.operations.convert import identity
from truing.online.operations.convert_back import refuse_lost
from truing.online.operations.planners import planner_of
from truing.online.run import stop_requested
from truing.online.settings import OnlineSettings, current_settings
from truing.online.statement_locks import Taken, locks_of
from truing.plan import Plan
from truing.revisions.history import applied
from truing.revisions.project import Project
from truing.revisions.record import RecordedRevision, RecordedStatement, record
from truing.revisions.urls import conninfo, sqlalchemy_url

Command = Literal["upgrade", "downgrade"]


class Preview(msgspec.Struct, frozen=True):
    """What one recorded statement would do now.

    Attributes:
        revision: the revision it belongs to.
        location: its line.
        title: the operation or the statement.
        state: ``planned`` (see ``plan``), ``done`` (the catalog shows it so), ``later`` (it builds on what an earlier
            one makes, see ``reason``), or ``plain`` (an ordinary statement, run as it is).
        plan: its steps.
        reason: why it cannot be planned yet.
        sql: the statement of ``plain``.
        locks: what ``plain`` locks; None where that is not known.
    """

    revision: str
    location: Location
    title: str
    state: Literal["planned", "done", "later", "plain"]
    plan: Plan | None = None
    reason: str = ""
    sql: str = ""
    locks: tuple[Taken, ...] | None = ()


def preview(recorded: tuple[RecordedRevision, ...], connection: psycopg.Connection[Any]) -> Iterator[Preview]:
    """Plan what revisions would do to the database as it is now; nothing is changed.

    Args:
        recorded: the pending revisions, in order.
        connection: in autocommit mode, as the role that would run them (planning tries things in transactions that it
            rolls back, on empty temporary tables).

    Yields:
        One preview for each statement.
    """
    connection.execute("SELECT set_config('search_path', '', false), set_config('TimeZone', 'UTC', false)")
    new: frozenset[QualifiedName] = frozenset()
    for revision in recorded:
        for statement in revision.statements:
            yield _preview(revision, statement, connection, new)
            new |= {change.table for change in statement.changes if isinstance(change, CreateTable)}


def _preview(
    revision: RecordedRevision,
    statement: RecordedStatement,
    connection: psycopg.Connection[Any],
    new: frozenset[QualifiedName],
) -> Preview:
    title = statement.title or " ".join(statement.sql.split())
    change = statement.changes[0] if statement.changes else None
    if not statement.online or change is None:
        locks = locks_of(statement.changes, connection, new)
        return Preview(revision.revision, statement.location, title, "plain", sql=statement.sql, locks=locks)
    planner = planner_of(statement.operation, change)
    if planner is None:
        return Preview(revision.revision, statement.location, title, "plain", sql=title, locks=None)
    try:
        planned = planner(change, connection)
    except UnsupportedChangeError as error:
        return Preview(revision.revision, statement.location, title, "later", reason=error.message)
    if planned is None:
        return Preview(revision.revision, statement.location, title, "done")
    return Preview(revision.revision, statement.location, title, "planned", plan=planned[0])


def run(
    command: Command,
    project: Project,
    target: str,
    *,
    settings: OnlineSettings | None = None,
    observer: Observer | None = None,
) -> None:
    """Run ``alembic upgrade`` or ``alembic downgrade``, with progress and a clean stop on ctrl-C.

    Args:
        command: which of the two.
        project: the Alembic project, which knows the database.
        target: as Alembic takes it.
        settings: the runner's limits.
        observer: told of what happens.

    Raises:
        ProjectError: ``env.py`` goes to another database than the one that was named.
        OnlineError: a downgrade would have to give back originals that are gone; nothing was run.
        TruingError: it stopped; running it again goes on from there.
    """
    from alembic import command as alembic_command  # noqa: PLC0415 - loading it is slow

    url = project.url()
    config = project.configuration(sqlalchemy_url(url))
    observed = current_observer.set(observer) if observer else None
    chosen = current_settings.set(settings) if settings else None
    try:
        with project.at_root(), naming(url), _stopping_on_interrupt():
            check_target(config, url)
            if command == "downgrade":
                _refuse_lost(project, target)
            (alembic_command.upgrade if command == "upgrade" else alembic_command.downgrade)(config, target)
    finally:
        if observed:
            current_observer.reset(observed)
        if chosen:
            current_settings.reset(chosen)


def _refuse_lost(project: Project, target: str) -> None:
    """Refuse a downgrade that would come to a way back without originals when half of it is done."""
    options = project.context_options()
    with connect(project) as connection:
        if not journal.exists(connection):
            return
        at = applied(connection, options.get("version_table") or "alembic_version", options.get("version_table_schema"))
        row = connection.execute("SELECT current_schema()").fetchone()
        schema = (row and row[0]) or "public"
        recorded = record(project, direction="downgrade", lower=target, applied=at, default_schema=schema) if at else ()
        restored = set()
        for change in (each for one in recorded for statement in one.statements for each in statement.changes):
            refuse_lost(change, (change.table, getattr(change, "column", "")) in restored, connection)
            if isinstance(change, RestoreColumnType):
                restored.add((change.table, change.column))


@contextmanager
def _stopping_on_interrupt() -> Iterator[None]:
    """Let the first ctrl-C stop the run between two steps, and the second one at once."""

    def stop(number: int, frame: FrameType | None) -> None:
        if stop_requested.is_set():
            signal.default_int_handler(number, frame)
        stop_requested.set()

    try:
        before = signal.signal(signal.SIGINT, stop)
    except ValueError:  # not the main thread: whoever is, decides
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        stop_requested.clear()


class Check(msgspec.Struct, frozen=True):
    """One thing that was looked at after a run, and what was seen."""

    what: str
    good: bool
    seen: str = ""


def verify(
    recorded: tuple[RecordedRevision, ...],
    connection: psycopg.Connection[Any],
    *,
    version_table: str = "alembic_version",
    version_schema: str | None = None,
) -> tuple[Check, ...]:
    """Look whether the revisions that were run have brought about what they ask for.

    The catalog is asked again by the very planners that made the plans: where they find something left to do, it is
    not done. Then for constraints that are not valid and indexes that are not usable in the tables concerned.

    Args:
        recorded: the revisions, in order.
        connection: in autocommit mode.
        version_table: Alembic's table.
        version_schema: its schema.
    """
    # Alembic's table is found by the session's own search path, which the planners' empty one would hide.
    stamped = set(applied(connection, version_table, version_schema))
    connection.execute("SELECT set_config('search_path', '', false), set_config('TimeZone', 'UTC', false)")
    checks = []
    heads = {revision.revision for revision in recorded} - {
        parent for revision in recorded for parent in revision.down_revisions
    }
    if recorded:
        checks.append(Check("the database is stamped with the target", heads <= stamped, ", ".join(sorted(stamped))))
    tables: set[QualifiedName] = set()
    for revision in recorded:
        for statement in revision.statements:
            tables.update(change.table for change in statement.changes)
            if statement.online and not _superseded(statement, revision, recorded):
                checks.append(_left(statement, connection))
    checks += [_valid(table, connection) for table in sorted(tables) if read_table(connection, table) is not None]
    return tuple(checks)


def _superseded(
    statement: RecordedStatement, revision: RecordedRevision, recorded: tuple[RecordedRevision, ...]
) -> bool:
    """Tell whether a later statement takes back what this one does, or takes its name for something else.

    An index that the next revision drops, a column that does, a key that another one of its name replaces.
    """
    change = statement.changes[0] if statement.changes else None
    name, column = getattr(change, "name", None), getattr(change, "column", None)

    def undoes(other: RecordedStatement, later: AnyChange) -> bool:
        if change is None or isinstance(later, DropColumn):
            return isinstance(later, DropColumn) and (later.table, later.column) == (
                getattr(change, "table", ""),
                column,
            )
        same = name is not None and getattr(later, "name", None) == name
        again = type(later) is type(change) and later.table == change.table
        return same and ((other.operation or "").startswith("drop_") or again)

    after = [other for each in recorded[recorded.index(revision) :] for other in each.statements]
    after = after[after.index(statement) + 1 :]
    return any(undoes(other, later) for other in after for later in other.changes)


def _left(statement: RecordedStatement, connection: psycopg.Connection[Any]) -> Check:
    planner = planner_of(statement.operation, statement.changes[0])
    if planner is None:
        return Check(statement.title, good=True)
    try:
        planned = planner(statement.changes[0], connection)
    except TruingError as error:
        return Check(statement.title, good=False, seen=error.message)
    return Check(statement.title, planned is None, "" if planned is None else "the catalog does not show it as done")


def _valid(table: QualifiedName, connection: psycopg.Connection[Any]) -> Check:
    row = connection.execute(
        "SELECT string_agg(x.name, ', ' ORDER BY x.name) FROM (SELECT conname AS name FROM pg_constraint"
        f" WHERE conrelid = {literal(table.sql)}::regclass AND NOT convalidated UNION ALL"
        " SELECT indexrelid::regclass::text FROM pg_index"
        f" WHERE indrelid = {literal(table.sql)}::regclass AND NOT (indisvalid AND indisready AND indislive)) x"
    ).fetchone()
    bad = row[0] if row else None
    return Check(f"every constraint and index of {table} is valid", bad is None, bad or "")


def kept(
    recorded: tuple[RecordedRevision, ...], connection: psycopg.Connection[Any]
) -> tuple[tuple[QualifiedName, str], ...]:
    """Name the columns whose old values are kept beside them since these revisions, until their contract."""
    found = []
    for change in (each for one in recorded for statement in one.statements for each in statement.changes):
        if isinstance(change, AlterColumnType):
            table = read_table(connection, change.table)
            old = derived(identity(change.table, change.column), "old")
            if table is not None and table.column(old) is not None:
                found.append((change.table, change.column))
    return tuple(found)


def connect(project: Project, **options: str) -> psycopg.Connection[Any]:
    """Connect to a project's database, in autocommit mode.

    Raises:
        OnlineError: it cannot be reached.
    """
    try:
        return psycopg.connect(conninfo(project.url(), application_name="truing", **options), autocommit=True)
    except psycopg.OperationalError as error:
        raise OnlineError(f"the database cannot be reached: {error}") from error
