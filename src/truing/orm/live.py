"""What does the database guarantee about a table? Catalog values in; keys, NOT NULL, indexes, allowed values out."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Final, TypeAlias

from truing.catalog.model import Column, Index, Table, UserType, View
from truing.names import ident

Types: TypeAlias = Mapping[str, UserType]

LARGEST: Final[Mapping[str, int]] = {"smallint": 2**15 - 1, "integer": 2**31 - 1, "bigint": 2**63 - 1}
"""The largest value of an integer type."""


def unique_sets(table: Table | View, *, partial: bool = False) -> Iterator[frozenset[str]]:
    """Give the sets of columns that no two rows share.

    Args:
        table: a table or materialised view.
        partial: whether indexes over some of the rows count as well.
    """
    for index in table.indexes:
        if index.unique and index.valid and (partial or not index.predicate) and None not in index.columns:
            yield frozenset(name for name in index.columns if name is not None)
    if isinstance(table, Table):
        # An exclusion constraint may be a key in disguise; who has one has thought about it.
        yield from (frozenset(each.columns) for each in table.constraints if each.kind == "exclusion" and each.columns)


def is_unique(table: Table | View, columns: Collection[str], *, partial: bool = False) -> bool:
    """Tell whether no two rows have the same values in these columns."""
    return any(each <= set(columns) for each in unique_sets(table, partial=partial))


def is_not_null(types: Types, table: Table, column: Column) -> bool:
    """Tell whether a column holds no NULL: by NOT NULL, by its domain, or by a CHECK of its own."""
    domain = types.get(column.type)
    if column.not_null or (domain is not None and domain.kind == "domain" and domain.not_null):
        return True
    proof = f"({ident(column.name)} IS NOT NULL)"
    return any(
        each.kind == "check" and each.validated and each.enforced and each.expression == proof
        for each in table.constraints
    )


def has_default(types: Types, column: Column) -> bool:
    """Tell whether an INSERT without this column gets a value."""
    domain = types.get(column.type)
    return bool(column.default or column.identity or column.generated or (domain is not None and domain.default))


def covering_index(table: Table, columns: Collection[str]) -> Index | None:
    """Find an index that finds the rows with given values in all these columns.

    A partial index serves where its predicate only leaves out NULLs, which equality never finds, and a unique one over
    some of the columns finds a single row already.
    """
    wanted = set(columns)
    harmless = {f"({ident(name)} IS NOT NULL)" for name in wanted}
    for index in table.indexes:
        leading = index.columns[: len(wanted)]
        usable = index.valid and (not index.predicate or index.predicate in harmless)
        single = index.unique and not index.predicate and set(index.columns) <= wanted
        if usable and index.method in ("btree", "hash") and (set(leading) == wanted or single):
            return index
    return None


def partly_covering_index(table: Table, columns: Collection[str]) -> Index | None:
    """Find an index that begins with one of these columns."""
    return next(
        (
            index
            for index in table.indexes
            if index.valid and not index.predicate and index.columns[0] in columns and index.method in ("btree", "hash")
        ),
        None,
    )


_LITERAL: Final = r"'(?:[^']|'')*'::(?:text|character varying|bpchar|character)(?:\(\d+\))?"
_ONE_OF: Final = (
    rf" = (?:ANY \(\(?ARRAY\[(?P<many>{_LITERAL}(?:, {_LITERAL})*)\]\)?(?:::text\[\])?\)|(?P<one>{_LITERAL}))\)"
)


def allowed_values(table: Table, column: str) -> tuple[str, ...] | None:
    """Return the texts that a CHECK of the form ``column IN (...)`` allows; None where there is none."""
    pattern = re.compile(rf"\(\(?{re.escape(ident(column))}\)?(?:::text)?{_ONE_OF}", re.DOTALL)
    for each in table.constraints:
        match = (
            pattern.fullmatch(each.expression) if each.kind == "check" and each.expression and each.enforced else None
        )
        if match is not None:
            listed = re.findall(r"'((?:[^']|'')*)'::", match["many"] or match["one"])
            return tuple(one.replace("''", "'") for one in listed)
    return None


def has_check_on(table: Table, column: str) -> bool:
    """Tell whether a CHECK says which values this column may have; that there is one, or how long, says nothing."""
    name = re.escape(ident(column))
    text = rf"(?:{name}|\({name}\)::text)"
    nothing = re.compile(
        rf"{name} IS NOT NULL"
        rf"|(?:char_length|character_length|length|octet_length)\({text}\)"
        rf"|(?:{text}|btrim\({text}\)|TRIM\(BOTH FROM {text}\)) <> ''::text"
    )
    return any(
        each.kind == "check"
        and each.enforced
        and column in each.columns
        and re.search(rf"(?<![\w$\"]){name}(?![\w$\"])", nothing.sub("", each.expression or column))
        for each in table.constraints
    )


def longest(type_: str) -> int | None:
    """Return the limit of ``character varying(n)`` or ``character(n)``; None for other types."""
    match = re.fullmatch(r"(?:character varying|character)\((\d+)\)", type_)
    return int(match[1]) if match else None
