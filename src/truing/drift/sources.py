"""What may an answer be kept by? All that was asked for and is installed, and the content of the person's own files.

What was made of a project holds good as long as every file of the person's own that was imported for it is what it was,
no file has come or gone beside them, and the environment variables that they name say the same.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Collection, Iterable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Final

import msgspec

import truing
from truing.revisions.project import Project

_FORMAT: Final = 5
_OF_REVISIONS: Final = frozenset({".py", ".sql", ".json", ".yaml", ".yml", ".toml", ".csv", ".ini", ".txt"})
_WORD: Final = re.compile(rb"[A-Za-z_][A-Za-z0-9_]{2,}")


class Sources(msgspec.Struct, frozen=True, kw_only=True):
    """What an answer was made from.

    Attributes:
        files: path -> hash of its content.
        folders: path -> hash of the names of the Python and SQL files in it.
        variables: environment variable that those files name -> hash of its value.
    """

    files: dict[str, str]
    folders: dict[str, str]
    variables: dict[str, str]

    @property
    def fresh(self) -> bool:
        """Whether all of it is what it was."""
        return (
            all(_content(Path(file)) == known for file, known in self.files.items())
            and all(_listing(Path(folder)) == known for folder, known in self.folders.items())
            and all(_hash(os.environ.get(name, "").encode()) == known for name, known in self.variables.items())
        )


class Foundation(msgspec.Struct, frozen=True, kw_only=True):
    """What the older revisions' state was made from: everything but the later revisions, which may change and come.

    Attributes:
        files: path -> hash of its content.
        folders: path -> the Python files in it.
        variables: environment variable that those files name -> hash of its value.
    """

    files: dict[str, str]
    folders: dict[str, tuple[str, ...]]
    variables: dict[str, str]

    def beside(self) -> tuple[str, ...] | None:
        """Name the Python files that are there beside these; None where something is not what it was."""
        listed = {folder: _scripts_in(Path(folder)) for folder in self.folders}
        if (
            any(not set(names) <= set(listed[folder]) for folder, names in self.folders.items())
            or any(_content(Path(file)) != known for file, known in self.files.items())
            or _variables(map(Path, self.files)) != self.variables
        ):
            return None
        return tuple(
            os.path.realpath(Path(folder, name))
            for folder, names in self.folders.items()
            for name in sorted(set(listed[folder]) - set(names))
        )


def foundation(
    imported: Iterable[str], project: Project | None, later: Collection[str], *, since: int
) -> Foundation | None:
    """Note what the older revisions' state is made from; None as :func:`sources` gives it.

    Args:
        imported: the person's own files that were imported for it.
        project: whose own files count even if they were not imported.
        later: the real paths of the files of the later revisions.
        since: when the work began, in nanoseconds since the epoch.
    """
    made_from = sources(imported, project, since=since)
    if made_from is None:
        return None

    def counts(file: Path) -> bool:
        return os.path.realpath(file) not in later

    files = {file: known for file, known in made_from.files.items() if counts(Path(file))}
    folders = {
        folder: tuple(name for name in _scripts_in(Path(folder)) if counts(Path(folder, name)))
        for folder in made_from.folders
    }
    return Foundation(files=files, folders=folders, variables=_variables(map(Path, files)))


def sources(imported: Iterable[str], project: Project | None, *, since: int) -> Sources | None:
    """Note what an answer is made from.

    Args:
        imported: the person's own files that were imported or read for it.
        project: whose own files count even if they were not imported.
        since: when the work began, in nanoseconds since the epoch.

    Returns:
        The sources; None where one of them has changed since then, so that nobody knows which state was imported.
    """
    files = {Path(file) for file in imported} | set(_project_files(project))
    folders = {file.parent for file in files}
    beside = {each for folder in folders if folder.is_dir() for each in folder.glob("*.py")}
    if any(_changed(file) >= since for file in files | beside):
        return None
    return Sources(
        files={str(file): _content(file) for file in sorted(files)},
        folders={str(folder): _listing(folder) for folder in sorted(folders)},
        variables=_variables(files),
    )


def key(*parts: object) -> str:
    """Name an entry by what was asked for, and by everything that is installed."""
    return _hash(msgspec.json.encode([_FORMAT, truing.__version__, sys.version, _installed(), *parts]))


def place(project: Project) -> str:
    """Name the one entry of a project, whatever is installed."""
    return _hash(msgspec.json.encode(unplaced(project)))


def unplaced(project: Project | None) -> Project | None:
    """A project without the address of its database, which no build depends on."""
    return None if project is None else msgspec.structs.replace(project, database_url=None)


def _installed() -> list[str]:
    """Name everything that is installed, with its version, which is in the name of its folder.

    What was installed from a folder or a file of the person's own may be another one under the same version: it has a
    ``direct_url.json`` (PEP 610), and all of its files are in its ``RECORD`` with their hashes.
    """
    found: set[str] = set()
    for folder in sys.path:
        with suppress(OSError), os.scandir(folder or ".") as entries:
            for each in entries:
                if each.name.endswith((".dist-info", ".egg-info")):
                    own = os.path.exists(f"{each.path}/direct_url.json")  # noqa: PTH110 - for each of hundreds
                    found.add(f"{each.name} {_content(Path(each.path, 'RECORD'))}" if own else each.name)
    return sorted(found)


def _project_files(project: Project | None) -> Iterable[Path]:
    """List the own files of a project: revisions, and what these may read, count even if nothing has imported them."""
    if project is None:
        return
    yield from (Path(each) for each in (project.ini_file, project.toml_file) if each)
    with suppress(Exception):
        named = project.script_location
        location = Path(project.root, named)
        if named and location.is_dir():
            yield from (each for each in location.rglob("*") if each.suffix in _OF_REVISIONS and each.is_file())


def _variables(files: Iterable[Path]) -> dict[str, str]:
    """Hash the environment variables that the files name; where the database is, is none of the build's business."""
    words: set[bytes] = set()
    for file in files:
        with suppress(OSError):
            words |= set(_WORD.findall(file.read_bytes()))
    known = {name for name in os.environ if name.encode(errors="replace") in words}
    known = {name for name in known if "://" not in os.environ[name] and not name.startswith("PG")}
    return {name: _hash(os.environ[name].encode(errors="replace")) for name in sorted(known - {"PWD", "HOME", "PATH"})}


def _changed(file: Path) -> int:
    """Say when a file was changed last, or came to be where it is; 0 for one that is not there."""
    try:
        status = file.stat()
    except OSError:
        return 0
    # A file that is moved here, or unpacked, keeps the time of its content; not the other one.
    return max(status.st_mtime_ns, status.st_ctime_ns)


def _content(file: Path) -> str:
    try:
        return _hash(file.read_bytes())
    except OSError:
        return ""


def _listing(folder: Path) -> str:
    names = [*_scripts_in(folder), *sorted(each.name for each in folder.glob("*.sql"))]
    return _hash("\0".join(names).encode(errors="backslashreplace"))


def _scripts_in(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.glob("*.py")) if folder.is_dir() else []


def _hash(data: bytes) -> str:
    return sha256(data).hexdigest()[:32]
