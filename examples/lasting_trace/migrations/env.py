import os

from alembic import context
from sqlalchemy import create_engine, pool

from models import Base

url = context.config.get_main_option("sqlalchemy.url") or os.environ.get("DATABASE_URL")


def run(**where):
    context.configure(target_metadata=Base.metadata, **where)
    with context.begin_transaction():
        context.run_migrations()


if context.is_offline_mode():
    run(url=url, literal_binds=True)
else:
    engine = create_engine(url, poolclass=pool.NullPool)
    with engine.connect() as connection:
        run(connection=connection)
