"""CHECK: which rows break the condition? A condition that is NULL holds (documentation: "Check Constraints")."""

from __future__ import annotations

from truing.audit.model import RowClass, Source
from truing.audit.probes.probe import Outcome, Probe
from truing.changes import AddCheck, Settlement
from truing.errors import SqlSyntaxError
from truing.names import ident
from truing.sql.parse import column_refs, parse_expression, parts


def check(change: AddCheck, source: Source, columns: tuple[str, ...]) -> Probe:
    """Ask which rows break a CHECK.

    Args:
        change: the change.
        source: where it is asked for.
        columns: the columns of the table by then.
    """
    used = tuple(column for column in mentioned(change.expression) if column in columns)
    alias = change.table.name
    chosen = (change.settlement or Settlement()) if source.online else None
    moved: tuple[RowClass, ...] = ("violation",) if chosen is not None and chosen.policy == "quarantine-rows" else ()
    values = ", ".join(f"{ident(alias)}.{ident(column)}" for column in used)
    return Probe(
        title=f"CHECK {change.name or change.expression}",
        columns=used,
        source=source,
        outcomes={"violation": settled(chosen, used)},
        moved=moved,
        expression=f"CASE WHEN ({change.expression}) IS FALSE THEN 'violation' ELSE 'clean' END",
        lists={"violation": f"({change.expression}) IS FALSE"},
        value=f"ROW({values})" if used else "NULL",
        # The condition may name the table itself.
        alias=alias,
        uses=used or None,
    )


def settled(chosen: Settlement | None, columns: tuple[str, ...]) -> Outcome:
    """Say what becomes of rows that break a condition, or share a key with others.

    Args:
        chosen: how the operation settles them; None for a plain statement, which settles nothing.
        columns: the columns concerned.
    """
    if chosen is None:
        return Outcome("refused", "the revision fails")
    column = chosen.column or (columns[-1] if columns else "")
    match chosen.policy:
        case "quarantine-rows":
            return Outcome("altered", "row moves to quarantine", chosen.policy)
        case "null":
            return Outcome("altered", f"{column} → NULL", chosen.policy)
        case "map":
            return Outcome("altered", f"{column} → {chosen.value}", chosen.policy)
        case _:
            return Outcome("refused", "the revision stops at them", "fail")


def mentioned(expression: str) -> tuple[str, ...]:
    """Return the names in an expression that may be columns."""
    try:
        references = list(column_refs(parse_expression(expression)))
    except SqlSyntaxError:
        return ()
    return tuple(dict.fromkeys(parts(reference)[-1] for reference in references))
