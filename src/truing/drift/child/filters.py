"""What does ``env.py`` keep out of autogenerate? Objects go in, those that its ``include_*`` refuse come out.

For use in a child process: the callables are the person's own. An object that the models have not is given to them as
a table (index, constraint) of that name alone, which is what most of them look at; one that fails on it hides nothing.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, ForeignKeyConstraint, Index, MetaData, Table, UniqueConstraint
from sqlalchemy.types import NullType

from truing.drift.child.create import load
from truing.drift.exchange import Candidate, Request


def hidden(request: Request) -> tuple[Candidate, ...]:
    """Ask the ``include_name`` and ``include_object`` of ``env.py`` about the candidates of a request."""
    metadatas, options = load(request)
    include_name, include_object = options.get("include_name"), options.get("include_object")
    models = {
        (table.schema or request.default_schema, table.name): table
        for metadata in metadatas
        for table in metadata.tables.values()
    }
    refused = []
    for candidate in request.candidates:
        schema = None if candidate.schema == request.default_schema else candidate.schema
        by_name = include_name is not None and not _name(include_name, candidate, schema)
        if by_name or (include_object is not None and not _object(include_object, candidate, schema, models)):
            refused.append(candidate)
    return tuple(refused)


def _name(include_name: Any, candidate: Candidate, schema: str | None) -> bool:
    parents: dict[str, str | None] = {}
    if candidate.kind != "schema":
        parents = {"schema_name": schema}
        if candidate.kind != "table":
            parents["table_name"] = candidate.table
        parents["schema_qualified_table_name"] = f"{schema}.{candidate.table}" if schema else candidate.table
    name = schema if candidate.kind == "schema" else candidate.name
    # Alembic asks about the schema and the table first, and never comes to what is in one that was refused.
    asked = [(name, candidate.kind, parents)]
    if candidate.kind not in {"schema", "table"}:
        above = {"schema_name": schema, "schema_qualified_table_name": parents["schema_qualified_table_name"]}
        asked.append((candidate.table, "table", above))
    if candidate.kind != "schema":
        asked.append((schema, "schema", {}))
    return all(_asked(include_name, *each) for each in asked)


def _object(
    include_object: Any, candidate: Candidate, schema: str | None, models: dict[tuple[str, str], Table]
) -> bool:
    if candidate.kind == "schema":
        return True
    known = models.get((candidate.schema, candidate.table))
    stand_in = Table(candidate.table, MetaData(), schema=schema)
    table = known if known is not None else stand_in
    asked: list[tuple[Any, ...]] = [(table, candidate.table, "table", known is None, None)]
    if candidate.kind != "table":
        part = _part(candidate, known)
        reflected = part is None
        asked.append(
            (part if part is not None else _made(candidate, stand_in), candidate.name, candidate.kind, reflected, None)
        )
    return all(_asked(include_object, *each) for each in asked)


def _part(candidate: Candidate, table: Table | None) -> Any:
    if table is None:
        return None
    things: Any = {"column": table.columns, "index": table.indexes}.get(candidate.kind, table.constraints)
    named = next((each for each in things if each.name == candidate.name), None)
    # What the models leave without a name is known by its columns.
    return named if named is not None or candidate.kind == "column" else _alike(things, candidate)


def _alike(things: Any, candidate: Candidate) -> Any:
    kinds: dict[str, Any] = {"unique_constraint": UniqueConstraint, "foreign_key_constraint": ForeignKeyConstraint}
    return next(
        (
            each
            for each in things
            if isinstance(each, kinds.get(candidate.kind, Index))
            and tuple(getattr(column, "name", "") for column in each.columns) == candidate.columns
        ),
        None,
    )


def _made(candidate: Candidate, table: Table) -> Any:
    names = (candidate.name,) if candidate.kind == "column" else candidate.columns or ("column",)
    columns: list[Column[Any]] = [Column(name, NullType()) for name in names]
    for column in columns:
        table.append_column(column)
    match candidate.kind:
        case "index":
            return Index(candidate.name, *columns)
        case "unique_constraint":
            constraint = UniqueConstraint(*columns, name=candidate.name)
            table.append_constraint(constraint)
            return constraint
        case "foreign_key_constraint":
            key = ForeignKeyConstraint(names, [f"other.{name}" for name in names], name=candidate.name)
            table.append_constraint(key)
            return key
    return columns[0]


def _asked(include: Any, *arguments: Any) -> bool:
    try:
        return bool(include(*arguments))
    except Exception:  # noqa: BLE001 - a person's function that did not expect a stand-in
        return True
