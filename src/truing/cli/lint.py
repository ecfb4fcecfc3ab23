"""``truing lint``: the rules over models, recorded revisions and the live catalog."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import msgspec

from truing.cli.options import Invocation, common

if TYPE_CHECKING:
    from truing.lint.facts import Facts

PLACES = ("models", "revisions", "database")


@click.command("lint")
@click.option("--only", type=click.Choice(PLACES), multiple=True, help="Look only there (may be repeated).")
@click.option("--select", multiple=True, metavar="RULE", help="Use only these rules: names, codes or ALL.")
@click.option("--ignore", multiple=True, metavar="RULE", help="Leave these rules out.")
@common
def command(invocation: Invocation, only: tuple[str, ...], select: tuple[str, ...], ignore: tuple[str, ...]) -> int:
    """Check models, revisions and the live database against the rules.

    Nothing is changed: revisions are recorded, not run, and the database is only read.

    \b
    Examples:
      truing lint
      truing lint --only models --only revisions
      truing lint --database-url postgresql://localhost/app --output-format concise
      truing rule forbidden-table-reference
    """
    from truing.cli.rules import every_rule
    from truing.lint.context import make_context
    from truing.lint.engine import lint
    from truing.report.document import document

    config = invocation.config
    if select:
        config = msgspec.structs.replace(config, select=select)
    if ignore:
        config = msgspec.structs.replace(config, ignore=(*config.ignore, *ignore))
    places = only or PLACES
    context = make_context(config)
    facts: list[Facts] = []
    looked: list[str] = []
    if "database" in places:
        from truing.lint.references.live import live_references, search_path

        url = _database(invocation, required=bool(only))
        if url is not None:
            from truing.cli.database import connect_reading

            with connect_reading(url) as connection:
                context = make_context(config, search_path(connection))
                facts.append(live_references(connection, context.forbidden))
            looked.append("database")
    if "models" in places:
        facts += _models(invocation)
        looked.append("models")
    if "revisions" in places:
        facts.append(_revisions(invocation))
        looked.append("revisions")
    findings = lint(facts, context, known=every_rule(), everything=set(looked) == set(PLACES))
    return invocation.answer(
        document("lint", findings=findings, facts={"looked at": ", ".join(looked)}, fail_on=invocation.fail_on)
    )


def _database(invocation: Invocation, *, required: bool) -> str | None:
    from truing.cli.database import project
    from truing.errors import ProjectError

    if invocation.database_url is not None:
        return invocation.database_url
    try:
        return project(invocation).url()
    except ProjectError as error:
        if required:
            raise
        invocation.say(f"The live database is not looked at: {error.message}")
        return None


def _models(invocation: Invocation) -> list[Facts]:
    from truing.cli.database import project
    from truing.lint.references.models import model_references
    from truing.revisions.metadata import load_metadata

    names = invocation.config.metadata
    if names:
        return [model_references(load_metadata(name, invocation.config.folder)) for name in names]
    target = project(invocation).context_options().get("target_metadata")
    found = target if isinstance(target, list | tuple) else [target]
    metadatas = [each for each in found if each is not None]
    if not metadatas:
        invocation.say("No models are looked at: env.py has no target_metadata, and [tool.truing] no metadata.")
    return [model_references(each) for each in metadatas]


def _revisions(invocation: Invocation) -> Facts:
    from truing.cli.database import project
    from truing.lint.references.recorded import revision_references
    from truing.revisions.record import record

    return revision_references(record(project(invocation)))
