"""Do what Zuul's own env.py does, with the models that its connection makes when it starts: env.py names none."""

from alembic import context
from sqlalchemy import MetaData, create_engine, pool
from zuul.driver.sql.sqlconnection import SQLConnection

connection = SQLConnection.__new__(SQLConnection)
connection.table_prefix = ""
connection.metadata = MetaData()
connection._setup_models()  # noqa: SLF001

url = context.config.get_main_option("sqlalchemy.url")
if context.is_offline_mode():
    context.configure(url=url, target_metadata=connection.metadata, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations(table_prefix="")
else:
    with create_engine(url, poolclass=pool.NullPool).connect() as database:
        context.configure(connection=database, target_metadata=connection.metadata)
        with context.begin_transaction():
            context.run_migrations(table_prefix="")
