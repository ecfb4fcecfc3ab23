"""What went wrong in other people's Python, and on which of their lines? An exception goes in, a sentence comes out."""

from __future__ import annotations

import os
import traceback
from pathlib import Path

import msgspec

from truing.redaction import redact

_LONGEST = 400


class Failure(msgspec.Struct, frozen=True):
    """An exception of other people's code.

    Attributes:
        message: its type and the first line of its text, without passwords.
        file: the file of theirs that it came from; empty when it came from nowhere in particular.
        line: the line.
    """

    message: str
    file: str = ""
    line: int = 0

    @property
    def sentence(self) -> str:
        """The message with where it came from."""
        return f"{self.file}:{self.line}: {self.message}" if self.file else self.message


def one_line(error: BaseException) -> str:
    """Write an exception as one line, without passwords."""
    text = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    text = redact(text)
    text = text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def failure(error: BaseException, file: str | None = None) -> Failure:
    """Find the line that an exception comes from.

    Args:
        error: the exception.
        file: the file whose innermost line is wanted; by default the innermost file that is no installed package.
    """
    if isinstance(error, SyntaxError) and error.filename and (file is None or same_file(error.filename, file)):
        return Failure(one_line(error), error.filename, error.lineno or 1)
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        theirs = same_file(frame.filename, file) if file is not None else _theirs(frame.filename)
        if theirs:
            return Failure(one_line(error), frame.filename, frame.lineno or 1)
    return Failure(one_line(error))


def same_file(one: str, other: str) -> bool:
    """Tell whether two paths are one file."""
    return one == other or os.path.realpath(one) == os.path.realpath(other)


_OWN = Path(__file__).parents[1]


def _theirs(filename: str) -> bool:
    path = Path(filename)
    installed = {"site-packages", "dist-packages"} & set(path.parts)
    return (
        not installed
        and not filename.startswith("<")
        and _OWN not in path.parents
        and path.suffix == ".py"
        and (Path(os.__file__).parent not in path.parents)
    )
