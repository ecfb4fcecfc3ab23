"""``truing orm``: where the mappers do not tell the truth about the database."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import msgspec

from truing.cli.options import Invocation, common

if TYPE_CHECKING:
    from sqlalchemy import MetaData

    from truing.report.document import Cell


@click.command("orm")
@click.option("--select", multiple=True, metavar="RULE", help="Use only these rules: names, codes or ALL.")
@click.option("--ignore", multiple=True, metavar="RULE", help="Leave these rules out.")
@common
def command(invocation: Invocation, select: tuple[str, ...], ignore: tuple[str, ...]) -> int:
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
    from truing.catalog.read import read_snapshot
    from truing.catalog.usage import read_usage
    from truing.cli.database import connect_reading, url_of
    from truing.cli.rules import every_rule
    from truing.orm.context import Context
    from truing.orm.engine import check
    from truing.report.document import document
    from truing.revisions.models import collected_warnings, mappers_of

    config = invocation.config
    if select:
        config = msgspec.structs.replace(config, select=select)
    if ignore:
        config = msgspec.structs.replace(config, ignore=(*config.ignore, *ignore))
    with collected_warnings() as warnings:
        metadatas = _metadatas(invocation)
        mappers = mappers_of(metadatas)
    with connect_reading(url_of(invocation)) as connection:
        usage = read_usage(connection, config.application_role)
        snapshot = read_snapshot(connection)
    context = Context(config, snapshot, usage, metadatas, mappers)
    findings = check(context, warnings, known=every_rule())
    facts: dict[str, Cell] = {
        "database": snapshot.database,
        "mapped classes": len(context.mappers),
        "tables": len(context.tables),
        "relationships": len(context.relationships),
    }
    return invocation.answer(document("orm", findings=findings, facts=facts, fail_on=invocation.fail_on))


def _metadatas(invocation: Invocation) -> list[MetaData]:
    from truing.cli.database import project
    from truing.errors import ProjectError
    from truing.revisions.metadata import load_metadata

    names = invocation.config.metadata
    if names:
        return [load_metadata(name, invocation.config.folder) for name in names]
    target = project(invocation).context_options().get("target_metadata")
    found = [each for each in (target if isinstance(target, list | tuple) else [target]) if each is not None]
    if not found:
        raise ProjectError(
            "No models are known: env.py has no target_metadata.",
            hint='Set target_metadata in env.py, or metadata = ["app.models:Base"] in [tool.truing].',
        )
    return found
