"""How gently an online operation treats the database: the numbers a person may set, with measured defaults."""

from __future__ import annotations

from contextvars import ContextVar

import msgspec


class OnlineSettings(msgspec.Struct, frozen=True, kw_only=True, rename="kebab", forbid_unknown_fields=True):
    """Limits and targets of the runner; all times in milliseconds unless the name says seconds.

    Attributes:
        lock_timeout_ms: the longest that writers may queue behind one try of a strong lock. Kept under
            ``deadlock_timeout`` (1 s by default), so that truing and never the application is chosen as the victim.
        gate_timeout_ms: how long the harmless first lock (SHARE UPDATE EXCLUSIVE) is waited for: longer than
            ``deadlock_timeout``, after which PostgreSQL cancels an ordinary autovacuum that is in the way.
        statement_timeout_ms: the longest a metadata-only statement may take while a strong lock is held.
        lock_budget_s: how long a lock is tried for before truing gives up and names the blocker.
        patience_s: how long truing waits, without queueing, for transactions that hold a conflicting lock.
        batch_target_ms: how long a batch should take; stalls are proportional to it.
        batch_rows_min: a batch never gets smaller than this many rows.
        batch_rows_max: nor larger than this.
        batch_rows_start: rows of the first batch.
        settle_rows: rows mended together when the batch has to wait for row locks.
        vacuum_every: fraction of the table after which a backfill vacuums it; 0 turns that off.
    """

    lock_timeout_ms: int = 80
    gate_timeout_ms: int = 15_000
    statement_timeout_ms: int = 2_000
    lock_budget_s: float = 900.0
    patience_s: float = 30.0
    batch_target_ms: int = 35
    batch_rows_min: int = 200
    batch_rows_max: int = 2_000
    batch_rows_start: int = 500
    settle_rows: int = 50
    vacuum_every: float = 0.1


current_settings: ContextVar[OnlineSettings | None] = ContextVar("truing_settings", default=None)
"""The settings of this thread's runs, where a front end has chosen them. Alembic calls the operations, so that nothing
can be passed through; under plain Alembic nobody chooses, and ``[tool.truing.online]`` is read."""
