"""Which way of rewriting a view does PostgreSQL accept? Views go in, each comes out with its new query or a refusal.

Three ways, best first. *passed on*: columns that the view only passes on become the new type. *cast back*: its columns
keep their types. *old rows*: it reads the table through a sub-select that shows the old types. A way counts only when
the view has the same columns as before, with types as expected, and none of them can no longer be updated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

import msgspec

from truing.catalog.model import View
from truing.errors import SqlSyntaxError
from truing.names import QualifiedName
from truing.online.carry import statements
from truing.online.carry.model import Refusal
from truing.online.carry.rehearse import Rehearsal, ViewColumn
from truing.online.carry.rewrite import ColumnsOf, Rewriter
from truing.online.carry.scope import Changed, UnclearNameError, means_the_same

Changes: TypeAlias = dict[QualifiedName, dict[str, Changed]]
Pins: TypeAlias = Mapping[int, str]
Outputs: TypeAlias = tuple[Changed | None, ...]
Make: TypeAlias = Callable[[Pins], tuple[str, Outputs]]

_ADVICE = "Drop the view before and make it again afterwards, in revisions of their own"


class Way(msgspec.Struct, frozen=True):
    """A new query of a view, which of its columns change, and how it was made (for a person)."""

    query: str
    changed: dict[str, Changed]
    how: str


class _Try(msgspec.Struct, frozen=True):
    """What PostgreSQL made of one try.

    Attributes:
        problem: why it is no good; empty where it is.
        pins: the casts of its output columns, by place, with which it may be.
    """

    query: str = ""
    outputs: Outputs = ()
    after: tuple[ViewColumn, ...] = ()
    problem: str = ""
    pins: dict[int, str] = {}


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
        attempt = _try(rehearsal, view, before, make, {})
        if attempt.problem:
            reasons.append(attempt.problem)
        if attempt.problem and attempt.pins:
            attempt = _try(rehearsal, view, before, make, attempt.pins)
        if not attempt.problem:
            return Way(attempt.query, _changed(view, before, attempt), how)
    return Refusal(f"view {view.name.sql}", "; ".join(dict.fromkeys(reasons)), _ADVICE)


def _ways(view: View, changes: Changes, columns_of: ColumnsOf) -> Iterator[tuple[str, Make]]:
    cast_back = {
        relation: {name: msgspec.structs.replace(changed, bare=False) for name, changed in columns.items()}
        for relation, columns in changes.items()
    }

    def passed_on(pins: Pins) -> tuple[str, Outputs]:
        return statements.query(Rewriter(changes, columns_of), view.definition, pins)

    def keeping_types(pins: Pins) -> tuple[str, Outputs]:
        return statements.query(Rewriter(cast_back, columns_of, keep_outputs=False), view.definition, pins)

    def old_rows(_: Pins) -> tuple[str, Outputs]:
        return statements.adapted(view.definition, changes, columns_of), (None,) * len(view.columns)

    yield "made anew in the swap", passed_on
    yield "made anew in the swap; its columns keep their types", keeping_types
    yield "made anew in the swap; it sees the old types", old_rows


def _try(rehearsal: Rehearsal, view: View, before: tuple[ViewColumn, ...], make: Make, pins: Pins) -> _Try:
    try:
        query, outputs = make(pins)
    except (UnclearNameError, SqlSyntaxError) as error:
        return _Try(problem=error.message)
    except RecursionError:
        return _Try(problem="its query is nested too deeply")
    after, refused = rehearsal.view(view, query)
    if refused:
        return _Try(problem=refused)
    problem, needed = _different(before, after, outputs)
    if problem:
        rehearsal.drop_view(view)
    return _Try(query, outputs, after, problem, needed)


def _different(
    before: tuple[ViewColumn, ...], after: tuple[ViewColumn, ...], outputs: Outputs
) -> tuple[str, dict[int, str]]:
    """Tell in what a new view is not what the old one was (empty where it is), and which casts may mend that."""
    if [column.name for column in before] != [column.name for column in after]:
        return "it would have other columns", {}
    problems, pins = [], {}
    for place, (old, new, changed) in enumerate(zip(before, after, outputs, strict=True)):
        if old.updatable and not new.updatable:
            return f"its column {old.name} could no longer be updated", {}
        expected = changed is not None and new.type == changed.new_type
        if not (expected or new.type == old.type or means_the_same(old.type, new.type)):
            problems.append(f"its column {old.name} would become {new.type}")
            pins[place] = old.type
    return "; ".join(problems), pins


def _changed(view: View, before: tuple[ViewColumn, ...], made: _Try) -> dict[str, Changed]:
    """Return how the columns of a view change, for what reads the view."""
    return {
        old.name: Changed(old.type, new.type, column.collation, bare=means_the_same(old.type, new.type))
        for column, old, new in zip(view.columns, before, made.after, strict=True)
        if old.type != new.type
    }
