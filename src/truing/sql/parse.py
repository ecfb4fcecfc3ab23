"""What is the syntax tree of this SQL, and what SQL is this tree? Text goes in and out; nothing is executed.

The one module that imports the parser (``postgast``: libpg_query, PostgreSQL's own grammar). A :data:`Node` is
opaque to everybody who only passes it on; who looks inside (``lower``, the rewriting of expressions) finds the fields
that libpg_query's protobuf definition names, and asks :func:`kind` what it is.

Offsets of the tree count UTF-8 **bytes**, not characters; use :meth:`Statement.line_at` instead of slicing with them.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable, Iterator
from functools import cache
from types import ModuleType
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec
import postgast
from google.protobuf.message import DecodeError, EncodeError
from postgast import pg_query_pb2 as pb

from truing.errors import SqlSyntaxError

Node: TypeAlias = Any
"""A node of a syntax tree (a protobuf message). Mutable: take a :func:`clone` before changing one you did not make."""

_DEEPEST_TEXT: Final = 20_000
"""Bytes of SQL that may nest deeper than protobuf's limit of 100: deeper trees could overflow the C stack."""


class Statement(msgspec.Struct, frozen=True):
    """One statement of a text.

    Attributes:
        text: the statement, without the semicolon and without comments before it.
        node: its tree, for example a ``CreateStmt``.
        offset: where it begins in the source, in bytes.
        line: the line of the source it begins on, from 1.
        source: the whole text it was found in; locations inside ``node`` are byte offsets into it.
    """

    text: str
    node: Node
    offset: int
    line: int
    source: str

    @property
    def kind(self) -> str:
        """The kind of its tree, for example ``AlterTableStmt``."""
        return kind(self.node)

    def line_at(self, location: int) -> int:
        """Return the line of the source, from 1, at a node's ``location`` (negative: the statement's own line)."""
        return self.line if location < 0 else _line(self.source.encode(), location)


class Comment(NamedTuple):
    """A comment of a text with its marks (``--`` or ``/* */``), its byte offset and its line, from 1."""

    text: str
    offset: int
    line: int


def parse(sql: str) -> tuple[Statement, ...]:
    """Read SQL as PostgreSQL does.

    Args:
        sql: any number of statements; PL/pgSQL inside quotes stays text.

    Returns:
        The statements in order; none for blank text and comments.

    Raises:
        SqlSyntaxError: PostgreSQL would refuse the text; the fields ``line`` and ``column`` (from 1) say where.
    """
    tree = _parsed(sql)
    source = sql.encode()
    statements = []
    for raw in tree.stmts:
        start = raw.stmt_location
        end = start + raw.stmt_len if raw.stmt_len else len(source)
        text = source[start:end].decode()
        # Up to PostgreSQL 17's grammar the location included blanks; counting them here keeps the line right.
        start += len(text.encode()) - len(text.lstrip().encode())
        statements.append(Statement(text.strip(), unwrap(raw.stmt), start, _line(source, start), sql))
    return tuple(statements)


def deparse(tree: Statement | Node) -> str:
    """Write a statement's tree as SQL.

    Args:
        tree: a statement, or the node of one. (For an expression see :func:`deparse_expression`.)

    Returns:
        SQL with the same meaning; comments and layout are gone.

    Raises:
        SqlSyntaxError: the tree is not one that SQL can be written for.
    """
    result = pb.ParseResult()
    _wrap_into(result.stmts.add().stmt, tree.node if isinstance(tree, Statement) else tree)
    return _written(result)


def as_select_expression(expression: str) -> Statement:
    """Read an expression as the only output column of ``SELECT <expression>``.

    Args:
        expression: one SQL expression, for example what ``pg_get_expr`` prints.

    Returns:
        The SELECT; its locations are byte offsets into ``"SELECT " + expression``.

    Raises:
        SqlSyntaxError: it is not exactly one expression.
    """
    # The line break ends a comment at the end of the expression.
    statements = parse(f"SELECT {expression}\n")
    select = statements[0].node if len(statements) == 1 else None
    if select is not None and kind(select) == "SelectStmt" and len(select.target_list) == 1:
        bare, target = pb.SelectStmt(), select.target_list[0].res_target
        bare.target_list.add().res_target.val.CopyFrom(target.val)
        bare.target_list[0].res_target.location = target.location
        bare.limit_option, bare.op = select.limit_option, select.op
        # Anything beside the one value (an alias, FROM, a second statement) means that it was no expression.
        if bare == select:
            return statements[0]
    raise SqlSyntaxError(f"not one SQL expression: {expression}", line=1, column=1)


def parse_expression(text: str) -> Node:
    """Read one expression.

    Args:
        text: one SQL expression.

    Returns:
        A node that may be changed in place by :func:`replace` (also when the whole of it is replaced).

    Raises:
        SqlSyntaxError: it is not exactly one expression.
    """
    return as_select_expression(text).node.target_list[0].res_target.val


def deparse_expression(node: Node) -> str:
    """Write an expression's tree as SQL.

    Args:
        node: what :func:`parse_expression` returned, or any expression inside a statement.

    Raises:
        SqlSyntaxError: the tree is not an expression.
    """
    select = pb.SelectStmt(limit_option=pb.LIMIT_OPTION_DEFAULT, op=pb.SETOP_NONE)
    _wrap_into(select.target_list.add().res_target.val, node)
    return deparse(select).removeprefix("SELECT ").strip()


def kind(node: Node) -> str:
    """Return what a node is, for example ``ColumnRef``."""
    name: str = unwrap(node).DESCRIPTOR.name
    return name


def unwrap(node: Node) -> Node:
    """Return what a ``Node`` wrapper holds; any other node is returned as it is."""
    return postgast.unwrap_node(node)


def clone(node: Node) -> Node:
    """Copy a node with everything below it."""
    copy = type(node)()
    copy.CopyFrom(node)
    return copy


def walk(node: Node) -> Iterator[Node]:
    """Visit a node and everything below it, in the order of the text as far as the tree keeps it."""
    for _, found in postgast.walk(node):
        yield found


def fields(node: Node) -> Iterator[tuple[str, Node]]:
    """Visit the direct children of a node, each with the name of the field that holds it."""
    inner = unwrap(node)
    for field, value in inner.ListFields():
        if field.message_type is None:
            continue
        if hasattr(value, "DESCRIPTOR"):
            yield field.name, value
        else:
            yield from ((field.name, item) for item in value)


def has(node: Node, field: str) -> bool:
    """Tell whether a node is of a kind that knows a field, and has it set."""
    inner = unwrap(node)
    known = inner.DESCRIPTOR.fields_by_name.get(field)
    if known is None:
        return False
    return inner.HasField(field) if known.has_presence else bool(getattr(inner, field))


def enum_name(node: Node, field: str) -> str:
    """Return the name of an enumerated field's value, for example ``OBJECT_TABLE``."""
    name: str = node.DESCRIPTOR.fields_by_name[field].enum_type.values_by_number[getattr(node, field)].name
    return name


def find(node: Node, *kinds: str) -> Iterator[Node]:
    """Visit the nodes of some kinds, for example ``find(node, "FuncCall")``."""
    return (found for found in walk(node) if kind(found) in kinds)


def column_refs(node: Node) -> Iterator[Node]:
    """Visit every column reference; :func:`parts` gives its names."""
    return find(node, "ColumnRef")


def range_vars(node: Node) -> Iterator[Node]:
    """Visit every mention of a relation, names of CTEs too (``truing.sql.relations`` knows which are tables)."""
    return find(node, "RangeVar")


def parts(names: Node) -> tuple[str, ...]:
    """Return the parts of a qualified name.

    Args:
        names: a ``ColumnRef``, ``TypeName`` or ``List``, or a list of ``String`` nodes.

    Returns:
        The parts as the catalog spells them; ``*`` for a star.
    """
    inner = unwrap(names) if hasattr(names, "DESCRIPTOR") else names
    for field in ("fields", "names", "items"):
        if hasattr(inner, "DESCRIPTOR") and hasattr(inner, field):
            inner = getattr(inner, field)
            break
    else:
        inner = [inner] if hasattr(inner, "DESCRIPTOR") else inner
    return tuple("*" if kind(part) == "A_Star" else unwrap(part).sval for part in inner)


def column_ref(*names: str) -> Node:
    """Make a column reference, for example ``column_ref("t", "tenant_id")``."""
    reference = pb.ColumnRef(location=-1)
    for name in names:
        reference.fields.add().string.sval = name
    return reference


def replace(root: Node, change: Callable[[Node], Node | None]) -> Node:
    """Replace nodes of a tree in place.

    Children come before their parents, and what has been put in is not visited again.

    Args:
        root: a tree of your own (from :func:`parse_expression` or :func:`clone`).
        change: takes a node; returns what stands in its place, or None to leave it.

    Returns:
        The root, which is another object when the root itself was replaced and is not a wrapper.
    """
    # Collected before anything is changed: replaced parts are then never visited, and no recursion can overflow.
    wrappers = list(_wrappers(root))
    for wrapper in reversed(wrappers):
        new = change(unwrap(wrapper))
        if new is not None:
            _wrap_into(wrapper, new)
    if kind(root) != type(root).DESCRIPTOR.name:
        return root
    new = change(root)
    return root if new is None else new


def comments(sql: str) -> tuple[Comment, ...]:
    """Return the comments of a text in order.

    Raises:
        SqlSyntaxError: the text cannot be cut into words, for example because a quote is never closed.
    """
    source = sql.encode()
    try:
        tokens = postgast.scan(sql).tokens
    except postgast.PgQueryError as error:
        raise _syntax_error(sql, error) from None
    return tuple(
        Comment(source[token.start : token.end].decode(), token.start, _line(source, token.start))
        for token in tokens
        if token.token in {pb.SQL_COMMENT, pb.C_COMMENT}
    )


def _parsed(sql: str) -> Node:
    if "\0" in sql:
        # The C library would stop reading there in silence.
        raise SqlSyntaxError(
            "SQL cannot hold a NUL character", line=_line(sql.encode(), sql.encode().find(b"\0")), column=1
        )
    try:
        return _deep(len(sql), lambda: postgast.parse(sql))
    except postgast.PgQueryError as error:
        raise _syntax_error(sql, error) from None
    except DecodeError:
        raise SqlSyntaxError("this SQL is nested too deeply to be read", line=1, column=1) from None


def _written(result: Node) -> str:
    try:
        return str(_deep(result.ByteSize() // 10, lambda: postgast.deparse(result)))
    except (postgast.PgQueryError, EncodeError) as error:
        raise SqlSyntaxError(f"no SQL can be written for this tree: {error}") from None


_deep_lock = threading.Lock()


def _deep(size: int, work: Callable[[], Any]) -> Any:
    """Do protobuf work; should it nest deeper than protobuf allows by default, once more without that limit."""
    try:
        return work()
    except (DecodeError, EncodeError):
        runtime = _runtime()
        if runtime is None or size > _DEEPEST_TEXT:
            raise
    # `a || b || c ...` is one level per operator, so long concatenations really meet the limit of 100.
    with _deep_lock:
        runtime.SetAllowOversizeProtos(True)
        try:
            return work()
        finally:
            runtime.SetAllowOversizeProtos(False)


@cache
def _runtime() -> ModuleType | None:
    try:
        module = importlib.import_module("google._upb._message")
    except ImportError:
        return None
    return module if hasattr(module, "SetAllowOversizeProtos") else None


def _syntax_error(sql: str, error: postgast.PgQueryError) -> SqlSyntaxError:
    # Contrary to every other position, the one of an error counts characters, from 1.
    before = sql[: max(error.cursorpos - 1, 0)]
    line, column = before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
    where = f" (line {line}, column {column})" if error.cursorpos else ""
    return SqlSyntaxError(f"{error.message}{where}", line=line, column=column)


def _line(source: bytes, offset: int) -> int:
    return source.count(b"\n", 0, max(offset, 0)) + 1


@cache
def _node_fields() -> dict[str, str]:
    """Kind -> the field of the ``Node`` wrapper that holds it."""
    return {field.message_type.name: field.name for field in pb.Node.DESCRIPTOR.fields}


def _wrap_into(wrapper: Node, node: Node) -> None:
    inner = clone(unwrap(node))
    field = _node_fields().get(inner.DESCRIPTOR.name)
    if field is None:
        raise SqlSyntaxError(f"no SQL can be written for a {inner.DESCRIPTOR.name}")
    wrapper.Clear()
    getattr(wrapper, field).CopyFrom(inner)


def _wrappers(root: Node) -> Iterator[Node]:
    """Visit every ``Node`` wrapper of a tree, parents first."""
    stack = [root]
    while stack:
        node = stack.pop()
        if node.DESCRIPTOR.name == "Node":
            if node.WhichOneof("node") is None:
                continue
            yield node
            node = unwrap(node)
        stack.extend(child for _, child in fields(node))
