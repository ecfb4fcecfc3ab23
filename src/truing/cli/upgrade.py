"""``truing upgrade``: to a newer revision, while the application keeps writing."""

from __future__ import annotations

import click

from truing.cli.options import Invocation, common


@click.command("upgrade")
@click.option(
    "--to", "revision", default="heads", show_default=True, metavar="REV", help="Where to, as Alembic names it."
)
@common
def command(invocation: Invocation, revision: str) -> int:
    """Bring the database to the newest revision while the application keeps writing.

    Ctrl-C stops between two batches; the same command goes on where it was.

    \b
    Examples:
      truing upgrade
      truing upgrade --to rbac@head --database-url postgresql://localhost/app
    """
    from truing.cli.run_alembic import migrate
    from truing.report.document import document

    outcome = migrate(invocation, "upgrade", revision)
    done = outcome.before != outcome.after
    summary = "The database is up to date." if done else "Nothing to do: the database is there already."
    return invocation.answer(
        document(
            "upgrade", facts=outcome.facts(), summary=summary, next_steps=("truing quarantine list",) if done else ()
        )
    )
