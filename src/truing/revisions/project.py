"""Where is the Alembic project, and which database is it about? Folders, options and the environment go in.

A :class:`Project` is a value: it names files and options, and can be handed to a child process. Alembic's own objects
are made from it when they are needed.
"""

from __future__ import annotations

import io
import os
import sys
import tomllib
from argparse import Namespace
from collections.abc import Iterator, Mapping
from configparser import ConfigParser
from configparser import Error as ConfigParserError
from contextlib import chdir, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from truing.errors import ProjectError, TruingError
from truing.redaction import redact
from truing.revisions.urls import postgresql_url

if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

ENVIRONMENT: Final = ("TRUING_DATABASE_URL", "DATABASE_URL")
"""The environment variables that may hold the URL, the strongest first."""

_HEADS: Final = "heads"
_TEMPLATE_URL: Final = "driver://user:pass@localhost/dbname"


class NoProjectError(ProjectError):
    """There is no Alembic project, and nobody named one."""


class _UnsureError(Exception):
    """A file cannot be read without Alembic."""


class Project(msgspec.Struct, frozen=True, kw_only=True):
    """An Alembic project.

    Attributes:
        root: the folder that relative paths in its configuration start from.
        ini_file: the ``alembic.ini``, if there is one.
        toml_file: the ``pyproject.toml`` with ``[tool.alembic]``, if there is one.
        section: the section of the ini file (``-n``).
        x: the arguments of ``-x``, each ``key=value`` or ``key``.
        database_url: the URL of ``--database-url``, if it was given.
        head: where its history ends, as ``alembic upgrade`` takes it; a folder may hold several histories.
    """

    root: str
    ini_file: str | None = None
    toml_file: str | None = None
    section: str = "alembic"
    x: tuple[str, ...] = ()
    database_url: str | None = None
    head: str = _HEADS

    @property
    def name(self) -> str:
        """The file that a message should point to."""
        return self.ini_file or self.toml_file or self.root

    def configuration(self, url: str | None = None, buffer: io.TextIOBase | None = None) -> Config:
        """Make Alembic's configuration.

        Args:
            url: what ``env.py`` shall find as ``sqlalchemy.url``; None leaves what is written there.
            buffer: where offline SQL goes.

        Raises:
            ProjectError: a file cannot be read, or the section does not exist.
        """
        from alembic.config import Config  # noqa: PLC0415 - loading it is slow

        options = Namespace(x=list(self.x) or None, name=self.section, config=None, raiseerr=True, quiet=False)
        config = Config(
            self.ini_file,
            toml_file=self.toml_file,
            ini_section=self.section,
            cmd_opts=options,
            output_buffer=buffer,  # type: ignore[arg-type]  # any text stream does
        )
        with self._errors():
            if self.ini_file and not self.toml_file and not config.file_config.has_section(self.section):
                raise ProjectError(
                    f"{self.ini_file} has no section [{self.section}]",
                    hint=f"Its sections: {', '.join(config.file_config.sections()) or 'none'}.",
                )
            if url is not None:
                config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
        return config

    def script(self, config: Config | None = None) -> ScriptDirectory:
        """Load the revisions. This imports every revision module, with whatever that does.

        Raises:
            ProjectError: there is no script directory, or its revisions cannot be read.
        """
        from alembic.script import ScriptDirectory  # noqa: PLC0415 - loading it is slow

        def loaded() -> ScriptDirectory:
            script = ScriptDirectory.from_config(config or self.configuration())
            # Alembic loads the revisions when they are first asked for, which may be when we are in another folder.
            script.dir = os.path.abspath(script.dir)  # noqa: PTH100 - Alembic keeps text
            script.get_heads()
            return script

        with self.errors():
            try:
                return loaded()
            except (ImportError, AttributeError, RuntimeError, LookupError):
                # `alembic upgrade` runs env.py before it imports a revision, and there are revisions that count on it:
                # env.py may have put the application on sys.path, or started it.
                with suppress(ProjectError):
                    self.context_options()
                return loaded()

    def heads(self, script: ScriptDirectory) -> tuple[str, ...]:
        """Name the newest revisions of its history, sorted.

        Raises:
            ProjectError: it has no such revision or branch.
        """
        if self.head == _HEADS:
            # Also those that another one only depends on, which Alembic's own `heads` leaves out.
            return tuple(sorted(script.get_heads()))
        with self._errors():
            found = {each.revision for each in script.get_revisions(self.head) if each is not None}
        if not found:
            raise ProjectError(f"head = {self.head!r} names no revision", hint="`alembic heads` lists them.")
        return tuple(sorted(found))

    def url(self, environment: Mapping[str, str] = os.environ) -> str:
        """Say which database is meant: ``--database-url``, the environment, then ``sqlalchemy.url``.

        Args:
            environment: the environment variables.

        Returns:
            A ``postgresql://`` or ``postgresql+driver://`` URL, with its password.

        Raises:
            ProjectError: no URL is known, or it is not one of a PostgreSQL database.
        """
        given = (self.database_url, *map(environment.get, ENVIRONMENT))
        url = next((candidate for candidate in given if candidate), None) or self.configured_url()
        if not url:
            url = self._written_url()
            raise ProjectError(
                f"no database is named: sqlalchemy.url in {self.name} is still that of Alembic's template ({url})"
                if url
                else f"no database is named: {self.name} has no sqlalchemy.url",
                hint=f"Give --database-url or set {ENVIRONMENT[0]} (or {ENVIRONMENT[1]}).",
            )
        return postgresql_url(url)

    def configured_url(self) -> str | None:
        """Return ``sqlalchemy.url`` of the project; None where it is missing or still that of Alembic's template."""
        url = self._written_url()
        return url if url and url != _TEMPLATE_URL else None

    def _written_url(self) -> str | None:
        try:
            return self._quickly_read("sqlalchemy.url")
        except _UnsureError:
            with self._errors():
                return self.configuration().get_main_option("sqlalchemy.url")

    @property
    def script_location(self) -> str:
        """Where the revisions are, as the project says it; empty where it does not.

        Raises:
            ProjectError: its configuration cannot be read.
        """
        with suppress(_UnsureError):
            location = self._quickly_read("script_location")
            if location is not None or self.toml_file is None:
                return location or ""
        with self._errors():
            return str(self.configuration().get_alembic_option("script_location") or "")

    def _quickly_read(self, option: str) -> str | None:
        """Read an option of the ini file as Alembic does, without loading it, which takes longer than a whole check.

        Raises:
            _UnsureError: there is something about the file that Alembic should say.
        """
        if self.ini_file is None:
            return None
        parser = ConfigParser({"here": Path(self.ini_file).absolute().parent.as_posix()})
        try:
            if not parser.read([self.ini_file], encoding="locale") or not parser.has_section(self.section):
                raise _UnsureError
            return parser.get(self.section, option) if parser.has_option(self.section, option) else None
        except (OSError, ValueError, ConfigParserError) as error:
            raise _UnsureError from error

    def context_options(self, url: str | None = None) -> dict[str, Any]:
        """Run ``env.py`` offline and return what it passes to ``context.configure()``.

        No revision is imported and no database is needed. ``env.py`` itself, and with it the models, is imported into
        this process.

        Args:
            url: the URL that ``env.py`` finds; by default the project's own, else one that leads nowhere.

        Raises:
            ProjectError: ``env.py`` fails, or never configures a context.
        """
        from truing.revisions.environment import context_options  # noqa: PLC0415 - it needs this module

        return context_options(self, url)

    @contextmanager
    def at_root(self) -> Iterator[None]:
        """Be in the project's folder for a while, as Alembic expects to be."""
        with chdir(self.root):
            # `prepend_sys_path = .` would go on to mean the folder in which Python saw it first.
            sys.path_importer_cache.pop(".", None)
            try:
                yield
            finally:
                sys.path_importer_cache.pop(".", None)

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Be in the project's folder, and turn what other people's files raise into a :class:`ProjectError`."""
        with self.at_root(), self._errors():
            yield

    @contextmanager
    def _errors(self) -> Iterator[None]:
        from alembic.util import CommandError  # noqa: PLC0415 - loading it is slow

        try:
            yield
        except (TruingError, KeyboardInterrupt):
            raise
        except CommandError as error:
            raise ProjectError(redact(str(error)), hint=f"The project is {self.name}.") from None
        except (Exception, SystemExit) as error:
            from truing.revisions.failure import failure  # noqa: PLC0415 - only where it is needed

            raise ProjectError(failure(error).sentence, hint=f"The project is {self.name}.") from error


def discover(
    start: str | Path | None = None,
    *,
    config: str | Path | None = None,
    section: str = "alembic",
    x: tuple[str, ...] | list[str] = (),
    database_url: str | None = None,
    head: str = _HEADS,
) -> Project:
    """Find the Alembic project.

    Args:
        start: the folder to look in and above; by default the working directory.
        config: the file of ``-c``: an ini file or a ``pyproject.toml``. By default the environment variable
            ALEMBIC_CONFIG, then ``alembic.ini`` and ``pyproject.toml`` with ``[tool.alembic]``.
        section: the section of ``-n``.
        x: the arguments of ``-x``.
        database_url: the URL of ``--database-url``.
        head: where its history ends.

    Raises:
        ProjectError: there is none, or the file that was named does not exist.
    """
    folder = Path(start or Path.cwd()).absolute()
    named = config or os.environ.get("ALEMBIC_CONFIG")
    common: dict[str, Any] = {"section": section, "x": tuple(x), "database_url": database_url, "head": head}
    if named:
        return _named(folder, folder / named, common)
    for place in (folder, *folder.parents):
        ini, toml = place / "alembic.ini", place / "pyproject.toml"
        has_ini, has_toml = ini.is_file(), _has_alembic(toml)
        if has_ini or has_toml:
            return Project(
                root=str(place),
                ini_file=str(ini) if has_ini else None,
                toml_file=str(toml) if has_toml else None,
                **common,
            )
    raise NoProjectError(
        f"there is no Alembic project in {folder} or above it",
        hint="Name its file with -c path/to/alembic.ini, or start one with: alembic init migrations",
    )


def _named(folder: Path, file: Path, common: dict[str, Any]) -> Project:
    if not file.is_file():
        raise ProjectError(f"there is no file {file}", hint="-c takes an alembic.ini or a pyproject.toml.")
    if file.suffix == ".toml":
        if not _has_alembic(file):
            raise ProjectError(f"{file} has no [tool.alembic]", hint="-c takes an alembic.ini or a pyproject.toml.")
        beside = file.with_name("alembic.ini")
        project = Project(
            root=str(folder), ini_file=str(beside) if beside.is_file() else None, toml_file=str(file), **common
        )
    else:
        toml = file.with_name("pyproject.toml")
        project = Project(
            root=str(folder), ini_file=str(file), toml_file=str(toml) if _has_alembic(toml) else None, **common
        )
    # Alembic starts relative paths from the working directory; people who name a file elsewhere mean that folder.
    return project if _script_found(project) else msgspec.structs.replace(project, root=str(file.parent))


def _script_found(project: Project) -> bool:
    location = project.script_location
    return bool(location) and (":" in location or (Path(project.root) / location).is_dir())


def _has_alembic(toml: Path) -> bool:
    if not toml.is_file():
        return False
    try:
        content = tomllib.loads(toml.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ProjectError(f"{toml} is not valid TOML: {error}") from None
    return isinstance(content.get("tool", {}).get("alembic"), dict)
