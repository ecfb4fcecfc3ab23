"""``truing status``: where a migration stands and who is in its way, asked from another terminal."""

from __future__ import annotations

import click

from truing.cli.options import Invocation, common


@click.command("status")
@click.option("--all", "everything", is_flag=True, help="Finished operations too.")
@common
def command(invocation: Invocation, everything: bool) -> int:
    """Show where an online migration stands, and who blocks it.

    It only reads, so it can be asked at any time, from any terminal.

    \b
    Examples:
      truing status
      truing status --all --output-format json
    """
    from truing.cli.database import connect_reading, url_of
    from truing.online.status import status
    from truing.report.document import Column, Table, document

    with connect_reading(url_of(invocation)) as connection:
        operations = status(connection, everything=everything)
    keys = ("operation", "state", "step", "rows", "of about", "lock", "waits for", "open in quarantine", "last error")
    rows = tuple(
        {
            "operation": each.title,
            "state": each.state,
            "step": f"{each.position}/{each.steps} {each.step}",
            "rows": each.rows_done,
            "of about": each.rows_total,
            "lock": each.lock or None,
            "waits for": "; ".join(each.waiting_for) or None,
            "open in quarantine": each.open_quarantine,
            "last error": each.last_error or None,
        }
        for each in operations
    )
    # A column that says nothing only makes the others narrow; an error is a sentence, and stands below.
    columns = tuple(Column(key, key) for key in keys if key != "last error" and any(row[key] for row in rows))
    note = "\n".join(f"{each.title}: {each.last_error}" for each in operations if each.last_error)
    running = sum(each.state == "running" for each in operations)
    stopped = sum(each.state == "stopped" for each in operations)
    counts = [f"{number} {state}" for number, state in ((running, "under way"), (stopped, "stopped")) if number]
    return invocation.answer(
        document(
            "status",
            tables=[Table("operations", "Online operations", columns, rows, note)] if rows else [],
            summary=f"{', '.join(counts)}." if counts else "No online operation is under way.",
            next_steps=("truing upgrade goes on where it stopped",) if stopped else (),
        )
    )
