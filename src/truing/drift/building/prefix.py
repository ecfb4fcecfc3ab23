"""Is what the older revisions build still there? Then only what comes after them is run.

In: a project. Out: the data directory of a scratch server that has a database at one of its revisions, with what has to
be as it was for that to hold good: every file of the person's own but the later revisions. Each project has one file in
the cache: a line that says what it is, and the archive.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from truing.drift.exchange import Halfway, Onward
from truing.drift.shelf import Shelf
from truing.drift.sources import Foundation, foundation, place
from truing.errors import ServerError, TruingError
from truing.revisions.project import Project
from truing.server import Binaries, archive

if TYPE_CHECKING:
    from truing.drift.options import Options

WORTH_S: Final = 0.3
"""How long the older revisions must take, so that they are kept: to unpack them takes less than initdb does."""

MOST: Final = 512 * 1024**2
"""How large a data directory may be, in bytes; one of 1,000 tables has 70 MB."""


class UnfitError(TruingError):
    """What was kept of the older revisions cannot be gone on from."""


class Kept(Foundation, frozen=True, kw_only=True):
    """What was kept, and what it was made from.

    Attributes:
        asked: by what was asked for: project, options, what is around, and everything installed.
        server: the program that can run on it.
        halfway: the database.
        helped: statements that had to be run before the first revision.
        imported: the person's own files that were imported.
        date: when it was made.
    """

    asked: str
    server: str
    halfway: Halfway
    helped: tuple[str, ...]
    imported: tuple[str, ...]
    date: str

    @property
    def onward(self) -> Onward | None:
        """Where to go on from it; None where a file has changed that is no later revision's."""
        beside = self.beside()
        if beside is None:
            return None
        return Onward(revision=self.halfway.revision, below=self.halfway.below, files=beside)


def prefix_of(project: Project | None, options: Options) -> Prefix | None:
    """Give what is kept of a project; None where nothing can be: not of what does not begin with an empty database."""
    if project is None or not options.cache or not options.migrations or options.scratch_url is not None:
        return None
    return Prefix(project) if options.base is None and options.tenant_schemas is None else None


class Prefix:
    """What is kept for one project."""

    def __init__(self, project: Project, *, refused: bool = False) -> None:
        """Begin; what is kept is of files that have not changed from now on.

        Args:
            project: the project.
            refused: whether what is kept now has proved to be of no use.
        """
        self._project, self.refused, self._since = project, refused, time.time_ns()
        self._file = Shelf().folder / f"{place(project)}.prefix"

    @property
    def kept(self) -> Kept | None:
        """What is kept; None where there is nothing, or a file has changed that is no later revision's."""
        return self._found[0] if self._found is not None and not self.refused else None

    def suits(self, binaries: Binaries) -> bool:
        """Tell whether there is something kept that these programs can run on."""
        return self.kept is not None and self.kept.server == _server(binaries)

    def seed(self, data: Path) -> None:
        """Fill a data directory with what is kept.

        Raises:
            ServerError: there is nothing, or it is not whole.
            OSError: it cannot be written.
        """
        if self._found is None:
            raise ServerError("Nothing is kept.")
        archive.unpack(self._found[1], data)

    def keep(
        self,
        asked: str,
        halfway: Halfway,
        binaries: Binaries,
        data: bytes,
        *,
        helped: tuple[str, ...],
        imported: tuple[str, ...],
    ) -> None:
        """Keep what the older revisions have built, in place of what was kept before.

        Args:
            asked: by what was asked for.
            halfway: the database.
            binaries: what ran on it.
            data: the archive of the data directory that it is in.
            helped: statements that had to be run before the first revision.
            imported: the person's own files that were imported.
        """
        made_from = foundation(imported, self._project, set(halfway.later), since=self._since)
        if made_from is None:
            return
        kept = Kept(
            **msgspec.structs.asdict(made_from),
            asked=asked,
            server=_server(binaries),
            halfway=halfway,
            helped=helped,
            imported=imported,
            date=datetime.now(UTC).replace(microsecond=0).isoformat(),
        )
        with suppress(OSError):
            self._write(msgspec.json.encode(kept) + b"\n" + data)

    def _write(self, content: bytes) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        for left in self._file.parent.glob(f"{self._file.stem}.*.new"):
            # Of somebody who was killed; whoever still writes does it in vain.
            left.unlink(missing_ok=True)
        new = self._file.with_suffix(f".{os.getpid()}.new")
        try:
            descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with open(descriptor, "wb") as opened:  # noqa: PTH123 - a descriptor
                opened.write(content)
            # Whoever reads meanwhile has opened the old file.
            new.replace(self._file)
        except OSError:
            new.unlink(missing_ok=True)

    def forget(self) -> None:
        """Remove what is kept."""
        with suppress(OSError):
            self._file.unlink()

    @cached_property
    def _found(self) -> tuple[Kept, bytes] | None:
        try:
            with self._file.open("rb") as opened:
                if os.fstat(opened.fileno()).st_uid != os.geteuid():
                    # A server will run on it, and do what it says.
                    return None
                kept = msgspec.json.decode(opened.readline(), type=Kept)
                return None if kept.onward is None else (kept, opened.read())
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
            return None


def _server(binaries: Binaries) -> str:
    program = Path(binaries.program("postgres"))
    status = program.stat()
    return f"{binaries.version} {program} {status.st_size} {status.st_mtime_ns}"
