"""Which tables does a person mean? Patterns of a configuration in; a yes or no for a table out.

``users``
    the table of that name in every schema of the search path. A table of that name in another schema is not meant.
``auth.users``
    that table.
``auth.*``, ``*.users``, ``tmp_*``
    ``*`` stands for any number of characters, within the schema or within the name.
``"Auth"."User*s"``
    a quoted part means itself: case counts and ``*`` is an asterisk. Unquoted parts are folded to lower case.

A reference may leave out its schema too; it then stands for that name in every schema of the search path.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

import msgspec

from truing.errors import ConfigurationError

_PART: Final = r'\s*(?:"((?:[^"]|"")+)"|([^".\s]+))\s*'
_PATTERN: Final = re.compile(rf"{_PART}(?:\.{_PART})?")


class TablePattern(msgspec.Struct, frozen=True):
    """One pattern.

    Attributes:
        text: as the person wrote it.
        schema: a regular expression; None for the schemas of the search path.
        name: a regular expression.
    """

    text: str
    schema: str | None
    name: str


class TablePatterns(msgspec.Struct, frozen=True):
    """Patterns, and the search path that unqualified names mean."""

    patterns: tuple[TablePattern, ...]
    search_path: tuple[str, ...] = ("public",)

    def match(self, schema: str | None, name: str) -> TablePattern | None:
        """Return the first pattern that means this table.

        Args:
            schema: None where the reference leaves it to the search path.
            name: as the catalog holds it.
        """
        return next((each for each in self.patterns if self._means(each, schema, name)), None)

    def _means(self, pattern: TablePattern, schema: str | None, name: str) -> bool:
        if not re.fullmatch(pattern.name, name, re.DOTALL):
            return False
        if pattern.schema is None:
            return schema is None or schema in self.search_path
        schemas = self.search_path if schema is None else (schema,)
        return any(re.fullmatch(pattern.schema, each, re.DOTALL) for each in schemas)


def table_patterns(
    texts: Iterable[str], search_path: Iterable[str] = ("public",), *, source: str = "forbidden-tables"
) -> TablePatterns:
    """Read patterns.

    Args:
        texts: as a person wrote them.
        search_path: the schemas of unqualified names.
        source: the setting they come from, for messages.

    Raises:
        ConfigurationError: a text is not one or two names.
    """
    return TablePatterns(tuple(_pattern(text, source) for text in texts), tuple(search_path))


def _pattern(text: str, source: str) -> TablePattern:
    match = _PATTERN.fullmatch(text)
    if match is None:
        raise ConfigurationError(
            f"{source}: not a table: {text!r}", hint='Write users, auth.users, auth.* or "Quoted"."Name".'
        )
    first, second = (_expression(*match.group(*groups)) for groups in ((1, 2), (3, 4)))
    if first is None:  # pragma: no cover - the expression has matched at least one part
        raise ValueError(text)
    return TablePattern(text, None, first) if second is None else TablePattern(text, first, second)


def _expression(quoted: str | None, plain: str | None) -> str | None:
    if quoted is not None:
        return re.escape(quoted.replace('""', '"'))
    return None if plain is None else ".*".join(map(re.escape, plain.lower().split("*")))
