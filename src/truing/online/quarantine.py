"""The quarantine: the original of every value that had no place, what became of it, and how a person settles it.

Values are kept as PostgreSQL's own text of them, so that they come back byte for byte whatever their type. The first
half of this module builds the statements that move rows in and give them back; the second half is what
``truing quarantine`` shows and does.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import psycopg
from psycopg.rows import dict_row

from truing.catalog.model import Constraint, Table
from truing.changes import DirtyPolicy, Reference
from truing.errors import UsageError
from truing.names import QualifiedName, ident, literal, parse_qualified
from truing.online import journal
from truing.online.conversion import parent_insert
from truing.online.facts import RowKey

_ARGUMENTS = 40
"""Columns per ``jsonb_build_object`` call, which takes 100 arguments."""


def key_json(key: RowKey, alias: str) -> str:
    """Return the key of a row as jsonb."""
    return _object(key.columns, alias)


def row_json(table: Table, alias: str) -> str:
    """Return a whole row as jsonb of texts, generated columns left out."""
    return _object(tuple(column.name for column in table.columns if not column.generated), alias)


def _object(columns: tuple[str, ...], alias: str) -> str:
    parts = []
    for start in range(0, len(columns), _ARGUMENTS):
        pairs = ", ".join(f"{literal(c)}, {alias}.{ident(c)}::text" for c in columns[start : start + _ARGUMENTS])
        parts.append(f"jsonb_build_object({pairs})")
    return " || ".join(parts)


def same_key(key: RowKey, left: str, right: str) -> str:
    """Return the condition that two aliases are one row."""
    return " AND ".join(f"{left}.{ident(column)} = {right}.{ident(column)}" for column in key.columns)


def mend(
    op_id: str,
    table: Table,
    key: RowKey,
    column: str,
    *,
    wrong: str,
    reason: str,
    policy: DirtyPolicy,
    sentinel: str = "",
    reference: Reference | None = None,
    parent: dict[str, str] | None = None,
    value: str = "",
) -> str:
    """Return the statement that settles rows by a policy and keeps their originals.

    The rows are locked first and judged again, so that what is kept is what was replaced.

    Args:
        op_id: the operation.
        table: the table.
        key: its key.
        column: the column with the value that has no place.
        wrong: the condition of a wrong row, over alias ``t``.
        reason: an expression of the dirty class, over alias ``t``.
        policy: what to do.
        sentinel: the value of policy ``sentinel``.
        reference: the parent table, for ``create-parent``.
        parent: the other columns of a parent row that is made.
        value: for policy ``map`` without a table: the expression (over ``t``) that replaces the value.
    """
    target, name = table.name.sql, ident(column)
    columns = ", ".join(map(ident, key.columns))
    # The same expressions over the locked row.
    locked = (
        f"WITH k({columns}) AS ({{keys}}), l AS MATERIALIZED (SELECT t.*, ({reason}) AS __truing_reason,"
        f" ({value or 'NULL'})::text AS __truing_value FROM {target} t JOIN k ON {same_key(key, 't', 'k')}"
        f" WHERE {wrong} FOR UPDATE OF t)"
    )
    given = {"sentinel": literal(sentinel), "null": "NULL::text"}.get(policy, "l.__truing_value")
    row = row_json(table, "l") if policy == "quarantine-rows" else "NULL::jsonb"
    kept = journal.keep_sql(
        op_id,
        table.name,
        column,
        source=f"SELECT {key_json(key, 'l')}, l.{name}::text, l.__truing_reason, {given}, {row} FROM l",
    )
    if policy == "create-parent" and reference is not None:
        made = parent_insert(
            reference.table, reference.column, f"l.{name}", parent or {}, f"FROM (SELECT DISTINCT {name} FROM l) l"
        )
        return f"{locked}, made AS ({made}) {made_parents(op_id, reference)}"
    if policy == "quarantine-rows":
        return f"{locked}, kept AS ({kept}) DELETE FROM {target} t USING l WHERE {same_key(key, 't', 'l')}"
    found = table.column(column)
    type_ = found.type if found else "text"
    return (
        f"{locked}, kept AS ({kept}) UPDATE {target} t SET {name} = ({given})::{type_} FROM l"
        f" WHERE {same_key(key, 't', 'l')}"
    )


def made_parents(op_id: str, reference: Reference) -> str:
    """Return the INSERT that keeps which parent rows were made, from a CTE ``made`` of one text column."""
    return (
        "INSERT INTO _truing.made_parent (op_id, rel, col, key)"
        f" SELECT {literal(op_id)}, {literal(reference.table.sql)}, {literal(reference.column)}, made.* FROM made"
        " ON CONFLICT DO NOTHING"
    )


def make_sentinel(op_id: str, reference: Reference, sentinel: str, parent: dict[str, str], type_: str) -> str:
    """Return the statement that makes the sentinel's parent row when it is missing."""
    made = parent_insert(reference.table, reference.column, f"{literal(sentinel)}::{type_}", parent, "")
    return f"WITH made AS ({made}) {made_parents(op_id, reference)}"


def unmake_parents(op_id: str, reference: Reference, inbound: tuple[tuple[QualifiedName, str], ...]) -> str:
    """Return the statement that removes the parent rows an operation made, those that nobody refers to by now.

    Args:
        op_id: the operation that made them.
        reference: the parent table and its key.
        inbound: the tables and columns that refer to it, so that nothing cascades.
    """
    column = f"p.{ident(reference.column)}"
    unused = "".join(
        f" AND NOT EXISTS (SELECT FROM {table.sql} r WHERE r.{ident(name)}::text = m.key)" for table, name in inbound
    )
    return (
        f"DELETE FROM {reference.table.sql} p USING _truing.made_parent m WHERE m.op_id = {literal(op_id)}"
        f" AND m.rel = {literal(reference.table.sql)} AND {column}::text = m.key{unused}"
    )


def pending(op_id: str, key: RowKey) -> str:
    """Return the query for the keys of what an operation keeps and has not given back."""
    columns = ", ".join(
        f"(q.pk ->> {literal(column)})::{type_} AS {ident(column)}"
        for column, type_ in zip(key.columns, key.types, strict=True)
    )
    return f"SELECT {columns} FROM _truing.quarantine q WHERE q.op_id = {literal(op_id)} AND q.resolved_at IS NULL"


def give_back(
    op_id: str, table: Table, key: RowKey, column: str, *, and_values: bool = True, parents: tuple[Constraint, ...] = ()
) -> str:
    """Return the statement that gives originals back, whole rows and values, for the keys in ``{keys}``.

    A value comes back where the row still holds what truing gave it; a row where nobody has taken its place. What
    cannot come back stays in the quarantine with the reason, for a person to see.

    Args:
        op_id: the operation.
        table: the table, as it is by then.
        key: its rows' key.
        column: the column.
        and_values: False where values are back already and only whole rows are missing: a row that then holds what
            truing gave was given it by the application, away and back.
        parents: the foreign keys that hold by then. The server does not look at them here, so a row whose parent is
            gone stays in the quarantine.
    """
    target, name = table.name.sql, ident(column)
    keys = ", ".join(map(ident, key.columns))
    matched = " AND ".join(
        f"(q.pk ->> {literal(c)})::{t} = k.{ident(c)}" for c, t in zip(key.columns, key.types, strict=True)
    )
    columns = [c for c in table.columns if not c.generated]
    names = ", ".join(ident(c.name) for c in columns)
    values = ", ".join(f"(w.row_data ->> {literal(c.name)})::{c.type}" for c in columns)
    found = table.column(column)
    type_ = found.type if found else "text"
    same = " AND ".join(
        f"t.{ident(c)} = (w.pk ->> {literal(c)})::{ty}" for c, ty in zip(key.columns, key.types, strict=True)
    )
    return (
        f"WITH k({keys}) AS ({{keys}}), w AS MATERIALIZED (SELECT q.* FROM _truing.quarantine q JOIN k ON {matched}"
        f" WHERE q.op_id = {literal(op_id)} AND q.resolved_at IS NULL FOR UPDATE OF q),"
        f" rows AS (INSERT INTO {target} ({names}) OVERRIDING SYSTEM VALUE SELECT {values} FROM w"
        f" WHERE w.row_data IS NOT NULL{''.join(_has_parent(each, table) for each in parents)}"
        f" ON CONFLICT DO NOTHING RETURNING {key_json(key, target)} AS pk),"
        f" vals AS (UPDATE {target} t SET {name} = w.raw::{type_} FROM w WHERE w.row_data IS NULL AND {same}"
        f" AND t.{name}::text IS NOT DISTINCT FROM w.given AND {and_values} RETURNING {key_json(key, 't')} AS pk)"
        " UPDATE _truing.quarantine q SET resolved_at = now(), resolution = CASE WHEN q.pk IN"
        " (SELECT pk FROM rows UNION ALL SELECT pk FROM vals) THEN 'given back'"
        # A type change that is taken back brings its originals with the old column, before anybody looks here.
        f" WHEN w.row_data IS NULL AND EXISTS (SELECT FROM {target} t WHERE {same}"
        f" AND t.{name}::text IS NOT DISTINCT FROM w.raw) THEN 'given back'"
        " ELSE 'not given back: the row has been changed, removed or replaced meanwhile' END FROM w WHERE q.id = w.id"
    )


def _has_parent(key: Constraint, table: Table) -> str:
    """Return the condition that a row that waits (alias ``w``) has its parent (MATCH SIMPLE)."""
    types = {column.name: column.type for column in table.columns}
    values = [f"(w.row_data ->> {literal(column)})::{types[column]}" for column in key.columns]
    none = " OR ".join(f"{value} IS NULL" for value in values)
    pairs = zip(key.referenced_columns, values, strict=True)
    same = " AND ".join(f"p.{ident(theirs)} = {value}" for theirs, value in pairs)
    parent = key.references.sql if key.references is not None else ""
    return f" AND ({none} OR EXISTS (SELECT FROM {parent} p WHERE {same}))"


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
    """
    if not journal.exists(connection):
        return []
    rel = parse_qualified(table).sql if table else None
    with connection.cursor(row_factory=dict_row) as cursor:
        cursor.execute(
            "SELECT id, op_id, rel, pk, col, raw, reason, given, row_data, first_seen::text, resolution"
            " FROM _truing.quarantine WHERE (%(rel)s::text IS NULL OR rel = %(rel)s)"
            " AND (%(reason)s::text IS NULL OR reason = %(reason)s) AND (%(all)s OR resolved_at IS NULL)"
            " ORDER BY id LIMIT %(limit)s",
            {"rel": rel, "reason": reason, "all": everything, "limit": limit},
        )
        return [msgspec.convert(row, Quarantined) for row in cursor]


def counts(connection: psycopg.Connection[Any]) -> list[tuple[str, str, str, int, int]]:
    """Return (table, column, reason, open, settled) of all that is in the quarantine."""
    if not journal.exists(connection):
        return []
    return connection.execute(
        "SELECT rel, col, reason, count(*) FILTER (WHERE resolved_at IS NULL),"
        " count(*) FILTER (WHERE resolved_at IS NOT NULL) FROM _truing.quarantine GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
    ).fetchall()


def waiting(connection: psycopg.Connection[Any], *, table: str | None = None, reason: str | None = None) -> int:
    """Count what is open, of a table and of a class where they are given."""
    rel = parse_qualified(table).sql if table else None
    return sum(row[3] for row in counts(connection) if rel in {None, row[0]} and reason in {None, row[2]})


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
    where = " AND ".join(f"{ident(column)} = {literal(text)}" for column, text in entry.pk.items())
    try:
        # An untyped literal takes the column's type, so the database itself reads and checks it.
        updated = connection.execute(f"UPDATE {entry.rel} SET {ident(entry.col)} = {literal(value)} WHERE {where}")
    except psycopg.Error as error:
        raise UsageError(f"the database refuses {value!r} for {entry.rel}: {error.diag.message_primary}") from error
    if updated.rowcount != 1:
        raise UsageError(f"the row of entry {entry.id} is no longer in {entry.rel}", hint="Settle it with --keep.")
