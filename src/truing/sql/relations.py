"""Which relations does a statement name, and which program texts does it carry? A statement goes in, names come out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from truing.errors import SqlSyntaxError
from truing.sql.parse import Node, Statement, enum_name, fields, has, kind, parse_expression, parts, unwrap


class Relation(NamedTuple):
    """A table, view or sequence that a statement names.

    ``schema`` is None where the statement leaves it to the search path; ``location`` is a byte offset of the source,
    -1 where the parser keeps none.
    """

    schema: str | None
    name: str
    location: int


def relations(statement: Statement | Node) -> tuple[Relation, ...]:
    """Return every relation that a statement names: also in sub-selects, CTEs, foreign keys, DROP and COMMENT.

    Names of CTEs are left out where they hide a table. Constants cast to ``regclass`` count; text of function bodies
    does not (see :func:`bodies`).
    """
    root = statement.node if isinstance(statement, Statement) else unwrap(statement)
    found = list(_named_objects(root))
    stack: list[tuple[Node, frozenset[str]]] = [(root, frozenset())]
    while stack:
        node, hidden = stack.pop()
        match kind(node):
            case "RangeVar":
                if node.schemaname or node.relname not in hidden:
                    found.append(Relation(node.schemaname or None, node.relname, node.location))
                continue
            case "TypeCast" if parts(node.type_name)[-1] == "regclass":
                found.extend(_regclass(node))
        stack.extend(_scoped_children(node, hidden))
    return tuple(dict.fromkeys(sorted(found, key=lambda relation: relation.location)))


def bodies(statement: Statement | Node) -> tuple[tuple[str, str, int], ...]:
    """Return the quoted program texts of ``CREATE FUNCTION``, ``CREATE PROCEDURE`` and ``DO``.

    Returns:
        For each: its language (lower case; ``plpgsql`` where DO names none), the text, and the byte offset of its AS.
    """
    node = statement.node if isinstance(statement, Statement) else unwrap(statement)
    if kind(node) not in {"CreateFunctionStmt", "DoStmt"}:
        return ()
    options = [unwrap(option) for option in (node.options if kind(node) == "CreateFunctionStmt" else node.args)]
    language = next((option.arg.string.sval.lower() for option in options if option.defname == "language"), "")
    texts = []
    for option in options:
        if option.defname == "as":
            body = unwrap(option.arg)
            text = parts(body)[0] if kind(body) == "List" else body.sval
            texts.append((language or ("plpgsql" if kind(node) == "DoStmt" else "sql"), text, option.location))
    return tuple(texts)


def _scoped_children(node: Node, hidden: frozenset[str]) -> list[tuple[Node, frozenset[str]]]:
    """Return the children of a node, each with the CTE names that hide tables from it."""
    children = []
    inside = hidden
    if has(node, "with_clause"):
        queries = [unwrap(cte) for cte in node.with_clause.ctes]
        inside = hidden | {cte.ctename for cte in queries}
        before = hidden
        for cte in queries:
            children.append((cte, inside if node.with_clause.recursive else before))
            before |= {cte.ctename}
    for name, child in fields(node):
        if name != "with_clause":
            # What INSERT, UPDATE, DELETE and MERGE change is a table, whatever the CTEs are called.
            is_target = name == "relation" and kind(node) in {"InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt"}
            children.append((unwrap(child), hidden if is_target else inside))
    return children


_RELATION_KINDS: Final = frozenset(
    {"OBJECT_TABLE", "OBJECT_VIEW", "OBJECT_MATVIEW", "OBJECT_SEQUENCE", "OBJECT_FOREIGN_TABLE"}
)
_PART_KINDS: Final = frozenset(
    {"OBJECT_COLUMN", "OBJECT_TABCONSTRAINT", "OBJECT_TRIGGER", "OBJECT_POLICY", "OBJECT_RULE"}
)


def _named_objects(node: Node) -> Iterator[Relation]:
    """Visit the relations that DROP, COMMENT and SECURITY LABEL name as plain lists of words."""
    match kind(node):
        case "DropStmt":
            objects, object_type = list(node.objects), enum_name(node, "remove_type")
        case "CommentStmt" | "SecLabelStmt":
            objects, object_type = [node.object], enum_name(node, "objtype")
        case _:
            return
    if object_type not in _RELATION_KINDS | _PART_KINDS:
        return
    for named in objects:
        words = parts(named)
        words = words if object_type in _RELATION_KINDS else words[:-1]
        if words:
            yield Relation(words[-2] if len(words) > 1 else None, words[-1], -1)


def _regclass(cast: Node) -> Iterator[Relation]:
    constant = unwrap(cast.arg)
    if kind(constant) != "A_Const" or not constant.HasField("sval"):
        return
    try:
        words = parts(parse_expression(constant.sval.sval))
    except (SqlSyntaxError, AttributeError):
        return
    if words:
        yield Relation(words[-2] if len(words) > 1 else None, words[-1], constant.location)
