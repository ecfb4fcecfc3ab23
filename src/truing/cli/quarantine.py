"""``truing quarantine``: the originals of values that had no place; see them and settle them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from truing.cli.options import Invocation, common

if TYPE_CHECKING:
    from truing.online.originals import Quarantined
    from truing.report.document import Cell


@click.group("quarantine")
def command() -> None:
    """See and settle the values that a migration could not keep as they were.

    An online migration keeps the original of every value it replaces; here they are, until a person settles them.

    \b
    Examples:
      truing quarantine list
      truing quarantine show 17
      truing quarantine resolve 17 --value 6f1c0c5e-3d7c-4f6e-9d1f-0f4f3c1b2a10
      truing quarantine resolve 17 --keep
      truing quarantine resolve --table public.profiles --reason empty --keep
    """


_TABLE = click.option("--table", metavar="TABLE", help="Only of this table (schema.name).")
_REASON = click.option(
    "--reason", type=click.Choice(["null", "empty", "malformed", "orphan"]), help="Only of this class."
)


@command.command("list")
@_TABLE
@_REASON
@click.option("--all", "everything", is_flag=True, help="Settled ones too.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="Show at most so many.")
@common
def list_command(invocation: Invocation, table: str | None, reason: str | None, everything: bool, limit: int) -> int:
    """List what is in quarantine, and how much of it is open.

    Counts come first, by table, column and class; then the entries, oldest first.

    \b
    Examples:
      truing quarantine list
      truing quarantine list --table public.profiles --reason malformed --all
    """
    from truing.cli.database import connect_reading, url_of
    from truing.online import originals
    from truing.report.document import Column, Table, document

    with connect_reading(url_of(invocation)) as connection:
        counts = originals.counts(connection, table=table, reason=reason)
        entries = originals.listed(connection, table=table, reason=reason, everything=everything, limit=limit)
    keys = ("table", "column", "class", "open", "settled")
    totals = Table(
        "counts", "In quarantine", tuple(Column(key, key) for key in keys), tuple(_row(keys, row) for row in counts)
    )
    shown = ("id", "table", "key", "column", "class", "original", "given", "settled")
    rows = tuple({**_entry(each), "key": ", ".join(each.pk.values())} for each in entries)
    # A column that says nothing only makes the others narrow.
    columns = tuple(Column(key, key) for key in shown if any(row[key] is not None for row in rows))
    listed = Table("entries", "Entries", columns, rows)
    waiting = sum(int(row[3]) for row in counts)
    return invocation.answer(
        document(
            "quarantine list",
            tables=[each for each in (totals, listed) if each.rows],
            summary=f"{waiting:,} values wait to be settled." if waiting else "Nothing waits to be settled.",
            next_steps=("truing quarantine show ID",) if entries else (),
        )
    )


@command.command("show")
@click.argument("number", metavar="ID", type=int)
@common
def show_command(invocation: Invocation, number: int) -> int:
    """Show one original, whole.

    ID is the number that `truing quarantine list` prints.

    \b
    Examples:
      truing quarantine show 17
      truing quarantine show 17 --output-format json
    """
    from truing.cli.database import connect_reading, url_of
    from truing.online import originals
    from truing.report.document import document

    with connect_reading(url_of(invocation)) as connection:
        entry = originals.show(connection, number)
    return invocation.answer(document("quarantine show", facts=_whole(entry), summary=_state(entry)))


@command.command("resolve")
@click.argument("number", metavar="[ID]", type=int, required=False)
@_TABLE
@_REASON
@click.option("--value", metavar="TEXT", help="Give the row this value.")
@click.option("--keep", is_flag=True, help="Leave the row as it is and settle the entry.")
@common
def resolve_command(
    invocation: Invocation, number: int | None, table: str | None, reason: str | None, value: str | None, keep: bool
) -> int:
    """Settle one original, or all of a table or class: give the row a value, or keep what it has.

    The database itself checks the value; an entry is not settled when it refuses it. Without an ID every open entry
    of --table and --reason is settled, one after the other; after a stop the same command goes on.

    \b
    Examples:
      truing quarantine resolve 17 --value 6f1c0c5e-3d7c-4f6e-9d1f-0f4f3c1b2a10
      truing quarantine resolve 17 --keep
      truing quarantine resolve --table public.profiles --reason empty --keep
    """
    from truing.cli.database import connect_writing, url_of
    from truing.errors import UsageError
    from truing.online import originals
    from truing.report.document import document

    if (value is not None) == keep:
        raise UsageError("Say what to do with the row.", hint="Give either --value TEXT or --keep.")
    if (number is None) == (table is None and reason is None):
        raise UsageError("Say which entries are meant.", hint="Give either an ID, or --table and --reason.")
    with connect_writing(url_of(invocation)) as connection:
        if number is None:
            waiting = sum(row[3] for row in originals.counts(connection, table=table, reason=reason))
            everything = originals.resolve_all(connection, table=table, reason=reason, value=value, keep=keep)
            with click.progressbar(everything, length=waiting, label="Settling", file=sys.stderr) as settled:
                done = max(settled, default=0)
            return invocation.answer(document("quarantine resolve", summary=f"Settled: {done:,} entries."))
        entry = originals.resolve(connection, number, value=value, keep=keep)
    return invocation.answer(document("quarantine resolve", facts=_whole(entry), summary=_state(entry)))


def _row(keys: tuple[str, ...], values: tuple[Cell, ...]) -> dict[str, Cell]:
    return dict(zip(keys, values, strict=True))


def _entry(entry: Quarantined) -> dict[str, Cell]:
    return {
        "id": entry.id,
        "table": entry.rel,
        "column": entry.col,
        "class": entry.reason,
        "original": _text(entry.raw),
        "given": "(row moved away)" if entry.row_data is not None else _text(entry.given),
        "settled": entry.resolution,
    }


def _text(value: str | None) -> str:
    """Show a value that would else look like none at all; its class tells it from the text of the same spelling."""
    return "NULL" if value is None else value or "''"


def _whole(entry: Quarantined) -> dict[str, Cell]:
    facts = _entry(entry) | {"operation": entry.op_id, "since": entry.first_seen}
    facts |= {f"key {name}": value for name, value in entry.pk.items()}
    return facts | {f"row {name}": value for name, value in (entry.row_data or {}).items()}


def _state(entry: Quarantined) -> str:
    return f"Settled: {entry.resolution}." if entry.resolution else "Open."
