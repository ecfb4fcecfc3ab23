"""Does ``env.py`` go to the database that the person named? Before anything is run there, it is asked.

Many an ``env.py`` takes its URL from the environment or from the application's settings and never looks at
``sqlalchemy.url``. With ``--database-url`` it would then migrate another database than the one that is looked at. In go
a project and the URL that was named; out comes nothing, or a refusal.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import psycopg
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from truing.errors import ProjectError
from truing.revisions.environment import quiet_logging
from truing.revisions.project import ENVIRONMENT
from truing.revisions.urls import conninfo, unreachable

IDENTITY: Final = (
    "SELECT current_database()::text, d.oid::bigint, pg_postmaster_start_time()::text,"
    " coalesce(host(inet_server_addr()), 'the local socket') FROM pg_database d WHERE d.datname = current_database()"
)
"""One row: a database, told apart from every other by its number and the moment its server was started."""


@contextmanager
def naming(url: str) -> Iterator[None]:
    """Let an ``env.py`` that reads the environment find the database that was named."""
    before = {name: os.environ.get(name) for name in ENVIRONMENT}
    os.environ.update(dict.fromkeys(ENVIRONMENT, url))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def check_target(config: Config, url: str) -> None:
    """Refuse an ``env.py`` that goes elsewhere.

    Args:
        config: the project's, with the URL that was named; the process must be in the project's folder.
        url: that URL.

    Raises:
        ConnectionFailedError: the one that was named cannot be reached.
        ProjectError: none of the databases that ``env.py`` connects to is the one that was named.
    """
    seen: list[tuple[Any, ...]] = []

    def look(_heads: object, context: MigrationContext) -> list[Any]:
        if context.connection is not None:
            seen.append(tuple(context.connection.exec_driver_sql(IDENTITY).one()))
        return []

    # First, for a line of env.py is not to blame where nobody answers.
    try:
        with psycopg.connect(conninfo(url, application_name="truing"), autocommit=True) as connection:
            wanted = connection.execute(IDENTITY).fetchone() or ()
    except psycopg.OperationalError as error:
        raise unreachable(url, error) from error
    script = ScriptDirectory.from_config(config)
    with quiet_logging(), EnvironmentContext(config, script, fn=look, dont_mutate=True):
        script.run_env()
    # The server's address depends on the way to it; number and start do not.
    if seen and all(each[:3] != wanted[:3] for each in seen):
        raise ProjectError(
            f"env.py connects to database {seen[0][0]} at {seen[0][3]}, but the one that was named is"
            f" {wanted[0]} at {wanted[3]}; nothing was changed",
            hint='Let env.py take its URL from context.config.get_main_option("sqlalchemy.url").',
        )
