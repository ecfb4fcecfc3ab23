"""Run AiiDA's own env.py with what its migrator gives it: a connection, and a profile that `main` does not read."""

import runpy
from pathlib import Path

import aiida.storage.psql_dos
from aiida.storage.psql_dos.models.base import get_orm_metadata
from alembic import context
from sqlalchemy import create_engine, pool

url = context.config.get_main_option("sqlalchemy.url")
if context.is_offline_mode():
    context.configure(url=url, target_metadata=get_orm_metadata(), literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()
else:
    with create_engine(url, poolclass=pool.NullPool).connect() as connection:
        context.config.attributes |= {"connection": connection, "aiida_profile": object()}
        runpy.run_path(str(Path(aiida.storage.psql_dos.__file__).parent / "migrations" / "env.py"))
        connection.commit()
