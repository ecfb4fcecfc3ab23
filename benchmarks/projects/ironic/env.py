"""Run Ironic's own env.py with the database of alembic.ini, as its service would with that of its configuration."""

import runpy
from pathlib import Path

import ironic.db.sqlalchemy
from alembic import context
from ironic.conf import CONF
from oslo_db import options

CONF([], project="ironic", default_config_files=[])
options.set_defaults(CONF)
CONF.set_override("connection", context.config.get_main_option("sqlalchemy.url"), "database")
runpy.run_path(str(Path(ironic.db.sqlalchemy.__file__).parent / "alembic" / "env.py"))
