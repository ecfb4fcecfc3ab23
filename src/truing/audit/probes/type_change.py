"""A column's type: of which class is each value? For online changes by the very definition that the change itself uses.

:class:`truing.online.conversion.Conversion` says what a value is and what becomes of it. A plain ``ALTER TABLE`` knows
no classes: what PostgreSQL cannot read makes it fail, and outer blanks count; what its ``USING`` makes of a value is
asked of PostgreSQL, row by row.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from truing.audit.model import RowClass, Source
from truing.audit.probes.foreign_key import Parent, short
from truing.audit.probes.probe import ALIAS, CLASS, Outcome, Probe
from truing.changes import DIRTY_CLASSES, DirtyClass, DirtyPolicy
from truing.errors import SqlSyntaxError, UnsupportedChangeError
from truing.names import ident, literal
from truing.online.conversion import Conversion
from truing.sql.parse import kind, parse_expression, parts, unwrap
from truing.sql.types import spelled

_FOUND: Final = "__truing_found"
_NEW: Final = "__truing_new"
_NORMALISED: Final = Outcome("normalised", "the same value, written as PostgreSQL writes it")
_LENGTH: Final = re.compile(r"^character(?: varying)?\((\d+)\)$")
_MEANT: Final = "the USING expression decides"


def online(conversion: Conversion, source: Source, parent: Parent) -> Probe:
    """Ask for the classes of an online conversion.

    Args:
        conversion: the conversion, its type as ``format_type`` prints it.
        source: where it is asked for.
        parent: how the converted value's parent is found; with the condition ``true`` where it needs none.

    Raises:
        UnsupportedChangeError: PostgreSQL before 16 cannot be asked read-only about this type.
    """
    change, dirty = conversion.change, conversion.dirty
    raw = f"{ALIAS}.{ident(change.column)}"
    policies = {name: dirty.policy(name) for name in _classes(conversion)}
    found = parent.found
    made = "sentinel" in {dirty.policy(name) for name in DIRTY_CLASSES}
    if made and change.references is not None and dirty.orphan not in {"fail", "map"}:
        # The sentinel's row is made before any value is looked at.
        value = conversion.safe_cast(raw, read_only=True)
        found = f"({found} OR coalesce({value} = {literal(dirty.sentinel)}::{change.type}, false))"
    expression, before = conversion.class_of(raw, found, read_only=True), {}
    mapped = [name for name, policy in policies.items() if policy == "map"]
    outcomes: dict[RowClass, Outcome] = {name: _outcome(conversion, name) for name in policies}
    if mapped and dirty.map_table is not None:
        before = {_FOUND: expression}
        here = f"{ALIAS}.{_FOUND}"
        missing = f"{here} IN ({', '.join(map(literal, mapped))}) AND {_looked_up(conversion, raw)} IS NULL"
        expression = f"CASE WHEN {missing} THEN 'unmapped' ELSE {here} END"
        outcomes["unmapped"] = Outcome("refused", f"the revision stops: {dirty.map_table} does not know them", "map")
    return Probe(
        title=_title(conversion),
        columns=(change.column,),
        source=source,
        outcomes={**outcomes, "normalised": _NORMALISED},
        expression=expression,
        value=raw,
        joins=(parent.join,) if parent.join else (),
        before=before,
        lists=_lists(conversion, raw, found) if not before else {},
        uses=(change.column,),
        effects={change.column: _converted(conversion, raw, policies)},
        moved=tuple(name for name, policy in policies.items() if policy == "quarantine-rows"),
    )


def _lists(conversion: Conversion, raw: str, found: str) -> dict[RowClass, str]:
    """Return short conditions of the classes; like the expression they never cast what cannot be cast."""
    valid, value = conversion.is_valid(raw, read_only=True), conversion.safe_cast(raw, read_only=True)
    text = f" AND {conversion.trimmed(raw)} <> ''" if conversion.from_text else ""
    return {
        "null": f"{raw} IS NULL",
        "empty": f"{conversion.trimmed(raw)} = ''",
        "malformed": f"NOT {valid}{text}",
        "orphan": f"{valid} AND NOT ({found})",
        "normalised": f'{raw}::text COLLATE "C" <> ({value})::text AND {found}',
    }


def _classes(conversion: Conversion) -> list[DirtyClass]:
    impossible: set[str] = set() if conversion.from_text else {"empty"}
    impossible |= {"null"} if conversion.nullable else set()
    impossible |= {"orphan"} if conversion.change.references is None else set()
    return [name for name in DIRTY_CLASSES if name not in impossible]


def _title(conversion: Conversion) -> str:
    return f"{conversion.change.column}: {conversion.source_type} → {conversion.change.type}"


def _outcome(conversion: Conversion, name: DirtyClass) -> Outcome:
    dirty, reference = conversion.dirty, conversion.change.references
    policy = dirty.policy(name)
    if policy == "fail":
        return Outcome("refused", "the revision stops at them", policy)
    fates = {"sentinel": f"→ sentinel {short(dirty.sentinel)}", "quarantine-rows": "row moves to quarantine"}
    if conversion.nullable:
        fates["null"] = "→ NULL"
    if dirty.map_table is not None:
        fates["map"] = f"→ what {dirty.map_table} says"
    if name == "orphan" and reference is not None:
        fates["create-parent"] = f"kept; a row of {reference.table} is made"
    if policy not in fates:
        return Outcome("refused", f"the revision stops: policy {policy} is not for them", policy)
    return Outcome("altered", fates[policy], policy)


def _looked_up(conversion: Conversion, raw: str) -> str:
    table = conversion.dirty.map_table
    source = table.sql if table is not None else ""
    return f"(SELECT m.value::{conversion.change.type} FROM {source} m WHERE m.raw = {raw}::text)"


def _converted(conversion: Conversion, raw: str, policies: dict[DirtyClass, DirtyPolicy]) -> str:
    """Return the value that the new column holds: what ``Conversion.convert`` gives, without its function."""
    type_, branches = conversion.change.type, []
    for name, policy in policies.items():
        given = {"sentinel": f"{literal(conversion.dirty.sentinel)}::{type_}"}.get(policy, "NULL")
        if policy == "map" and conversion.dirty.map_table is not None:
            given = _looked_up(conversion, raw)
        if (name, policy) != ("orphan", "create-parent"):
            branches.append(f"WHEN {literal(name)} THEN {given}")
    branches.append("WHEN 'unmapped' THEN NULL")
    # What is left is valid: every class that is not has its branch above.
    return f"CASE {CLASS} {' '.join(branches)} ELSE {conversion.cast(raw)} END"


def plain(conversion: Conversion, source: Source, alias: str) -> Probe:
    """Ask what a plain ``ALTER COLUMN ... TYPE`` would refuse or change.

    Args:
        conversion: the conversion; of its policies nothing is known.
        source: where it is asked for.
        alias: the table's name, which the ``USING`` expression may mention.
    """
    change = conversion.change
    raw = f"{ident(alias)}.{ident(change.column)}"
    cast = change.using is None or _is_cast(change.using, conversion)
    readable = _readable(conversion, raw)
    if cast and readable is not None:
        return _by_reading(conversion, source, alias, readable)
    new = change.using or f"{raw}::{change.type}"
    by_evaluation = Probe(
        title=_title(conversion),
        columns=(change.column,),
        source=source,
        outcomes={"normalised": _NORMALISED},
        expression=(
            f"CASE WHEN {raw}::text COLLATE \"C\" IS DISTINCT FROM {ident(alias)}.{_NEW}::text THEN 'normalised'"
            " ELSE 'clean' END"
        ),
        value=raw,
        alias=alias,
        # Computed for every row, whatever its class: where it fails for one, the revision fails.
        before={_NEW: f"({new})::{change.type}"},
        effects={change.column: f"{ALIAS}.{_NEW}"},
    )
    if readable is None or not conversion.from_text:
        return by_evaluation
    return _by_using(conversion, by_evaluation, raw)


def _by_reading(conversion: Conversion, source: Source, alias: str, readable: str) -> Probe:
    raw = f"{ident(alias)}.{ident(conversion.change.column)}"
    refused = Outcome("refused", "the revision fails")
    return Probe(
        title=_title(conversion),
        columns=(conversion.change.column,),
        source=source,
        outcomes={"empty": refused, "malformed": refused, "normalised": _NORMALISED},
        expression=(
            f"CASE WHEN {raw} IS NULL THEN 'clean' WHEN NOT {readable} THEN"
            f" CASE WHEN {conversion.trimmed(raw)} = '' THEN 'empty' ELSE 'malformed' END"
            f" WHEN {raw}::text COLLATE \"C\" <> {raw}::{conversion.change.type}::text THEN 'normalised'"
            " ELSE 'clean' END"
        ),
        value=raw,
        lists={
            "empty": f"NOT {readable} AND {conversion.trimmed(raw)} = ''",
            "malformed": f"NOT {readable} AND {conversion.trimmed(raw)} <> ''",
        },
        alias=alias,
        uses=(conversion.change.column,),
        effects={
            conversion.change.column: (
                f"CASE WHEN {CLASS} IN ('clean', 'normalised') THEN"
                f" {ALIAS}.{ident(conversion.change.column)}::{conversion.change.type} END"
            )
        },
    )


def _by_using(conversion: Conversion, probe: Probe, raw: str) -> Probe:
    """Ask what a ``USING`` expression makes of text: does it keep what PostgreSQL itself could read?"""
    new = f"{ident(probe.alias)}.{_NEW}"
    valid = conversion.is_valid(raw, read_only=True)
    altered = Outcome("altered", _MEANT)
    head = (
        f"CASE WHEN {raw} IS NULL THEN {{null}} WHEN {conversion.trimmed(raw)} = '' AND NOT {valid} THEN 'empty'"
        f" WHEN NOT {valid} THEN 'malformed'"
    )
    expression = (
        head.replace("{null}", f"CASE WHEN {new} IS NULL THEN 'clean' ELSE 'null' END")
        + f" WHEN {new}::text IS DISTINCT FROM {conversion.cast(raw)}::text THEN 'replaced'"
        + f" WHEN {raw}::text COLLATE \"C\" <> {new}::text THEN 'normalised' ELSE 'clean' END"
    )
    failing = Outcome("refused", "the revision fails: USING cannot read all of them")
    return msgspec.structs.replace(
        probe,
        outcomes={
            "null": Outcome("altered", "USING gives NULL a value"),
            "empty": altered,
            "malformed": altered,
            "replaced": Outcome("altered", "USING gives them another value than their own"),
            "normalised": _NORMALISED,
        },
        expression=expression,
        otherwise=msgspec.structs.replace(
            probe,
            outcomes={"empty": failing, "malformed": failing},
            expression=head.replace("{null}", "'clean'") + " ELSE 'clean' END",
            before={},
            effects={
                conversion.change.column: f"CASE WHEN {CLASS} = 'clean' THEN"
                f" {conversion.cast(f'{ALIAS}.{ident(conversion.change.column)}')} END"
            },
        ),
    )


def _is_cast(using: str, conversion: Conversion) -> bool:
    """Tell whether ``USING`` is nothing but the column cast to the type."""
    try:
        node = unwrap(parse_expression(using))
    except SqlSyntaxError:
        return False
    if kind(node) != "TypeCast" or kind(argument := unwrap(node.arg)) != "ColumnRef":
        return False
    return parts(argument)[-1] == conversion.change.column and spelled(node.type_name) == conversion.change.type


def _readable(conversion: Conversion, raw: str) -> str | None:
    """Return the condition that PostgreSQL reads the text, blanks and all; None where it has to be tried instead."""
    type_ = conversion.change.type
    length = _LENGTH.match(type_)
    if not conversion.from_text and length is None:
        # An assignment cast between other types is no reading of text: 1.5 becomes an integer, '1.5' does not.
        return None
    if length is not None:
        # Blanks beyond the length are cut off without a word (documentation: "Character Types").
        return f"(pg_catalog.btrim(pg_catalog.substr({raw}::text, {int(length[1]) + 1}), ' ') = '')"
    if conversion.version.has("input-is-valid"):
        return f"pg_catalog.pg_input_is_valid({raw}::text, {literal(type_)})"
    try:
        valid = conversion.is_valid(raw, read_only=True)
    except UnsupportedChangeError:
        return None
    # uuid_in takes no blanks; the input functions of numbers and of boolean do.
    return f"({valid} AND {conversion.trimmed(raw)} = {raw}::text)" if type_ == "uuid" else valid
