"""Names of database objects, and THE quoting function.

Every identifier and every literal that reaches a statement goes through this module; nothing else puts quotes around
anything. Names come from databases and are hostile: they hold quotes, newlines, keywords and 63 bytes of anything.
"""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Final

import msgspec

MAX_IDENTIFIER_BYTES: Final = 63
"""``NAMEDATALEN - 1`` of every PostgreSQL build we know (documentation: "Identifiers and Key Words")."""

_PLAIN = re.compile(r"[a-z_][a-z0-9_]*", re.ASCII)

# One or two identifiers as the server's lexer reads them (src/backend/parser/scan.l): unquoted, a letter, an underscore
# or anything beyond ASCII begins one.
_PART = r'\s*(?:"((?:[^"\0]|"")+)"|([A-Za-z_\x80-\U0010ffff][A-Za-z0-9_$\x80-\U0010ffff]*))\s*'
_TYPED = re.compile(rf"{_PART}(?:\.{_PART})?", re.ASCII)
_FOLD: Final = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}

# Every keyword that quote_ident() would quote, which is each one not in category U of pg_get_keywords(); the union of
# PostgreSQL 14 to 18. tests/postgres/test_names.py compares it with the server.
_KEYWORDS: Final = frozenset(
    """
    all analyse analyze and any array as asc asymmetric authorization between bigint binary bit boolean both case cast
    char character check coalesce collate collation column concurrently constraint create cross current_catalog
    current_date current_role current_schema current_time current_timestamp current_user dec decimal default deferrable
    desc distinct do else end except exists extract false fetch float for foreign freeze from full grant greatest group
    grouping having ilike in initially inner inout int integer intersect interval into is isnull join json
    json_array json_arrayagg json_exists json_object json_objectagg json_query json_scalar json_serialize json_table
    json_value lateral leading least left like limit localtime localtimestamp merge_action national natural nchar none
    normalize not notnull null nullif numeric offset on only or order out outer overlaps overlay placing position
    precision primary real references returning right row select session_user setof similar smallint some substring
    symmetric system_user table tablesample then time timestamp to trailing treat trim true union unique user using
    values varchar variadic verbose when where window with xmlattributes xmlconcat xmlelement xmlexists xmlforest
    xmlnamespaces xmlparse xmlpi xmlroot xmlserialize xmltable
    """.split()  # noqa: SIM905 - a list of its own lines could not be compared with the documentation's
)


def ident(name: str) -> str:
    """Quote an identifier, as little as possible, so that plans stay readable.

    Args:
        name: the name as the catalog holds it (already folded; no quotes).

    Returns:
        The name, in double quotes where PostgreSQL would need them.

    Raises:
        ValueError: the name is empty or holds a NUL, which no PostgreSQL name can.
    """
    if not name or "\0" in name:
        raise ValueError(f"not a PostgreSQL identifier: {name!r}")
    if _PLAIN.fullmatch(name) and name not in _KEYWORDS:
        return name
    return '"' + name.replace('"', '""') + '"'


def literal(value: str | None) -> str:
    """Quote a string literal. Backslashes are safe under any ``standard_conforming_strings``.

    Args:
        value: the text; None gives ``NULL``.

    Raises:
        ValueError: the text holds a NUL, which PostgreSQL cannot store.
    """
    if value is None:
        return "NULL"
    if "\0" in value:
        raise ValueError("PostgreSQL text cannot hold a NUL character")
    quoted = value.replace("'", "''")
    return " E'" + quoted.replace("\\", "\\\\") + "'" if "\\" in value else f"'{quoted}'"


def idents(names: tuple[str, ...] | list[str], separator: str = ", ") -> str:
    """Quote several identifiers and join them."""
    return separator.join(map(ident, names))


def body(source: str) -> str:
    """Quote the body of a function with a dollar tag that does not occur in it, nor begins at its end."""
    tag, number = "$truing$", 0
    while (source + tag).index(tag) != len(source):
        number += 1
        tag = f"$truing{number}$"
    return f"{tag}{source}{tag}"


def block(source: str) -> str:
    """Write the statement that runs a block of PL/pgSQL, whatever names it holds."""
    return f"DO {body(source)}"


def derived(op_id: str, suffix: str) -> str:
    """Name a temporary object of an operation: ``__truing_<8 hex>_<suffix>``, never longer than 63 bytes.

    Args:
        op_id: the operation's identity; the same identity gives the same name in every run.
        suffix: what the object is; cut (on a character boundary) to what fits.
    """
    prefix = f"__truing_{sha256(op_id.encode()).hexdigest()[:8]}_"
    room = MAX_IDENTIFIER_BYTES - len(prefix)
    raw = suffix.encode()
    if len(raw) <= room:
        return prefix + suffix
    # Two long suffixes that differ only at their end must not become one name.
    digest = sha256(raw).hexdigest()[:6]
    return prefix + raw[: room - 7].decode(errors="ignore") + "_" + digest


_DERIVED = re.compile(r"__truing_[0-9a-f]{8}_")


def is_derived(name: str) -> bool:
    """Tell whether a name is one that :func:`derived` makes: what truing keeps beside a table, for the way back."""
    return _DERIVED.match(name) is not None


_OWN = re.compile(r"(?:__|zzzz_)truing_[0-9a-f]{8}_")


def is_own(name: str) -> bool:
    """Tell whether an operation has put this on a table until it is settled: what it keeps, or one of its triggers."""
    return _OWN.match(name) is not None


class QualifiedName(msgspec.Struct, frozen=True, order=True):
    """A name in a schema.

    Attributes:
        schema: the schema's name as the catalog holds it.
        name: the object's name as the catalog holds it.
    """

    schema: str
    name: str

    @property
    def sql(self) -> str:
        """The name, quoted and qualified, ready for a statement."""
        return f"{ident(self.schema)}.{ident(self.name)}"

    def __str__(self) -> str:
        return self.sql


def parse_qualified(text: str, default_schema: str = "public") -> QualifiedName:
    """Read a name a person typed: ``profiles``, ``app.profiles``, ``"we""ird"."Name"``.

    Unquoted parts are folded to lower case as PostgreSQL does it in UTF-8: ASCII letters only.

    Raises:
        ValueError: the text is not one or two identifiers.
    """
    match = _TYPED.fullmatch(text)
    if match is None:
        raise ValueError(f'not a table name: {text!r} (write name, schema.name or "Quoted"."Name")')
    first, second = (
        (quoted.replace('""', '"') if quoted else plain.translate(_FOLD)) if quoted or plain else None
        for quoted, plain in (match.group(1, 2), match.group(3, 4))
    )
    if first is None:  # pragma: no cover - the expression has matched at least one part
        raise ValueError(text)
    return QualifiedName(default_schema, first) if second is None else QualifiedName(first, second)
