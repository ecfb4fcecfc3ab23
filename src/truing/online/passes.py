"""Passes over rows: the resumable backfill in small batches, and the mending of rows that are not as they must be.

A batch is sized by time, for the stall it causes is proportional to it, and skips rows that the application has
locked, so that it never waits on one: no deadlock with transactions that take rows in another order. What was
skipped is found by the mending pass, which looks at every row in one snapshot and mends in tiny waiting batches.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import psycopg

from truing.errors import DirtyDataError, OnlineError
from truing.names import QualifiedName, ident, literal
from truing.online import journal
from truing.online.locking import RETRIABLE
from truing.online.settings import OnlineSettings
from truing.plan import Batches, Settle

_WORTH_A_VACUUM: Final = 10_000.0
"""With fewer rows than this the dead versions are not worth a vacuum."""


class BatchSize:
    """How many rows the next batch takes: towards a target time, never by more than a quarter up or a half down."""

    def __init__(self, settings: OnlineSettings) -> None:
        self.rows = settings.batch_rows_start
        self._settings = settings

    def learn(self, milliseconds: float) -> None:
        """Adapt to how long the last batch took."""
        factor = min(1.25, max(0.5, self._settings.batch_target_ms / max(milliseconds, 0.1)))
        self.rows = int(min(self._settings.batch_rows_max, max(self._settings.batch_rows_min, self.rows * factor)))


def key_list(key: Sequence[str], alias: str = "t") -> str:
    """Return ``t.a, t.b`` for a key."""
    return ", ".join(f"{alias}.{ident(column)}" for column in key)


def _row(values: Sequence[str], types: Sequence[str]) -> str:
    """Return a row constructor of typed literals; the values are PostgreSQL's own text of them."""
    return "ROW(" + ", ".join(f"{literal(value)}::{type_}" for value, type_ in zip(values, types, strict=True)) + ")"


def _bound(action: Batches, after: list[str] | None, high: list[str]) -> str:
    """Return the condition ``after < key <= high``."""
    keys = f"ROW({key_list(action.key)})"
    low = f"{keys} > {_row(after, action.key_types)} AND " if after is not None else ""
    return f"{low}{keys} <= {_row(high, action.key_types)}"


def _last_key(
    connection: psycopg.Connection[Any], action: Batches, after: list[str] | None, limit: int | None, high: str
) -> list[str] | None:
    """Return the key that ends the next ``limit`` rows (the very last key without a limit), as text, or None."""
    texts = ", ".join(f"s.{ident(column)}::text" for column in action.key)
    order = key_list(action.key)
    down = ", ".join(f"{ident(column)} DESC" for column in action.key)
    conditions = [f"ROW({order}) > {_row(after, action.key_types)}"] if after is not None else []
    conditions += [high] if high else []
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    if limit is None:
        inner = f"SELECT {order} FROM {action.table.sql} t{where} ORDER BY {down} LIMIT 1"
    else:
        inner = f"SELECT {order} FROM {action.table.sql} t{where} ORDER BY {order} LIMIT {limit}"
    # Qualified: an unqualified name would be the output column, which is text and sorts differently.
    outer = ", ".join(f"s.{ident(column)} DESC" for column in action.key)
    row = connection.execute(f"SELECT {texts} FROM ({inner}) s ORDER BY {outer} LIMIT 1").fetchone()
    return None if row is None else list(row)


class Pass:
    """One resumable pass of :class:`truing.plan.Batches` over a table."""

    def __init__(
        self,
        connection: psycopg.Connection[Any],
        op_id: str,
        action: Batches,
        settings: OnlineSettings,
        *,
        quiet_sql: str,
        point: Callable[[str], None],
    ) -> None:
        self._connection = connection
        self._op_id = op_id
        self._action = action
        self._settings = settings
        self._quiet = quiet_sql
        self._point = point

    def run(self, cursor: Any, rows_done: int, total: int, on_batch: Callable[[int, float], None]) -> int:
        """Run to the end, from a position in the journal.

        Args:
            cursor: ``{"high": [...], "after": [...] | None}`` from the journal, or None at the beginning.
            rows_done: rows passed before.
            total: estimated rows, for the interleaved vacuum.
            on_batch: told (rows done, milliseconds) after every batch; may raise to stop between two batches.

        Returns:
            The rows passed in all.
        """
        if cursor is None:
            high = _last_key(self._connection, self._action, None, None, "")
            if high is None:
                return 0
            rows_done, after = 0, None
        else:
            high, after = cursor["high"], cursor["after"]
        size = BatchSize(self._settings)
        end = f"ROW({key_list(self._action.key)}) <= {_row(high, self._action.key_types)}"
        vacuum_at = self._next_vacuum(rows_done, total)
        while (upper := _last_key(self._connection, self._action, after, size.rows, end)) is not None:
            began = time.monotonic()
            rows = size.rows
            self._batch(_bound(self._action, after, upper), {"high": high, "after": upper}, rows_done + rows)
            milliseconds = (time.monotonic() - began) * 1000
            size.learn(milliseconds)
            after, rows_done = upper, rows_done + rows
            self._point("after a batch")
            on_batch(rows_done, milliseconds)
            if rows_done >= vacuum_at:
                vacuum(self._connection, self._action.table)
                vacuum_at = self._next_vacuum(rows_done, total)
        if rows_done >= _WORTH_A_VACUUM and vacuum_at != float("inf"):
            # The next look at every row would otherwise mark them all as committed in one burst of page images.
            vacuum(self._connection, self._action.table)
        return rows_done

    def _next_vacuum(self, rows_done: int, total: int) -> float:
        if not self._action.vacuum or not self._settings.vacuum_every:
            return float("inf")
        return rows_done + max(_WORTH_A_VACUUM, total * self._settings.vacuum_every)

    def _batch(self, condition: str, cursor: Any, rows_done: int) -> None:
        statement = self._action.statement.replace("{range}", condition)
        transaction = (
            f"BEGIN; SET LOCAL lock_timeout = '{self._settings.gate_timeout_ms}ms'; {self._quiet} {statement};"
            f" {journal.cursor_sql(self._op_id, cursor, rows_done)}; COMMIT"
        )
        retry(self._connection, transaction, point=self._point)


def retry(
    connection: psycopg.Connection[Any], transaction: str, *, point: Callable[[str], None], tries: int = 60
) -> None:
    """Run a whole transaction in one round trip, again when it meets a lock time-out or a deadlock."""
    for number in range(1, tries + 1):
        point("before a transaction")
        try:
            connection.execute(transaction)
        except RETRIABLE:
            connection.execute("ROLLBACK")
            if number == tries:
                raise
            time.sleep(min(2.0, 0.02 * 2**number))
        except psycopg.Error:
            if not connection.closed:
                connection.execute("ROLLBACK")
            raise
        else:
            point("after a transaction")
            return


def vacuum(connection: psycopg.Connection[Any], table: QualifiedName) -> None:
    """Vacuum a table on the way, so that a backfill reuses its own dead space; SHARE UPDATE EXCLUSIVE only."""
    try:
        # Paced as autovacuum is (documentation: "Cost-based Vacuum Delay"): at full speed its writes stall commits.
        connection.execute("SET lock_timeout = '1s'; SET vacuum_cost_delay = '2ms'; SET vacuum_cost_limit = 400")
        connection.execute(f"VACUUM (TRUNCATE off, INDEX_CLEANUP on) {table.sql}")
    except (psycopg.errors.LockNotAvailable, psycopg.errors.InsufficientPrivilege):
        return  # somebody else vacuums it, or may; either way the backfill goes on
    finally:
        connection.execute("SET lock_timeout = '15s'")


def settle(
    connection: psycopg.Connection[Any],
    action: Settle,
    settings: OnlineSettings,
    *,
    quiet_sql: str,
    point: Callable[[str], None],
) -> int:
    """Mend rows until a look finds no wrong one.

    Returns:
        How many rows were mended.

    Raises:
        DirtyDataError: wrong rows are there and the policy for them is to stop.
        OnlineError: rows turn wrong as fast as they are mended: somebody bypasses the triggers.
    """
    mended = 0
    texts = ", ".join(f"w.{ident(column)}::text" for column in action.key)
    for _look in range(action.limit):
        keys = connection.execute(f"SELECT {texts} FROM ({action.wrong} LIMIT 20000) w").fetchall()
        point("after a look")
        if not keys:
            return mended
        if action.refusal:
            sample = "; ".join(", ".join(map(str, key)) for key in keys[:5])
            more = "at least " if len(keys) == 20_000 else ""  # noqa: PLR2004 - the limit two lines up
            rows = f"{more}{len(keys)} row{'s' if len(keys) > 1 else ''}"
            raise DirtyDataError(
                f"{action.refusal} ({rows}, for example with key {sample})",
                hint="`truing audit` lists them. Settle them, or choose a policy for them in the revision.",
            )
        for start in range(0, len(keys), settings.settle_rows):
            chunk = keys[start : start + settings.settle_rows]
            values = ", ".join(_row(key, action.key_types).removeprefix("ROW") for key in chunk)
            statement = action.mend.replace("{keys}", f"VALUES {values}")
            # Row locks are waited for, but shorter than deadlock_timeout: the application is never the victim.
            retry(connection, f"BEGIN; SET LOCAL lock_timeout = '200ms'; {quiet_sql} {statement}; COMMIT", point=point)
            mended += len(chunk)
    raise OnlineError(
        f"rows turn wrong again as fast as they are mended (after {action.limit} looks, {mended} rows)",
        hint="Somebody writes past the triggers, for example with session_replication_role = replica."
        " Stop that, then run this again.",
    )
