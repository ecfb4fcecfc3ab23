"""Which findings does a person allow, and why? Source goes in; the suppression comments in it come out.

A suppression is a comment ``truing: allow NAME -- reason`` (several names with commas): in SQL after ``--`` or inside
``/* */``, in Python after ``#``. It stands on the line of what it allows, or on the lines right above. The reason is
required: without it the comment allows nothing and is reported.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterable
from typing import Final

import msgspec

from truing.errors import SqlSyntaxError
from truing.sql.parse import comments

_MARK: Final = re.compile(r"^(?:--+|/\*+|#+)?\s*truing\s*:\s*(?P<rest>.*?)\s*(?:\*/)?$", re.DOTALL)
_ALLOW: Final = re.compile(
    r"^allow\b\s*(?P<names>[\w.-]+(?:\s*,\s*[\w.-]+)*)?\s*(?:(?:--|—)\s*(?P<reason>\S.*))?$", re.DOTALL
)


class Suppression(msgspec.Struct, frozen=True):
    """One suppression comment.

    Attributes:
        names: the rules that it allows.
        reason: why.
        line: the line that the comment is on, from 1.
        target: the line of what it allows: its own, or the next one that holds more than comments.
        problem: why the comment cannot be used; empty when it can.
    """

    names: tuple[str, ...]
    reason: str
    line: int
    target: int
    problem: str = ""

    def allows(self, rule: str, first: int, last: int | None = None) -> bool:
        """Tell whether it allows a rule on a statement that goes from line ``first`` to ``last``."""
        inside = first <= self.target <= (first if last is None else last)
        return not self.problem and rule in self.names and inside


def sql_suppressions(sql: str) -> tuple[Suppression, ...]:
    """Find the suppressions of an SQL text; none when it cannot be cut into words."""
    try:
        found = comments(sql)
    except SqlSyntaxError:
        return ()
    lines = sql.splitlines()
    bare = {
        line
        for comment in found
        for line in range(comment.line, comment.line + comment.text.count("\n") + 1)
        if _only_comment(lines[line - 1])
    }
    bare |= {number for number, line in enumerate(lines, 1) if not line.strip()}
    return _suppressions(((comment.text, comment.line) for comment in found), bare, len(lines))


def python_suppressions(source: str) -> tuple[Suppression, ...]:
    """Find the suppressions of a Python source; a comment inside a statement of several lines targets its first line.

    Returns:
        Them in order; none when the source cannot be read as Python.
    """
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
        first_lines = _first_lines(ast.parse(source))
    except (SyntaxError, tokenize.TokenError, ValueError):
        return ()
    found = [(token.string, token.start[0]) for token in tokens if token.type == tokenize.COMMENT]
    blank = {tokenize.COMMENT, tokenize.NL, tokenize.INDENT, tokenize.DEDENT}
    lines = source.splitlines()
    full = {n for t in tokens if t.type not in blank and t.string.strip() for n in range(t.start[0], t.end[0] + 1)}
    bare = set(range(1, len(lines) + 1)) - full
    return tuple(
        msgspec.structs.replace(one, target=first_lines.get(one.target, one.target))
        for one in _suppressions(found, bare, len(lines))
    )


def _suppressions(found: Iterable[tuple[str, int]], bare: set[int], last: int) -> tuple[Suppression, ...]:
    result = []
    for text, line in found:
        mark = _MARK.match(text)
        if mark is None:
            continue
        target = line
        while target in bare and target < last:
            target += 1
        result.append(_read(mark["rest"], line, target))
    return tuple(result)


def _read(rest: str, line: int, target: int) -> Suppression:
    allow = _ALLOW.match(rest)
    if allow is None or not allow["names"]:
        return Suppression((), "", line, target, "write: truing: allow NAME -- reason")
    names = tuple(name.strip() for name in allow["names"].split(","))
    if not allow["reason"]:
        return Suppression(names, "", line, target, f"say why: truing: allow {', '.join(names)} -- reason")
    return Suppression(names, allow["reason"].strip(), line, target)


def _only_comment(line: str) -> bool:
    stripped = line.strip()
    return stripped.startswith(("--", "/*")) or stripped.endswith("*/")


def _first_lines(tree: ast.Module) -> dict[int, int]:
    """Line -> the line on which the innermost simple statement around it begins."""
    lines: dict[int, int] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.stmt) and not hasattr(node, "body"):
            lines.update(dict.fromkeys(range(node.lineno, (node.end_lineno or node.lineno) + 1), node.lineno))
    return lines
