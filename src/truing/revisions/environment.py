"""What does ``env.py`` set up? A project goes in; the context it configures comes out. No database is connected to."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import event
from sqlalchemy.engine import Engine

from truing.errors import ProjectError
from truing.revisions.project import Project
from truing.revisions.urls import postgresql_url

NOWHERE: Final = "postgresql+psycopg://"
"""The URL that ``env.py`` gets when none is known: it has a dialect, and nothing connects to it."""


class ConnectionRefusedHereError(Exception):
    """a database connection is needed, and revisions are read without one."""

    def __init__(self) -> None:
        super().__init__((type(self).__doc__ or "").strip())


Work = Callable[[MigrationContext, dict[str, Any]], None]


def run_environment(
    project: Project, work: Work, url: str | None = None, script: ScriptDirectory | None = None
) -> None:
    """Run ``env.py`` offline, and do some work where it would run the migrations.

    Args:
        project: the project; the process must be in its folder (:meth:`Project.at_root`).
        work: takes the context and the arguments that ``env.py`` gives to ``run_migrations``; called once for each
            context that ``env.py`` makes.
        url: what ``env.py`` finds as ``sqlalchemy.url``.
        script: the script directory, when it is loaded already.
    """
    config = project.configuration(url or default_url(project), buffer=io.StringIO())

    def straight(_heads: object, context: MigrationContext) -> list[Any]:
        # Called where env.py goes past the front door, to MigrationContext.run_migrations().
        work(context, {})
        return []

    environment = EnvironmentContext(
        config,
        script or ScriptDirectory.from_config(config),
        fn=straight,
        as_sql=True,
        dont_mutate=True,
        output_buffer=config.output_buffer,
        destination_rev=None,
    )
    # Set before the proxy `alembic.context` is filled, so that env.py calls this one.
    environment.run_migrations = lambda **kw: work(environment.get_context(), kw)  # type: ignore[method-assign]
    with no_connections(), quiet_logging(), environment:
        environment.script.run_env()


def default_url(project: Project) -> str:
    """Return the URL that ``env.py`` shall find when nobody gave one."""
    url = project.database_url or project.configured_url()
    return postgresql_url(url) if url else NOWHERE


def context_options(project: Project, url: str | None = None) -> dict[str, Any]:
    """Return what ``env.py`` passes to ``context.configure()``; see :meth:`Project.context_options`.

    Where ``env.py`` makes several contexts, these are the options of the first.

    Raises:
        ProjectError: ``env.py`` fails, or never configures a context.
    """
    seen: list[MigrationContext] = []
    try:
        with project.errors():
            run_environment(project, lambda context, _: seen.append(context), url)
    except ProjectError as refused:
        # It may have no offline half.
        try:
            options = _online_options(project, url)
        except ProjectError:
            raise refused from refused.__cause__
        if not options:
            raise
        return options | {"dialect_name": "postgresql"}
    if not seen:
        raise ProjectError(
            f"env.py of {project.name} never calls context.run_migrations()",
            hint="Its offline half must call context.configure() and context.run_migrations().",
        )
    options = dict(seen[0].opts)
    for ours in ("fn", "script", "output_buffer", "as_sql", "dont_mutate", "destination_rev"):
        options.pop(ours, None)
    if options.get("target_metadata") is None:
        options |= _online_options(project, url)
    return options | {"dialect_name": seen[0].dialect.name}


class _ConfiguredError(BaseException):
    """env.py has configured its context, which is all that was wanted of it; nothing of its own may catch this"""  # noqa: D415


def _online_options(project: Project, url: str | None) -> dict[str, Any]:
    """Return what the online half of ``env.py`` configures, which alone matters to autogenerate.

    The offline half of many an ``env.py`` (those that ``flask db init`` has written for years) leaves the models out.
    Its connection is a stand-in that says yes to everything and leads nowhere.
    """
    from unittest.mock import MagicMock, patch  # noqa: PLC0415 - seldom needed

    found: dict[str, Any] = {}

    def configure(**options: Any) -> None:
        found.update(options)
        raise _ConfiguredError

    with project.errors():
        config = project.configuration(url or default_url(project), buffer=io.StringIO())
        environment = EnvironmentContext(config, ScriptDirectory.from_config(config))
        environment.configure = configure  # type: ignore[method-assign,assignment]
        connect = patch.object(Engine, "connect", lambda *_, **__: MagicMock())
        with suppress(_ConfiguredError), connect, no_connections(), quiet_logging(), environment:
            environment.script.run_env()
    found.pop("connection", None)
    found.pop("url", None)
    return found


@contextmanager
def no_connections() -> Iterator[None]:
    """Refuse every connection that SQLAlchemy is asked for meanwhile: reading revisions must not touch a database."""

    def refuse(*_: object) -> None:
        raise ConnectionRefusedHereError

    event.listen(Engine, "do_connect", refuse)
    try:
        yield
    finally:
        event.remove(Engine, "do_connect", refuse)


@contextmanager
def quiet_logging() -> Iterator[None]:
    """Undo what ``fileConfig()`` in ``env.py`` does to the logging of this process.

    Meanwhile nothing below a warning is logged: Alembic would say that it generates SQL, and nobody asked for any.
    """
    disable = logging.root.manager.disable
    logging.disable(max(disable, logging.INFO))
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    disabled = {
        name: one.disabled for name, one in logging.Logger.manager.loggerDict.items() if isinstance(one, logging.Logger)
    }
    levels = {name: logging.getLogger(name).level for name in disabled}
    try:
        yield
    finally:
        logging.disable(disable)
        root.handlers[:] = handlers
        root.setLevel(level)
        for name, was in disabled.items():
            logging.getLogger(name).disabled = was
            logging.getLogger(name).setLevel(levels[name])
