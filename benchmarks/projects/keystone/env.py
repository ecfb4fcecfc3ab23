"""Run Keystone's own env.py with every model imported, as its own test of models and migrations has it."""

import importlib
import runpy
from pathlib import Path

import keystone.common.sql.migrations
import keystone.conf

keystone.conf.configure()
for module in (
    "application_credential.backends.sql",
    "assignment.backends.sql",
    "assignment.role_backends.sql_model",
    "catalog.backends.sql",
    "credential.backends.sql",
    "endpoint_policy.backends.sql",
    "federation.backends.sql",
    "identity.backends.sql_model",
    "identity.mapping_backends.sql",
    "limit.backends.sql",
    "oauth1.backends.sql",
    "policy.backends.sql",
    "resource.backends.sql_model",
    "resource.config_backends.sql",
    "revoke.backends.sql",
    "trust.backends.sql",
):
    importlib.import_module(f"keystone.{module}")
runpy.run_path(str(Path(keystone.common.sql.migrations.__file__).parent / "env.py"))
