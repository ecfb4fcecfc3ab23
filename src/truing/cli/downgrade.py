"""``truing downgrade``: the way back, online."""

from __future__ import annotations

import click

from truing.cli.options import Invocation, common


# `-1` is a revision here, as in Alembic, and no option.
@click.command("downgrade", context_settings={"ignore_unknown_options": True})
@click.argument("revision")
@common
def command(invocation: Invocation, revision: str) -> int:
    """Take the database back to REVISION while the application keeps writing.

    Original values come back exactly, for every row that nobody has changed since.

    \b
    Examples:
      truing downgrade -1
      truing downgrade rbac_legacy_baseline
    """
    from truing.cli.run_alembic import migrate
    from truing.report.document import document

    outcome = migrate(invocation, "downgrade", revision)
    return invocation.answer(document("downgrade", facts=outcome.facts(), summary="The database is back."))
