"""How is the diagram written for Mermaid, which GitHub and GitLab draw in a page? A graph in, ``erDiagram`` out.

Mermaid cannot quote most characters, so names are spelt with harmless ones; the tables of the page have them exactly.
"""

from __future__ import annotations

import re
from typing import Final

from truing.describe.graph import Arrow, Box, Graph, Line
from truing.describe.texts import slug

MOST: Final = 60
"""More boxes than this nobody can read, and Mermaid itself refuses some more (500 arrows, 50,000 characters)."""

_TEXT: Final = re.compile(r"[^\w .,()/:+*=\[\]-]")
_WORD: Final = re.compile(r"[^A-Za-z0-9_]+")
_TYPE: Final = re.compile(r"(.*?)(\([\d,]+\))?((?:\[\])*)", re.DOTALL)
_KEYS: Final = frozenset({"pk", "fk", "uk"})
_DIRECTION: Final = re.compile(r"(direction)\s+(?=TB|BT|RL|LR)", re.IGNORECASE)
"""Mermaid takes a whole line for a command where this is anywhere in it, also between quotes."""


def mermaid(graph: Graph) -> str:
    """Write the diagram."""
    lines = ["erDiagram"]
    for box in graph.boxes:
        lines += _entity(box)
    lines += [f"    {_relationship(arrow)}" for arrow in graph.arrows]
    return "\n".join(lines)


def _entity(box: Box) -> list[str]:
    head = f'    {_id(box)}["{_text(box.title)}"]'
    if not box.lines:
        return [head]
    return [f"{head} {{", *(f"        {_attribute(line)}" for line in box.lines), "    }"]


def _attribute(line: Line) -> str:
    name = _word(line.name)
    keys = f" {', '.join(line.keys)}" if line.keys else ""
    note = "" if name == line.name else f' "{_text(line.name)}"'
    return f"{_type(line.type)} {name}{keys}{note}"


def _relationship(arrow: Arrow) -> str:
    parent = "|o" if arrow.optional else "||"
    child = "o|" if arrow.single else "o{"
    label = ", ".join(arrow.columns)
    label += "" if arrow.on_delete == "NO ACTION" else f" ({arrow.on_delete.lower()})"
    return f'{_name(arrow.parent.sql)} {parent}--{child} {_name(arrow.child.sql)} : "{_text(label)}"'


def _id(box: Box) -> str:
    return _name(box.name.sql)


def _name(sql: str) -> str:
    # An identifier of ours: never one of Mermaid's words, and always of a letter first.
    return f"t_{slug(sql)}"


def _word(text: str) -> str:
    word = _WORD.sub("_", text)
    if word.lower() in _KEYS:
        return f"{word}_"
    return word if re.match("[A-Za-z]", word) else f"x{word}"


def _type(printed: str) -> str:
    match = _TYPE.fullmatch(printed)
    if match is None:  # pragma: no cover - it matches anything
        return _word(printed)
    return _word(match[1]) + (match[2] or "").replace(",", "_") + match[3]


def _text(text: str) -> str:
    return _DIRECTION.sub(r"\1_", _TEXT.sub("_", text)) or "_"
