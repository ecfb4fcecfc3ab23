"""How does PostgreSQL print this type? The tree of a type name goes in; the spelling of ``format_type`` comes out."""

from __future__ import annotations

from typing import Final

from truing.names import ident
from truing.sql.parse import Node, deparse_expression, parse_expression, parts

# The names of the grammar and of pg_type -> format_type(); "Data Types", Table 8.1. The typmod goes into the braces.
_SPELLING: Final = {
    "int2": "smallint",
    "int4": "integer",
    "int8": "bigint",
    "float4": "real",
    "float8": "double precision",
    "bool": "boolean",
    # Keywords of the grammar, which quoting would touch.
    "interval": "interval",
    "json": "json",
    "numeric": "numeric{}",
    "varchar": "character varying{}",
    "bpchar": "character{}",
    "bit": "bit{}",
    "varbit": "bit varying{}",
    "time": "time{} without time zone",
    "timetz": "time{} with time zone",
    "timestamp": "timestamp{} without time zone",
    "timestamptz": "timestamp{} with time zone",
}

SERIALS: Final = {
    "smallserial": "smallint",
    "serial2": "smallint",
    "serial": "integer",
    "serial4": "integer",
    "bigserial": "bigint",
    "serial8": "bigint",
}
"""The types that are none (documentation: "Serial Types") -> the type of the column that they make."""


def spelled(type_name: Node) -> str:
    """Spell a type.

    Args:
        type_name: a ``TypeName``.

    Returns:
        Its name as ``format_type`` prints it; the name of a type that is not built in stays qualified as it was
        written. A serial type becomes the integer type it stands for.
    """
    names = parts(type_name)
    element = _element(names, type_name)
    # PostgreSQL does not keep how many dimensions were declared.
    return element + ("[]" if len(type_name.array_bounds) else "")


def is_serial(type_name: Node) -> bool:
    """Tell whether a ``TypeName`` is ``serial`` or one of its sizes."""
    names = parts(type_name)
    return len(names) == 1 and names[0] in SERIALS


def _element(names: tuple[str, ...], type_name: Node) -> str:
    name = names[-1]
    if len(names) > 1 and names[0] != "pg_catalog":
        return ".".join(map(ident, names)) + _modifiers(type_name)
    if len(names) == 1 and name in SERIALS:
        return SERIALS[name]
    if name == "interval" and len(type_name.typmods):
        return _interval(type_name)
    if name == "char":
        # Quoted, it is the one-byte type of the catalogs; the keyword CHAR arrives here as bpchar.
        return '"char"'
    # Without a length, PostgreSQL prints the internal name of CHAR: blank-padded, of any length.
    spelling = "bpchar" if name == "bpchar" and not len(type_name.typmods) else _SPELLING.get(name)
    return spelling.format(_modifiers(type_name)) if spelling else ident(name) + _modifiers(type_name)


def _modifiers(type_name: Node) -> str:
    values = [deparse_expression(modifier) for modifier in type_name.typmods]
    if len(values) == 1 and parts(type_name)[-1] == "numeric":
        values.append("0")
    return f"({','.join(values)})" if values else ""


def _interval(type_name: Node) -> str:
    cast = parse_expression("NULL::interval")
    cast.type_cast.type_name.CopyFrom(type_name)
    cast.type_cast.type_name.ClearField("array_bounds")
    return deparse_expression(cast).partition("::")[2]
