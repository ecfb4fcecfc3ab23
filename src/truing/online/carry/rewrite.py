"""How must a definition be written so that it means the same when a column has another type? Trees go in and out.

Where a definition computes with a changed column, the column is cast back to its old type. Where it only passes it on
(an output column of a view, GROUP BY, DISTINCT), it stays as it is, so that a view's column becomes the new type too
and views on it are rewritten in turn. Nothing is found by its spelling: names are resolved in the syntax tree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, TypeAlias

import msgspec

from truing.names import QualifiedName
from truing.online.carry.scope import Changed, Item, Scope, UnclearNameError
from truing.online.carry.trees import cast, is_cast_to, without_places
from truing.sql.parse import Node, clone, enum_name, fields, has, kind, parts, unwrap

ColumnsOf: TypeAlias = Callable[[QualifiedName], tuple[str, ...] | None]
"""The columns of a relation, in order; None where there is no such relation."""

Changes: TypeAlias = Mapping[QualifiedName, Mapping[str, Changed]]
"""Which columns of which relations change."""

_NO_SETS: Final = "SETOP_NONE"


class Output(msgspec.Struct, frozen=True):
    """An output column of a query: its name, and how it changes when it is left as it is."""

    name: str
    changed: Changed | None = None


class Rewriter:
    """Rewrites trees in place, for one set of changed columns."""

    def __init__(self, changes: Changes, columns_of: ColumnsOf, *, keep_outputs: bool = True) -> None:
        """Make a rewriter.

        Args:
            changes: the changed columns.
            columns_of: the columns of any relation.
            keep_outputs: whether columns that queries only pass on change their type; False casts them back.
        """
        self._changes = changes
        self._columns_of = columns_of
        self._keep = keep_outputs

    def relation(self, relation: QualifiedName, name: str | None = None) -> Item:
        """Return a relation as a FROM item."""
        return Item(name or relation.name, self._columns_of(relation), self._changes.get(relation, {}), relation)

    # -- expressions ---------------------------------------------------------------------------------------------------

    def expression(self, node: Node, scope: Scope) -> None:
        """Rewrite an expression.

        Args:
            node: a ``Node`` wrapper, such as ``parse_expression`` returns, or any node above one.
            scope: what its names mean.

        Raises:
            UnclearNameError: what a name means cannot be told.
        """
        inner = unwrap(node)
        match kind(inner):
            case "ColumnRef":
                self._reference(node, scope)
            case "TypeCast" | "NullTest" if self._passes(inner, scope):
                self._pass(inner.arg, scope)
            case "GroupingFunc":
                self._passed_or_rewritten(inner.args, scope)
            case "A_Indirection" if kind(inner.arg) == "ColumnRef" and parts(inner.arg)[-1] == "*":
                row = scope.row(parts(inner.arg)[-2]) if len(parts(inner.arg)) > 1 else None
                if row is not None and parts(inner.indirection[:1])[0] in row.changed:
                    raise UnclearNameError("it takes the column out of a whole row")
                self._children(inner, scope)
            case "SubLink":
                if inner.HasField("testexpr"):
                    self.expression(inner.testexpr, scope)
                self.query(unwrap(inner.subselect), scope, keep=False)
            case "SelectStmt":
                self.query(inner, scope, keep=False)
            case _:
                self._children(inner, scope)

    def _passes(self, node: Node, scope: Scope) -> bool:
        """Tell whether a cast or IS NULL means the same for the new type: it needs no way round by the old one."""
        changed = self._found(node.arg, scope)
        return changed is not None and (kind(node) == "NullTest" or is_cast_to(node, changed.new_type))

    def _children(self, node: Node, scope: Scope) -> None:
        for _, child in fields(node):
            self.expression(child, scope)

    def _found(self, node: Node, scope: Scope) -> Changed | None:
        """Return how what a node means changes, when it is nothing but a column reference."""
        if kind(node) != "ColumnRef":
            return None
        names = parts(node)
        return None if names[-1] == "*" else scope.changed(names)

    def _reference(self, wrapper: Node, scope: Scope) -> None:
        changed = self._found(wrapper, scope)
        if changed is None:
            return
        _rename(wrapper, changed)
        if not changed.bare:
            cast(wrapper, changed)

    def _pass(self, wrapper: Node, scope: Scope) -> None:
        """Leave a reference without a cast."""
        changed = self._found(wrapper, scope)
        if changed is not None:
            _rename(wrapper, changed)

    def _passed_or_rewritten(self, wrappers: Iterable[Node], scope: Scope) -> None:
        for wrapper in wrappers:
            if kind(wrapper) == "ColumnRef":
                self._pass(wrapper, scope)
            elif kind(wrapper) == "GroupingSet":
                self._passed_or_rewritten(unwrap(wrapper).content, scope)
            else:
                self.expression(wrapper, scope)

    # -- queries: what comes out ---------------------------------------------------------------------------------------

    def outputs(self, select: Node, outer: Scope | None = None) -> tuple[Output, ...]:
        """Tell which columns a query has, and which of them change when it only passes them on. Changes nothing."""
        scope = self._ctes(select, outer, rewrite=False)
        if _operation(select) != _NO_SETS:
            left, right = self.outputs(select.larg, scope), self.outputs(select.rarg, scope)
            # A column of a UNION changes only where it does so on both sides.
            return tuple(
                Output(a.name, a.changed if a.changed is not None and b.changed is not None else None)
                for a, b in zip(left, right, strict=True)
            )
        if select.values_lists:
            return tuple(Output(f"column{n}") for n, _ in enumerate(unwrap(select.values_lists[0]).items, 1))
        for item in select.from_clause:
            scope.items.extend(self._from(item, scope, rewrite=False))
        return tuple(self._output(unwrap(target), scope) for target in select.target_list)

    def _output(self, target: Node, scope: Scope) -> Output:
        if kind(target.val) == "ColumnRef" and parts(target.val)[-1] == "*":
            raise UnclearNameError("it selects * where its columns have to be known")
        changed = self._found(target.val, scope)
        name = target.name or (parts(target.val)[-1] if kind(target.val) == "ColumnRef" else "?column?")
        return Output(name, changed if self._keep else None)

    # -- queries: rewriting --------------------------------------------------------------------------------------------

    def query(self, select: Node, outer: Scope | None = None, keep: bool | Sequence[bool] = True) -> None:
        """Rewrite a query.

        Args:
            select: a ``SelectStmt``.
            outer: the levels around it.
            keep: whether output columns that it only passes on stay as they are; for all or for each.

        Raises:
            UnclearNameError: what a name means cannot be told.
        """
        outputs = self.outputs(select, outer) if keep is not False else ()
        kept = [
            output.changed is not None and (keep if isinstance(keep, bool) else keep[place])
            for place, output in enumerate(outputs)
        ]
        scope = self._ctes(select, outer, rewrite=True)
        if _operation(select) != _NO_SETS:
            # Its ORDER BY names output columns; LIMIT cannot name any.
            self.query(select.larg, scope, kept or False)
            self.query(select.rarg, scope, kept or False)
            return
        for item in select.from_clause:
            scope.items.extend(self._from(item, scope, rewrite=True))
        self._leaf(select, scope, kept or [False] * len(select.target_list))

    def _leaf(self, select: Node, scope: Scope, kept: list[bool]) -> None:
        originals = [clone(unwrap(target)) for target in select.target_list]
        if select.values_lists:
            kept = []
        for target, stays in zip(select.target_list, kept, strict=True):
            self._target(unwrap(target), scope, stays)
        for wrapper in (*select.values_lists, *select.window_clause):
            self.expression(wrapper, scope)
        for field in ("where_clause", "having_clause", "limit_offset", "limit_count"):
            if select.HasField(field):
                self.expression(getattr(select, field), scope)
        self._passed_or_rewritten(select.group_clause, scope)
        distinct = [wrapper for wrapper in select.distinct_clause if wrapper.WhichOneof("node") is not None]
        self._passed_or_rewritten(distinct, scope)
        for wrapper in select.sort_clause:
            sort = unwrap(wrapper)
            if kind(sort.node) == "ColumnRef":
                self._sort(sort, scope, originals, kept, select)
            else:
                self.expression(sort.node, scope)

    def _target(self, target: Node, scope: Scope, stays: bool) -> None:
        if kind(target.val) != "ColumnRef":
            self.expression(target.val, scope)
            return
        name = target.name or parts(target.val)[-1]
        if stays:
            self._pass(target.val, scope)
        else:
            self._reference(target.val, scope)
        if kind(target.val) != "ColumnRef" or parts(target.val)[-1] != name:
            target.name = name

    def _sort(self, sort: Node, scope: Scope, originals: list[Node], kept: list[bool], select: Node) -> None:
        """Rewrite ORDER BY a mere name, which may be an output column, and must match DISTINCT where there is one."""
        names = parts(sort.node)
        if len(names) == 1:
            named = next((t for t in originals if names[0] == (t.name or _last(t.val))), None)
            if named is not None:
                if self._found(named.val, scope) is None or select.distinct_clause:
                    return
                # The output column is the changed column, passed on: its order must stay that of the old type.
                sort.node.CopyFrom(named.val)
        if not select.distinct_clause:
            self._reference(sort.node, scope)
            return
        original = without_places(sort.node)
        same = [stays for t, stays in zip(originals, kept, strict=True) if without_places(t.val) == original]
        on_expressions = select.distinct_clause[0].WhichOneof("node") is not None
        if on_expressions or any(same):
            self._pass(sort.node, scope)
        else:
            self._reference(sort.node, scope)

    # -- FROM ----------------------------------------------------------------------------------------------------------

    def _ctes(self, select: Node, outer: Scope | None, *, rewrite: bool) -> Scope:
        """Open a level and put the query's WITH into it."""
        scope = Scope(outer)
        if not has(select, "with_clause"):
            return scope
        clause = select.with_clause
        ctes = [unwrap(wrapper) for wrapper in clause.ctes]
        if clause.recursive:
            # A CTE that names itself keeps its types, so its outputs are cast back.
            for cte in ctes:
                scope.ctes[cte.ctename] = Item(cte.ctename, None, {})
        for cte in ctes:
            query = unwrap(cte.ctequery)
            if kind(query) != "SelectStmt":
                raise UnclearNameError("its WITH changes data")
            item = _item(cte.ctename, self.outputs(query, scope), changing=not clause.recursive)
            if rewrite:
                self.query(query, scope, keep=self._keep and not clause.recursive)
            scope.ctes[cte.ctename] = item.aliased(cte.ctename, _names(cte.aliascolnames))
        return scope

    def _from(self, wrapper: Node, scope: Scope, *, rewrite: bool) -> list[Item]:
        node = unwrap(wrapper)
        alias = node.alias if has(node, "alias") else None
        match kind(node):
            case "RangeVar":
                item = self._table(node, scope)
            case "RangeSubselect":
                inside = scope if node.lateral else scope.without_items()
                query = unwrap(node.subquery)
                item = _item(alias.aliasname if alias else "", self.outputs(query, inside))
                if rewrite:
                    self.query(query, inside, keep=self._keep)
            case "JoinExpr":
                return self._join(node, scope, rewrite=rewrite)
            case "RangeTableSample":
                if rewrite:
                    for argument in (*node.args, *([node.repeatable] if node.HasField("repeatable") else [])):
                        self.expression(argument, scope)
                return self._from(node.relation, scope, rewrite=rewrite)
            case _:
                if rewrite:
                    self._children(node, scope)
                # A function's result: its columns are not known here.
                item = Item("", None, {})
        return [item.aliased(alias.aliasname, _names(alias.colnames)) if alias else item]

    def _table(self, node: Node, scope: Scope) -> Item:
        if not node.schemaname:
            cte = scope.cte(node.relname)
            if cte is not None:
                return Item(node.relname, cte.columns, cte.changed)
        # The server has printed the definition under an empty search path: what is not qualified is its own.
        return self.relation(QualifiedName(node.schemaname or "pg_catalog", node.relname))

    def _join(self, node: Node, scope: Scope, *, rewrite: bool) -> list[Item]:
        left = self._from(node.larg, scope, rewrite=rewrite)
        # The right side may be LATERAL and see the left one.
        inside = Scope(scope.parent, (*scope.items, *left))
        inside.ctes, inside.merged = scope.ctes, scope.merged
        right = self._from(node.rarg, inside, rewrite=rewrite)
        inside.items.extend(right)
        if node.is_natural and any(item.changed for item in (*left, *right)):
            raise UnclearNameError("NATURAL JOIN over a relation whose columns change")
        for column in _names(node.using_clause):
            sides = [next((i.changed[column] for i in side if column in i.changed), None) for side in (left, right)]
            one = sides[0] or sides[1]
            if None in sides and one is not None and not one.bare:
                raise UnclearNameError(f"JOIN USING ({column}) compares it with a column that does not change")
            scope.merged[column] = one
        if rewrite and node.HasField("quals"):
            self.expression(node.quals, inside)
        items = [*left, *right]
        if has(node, "join_using_alias"):
            using = _names(node.using_clause)
            merged = {name: changed for name in using if (changed := scope.merged[name]) is not None}
            items.append(Item(node.join_using_alias.aliasname, using, merged))
        return [_joined(items, node.alias)] if has(node, "alias") else items


def _joined(items: list[Item], alias: Node) -> Item:
    """Return a join that has an alias of its own as one item."""
    if any(item.columns is None for item in items):
        if any(item.changed for item in items):
            raise UnclearNameError(f"the columns of the join {alias.aliasname} are not known")
        return Item(alias.aliasname, None, {})
    columns = [(column, item.changed.get(column)) for item in items for column in item.columns or ()]
    names = _names(alias.colnames) or tuple(column for column, _ in columns)
    if len(names) != len(columns):
        raise UnclearNameError(f"the columns of the join {alias.aliasname} cannot be told apart")
    return Item(alias.aliasname, names, {n: c for n, (_, c) in zip(names, columns, strict=True) if c is not None})


def _item(name: str, outputs: tuple[Output, ...], *, changing: bool = True) -> Item:
    changed = {output.name: output.changed for output in outputs if output.changed is not None} if changing else {}
    return Item(name, tuple(output.name for output in outputs), changed)


def _rename(wrapper: Node, changed: Changed) -> None:
    if changed.name:
        unwrap(wrapper).fields[-1].string.sval = changed.name


def _names(strings: Iterable[Node]) -> tuple[str, ...]:
    return tuple(unwrap(string).sval for string in strings)


def _last(node: Node) -> str:
    return parts(node)[-1] if kind(node) == "ColumnRef" else ""


def _operation(select: Node) -> str:
    return enum_name(select, "op")
