"""PostgreSQL's table locks: which modes there are, which exclude each other, and what is blocked while one is held.

The conflict table is that of the documentation, "Explicit Locking", Table 13.2; tests/postgres/test_locks.py takes the
locks on a real server to check it.
"""

from __future__ import annotations

from enum import IntEnum

import msgspec

from truing.names import QualifiedName


class LockMode(IntEnum):
    """A table lock mode; a higher one excludes more."""

    ACCESS_SHARE = 1
    ROW_SHARE = 2
    ROW_EXCLUSIVE = 3
    SHARE_UPDATE_EXCLUSIVE = 4
    SHARE = 5
    SHARE_ROW_EXCLUSIVE = 6
    EXCLUSIVE = 7
    ACCESS_EXCLUSIVE = 8

    @property
    def sql(self) -> str:
        """The mode as ``LOCK TABLE ... IN <mode> MODE`` spells it."""
        return self.name.replace("_", " ")

    @property
    def blocks_reads(self) -> bool:
        """Whether SELECT has to wait."""
        return self.conflicts_with(LockMode.ACCESS_SHARE)

    @property
    def blocks_writes(self) -> bool:
        """Whether INSERT, UPDATE and DELETE have to wait."""
        return self.conflicts_with(LockMode.ROW_EXCLUSIVE)

    def conflicts_with(self, other: LockMode) -> bool:
        """Tell whether the two modes cannot be held on one table by two transactions at a time."""
        return other in _CONFLICTS[self]


_CONFLICTS: dict[LockMode, frozenset[LockMode]] = {
    LockMode.ACCESS_SHARE: frozenset({LockMode.ACCESS_EXCLUSIVE}),
    LockMode.ROW_SHARE: frozenset({LockMode.EXCLUSIVE, LockMode.ACCESS_EXCLUSIVE}),
    LockMode.ROW_EXCLUSIVE: frozenset(m for m in LockMode if m >= LockMode.SHARE),
    LockMode.SHARE_UPDATE_EXCLUSIVE: frozenset(m for m in LockMode if m >= LockMode.SHARE_UPDATE_EXCLUSIVE),
    LockMode.SHARE: frozenset(m for m in LockMode if m >= LockMode.ROW_EXCLUSIVE and m is not LockMode.SHARE),
    LockMode.SHARE_ROW_EXCLUSIVE: frozenset(m for m in LockMode if m >= LockMode.ROW_EXCLUSIVE),
    LockMode.EXCLUSIVE: frozenset(m for m in LockMode if m >= LockMode.ROW_SHARE),
    LockMode.ACCESS_EXCLUSIVE: frozenset(LockMode),
}


class TableLock(msgspec.Struct, frozen=True, order=True):
    """One lock on one table.

    Attributes:
        table: the table.
        mode: the mode it is locked in.
    """

    table: QualifiedName
    mode: LockMode

    def __str__(self) -> str:
        return f"{self.mode.sql} on {self.table}"
