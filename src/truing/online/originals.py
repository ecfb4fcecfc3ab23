"""What is in the quarantine, and how does a person settle it? What ``truing quarantine`` shows and does.

In: a connection, and which entries are meant. Out: the originals with what they were replaced by; or rows with the
value that a person chose, each with its entry marked as settled in one transaction.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import psycopg
from psycopg.rows import dict_row

from truing.errors import UsageError
from truing.names import ident, literal, parse_qualified
from truing.online import journal


class Quarantined(msgspec.Struct, frozen=True):
    """One original in the quarantine.

    Attributes:
        id: its number.
        rel: the table, quoted.
        pk: the key of the row, as texts.
        col: the column.
        raw: the original value.
        reason: its dirty class.
        given: what it was replaced by.
        row_data: the whole original row, where it was moved away.
        first_seen: when, ISO 8601.
        resolution: how it was settled; None while it is open.
    """

    id: int
    op_id: str
    rel: str
    pk: dict[str, str]
    col: str
    raw: str | None
    reason: str
    given: str | None
    row_data: dict[str, str | None] | None
    first_seen: str
    resolution: str | None


def listed(
    connection: psycopg.Connection[Any],
    *,
    table: str | None = None,
    reason: str | None = None,
    everything: bool = False,
    limit: int = 100,
) -> list[Quarantined]:
    """Return what is in the quarantine, oldest first.

    Args:
        connection: any.
        table: only of this table, as a person writes it.
        reason: only of this class.
        everything: settled ones too.
        limit: at most so many.

    Raises:
        UsageError: there is no such table.
    """
    rel = _known(connection, table)
    if not journal.exists(connection):
        return []
    with connection.cursor(row_factory=dict_row) as cursor:
        cursor.execute(
            "SELECT id, op_id, rel, pk, col, raw, reason, given, row_data, first_seen::text, resolution"
            " FROM _truing.quarantine WHERE (%(rel)s::text IS NULL OR rel = %(rel)s)"
            " AND (%(reason)s::text IS NULL OR reason = %(reason)s) AND (%(all)s OR resolved_at IS NULL)"
            " ORDER BY id LIMIT %(limit)s",
            {"rel": rel, "reason": reason, "all": everything, "limit": limit},
        )
        return [msgspec.convert(row, Quarantined) for row in cursor]


def counts(
    connection: psycopg.Connection[Any], *, table: str | None = None, reason: str | None = None
) -> list[tuple[str, str, str, int, int]]:
    """Return (table, column, reason, open, settled) of what is in the quarantine.

    Args:
        connection: any.
        table: only of this table, as a person writes it.
        reason: only of this class.

    Raises:
        UsageError: there is no such table.
    """
    rel = _known(connection, table)
    if not journal.exists(connection):
        return []
    rows = connection.execute(
        "SELECT rel, col, reason, count(*) FILTER (WHERE resolved_at IS NULL),"
        " count(*) FILTER (WHERE resolved_at IS NOT NULL) FROM _truing.quarantine GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
    ).fetchall()
    return [row for row in rows if rel in {None, row[0]} and reason in {None, row[2]}]


def _known(connection: psycopg.Connection[Any], table: str | None) -> str | None:
    """Return the name of a table as the quarantine spells it; a misspelt one must not look like an empty one."""
    if table is None:
        return None
    try:
        rel = parse_qualified(table).sql
    except ValueError as error:
        raise UsageError(str(error)) from error
    row = connection.execute("SELECT to_regclass(%s) IS NULL", (rel,)).fetchone()
    if row and row[0]:
        raise UsageError(f"There is no table {table}.", hint="Write it as `truing quarantine list` does: schema.name")
    return rel


def show(connection: psycopg.Connection[Any], number: int) -> Quarantined:
    """Return one original, whole.

    Raises:
        UsageError: there is none of that number.
    """
    if journal.exists(connection):
        with connection.cursor(row_factory=dict_row) as cursor:
            cursor.execute(
                "SELECT id, op_id, rel, pk, col, raw, reason, given, row_data, first_seen::text, resolution"
                " FROM _truing.quarantine WHERE id = %s",
                (number,),
            )
            row = cursor.fetchone()
        if row is not None:
            return msgspec.convert(row, Quarantined)
    raise UsageError(f"the quarantine has no entry {number}", hint="`truing quarantine list` shows the numbers.")


def resolve(connection: psycopg.Connection[Any], number: int, *, value: str | None, keep: bool = False) -> Quarantined:
    """Settle one original: give its row a value chosen by a person, or keep what it was given.

    Args:
        connection: in autocommit mode, as a role that may write the table.
        number: the entry.
        value: the value for the row's column, as text.
        keep: leave the row as it is and only mark the entry as settled.

    Raises:
        UsageError: no such entry, settled already, the row is gone or the database refuses the value.
    """
    entry = show(connection, number)
    if entry.resolution is not None:
        raise UsageError(f"entry {number} is settled already: {entry.resolution}")
    if value is None and not keep:
        raise UsageError("say what to do: a value for the row, or to keep what it has")
    done = "kept as it is" if keep else f"set to {value}"
    with connection.transaction():
        if not keep:
            _set_value(connection, entry, value)
        connection.execute(
            "UPDATE _truing.quarantine SET resolved_at = now(), resolution = %s WHERE id = %s", (done, number)
        )
    return show(connection, number)


def resolve_all(
    connection: psycopg.Connection[Any],
    *,
    table: str | None = None,
    reason: str | None = None,
    value: str | None,
    keep: bool = False,
) -> Iterator[int]:
    """Settle everything that is open alike, each entry in a transaction of its own, so that no row waits for another.

    Args:
        connection: in autocommit mode, as a role that may write the tables.
        table: only of this table, as a person writes it.
        reason: only of this class.
        value: the value for every row's column, as text.
        keep: leave the rows as they are.

    Yields:
        How many are settled so far, after each.

    Raises:
        UsageError: an entry cannot be settled so; those before it are, and the message has its number.
    """
    step = 1_000
    done = 0
    while entries := listed(connection, table=table, reason=reason, limit=step):
        for entry in entries:
            try:
                resolve(connection, entry.id, value=value, keep=keep)
            except UsageError as error:
                raise UsageError(
                    f"entry {entry.id}: {error.message} ({done:,} are settled)", hint=error.advice
                ) from error
            done += 1
            yield done


def _set_value(connection: psycopg.Connection[Any], entry: Quarantined, value: str | None) -> None:
    if entry.row_data is not None:
        raise UsageError(
            f"entry {entry.id} is a whole row that was moved away from {entry.rel}",
            hint="Insert it yourself with the values `truing quarantine show` prints, then settle it with --keep.",
        )
    where = " AND ".join(
        f"{ident(column)} = {literal(text)}" for column, text in entry.pk.items() if column != journal.AGAIN
    )
    try:
        # An untyped literal takes the column's type, so the database itself reads and checks it.
        updated = connection.execute(f"UPDATE {entry.rel} SET {ident(entry.col)} = {literal(value)} WHERE {where}")
    except psycopg.Error as error:
        raise UsageError(f"the database refuses {value!r} for {entry.rel}: {error.diag.message_primary}") from error
    if updated.rowcount != 1:
        raise UsageError(f"the row of entry {entry.id} is no longer in {entry.rel}", hint="Settle it with --keep.")
