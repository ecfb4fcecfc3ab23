"""What becomes of a value when its column changes type: one definition for the audit, the triggers and the passes.

PostgreSQL itself says what it can read (``pg_input_is_valid``, or a cast in an exception block before 16); outer
blanks are removed first. A value is of one class: ``clean`` (its text stays as it is), ``normalised`` (the same value,
written differently), or one of the dirty classes, whose fate the revision's policy decides.
"""

from __future__ import annotations

from typing import Final

import msgspec

from truing.changes import AlterColumnType, Dirty, DirtyPolicy
from truing.errors import UnsupportedChangeError
from truing.names import QualifiedName, body, ident, literal
from truing.versions import PostgresVersion

BLANKS: Final = r" E' \t\r\n\f\x0b'"
"""The characters that PostgreSQL's own input functions take for white space (``isspace`` in the C locale)."""

# uuid_in() reads 32 hexadecimal digits with a hyphen after any group of four, in braces or not.
_UUID: Final = "[0-9a-fA-F]{4}(-?[0-9a-fA-F]{4}){7}"
_PATTERNS: Final = {
    "uuid": rf"^({_UUID}|\{{{_UUID}\}})$",
    "boolean": "^(?i:t(r(u(e)?)?)?|f(a(l(s(e)?)?)?)?|y(e(s)?)?|n(o)?|on|of(f)?|1|0)$",
}
"""For a read-only look on a server before 16, where nothing can be asked without a function of our own."""
_INTEGERS: Final = {"smallint": 15, "integer": 31, "bigint": 63}
"""Likewise: the bits of a value of these types, besides its sign (documentation: "Numeric Types")."""

# Names of plpgsql variables that no column of anybody's table has.
_RAW: Final = "truing_raw"
_VALUE: Final = "truing_value"
_TEXT_OF: Final = "truing_text"

_TEXT: Final = ("text", "character varying", "character", "citext", "name", '"char"')


PINNED: Final = "".join(
    f" SET {name} FROM CURRENT" for name in ("TimeZone", "DateStyle", "IntervalStyle", "extra_float_digits")
)
"""For a function that is made: whoever calls it, it reads and writes text as the session of the runner does."""

_ALIKE: Final = ("uuid", "boolean", "smallint", "integer", "bigint", "numeric", "json", "jsonb")
"""Types that every session reads and writes alike, besides text."""


def _pinned(source_type: str, target_type: str) -> str:
    """Return the settings that a conversion needs; each costs a microsecond or so for every row."""
    alike = (is_text(type_) or type_.partition("(")[0] in _ALIKE for type_ in (source_type, target_type))
    return "" if all(alike) else PINNED


def is_text(type_: str) -> bool:
    """Tell whether a type, as ``format_type`` prints it, is one of text."""
    return type_.split("(", maxsplit=1)[0].strip() in _TEXT or type_.rsplit(".", maxsplit=1)[-1] == "citext"


class Conversion(msgspec.Struct, frozen=True):
    """How values of one column become values of another type.

    Attributes:
        change: what is asked for.
        source_type: the column's type now, as ``format_type`` prints it.
        nullable: whether the new column may hold NULL.
        version: the server's.
        function: the schema-qualified prefix of this conversion's functions, for example ``_truing.c_1a2b3c4d``.
    """

    change: AlterColumnType
    source_type: str
    nullable: bool
    version: PostgresVersion
    function: str = ""

    @property
    def dirty(self) -> Dirty:
        """The policies."""
        return self.change.dirty or Dirty()

    @property
    def from_text(self) -> bool:
        """Whether text is read as something else: its outer blanks mean nothing then, and blank text is no value."""
        return is_text(self.source_type) and not is_text(self.change.type)

    def trimmed(self, raw: str) -> str:
        """Return the expression of the value's text without outer blanks."""
        return f"pg_catalog.btrim({raw}::text,{BLANKS})" if self.from_text else f"{raw}::text"

    def is_valid(self, raw: str, *, read_only: bool = False) -> str:
        """Return the condition that PostgreSQL can read the (trimmed) text as the new type.

        Raises:
            UnsupportedChangeError: it cannot be known without a function of ours, and ``read_only`` forbids one.
        """
        if self.version.has("input-is-valid"):
            return f"pg_catalog.pg_input_is_valid({self.trimmed(raw)}, {literal(self.change.type)})"
        if not read_only:
            return f"{self.function}_valid({self.trimmed(raw)})"
        bits = _INTEGERS.get(self.change.type)
        if bits is not None:
            # The digits first: only then can the text be read as a number at all, whose size is the second question.
            text, top = self.trimmed(raw), 2**bits
            fits = f"{text}::numeric BETWEEN -{top} AND {top - 1}"
            return f"(CASE WHEN {text} ~ '^[+-]?0*[0-9]{{1,19}}$' THEN {fits} ELSE false END)"
        pattern = _PATTERNS.get(self.change.type)
        if pattern is None:
            raise UnsupportedChangeError(
                f"PostgreSQL {self.version} cannot be asked read-only whether text can be read as {self.change.type}",
                hint="PostgreSQL 16 and later can tell. The run itself can on every version.",
            )
        return f"({self.trimmed(raw)} ~ {literal(pattern)})"

    def class_of(self, raw: str, has_parent: str, *, read_only: bool = False) -> str:
        """Return the expression of a value's class.

        Args:
            raw: the expression of the value: a column, never a constant (PostgreSQL would evaluate the cast early).
            has_parent: the condition that the converted value has a parent row; ``true`` without a reference.
            read_only: use nothing but what every server has.
        """
        null = "" if self.nullable else f"WHEN {raw} IS NULL THEN 'null' "
        empty = f"WHEN {self.trimmed(raw)} = '' THEN 'empty' " if self.from_text else ""
        return (
            f"CASE {null}WHEN {raw} IS NULL THEN 'clean' {empty}"
            f"WHEN NOT {self.is_valid(raw, read_only=read_only)} THEN 'malformed' "
            f"WHEN NOT ({has_parent}) THEN 'orphan' "
            # COLLATE "C": a case-insensitive collation must not hide a normalisation.
            f"WHEN {raw}::text COLLATE \"C\" <> {self.cast(raw)}::text THEN 'normalised' ELSE 'clean' END"
        )

    def cast(self, raw: str) -> str:
        """Return the expression of the converted value, for text that is known to be valid."""
        return f"{self.trimmed(raw)}::{self.change.type}"

    def safe_cast(self, raw: str, *, read_only: bool = False) -> str:
        """Return the expression of the converted value, NULL for text that is not valid; for columns only."""
        return f"CASE WHEN {self.is_valid(raw, read_only=read_only)} THEN {self.cast(raw)} END"

    def convert(self, raw: str) -> str:
        """Return the call that gives the value the new column holds, policies included."""
        return f"{self.function}_convert({raw})"

    def functions(self) -> tuple[str, ...]:
        """Return the statements that make this conversion's functions.

        The conversion is written with IF, not as one expression: inside plpgsql a ``CASE WHEN valid THEN x::uuid``
        with a sub-select is planned with the value as a constant, PostgreSQL evaluates the cast while planning, and
        every write of a dirty value fails.
        """
        statements, pinned = [], _pinned(self.source_type, self.change.type)
        if not self.version.has("input-is-valid"):
            statements.append(
                f"CREATE OR REPLACE FUNCTION {self.function}_valid(value text) RETURNS boolean"
                f" LANGUAGE plpgsql STABLE STRICT{pinned} AS "
                + body(
                    f"DECLARE ignored {self.change.type}; BEGIN ignored := value::{self.change.type}; RETURN true;"
                    " EXCEPTION WHEN data_exception OR invalid_parameter_value THEN RETURN false; END"
                )
            )
        statements.append(
            f"CREATE OR REPLACE FUNCTION {self.function}_convert({_RAW} {self.source_type})"
            f" RETURNS {self.change.type} LANGUAGE plpgsql STABLE{pinned} AS {body(self._convert_body())}"
        )
        return tuple(statements)

    def _convert_body(self) -> str:
        type_, dirty = self.change.type, self.dirty
        null = "NULL" if self.nullable else self._given(dirty.null)
        lines = [f"DECLARE {_VALUE} {type_}; {_TEXT_OF} text; BEGIN", f"IF {_RAW} IS NULL THEN RETURN {null}; END IF;"]
        lines.append(f"{_TEXT_OF} := {self.trimmed(_RAW)};")
        if self.from_text:
            lines.append(f"IF {_TEXT_OF} = '' THEN RETURN {self._given(dirty.empty)}; END IF;")
        valid = (
            f"pg_catalog.pg_input_is_valid({_TEXT_OF}, {literal(type_)})"
            if self.version.has("input-is-valid")
            else f"{self.function}_valid({_TEXT_OF})"
        )
        lines.append(f"IF NOT {valid} THEN RETURN {self._given(dirty.malformed)}; END IF;")
        lines.append(f"{_VALUE} := {_TEXT_OF}::{type_};")
        reference = self.change.references
        if reference is not None and dirty.orphan != "create-parent":
            lines.append(
                f"IF NOT EXISTS (SELECT FROM {reference.table.sql} p WHERE p.{ident(reference.column)} = {_VALUE})"
                f" THEN RETURN {self._given(dirty.orphan)}; END IF;"
            )
        return "\n".join([*lines, f"RETURN {_VALUE};", "END"])

    def _given(self, policy: DirtyPolicy) -> str:
        """Return what a dirty value becomes; NULL where the row has to be dealt with otherwise."""
        if policy == "sentinel":
            return f"{literal(self.dirty.sentinel)}::{self.change.type}"
        if policy == "map" and self.dirty.map_table is not None:
            table = self.dirty.map_table.sql
            return f"(SELECT m.value::{self.change.type} FROM {table} m WHERE m.raw = {_RAW}::text)"
        return "NULL"


def parent_condition(conversion: Conversion, raw: str, alias: str = "parent") -> tuple[str, str]:
    """Return a LEFT JOIN and a condition that tell whether a value has a parent row, for read-only looks.

    Args:
        conversion: the conversion.
        raw: the expression of the value.
        alias: the parent's alias.

    Returns:
        ``("LEFT JOIN ...", "parent.id IS NOT NULL")``; ``("", "true")`` without a reference.
    """
    reference = conversion.change.references
    if reference is None:
        return "", "true"
    column = f"{ident(alias)}.{ident(reference.column)}"
    valid = conversion.safe_cast(raw, read_only=True)
    return f"LEFT JOIN {reference.table.sql} {ident(alias)} ON {column} = {valid}", f"{column} IS NOT NULL"


def parent_insert(reference_table: QualifiedName, column: str, value: str, parent: dict[str, str], source: str) -> str:
    """Return an INSERT of missing parent rows that tells which were made.

    Args:
        reference_table: the parent table.
        column: its key.
        value: the expression of the key over ``source``.
        parent: column -> text of the other columns.
        source: a FROM clause, or empty for a single row.
    """
    columns = "".join(f", {ident(name)}" for name in parent)
    # Untyped literals take the type of the column they are inserted into.
    values = "".join(f", {literal(text)}" for text in parent.values())
    return (
        f"INSERT INTO {reference_table.sql} ({ident(column)}{columns}) SELECT {value}{values} {source}"
        # ON CONFLICT alone is too late: a NOT NULL column of a row that is there already is checked before it.
        f" WHERE NOT EXISTS (SELECT FROM {reference_table.sql} there WHERE there.{ident(column)} = {value})"
        f" ON CONFLICT ({ident(column)}) DO NOTHING RETURNING {ident(column)}::text"
    )
