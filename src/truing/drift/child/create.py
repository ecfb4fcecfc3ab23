"""What do these models build? ``create_all`` on a real connection, with its real events; for use in a child process.

First everything in one transaction, as people do it. Where PostgreSQL refuses that, statement by statement with a
savepoint around each: tables without their foreign keys, then those; what is refused then is said, and the rest stands.
"""

from __future__ import annotations

import inspect
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import psycopg
from sqlalchemy import Connection, Constraint, Engine, Enum, Index, MetaData, Table, create_engine, event, pool
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm.mapper import _all_registries
from sqlalchemy.schema import CreateTable
from sqlalchemy.sql.ddl import CheckFirst, SchemaGenerator
from sqlalchemy.types import TypeDecorator

from truing.drift.child.batch import batched
from truing.drift.exchange import Refusal, Reply, Request, url_of
from truing.errors import ProjectError
from truing.finding import Location
from truing.names import ident
from truing.revisions.failure import one_line
from truing.revisions.metadata import load_metadata
from truing.revisions.models import mapped_in

_FUNCTION: Final = re.compile(r"^(\s*CREATE)\s+((?:FUNCTION|PROCEDURE)\s)", re.IGNORECASE)
_FUNCTION_THERE: Final = "42723"


def build(request: Request) -> Reply:
    """Create the models' tables in the scratch database.

    Raises:
        ProjectError: there are no models.
    """
    metadatas, options = load(request)
    if request.server is None:
        raise ProjectError("models need a scratch database")
    translate = dict(request.translate)
    options_here = {"schema_translate_map": translate} if translate else {}
    engine = create_engine(url_of(request.server), poolclass=pool.NullPool, execution_options=options_here)
    try:
        schemas = _make_schemas(engine, metadatas, translate)
        whole = _create_all(engine, metadatas)
        refusals = () if whole else _create_what_can_be(engine, metadatas, request)
    finally:
        engine.dispose()
    return Reply(
        refusals=(*refusals, *_twins(metadatas)),
        places=places(metadatas, request.default_schema, translate),
        names=names(metadatas),
        schemas_made=schemas,
        filters=bool(options.get("include_object") or options.get("include_name")),
        tables=sum(len(each.tables) for each in metadatas),
        whole=whole,
        version_table=options.get("version_table") or "alembic_version",
        version_schema=options.get("version_table_schema"),
    )


def load(request: Request) -> tuple[list[MetaData], dict[str, Any]]:
    """Import the models: those that were named, else the ``target_metadata`` of ``env.py``.

    Returns:
        The MetaData, and what ``env.py`` configures (empty without a project).

    Raises:
        ProjectError: there are none, or ``env.py`` fails.
        ConfigurationError: a name leads to no MetaData.
    """
    options: dict[str, Any] = request.project.context_options() if request.project is not None else {}
    if request.metadata:
        return [load_metadata(name, Path(request.folder or ".")) for name in request.metadata], options
    target = options.get("target_metadata")
    found = target if isinstance(target, list | tuple) else [target]
    metadatas = [each for each in found if isinstance(each, MetaData)]
    if not metadatas:
        raise ProjectError(
            "env.py has no target_metadata, so there are no models to compare",
            hint='Name them: truing drift --models app.models:Base, or [tool.truing] metadata = ["app.models:Base"].',
        )
    return metadatas, options


def _twins(metadatas: Iterable[MetaData]) -> Iterator[Refusal]:
    """Name the tables that several MetaData have, each in its own way: ``create_all`` makes the first one."""
    first: dict[str, str] = {}
    for metadata in metadatas:
        for table in metadata.tables.values():
            statement = ""
            with suppress(SQLAlchemyError):  # what cannot be written has been refused
                statement = str(CreateTable(table).compile(dialect=postgresql.dialect()))  # type: ignore[no-untyped-call]
            if statement != first.setdefault(table.fullname, statement):
                message = "another MetaData has a table of this name, and not the same; this one was left out"
                yield Refusal(statement=_short(statement), message=message)


def _make_schemas(
    engine: Engine, metadatas: Iterable[MetaData], translate: Mapping[str | None, str | None]
) -> tuple[str, ...]:
    """Make the schemas that the models name: ``create_all`` never does, and people's databases have them."""
    names = set()
    for metadata in metadatas:
        names |= {metadata.schema} | {table.schema for table in metadata.tables.values()}
        names |= {sequence.schema for sequence in metadata._sequences.values()}  # noqa: SLF001 - no public way
        for table in metadata.tables.values():
            for column in table.columns:
                kind = getattr(column.type, "item_type", column.type)
                names.add(kind.schema if isinstance(kind, Enum) else getattr(kind, "schema", None))
    # str(): SQLAlchemy has a kind of string of its own, which does not travel.
    meant = {translate.get(name, name) for name in names if name is None or isinstance(name, str)}
    wanted = sorted(str(name) for name in meant if name)
    with engine.begin() as connection:
        there = set(connection.exec_driver_sql("SELECT nspname::text FROM pg_namespace").scalars())
        missing = tuple(name for name in wanted if name not in there)
        for name in missing:
            connection.exec_driver_sql(_driver(f"CREATE SCHEMA {ident(name)}"))
    return missing


def names(metadatas: Iterable[MetaData]) -> tuple[str, ...]:
    """List the names that the models give to constraints; PostgreSQL makes up the others."""
    preparer: Any = postgresql.dialect().identifier_preparer  # type: ignore[no-untyped-call]
    given = {
        preparer.format_constraint(constraint, _alembic_quote=False)
        for metadata in metadatas
        for table in metadata.tables.values()
        for constraint in table.constraints
        if constraint.name is not None
    }
    return tuple(sorted(str(name) for name in given if name))


def _create_all(engine: Engine, metadatas: Iterable[MetaData]) -> bool:
    try:
        with engine.begin() as connection, batched(connection):
            for metadata in metadatas:
                metadata.create_all(connection)
    except (SQLAlchemyError, psycopg.Error):
        return False
    return True


def _create_what_can_be(engine: Engine, metadatas: Iterable[MetaData], request: Request) -> tuple[Refusal, ...]:
    refusals: list[Refusal] = []
    with engine.begin() as connection:
        _piece_by_piece(connection, metadatas, request, refusals)
    # What misses a relation misses one that was refused before, which has been said.
    followed = [each for each in refusals if each.sqlstate != "42P01"]
    return tuple(followed or refusals)


def _piece_by_piece(
    connection: Connection, metadatas: Iterable[MetaData], request: Request, refusals: list[Refusal]
) -> None:
    connection.exec_driver_sql("SET LOCAL check_function_bodies = off")
    _make_enums(connection, metadatas)
    for statement in request.fallback:
        connection.exec_driver_sql("SAVEPOINT truing_fallback")
        try:
            connection.exec_driver_sql(_driver(statement))
        except SQLAlchemyError:
            connection.exec_driver_sql("ROLLBACK TO SAVEPOINT truing_fallback")
        connection.exec_driver_sql("RELEASE SAVEPOINT truing_fallback")
    _attempt_each(connection.engine, refusals, request.default_schema)
    for metadata in metadatas:
        generator: Any = SchemaGenerator(connection.dialect, connection, CheckFirst.TYPES)  # type: ignore[no-untyped-call]
        metadata.dispatch.before_create(metadata, connection, tables=list(metadata.tables.values()), checkfirst=True)
        for sequence in metadata._sequences.values():  # noqa: SLF001 - no public way
            generator.visit_sequence(sequence)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # cycles are no trouble here: foreign keys come last
            tables = metadata.sorted_tables
        for table in tables:
            _whole(table, generator, refusals)
        for table in tables:
            for key in sorted(table.foreign_key_constraints, key=lambda each: str(each.name)):
                # Through the generator, which keeps to ddl_if() and fires the constraint's events.
                generator.visit_foreign_key_constraint(key)
        metadata.dispatch.after_create(metadata, connection, tables=tables, checkfirst=True)


def _make_enums(connection: Connection, metadatas: Iterable[MetaData]) -> None:
    """Make the models' own enums before any of the migrations' could take their names."""
    for metadata in metadatas:
        for table in metadata.tables.values():
            for column in table.columns:
                kind: Any = getattr(column.type, "item_type", column.type)
                kind = kind.impl_instance if isinstance(kind, TypeDecorator) else kind
                if isinstance(kind, Enum) and kind.native_enum and getattr(kind, "create_type", True):
                    # One that is refused is refused again with its table, and then it is said.
                    with suppress(SQLAlchemyError), connection.begin_nested():
                        kind.create(connection, checkfirst=True)


def _whole(table: Table, generator: Any, refusals: list[Refusal]) -> None:
    try:
        generator.visit_table(table, include_foreign_key_constraints=[], create_ok=True)
    except SQLAlchemyError as error:
        # SQLAlchemy itself cannot write the statement (an index without columns, say).
        refusals.append(Refusal(statement=f"CREATE TABLE {table.fullname}", message=one_line(error)))


def _attempt_each(engine: Engine, refusals: list[Refusal], default_schema: str) -> None:
    """Put a savepoint around every statement, and note those that PostgreSQL refuses instead of failing."""

    def attempt(cursor: Any, statement: str, parameters: Any, context: Any) -> bool:
        cursor.execute("SAVEPOINT truing_attempt")
        try:
            cursor.execute(statement, parameters)
        except Exception as error:  # noqa: BLE001 - whatever the driver raises is the refusal
            cursor.execute("ROLLBACK TO SAVEPOINT truing_attempt")
            again = _FUNCTION.sub(r"\1 OR REPLACE \2", statement, count=1)
            if getattr(error, "sqlstate", "") == _FUNCTION_THERE and again != statement:
                # The migrations' function was made to help; the models have one of their own, and that counts.
                return attempt(cursor, again, parameters, context)
            refusals.append(
                Refusal(
                    statement=_short(statement),
                    message=str(getattr(getattr(error, "diag", None), "message_primary", None) or one_line(error)),
                    sqlstate=str(getattr(error, "sqlstate", "") or ""),
                    about=_about(context, default_schema),
                )
            )
        else:
            if cursor.description is None:
                # A query's result must stay readable, so its savepoint goes with the next one of the same name.
                cursor.execute("RELEASE SAVEPOINT truing_attempt")
        return True

    event.listen(engine, "do_execute", attempt)
    event.listen(
        engine, "do_execute_no_params", lambda cursor, statement, context: attempt(cursor, statement, None, context)
    )


def _about(context: Any, default_schema: str) -> tuple[str, str]:
    """Name what a statement would have made, as drift names it; two empty texts where that cannot be said."""
    element = getattr(getattr(getattr(context, "compiled", None), "statement", None), "element", None)
    table = element if isinstance(element, Table) else getattr(element, "table", None)
    if not isinstance(table, Table) or not getattr(element, "name", None):
        return "", ""
    schema, name = ident(table.schema or default_schema), ident(str(element.name))  # type: ignore[union-attr]
    match element:
        case Table():
            return "table", f"{schema}.{name}"
        case Index():
            return "index", f"{schema}.{name}"
        case Constraint():
            return "constraint", f"{name} on {schema}.{ident(table.name)}"
    return "", ""


def _driver(statement: str) -> str:
    return statement.replace("%", "%%")


def _short(statement: str) -> str:
    return re.sub(r"\s+", " ", statement).strip()[:300]


def places(
    metadatas: Iterable[MetaData], default_schema: str, translate: Mapping[str | None, str | None]
) -> dict[str, Location]:
    """Say where tables and columns are written: at the class that maps them."""
    known = {id(metadata) for metadata in metadatas}
    found: dict[str, Location] = {}
    # SQLAlchemy has no public way from a MetaData to the registries that use it.
    for registry in _all_registries():
        if id(registry.metadata) not in known:
            continue
        for mapper in mapped_in(registry):
            table = mapper.local_table
            if isinstance(table, Table):
                schema = translate.get(table.schema, table.schema)
                name = f"{ident(schema or default_schema)}.{ident(table.name)}"
                found |= _lines(mapper.class_, name, [(attr.key, attr.columns[0].name) for attr in mapper.column_attrs])
    return found


def _lines(class_: type, table: str, columns: Iterable[tuple[str, str]]) -> dict[str, Location]:
    try:
        file = inspect.getsourcefile(class_)
        lines, first = inspect.getsourcelines(class_)
    except (OSError, TypeError):
        return {}
    if file is None:
        return {}
    found = {table: Location(file, first)}
    for key, column in columns:
        for number, line in enumerate(lines):
            if re.match(rf"\s*{re.escape(key)}\s*[:=]", line):
                found[f"{table}.{ident(column)}"] = Location(file, first + number)
                break
    return found
