"""The document as JSON, and the JSON Schema that it keeps to.

The schema is generated from the types of :mod:`truing.report.document` and committed beside this file, so that a change
of the format is seen in review. Print it anew with ``python -m truing.report.json``.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Final

import msgspec

from truing.report.document import VERSION, Document

SCHEMA_FILE: Final = Path(__file__).with_name(f"schema-v{VERSION}.json")


def encode(document: Document) -> str:
    """Write the document as indented JSON with a line break at its end."""
    # A lone surrogate cannot be written as UTF-8; PostgreSQL cannot hold one, but a file name of a person's can.
    return msgspec.json.format(msgspec.json.encode(_whole(msgspec.to_builtins(document))), indent=2).decode() + "\n"


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
