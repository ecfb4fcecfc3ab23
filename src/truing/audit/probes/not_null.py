"""NOT NULL: which rows hold NULL? Also what a primary key, or a new column without a default, asks."""

from __future__ import annotations

from truing.audit.model import RowClass, Source
from truing.audit.probes.probe import ALIAS, CLASS, Outcome, Probe
from truing.changes import Dirty, SetNotNull
from truing.errors import SqlSyntaxError
from truing.names import QualifiedName, ident, literal
from truing.sql.parse import find, parse_expression

_NOWHERE = QualifiedName("", "")


def set_not_null(change: SetNotNull, source: Source, type_: str) -> Probe:
    """Ask which rows hold NULL.

    Args:
        change: the change.
        source: where it is asked for.
        type_: the column's type by then.
    """
    column = f"{ALIAS}.{ident(change.column)}"
    policy = (change.dirty or Dirty()).null
    given = ""
    moved: tuple[RowClass, ...] = ()
    if change.value is not None:
        outcome = Outcome("altered", f"→ {change.value}", "map")
        given = f"({change.value})::{type_}" if is_simple(change.value) else ""
    elif policy == "quarantine-rows":
        outcome, moved = Outcome("altered", "row moves to quarantine", policy), ("null",)
    elif policy == "sentinel":
        sentinel = (change.dirty or Dirty()).sentinel
        outcome, given = Outcome("altered", f"→ {sentinel}", policy), f"{literal(sentinel)}::{type_}"
    else:
        outcome = Outcome("refused", "the revision stops at them" if source.online else "the revision fails")
        outcome = outcome if not source.online else Outcome(outcome.verdict, outcome.fate, policy)
    effects = {change.column: f"CASE WHEN {CLASS} = 'null' THEN {given} ELSE {column} END"} if given else {}
    return Probe(
        title=f"{change.column} NOT NULL",
        columns=(change.column,),
        source=source,
        outcomes={"null": outcome},
        expression=f"CASE WHEN {column} IS NULL THEN 'null' ELSE 'clean' END",
        value=column,
        lists={"null": f"{column} IS NULL"},
        uses=(change.column,),
        effects=effects,
        moved=moved,
    )


def is_simple(expression: str) -> bool:
    """Tell whether an expression may be evaluated for a look: it calls no function, which might do anything."""
    try:
        node = parse_expression(expression)
    except SqlSyntaxError:
        return False
    return not any(find(node, "FuncCall", "SubLink", "SQLValueFunction"))


def primary_key(columns: tuple[str, ...], column: str, title: str, source: Source) -> Probe:
    """Ask which rows hold NULL in a column of a new primary key."""
    probe = set_not_null(SetNotNull(_NOWHERE, column), source, "text")
    return Probe(
        title=title,
        columns=columns,
        source=source,
        outcomes={"null": Outcome("refused", "the revision fails: no part of a primary key is NULL")},
        expression=probe.expression,
        value=probe.value,
        lists=probe.lists,
        uses=probe.uses,
    )


def new_column(column: str, type_: str, source: Source) -> Probe:
    """Ask for rows at all: a new column that is NOT NULL and has no default has a place for none of them."""
    return Probe(
        title=f"add {column} {type_} NOT NULL",
        columns=(column,),
        source=source,
        outcomes={"null": Outcome("refused", "the revision fails: there is no default for rows that exist")},
        expression="'null'",
        lists={"null": "true"},
        uses=(),
    )
