"""``truing orm``: where the mappers do not tell the truth about the database."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from truing.cli.options import Invocation, judging

if TYPE_CHECKING:
    from truing.cli.part import Part


@click.command("orm")
@judging
def command(invocation: Invocation) -> int:
    """Check the mappers against the live database.

    Relationships, keys, types, defaults, NULLs, enums, tenants and privileges: where SQLAlchemy would do something
    else than the database, or fail. The database is only read. The models are those of env.py (target_metadata), or of
    `metadata` in [tool.truing]; `tenant-column` and `application-role` there switch on what is about tenants and
    privileges.

    \b
    Examples:
      truing orm
      truing orm --database-url postgresql://localhost/app --output-format concise
      truing orm --ignore naive-timestamp --ignore TR327
      truing rule nullified-database-cascade
    """
    from truing.cli.part import conclude

    return conclude(invocation, "orm", look(invocation))


def look(invocation: Invocation) -> Part:
    """Check the mappers.

    Raises:
        TruingError: the models cannot be loaded, or the database cannot be read.
    """
    from truing.catalog.read import read_snapshot
    from truing.catalog.usage import read_usage
    from truing.cli.database import connect_reading, url_of
    from truing.cli.models import require_models
    from truing.cli.part import Part
    from truing.cli.rules import every_rule
    from truing.orm.context import Context
    from truing.orm.engine import check
    from truing.revisions.models import collected_warnings, mappers_of

    metadatas = require_models(invocation)
    with collected_warnings() as warnings:
        mappers = mappers_of(metadatas)
    with connect_reading(url_of(invocation)) as connection:
        usage = read_usage(connection, invocation.config.application_role)
        snapshot = read_snapshot(connection)
    context = Context(invocation.config, snapshot, usage, metadatas, mappers)
    return Part(
        findings=check(context, dict.fromkeys((*invocation.models.warnings, *warnings)), known=every_rule()),
        facts={
            "database": snapshot.database,
            "mapped classes": len(context.mappers),
            "tables": len(context.tables),
            "relationships": len(context.relationships),
        },
    )
