"""Which names does the text of a function body mention? For languages that no parser here reads, above all PL/pgSQL.

Comments and string constants are skipped (a string that is run with EXECUTE cannot be told from one that is not). A
name counts where SQL expects a relation: after FROM, JOIN, INTO, UPDATE, TABLE, ONLY, USING and REFERENCES, or before
``%ROWTYPE`` and ``%TYPE``. What comes out is a hint, not a proof; findings from here say so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

_TOKEN: Final = re.compile(
    r"""
    (?P<skip> --[^\n]* | /\*.*?\*/ | [eE]'(?:[^'\\]|''|\\.)*' | '(?:[^']|'')*' | \$(\w*)\$.*?\$\2\$ )
  | (?P<name> (?:"(?:[^"]|"")+"|[^\W\d][\w$]*) (?:\s*\.\s*(?:"(?:[^"]|"")+"|[^\W\d][\w$]*))* )
  | (?P<mark> %\s*(?:row)?type\b | [,()] )
  | (?P<other> \S )
    """,
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)
_PART: Final = re.compile(r'"((?:[^"]|"")+)"|([^".\s]+)')
_BEFORE_RELATION: Final = frozenset({"from", "join", "into", "update", "table", "only", "using", "references"})
_PASSED_OVER: Final = frozenset({"lateral", "if", "exists", "not"})
"""What may stand between such a word and the relation."""

_KEYWORDS: Final = _BEFORE_RELATION | _PASSED_OVER | {"select", "set", "values"}


def mentioned(body: str) -> Iterator[tuple[str | None, str, int]]:
    """Find the relations that a program text mentions.

    Args:
        body: the text between the quotes of a function.

    Yields:
        Schema (None when it is left out), name, and the character offset.
    """
    expects, in_list = False, False
    pending: tuple[tuple[str, ...], int] | None = None
    for token in _TOKEN.finditer(body):
        if token["skip"]:
            continue
        if token["mark"] and token["mark"].startswith("%") and pending:
            # profiles.tenant_id%TYPE names a column: what is before it is the relation.
            words = pending[0] if "row" in token["mark"].lower() else pending[0][:-1]
            if words:
                yield *_qualified(words), pending[1]
        pending = None
        if token["name"]:
            words = _words(token["name"])
            keyword = words[0].lower() if len(words) == 1 and not token["name"].startswith('"') else ""
            if keyword in _KEYWORDS:
                expects, in_list = keyword in _BEFORE_RELATION or (expects and keyword in _PASSED_OVER), False
                continue
            if expects:
                yield *_qualified(words), token.start()
            # FROM a, b: after a relation and its alias, a comma goes on with the list.
            in_list, expects = expects or in_list, False
            pending = (words, token.start())
        elif token["mark"] == ",":
            expects = in_list
        else:
            expects, in_list = False, False


def _words(chain: str) -> tuple[str, ...]:
    return tuple(quoted.replace('""', '"') if quoted else plain.lower() for quoted, plain in _PART.findall(chain))


def _qualified(words: tuple[str, ...]) -> tuple[str | None, str]:
    return (words[-2], words[-1]) if len(words) > 1 else (None, words[-1])
