"""FOREIGN KEY: which rows have no parent? The parent is the table as it will be then, with the rows made meanwhile."""

from __future__ import annotations

import msgspec

from truing.audit.model import RowClass, Source
from truing.audit.probes.probe import ALIAS, CLASS, Outcome, Probe
from truing.changes import AddForeignKey, Dirty
from truing.names import ident, literal


class Parent(msgspec.Struct, frozen=True):
    """How a row is looked for in the parent table.

    Attributes:
        join: a LEFT JOIN that gives at most one row; empty where none is needed.
        found: the condition that there is one.
    """

    join: str
    found: str


def foreign_key(change: AddForeignKey, source: Source, parent: Parent, type_: str, *, not_null: bool) -> Probe:
    """Ask which rows have no parent.

    Args:
        change: the change, its referenced columns filled in.
        source: where it is asked for.
        parent: how the parent is found.
        type_: the type of the last column by then.
        not_null: whether that column is NOT NULL by then.
    """
    values = [f"{ALIAS}.{ident(column)}" for column in change.columns]
    some, none = " OR ".join(f"{v} IS NULL" for v in values), " AND ".join(f"{v} IS NULL" for v in values)
    # MATCH FULL allows all or none to be NULL; otherwise one NULL is enough to refer to nothing.
    nulls = f"WHEN {none} THEN 'clean' WHEN {some} THEN 'orphan'" if change.match_full else f"WHEN {some} THEN 'clean'"
    last, policy = change.columns[-1], (change.dirty or Dirty()).orphan
    outcome, effects = _settled(change, source, not_null=not_null), {}
    moved: tuple[RowClass, ...] = ()
    if source.online and outcome.verdict != "refused":
        given = {"sentinel": f"{literal((change.dirty or Dirty()).sentinel)}::{type_}", "null": "NULL", "map": "NULL"}
        if policy in given:
            effects = {last: f"CASE WHEN {CLASS} = 'orphan' THEN {given[policy]} ELSE {ALIAS}.{ident(last)} END"}
        moved = ("orphan",) if policy == "quarantine-rows" else ()
    columns = ", ".join(change.columns)
    same = change.references.schema == change.table.schema
    referenced = ident(change.references.name) if same else str(change.references)
    nothing = f"NOT ({none})" if change.match_full else f"NOT ({some})"
    return Probe(
        title=f"{change.name or 'FOREIGN KEY'}: {columns} → {referenced}",
        columns=change.columns,
        source=source,
        outcomes={"orphan": outcome},
        expression=f"CASE {nulls} WHEN {parent.found} THEN 'clean' ELSE 'orphan' END",
        value=values[0] if len(values) == 1 else f"ROW({', '.join(values)})",
        joins=(parent.join,) if parent.join else (),
        lists={"orphan": f"{nothing} AND NOT ({parent.found})"},
        uses=change.columns,
        effects=effects,
        moved=moved,
    )


def _settled(change: AddForeignKey, source: Source, *, not_null: bool) -> Outcome:
    dirty = change.dirty or Dirty()
    if not source.online:
        return Outcome("refused", "the revision fails")
    fates = {
        "sentinel": f"→ sentinel {short(dirty.sentinel)}",
        "create-parent": f"kept; a row of {change.references} is made",
        "quarantine-rows": "row moves to quarantine",
    }
    if dirty.orphan == "fail":
        return Outcome("refused", "the revision stops at them", "fail")
    if dirty.orphan not in fates and not_null:
        return Outcome("refused", "the revision stops: they cannot become NULL", dirty.orphan)
    return Outcome("altered", fates.get(dirty.orphan, "→ NULL"), dirty.orphan)


def short(value: str) -> str:
    """Write a long key so that a person still knows it."""
    return value if len(value) <= 12 else f"{value[:8]}…"  # noqa: PLR2004 - a UUID is to be cut, a word is not
