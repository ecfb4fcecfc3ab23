"""What ``upgrade`` and ``downgrade`` share: run revisions with progress, and say where the database is."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Literal

from truing.cli.database import connect_reading, project
from truing.cli.options import Invocation

if TYPE_CHECKING:
    from truing.report.document import Cell


def migrate(invocation: Invocation, direction: Literal["upgrade", "downgrade"], revision: str) -> dict[str, Cell]:
    """Run revisions and show how it goes.

    Args:
        invocation: the project and the database.
        direction: up or down.
        revision: where to.

    Returns:
        What happened, as facts of a report.

    Raises:
        TruingError: the run cannot go on; what is done so far is kept.
    """
    from truing.online import migrate as online
    from truing.online.settings import OnlineSettings
    from truing.report.progress import Progress

    settings = invocation.config.section("online", OnlineSettings)
    start = time.monotonic()
    with Progress(invocation.log) as progress:
        online.run(direction, project(invocation), revision, settings=settings, observer=progress)
    return {
        "online operations": progress.plans_done,
        "longest lock held (ms)": progress.longest_lock_ms,
        "seconds": time.monotonic() - start,
    }


def version_table(invocation: Invocation) -> tuple[str, str | None]:
    """Name Alembic's table and its schema, as ``env.py`` sets them."""
    options = project(invocation).context_options()
    return options.get("version_table") or "alembic_version", options.get("version_table_schema")


def heads(invocation: Invocation) -> tuple[str, ...]:
    """Say which revisions the database is at."""
    from truing.revisions.history import applied

    table, schema = version_table(invocation)
    with connect_reading(project(invocation).url()) as connection:
        return applied(connection, table, schema)
