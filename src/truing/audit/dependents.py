"""What depends on a column whose type changes, and what happens to it? Only the catalog is read, nothing is tried.

The upgrade itself tries everything on empty temporary copies before it changes anything, which an audit may not: it
does not even have the right to make a temporary table.
"""

from __future__ import annotations

from typing import Any, Final

import psycopg

from truing.audit.model import DependentFate
from truing.audit.walk import Conversions
from truing.catalog.dependent import Dependent, DependentKind
from truing.catalog.dependents import column_dependents
from truing.catalog.read import read_table
from truing.names import QualifiedName, ident
from truing.online.carry.refusals import refused, subject_of
from truing.online.carry.work import OWN_TRIGGERS

_CARRIED: Final[dict[DependentKind, str]] = {
    "index": "built anew beforehand, without blocking anybody",
    "unique": "built anew beforehand, without blocking anybody",
    "check": "added and validated beforehand on the new column",
    "not-null": "proved beforehand on the new column",
    "default": "converted",
    "sequence": "goes with the column",
    "view": "made anew in the swap, with owner, privileges and comments",
    "policy": "rewritten in the swap; there is no moment without it",
    "trigger": "made anew in the swap",
    "statistics": "made anew in the swap",
    "column-grant": "given again in the swap",
    "column-setting": "set again in the swap",
    "comment": "set again in the swap",
    "function-text": "not rewritten: its text names the column; see that it works with the new type",
    "row-type": "rows already stored keep the old value",
}

_PLAIN: Final[dict[DependentKind, str]] = {
    "index": "rebuilt if the column is rewritten, while nobody can use the table",
    "unique": "rebuilt if the column is rewritten, while nobody can use the table",
    "primary-key": "rebuilt if the column is rewritten, while nobody can use the table",
    "exclusion": "rebuilt if the column is rewritten, while nobody can use the table",
    "check": "every row is checked again, while nobody can use the table",
    "foreign-key-out": "every row is checked again, while nobody can use the table",
    "foreign-key-in": "every row is checked again, while nobody can use the table",
    "default": "cast, if PostgreSQL casts it by itself; else the revision fails",
    "function-text": "not rewritten: its text names the column; see that it works with the new type",
}
_KEPT: Final = "stays as it is"

_IN_THE_WAY: Final[frozenset[DependentKind]] = frozenset(
    {
        "view",
        "materialized-view",
        "rule",
        "policy",
        "trigger",
        "generated-column",
        "function-atomic",
        "publication",
        "partition-key",
        "parent-table",
        "row-type",
    }
)
"""What a plain ALTER COLUMN ... TYPE refuses: "cannot alter type of a column used by ..."."""

_ADVICE: Final = "Drop it before and make it again afterwards, or convert online: op.convert_column_online carries it."


def fates(connection: psycopg.Connection[Any], conversion: Conversions) -> tuple[DependentFate, ...]:
    """Say what happens to all that depends on a column.

    Args:
        connection: in the audit's transaction.
        conversion: the pending type change.

    Raises:
        CatalogError: the catalog could not be read.
    """
    found = column_dependents(connection, conversion.table, conversion.column)
    said = [_fate(conversion, each) for each in found if not each.name.startswith(OWN_TRIGGERS)]
    table = read_table(connection, conversion.table)
    if conversion.source.online and table is not None and (table.kind != "table" or table.parents):
        reason = "refused: it is partitioned, inherits or is foreign"
        said.append(_made(conversion, "table", f"table {table.name}", reason, advice="Convert ordinary tables only."))
    return tuple(said)


def _fate(conversion: Conversions, dependent: Dependent) -> DependentFate:
    name = subject_of(dependent)
    gone = _dropped(conversion, dependent)
    if gone:
        return _made(conversion, dependent.kind, name, gone)
    if not conversion.source.online:
        # Whole rows of the table are in the way only where a table stores them.
        stands = dependent.kind in _IN_THE_WAY and not (dependent.kind == "row-type" and dependent.depth)
        if stands:
            fate = "the revision fails: a plain ALTER TABLE cannot be done under it"
            return _made(conversion, dependent.kind, name, fate, advice=_ADVICE)
        return _made(conversion, dependent.kind, name, _PLAIN.get(dependent.kind, _KEPT))
    refusal = refused(dependent)
    if refusal is not None:
        return _made(conversion, dependent.kind, name, f"refused: {refusal.why}", advice=refusal.advice)
    return _made(conversion, dependent.kind, name, _CARRIED.get(dependent.kind, "carried over"))


def _made(conversion: Conversions, kind: str, name: str, fate: str, *, advice: str = "") -> DependentFate:
    return DependentFate(
        change=conversion.title,
        table=conversion.table,
        column=conversion.column,
        source=conversion.source,
        kind=kind,
        name=name,
        fate=fate,
        refused=bool(advice),
        advice=advice,
    )


def _dropped(conversion: Conversions, dependent: Dependent) -> str:
    """Say that an earlier pending change has dropped or altered something; empty where none has."""
    schema = dependent.schema or (dependent.table.schema if dependent.table is not None else conversion.table.schema)
    if QualifiedName(schema, dependent.name) in conversion.dropped:
        return "dropped before by a pending change"
    # Statements of other kinds are only known as text.
    mentioned = (dependent.name, ident(dependent.name))
    if any(sql.upper().startswith("DROP ") and any(m in sql for m in mentioned) for sql in conversion.drops):
        return "dropped before by a pending statement"
    return ""
