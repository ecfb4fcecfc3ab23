"""What carrying does to syntax trees: casts around references, and proof that a tree was written as text correctly.

A tree's text is only used after it was read back and found to be the same tree, so a flaw in the writer can become
a refusal but never another meaning.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from itertools import count
from typing import Final

from truing.errors import SqlSyntaxError
from truing.names import QualifiedName, ident
from truing.online.carry.scope import Changed
from truing.sql.parse import Node, clone, deparse, deparse_expression, find, kind, parse, parse_expression, unwrap, walk

_PLACES: Final = ("location", "list_start", "list_end", "rexpr_list_start", "rexpr_list_end")


def without_places(node: Node) -> Node:
    """Return a copy that does not know where in the text it came from, for comparisons."""
    copy = clone(unwrap(node))
    for found in walk(copy):
        inner = unwrap(found)
        for field in _PLACES:
            if field in inner.DESCRIPTOR.fields_by_name:
                inner.ClearField(field)
    return copy


def written(statement: Node) -> str:
    """Write a statement's tree as SQL.

    Raises:
        SqlSyntaxError: the text would not mean the same as the tree.
    """
    text = deparse(statement)
    if not _is(statement, lambda: parse(text)[0].node):
        raise SqlSyntaxError("the definition cannot be written back without changing it")
    return text


def written_expression(expression: Node) -> str:
    """Write an expression's tree as SQL; otherwise like :func:`written`."""
    text = deparse_expression(expression)
    if not _is(expression, lambda: parse_expression(text)):
        raise SqlSyntaxError("the expression cannot be written back without changing it")
    return text


def _is(tree: Node, read: Callable[[], Node]) -> bool:
    """Tell whether what was written reads as the tree it was written from; text that is no SQL does not."""
    try:
        return bool(without_places(read()) == without_places(tree))
    except SqlSyntaxError:
        # The writer forgets parentheses, for example around a COLLATE within BETWEEN.
        return False


def is_cast_to(node: Node, type_name: str) -> bool:
    """Tell whether a ``TypeCast`` casts to a type, given as ``format_type`` prints it."""
    return bool(without_places(unwrap(node).type_name) == _type_name(type_name))


@lru_cache(maxsize=256)
def _type_name(type_name: str) -> Node:
    return without_places(unwrap(parse_expression(f"x::{type_name}")).type_name)


def name_windows_plainly(query: Node) -> None:
    """Rename the WINDOWs of a query whose names would need quotes, which the parser's writer forgets. In place."""
    windows = list(find(query, "WindowDef"))
    used = {name for window in windows for name in (window.name, window.refname)}
    free = (name for number in count(1) if (name := f"w{number}") not in used)
    plain = {name: name if not name or ident(name) == name else next(free) for name in sorted(used)}
    for window in windows:
        window.name, window.refname = plain[window.name], plain[window.refname]


def cast(wrapper: Node, changed: Changed) -> None:
    """Put a cast to the old type around the column reference that a wrapper holds, in place."""
    put(wrapper, changed.old_type, changed.collation)


def put(wrapper: Node, type_name: str, collation: QualifiedName | None = None) -> None:
    """Put a cast (and a COLLATE) around what a wrapper holds, in place."""
    inner = clone(wrapper)
    collate = f" COLLATE {collation.sql}" if collation else ""
    template = clone(_template(f"x::{type_name}{collate}"))
    target = unwrap(template)
    (unwrap(target.arg) if kind(target) == "CollateClause" else target).arg.CopyFrom(inner)
    wrapper.CopyFrom(template)


@lru_cache(maxsize=256)
def _template(text: str) -> Node:
    return parse_expression(text)
