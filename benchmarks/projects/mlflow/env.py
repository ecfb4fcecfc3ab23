"""Run MLflow's own env.py as `mlflow db upgrade` does: with every model imported, and its first tables made before."""

import runpy
from pathlib import Path

import mlflow.store.db.utils
import mlflow.store.db_migrations
from alembic import context
from mlflow.store.tracking.dbmodels.initial_models import Base
from sqlalchemy import create_engine, inspect

if not context.is_offline_mode():
    engine = create_engine(context.config.get_main_option("sqlalchemy.url"))
    if not inspect(engine).get_table_names():
        Base.metadata.create_all(engine)
    engine.dispose()
runpy.run_path(str(Path(mlflow.store.db_migrations.__file__).parent / "env.py"))
