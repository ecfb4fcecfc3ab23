"""``truing revision``: write the revision that brings the database to the models."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from truing.cli.options import Invocation, common

if TYPE_CHECKING:
    from truing.report.document import Document
    from truing.revisions.project import Project
    from truing.revisions.record import Revision


@click.command("revision")
@click.option("-m", "--message", required=True, help="What the revision is about.")
@click.option("--empty", is_flag=True, help="Compare nothing; write an empty revision.")
@click.option("--head", default="head", show_default=True, metavar="REV", help="The revision to go on from.")
@click.option("--splice", is_flag=True, help="Allow a revision that is no head to go on from.")
@click.option("--branch-label", metavar="LABEL", help="Begin a branch of this name.")
@click.option("--version-path", metavar="DIR", help="The folder to write into.")
@click.option("--rev-id", metavar="ID", help="The identifier, instead of one made up.")
@click.option("--depends-on", metavar="REV", multiple=True, help="Revisions that must have run before.")
@common
def command(invocation: Invocation, message: str, empty: bool, **options: str | bool | tuple[str, ...] | None) -> int:
    """Compare the models with the database and write the revision that brings it there, online.

    What Alembic's autogenerate finds is written with truing's online operations; rows that do not fit make them stop
    (`dirty="fail"`, `orphans="fail"`), until you choose another policy. Nothing in the database is changed. Read the
    file before you run it: autogenerate sees a part of all differences only, and `truing drift` says what is left.

    \b
    Examples:
      truing revision -m "profiles refer to their tenant"
      truing revision -m "seed the roles" --empty
      truing audit
    """
    from truing.cli.database import project
    from truing.online.revise import compares, write

    found = project(invocation)
    if not empty:
        compares(found)
    options["depends_on"] = options["depends_on"] or None
    written = write(found, message, autogenerate=not empty, **options)
    return invocation.answer(_document(found, written, empty=empty))


def _document(project: Project, written: tuple[Revision, ...], *, empty: bool) -> Document:
    from truing.report.document import Column, Table, document, shown
    from truing.revisions.record import record

    if not written:
        return document("revision", summary="Nothing to write: models and database do not differ for Alembic.")
    recorded = record(project, [each.revision for each in written])
    keys = ("line", "statement", "how")
    rows = tuple(
        {
            "line": statement.location.line,
            "statement": statement.title or " ".join(statement.sql.split()),
            "how": "online" if statement.online else "an ordinary statement",
        }
        for each in recorded
        for statement in each.statements
    )
    table = Table("statements", "What it does", tuple(Column(key, key) for key in keys), rows)
    return document(
        "revision",
        findings=[each.problem for each in recorded if each.problem is not None],
        tables=(table,) if rows else (),
        facts={"written": ", ".join(shown(each.path) for each in written)},
        summary="An empty revision is written."
        if empty
        else "Read it, and choose what becomes of rows that do not fit.",
        next_steps=("truing audit", "truing upgrade --plan"),
    )
