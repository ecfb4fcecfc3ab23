"""The journal: what the catalog cannot tell, kept in a schema of its own (``_truing``), never among people's tables.

It holds the plan of each operation with the step it has reached and its cursor; the originals of rows that had no
place (quarantine); and the parent rows that truing made. A transactional step and its entry here commit together,
so the journal is never ahead of the database nor behind it.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any, Final

import msgspec
import psycopg
from psycopg.rows import dict_row

from truing.changes import AnyChange
from truing.errors import OnlineError
from truing.names import QualifiedName, literal
from truing.plan import Plan

SCHEMA: Final = "_truing"

_SCHEMA: Final = """
CREATE SCHEMA IF NOT EXISTS _truing;
COMMENT ON SCHEMA _truing IS 'Journal and quarantine of truing. Not part of the application.';
"""
_TABLES: Final = """
CREATE TABLE IF NOT EXISTS _truing.op (
  op_id text PRIMARY KEY, title text NOT NULL, rel text NOT NULL,
  spec_hash text NOT NULL, spec jsonb NOT NULL, plan jsonb NOT NULL, record jsonb NOT NULL DEFAULT '{}',
  step integer NOT NULL DEFAULT 0, cursor jsonb, done boolean NOT NULL DEFAULT false,
  attempts integer NOT NULL DEFAULT 0, last_error text,
  rows_done bigint NOT NULL DEFAULT 0, rows_total bigint NOT NULL DEFAULT 0,
  created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE IF NOT EXISTS _truing.event (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, op_id text NOT NULL,
  at timestamptz NOT NULL DEFAULT clock_timestamp(), step text NOT NULL, kind text NOT NULL,
  detail jsonb NOT NULL DEFAULT '{}');
CREATE TABLE IF NOT EXISTS _truing.quarantine (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, op_id text NOT NULL, rel text NOT NULL,
  pk jsonb NOT NULL, col text NOT NULL, raw text, reason text NOT NULL, given text, row_data jsonb,
  first_seen timestamptz NOT NULL DEFAULT now(), resolved_at timestamptz, resolution text,
  UNIQUE (op_id, pk));
CREATE TABLE IF NOT EXISTS _truing.made_parent (
  op_id text NOT NULL, rel text NOT NULL, col text NOT NULL, key text NOT NULL, PRIMARY KEY (op_id, rel, key));
"""
# quarantine: one row is the original of one value (or, with row_data, of one whole row) that an operation replaced
# (or moved away). `given` is what it was replaced by. made_parent: one row is a parent row that truing inserted.

REPLAN: Final = (
    # Two at a time would fail with "tuple concurrently updated".
    f"SELECT pg_advisory_xact_lock(hashtextextended({literal(SCHEMA + ' replan')}, 0))",
    f"GRANT USAGE ON SCHEMA {SCHEMA} TO CURRENT_USER",
)
"""Statements that have every session plan anew what its functions have planned, once they commit.

A PL/pgSQL function keeps the plan of ``NEW.tenant_id IS NULL`` with the type that the column had. PostgreSQL does not
see that the plan depends on the table, and refuses it ("type of parameter does not match that when preparing the plan")
for as long as the session lasts: each write of a table with such a trigger would fail. A change in pg_namespace resets
all plans (PlanCacheSysCallback in src/backend/utils/cache/plancache.c); this one changes nothing else.
"""


class Entry(msgspec.Struct, frozen=True):
    """An operation as the journal has it.

    Attributes:
        step: index of the next step.
        cursor: where that step's pass is; None at its beginning.
        record: what the operation's way back needs, as the operation wrote it.
    """

    op_id: str
    title: str
    rel: str
    spec_hash: str
    plan: Plan
    record: dict[str, Any]
    step: int
    cursor: Any
    done: bool
    attempts: int
    last_error: str | None
    rows_done: int
    rows_total: int


def spec_hash(change: AnyChange) -> str:
    """Fingerprint what was asked for, so that a run is not resumed with another specification."""
    return sha256(msgspec.json.encode(change, order="sorted")).hexdigest()[:32]


def ensure(connection: psycopg.Connection[Any]) -> None:
    """Make the journal's tables when they are missing.

    Raises:
        OnlineError: the user may not create the schema.
    """
    if connection.execute("SELECT to_regclass('_truing.made_parent')::text").fetchone() != (None,):
        return
    # An administrator may have made it for a role that may not: IF NOT EXISTS asks for the privilege all the same.
    missing = connection.execute(f"SELECT to_regnamespace({literal(SCHEMA)}) IS NULL").fetchone() == (True,)
    try:
        # Two runners may come at once; the loser waits here instead of failing on a duplicate key of pg_namespace.
        connection.execute(
            f"BEGIN; SELECT pg_advisory_xact_lock(hashtextextended({literal(SCHEMA)}, 0));"
            f" {_SCHEMA if missing else ''} {_TABLES} COMMIT"
        )
    except psycopg.errors.InsufficientPrivilege as error:
        connection.execute("ROLLBACK")
        raise OnlineError(
            f"the journal's schema {SCHEMA} cannot be made: {error.diag.message_primary}",
            hint=f"Have an administrator run: CREATE SCHEMA {SCHEMA} AUTHORIZATION <the role that migrates>;",
        ) from error


def exists(connection: psycopg.Connection[Any]) -> bool:
    """Tell whether this database has a journal."""
    row = connection.execute("SELECT to_regclass('_truing.made_parent') IS NOT NULL").fetchone()
    return bool(row and row[0])


def load(connection: psycopg.Connection[Any], op_id: str) -> Entry | None:
    """Return the entry of an operation, or None."""
    entries = _select(connection, "WHERE op_id = %s", (op_id,))
    return entries[0] if entries else None


def entries(connection: psycopg.Connection[Any]) -> list[Entry]:
    """Return all operations, oldest first; empty where there is no journal."""
    return _select(connection, "ORDER BY created_at, op_id", ()) if exists(connection) else []


def _select(connection: psycopg.Connection[Any], where: str, parameters: tuple[Any, ...]) -> list[Entry]:
    with connection.cursor(row_factory=dict_row) as cursor:
        cursor.execute(f"SELECT * FROM _truing.op {where}", parameters)
        return [msgspec.convert(row, Entry) for row in cursor]


def begin(
    connection: psycopg.Connection[Any], plan: Plan, change: AnyChange, record: dict[str, Any], rows_total: int
) -> Entry:
    """Write a new operation with its plan and return its entry."""
    connection.execute(
        "INSERT INTO _truing.op (op_id, title, rel, spec_hash, spec, plan, record, rows_total)"
        " VALUES (%s, %s, %s, %s, %s::jsonb, %s::jsonb, %s::jsonb, %s)"
        " ON CONFLICT (op_id) DO UPDATE SET title = excluded.title, spec_hash = excluded.spec_hash,"
        " spec = excluded.spec, plan = excluded.plan, record = excluded.record, rows_total = excluded.rows_total,"
        " step = 0, cursor = NULL, done = false, rows_done = 0, last_error = NULL WHERE op.done",
        (
            plan.op_id,
            plan.title,
            plan.table.sql,
            spec_hash(change),
            msgspec.json.encode(change).decode(),
            msgspec.json.encode(plan).decode(),
            msgspec.json.encode(record).decode(),
            rows_total,
        ),
    )
    entry = load(connection, plan.op_id)
    if entry is None:  # pragma: no cover - it was inserted a moment ago
        raise OnlineError(f"the journal lost {plan.op_id}")
    return entry


def advance_sql(op_id: str, step: int) -> str:
    """Return the statement that sets the next step, to run in the transaction of the step before it."""
    return (
        f"UPDATE _truing.op SET step = {step}, cursor = NULL, last_error = NULL, updated_at = clock_timestamp()"
        f" WHERE op_id = {literal(op_id)}"
    )


def cursor_sql(op_id: str, cursor: Any, rows_done: int) -> str:
    """Return the statement that keeps a pass's position, to run in the transaction of its batch."""
    return (
        f"UPDATE _truing.op SET cursor = {literal(msgspec.json.encode(cursor).decode())}::jsonb,"
        f" rows_done = {rows_done}, updated_at = clock_timestamp() WHERE op_id = {literal(op_id)}"
    )


def finish_sql(plan: Plan) -> str:
    """Return the statements that end an operation; one that undoes another leaves no entry of either."""
    if not plan.undoes:
        return f"UPDATE _truing.op SET done = true, updated_at = clock_timestamp() WHERE op_id = {literal(plan.op_id)}"
    both = f"({literal(plan.op_id)}, {literal(plan.undoes)})"
    return (
        f"DELETE FROM _truing.op WHERE op_id IN {both};"
        f" DELETE FROM _truing.made_parent WHERE op_id IN {both};"
        # What could not be given back (resolution empty) stays for a person to see.
        f" DELETE FROM _truing.quarantine WHERE op_id IN {both} AND resolution = 'given back'"
    )


def forget(connection: psycopg.Connection[Any], op_id: str) -> None:
    """Remove an operation that has not changed anything."""
    connection.execute("DELETE FROM _truing.op WHERE op_id = %s", (op_id,))


def note(connection: psycopg.Connection[Any], op_id: str, step: str, kind: str, detail: dict[str, Any]) -> None:
    """Keep an event: a try of a lock, a finished step, an error."""
    connection.execute(
        "INSERT INTO _truing.event (op_id, step, kind, detail) VALUES (%s, %s, %s, %s::jsonb)",
        (op_id, step, kind, msgspec.json.encode(detail).decode()),
    )


def fail(connection: psycopg.Connection[Any], op_id: str, message: str) -> None:
    """Keep why a run stopped."""
    connection.execute(
        "UPDATE _truing.op SET last_error = %s, updated_at = clock_timestamp() WHERE op_id = %s", (message, op_id)
    )


_ANEW: Final = (
    "DO UPDATE SET raw = excluded.raw, reason = excluded.reason, given = excluded.given,"
    " row_data = excluded.row_data, first_seen = excluded.first_seen, resolved_at = NULL, resolution = NULL"
    " WHERE quarantine.resolved_at IS NOT NULL OR (quarantine.row_data IS NULL AND excluded.row_data IS NULL"
    " AND excluded.raw IS DISTINCT FROM quarantine.given)"
)
"""One that was settled makes room for a new one. An open entry keeps its original when what truing gave has to be
mended again; what the application has put in the place of that is the original by then."""

AGAIN: Final = "__truing_again"
"""The member by which the key of an entry differs from that of a whole row kept before, which came again and went."""


def keep_sql(op_id: str, table: QualifiedName, column: str, *, source: str) -> str:
    """Return an INSERT into the quarantine.

    Args:
        op_id: the operation.
        table: the table whose row is kept.
        column: the column whose value is kept.
        source: a query of (pk jsonb, raw text, reason text, given text, row_data jsonb).
    """
    # A whole row that is only here is never written over.
    before = (
        f"EXISTS (SELECT FROM _truing.quarantine o WHERE o.op_id = {literal(op_id)} AND o.pk = q.pk"
        " AND o.row_data IS NOT NULL AND o.resolution IS DISTINCT FROM 'given back')"
    )
    again = f"q.pk || jsonb_build_object('{AGAIN}', clock_timestamp())"
    return (
        "INSERT INTO _truing.quarantine (op_id, rel, col, pk, raw, reason, given, row_data)"
        f" SELECT {literal(op_id)}, {literal(table.sql)}, {literal(column)},"
        f" CASE WHEN {before} THEN {again} ELSE q.pk END, q.raw, q.reason, q.given, q.row_data"
        f" FROM ({source}) q(pk, raw, reason, given, row_data)"
        f" ON CONFLICT (op_id, pk) {_ANEW}"
    )
