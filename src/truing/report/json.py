"""The document as JSON, and the JSON Schema that it keeps to.

The schema is generated from the types of :mod:`truing.report.document` and committed beside this file, so that a change
of the format is seen in review. Print it anew with ``python -m truing.report.json``.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any, Final

import msgspec

from truing.report.document import VERSION, Document
from truing.visible import is_seen

SCHEMA_FILE: Final = Path(__file__).with_name(f"schema-v{VERSION}.json")

_LOG_COMMAND: Final = re.compile(r"#(?=#\w*\[)")
"""See :data:`truing.report.clean`; in JSON, ``::`` never begins a line."""


def encode(document: Document) -> str:
    """Write the document as indented JSON with a line break at its end."""
    return write(msgspec.to_builtins(document))


def write(value: Any) -> str:
    """Write plain values as indented JSON that does no harm to a terminal or the log of a CI system.

    What cannot be seen is escaped, as is what begins a command of a log; a reader of the JSON gets the same values.
    """
    # A lone surrogate cannot be written as UTF-8; PostgreSQL cannot hold one, but a file name of a person's can.
    text = msgspec.json.format(msgspec.json.encode(_whole(value)), indent=2).decode()
    shown = text if text.isascii() and "\x7f" not in text else "".join(map(_escaped, text))
    return _LOG_COMMAND.sub(r"\\u0023", shown) + "\n"


def _escaped(character: str) -> str:
    if character in " \n" or is_seen(character):
        return character
    units = character.encode("utf-16-be")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))


def _whole(value: Any) -> Any:
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {_whole(key): _whole(each) for key, each in value.items()}
    return [_whole(each) for each in value] if isinstance(value, list | tuple) else value


def schema() -> str:
    """Generate the JSON Schema (draft 2020-12) of the document."""
    generated = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"truing report, version {VERSION}",
        **msgspec.json.schema(Document),
    }
    return msgspec.json.format(msgspec.json.encode(generated), indent=2).decode() + "\n"


if __name__ == "__main__":
    sys.stdout.write(schema())
