"""``audit``: which rows would pending revisions refuse or alter? In one read-only transaction, at one moment.

A connection and recorded revisions go in, an :class:`~truing.audit.model.Audit` comes out. Whatever cannot be looked
at becomes a finding; only a connection that breaks is an error.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec
import psycopg
from psycopg.rows import tuple_row

from truing.audit import findings
from truing.audit.dependents import fates
from truing.audit.facts import current_schema, look_up
from truing.audit.measure import Pass
from truing.audit.model import Audit, AuditSettings, DependentFate, TableAudit, Unasked
from truing.audit.pending import TableThen
from truing.audit.probes.probe import Probe
from truing.audit.walk import Walk
from truing.catalog.blockers import Blocker, blockers
from truing.catalog.model import TableSize
from truing.catalog.read import read_sizes
from truing.errors import CatalogError, ProjectError
from truing.finding import Finding, Severity
from truing.names import QualifiedName
from truing.revisions.history import applied, pending
from truing.revisions.project import Project
from truing.revisions.record import RecordedRevision, record

_SETTINGS: Final = """
SELECT pg_catalog.set_config('application_name', 'truing', true),
  pg_catalog.set_config('statement_timeout', %(timeout)s, true),
  pg_catalog.set_config('lock_timeout', '5s', true),
  pg_catalog.set_config('row_security', 'off', true),
  pg_catalog.set_config('jit', 'off', true)
"""
# row_security off: rows that a policy hides make an error, never a smaller count.
# jit off: it would compile some hundred expressions, each of which is evaluated once for a row.


_DEFAULTS: Final = AuditSettings()


class Reading(msgspec.Struct, frozen=True):
    """Tells that a table is about to be read: its name, estimated rows and bytes, and the how manieth of how many."""

    table: QualifiedName
    rows: int | None
    size: int | None
    number: int
    total: int


def pending_revisions(
    project: Project, connection: psycopg.Connection[Any], target: str = "heads", *, default_schema: str | None = None
) -> tuple[RecordedRevision, ...]:
    """Record what an upgrade would run on this database.

    Args:
        project: the Alembic project.
        connection: to the database, idle.
        target: where the upgrade goes.
        default_schema: the schema of names that a revision does not qualify; None for the connection's own.

    Raises:
        ProjectError: the project cannot be loaded, or the database is at a revision that it does not have.
        CatalogError: Alembic's own table cannot be read.
        RevisionError: reading the revisions took too long.
    """
    try:
        options = project.context_options()
    except ProjectError:
        # env.py has no offline half; recording does without as well, and most projects keep Alembic's names.
        options = {}
    table, schema = options.get("version_table") or "alembic_version", options.get("version_table_schema")
    at = applied(connection, table, schema)
    todo = [revision.revision for revision in pending(project, at, target)]
    return record(project, todo, default_schema=default_schema or current_schema(connection)) if todo else ()


def audit(
    connection: psycopg.Connection[Any],
    revisions: Sequence[RecordedRevision],
    *,
    settings: AuditSettings = _DEFAULTS,
    on_table: Callable[[Reading], None] = lambda _: None,
) -> Audit:
    """Ask which rows pending revisions would refuse or alter.

    Args:
        connection: in autocommit mode and idle. A role that may SELECT is enough; nothing is written.
        revisions: what :func:`pending_revisions` returned.
        settings: limits.
        on_table: told before each table is read.

    Returns:
        The answer.

    Raises:
        CatalogError: the catalog cannot be read.
        psycopg.OperationalError: the connection broke.
    """
    with connection.transaction():
        cursor = connection.cursor(row_factory=tuple_row)
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        cursor.execute(_SETTINGS.encode(), {"timeout": str(int(settings.statement_timeout_s * 1000))})
        return _Auditor(connection, revisions, settings, on_table).audit()


class _Auditor:
    """One audit."""

    def __init__(
        self,
        connection: psycopg.Connection[Any],
        revisions: Sequence[RecordedRevision],
        settings: AuditSettings,
        on_table: Callable[[Reading], None],
    ) -> None:
        self._connection, self._revisions = connection, revisions
        self._settings, self._on_table = settings, on_table
        self._problems = [revision.problem for revision in revisions if revision.problem is not None]

    def audit(self) -> Audit:
        catalog = look_up(self._connection, self._settings.default_schema)
        walk = Walk(catalog)
        walk.follow(self._revisions)
        sizes = self._sizes()
        tables = self._tables(walk, sizes)
        there = {table.here.table.name for table in walk.schema.known() if table.found is not None}
        standing = self._blockers([table.table for table in tables if table.table in there])
        said = [*self._problems, *findings.of_blockers(standing)]
        said += [finding for table in tables for finding in findings.of_table(table)]
        return Audit(
            database=str(self._connection.info.dbname),
            server=str(catalog.version),
            revisions=tuple(revision.revision for revision in self._revisions),
            tables=tables,
            blockers=standing,
            findings=tuple(said),
        )

    def _tables(self, walk: Walk, sizes: Mapping[QualifiedName, TableSize]) -> tuple[TableAudit, ...]:
        then = {table.here.table.name: table for table in walk.schema.known() if table.found is not None}
        unasked: defaultdict[QualifiedName, list[Unasked]] = defaultdict(list)
        for each in walk.unasked:
            unasked[each.table].append(each)
        hanging = self._dependents(walk)
        asked = [name for name, table in then.items() if any(isinstance(move, Probe) for move in table.moves)]
        names = sorted({*asked, *unasked, *hanging})
        tables = []
        for name in names:
            audited = TableAudit(table=name, unasked=tuple(unasked[name]), dependents=tuple(hanging.get(name, ())))
            size = sizes.get(name)
            if size is not None:
                audited = msgspec.structs.replace(audited, rows=size.rows, size=size.total_bytes)
            if name in asked:
                self._on_table(Reading(name, audited.rows, audited.size, asked.index(name) + 1, len(asked)))
                audited = self._measured(audited, then[name])
            tables.append(audited)
        return tuple(tables)

    def _measured(self, audited: TableAudit, table: TableThen) -> TableAudit:
        started = time.monotonic()
        result = Pass(self._connection, table.here.base, table.moves, values=self._settings.values).run()
        return msgspec.structs.replace(
            audited,
            rows=audited.rows if result.rows is None else result.rows,
            counted=result.rows is not None,
            classes=result.classes,
            unasked=(*audited.unasked, *result.unasked),
            seconds=round(time.monotonic() - started, 3),
        )

    def _dependents(self, walk: Walk) -> dict[QualifiedName, list[DependentFate]]:
        found: defaultdict[QualifiedName, list[DependentFate]] = defaultdict(list)
        for conversion in walk.conversions:
            try:
                found[conversion.table] += fates(self._connection, conversion)
            except CatalogError as error:
                self._problems.append(_cannot(f"What depends on {conversion.table} is not known", error))
        return found

    def _sizes(self) -> Mapping[QualifiedName, TableSize]:
        try:
            return read_sizes(self._connection)
        except CatalogError as error:
            self._problems.append(_cannot("The sizes of the tables are not known", error))
            return {}

    def _blockers(self, tables: list[QualifiedName]) -> tuple[Blocker, ...]:
        try:
            return blockers(self._connection, tables)
        except CatalogError as error:
            self._problems.append(_cannot("Who would keep locks waiting is not known", error))
            return ()


def _cannot(what: str, error: CatalogError) -> Finding:
    return Finding(
        rule="unanswered-question",
        severity=Severity.WARNING,
        subject=what,
        message=error.message,
        remedy=error.advice,
    )
