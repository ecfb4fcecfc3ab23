"""Was exactly this compared before? Then the answer is given again, and nothing is read, built or compared.

An answer is kept for each project, database and choice of options. It holds good as long as the person's files, all
that is installed here and the live database are what they were; a :class:`~truing.drift.live.Glance` tells of the last.
"""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING

import msgspec

from truing.drift.live import VERSION_TABLE, Glance, glance
from truing.drift.model import Outcome
from truing.drift.shelf import Shelf
from truing.drift.sources import Sources, key, sources, unplaced
from truing.server.binaries import installations

if TYPE_CHECKING:
    from typing import Any

    import psycopg

    from truing.drift.options import Options
    from truing.revisions.project import Project


class _Answer(Sources, frozen=True, kw_only=True):
    """What was answered, when, and in which state the live database was."""

    glance: Glance
    outcome: Outcome
    given: str


class _VersionTable(Sources, frozen=True, kw_only=True):
    """What ``env.py`` calls Alembic's table."""

    name: str
    schema: str | None


class Memory:
    """Earlier answers to one question: the same project, options and database."""

    def __init__(self, project: Project | None, options: Options, connection: psycopg.Connection[Any]) -> None:
        """Begin; what is kept is of files that have not changed from now on."""
        self._shelf, self._since, self._project = Shelf(), time.time_ns(), project
        where = connection.info
        database = (where.host, where.port, where.dbname, where.user)
        self._answer = key("answer", unplaced(project), options, installations(), database)
        self._table = key("version table", unplaced(project), database)

    @cached_property
    def outdated(self) -> bool:
        """Whether nothing was compared before, or the person's files have changed since: then much is to be built."""
        return self._kept is None or not self._kept.fresh

    @cached_property
    def _kept(self) -> _Answer | None:
        return self._shelf.get(self._answer, _Answer)

    @property
    def version_table(self) -> tuple[str, str | None] | None:
        """Alembic's table and its schema; None where nobody has asked ``env.py``, or it has changed since."""
        known = self._shelf.get(self._table, _VersionTable)
        return (known.name, known.schema) if known is not None and known.fresh else None

    def keep_version_table(self, name: str, schema: str | None, imported: tuple[str, ...]) -> None:
        """Keep what ``env.py`` calls it."""
        made_from = sources(imported, self._project, since=self._since)
        if made_from is not None:
            self._shelf.put(self._table, _VersionTable(**msgspec.structs.asdict(made_from), name=name, schema=schema))

    def glance(self, connection: psycopg.Connection[Any]) -> Glance | None:
        """Look at the live database; None where that cannot be done, and all has to be read."""
        salt = self._shelf.get("salt", str)
        if not salt:
            salt = os.urandom(32).hex()
            self._shelf.put("salt", salt)
        return glance(connection, salt, *(self.version_table or (VERSION_TABLE, None)))

    def find(self, seen: Glance | None) -> Outcome | None:
        """Find the answer of when everything was as it is; None where there is none, or something has changed."""
        kept = self._kept
        if kept is None or seen is None or kept.glance != seen or self.outdated:
            return None
        compared = [each for each in str(kept.outcome.facts["compared"]).split(", ") if each != "live"]
        facts = {key: value for key, value in kept.outcome.facts.items() if key != "seconds"} | {
            "from the cache": ", ".join([*compared, f"the comparison of {kept.given}"]),
            "live database": "unchanged since then, by the digest of its catalog",
            "seconds": round((time.time_ns() - self._since) / 1e9, 2),
        }
        return msgspec.structs.replace(kept.outcome, facts=facts)

    def keep(self, seen: Glance, outcome: Outcome) -> None:
        """Keep an answer.

        Args:
            seen: the live database, before it was read as well as after.
            outcome: the answer.
        """
        made_from = sources(outcome.imported, self._project, since=self._since)
        if made_from is not None:
            now = datetime.now(UTC).replace(microsecond=0).isoformat()
            answer = _Answer(**msgspec.structs.asdict(made_from), glance=seen, outcome=outcome, given=now)
            self._shelf.put(self._answer, answer)
