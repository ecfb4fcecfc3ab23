"""``truing drift``: models, migrations and the live database, object by object."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from truing.cli.options import Invocation, judging

if TYPE_CHECKING:
    import psycopg

    from truing.cli.part import Part
    from truing.drift.building.workshop import Workshop
    from truing.drift.memory import Memory
    from truing.drift.model import Outcome
    from truing.drift.options import Base, Options
    from truing.drift.snapshots import Taken
    from truing.revisions.project import Project


class Sides(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be compared; nothing named: everything that there is.

    Attributes:
        models: ``module:attribute``; empty for those of the project; None to leave them out.
        migrations: what the migrations build.
        live: a URL; empty for the database of the invocation; None to leave it out.
        snapshot: a file that stands for the live database.
    """

    models: str | None = None
    migrations: bool = False
    live: str | None = None
    snapshot: Path | None = None

    @property
    def unnamed(self) -> bool:
        """Whether nothing is named."""
        return self == Sides()


_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command("drift")
@click.option(
    "--models",
    is_flag=False,
    flag_value="",
    metavar="[MODULE:ATTRIBUTE]",
    help="Compare the models: those of env.py, or these.",
)
@click.option("--migrations", is_flag=True, help="Compare what the migrations build.")
@click.option(
    "--live", is_flag=False, flag_value="", metavar="[URL]", help="Compare the live database: --database-url, or this."
)
@click.option(
    "--snapshot", type=_FILE, metavar="FILE", help="Compare a file of `truing snapshot` as the live database."
)
@click.option("--scratch-url", metavar="URL", help="A server to build on; else a private one is started.")
@click.option("--no-cache", is_flag=True, help="Build, read and compare all of it anew.")
@click.option("--no-fixes", is_flag=True, help="Do not write and try what would bring them together.")
@judging
def command(
    invocation: Invocation,
    models: str | None,
    migrations: bool,
    live: str | None,
    snapshot: Path | None,
    scratch_url: str | None,
    no_cache: bool,
    no_fixes: bool,
) -> int:
    """Compare models, migrations and the live database, and say who disagrees about what.

    Models and migrations are built on a private server and read back from it; the live database is only read. Without
    --models, --migrations, --live and --snapshot everything is compared that there is.

    \b
    Examples:
      truing drift
      truing drift --models --migrations
      truing drift --migrations --live postgresql://localhost/app
      truing drift --snapshot production.json --output-format json
    """
    from truing.cli.part import conclude
    from truing.errors import UsageError

    if live is not None and snapshot is not None:
        raise UsageError("--live and --snapshot both name the live side.", hint="Give one of them.")
    sides = Sides(models=models, migrations=migrations, live=live, snapshot=snapshot)
    part = look(invocation, sides, scratch_url=scratch_url, cache=not no_cache, fixes=not no_fixes)
    return conclude(invocation, "drift", part)


def look(
    invocation: Invocation, sides: Sides, *, scratch_url: str | None = None, cache: bool = True, fixes: bool = True
) -> Part:
    """Compare the sides.

    Raises:
        TruingError: there are no two of them, or one cannot be built or read.
    """
    from truing.cli.rbac_database import platform
    from truing.drift.options import Options

    everything, models, migrations = sides.unnamed, sides.models, sides.migrations
    project = _project(invocation, required=migrations or everything or not (models or invocation.config.metadata))
    run_migrations = migrations or everything or (models is None)
    options = Options(
        models=models is not None or everything or (not migrations),
        migrations=run_migrations,
        metadata=(models,) if models else invocation.config.metadata,
        folder=str(Path.cwd() if models else invocation.config.folder),
        unmanaged=invocation.config.unmanaged,
        search_path=invocation.config.search_path,
        platform=platform(invocation),
        scratch_url=scratch_url,
        base=_base(invocation) if run_migrations else None,
        tenant_schemas=invocation.config.tenant_schemas,
        tenant_model_schema=invocation.config.tenant_model_schema,
        cache=cache,
        fixes=fixes,
    )
    url = _live_url(invocation, project, sides)
    complete = options.models and options.migrations and (url is not None or sides.snapshot is not None)
    return _part(invocation, _outcome(invocation, project, options, sides.snapshot, url), complete=complete)


def _outcome(
    invocation: Invocation, project: Project | None, options: Options, snapshot: Path | None, url: str | None
) -> Outcome:
    """Compare, unless the same was compared before."""
    if url is None or not options.cache or options.scratch_url is not None:
        from truing.drift.run import run

        taken = take_live(invocation, project, url) if url is not None else None
        return run(project, options, _file(snapshot) if snapshot is not None else taken)
    from truing.cli.database import connect_reading
    from truing.drift.memory import Memory

    with ExitStack() as stack:
        connection = stack.enter_context(connect_reading(url))
        memory = Memory(project, options, connection)
        begun = stack.enter_context(_begun(connection, project, options)) if memory.outdated else None
        before = memory.glance(connection)
        known = memory.find(before)
        if known is not None:
            return known
        taken = _take(invocation, project, connection, memory)
        connection.close()
        # In a session like the first one: reading may load libraries, which bring settings of their own.
        with connect_reading(url) as again:
            after = memory.glance(again) if before is not None else None
        from truing.drift.run import run

        outcome = run(project, options, taken, begun)
    # Definitions are printed as they are at that moment: what changed while it was read may be in it, or not.
    if before is not None and before == after:
        memory.keep(before, outcome)
    return outcome


def _begun(connection: psycopg.Connection[Any], project: Project | None, options: Options) -> Workshop:
    """Start the server that will be built on while the live database is still read."""
    from truing.drift.building.prefix import prefix_of
    from truing.drift.building.workshop import Workshop

    return Workshop.begun(connection, prefix_of(project, options))


def _base(invocation: Invocation) -> Base | None:
    config = invocation.config
    if config.base is None and config.base_revision is None:
        return None
    from truing.drift.building.base import find_base

    return find_base(config.base, config.base_revision, config.folder)


def _project(invocation: Invocation, *, required: bool) -> Project | None:
    from truing.cli.database import project
    from truing.errors import ProjectError

    try:
        return project(invocation)
    except ProjectError:
        if required:
            raise
        return None


def _file(snapshot: Path) -> Taken:
    from truing.drift.snapshots import read

    return read(snapshot)


def _live_url(invocation: Invocation, project: Project | None, sides: Sides) -> str | None:
    """Name the live side, if it is to be looked at."""
    live = sides.live
    if sides.snapshot is not None or (live is None and not sides.unnamed):
        return None
    url = live or invocation.database_url or (project.configured_url() if project is not None else None)
    if url is None:
        if live is None:
            invocation.say("The live database is not compared: nobody names it.")
            return None
        url = invocation.require_database_url()
    return url


def take_live(invocation: Invocation, project: Project | None, url: str) -> Taken:
    """Read a live database, with the revisions it is stamped with."""
    from truing.cli.database import connect_reading

    with connect_reading(url) as connection:
        return _take(invocation, project, connection)


def _take(
    invocation: Invocation,
    project: Project | None,
    connection: psycopg.Connection[Any],
    memory: Memory | None = None,
) -> Taken:
    from truing.drift.exchange import Request, ask
    from truing.drift.live import VERSION_TABLE, take

    known = memory.version_table if memory is not None else None
    taken = take(connection, *(known or (VERSION_TABLE, None)))
    if taken.revisions is None and project is not None and known is None:
        # Perhaps env.py gives the table another name; asking it takes a second, so it is not asked first.
        reply = ask(Request(task="options", project=project, folder=project.root))
        if reply.error:
            invocation.say(f"Alembic's table is taken to be {VERSION_TABLE}: {reply.error}")
        else:
            named = (reply.version_table, reply.version_schema)
            if memory is not None:
                memory.keep_version_table(*named, reply.files)
            if named != (VERSION_TABLE, None):
                taken = take(connection, *named)
    return taken


def _part(invocation: Invocation, outcome: Outcome, *, complete: bool) -> Part:
    from truing.cli.part import Part
    from truing.cli.rules import every_rule
    from truing.drift.rules import chosen
    from truing.report.document import Column, Table

    rows: tuple[dict[str, str | int | float | bool | None], ...] = tuple(
        {"reason": reason, "count": len(names), "names": ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")}  # noqa: PLR2004
        for reason, names in outcome.left_out.items()
    )
    table = Table(
        "left-out",
        "Not compared",
        (Column("reason", "why"), Column("count", "how many"), Column("names", "which")),
        rows,
    )
    return Part(
        findings=chosen(outcome.findings, invocation.config, known=every_rule),
        facts=dict(outcome.facts),
        tables=(table,) if rows else (),
        complete=complete,
    )
