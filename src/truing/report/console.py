"""Where does text go, and how does it look there? The two consoles, and writing a document to one or to a file.

Colour follows the terminal, ``NO_COLOR`` and ``FORCE_COLOR``. Markup, emoji codes and highlighting are off: text comes
from databases.
"""

from __future__ import annotations

from pathlib import Path
from typing import IO, Literal, TypeAlias

from rich.console import Console

from truing.errors import UsageError
from truing.report import json
from truing.report.document import Document
from truing.report.terminal import render_concise, render_full

Format: TypeAlias = Literal["full", "concise", "json"]


def console(file: IO[str] | None = None, *, stderr: bool = False, width: int | None = None) -> Console:
    """Make a console.

    Args:
        file: a file to write to; standard output (or error) without.
        stderr: for progress and logs.
        width: columns; those of the terminal by default.
    """
    # rich itself reads NO_COLOR and FORCE_COLOR.
    return Console(file=file, stderr=stderr, width=width, markup=False, emoji=False, highlight=False)


def write(document: Document, format_: Format = "full", output: Path | None = None) -> None:
    """Write a document to standard output or to a file.

    Args:
        document: what to say.
        format_: how to say it.
        output: a file instead of standard output; it gets no colours.

    Raises:
        UsageError: the file cannot be written.
    """
    if output is None:
        _write(document, format_, console())
        return
    try:
        with output.open("w", encoding="utf-8", errors="backslashreplace") as file:
            _write(document, format_, Console(file=file, width=120, color_system=None, force_terminal=False))
    except OSError as error:
        raise UsageError(f"{output} cannot be written: {error.strerror}") from error


def _write(document: Document, format_: Format, target: Console) -> None:
    if format_ == "json":
        # Not through rich, which would wrap it.
        target.file.write(json.encode(document))
        target.file.flush()
    elif format_ == "concise":
        render_concise(document, target)
    else:
        render_full(document, target)
