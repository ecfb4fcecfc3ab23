"""Run the project's own env.py within an application, as `flask db upgrade` does (create_app() migrates at once)."""

import os
import runpy
from importlib import import_module
from pathlib import Path

from flask import Flask
from flask_migrate import Migrate
from sqlalchemy.orm import attributes

# SQLAlchemy-Continuum 1.5.2 asks for SQLAlchemy < 2.1, and breaks on this name alone.
attributes.ScalarAttributeImpl = attributes._ScalarAttributeImpl  # noqa: SLF001

db = import_module("ihatemoney.models").db
app = Flask("ihatemoney")
app.config["SQLALCHEMY_DATABASE_URI"] = os.environ["DATABASE_URL"]
db.init_app(app)
Migrate(app, db)
with app.app_context():
    runpy.run_path(str(Path(import_module("ihatemoney").__file__).parent / "migrations" / "env.py"))
