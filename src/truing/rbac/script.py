"""How are the RBAC revisions run from Python? On a connection or a URL, with Alembic, without any file of the person's.

In: where the database is, and a revision. Out: the database at that revision.
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

LEGACY: Final = "rbac_legacy_baseline"
"""The revision of the database as teams have it."""

CONTRACT: Final = "rbac_contract"
"""The revision where every reference is a foreign key and every tenant id a UUID; what a tenant is comes after it."""

ROW_SECURITY: Final = "rbac_row_security"
"""The revision where the roles and policies are there and nobody notices yet: deploy what uses them after it."""

HEAD: Final = "rbac@head"

MIGRATIONS: Final = Path(__file__).parent / "migrations"
VERSIONS: Final = MIGRATIONS / "versions"
"""The folder for somebody's ``version_locations``."""

UPGRADE: Final = f"truing upgrade -c {shlex.quote(str(MIGRATIONS / 'alembic.ini'))}"
"""The command that brings a database up which no other project has the revisions of."""


def configuration(connection: Connection | None = None, *, url: str = "", schema: str = "", **told: str) -> Config:
    """Make Alembic's configuration for the branch.

    Args:
        connection: used as it is, and left open; must be outside a transaction.
        url: the database, where there is no connection.
        schema: where the tables live; empty for the search path's first.
        told: what the revisions are told beside: ``profile``, ``program``, ``setting``, and the roles.
    """
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    if url:
        # A password may hold a percent sign, which ini files interpolate.
        config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    if connection is not None:
        config.attributes["connection"] = connection
    config.attributes["schema"] = schema
    config.attributes.update(told)
    return config


def upgrade(connection: Connection, revision: str = HEAD, *, schema: str = "", **told: str) -> None:
    """Bring a database up to a revision of the branch."""
    command.upgrade(configuration(connection, schema=schema, **told), revision)


def downgrade(connection: Connection, revision: str, *, schema: str = "", **told: str) -> None:
    """Bring a database down to a revision of the branch."""
    command.downgrade(configuration(connection, schema=schema, **told), revision)


def revisions() -> frozenset[str]:
    """Return the revisions of this branch."""
    return frozenset(script.revision for script in ScriptDirectory(str(MIGRATIONS)).walk_revisions())


def newest() -> frozenset[str]:
    """Return the newest revision of this branch."""
    return frozenset(ScriptDirectory(str(MIGRATIONS)).get_heads())


def current(connection: Connection) -> tuple[str, ...]:
    """Return the revisions of this branch that the database is stamped with; empty where it is not."""
    heads = MigrationContext.configure(connection).get_current_heads()
    return tuple(head for head in heads if head in revisions())
