"""``truing audit``: which rows would the pending revisions refuse or alter?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from truing.cli.options import Invocation, common

if TYPE_CHECKING:
    from truing.audit.run import Reading

LONG_BYTES = 64 * 1024 * 1024
"""From this size on, reading a table takes long enough to say so."""


@click.command("audit")
@click.option("--to", "revision", show_default="heads", metavar="REV", help="Up to where, as Alembic names it.")
@click.option(
    "--timeout",
    type=click.FloatRange(0),
    default=1800,
    show_default=True,
    metavar="SECONDS",
    help="The longest that reading one table may take; 0: no limit.",
)
@click.option("--values/--no-values", default=True, show_default=True, help="Show the values of sample rows.")
@click.option("--schema", metavar="NAME", help="Where tables are that a revision does not qualify.")
@common
def command(invocation: Invocation, revision: str | None, timeout: float, values: bool, schema: str | None) -> int:
    """Say which rows the pending revisions would refuse or alter, before anything is changed.

    Nothing is written: revisions are recorded, not run, and every table is read once in a read-only transaction. A role
    that may SELECT is enough.

    \b
    Examples:
      truing audit
      truing audit --to +1 --output-format json -o audit.json
      truing audit --database-url postgresql://reader@replica/app --no-values
    """
    import time

    from truing.audit.model import AuditSettings
    from truing.audit.run import audit, pending_revisions
    from truing.cli.database import connect_reading, project, url_of
    from truing.report.audit import audit_document

    start = time.monotonic()
    settings = AuditSettings(statement_timeout_s=timeout, values=values, default_schema=schema)
    with connect_reading(url_of(invocation)) as connection:
        found = project(invocation)
        revisions = pending_revisions(found, connection, revision or found.head, default_schema=schema)
        result = audit(connection, revisions, settings=settings, on_table=lambda reading: _tell(invocation, reading))
    return invocation.answer(audit_document(result, invocation.fail_on, seconds=time.monotonic() - start))


def _tell(invocation: Invocation, reading: Reading) -> None:
    if (reading.size or 0) >= LONG_BYTES:
        rows = f"about {reading.rows:,} rows, " if reading.rows is not None else ""
        size = f"{(reading.size or 0) / 1024 / 1024:,.0f} MB"
        invocation.say(f"Reading {reading.table} ({reading.number} of {reading.total}; {rows}{size}) ...")
