"""Where does a migration stand, and who is in its way? Asked from another terminal, of the journal and the server."""

from __future__ import annotations

from typing import Any

import msgspec
import psycopg

from truing.catalog.blockers import blocking
from truing.online import journal
from truing.plan import Locked


class Operation(msgspec.Struct, frozen=True):
    """One operation as it stands.

    Attributes:
        op_id: its identity.
        title: for a person.
        table: the table, quoted.
        state: ``running`` (a process holds its claim), ``stopped`` (begun, and nobody is at it) or ``done``.
        step: the title of the step it is at.
        position: that step's number from 1; steps: how many there are.
        rows_done, rows_total: of the pass it is in; 0 otherwise.
        waiting_for: sessions that its process waits for, one line each.
        lock: the strongest lock that the step takes.
        last_error: why it stopped last.
        open_quarantine: originals that nobody has settled yet.
    """

    op_id: str
    title: str
    table: str
    state: str
    step: str
    position: int
    steps: int
    rows_done: int
    rows_total: int
    waiting_for: tuple[str, ...]
    lock: str
    last_error: str
    open_quarantine: int


def status(connection: psycopg.Connection[Any], *, everything: bool = False) -> list[Operation]:
    """Return the operations of a database, oldest first.

    Args:
        connection: any, in autocommit mode; it only reads.
        everything: finished ones too.
    """
    if not journal.exists(connection):
        return []
    quarantined = dict(
        connection.execute(
            "SELECT op_id, count(*) FROM _truing.quarantine WHERE resolved_at IS NULL GROUP BY 1"
        ).fetchall()
    )
    found = []
    for entry in journal.entries(connection):
        if entry.done and not everything:
            continue
        found.append(_operation(connection, entry, quarantined.get(entry.op_id, 0)))
    return found


def _operation(connection: psycopg.Connection[Any], entry: journal.Entry, quarantined: int) -> Operation:
    pid = None if entry.done else _runner(connection, entry.op_id)
    at = min(entry.step, len(entry.plan.steps) - 1)
    step = entry.plan.steps[at]
    passing = entry.cursor is not None
    lock = step.strongest_lock
    return Operation(
        entry.op_id,
        entry.title,
        entry.rel,
        "done" if entry.done else "running" if pid else "stopped",
        step.title,
        at + 1,
        len(entry.plan.steps),
        min(entry.rows_done, entry.rows_total) if passing else 0,
        entry.rows_total if passing else 0,
        tuple(map(str, blocking(connection, pid))) if pid else (),
        lock.sql if lock is not None and isinstance(step.action, Locked) and not entry.done else "",
        entry.last_error or "",
        quarantined,
    )


def _runner(connection: psycopg.Connection[Any], op_id: str) -> int | None:
    """Return the pid of the session that holds an operation's claim (see :func:`truing.online.session.claim`)."""
    row = connection.execute(
        "SELECT l.pid FROM pg_locks l CROSS JOIN hashtextextended('truing ' || %s, 0) h"
        " WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1"
        " AND ((l.classid::bigint << 32) | l.objid::bigint) = h"
        " AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())",
        (op_id,),
    ).fetchone()
    return int(row[0]) if row else None
