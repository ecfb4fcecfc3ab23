"""Do these two texts mean the same? Decided by the parse tree, and for constants by PostgreSQL on a scratch server.

Never on the live database, and nothing is evaluated but constants and casts to types of ``pg_catalog``: no function is
called, so there is nothing volatile in it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from typing import Any, Final

import psycopg

from truing.catalog.diff import Difference
from truing.errors import SqlSyntaxError
from truing.sql import parse as sql

_NOW: Final = frozenset({"now", "transaction_timestamp"})
_EXPRESSIONS: Final = frozenset({"default", "expression", "predicate", "using", "check", "not null"})
_CONSTANT: Final = frozenset(
    {"A_Const", "TypeCast", "TypeName", "String", "Integer", "Float", "Boolean", "A_ArrayExpr"}
)
# Written as a constant, but what it means depends on the moment (documentation: "Special Date/Time Inputs").
_MOMENT: Final = re.compile(r"'\s*(now|today|tomorrow|yesterday|allballs)", re.IGNORECASE)
_SAFE_TEXT: Final = frozenset({"text", "varchar", "bpchar", "character varying"})


class Judge:
    """Tells whether both texts of a difference mean the same; asks a scratch server only where it has to."""

    def __init__(self, connect: Callable[[], psycopg.Connection[Any]]) -> None:
        """Remember how to get a connection to a scratch database, which may take a second the first time."""
        self._connect = connect
        self._connection: psycopg.Connection[Any] | None = None

    def __call__(self, difference: Difference) -> bool:
        """Judge a difference."""
        before, after = difference.before, difference.after
        if before is None or after is None:
            return False
        if difference.attribute in _EXPRESSIONS:
            return self._expressions(before, after)
        if difference.attribute == "definition":
            return canonical_statement(before) == canonical_statement(after) is not None
        return False

    def close(self) -> None:
        """Close the connection, if one was needed."""
        if self._connection is not None:
            self._connection.close()

    def _expressions(self, before: str, after: str) -> bool:
        one, other = canonical(before), canonical(after)
        if one is not None and one == other:
            return True
        return _constant(before) and _constant(after) and self._same_value(before, after)

    def _same_value(self, before: str, after: str) -> bool:
        if self._connection is None:
            self._connection = self._connect()
        try:
            with self._connection.transaction(force_rollback=True):
                # Compared as text, since json has no equality; a value of jsonb and one of json print alike when both
                # are read as jsonb.
                row = self._connection.execute(_comparison(before, after).encode()).fetchone()
        except psycopg.Error:
            return False
        return bool(row and row[0])


def _comparison(before: str, after: str) -> str:
    if all(re.search(r"::jsonb?\b", text) for text in (before, after)):
        return f"SELECT ({before})::text::jsonb = ({after})::text::jsonb"
    return f"SELECT ({before})::text = ({after})::text"


def _constant(expression: str) -> bool:
    if _MOMENT.search(expression):
        return False
    try:
        node = sql.parse_expression(expression)
    except SqlSyntaxError:
        return False
    for each in sql.walk(node):
        kind = sql.kind(each)
        if kind not in _CONSTANT:
            return False
        if kind == "TypeName" and len(sql.parts(each)) > 1 and sql.parts(each)[0] != "pg_catalog":
            return False
    return True


def canonical(expression: str) -> str | None:
    """Write an expression in one of its spellings; None where it cannot be read."""
    try:
        node = sql.parse_expression(expression)
        return sql.deparse_expression(sql.replace(node, _simpler))
    except SqlSyntaxError:
        return None


_CHECK: Final = re.compile(r"^CHECK \((.*)\)((?: NO INHERIT| NOT VALID| NOT ENFORCED)*)$", re.DOTALL)


def canonical_statement(definition: str) -> str | None:
    """Write a definition (CHECK, CREATE INDEX, CREATE VIEW's query ...) in one of its spellings."""
    check = _CHECK.match(definition)
    if check is not None:
        expression = canonical(check[1])
        return None if expression is None else f"CHECK ({expression}){check[2]}"
    try:
        statements = sql.parse(definition)
        if len(statements) != 1:
            return None
        return sql.deparse(sql.replace(sql.clone(statements[0].node), _simpler))
    except SqlSyntaxError:
        return None


def _simpler(node: Any) -> Any | None:
    """Give a node's simplest spelling; None where it has no other."""
    match sql.kind(node):
        case "SQLValueFunction" if sql.enum_name(node, "op") == "SVFOP_CURRENT_TIMESTAMP":
            return sql.parse_expression("now()")
        case "FuncCall" if not node.args and _is_built_in(sql.parts(node.funcname), _NOW):
            return sql.parse_expression("now()")
        case "TypeCast" if _is_text(node):
            # A quoted text is of unknown type until its place gives it one; saying that it is text changes nothing.
            return node.arg
        case "A_Expr" if sql.enum_name(node, "kind") in {"AEXPR_OP_ANY", "AEXPR_OP_ALL"}:
            return _sorted(node)
    return None


def _is_built_in(name: Sequence[str], names: Collection[str]) -> bool:
    """Tell whether a name is one of PostgreSQL's own: everybody else's is printed with its schema."""
    return name[-1] in names and (len(name) == 1 or name[0] == "pg_catalog")


def _sorted(node: Any) -> Any | None:
    """Sort the values of ``= ANY (ARRAY[...])``, or ALL: which of them comes first does not matter there."""
    copy = sql.clone(node)
    inner = copy.rexpr
    while sql.kind(inner) == "TypeCast":
        inner = sql.unwrap(inner).arg
    if sql.kind(inner) != "A_ArrayExpr":
        return None
    array = sql.unwrap(inner)
    ordered = sorted((sql.clone(each) for each in array.elements), key=sql.deparse_expression)
    del array.elements[:]
    array.elements.extend(ordered)
    return copy


def _is_text(node: Any) -> bool:
    words = sql.parts(node.type_name)
    if sql.kind(node.arg) == "A_Const" and sql.has(node.arg, "sval"):
        # Blanks at the end of a bpchar count for nothing, and at the end of a text they do.
        constant = words[-1] != "bpchar" or not sql.unwrap(node.arg).sval.sval.endswith(" ")
    else:
        constant = sql.kind(node.arg) == "A_ArrayExpr"
    plain = not node.type_name.typmods
    return constant and plain and _is_built_in(words, _SAFE_TEXT)
