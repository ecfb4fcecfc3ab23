"""``truing lint``: the rules over models, recorded revisions and the live catalog."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from truing.cli.options import Invocation, judging

if TYPE_CHECKING:
    from collections.abc import Collection

    from truing.cli.part import Part
    from truing.lint.context import Declared
    from truing.lint.facts import Facts
    from truing.report.document import Cell

PLACES = ("models", "revisions", "database")


@click.command("lint")
@click.option("--only", type=click.Choice(PLACES), multiple=True, help="Look only there (may be repeated).")
@judging
def command(invocation: Invocation, only: tuple[str, ...]) -> int:
    """Check models, revisions and the live database against the rules.

    Nothing is changed: revisions are recorded, not run, and the database is only read.

    \b
    Examples:
      truing lint
      truing lint --only models --only revisions
      truing lint --database-url postgresql://localhost/app --output-format concise
      truing rule forbidden-table-reference
    """
    from truing.cli.part import conclude

    return conclude(invocation, "lint", look(invocation, only or _places(invocation)))


def look(invocation: Invocation, places: Collection[str]) -> Part:
    """Look at some of :data:`PLACES`.

    Raises:
        TruingError: one of them cannot be looked at.
    """
    from truing.cli.part import Part
    from truing.cli.rules import every_rule
    from truing.lint.context import make_context
    from truing.lint.engine import lint

    declared = _declared(invocation)
    context = make_context(invocation.config, declared=declared)
    facts: list[Facts] = []
    if "database" in places:
        from truing.cli.database import connect_reading, url_of
        from truing.lint.references.live import live_references, search_path

        with connect_reading(url_of(invocation)) as connection:
            context = make_context(invocation.config, search_path(connection), declared)
            facts.append(live_references(connection, context.forbidden))
    if "models" in places:
        facts += _models(invocation)
    if "revisions" in places:
        facts.append(_revisions(invocation))
    complete = set(places) == set(PLACES)
    findings = lint(facts, context, known=every_rule(), everything=complete)
    looked = [place for place in ("database", "models", "revisions") if place in places]
    said: dict[str, Cell] = {"looked at": ", ".join(looked)}
    if declared:
        said["allowed as triggers of the RBAC program"] = ", ".join(sorted(each.subject for each in declared))
    return Part(findings=findings, facts=said, complete=complete)


def _declared(invocation: Invocation) -> frozenset[Declared]:
    """Say what the RBAC program of the project has on other people's tables."""
    from truing.cli.rbac_database import binding_of, program_of

    if binding_of(invocation) != "supabase":
        return frozenset()
    from truing.lint.context import Declared
    from truing.rbac.program.supabase import declared

    return frozenset(Declared(*each) for each in declared(program_of(invocation, "")))


def _places(invocation: Invocation) -> tuple[str, ...]:
    from truing.cli.database import named_url

    if named_url(invocation) is not None:
        return PLACES
    invocation.say("The live database is not looked at: nobody names it.")
    return ("models", "revisions")


def _models(invocation: Invocation) -> list[Facts]:
    from truing.lint.references.models import model_references

    metadatas = invocation.models.metadatas
    if not metadatas:
        invocation.say("No models are looked at: env.py has no target_metadata, and [tool.truing] no metadata.")
    return [model_references(each) for each in metadatas]


def _revisions(invocation: Invocation) -> Facts:
    from truing.cli.database import project
    from truing.lint.references.recorded import revision_references
    from truing.lint.scope import later_revisions
    from truing.revisions.history import revisions
    from truing.revisions.record import record

    config, found = invocation.config, project(invocation)
    named = config.start_after is not None or config.per_revision_ignores
    return revision_references(record(found, later_revisions(config, revisions(found)) if named else None))
