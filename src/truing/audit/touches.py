"""Which rows does a pending statement change that no typed change stands for? SQL goes in, touches come out."""

from __future__ import annotations

from typing import Final

from truing.audit.model import Source
from truing.audit.pending import Schema, Touch
from truing.changes import OtherStatement
from truing.errors import SqlSyntaxError
from truing.names import QualifiedName
from truing.sql.parse import Node, find, parse, parts

_WRITES: Final = {
    "InsertStmt": "INSERT",
    "UpdateStmt": "UPDATE",
    "DeleteStmt": "DELETE",
    "MergeStmt": "MERGE",
    "CopyStmt": "COPY",
    "TruncateStmt": "TRUNCATE",
}
_OPAQUE: Final = frozenset({"DO", "CALL", "EXECUTE", ""})
_HARMLESS: Final = frozenset({"setval", "nextval", "set_config", "pg_get_serial_sequence", "max", "min", "count"})
"""Functions in a bare SELECT that change no row of a table."""


def note(schema: Schema, change: OtherStatement, source: Source, default_schema: str) -> None:
    """Take note of what a statement may do to rows.

    Args:
        schema: takes the note.
        change: the statement.
        source: its line.
        default_schema: the schema of names that it does not qualify.
    """
    if change.tag.startswith(("DROP ", "ALTER ")):
        schema.drops.append((change.sql, source))
    if change.tag in _OPAQUE:
        schema.opaque.append(Touch(change.tag or "a statement that cannot be read", source))
        return
    try:
        nodes = [statement.node for statement in parse(change.sql)]
    except SqlSyntaxError:
        return
    for node in nodes:
        for written in find(node, *_WRITES):
            _written(schema, written, source, default_schema)
        if change.tag == "SELECT" and any(_calls(node)):
            schema.opaque.append(Touch("SELECT of a function", source))


def _written(schema: Schema, node: Node, source: Source, default_schema: str) -> None:
    what = _WRITES[type(node).__name__]
    targets = [node.relation] if what != "TRUNCATE" else [each.range_var for each in node.relations]
    for target in targets:
        table = schema.table(QualifiedName(target.schemaname or default_schema, target.relname))
        if table is not None:
            columns = frozenset(each.res_target.name for each in node.target_list) if what == "UPDATE" else None
            table.touches.append(Touch(what, source, columns, adds=what in {"INSERT", "COPY"}))


def _calls(node: Node) -> list[str]:
    names = [parts(call.funcname) for call in find(node, "FuncCall")]
    return [name[-1] for name in names if name[0] != "pg_catalog" and name[-1] not in _HARMLESS]
