"""Was this built before, from the same files? Then it need not be built again.

An entry is found by what was asked for (project, options, server, versions of everything installed) and holds good as
long as its :class:`~truing.drift.sources.Sources` are fresh.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import msgspec

from truing.drift.building.builds import Built
from truing.drift.exchange import Touch
from truing.drift.shelf import Shelf
from truing.drift.sources import Sources, key, sources
from truing.names import QualifiedName
from truing.revisions.project import Project


class _Entry(Sources, frozen=True, kw_only=True):
    """A file of the cache: what was built, and from what."""

    built: Built


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What the revisions that are kept did to objects that were watched while they ran.

    Attributes:
        watched: the relations, functions and types.
        touched: the last revision that changed each of their objects.
    """

    watched: tuple[QualifiedName, ...] = ()
    touched: tuple[Touch, ...] = ()


class Cache:
    """Builds that were made before; in ``$XDG_CACHE_HOME/truing/drift``."""

    def __init__(self, shelf: Shelf | None = None) -> None:
        """Begin; what is kept was made from files that have not changed from now on."""
        self._shelf, self.since = shelf or Shelf(), time.time_ns()

    def get(self, key: str) -> Built | None:
        """Find what was built; None where it never was, or something has changed since."""
        entry = self._shelf.get(key, _Entry)
        return entry.built if entry is not None and entry.fresh else None

    def put(self, key: str, built: Built, project: Project | None) -> None:
        """Keep what was built. A cache that cannot be written is none, and no reason to fail."""
        made_from = sources(built.reply.files, project, since=self.since)
        if made_from is not None:
            self._shelf.put(key, _Entry(**msgspec.structs.asdict(made_from), built=built))

    def seen(self, kept: str) -> Seen | None:
        """Find what was seen of the revisions that are kept in a database, whose name nothing else has."""
        return self._shelf.get(key("seen", kept), Seen)

    def put_seen(self, kept: str, seen: Seen) -> None:
        """Keep what was seen."""
        self._shelf.put(key("seen", kept), seen)

    def text(self, key: str) -> list[tuple[str, ...]] | None:
        """Find the texts (fixes that were tried, say) for exactly these states: what each is for, then the text."""
        return self._shelf.get(key, list[tuple[str, ...]])

    def put_text(self, key: str, texts: Sequence[tuple[str, ...]]) -> None:
        """Keep such texts."""
        self._shelf.put(key, texts)
