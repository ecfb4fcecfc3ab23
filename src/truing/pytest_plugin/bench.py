"""What do the checks work with? A project, a server that is started when it is first needed, and truing's own commands.

With pytest-xdist every worker has a bench, and a server of its own if one of its checks needs one. What several checks
need is worked out once for all of them, in a folder that they share.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import msgspec

from truing.config import Config, load_config
from truing.drift.building.base import find_base, load
from truing.drift.building.builds import Around, build_migrations
from truing.drift.building.stairs import Stairs, climb
from truing.drift.building.workshop import Workshop
from truing.errors import TruingError
from truing.report.document import Document
from truing.revisions.project import Project, discover

ENVIRONMENT: Final = "TRUING_SCRATCH_URL"
"""The environment variable for the server, where no option names one."""


class Bench:
    """A project and a server; :meth:`close` ends the server."""

    def __init__(self, root: Path, *, alembic_config: Path | None, scratch_url: str | None, floor: str) -> None:
        """Remember what a person said; nothing is looked at yet.

        Args:
            root: where the project and its configuration are looked for, upwards.
            alembic_config: Alembic's file, if it was named.
            scratch_url: the server to work on, instead of a private one.
            floor: the oldest revision that is not taken back; empty for none.
        """
        self._root, self._named, self._floor = root, alembic_config, floor
        self._workshop = Workshop(scratch_url=scratch_url or os.environ.get(ENVIRONMENT))
        self._private = not (scratch_url or os.environ.get(ENVIRONMENT))
        self.shared: Path | None = None

    @cached_property
    def config(self) -> Config:
        """``[tool.truing]``."""
        return load_config(start=self._root)

    @cached_property
    def project(self) -> Project:
        """The Alembic project."""
        named = self._named
        if named is None and self.config.alembic_config:
            named = self.config.folder / self.config.alembic_config
        return discover(self._root, config=named, head=self.config.head)

    @property
    def server(self) -> str:
        """What scratch databases are made on, for a person. Nothing private is started for that.

        Raises:
            TruingError: there is no server.
        """
        return f"PostgreSQL {self._workshop.version}" + (" (private)" if self._private else "")

    def stairs(self) -> Stairs:
        """Run every revision up, down and up again; once, whoever asks."""
        with self._once("stairs.json") as known:
            if known.is_file():
                return msgspec.json.decode(known.read_bytes(), type=Stairs)
            config = self.config
            floor = self._floor or config.start_after or ""
            found = climb(self._workshop, self.project, floor=floor, unmanaged=config.unmanaged, **self._begin())
            known.write_bytes(msgspec.json.encode(found))
            return found

    def migrated(self) -> str:
        """Make a database with all migrations, and return its URL."""
        role = self.config.application_role
        around = Around(roles=(role,) if role else ())
        database, _ = build_migrations(
            self._workshop, self.project, (self.project.head,), around=around, **self._begin()
        )
        return database.url

    def _begin(self) -> dict[str, Any]:
        """Make what the revisions begin with, if that is no empty database."""
        base = find_base(self.config.base, self.config.base_revision, self.config.folder)
        return {} if base is None else {"start": load(base, self._workshop), "stamp": base.revisions}

    @property
    def scratch_url(self) -> str:
        """The server's URL, for other processes."""
        return self._workshop.url

    def command(self, *arguments: str) -> Document:
        """Run a command of truing on the project, in a process of its own: models must not be imported into this one.

        Raises:
            TruingError: it has no answer; the message is the command's own.
        """
        named = ("-c", str(self._named)) if self._named else ()
        done = subprocess.run(
            [sys.executable, "-P", "-m", "truing", *arguments, *named, "--output-format", "json"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            cwd=self._root,
            check=False,
            env=os.environ | {"PYTHONIOENCODING": "utf-8"},
        )
        try:
            return msgspec.json.decode(done.stdout, type=Document)
        except msgspec.DecodeError:
            said = done.stderr.decode(errors="replace").strip()
            raise TruingError(said.removeprefix("Error: ") or f"it ended with status {done.returncode}") from None

    def close(self) -> None:
        """Drop what was made, and stop the server if it is ours."""
        self._workshop.close()

    @contextmanager
    def _once(self, name: str) -> Iterator[Path]:
        """Hold a file of the shared folder: whoever comes later waits, and finds what is in it."""
        if self.shared is None:
            raise TruingError("The folder of this run is not there.")
        with (self.shared / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield self.shared / name
