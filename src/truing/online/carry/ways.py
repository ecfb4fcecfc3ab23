"""Which way of rewriting a view does PostgreSQL accept? Views go in, each comes out with its new query or a refusal.

Three ways, best first. *passed on*: columns that the view only passes on become the new type. *cast back*: its columns
keep their types. *old rows*: it reads the table through a sub-select that shows the old types. A way counts only when
the view has the same columns as before, with types as expected, and none of them can no longer be updated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

from truing.catalog.model import View
from truing.errors import SqlSyntaxError
from truing.names import QualifiedName
from truing.online.carry import statements
from truing.online.carry.model import Refusal
from truing.online.carry.rehearse import Rehearsal, ViewColumn
from truing.online.carry.rewrite import ColumnsOf, Rewriter
from truing.online.carry.scope import Changed, UnclearNameError

_ADVICE = "Drop the view before and make it again afterwards, in revisions of their own"

Changes: TypeAlias = dict[QualifiedName, dict[str, Changed]]
Made: TypeAlias = tuple[str, tuple[Changed | None, ...]]
Make: TypeAlias = Callable[[], Made]


class Way:
    """A new query of a view, and which of its columns change."""

    __slots__ = ("changed", "how", "query")

    def __init__(self, query: str, changed: dict[str, Changed], how: str) -> None:
        self.query = query
        self.changed = changed
        self.how = how


def choose_way(rehearsal: Rehearsal, view: View, changes: Changes, columns_of: ColumnsOf) -> Way | Refusal:
    """Find the best way of rewriting a view that PostgreSQL takes; the view is then in the rehearsal.

    Args:
        rehearsal: holds the views that this one reads.
        view: the view.
        changes: the columns that change in what it reads.
        columns_of: the columns of any relation.
    """
    before = rehearsal.original_columns(view)
    reasons = []
    for how, make in _ways(view, changes, columns_of):
        try:
            query, outputs = make()
        except (UnclearNameError, SqlSyntaxError) as error:
            reasons.append(error.message)
            continue
        except RecursionError:
            reasons.append("its query is nested too deeply")
            continue
        after, error_text = rehearsal.view(view, query)
        problem = error_text or _different(before, after, outputs)
        if not problem:
            return Way(query, _changed(view, before, after, outputs), how)
        if not error_text:
            rehearsal.drop_view(view)
        reasons.append(problem)
    return Refusal(f"view {view.name.sql}", "; ".join(dict.fromkeys(reasons)), _ADVICE)


def _ways(view: View, changes: Changes, columns_of: ColumnsOf) -> Iterator[tuple[str, Make]]:
    def rewritten(*, keep: bool) -> Made:
        return statements.query(Rewriter(changes, columns_of, keep_outputs=keep), view.definition)

    def adapted() -> Made:
        return statements.adapted(view.definition, changes, columns_of), (None,) * len(view.columns)

    yield "made anew in the swap", lambda: rewritten(keep=True)
    yield "made anew in the swap; its columns keep their types", lambda: rewritten(keep=False)
    yield "made anew in the swap; it sees the old types", adapted


def _different(
    before: tuple[ViewColumn, ...], after: tuple[ViewColumn, ...], outputs: tuple[Changed | None, ...]
) -> str:
    """Tell in what a new view is not what the old one was; empty where it is."""
    if [column.name for column in before] != [column.name for column in after]:
        return "it would have other columns"
    for old, new, changed in zip(before, after, outputs, strict=True):
        expected = {old.type} if changed is None else {changed.new_type}
        if changed is not None and changed.bare:
            expected.add(old.type)
        if new.type not in expected:
            return f"its column {old.name} would become {new.type}"
        if old.updatable and not new.updatable:
            return f"its column {old.name} could no longer be updated"
    return ""


def _changed(
    view: View, before: tuple[ViewColumn, ...], after: tuple[ViewColumn, ...], outputs: tuple[Changed | None, ...]
) -> dict[str, Changed]:
    """Return how the columns of a view change, for what reads the view."""
    return {
        old.name: Changed(old.type, new.type, column.collation, bare=changed.bare)
        for column, old, new, changed in zip(view.columns, before, after, outputs, strict=True)
        if changed is not None and old.type != new.type
    }
