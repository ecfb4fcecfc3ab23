"""What hangs on a column? Everything that would stay on the old column, or break, when another one takes its name.

PostgreSQL binds dependents by the column's number and knows them in ``pg_depend`` (``bound``); what it does not know
there, such as grants, settings, comments, relatives and functions kept as text, is read by hand (``unbound``). Views
are followed through all views on them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, get_args

import psycopg

from truing.catalog.bound import bound
from truing.catalog.closure import Closure, Target, TextFunction, Way
from truing.catalog.dependent import Dependent, DependentKind
from truing.catalog.model import Function, Publication
from truing.catalog.read import assemble
from truing.catalog.session import Reader, look
from truing.catalog.unbound import function_texts, text_functions, unbound
from truing.errors import CatalogError
from truing.names import QualifiedName, ident

__all__ = ["column_dependents"]

_RANK: Final = {kind: rank for rank, kind in enumerate(get_args(DependentKind))}


def column_dependents(connection: psycopg.Connection[Any], table: QualifiedName, column: str) -> tuple[Dependent, ...]:
    """Find everything that hangs on a column.

    Args:
        connection: a psycopg connection, idle or in a transaction (which it then sees as it is now). A role that may
            only CONNECT is enough.
        table: the table.
        column: its column.

    Returns:
        The dependents, sorted so that they can be made again in this order (and dropped in the opposite one): by depth,
        then kind, then name. A self-referencing foreign key over the column is in it twice, ``out`` and ``in``.

    Raises:
        CatalogError: there is no such column, or the catalog could not be read.
    """

    def see(reader: Reader) -> tuple[Dependent, ...]:
        return _dependents(reader, table, column)

    return look(connection, see)


def _dependents(reader: Reader, table: QualifiedName, column: str) -> tuple[Dependent, ...]:
    place = {"schema": table.schema, "table": table.name, "column": column}
    found = reader.values("column", Target, place)
    if not found:
        raise CatalogError(f"There is no column {ident(column)} in a table {table}.", hint="Check their spelling.")
    oid, target = found[0]
    ways = [way for _, way in reader.values("dependents", Way, {"table": oid, "attnum": target.number})]
    texts = text_functions(reader, oid, table, column)
    closure = _read(reader, (oid, target), column, ways, texts)
    return tuple(sorted({*bound(closure, ways), *unbound(closure), *function_texts(closure, texts)}, key=_order))


def _read(
    reader: Reader, found: tuple[int, Target], column: str, ways: list[Way], texts: Mapping[int, TextFunction]
) -> Closure:
    oid, target = found
    relations = {oid, *(way.owner for way in ways if way.owner)}
    functions = {way.object for way in ways if way.class_name == "pg_proc"} | set(texts)
    pieces = assemble(reader, relations)
    table = pieces.tables[oid]
    whole = table.column(column)
    if whole is None:  # pragma: no cover - column.sql has just found it, in the same snapshot
        raise CatalogError(f"There is no column {ident(column)} in a table {table.name}.")
    published = any(way.class_name == "pg_publication_rel" for way in ways)
    return Closure(
        table_oid=oid,
        table=table,
        column=whole,
        target=target,
        pieces=pieces,
        functions=dict(reader.values("functions", Function, {"relations": [], "functions": list(functions)})),
        # Only PostgreSQL 15 and newer have publications that depend on a column.
        publications=tuple(value for _, value in reader.values("publications", Publication)) if published else (),
    )


def _order(dependent: Dependent) -> tuple[Any, ...]:
    table = dependent.table or QualifiedName("", "")
    return (
        dependent.depth,
        _RANK[dependent.kind],
        dependent.schema or "",
        table,
        dependent.name,
        dependent.arguments,
        dependent.definition,
    )
