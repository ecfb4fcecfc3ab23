"""What is in this database? A :class:`Snapshot`, read by a fixed number of queries however many tables there are.

First ``scope.sql`` says which relations, functions and types are shown (and counts what is not); each other query then
reads one family for all of them at once, and the pieces are put together here by the oid of what they belong to.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final, Protocol, TypeVar

import msgspec
import psycopg

from truing import redaction
from truing.catalog.brought import brought
from truing.catalog.model import (
    Brought,
    Column,
    Constraint,
    DatabaseObject,
    Extension,
    Function,
    Index,
    LeftOut,
    Policy,
    Publication,
    Rule,
    Schema,
    Sequence,
    Snapshot,
    Statistic,
    Table,
    TableSize,
    Trigger,
    UserType,
    View,
)
from truing.catalog.probe import unread
from truing.catalog.session import Reader, look, sql
from truing.errors import CatalogError
from truing.names import QualifiedName, ident, literal

OWN_SCHEMA: Final = "_truing"
"""Where truing keeps its journal; never part of what it looks at."""

_PARTS: Final[dict[str, type[Any]]] = {
    "columns": Column,
    "constraints": Constraint,
    "indexes": Index,
    "policies": Policy,
    "triggers": Trigger,
    "rules": Rule,
    "statistics": Statistic,
}

_Owner = TypeVar("_Owner", Table, View)
_Named = TypeVar("_Named", bound="_HasName")


class _Scoped(msgspec.Struct, frozen=True):
    """One row of scope.sql."""

    oid: int
    kind: str
    verdict: str


class _SizeRow(msgspec.Struct, frozen=True):
    """One row of sizes.sql."""

    name: QualifiedName
    size: TableSize


class _TypeRow(UserType, frozen=True):
    """One row of types.sql; a composite type has its columns in a relation of its own."""

    row_relation: int = 0


class _OtherRow(DatabaseObject, frozen=True):
    """One row of others.sql; the options may hold secrets."""

    options: tuple[str, ...] = ()


class Pieces(msgspec.Struct, frozen=True):
    """Objects with everything that belongs to them, by oid: what :func:`assemble` returns."""

    tables: dict[int, Table]
    views: dict[int, View]
    sequences: dict[int, Sequence]
    types: dict[int, UserType]


class _HasName(Protocol):
    @property
    def name(self) -> Any: ...


def read_snapshot(
    connection: psycopg.Connection[Any],
    *,
    include: Collection[str] | None = None,
    exclude: Collection[str] = (),
    only: Collection[QualifiedName] | None = None,
) -> Snapshot:
    """Read what a database is.

    The catalogs' own schemas, temporary objects, members of extensions and truing's own schema are never shown; they
    are counted in ``left_out``, except for the catalogs.

    Args:
        connection: a psycopg connection, idle or in a transaction. A role that may only CONNECT is enough.
        include: the schemas to show; None for all.
        exclude: schemas to leave out.
        only: the relations, functions and types to show, which is quick; None for all. Objects of other kinds are all
            shown.

    Returns:
        The database at one moment.

    Raises:
        CatalogError: the catalog could not be read, or a schema of ``include`` does not exist.
    """
    parameters = _scope_parameters(include, exclude)
    return look(connection, lambda reader: _snapshot(reader, parameters, only))


def read_table(connection: psycopg.Connection[Any], name: QualifiedName) -> Table | None:
    """Read one table with everything that belongs to it.

    Args:
        connection: a psycopg connection, idle or in a transaction.
        name: the table; any schema, also one that a snapshot would leave out.

    Returns:
        The table; None when there is no such table (a view is none).

    Raises:
        CatalogError: the catalog could not be read.
    """

    def see(reader: Reader) -> Table | None:
        oid = relation_oid(reader, name)
        return assemble(reader, [oid]).tables.get(oid) if oid is not None else None

    return look(connection, see)


def read_sizes(connection: psycopg.Connection[Any]) -> Mapping[QualifiedName, TableSize]:
    """Read the estimated rows and the sizes of all tables that a snapshot shows.

    Args:
        connection: a psycopg connection, idle or in a transaction.

    Returns:
        The sizes by table.

    Raises:
        CatalogError: the catalog could not be read.
    """

    def see(reader: Reader) -> Mapping[QualifiedName, TableSize]:
        shown = [row.oid for row in _scope(reader, _scope_parameters(None, ())) if row.verdict == "shown"]
        return {row.name: row.size for _, row in reader.values("sizes", _SizeRow, {"relations": shown})}

    return look(connection, see)


def read_brought(connection: psycopg.Connection[Any], names: Collection[str]) -> tuple[Brought, ...]:
    """Read who may use what PostgreSQL and its extensions brought, also where that is as it came.

    Args:
        connection: a psycopg connection, idle or in a transaction.
        names: of what, each with its kind: ``function pg_catalog.pg_sleep(double precision)``.

    Returns:
        What of it there is; and whatever has other privileges than it came with.

    Raises:
        CatalogError: the catalog could not be read.
    """
    return look(connection, lambda reader: brought(reader, _scope_parameters(None, ()), names))


def relation_oid(reader: Reader, name: QualifiedName) -> int | None:
    """Find the oid of a relation, without folding or searching."""
    rows = reader.execute(
        "SELECT c.oid::bigint FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace"
        " WHERE n.nspname = %(schema)s AND c.relname = %(name)s",
        {"schema": name.schema, "name": name.name},
    )
    return int(rows[0][0]) if rows else None


def assemble(reader: Reader, relations: Collection[int], types: Collection[int] = ()) -> Pieces:
    """Read relations and types by their oids, with everything that belongs to them.

    Args:
        reader: from :func:`truing.catalog.session.reading`.
        relations: oids of tables, views and sequences; others are passed over.
        types: oids of enums, domains, composite and range types.
    """
    type_rows = reader.values("types", _TypeRow, {"types": list(types)}) if types else []
    composites = [row.row_relation for _, row in type_rows if row.row_relation]
    oids = {"relations": [*relations, *composites], "types": list(types)}
    parts = {name: _grouped(reader.values(name, kind, oids), name) for name, kind in _PARTS.items()}
    oids["relations"] = list(relations)
    return Pieces(
        tables={oid: _table(table, oid, parts) for oid, table in reader.values("tables", Table, oids)},
        views={oid: _with_parts(view, oid, parts) for oid, view in reader.values("views", View, oids)},
        sequences=dict(reader.values("sequences", Sequence, oids)),
        types={oid: _type(row, oid, parts) for oid, row in type_rows},
    )


def _snapshot(
    reader: Reader, scope_parameters: Mapping[str, Any], only: Collection[QualifiedName] | None = None
) -> Snapshot:
    scope = _scope(reader, scope_parameters)
    if only is not None:
        wanted_oids = _oids(reader, only)
        scope = [row for row in scope if row.oid in wanted_oids]
    shown: defaultdict[str, list[int]] = defaultdict(list)
    for row in scope:
        if row.verdict == "shown":
            shown[row.kind if row.kind in ("function", "type") else "relation"].append(row.oid)
    pieces = assemble(reader, shown["relation"], shown["type"])
    wanted = {"relations": shown["relation"], "functions": shown["function"]}
    functions = [function for _, function in reader.values("functions", Function, wanted)]
    others = [_other(row) for _, row in reader.values("others", _OtherRow, scope_parameters)]
    publications = "publications" if reader.version.has("publication-columns") else "publications_14"
    verdicts = Counter(row.verdict for row in scope)
    return Snapshot(
        version=reader.version,
        database=str(reader.execute("SELECT current_database()")[0][0]),
        schemas=_sorted(value for _, value in reader.values("schemas", Schema, scope_parameters)),
        extensions=_sorted(value for _, value in reader.values("extensions", Extension)),
        tables=_sorted(pieces.tables.values()),
        views=_sorted(pieces.views.values()),
        sequences=_sorted(pieces.sequences.values()),
        functions=tuple(sorted(functions, key=lambda function: (function.name, function.arguments))),
        types=_sorted(pieces.types.values()),
        publications=_sorted(value for _, value in reader.values(publications, Publication)),
        others=tuple(sorted(others, key=lambda other: (other.kind, other.name))),
        brought=brought(reader, scope_parameters),
        unread=unread(reader),
        left_out=LeftOut(
            extension_members=verdicts["extension"],
            own=verdicts["own"],
            other_schemas=verdicts["other"],
            temporary=verdicts["temporary"],
        ),
    )


def _scope_parameters(include: Collection[str] | None, exclude: Collection[str]) -> dict[str, Any]:
    return {"include": None if include is None else list(include), "exclude": list(exclude), "own": OWN_SCHEMA}


def _scope(reader: Reader, parameters: Mapping[str, Any]) -> list[_Scoped]:
    missing = reader.execute(
        "SELECT wanted.name FROM unnest(%(include)s::text[]) AS wanted (name)"
        " WHERE wanted.name NOT IN (SELECT nspname::text FROM pg_namespace)",
        parameters,
    )
    if missing:
        raise CatalogError(f"There is no schema {ident(missing[0][0])} in this database.", hint="Check its spelling.")
    return [_Scoped(int(oid), kind, verdict) for oid, kind, verdict in reader.execute(sql("scope"), parameters)]


def _oids(reader: Reader, names: Collection[QualifiedName]) -> set[int]:
    """Find the relations, functions and types that have one of these names."""
    ordered = sorted(names)
    rows = reader.execute(
        "SELECT o.oid::bigint FROM unnest(%(schemas)s::text[], %(names)s::text[]) AS w (schema, name)"
        " JOIN pg_namespace AS n ON n.nspname = w.schema"
        " JOIN (SELECT oid, relnamespace AS namespace, relname AS name FROM pg_class"
        " UNION ALL SELECT oid, pronamespace, proname FROM pg_proc"
        " UNION ALL SELECT oid, typnamespace, typname FROM pg_type) AS o ON o.namespace = n.oid AND o.name = w.name",
        {"schemas": [each.schema for each in ordered], "names": [each.name for each in ordered]},
    )
    return {row[0] for row in rows}


def _grouped(rows: Iterable[tuple[int, Any]], family: str) -> dict[int, tuple[Any, ...]]:
    """Group values by what they belong to, sorted by name; columns keep the order of the table."""
    groups: defaultdict[int, list[Any]] = defaultdict(list)
    for relation, value in rows:
        groups[relation].append(value)
    order = tuple if family == "columns" else _sorted
    return {relation: order(values) for relation, values in groups.items()}


def _with_parts(owner: _Owner, oid: int, parts: Mapping[str, Mapping[int, tuple[Any, ...]]]) -> _Owner:
    found = {name: group[oid] for name, group in parts.items() if oid in group and name in owner.__struct_fields__}
    return msgspec.structs.replace(owner, **found)


def _table(table: Table, oid: int, parts: Mapping[str, Mapping[int, tuple[Any, ...]]]) -> Table:
    whole = _with_parts(table, oid, parts)
    if whole.kind == "foreign-table":
        columns = (msgspec.structs.replace(each, options=_options(each)) for each in whole.columns)
        whole = msgspec.structs.replace(whole, options=_options(whole), columns=tuple(columns))
    return msgspec.structs.replace(
        whole,
        constraints=tuple(constraint for constraint in whole.constraints if constraint.kind != "not-null"),
        not_nulls=tuple(constraint for constraint in whole.constraints if constraint.kind == "not-null"),
    )


def _type(row: _TypeRow, oid: int, parts: Mapping[str, Mapping[int, tuple[Any, ...]]]) -> UserType:
    bare = UserType(**{name: getattr(row, name) for name in UserType.__struct_fields__})
    # PostgreSQL 18 lists a domain's NOT NULL as a constraint; `not_null` says it on every major.
    constraints = tuple(c for c in parts["constraints"].get(oid, ()) if c.kind != "not-null")
    return msgspec.structs.replace(bare, constraints=constraints, columns=parts["columns"].get(row.row_relation, ()))


def _options(value: Table | Column) -> tuple[str, ...]:
    return tuple(map(redaction.option, value.options))


def _other(row: _OtherRow) -> DatabaseObject:
    bare = DatabaseObject(**{name: getattr(row, name) for name in DatabaseObject.__struct_fields__})
    if row.kind == "database setting":
        name = row.name.partition(" of ")[0]
        return msgspec.structs.replace(bare, definition=redaction.shown(name, row.definition))
    if not row.options:
        return bare
    pairs = (redaction.option(each).partition("=") for each in row.options)
    options = ", ".join(f"{ident(name)} {literal(value)}" for name, _, value in pairs)
    return msgspec.structs.replace(bare, definition=f"{row.definition} OPTIONS ({options})".lstrip())


def _sorted(values: Iterable[_Named]) -> tuple[_Named, ...]:
    return tuple(sorted(values, key=lambda value: value.name))
