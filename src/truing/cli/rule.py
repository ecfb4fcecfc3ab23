"""``truing rule``: what a rule finds, why, and what to write instead."""

from __future__ import annotations

import click

from truing.cli.options import Invocation, common


@click.command("rule")
@click.argument("name", required=False)
@common
def command(invocation: Invocation, name: str | None) -> int:
    """Explain a rule, or list all of them.

    NAME is a rule's name or code, as findings print it. Without it, every rule is listed.

    \b
    Examples:
      truing rule
      truing rule forbidden-table-reference
      truing rule TR101
    """
    from truing.cli.rules import every_rule
    from truing.report.console import console
    from truing.report.document import Column, Table, document
    from truing.report.rule_page import render_page

    rules = every_rule()
    if name is not None:
        render_page(rules.find(name), console())
        return 0
    columns = tuple(Column(key, key) for key in ("code", "name", "severity", "since"))
    rows = tuple(
        {
            "code": r.code,
            "name": r.name,
            "severity": r.severity.value + (" (varies)" if r.varies else ""),
            "since": r.since,
        }
        for r in rules.values()
    )
    table = Table("rules", "Rules", columns, rows)
    next_steps = ("truing rule NAME explains one of them",)
    return invocation.answer(document("rule", tables=[table], summary=f"{len(rows)} rules.", next_steps=next_steps))
