"""Small Alembic projects for tests, written into a folder."""

from __future__ import annotations

import textwrap
from pathlib import Path

from truing.revisions.project import Project, discover

ENV = """
from alembic import context
from sqlalchemy import Column, Integer, MetaData, NullPool, Table, create_engine

target_metadata = MetaData()
Table("users", target_metadata, Column("id", Integer, primary_key=True))

def include_object(obj, name, type_, reflected, compare_to):
    return name != "spatial_ref_sys"

if context.is_offline_mode():
    context.configure(
        url=context.config.get_main_option("sqlalchemy.url"), target_metadata=target_metadata,
        version_table="revisions", version_table_schema="app", include_object=include_object, include_schemas=True,
    )
    with context.begin_transaction():
        context.run_migrations()
else:
    engine = create_engine(context.config.get_main_option("sqlalchemy.url"), poolclass=NullPool)
    with engine.connect() as connection:
        context.configure(connection=connection, target_metadata=target_metadata)
        with context.begin_transaction():
            context.run_migrations()
"""

ASYNC_ENV = """
import asyncio
from logging.config import fileConfig
from alembic import context
from sqlalchemy import MetaData
from sqlalchemy.ext.asyncio import async_engine_from_config

config = context.config
target_metadata = MetaData()

def do_run_migrations(connection):
    context.configure(connection=connection, target_metadata=target_metadata)
    with context.begin_transaction():
        context.run_migrations()

async def run_async_migrations():
    engine = async_engine_from_config(config.get_section(config.config_ini_section), prefix="sqlalchemy.")
    async with engine.connect() as connection:
        await connection.run_sync(do_run_migrations)
    await engine.dispose()

if context.is_offline_mode():
    context.configure(url=config.get_main_option("sqlalchemy.url"), target_metadata=target_metadata, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()
else:
    asyncio.run(run_async_migrations())
"""

URL = "postgresql+psycopg://truing@localhost/app"


def revision(
    name: str, upgrade: str, *, down: object = None, downgrade: str = "pass", head: str = "", **fields: object
) -> str:
    """The source of a revision; `head` goes before the functions, `fields` are branch_labels and depends_on."""
    extra = "".join(f"{key} = {value!r}\n" for key, value in fields.items())
    return (
        f'"""the {name} revision"""\nimport sqlalchemy as sa\nfrom alembic import context, op\n'
        f"revision = {name!r}\ndown_revision = {down!r}\n{extra}{head}\n"
        f"def upgrade():\n{textwrap.indent(textwrap.dedent(upgrade).strip(), '    ')}\n\n"
        f"def downgrade():\n{textwrap.indent(textwrap.dedent(downgrade).strip(), '    ')}\n"
    )


def write_project(
    folder: Path,
    *revisions: str,
    env: str = ENV,
    ini: str | None = None,
    toml: str | None = None,
    url: str | None = URL,
    options: str = "",
) -> Path:
    """Write a project with revisions from :func:`revision`; returns its folder."""
    (folder / "migrations" / "versions").mkdir(parents=True, exist_ok=True)
    (folder / "migrations" / "env.py").write_text(env)
    if toml is not None:
        (folder / "pyproject.toml").write_text(toml)
    if ini is not None or toml is None:
        line = f"sqlalchemy.url = {url}\n" if url else ""
        (folder / "alembic.ini").write_text(ini or f"[alembic]\nscript_location = migrations\n{line}{options}")
    for number, source in enumerate(revisions, 1):
        (folder / "migrations" / "versions" / f"r{number:04}.py").write_text(source)
    return folder


def make_project(folder: Path, *revisions: str, **options: object) -> Project:
    """Write a project and discover it."""
    return discover(write_project(folder, *revisions, **options))  # type: ignore[arg-type]
