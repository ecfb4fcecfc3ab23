"""Which revision touched this object last? The states of a database after each revision go in, revisions come out.

A state is compared with the one before it, object by object, so that also what a revision does by ``op.execute()``, in
a loop or in PL/pgSQL is seen; no statement is read. For use in the child process that runs the migrations, as they run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import psycopg

from truing.catalog.diff import objects
from truing.catalog.model import CatalogValue, Grant, Snapshot
from truing.catalog.read import read_snapshot
from truing.drift.exchange import Server, Touch
from truing.names import QualifiedName

Identity = tuple[str, str]


class Watch:
    """Looks at some objects after each revision."""

    def __init__(self, server: Server, names: tuple[QualifiedName, ...], mark: str = "") -> None:
        """Watch objects.

        Args:
            server: the scratch database.
            names: the relations, functions and types to watch; objects of other kinds are all watched.
            mark: a revision up to which it is said separately.
        """
        self._server, self._names, self._mark = server, names, mark
        self._marked: dict[Identity, str] = {}
        self._before: dict[Identity, object] = {}
        self._last: dict[Identity, str] = {}

    @property
    def touches(self) -> tuple[Touch, ...]:
        """What was seen, sorted."""
        return _told(self._last)

    @property
    def marked(self) -> tuple[Touch, ...]:
        """What was seen up to the mark, sorted."""
        return _told(self._marked)

    def attach(self, options: dict[str, Any], connection: Any) -> None:
        """Be told after each revision that a context runs.

        Args:
            options: of the context that is about to be made; changed.
            connection: SQLAlchemy's, which the revisions run on.
        """
        steps: Callable[..., Iterator[Any]] | None = options.get("fn")
        if steps is None or connection is None:
            return
        driver = connection.connection.driver_connection
        mine = driver if isinstance(driver, psycopg.Connection) else None
        if mine is None:
            # Another driver's connection cannot be read through, and from another session nothing is seen before it is
            # committed.
            options["transaction_per_migration"] = True
        self._before = self._look(mine)

        def watched(heads: Any, context: Any) -> Iterator[Any]:
            for step in steps(heads, context):
                yield step
                self._note(str(step.info.up_revision_id), self._look(mine))

        options["fn"] = watched

    def _look(self, connection: psycopg.Connection[Any] | None) -> dict[Identity, object]:
        if connection is not None:
            return _states(read_snapshot(connection, only=self._names))
        server = self._server
        with psycopg.connect(
            host=server.host, port=server.port, user=server.user, dbname=server.dbname, password=server.password or None
        ) as own:
            return _states(read_snapshot(own, only=self._names))

    def _note(self, revision: str, now: dict[Identity, object]) -> None:
        changed = {each for each in now.keys() | self._before.keys() if now.get(each) != self._before.get(each)}
        self._last |= dict.fromkeys(changed, revision)
        self._before = now
        if revision == self._mark:
            self._marked = dict(self._last)


def _told(last: dict[Identity, str]) -> tuple[Touch, ...]:
    return tuple(sorted(Touch(*identity, revision) for identity, revision in last.items()))


def _states(snapshot: Snapshot) -> dict[Identity, object]:
    """Say what each object is, without what belongs to it, which is an object of its own."""
    return {(kind, name): _own(value) for kind, name, value, _ in objects(snapshot)}


def _own(value: CatalogValue) -> tuple[object, ...]:
    inner = (getattr(value, field) for field in value.__struct_fields__ if field != "position")
    return tuple(each for each in inner if not _parts(each))


def _parts(value: object) -> bool:
    return isinstance(value, tuple) and any(
        isinstance(each, CatalogValue) and not isinstance(each, Grant) for each in value
    )
