"""How is a definition that PostgreSQL printed written for the new column? A definition goes in, a statement comes out.

Each function takes what ``pg_get_indexdef`` and its sisters print, and a :class:`Rewriter`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from truing.names import QualifiedName, ident, idents
from truing.online.carry.rewrite import Changes, ColumnsOf, Rewriter
from truing.online.carry.scope import Changed, Scope, UnclearNameError
from truing.online.carry.trees import name_windows_plainly, put, written, written_expression
from truing.sql.parse import Node, clone, enum_name, fields, find, kind, parse, parse_expression, parts, unwrap


def expression(rewriter: Rewriter, text: str, table: QualifiedName) -> str:
    """Rewrite an expression over the columns of one table (a policy, a CHECK, a predicate)."""
    tree = parse_expression(text)
    rewriter.expression(tree, Scope(items=(rewriter.relation(table),)))
    return written_expression(tree)


def query(
    rewriter: Rewriter, text: str, pinned: Mapping[int, str] | None = None
) -> tuple[str, tuple[Changed | None, ...]]:
    """Rewrite a view's query.

    Args:
        rewriter: see above.
        text: the query.
        pinned: types that output columns, from 0, are cast to.

    Returns:
        The new query, and how each of its columns changes.
    """
    select = clone(parse(text)[0].node)
    name_windows_plainly(select)
    outputs = rewriter.outputs(select)
    rewriter.query(select)
    for place, type_name in (pinned or {}).items():
        _pin(select, place, outputs[place].name, type_name)
    return written(select), tuple(output.changed for output in outputs)


def _pin(select: Node, place: int, name: str, type_name: str) -> None:
    """Cast one output column of a query to a type, in every branch of a UNION."""
    if enum_name(select, "op") != "SETOP_NONE":
        for branch in (select.larg, select.rarg):
            _pin(branch, place, name, type_name)
    elif place < len(select.target_list):
        target = unwrap(select.target_list[place])
        put(target.val, type_name)
        target.name = name


def index(
    rewriter: Rewriter,
    definition: str,
    *,
    table: QualifiedName,
    name: str,
    column: str,
    changed: Changed,
    tablespace: str | None,
    cast_elements: Collection[int] = (),
    concurrently: bool = True,
) -> str:
    """Rewrite CREATE INDEX under another name.

    Args:
        rewriter: see above.
        definition: ``pg_get_indexdef``.
        table: the table.
        name: the new index's name.
        column: the changed column.
        changed: how it changes.
        tablespace: the tablespace, which the definition does not show.
        cast_elements: the elements, from 0, over the column itself that have to be cast to the old type (because their
            operator class knows only that).
        concurrently: whether it becomes CREATE INDEX CONCURRENTLY.
    """
    statement = clone(parse(definition)[0].node)
    scope = Scope(items=(rewriter.relation(table),))
    statement.idxname, statement.concurrent = name, concurrently
    if tablespace is not None:
        statement.table_space = tablespace
    for place, wrapper in enumerate((*statement.index_params, *statement.index_including_params)):
        element = unwrap(wrapper)
        if element.name == column:
            _plain(element, changed, cast_to_old=place in cast_elements)
        elif element.HasField("expr"):
            rewriter.expression(element.expr, scope)
    if statement.HasField("where_clause"):
        rewriter.expression(statement.where_clause, scope)
    return written(statement)


def _plain(element: Node, changed: Changed, *, cast_to_old: bool) -> None:
    """Turn the changed column as an element of an index into the new column, or into an expression over it."""
    name = changed.name or element.name
    if not cast_to_old:
        element.name = name
        return
    element.name = ""
    element.expr.CopyFrom(parse_expression(ident(name)))
    put(element.expr, changed.old_type, changed.collation)


def statistics(
    rewriter: Rewriter,
    definition: str,
    *,
    table: QualifiedName,
    name: QualifiedName,
    column: str,
    changed: Changed,
    on: QualifiedName | None = None,
) -> str:
    """Rewrite CREATE STATISTICS under another name; the arguments are those of :func:`index`; ``on``: another table."""
    statement = clone(parse(definition)[0].node)
    scope = Scope(items=(rewriter.relation(table),))
    elements = []
    for wrapper in statement.exprs:
        element = unwrap(wrapper)
        if element.HasField("expr"):
            rewriter.expression(element.expr, scope)
            elements.append(f"({written_expression(element.expr)})")
        else:
            elements.append(ident(changed.name or column) if element.name == column else ident(element.name))
    # Put together by hand: the parser's writer forgets to quote plain columns here.
    kinds = f" ({idents([unwrap(word).sval for word in statement.stat_types])})" if statement.stat_types else ""
    return f"CREATE STATISTICS {name.sql}{kinds} ON {', '.join(elements)} FROM {(on or table).sql}"


def trigger(rewriter: Rewriter, definition: str, table: QualifiedName) -> str:
    """Rewrite CREATE TRIGGER: its WHEN sees the rows as ``old`` and ``new``."""
    statement = clone(parse(definition)[0].node)
    if statement.HasField("when_clause"):
        items = (rewriter.relation(table, "old"), rewriter.relation(table, "new"))
        rewriter.expression(statement.when_clause, Scope(items=items))
    return written(statement)


def adapted(text: str, changes: Changes, columns_of: ColumnsOf) -> str:
    """Write a query over relations with changed columns so that it sees the old types throughout.

    Each such relation becomes a sub-select that casts the changed columns back. It always means the same, also under
    ``JOIN USING``; but PostgreSQL does not update such a view by itself.
    """
    select = clone(parse(text)[0].node)
    name_windows_plainly(select)
    if any(kind(node.relation) == "RangeVar" for node in find(select, "RangeTableSample")):
        raise UnclearNameError("TABLESAMPLE over a relation whose columns change")
    for wrapper in list(_from_wrappers(select)):
        node = unwrap(wrapper)
        relation = QualifiedName(node.schemaname, node.relname)
        if relation in changes:
            _adapt(wrapper, relation, changes, columns_of)
    return written(select)


def by_position(text: str, table: QualifiedName, row_functions: frozenset[QualifiedName]) -> str:
    """Tell whether a query binds columns of the table by their place, which the converted column does not keep.

    Args:
        text: a query, or an expression as ``SELECT <expression>``.
        table: the table.
        row_functions: the functions whose results are rows of the table.

    Returns:
        What it does; empty when it does not.
    """
    tree = parse(text)[0].node
    for node in find(tree, "RangeVar"):
        if QualifiedName(node.schemaname, node.relname) == table and node.alias.colnames:
            return f"it names the columns of {table.sql} by their position"
    for join in find(tree, "JoinExpr"):
        inside = (QualifiedName(node.schemaname, node.relname) for node in find(join, "RangeVar"))
        if join.alias.colnames and table in inside:
            return f"it names the columns of a join with {table.sql} by their position"
    for function in find(tree, "FuncCall"):
        names = parts(function.funcname)
        if len(names) > 1 and QualifiedName(*names[-2:]) in row_functions:
            return f"it reads the rows of {table.sql} that {'.'.join(names)}() returns, by their position"
    return ""


def _from_wrappers(node: Node) -> list[Node]:
    """Collect the wrappers of the relations that a query reads."""
    found, stack = [], [node]
    while stack:
        inner = stack.pop()
        if inner.DESCRIPTOR.name == "Node":
            if kind(inner) == "RangeVar":
                found.append(inner)
            inner = unwrap(inner)
        # FOR UPDATE OF names FROM items, not relations.
        if inner.DESCRIPTOR.name not in {"Node", "LockingClause"}:
            stack.extend(child for _, child in fields(inner))
    return found


def _adapt(wrapper: Node, relation: QualifiedName, changes: Changes, columns_of: ColumnsOf) -> None:
    original = clone(unwrap(wrapper))
    changed = changes[relation]
    columns = []
    for name in columns_of(relation) or ():
        change = changed.get(name)
        collate = f" COLLATE {change.collation.sql}" if change and change.collation else ""
        columns.append(f"{ident(name)}::{change.old_type}{collate} AS {ident(name)}" if change else ident(name))
    only = "" if original.inh else "ONLY "
    name = original.alias.aliasname if original.HasField("alias") else relation.name
    text = f"SELECT FROM (SELECT {', '.join(columns)} FROM {only}{relation.sql}) AS {ident(name)}"
    wrapper.CopyFrom(parse(text)[0].node.from_clause[0])
    if original.HasField("alias"):
        unwrap(wrapper).alias.CopyFrom(original.alias)


def renamed_relations(statement: str, names: dict[QualifiedName, QualifiedName], *, keep_names: bool = True) -> str:
    """Write a statement with other relations in the place of some.

    Args:
        statement: one statement; it names its relations with their schemas.
        names: old name -> new name.
        keep_names: whether the rest of the statement goes on calling them by the old names (in a query it does).
    """
    tree = clone(parse(statement)[0].node)
    for node in list(find(tree, "RangeVar")):
        new = names.get(QualifiedName(node.schemaname, node.relname)) if node.schemaname else None
        if new is not None:
            if keep_names and not node.HasField("alias"):
                node.alias.aliasname = node.relname
            node.schemaname, node.relname = new.schema, new.name
    return written(tree)
