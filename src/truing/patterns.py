"""Which tables does a person mean? Patterns of a configuration or an option in; a yes or no for a name out.

They mean the same wherever truing takes them (``unmanaged``, ``forbidden-tables``, ``tenant-schemas``,
``truing describe --tables``), and of views, sequences, functions and types what they mean of tables.

``users``
    the table of that name in every schema of the search path. A table of that name in another schema is not meant.
``auth.users``
    that table.
``auth.*``, ``*.users``, ``tmp_*``
    ``*`` stands for any number of characters, within the schema or within the name. Nothing else stands for others.
``"Auth"."User*s"``
    a quoted part means itself: case counts and ``*`` is an asterisk. Unquoted parts are folded to lower case.

A reference may leave out its schema too; it then stands for that name in every schema of the search path.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from typing import Final

import msgspec

from truing.errors import ConfigurationError
from truing.names import QualifiedName, ident

_PART: Final = r'\s*(?:"((?:[^"]|"")+)"|([^".\s]+))\s*'
_PATTERN: Final = re.compile(rf"{_PART}(?:\.{_PART})?")
_ALL: Final = ".*"


class TablePattern(msgspec.Struct, frozen=True):
    """One pattern.

    Attributes:
        text: as the person wrote it.
        schema: a regular expression; None for the schemas of the search path.
        name: a regular expression.
        unfolded: the same with the case that the person wrote; None where that is no other.
    """

    text: str
    schema: str | None
    name: str
    unfolded: tuple[str | None, str] | None = None


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

    def whole(self, schema: str) -> TablePattern | None:
        """Return the first pattern that means everything in a schema, such as ``auth.*``."""
        return next(
            (
                each
                for each in self.patterns
                if each.name == _ALL and each.schema is not None and _fits(each.schema, schema)
            ),
            None,
        )

    def nearly(self, names: Collection[QualifiedName]) -> Iterator[str]:
        """Say which names a person may have meant: of another schema, or in the case that was written.

        Args:
            names: of what there is.
        """
        rest = [name for name in sorted(names) if self.match(name.schema, name.name) is None]
        for each in self.patterns:
            path = ", ".join(map(ident, self.search_path)) or "nothing"
            if each.schema is None and (found := [name for name in rest if _fits(each.name, name.name)]):
                yield f"{each.text} means {path} alone, and *.{each.text} would mean {_some(found)} too"
            if each.unfolded is not None:
                schema, named = each.unfolded
                found = [
                    name for name in rest if _fits(named, name.name) and (schema is None or _fits(schema, name.schema))
                ]
                if found:
                    yield f"{each.text} means lower case, and {_some(found)} has to be written with its quotes"

    def _means(self, pattern: TablePattern, schema: str | None, name: str) -> bool:
        if not _fits(pattern.name, name):
            return False
        if pattern.schema is None:
            return schema is None or schema in self.search_path
        schemas = self.search_path if schema is None else (schema,)
        return any(_fits(pattern.schema, each) for each in schemas)


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


def fitting(text: str, names: Iterable[str], *, source: str) -> list[str]:
    """Choose the names of schemas that a pattern of one part means.

    Args:
        text: as a person wrote it.
        names: of what there is.
        source: the setting it comes from, for messages.

    Raises:
        ConfigurationError: it is not one name.
    """
    pattern = _pattern(text, source)
    if pattern.schema is not None:
        raise ConfigurationError(
            f"{source}: a name without a dot is wanted: {text!r}", hint='A dot within a name is quoted: "a.b".'
        )
    return [name for name in names if _fits(pattern.name, name)]


def _pattern(text: str, source: str) -> TablePattern:
    match = _PATTERN.fullmatch(text)
    if match is None:
        raise ConfigurationError(
            f"{source}: not a table: {text!r}", hint='Write users, auth.users, auth.* or "Quoted"."Name".'
        )
    if set("?[]") & set(f"{match[2]}{match[4] or ''}"):
        raise ConfigurationError(
            f"{source}: only * stands for other characters, which {text!r} has more of",
            hint='Write * for ? and [...]; a name that does hold such a character is quoted: "a?".',
        )
    parts = [_expression(*match.group(*groups)) for groups in ((1, 2), (3, 4)) if match.group(*groups) != (None, None)]
    schema, (name, unfolded) = parts[0] if len(parts) > 1 else None, parts[-1]
    folds = any(folded != written for folded, written in parts)
    return TablePattern(
        text,
        schema[0] if schema is not None else None,
        name,
        (schema[1] if schema is not None else None, unfolded) if folds else None,
    )


def _expression(quoted: str | None, plain: str | None) -> tuple[str, str]:
    """Write a part as a regular expression: as it is meant, and with the case that the person wrote."""
    if quoted is not None:
        exact = re.escape(quoted.replace('""', '"'))
        return exact, exact
    folded, written = (_ALL.join(map(re.escape, each.split("*"))) for each in ((plain or "").lower(), plain or ""))
    return folded, written


def _fits(expression: str, name: str) -> bool:
    return re.fullmatch(expression, name, re.DOTALL) is not None


def _some(names: list[QualifiedName]) -> str:
    return f"{names[0]}" + (f" and {len(names) - 1:,} more" if len(names) > 1 else "")
