"""Where does text go, and how does it look there? The two consoles, and writing a document to one or to a file.

Colour follows the terminal, ``NO_COLOR`` and ``FORCE_COLOR``. Markup, emoji codes and highlighting are off: text comes
from databases.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

from truing.errors import UsageError
from truing.report.document import Document
from truing.report.formats import REPORTERS, Format, Rules

if TYPE_CHECKING:
    from rich.console import Console


def console(file: IO[str] | None = None, *, stderr: bool = False, width: int | None = None) -> Console:
    """Make a console.

    Args:
        file: a file to write to; standard output (or error) without.
        stderr: for progress and logs.
        width: columns; those of the terminal by default.
    """
    from rich.console import Console  # noqa: PLC0415 - loading it is slow, and most forms need no console

    # rich itself reads NO_COLOR and FORCE_COLOR.
    return Console(file=file, stderr=stderr, width=width, markup=False, emoji=False, highlight=False)


def write(document: Document, format_: Format = "full", output: Path | None = None, rules: Rules = dict) -> None:
    """Write a document to standard output or to a file.

    Args:
        document: what to say.
        format_: how to say it.
        output: a file instead of standard output; it gets no colours.
        rules: gathers the rules there are, for the forms that explain them.

    Raises:
        UsageError: it cannot be written.
    """
    if output is None:
        with _standard_output() as file:
            _write(document, format_, file, rules, console)
        return
    with _opened(output) as file:
        _write(document, format_, file, rules, lambda: _plain(file))


def write_text(text: str, output: Path | None = None) -> None:
    """Write a text as it is to standard output or to a file.

    Raises:
        UsageError: it cannot be written.
    """
    if output is None:
        with _standard_output() as file:
            file.write(text)
        return
    with _opened(output) as file:
        file.write(text)


@contextmanager
def _standard_output() -> Iterator[IO[str]]:
    try:
        yield sys.stdout
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever reads has read enough.
        raise
    except OSError as error:
        with suppress(OSError):
            # What is still held back would be written, and fail, once more at the end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise UsageError(f"Standard output cannot be written: {error.strerror}") from error


@contextmanager
def _opened(output: Path) -> Iterator[IO[str]]:
    try:
        with output.open("w", encoding="utf-8", errors="backslashreplace") as file:
            yield file
    except OSError as error:
        raise UsageError(f"{output} cannot be written: {error.strerror}") from error


def _plain(file: IO[str]) -> Console:
    from rich.console import Console  # noqa: PLC0415 - loading it is slow

    return Console(file=file, width=120, color_system=None, force_terminal=False)


def _write(document: Document, format_: Format, file: IO[str], rules: Rules, make: Callable[[], Console]) -> None:
    reporter = REPORTERS[format_]
    function = reporter.load()
    if reporter.takes == "console":
        function(document, make())
        return
    # Not through rich, which would wrap it.
    file.write(function(document, rules) if reporter.takes == "rules" else function(document))
    file.flush()
