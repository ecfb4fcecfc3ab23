"""``truing snapshot``: what a database is, as a file to keep, review and compare."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from truing.cli.options import Invocation, common

if TYPE_CHECKING:
    from truing.report.document import Cell
    from truing.revisions.project import Project

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command("snapshot")
@click.option("--from", "source", type=_FILE, metavar="FILE", help="Say what is in a file, instead of writing one.")
@common
def command(invocation: Invocation, source: Path | None) -> int:
    """Write what a database is to a file (-o FILE, else standard output).

    The database is only read, and no secret is written: neither passwords of user mappings nor of subscriptions. The
    file can be compared later, where nobody can connect: truing drift --snapshot FILE.

    \b
    Examples:
      truing snapshot --database-url postgresql://localhost/app -o production.json
      truing snapshot --from production.json
    """
    if source is not None:
        return _describe(invocation, source)
    from truing.cli.database import project as find_project
    from truing.cli.database import url_of
    from truing.cli.drift import take_live
    from truing.drift.snapshots import encode
    from truing.errors import ProjectError

    project: Project | None = None
    with suppress(ProjectError):
        project = find_project(invocation)
    taken = take_live(invocation, project, url_of(invocation))
    data = encode(taken)
    if invocation.output is None:
        click.echo(data, nl=False)
    else:
        invocation.output.write_bytes(data)
        invocation.say(f"{invocation.output}: {len(taken.snapshot.tables)} tables, taken {taken.taken}")
    return 0


def _describe(invocation: Invocation, source: Path) -> int:
    from truing.drift.snapshots import read
    from truing.report.document import document

    taken = read(source)
    snapshot = taken.snapshot
    counts = {
        name: len(getattr(snapshot, name))
        for name in ("schemas", "tables", "views", "sequences", "functions", "types", "extensions", "publications")
    }
    revisions = "not stamped" if taken.revisions is None else ", ".join(taken.revisions) or "base"
    facts: dict[str, Cell] = {
        "database": snapshot.database,
        "server": f"PostgreSQL {snapshot.version}",
        "taken": taken.taken,
        "revisions": revisions,
        **counts,
    }
    return invocation.answer(document("snapshot", facts=facts, summary=f"{source} is a snapshot that can be compared."))
