"""What would keep a lock waiting now, and who blocks whom? Read from the statistics views, never from the tables.

A role without ``pg_read_all_stats`` does not see what other roles' sessions are doing; it does see which locks they
hold, so what matters is said in any case and the rest is counted as hidden.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Literal, TypeAlias

import msgspec
import psycopg

from truing.catalog.session import reading
from truing.locks import LockMode, TableLock
from truing.names import QualifiedName

BlockerKind: TypeAlias = Literal[
    "transaction", "prepared-transaction", "wraparound-vacuum", "wraparound-due", "replication-slot"
]

HOW_TO_SEE_MORE = "GRANT pg_read_all_stats TO the role that truing connects as, to see what hidden sessions do."

_MODES = {"".join(word.title() for word in mode.name.split("_")) + "Lock": mode for mode in LockMode}


class Blocker(msgspec.Struct, frozen=True, kw_only=True):
    """Something that could keep a lock waiting, or keep VACUUM from its work.

    Attributes:
        kind: ``transaction``: a session in a transaction. ``prepared-transaction``: it holds its locks until somebody
            ends it, also across a restart. ``wraparound-vacuum``: an autovacuum that does not give way.
            ``wraparound-due``: such a one will start at the next opportunity. ``replication-slot``: keeps dead rows or
            WAL; it blocks no lock.
        pid: the session; None where there is none.
        name: the application, the prepared transaction's identifier, the slot or the table.
        user: the role; for a slot, its plugin.
        state: as pg_stat_activity says it, for example ``idle in transaction``; empty when hidden.
        age: seconds since its transaction began; None when hidden or where there is none. For ``wraparound-due``,
            in how many transactions the table was last frozen.
        locks: what it holds on the tables asked about.
        holds_snapshot: whether it keeps dead rows alive, which CREATE INDEX CONCURRENTLY has to wait for.
        hidden: whether this role may not see what it does.
        query: its text, where it was asked for.
    """

    kind: BlockerKind
    pid: int | None = None
    name: str = ""
    user: str = ""
    state: str = ""
    age: float | None = None
    locks: tuple[TableLock, ...] = ()
    holds_snapshot: bool = False
    hidden: bool = False
    query: str | None = None

    def blocks(self, lock: TableLock) -> bool:
        """Tell whether a lock would have to wait for this one's."""
        return any(held.table == lock.table and held.mode.conflicts_with(lock.mode) for held in self.locks)

    def __str__(self) -> str:
        parts = [self.kind.replace("-", " "), self.name]
        if self.pid is not None:
            parts.append(f"(pid {self.pid}{f', {self.user}' if self.user else ''})")
        if self.state:
            parts.append(self.state)
        if self.age is not None:
            parts.append(
                f"frozen {self.age:.0f} transactions ago" if self.kind == "wraparound-due" else _since(self.age)
            )
        if self.locks:
            parts.append("holds " + ", ".join(map(str, self.locks)))
        if self.hidden:
            parts.append("(its state is hidden from this role)")
        return " ".join(part for part in parts if part)


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """A session in a chain of sessions that wait for each other.

    Attributes:
        pid: the session; 0 for a prepared transaction.
        blocks: the session that waits for it; None for the one that was asked about.
        depth: how far it is from that one.
        name: its application.
        user: its role.
        state: as pg_stat_activity says it; ``prepared``; empty when hidden.
        age: seconds since its transaction began.
        state_age: seconds since its state changed: how long it has been idle, or its query running.
        waits_for: the table whose lock it waits for itself, where it is a table.
        waits_mode: the mode in which it wants it.
        hidden: whether this role may not see what it does.
        query: its text, where it was asked for.
    """

    pid: int
    blocks: int | None = None
    depth: int = 0
    name: str = ""
    user: str = ""
    state: str = ""
    age: float | None = None
    state_age: float | None = None
    waits_for: QualifiedName | None = None
    waits_mode: LockMode | None = None
    hidden: bool = False
    query: str | None = None

    def __str__(self) -> str:
        who = "a prepared transaction" if self.pid == 0 else f"{self.name} (pid {self.pid})"
        parts = [who, self.state if self.pid else ""]
        if self.state_age is not None:
            parts.append(_since(self.state_age))
        if self.waits_for is not None and self.waits_mode is not None:
            parts.append(f"waits for {TableLock(self.waits_for, self.waits_mode)}")
        if self.hidden:
            parts.append("(its state is hidden from this role)")
        return " ".join(part for part in parts if part)


class _HeldRow(msgspec.Struct, frozen=True):
    table: QualifiedName
    mode: str


class _BlockerRow(Blocker, frozen=True):
    locks: tuple[_HeldRow, ...] = ()  # type: ignore[assignment]


class _DueRow(msgspec.Struct, frozen=True):
    table: QualifiedName
    transactions: int


class _WaitingRow(Waiting, frozen=True):
    waits_mode: str | None = None  # type: ignore[assignment]


def blockers(
    connection: psycopg.Connection[Any],
    tables: Collection[QualifiedName] = (),
    *,
    older_than: float = 2.0,
    verbose: bool = False,
) -> tuple[Blocker, ...]:
    """Find what would keep locks on tables waiting now.

    Args:
        connection: a psycopg connection, idle or in a transaction; its own locks do not count.
        tables: the tables to be locked. Without any, only what concerns the whole database is found.
        older_than: transactions younger than so many seconds count only if they hold a lock on one of the tables.
        verbose: also give the text of queries, which may hold people's data.

    Returns:
        Those that hold locks on the tables first, then by age.

    Raises:
        CatalogError: the views could not be read.
    """
    parameters = {
        "schemas": [table.schema for table in tables],
        "names": [table.name for table in tables],
        "older_than": older_than,
        "verbose": verbose,
    }
    with reading(connection) as reader:
        # Within one transaction the statistics views stand still after the first look.
        reader.execute("SELECT pg_stat_clear_snapshot()")
        found = [_blocker(row) for _, row in reader.values("blockers", _BlockerRow, parameters)]
        for _, due in reader.values("wraparound", _DueRow, parameters):
            found.append(Blocker(kind="wraparound-due", name=str(due.table), age=float(due.transactions)))
    return tuple(sorted(found, key=lambda blocker: (not blocker.locks, -(blocker.age or 0), blocker.name)))


def blocking(connection: psycopg.Connection[Any], pid: int, *, verbose: bool = False) -> tuple[Waiting, ...]:
    """Find whom a session waits for, whom those wait for, and so on.

    Args:
        connection: a psycopg connection other than the one that waits.
        pid: the session that waits.
        verbose: also give the text of queries, which may hold people's data.

    Returns:
        The chain, the nearest first, without the session itself; empty when it waits for nobody.

    Raises:
        CatalogError: the views could not be read.
    """
    with reading(connection) as reader:
        reader.execute("SELECT pg_stat_clear_snapshot()")
        rows = reader.values("blocking", _WaitingRow, {"pid": pid, "verbose": verbose})
    return tuple(_waiting(row) for _, row in rows if row.depth > 0)


def _blocker(row: _BlockerRow) -> Blocker:
    locks = sorted(TableLock(held.table, _MODES[held.mode]) for held in row.locks)
    fields = {name: getattr(row, name) for name in Blocker.__struct_fields__}
    return Blocker(**{**fields, "locks": tuple(locks)})


def _waiting(row: _WaitingRow) -> Waiting:
    mode = _MODES.get(row.waits_mode) if row.waits_mode is not None else None
    fields = {name: getattr(row, name) for name in Waiting.__struct_fields__}
    return Waiting(**{**fields, "waits_mode": mode})


def _since(seconds: float) -> str:
    whole = int(seconds)
    if whole < 60:  # noqa: PLR2004
        return f"for {seconds:.1f} s"
    hours, minutes = divmod(whole // 60, 60)
    return f"for {hours} h {minutes} min" if hours else f"for {minutes} min {whole % 60} s"
