"""Where do the RBAC revisions run? On a connection that is handed over, or on the URL that Alembic was given.

In: ``config.attributes["connection"]``, else ``-x url=``, ``sqlalchemy.url``, ``TRUING_DATABASE_URL`` or
``DATABASE_URL``; ``-x schema=`` for the schema of the tables; ``[tool.truing.rbac]`` for what they are told. One
transaction for each revision, because the online operations commit as they go.
"""

from __future__ import annotations

import os
from typing import Any

from alembic import context
from sqlalchemy import Connection, create_engine, pool, text

from truing.errors import UsageError
from truing.names import ident
from truing.rbac import place
from truing.rbac.models import Base
from truing.rbac.models.bound import tables_of
from truing.rbac.program import PROGRAM

_told = place.told(context.config)
_bound = place.wanted(_told)
_schema = str(_told.get("schema") or "public")
_program = str(_told.get("program") or PROGRAM)
_tables = tables_of(_bound.bind if _bound is not None else None, None if _program == _schema else _program)
# Anything of the system's that a database keeps beside the application's own tables.
_FOREIGN_SCHEMAS = frozenset({"auth", "storage", "extensions", "_truing"})


def _include_name(name: str | None, kind: str, _parents: Any) -> bool:
    """Leave other owners' schemas out of autogenerate; where it looks beyond one, all but that of the functions."""
    if kind != "schema":
        return True
    return name in {None, _program} if _tables.tables else name not in _FOREIGN_SCHEMAS


def _url() -> str:
    candidates = (
        _told.get("url"),
        context.config.get_main_option("sqlalchemy.url"),
        os.environ.get("TRUING_DATABASE_URL"),
        os.environ.get("DATABASE_URL"),
    )
    for url in candidates:
        if url:
            # SQLAlchemy knows no `postgres://`, which hosting services hand out.
            return "postgresql://" + url.removeprefix("postgres://") if url.startswith("postgres://") else url
    raise UsageError("no database was named", hint="Give -x url=postgresql://... or set TRUING_DATABASE_URL.")


def _configure(**where: Any) -> None:
    context.configure(
        target_metadata=[Base.metadata, _tables] if _tables.tables else Base.metadata,
        include_schemas=bool(_tables.tables),
        transaction_per_migration=True,
        compare_server_default=True,
        include_name=_include_name,
        **where,
    )


def _run(connection: Connection) -> None:
    schema = _told.get("schema")
    if schema:
        connection.execute(text(f"SET search_path TO {ident(schema)}"))
        connection.commit()
        connection.dialect.default_schema_name = schema
    _configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()


def _online() -> None:
    given: Connection | None = context.config.attributes.get("connection")
    if given is not None:
        _run(given)
        return
    engine = create_engine(_url(), poolclass=pool.NullPool)
    try:
        with engine.connect() as connection:
            _run(connection)
    finally:
        engine.dispose()


def _offline() -> None:
    _configure(dialect_name="postgresql", literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()


if context.is_offline_mode():
    _offline()
else:
    _online()
