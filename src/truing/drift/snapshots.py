"""What was this database, when somebody looked? A versioned JSON file, written and read; no secret is ever in it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, Literal

import msgspec

import truing
from truing.catalog.model import Snapshot
from truing.errors import UsageError

FORMAT: Final = "truing-snapshot"
VERSION: Final = 1
_NUL: Final = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """A snapshot with what is needed to compare it later.

    Attributes:
        snapshot: the database.
        revisions: the revisions it was stamped with; None where it had no table for them.
        search_path: the schemas that unqualified names meant for whoever looked.
        runner: the role that owns Alembic's table, and so runs the migrations.
        taken: when, in UTC.
    """

    snapshot: Snapshot
    revisions: tuple[str, ...] | None = None
    search_path: tuple[str, ...] = ("public",)
    runner: str = ""
    taken: str = ""


class _File(Taken, frozen=True, kw_only=True):
    """The file: what it is, then what is in it."""

    format: Literal["truing-snapshot"] = FORMAT
    version: int = VERSION
    tool: str = ""


class _Head(msgspec.Struct, frozen=True):
    """What every version of the format begins with."""

    format: str
    version: int


def encode(taken: Taken) -> bytes:
    """Write a snapshot as a JSON document, one value per line so that a review shows what changed."""
    fields = {name: getattr(taken, name) for name in Taken.__struct_fields__}
    whole = _File(tool=f"truing {truing.__version__}", **fields)
    return msgspec.json.format(msgspec.json.encode(whole), indent=1) + b"\n"


def decode(data: bytes, name: str) -> Taken:
    """Read a snapshot file.

    Args:
        data: its content.
        name: what to call it in a message.

    Raises:
        UsageError: it is not JSON, cut off, not a snapshot, or of a newer version.
    """
    try:
        head = msgspec.json.decode(data, type=_Head)
    except msgspec.ValidationError:
        raise UsageError(f"{name} is JSON, but no snapshot of a database.", hint=_HINT) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        what = "cut off in the middle" if "truncated" in str(error) and data.strip() else "not JSON"
        raise UsageError(f"{name} is {what}, so it cannot be compared.", hint=_HINT) from None
    if head.format != FORMAT:
        raise UsageError(f"{name} is JSON, but no snapshot of a database.", hint=_HINT)
    if head.version > VERSION:
        raise UsageError(
            f"{name} is a snapshot of version {head.version}; this truing reads up to version {VERSION}.",
            hint="Update truing, or write the file anew with this one: truing snapshot -o FILE",
        )
    if _NUL.search(data):
        raise UsageError(f"{name} is a damaged snapshot: it holds a NUL, which PostgreSQL cannot.", hint=_HINT)
    try:
        return msgspec.json.decode(data, type=_File)
    except msgspec.ValidationError as error:
        raise UsageError(f"{name} is a damaged snapshot: {error}", hint=_HINT) from None


def read(path: Path) -> Taken:
    """Read a snapshot file.

    Raises:
        UsageError: it cannot be read, or is no snapshot; see :func:`decode`.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}", hint=_HINT) from None
    return decode(data, str(path))


_HINT: Final = "Write one with: truing snapshot -o FILE"
