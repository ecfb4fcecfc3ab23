"""Run Barbican's own env.py, which asks for an attribute that only `barbican-manage` sets."""

import runpy
from pathlib import Path

import barbican.model.migration
from alembic import context

context.config.barbican_sqlalchemy_url = None
runpy.run_path(str(Path(barbican.model.migration.__file__).parent / "alembic_migrations" / "env.py"))
