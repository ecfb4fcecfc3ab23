"""What does each revision do to a database on its way up, down and up again? For use in a child process.

In: a project and a scratch database, which is empty or what the revisions begin with. Out: one
:class:`~truing.drift.exchange.Stair` for each revision, with what differs, as the catalog says it. It ends at the first
revision that fails, since nobody knows what a database is after that; whoever asked goes on in another one.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from typing import Any, Literal

import msgspec
import psycopg
from alembic import command
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext, MigrationStep
from alembic.script import Script, ScriptDirectory
from alembic.util import to_tuple
from psycopg.conninfo import make_conninfo

from truing.catalog.diff import compare
from truing.catalog.model import Snapshot
from truing.catalog.read import read_snapshot
from truing.drift.comparing.scope import managed
from truing.drift.exchange import Reply, Request, Stair, configured
from truing.errors import ProjectError
from truing.finding import Location
from truing.names import QualifiedName
from truing.patterns import table_patterns
from truing.revisions.failure import Failure, failure
from truing.revisions.project import Project

Way = Literal["upgrade", "downgrade", "second upgrade"]


def climb(request: Request) -> Reply:
    """Apply every revision, take it back, and apply it again; then take all of them back.

    Raises:
        ProjectError: the project cannot be used, or has no such revision as ``start`` or ``floor``.
    """
    project, config = configured(request)
    with project.at_root():
        script = project.script(config)
        return _Climb(request, project, config, script).reply()


def needed(script: ScriptDirectory, heads: Iterable[str]) -> frozenset[str]:
    """Name revisions and all that they follow or depend on."""
    found: set[str] = set()
    waiting = list(heads)
    while waiting:
        revision = script.get_revision(waiting.pop())
        if revision.revision not in found:
            found.add(revision.revision)
            waiting += [*to_tuple(revision.down_revision, ()), *to_tuple(revision.dependencies, ())]
    return frozenset(found)


class FailedError(Exception):
    """A revision fails."""

    def __init__(self, revision: str, way: Way, why: Failure) -> None:
        self.revision, self.way, self.why = revision, way, why
        super().__init__(f"revision {revision}: {why.sentence}")

    @property
    def place(self) -> Location | None:
        """The line that it comes from."""
        return Location(self.why.file, self.why.line) if self.why.file else None


class _Climb:
    """One database, and the revisions that are run on it one at a time."""

    def __init__(self, request: Request, project: Project, config: Config, script: ScriptDirectory) -> None:
        self._request, self._config, self._script = request, config, script
        self._heads = project.heads(script)
        # From the bottom, each after all that it needs, whatever branch they are on.
        meant = needed(script, self._heads)
        self._order: list[Script] = [each for each in script.walk_revisions() if each.revision in meant][::-1]
        self._version_table, self._version_schema = "alembic_version", None
        self._at: tuple[str, ...] = ()

    def reply(self) -> Reply:
        if self._request.stamp:
            command.stamp(self._config, list(self._request.stamp))
        # Before the first look, so that what env.py itself makes is nobody's trace.
        self._run([])
        below = {each.revision for each in self._script.iterate_revisions(self._at, "base")} if self._at else set()
        self._order = [each for each in self._order if each.revision not in below]
        start, floor = (self._position(each) for each in (self._request.start, self._request.floor))
        applied = self._order[:start]
        for each in applied:
            self._one(each, "upgrade")
        stairs: list[Stair] = []
        before = ground = self._look()
        for number, each in enumerate(self._order[start:], start + 1):
            stair, before = self._stair(each, before, returns=number > floor)
            stairs.append(stair)
            if stair.failed:
                break
            if number == floor:
                ground = before
        reply = Reply(
            heads=self._heads,
            revisions=tuple(each.revision for each in self._order),
            stairs=tuple(stairs),
        )
        if stairs and stairs[-1].failed:
            return reply
        try:
            return msgspec.structs.replace(reply, bottom=self._descended(max(start, floor), ground))
        except FailedError as error:
            return msgspec.structs.replace(reply, fell=error.revision, fall=error.why.sentence)

    def _position(self, revision: str) -> int:
        """Count the revisions up to one, itself included."""
        if not revision:
            return 0
        found = self._script.get_revision(revision)
        if found is None:
            raise ProjectError(f"there is no revision {revision}", hint="`alembic history` lists them.")
        # What the database is at from the beginning is run neither way.
        return self._order.index(found) + 1 if found in self._order else 0

    def _stair(self, script: Script, before: Snapshot, *, returns: bool) -> tuple[Stair, Snapshot]:
        """Climb one stair; `returns` says whether it is to be taken back."""
        stair = Stair(revision=script.revision, file=script.path)
        try:
            self._one(script, "upgrade")
            first = self._look()
            if not returns:
                return stair, first
            self._one(script, "downgrade")
            after = self._look()
            stair = msgspec.structs.replace(stair, left=compare(before, after))
            self._one(script, "second upgrade")
            second = self._look()
        except FailedError as error:
            failed = msgspec.structs.replace(stair, failed=error.way, error=error.why.message, place=error.place)
            return failed, before
        return msgspec.structs.replace(stair, changed=compare(first, second)), second

    def _descended(self, floor: int, ground: Snapshot) -> tuple[Any, ...]:
        """Take back everything above the floor, and say what is not as it was there."""
        for each in reversed(self._order[floor:]):
            self._one(each, "downgrade")
        return compare(ground, self._look())

    def _one(self, script: Script, way: Way) -> None:
        step = MigrationStep.downgrade_from_script if way == "downgrade" else MigrationStep.upgrade_from_script
        try:
            self._run([step(self._script.revision_map, script)], script.revision)
        except (Exception, SystemExit) as error:  # other people's code raises anything
            raise FailedError(script.revision, way, failure(error)) from error

    def _run(self, steps: list[Any], destination: str = "") -> None:
        """Run ``env.py`` with these steps instead of the ones that Alembic would choose."""

        def chosen(heads: tuple[str, ...], context: MigrationContext) -> list[Any]:
            self._at = tuple(heads)
            self._version_table = context.opts.get("version_table") or "alembic_version"
            self._version_schema = context.opts.get("version_table_schema")
            return steps

        with EnvironmentContext(
            self._config, self._script, fn=chosen, as_sql=False, destination_rev=destination or None
        ):
            self._script.run_env()

    def _look(self) -> Snapshot:
        server = self._request.server
        if server is None:
            raise ProjectError("revisions need a scratch database to be run on")
        address = make_conninfo(
            host=server.host,
            port=server.port,
            user=server.user,
            dbname=server.dbname,
            password=server.password or None,
        )
        with closing(psycopg.connect(address, autocommit=True)) as connection:
            path = connection.execute("SELECT pg_catalog.current_schemas(false)::text[]").fetchall()[0][0]
            snapshot = read_snapshot(connection)
        schemas = [self._version_schema] if self._version_schema else [each.name for each in snapshot.schemas]
        ours = [QualifiedName(schema, self._version_table) for schema in schemas]
        return managed(snapshot, table_patterns(self._request.unmanaged, path, source="unmanaged"), ours)[0]
