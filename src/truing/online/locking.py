"""A strong lock without a long queue: the two-stage lock, its retries, and the report of who is in the way.

Stage one takes SHARE UPDATE EXCLUSIVE with patience: it keeps nobody from reading or writing, makes an autovacuum
yield, and keeps rival DDL out. Stage two asks for the strong lock for at most ``lock_timeout_ms``; whoever queued
behind it has waited no longer than that. Both and the statements are one transaction, the second part one round trip.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any, Final

import msgspec
import psycopg

from truing.catalog.blockers import blockers
from truing.errors import LockBudgetExceededError, OnlineError
from truing.locks import TableLock
from truing.names import QualifiedName
from truing.online.settings import OnlineSettings

RETRIABLE: Final = (
    psycopg.errors.LockNotAvailable,
    psycopg.errors.DeadlockDetected,
    psycopg.errors.QueryCanceled,
)
_CHILD_TIMEOUT_MS: Final = 20
"""Locks after the first are asked for shorter, for the first is held meanwhile (parents before children)."""
_LONG_S: Final = 2.0
"""A transaction older than this will not let go within a lock time-out."""
_MAX_CANCELLED: Final = 3
"""What was cancelled so often takes too long; each try more would keep everybody waiting for as long again."""
_DUTY: Final = 20
"""Pause at least this many lock timeouts between tries, so that writers queue at most a twentieth of the time."""


class Attempt(msgspec.Struct, frozen=True):
    """A try that failed: its number from 1, the pause before the next one in seconds, and who was in the way."""

    number: int
    pause_s: float
    blockers: tuple[str, ...]


def run_locked(
    connection: psycopg.Connection[Any],
    locks: tuple[TableLock, ...],
    statements: tuple[str, ...],
    settings: OnlineSettings,
    *,
    prelude: tuple[str, ...] = (),
    on_attempt: Callable[[Attempt], None],
    point: Callable[[str], None],
) -> float:
    """Run statements in one transaction under strong locks.

    Args:
        connection: in autocommit mode, outside a transaction.
        locks: what to lock, parents first.
        statements: metadata-only; the journal's entry goes last.
        settings: the limits.
        prelude: statements that take locks which ``LOCK TABLE`` cannot, before the others.
        on_attempt: told of every try that failed.
        point: fault injection.

    Returns:
        How long the strong locks were held, in milliseconds.

    Raises:
        LockBudgetExceededError: the locks could not be had within ``lock_budget_s``.
        OnlineError: the statements take longer than ``statement_timeout_ms``.
    """
    give_up = time.monotonic() + settings.lock_budget_s
    patience = min(settings.patience_s, settings.lock_budget_s / 2)
    started, cancelled = time.monotonic(), 0
    for number in count(1):
        # Whoever has been holding a conflicting lock for long will not let go in 80 ms: wait without queueing.
        while time.monotonic() < started + patience and in_the_way(connection, locks, older_than_s=_LONG_S):
            point("waiting for long transactions")
            time.sleep(0.1)
        try:
            return _try_once(connection, locks, (prelude, statements), settings, point)
        except RETRIABLE as error:
            connection.execute("ROLLBACK")
            cancelled += isinstance(error, psycopg.errors.QueryCanceled)
            if cancelled == _MAX_CANCELLED:
                raise _too_slow(locks, settings, cancelled) from error
            who = in_the_way(connection, locks)
            pause = random.uniform(0.5, 1.0) * max(  # noqa: S311 - jitter, not a secret
                _DUTY * settings.lock_timeout_ms / 1000, min(30.0, 0.05 * 2 ** min(number, 9))
            )
            on_attempt(Attempt(number, pause, who))
            if time.monotonic() + pause > give_up:
                raise LockBudgetExceededError(
                    _budget_message(locks, settings, number, who),
                    hint="What was done so far is kept. End or wait for the sessions named above, then run the same"
                    " command again: it goes on from here.",
                ) from error
            time.sleep(pause)
        except BaseException:
            if not connection.closed and connection.info.transaction_status:
                connection.execute("ROLLBACK")
            raise
    raise AssertionError  # pragma: no cover - count() never ends


def _try_once(
    connection: psycopg.Connection[Any],
    locks: tuple[TableLock, ...],
    work: tuple[tuple[str, ...], tuple[str, ...]],
    settings: OnlineSettings,
    point: Callable[[str], None],
) -> float:
    prelude, statements = work
    gates = "".join(f"LOCK TABLE {table.sql} IN SHARE UPDATE EXCLUSIVE MODE; " for table in _tables(locks))
    connection.execute(f"BEGIN; SET LOCAL lock_timeout = '{settings.gate_timeout_ms}ms'; {gates}")
    point("between the two locks")
    strong = [f"SET LOCAL lock_timeout = '{settings.lock_timeout_ms}ms'", *prelude]
    for position, lock in enumerate(locks):
        timeout = settings.lock_timeout_ms if position == 0 else min(_CHILD_TIMEOUT_MS, settings.lock_timeout_ms)
        strong.append(f"SET LOCAL lock_timeout = '{timeout}ms'; LOCK TABLE {lock.table.sql} IN {lock.mode.sql} MODE")
    sent = time.monotonic()
    cursor = connection.execute(
        # If this process freezes now, the server frees the lock by itself.
        f"SET LOCAL statement_timeout = '{settings.statement_timeout_ms}ms';"
        f" SET LOCAL idle_in_transaction_session_timeout = '{settings.statement_timeout_ms}ms';"
        f" {'; '.join(strong)};"
        " SELECT extract(epoch FROM clock_timestamp() - statement_timestamp()) * 1000; "
        # On a line of its own: a comment may end a statement, and would take the semicolon in.
        + "".join(f"{statement}\n;" for statement in (*statements, "COMMIT"))
    )
    took = (time.monotonic() - sent) * 1000
    waited = next(float(row[0]) for row in _rows(cursor) if row)
    return max(took - waited, 0.0)


def _rows(cursor: psycopg.Cursor[Any]) -> Iterator[Any]:
    """Yield the first row of each result of a multi-statement query that has rows."""
    while True:
        if cursor.description is not None:
            yield cursor.fetchone()
        if not cursor.nextset():
            return


def _tables(locks: tuple[TableLock, ...]) -> list[QualifiedName]:
    return list(dict.fromkeys(lock.table for lock in locks))


def in_the_way(
    connection: psycopg.Connection[Any], locks: tuple[TableLock, ...], *, older_than_s: float = 0.0
) -> tuple[str, ...]:
    """Describe who holds a lock that conflicts with one of these, the oldest transaction first."""
    found = blockers(connection, _tables(locks), older_than=older_than_s)
    return tuple(
        str(each)
        for each in found
        # A hidden age counts as young: the retries find out, and waiting for every session would take for ever.
        if any(each.blocks(lock) for lock in locks) and (each.age or 0.0) >= older_than_s
    )


def _too_slow(locks: tuple[TableLock, ...], settings: OnlineSettings, times: int) -> OnlineError:
    """Say that it is not the lock that could not be had: what is done under it takes too long."""
    return OnlineError(
        f"the statements under {', '.join(map(str, locks))} were cancelled {times} times; under such a lock they may"
        f" take {settings.statement_timeout_ms / 1000:g} s",
        hint="What was done so far is kept. They read or rewrite the table, it seems, while everybody waits. Where that"
        " is acceptable, raise statement-timeout-ms in [tool.truing.online] and run the same command again.",
    )


def _budget_message(locks: tuple[TableLock, ...], settings: OnlineSettings, tries: int, who: tuple[str, ...]) -> str:
    wanted = ", ".join(map(str, locks))
    listed = "".join(f"\n    {line}" for line in who) or "\n    (nobody at the moment of looking)"
    return f"could not get {wanted} in {settings.lock_budget_s:g} s and {tries} tries; in the way:{listed}"
