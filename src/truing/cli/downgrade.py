"""``truing downgrade``: the way back, online."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from truing.cli.options import Invocation, common

if TYPE_CHECKING:
    from truing.report.document import Cell


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
    from truing.cli.migration import heads, migrate
    from truing.report.document import document

    before = heads(invocation)
    facts = migrate(invocation, "downgrade", revision)
    after = heads(invocation)
    places: dict[str, Cell] = {"before": ", ".join(before) or "(base)", "after": ", ".join(after) or "(base)"}
    return invocation.answer(document("downgrade", facts=places | facts, summary="The database is back."))
