"""``truing``: the group of all commands, and the one place where a failure becomes a message and an exit code.

A command is the module of its name in this package, with its click command in ``command``; it is loaded when it is
called, or when somebody asks for the list.
"""

from __future__ import annotations

import signal
import sys
from importlib import import_module
from typing import Final, NoReturn

import click

import truing
from truing.errors import ConnectionFailedError, InterruptedRunError, TruingError

COMMANDS: Final = (
    "audit",
    "check",
    "demo",
    "describe",
    "downgrade",
    "drift",
    "lint",
    "orm",
    "quarantine",
    "rbac",
    "revision",
    "rule",
    "snapshot",
    "status",
    "upgrade",
)
"""Each is a module of :mod:`truing.cli`; tests compare the two."""

NO_ANSWER: Final = 2
INTERRUPTED: Final = 130
"""128 + SIGINT, as shells have it."""


class LazyGroup(click.Group):
    """A group whose commands are modules that are imported on use."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Name the commands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import the module of a command; None when there is no such command."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"truing.cli.{cmd_name}").command
        return command


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 in true, 1 findings, 2 no answer (usage, configuration, connection).",
)
@click.version_option(truing.__version__, "-V", "--version", message="truing %(version)s")
def app() -> None:
    """Keep models, migrations and a live PostgreSQL database in true.

    Ask first (drift, audit, lint), then bring the database there while the application keeps writing (upgrade).

    \b
    Examples:
      truing demo                 see all of it on this machine
      truing revision -m "..."    write the change that the models ask for
      truing audit                which rows would the pending revisions refuse?
      truing upgrade --plan       what would be done, with which locks?
      truing upgrade              do it, online
    """


def main() -> NoReturn:
    """Run the command line and leave with its exit code."""
    for stream in (sys.stdout, sys.stderr):
        # A name that the terminal's encoding cannot show must not end the command.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    # Whoever ends us politely (a CI that is cancelled) is no reason to leave databases on somebody's server.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run a command line.

    Args:
        arguments: without the program's name.

    Returns:
        The exit code.
    """
    verbose = "--verbose" in arguments
    try:
        code = app.main(args=arguments, prog_name="truing", standalone_mode=False)
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.ClickException as error:
        error.show()
        return NO_ANSWER
    except (KeyboardInterrupt, click.Abort):
        _say("Stopped. Run the same command again to go on.")
        return INTERRUPTED
    except Exception as error:
        if verbose:
            raise
        explained = explain(error)
        if explained is None:
            raise
        _say(f"Error: {explained.message}", explained.advice)
        return INTERRUPTED if isinstance(explained, InterruptedRunError) else NO_ANSWER
    return code if isinstance(code, int) else 0


_REFUSED: Final = {
    "psycopg.InsufficientPrivilege": "Connect as a login that may, the tables' owner for instance (--verbose: where).",
    "psycopg.ReadOnlySqlTransaction": "Connect to the primary: this is a standby, or read-only by default.",
    "psycopg.Error": "--verbose shows where.",
}
"""Kind of error -> what to do, the narrowest first."""


def explain(error: BaseException) -> TruingError | None:
    """Turn a failure that a person can do something about into a message and a hint; None for a mistake of ours."""
    seen: set[int] = set()
    current: BaseException | None = error
    # SQLAlchemy and Alembic wrap the driver's error, which is the one that says what is wrong.
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        if isinstance(current, TruingError):
            return current
        kinds = {f"{each.__module__.partition('.')[0]}.{each.__name__}" for each in type(current).__mro__}
        if "psycopg.OperationalError" in kinds and _is_cut_off(current):
            return ConnectionFailedError(
                f"The database cannot be reached: {_password_free(current)}",
                hint="Check --database-url, TRUING_DATABASE_URL, DATABASE_URL or sqlalchemy.url.",
            )
        if "alembic.CommandError" in kinds:
            return TruingError(_password_free(current), hint="This came from Alembic; `alembic history` may tell more.")
        for kind, hint in _REFUSED.items():
            if kind in kinds:
                return TruingError(f"{_where(error)}PostgreSQL refused: {_password_free(current)}", hint=hint)
        current = current.__cause__ or current.__context__
    return None


def _is_cut_off(error: BaseException) -> bool:
    """Tell whether there is no connection: a lock's timeout and a full disk are OperationalErrors as well."""
    state = getattr(error, "sqlstate", None)
    return state is None or state.startswith(("08", "28", "3D", "57P")) or state == "53300"


def _where(error: BaseException) -> str:
    """Name the line of the person's own (a revision's, say) that asked for it."""
    from truing.report.document import shown
    from truing.revisions.failure import failure

    place = failure(error)
    return f"{shown(place.file)}:{place.line}: " if place.file else ""


def _password_free(error: BaseException) -> str:
    from truing.redaction import redact

    return redact(str(error).strip())


def _say(message: str, hint: str = "") -> None:
    from truing.report.clean import clean

    click.echo(clean(message, multiline=True), err=True)
    if hint:
        click.echo(f"  {clean(hint, multiline=True)}", err=True)
