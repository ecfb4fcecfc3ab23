"""Was this built before, from the same files? Then it need not be built again.

An entry is found by what was asked for (project, options, server, versions of everything installed) and holds good as
long as every file of the person's own that the build imported is what it was, and no file has come or gone beside them.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Final

import msgspec

import truing
from truing.drift.builds import Built
from truing.revisions.project import Project

_FORMAT: Final = 3
_WORD: Final = re.compile(rb"[A-Za-z_][A-Za-z0-9_]{2,}")


class _Entry(msgspec.Struct, frozen=True):
    """A file of the cache.

    Attributes:
        files: path -> hash of its content.
        folders: path -> hash of the names of the Python files in it.
        variables: environment variable that those files name -> hash of its value.
        built: what was built.
    """

    files: dict[str, str]
    folders: dict[str, str]
    variables: dict[str, str]
    built: Built


class Cache:
    """Builds that were made before; in ``$XDG_CACHE_HOME/truing/drift``."""

    def __init__(self, folder: Path | None = None) -> None:
        """Choose the folder; it is made with the first entry."""
        home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        self._folder = folder or home / "truing" / "drift"

    def get(self, key: str) -> Built | None:
        """Find what was built; None where it never was, or something has changed since."""
        try:
            entry = msgspec.json.decode((self._folder / f"{key}.json").read_bytes(), type=_Entry)
        except (OSError, msgspec.MsgspecError):
            return None
        fresh = (
            all(_content(Path(file)) == known for file, known in entry.files.items())
            and all(_listing(Path(folder)) == known for folder, known in entry.folders.items())
            and all(_hash(os.environ.get(name, "").encode()) == known for name, known in entry.variables.items())
        )
        return entry.built if fresh else None

    def put(self, key: str, built: Built, project: Project | None) -> None:
        """Keep what was built. A cache that cannot be written is none, and no reason to fail."""
        files = {Path(file) for file in built.reply.files} | set(_project_files(project))
        folders = {file.parent for file in files}
        entry = _Entry(
            files={str(file): _content(file) for file in sorted(files)},
            folders={str(folder): _listing(folder) for folder in sorted(folders)},
            variables=_variables(files),
            built=built,
        )
        self._write(key, msgspec.json.encode(entry))

    def text(self, key: str) -> list[tuple[str, str, str]] | None:
        """Find the fixes that were tried for exactly these states: kind, name and text of each."""
        try:
            return msgspec.json.decode((self._folder / f"{key}.json").read_bytes(), type=list[tuple[str, str, str]])
        except (OSError, msgspec.MsgspecError):
            return None

    def put_text(self, key: str, texts: list[tuple[str, str, str]]) -> None:
        """Keep the fixes that were tried."""
        self._write(key, msgspec.json.encode(texts))

    def _write(self, key: str, data: bytes) -> None:
        with suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            new = self._folder / f"{key}.{os.getpid()}.new"
            new.touch(mode=0o600)
            new.write_bytes(data)
            # Whoever reads meanwhile sees the old entry or the new one.
            new.replace(self._folder / f"{key}.json")


def key(*parts: object) -> str:
    """Name an entry by what was asked for, and by everything that is installed."""
    return _hash(msgspec.json.encode([_FORMAT, truing.__version__, sys.version, _installed(), *parts]))


def _installed() -> list[str]:
    """Name everything that is installed, with its version, which is in the name of its folder: none is opened."""
    found: set[str] = set()
    for folder in sys.path:
        with suppress(OSError), os.scandir(folder or ".") as entries:
            found |= {each.name for each in entries if each.name.endswith((".dist-info", ".egg-info"))}
    return sorted(found)


def _project_files(project: Project | None) -> Iterable[Path]:
    """List the project's own files: revisions count even if they were not imported for this build."""
    if project is None:
        return
    yield from (Path(each) for each in (project.ini_file, project.toml_file) if each)
    with suppress(Exception):
        location = Path(project.root, str(project.configuration().get_alembic_option("script_location")))
        if location.is_dir():
            yield from location.rglob("*.py")


def _variables(files: Iterable[Path]) -> dict[str, str]:
    """Hash the environment variables that the files name; where the database is, is none of the build's business."""
    words: set[bytes] = set()
    for file in files:
        with suppress(OSError):
            words |= set(_WORD.findall(file.read_bytes()))
    known = {name for name in os.environ if name.encode(errors="replace") in words}
    known = {name for name in known if "://" not in os.environ[name] and not name.startswith("PG")}
    return {name: _hash(os.environ[name].encode(errors="replace")) for name in sorted(known - {"PWD", "HOME", "PATH"})}


def _content(file: Path) -> str:
    try:
        return _hash(file.read_bytes())
    except OSError:
        return ""


def _listing(folder: Path) -> str:
    names = sorted(each.name for each in folder.glob("*.py")) if folder.is_dir() else []
    return _hash("\0".join(names).encode(errors="backslashreplace"))


def _hash(data: bytes) -> str:
    return sha256(data).hexdigest()[:32]
