"""The options that commands share, each under one name everywhere, and what they mean once they are read.

``@common`` gives a command the options that say *which project and database* and *how to answer*; the command gets
one :class:`Invocation` instead of a dozen arguments.
"""

from __future__ import annotations

import functools
import re
import shlex
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
import msgspec

from truing.config import Config, FailOn, database_url, load_config
from truing.errors import UsageError
from truing.report.formats import FORMATS, Format

if TYPE_CHECKING:
    from rich.console import Console

    from truing.baseline import Baseline
    from truing.cli.models import Models
    from truing.report.document import Document


class Invocation:
    """What a person asked for: the project, the database and the form of the answer."""

    def __init__(self, **options: Any) -> None:
        self._options = options
        self.alembic_name: str | None = options["alembic_name"]
        self.x_arguments: tuple[str, ...] = options["x_arguments"]
        self.output_format: Format = options["output_format"]
        self.output: Path | None = options["output"]
        self.exit_zero: bool = options["exit_zero"]
        self.verbose: bool = options["verbose"]

    @cached_property
    def config(self) -> Config:
        """The configuration file's content; ``--select`` takes the place of its ``select``, ``--ignore`` adds to it."""
        config = load_config(self._options["config"])
        select, ignore = self._options.get("select"), self._options.get("ignore")
        if select:
            config = msgspec.structs.replace(config, select=select)
        if ignore:
            config = msgspec.structs.replace(config, ignore=(*config.ignore, *ignore))
        return config

    @property
    def baseline_file(self) -> Path | None:
        """The file of known findings."""
        option: Path | None = self._options.get("baseline")
        if option is None and self.config.baseline:
            return self.config.folder / self.config.baseline
        return option

    @property
    def writes_baseline(self) -> bool:
        """Whether this run's findings are to be known from now on."""
        return bool(self._options.get("write_baseline"))

    @property
    def is_narrowed(self) -> bool:
        """Whether this run alone leaves out some of the rules, so that what it does not find may still be there."""
        return bool(self._options.get("select") or self._options.get("ignore"))

    @cached_property
    def baseline(self) -> Baseline | None:
        """What is known; None where nobody names a file.

        Raises:
            ConfigurationError: the file is not there, or is no baseline.
            UsageError: it is to be written, and nobody names it.
        """
        from truing.baseline import Baseline, read

        file = self.baseline_file
        if file is None:
            if self.writes_baseline:
                raise UsageError(
                    "--write-baseline does not know where.", hint="Give --baseline FILE, or baseline in [tool.truing]."
                )
            return None
        return Baseline() if self.writes_baseline and not file.exists() else read(file)

    @cached_property
    def models(self) -> Models:
        """The models, loaded when they are first asked for.

        Raises:
            TruingError: they cannot be loaded.
        """
        from truing.cli.models import load_models

        return load_models(self)

    @cached_property
    def database_url(self) -> str | None:
        """The database a person named; None when the Alembic project decides."""
        return database_url(self._options["database_url"], self.config)

    def require_database_url(self) -> str:
        """Return the database a person named.

        Raises:
            UsageError: there is none.
        """
        if self.database_url is None:
            raise UsageError(
                "No database is named.", hint="Give --database-url, or set TRUING_DATABASE_URL or DATABASE_URL."
            )
        return self.database_url

    @property
    def alembic_config(self) -> Path | None:
        """The Alembic project's file; None to look for it."""
        option: Path | None = self._options["alembic_config"]
        if option is None and self.config.alembic_config:
            return self.config.folder / self.config.alembic_config
        return option

    @property
    def fail_on(self) -> FailOn:
        """The least severity that makes the command fail."""
        return self._options["fail_on"] or self.config.fail_on

    @property
    def _project_file(self) -> str:
        from truing.report.document import shown

        named = self.alembic_config or (Path(self.config.file) if self.config.file else None)
        if named is not None:
            return shown(str(named))
        return "alembic.ini" if Path("alembic.ini").is_file() else "pyproject.toml"

    @cached_property
    def log(self) -> Console:
        """The console for progress and logs: standard error."""
        from truing.report.console import console

        return console(stderr=True)

    def say(self, text: str) -> None:
        """Print a line about the run itself, to standard error."""
        from truing.report.clean import clean

        click.echo(clean(text), err=True)

    def answer(self, document: Document) -> int:
        """Write the document as asked for.

        Returns:
            The exit code.
        """
        from truing.cli.rules import every_rule
        from truing.report.console import write

        steps = tuple(map(self._of_this_project, document.next_steps))
        document = msgspec.structs.replace(document, project=self._project_file, next_steps=steps)
        write(document, self.output_format, self.output, every_rule)
        if self.output is not None:
            self.say(f"Wrote {self.output}")
        return 0 if self.exit_zero and document.verdict != "no answer" else document.exit_code

    def give(self, text: str) -> int:
        """Give a text as it is: to standard output, or to the file that was asked for.

        Returns:
            The exit code.
        """
        from truing.report.console import write_text

        write_text(text, self.output)
        if self.output is not None:
            self.say(f"Wrote {self.output}")
        return 0

    def _of_this_project(self, step: str) -> str:
        """Name the project again, where a person has named it: without, the next command would not find it."""
        named = [("-c", self._options["alembic_config"]), ("-n", self._options["alembic_name"])]
        again = "".join(f" {flag} {shlex.quote(str(value))}" for flag, value in named if value)
        return _NEEDS_PROJECT.sub(lambda match: match[0] + again, step)


_NEEDS_PROJECT: Final = re.compile(r"^truing (?:audit|upgrade|downgrade|quarantine (?:list|show))(?! -c)\b")
_PATH = click.Path(dir_okay=False, path_type=Path)
_OPTIONS: Final[dict[str, Callable[[Any], Any]]] = {
    name: click.option(*flags, name, **attributes)
    for name, flags, attributes in (
        ("alembic_config", ("-c", "--alembic-config"), {"type": _PATH, "help": "Alembic's file, as `alembic -c`."}),
        ("alembic_name", ("-n", "--name"), {"metavar": "NAME", "help": "Alembic's section in that file."}),
        ("x_arguments", ("-x",), {"multiple": True, "metavar": "ARG", "help": "Given to env.py, as `alembic -x`."}),
        ("database_url", ("--database-url",), {"metavar": "URL", "help": "Else TRUING_DATABASE_URL, DATABASE_URL."}),
        ("config", ("--config",), {"type": _PATH, "help": "The file with [tool.truing]; else the nearest."}),
        (
            "output_format",
            ("--output-format",),
            {"type": click.Choice(FORMATS), "default": "full", "show_default": True},
        ),
        ("output", ("-o", "--output"), {"type": _PATH, "metavar": "FILE", "help": "Write the answer to a file."}),
        (
            "fail_on",
            ("--fail-on",),
            {"type": click.Choice(["info", "warning", "error", "never"]), "help": "Exit 1 from this severity on."},
        ),
        ("exit_zero", ("--exit-zero",), {"is_flag": True, "help": "Exit 0 also with findings."}),
        ("verbose", ("--verbose",), {"is_flag": True, "help": "Show where a failure comes from."}),
    )
}


_CHOICES: Final[tuple[tuple[str, dict[str, Any]], ...]] = (
    ("select", {"multiple": True, "metavar": "RULE", "help": "Use only these rules: names, codes or ALL."}),
    ("ignore", {"multiple": True, "metavar": "RULE", "help": "Leave these rules out."}),
    ("baseline", {"type": _PATH, "metavar": "FILE", "help": "Findings in this file are known, and do not count."}),
    ("write_baseline", {"is_flag": True, "help": "Know all findings of this run from now on."}),
)
_JUDGING: Final[dict[str, Callable[[Any], Any]]] = {
    name: click.option(f"--{name.replace('_', '-')}", name, **attributes) for name, attributes in _CHOICES
}


def _require_rules(shared: dict[str, Any]) -> None:
    from truing.cli.rules import require_rules

    for name in ("select", "ignore"):
        if shared[name]:
            require_rules(shared[name], f"--{name}")


def judging(command: Callable[..., int]) -> Callable[..., int]:
    """Give a command that judges by rules the shared options, as :func:`common` does, and those that choose rules."""
    return _with(_JUDGING | _OPTIONS, command)


def common(command: Callable[..., int]) -> Callable[..., int]:
    """Give a command the shared options; it is called with one :class:`Invocation` first, then its own arguments.

    The command returns its exit code.
    """
    return _with(_OPTIONS, command)


def _with(offered: dict[str, Callable[[Any], Any]], command: Callable[..., int]) -> Callable[..., int]:
    @functools.wraps(command)
    def call(**options: Any) -> int:
        shared = {name: options.pop(name) for name in offered}
        invocation = Invocation(**shared)
        if "baseline" in shared:
            # What is wrong with these is said before anything is looked at.
            _ = invocation.baseline
            _require_rules(shared)
        return command(invocation, **options)

    for option in reversed(offered.values()):
        call = option(call)
    return call
