"""May the revisions be run in two parts, so that the state between is kept? What runs them asks, in the child process.

In: a run of ``alembic upgrade`` towards the newest revision. Out: where it took long to come to the revision before it,
a copy of the database as it is there. The newest one runs afterwards, in a transaction of its own, as it will on a
database that is in use. Whoever begins with such a copy asks here as well whether all that is left comes after it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from os.path import realpath
from typing import TYPE_CHECKING, Any, Final

import psycopg

from truing.drift.exchange import Halfway, Keep, Onward, Server
from truing.names import ident

if TYPE_CHECKING:
    from alembic.script import Script, ScriptDirectory

_PATIENCE_S: Final = 1.0
"""For sessions that were closed a moment ago."""

# What a revision may leave behind for the next one in the same session. A time limit decides nothing about the outcome,
# and pg_settings does not list the role.
_SESSION: Final = """
    SELECT 'role', current_user::text
    UNION ALL SELECT 'temporary', pg_catalog.count(*)::text FROM pg_catalog.pg_class
        WHERE relnamespace = pg_catalog.pg_my_temp_schema()
    UNION ALL SELECT name, setting FROM pg_catalog.pg_settings WHERE source = 'session'
        AND pg_catalog.strpos(name, 'timeout') = 0 AND name NOT IN ('client_min_messages', 'application_name')
    ORDER BY 1
"""

# What belongs to a database and is not in it, so that no copy has it.
_OUTSIDE: Final = """
    SELECT 1 FROM pg_catalog.pg_database AS d WHERE d.datname = %(name)s
        AND (d.datacl IS NOT NULL OR d.datconnlimit <> -1
            OR d.datdba <> (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = current_user)
            OR EXISTS (SELECT FROM pg_catalog.pg_db_role_setting WHERE setdatabase = d.oid)
            OR EXISTS (SELECT FROM pg_catalog.pg_subscription WHERE subdbid = d.oid)
            OR EXISTS (SELECT FROM pg_catalog.pg_replication_slots WHERE database = d.datname)
            OR EXISTS (SELECT FROM pg_catalog.pg_prepared_xacts WHERE database = d.datname)
            OR EXISTS (SELECT FROM pg_catalog.pg_shdescription
                WHERE classoid = 'pg_catalog.pg_database'::regclass AND objoid = d.oid)
            OR EXISTS (SELECT FROM pg_catalog.pg_shseclabel
                WHERE classoid = 'pg_catalog.pg_database'::regclass AND objoid = d.oid))
"""

# What all databases of a server share: roles, what these are members of, their settings, what they own or may do.
_SHARED: Final = """
    SELECT pg_catalog.md5(coalesce(pg_catalog.string_agg(each, '|' ORDER BY each), '')) FROM (
        SELECT r::text FROM pg_catalog.pg_authid AS r
        UNION ALL SELECT m::text FROM pg_catalog.pg_auth_members AS m
        UNION ALL SELECT s::text FROM pg_catalog.pg_db_role_setting AS s WHERE s.setdatabase = 0
        UNION ALL SELECT t::text FROM pg_catalog.pg_tablespace AS t
        UNION ALL SELECT d::text FROM pg_catalog.pg_shdepend AS d WHERE d.dbid = 0
    ) AS shared (each)
"""


def shared_state(connection: psycopg.Connection[Any]) -> str:
    """Digest what all databases of a server share."""
    row = connection.execute(_SHARED).fetchone()
    return str(row[0]) if row else ""


class Pause:
    """Ends a run of the revisions before the newest, where it is worth it, and copies the database."""

    def __init__(self, keep: Keep, server: Server, script: ScriptDirectory, targets: Iterable[str]) -> None:
        """Look where the run could pause.

        Args:
            keep: what is wanted.
            server: the database that the revisions run on.
            script: all revisions.
            targets: how far they are run.
        """
        self._keep, self._server, self._script = keep, server, script
        self._engines: set[Any] = set()
        self._took, self._ran, self._paused, self._contexts = 0.0, False, False, 0
        self._newest, self._before = _last_step(script, targets)
        if self._before:
            self._note_engines()

    def attach(self, options: dict[str, Any], connection: Any) -> None:
        """Be asked before each revision that a context runs.

        Args:
            options: of the context that is about to be made; changed.
            connection: SQLAlchemy's, which the revisions run on.
        """
        steps: Callable[..., Iterator[Any]] | None = options.get("fn")
        if steps is None or connection is None or not self._before:
            return
        # Where env.py runs the revisions several times (for several schemas), there is no one state between.
        self._contexts += 1
        if self._contexts > 1:
            return

        def pausing(heads: Any, context: Any) -> Iterator[Any]:
            begun, session = time.monotonic(), _session(connection)
            for step in steps(heads, context):
                self._took = time.monotonic() - begun
                if (
                    step.info.up_revision_id == self._newest != self._before
                    and self._worth
                    # What the next revision would find in this session, it must find in the next one, too.
                    and _session(connection) == session
                ):
                    self._paused = True
                    return
                yield step
                self._ran = True
            self._took = time.monotonic() - begun

        options["fn"] = pausing

    @property
    def paused(self) -> bool:
        """Whether the newest revision is yet to run."""
        return self._paused

    def copied(self) -> Halfway | None:
        """Copy the database, if it is where it should be; None where it is not, or cannot be copied."""
        at_end = self._before == self._newest and self._worth
        if self._contexts != 1 or not (self._paused or at_end):
            return None
        for engine in self._engines:
            # A pool keeps sessions open, and makes new ones when it is asked again.
            with suppress(Exception):
                engine.dispose()
        with suppress(psycopg.Error):
            return self._copied()
        return None

    @property
    def _worth(self) -> bool:
        return self._ran and self._took >= self._keep.after

    def _copied(self) -> Halfway | None:
        server, name = self._server, self._server.dbname
        with psycopg.connect(
            host=server.host,
            port=server.port,
            user=server.user,
            dbname="postgres",
            password=server.password or None,
            autocommit=True,
        ) as connection:
            sessions = "SELECT pg_catalog.count(*) FROM pg_catalog.pg_stat_activity WHERE datname = %s"
            until = time.monotonic() + _PATIENCE_S
            while (connection.execute(sessions, [name]).fetchone() or (0,))[0]:
                if time.monotonic() > until:
                    return None
                time.sleep(0.01)
            if connection.execute(_OUTSIDE, {"name": name}).fetchone():
                return None
            connection.execute(f"CREATE DATABASE {ident(self._keep.copy)} TEMPLATE {ident(name)}".encode())
            shared = shared_state(connection)
        below = _below(self._script, (self._before,))
        return Halfway(
            database=self._keep.copy,
            revision=self._before,
            below=tuple(sorted(below)),
            later=tuple(sorted(realpath(each.path) for each in _scripts(self._script) if each.revision not in below)),
            shared=shared,
        )

    def _note_engines(self) -> None:
        from sqlalchemy import event  # noqa: PLC0415 - as the child's other parts
        from sqlalchemy.engine import Engine  # noqa: PLC0415

        event.listen(Engine, "engine_connect", lambda connection: self._engines.add(connection.engine))


def unfit(script: ScriptDirectory, targets: Iterable[str], onward: Onward) -> str:
    """Say why a run cannot begin with a copy; empty where it can.

    Args:
        script: all revisions.
        targets: how far they are to be run.
        onward: where it would begin.
    """
    known = {each.revision: each for each in _scripts(script)}
    if onward.revision not in known:
        return f"there is no revision {onward.revision} any more"
    below = _below(script, (onward.revision,))
    if below != set(onward.below):
        return f"other revisions are below {onward.revision} than were"
    for target in targets:
        wanted = _below(script, [each.revision for each in script.get_revisions(target) if each is not None])
        # Only what comes after all that was run can be run after it, whatever else the order depends on.
        if not all(onward.revision in _below(script, (each,)) for each in wanted - below) or not below <= wanted:
            return f"not all of {target} comes after {onward.revision}"
    later = {realpath(each.path) for revision, each in known.items() if revision not in below}
    strange = sorted(set(onward.files) - later)
    return f"{strange[0]} is new and no revision" if strange else ""


def _last_step(script: ScriptDirectory, targets: Iterable[str]) -> tuple[str, str]:
    """Name the newest revision, and where to copy: before it, or where it is not the newest of all, after it."""
    found = {each.revision: each for target in targets for each in script.get_revisions(target) if each is not None}
    if len(found) != 1:
        return "", ""
    ((newest, one),) = found.items()
    if newest not in script.get_heads():
        return newest, newest
    return newest, one.down_revision if isinstance(one.down_revision, str) and not one.dependencies else ""


def _scripts(script: ScriptDirectory) -> list[Script]:
    return list(script.walk_revisions())


def _below(script: ScriptDirectory, revisions: Iterable[str]) -> set[str]:
    """Name revisions and all that is run before them."""
    found: set[str] = set()
    left = list(revisions)
    while left:
        revision = left.pop()
        if revision not in found:
            found.add(revision)
            one = script.get_revision(revision)
            needed = (*_names(one.down_revision), *_names(one.dependencies)) if one is not None else ()
            left += [each.revision for name in needed for each in script.get_revisions(name) if each is not None]
    return found


def _names(value: Any) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value or ())


def _session(connection: Any) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in connection.exec_driver_sql(_SESSION)]
