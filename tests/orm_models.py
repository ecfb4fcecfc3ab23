"""Models written in a test, checked against a database that is made of them: `check_models`."""

from __future__ import annotations

import importlib.util
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, MetaData, create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import CreateIndex, CreateTable

from tests.fix_server import Database
from truing.catalog.read import read_snapshot
from truing.catalog.usage import read_usage
from truing.config import Config
from truing.finding import Finding
from truing.orm.context import Context
from truing.orm.engine import check
from truing.revisions.models import collected_warnings, mappers_of

PRELUDE = """
import datetime as dt
import decimal
import enum
import uuid
from typing import Any, List, Optional

from sqlalchemy import *
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import ARRAY, CITEXT, JSONB
from sqlalchemy.orm import *


class Base(DeclarativeBase):
    pass


class op:
    statements = []
    execute = statements.append
    before = ""


"""

NUMBERS = count(1)


@contextmanager
def loaded(folder: Path, code: str) -> Iterator[tuple[Any, list[str], tuple[Any, ...]]]:
    """Import models from a file, with SQLAlchemy's warnings and the mappers; forget them afterwards."""
    name = f"example_models_{next(NUMBERS)}"
    file = folder / f"{name}.py"
    file.write_text(PRELUDE + textwrap.dedent(code))
    spec = importlib.util.spec_from_file_location(name, file)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        with collected_warnings() as warnings:
            spec.loader.exec_module(module)
            mappers = mappers_of([module.Base.metadata])
        yield module, warnings, mappers
    finally:
        del sys.modules[name]
        module.Base.registry.dispose(cascade=True)


def create(metadata: MetaData, engine: Engine) -> None:
    """Make the tables; where PostgreSQL refuses, all that it does not refuse."""
    try:
        metadata.create_all(engine)
    except DBAPIError:
        for table in metadata.sorted_tables:
            with engine.begin() as connection:
                connection.execute(CreateTable(table))
            for index in table.indexes:
                with suppress(DBAPIError), engine.begin() as connection:
                    connection.execute(CreateIndex(index))


def check_models(folder: Path, database: Database, code: str, **config: Any) -> list[Finding]:
    """Make tables of models (with `op.execute(...)` for what differs in the database), and check the models."""
    with judged_models(folder, database, code, **config) as (_, findings):
        return findings


@contextmanager
def judged_models(folder: Path, database: Database, code: str, **config: Any) -> Iterator[tuple[Any, list[Finding]]]:
    """As `check_models`, with the module, to use its classes as long as the block lasts."""
    settings = Config(**config)
    with loaded(folder, code) as (module, warnings, mappers):
        metadata = module.Base.metadata
        if module.op.before:
            database.execute(module.op.before)
        engine = create_engine(database.url)
        try:
            create(metadata, engine)
        finally:
            engine.dispose()
        for statement in module.op.statements:
            database.execute(statement)
        with database.connect() as connection:
            usage = read_usage(connection, settings.application_role)
            context = Context(settings, read_snapshot(connection), usage, [metadata], mappers)
        yield module, list(check(context, warnings))
