"""How is text from a database written into Markdown without harm? Names, comments and definitions go in.

Names are hostile: a backtick ends a code span, a pipe a table's cell, a line break the table, and HTML would be run.
What comes out is shown as it is in the catalog, by GitHub, GitLab, MkDocs and Sphinx alike.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from hashlib import sha256
from typing import Final

from truing.visible import spelled

_ENTITIES: Final = {ord(each): f"&#{ord(each)};" for each in "\\`|<>&*_[]{}~#!$\"'@"}
_PROSE: Final = {number: entity for number, entity in _ENTITIES.items() if chr(number) not in "'\"@!"}
_PLAIN_CODE: Final = re.compile(r"[^\s`|\\](?:[^`|\\]*[^\s`|\\])?")
_LINE_START: Final = re.compile(r"[-+=]|\d+[.)]")


def visible(text: str, *, multiline: bool = False) -> str:
    r"""Show what cannot be seen as Python would spell it; line breaks stay only in ``multiline`` text."""
    return "".join(each if multiline and each in "\n\t" else spelled(each) for each in text)


def code(text: str) -> str:
    """Write a name or an expression as code, for a paragraph, a heading or a cell."""
    shown = visible(text)
    if _PLAIN_CODE.fullmatch(shown):
        return f"`{shown}`"
    # No code span can hold these: a pipe after a backslash splits the cell whatever is done. Entities always work.
    return f"<code>{_within_words(shown.translate(_ENTITIES))}</code>"


def codes(texts: Iterable[str]) -> str:
    """Write several names as code, with commas."""
    return ", ".join(map(code, texts))


def prose(text: str | None) -> str:
    """Write somebody's comment as one line of plain text."""
    if not text:
        return ""
    words = " ".join(visible(each) for each in text.split())
    escaped = _within_words(words.translate(_PROSE))
    start = _LINE_START.match(escaped)
    if start is None:
        return escaped
    last = start.end() - 1
    return f"{escaped[:last]}&#{ord(escaped[last])};{escaped[last + 1 :]}"


def _within_words(text: str) -> str:
    """An underscore within a word is no emphasis, and whoever reads the source should be able to."""
    return re.sub(r"(?<=\w)&#95;(?=\w)", "_", text)


def fenced(text: str, language: str) -> str:
    """Write a definition as a block of code."""
    shown = visible(text.strip("\n"), multiline=True)
    longest = max((len(each) for each in re.findall(r"`+", shown)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{shown}\n{fence}"


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Write a table; its cells are Markdown already. A column that is empty in every row is left out."""
    body = list(rows)
    used = [number for number, _ in enumerate(head) if any(each[number] for each in body)]
    lines = [tuple(head[number] for number in used), *(tuple(each[number] for number in used) for each in body)]
    first, *rest = ("| " + " | ".join(each) + " |" for each in lines)
    return "\n".join([first, "|" + "---|" * len(used), *rest])


def slug(text: str) -> str:
    """Make an identifier of ASCII letters, digits and hyphens; what is lost on the way is told apart by a hash."""
    plain = re.sub(r"[^a-z0-9_]+", "-", text.lower(), flags=re.ASCII).strip("-")
    if re.fullmatch(r"[a-z0-9_]+(?:\.[a-z0-9_]+)*", text, re.ASCII):
        return plain
    return f"{plain or 'x'}-{sha256(text.encode(errors='backslashreplace')).hexdigest()[:6]}"
