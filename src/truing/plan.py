"""How a change is brought about, as data: a plan is printed, recorded, executed and resumed; it decides nothing.

A :class:`Plan` is made once, from the catalog as it was, and kept in the journal: a run that was killed goes on with
the very same steps. A step says how it must be run (its ``action``), which locks it takes, and how to see in the
catalog that it has been done (its ``probe``).
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from truing.locks import LockMode, TableLock
from truing.names import QualifiedName


class Locked(msgspec.Struct, frozen=True, tag="locked", tag_field="run"):
    """Metadata-only statements in one short transaction, under the two-stage lock.

    Attributes:
        locks: what is locked, in the order to take it (parents first).
        statements: run together in one round trip.
        prelude: statements that lock what ``LOCK TABLE`` cannot, before the locks.
    """

    locks: tuple[TableLock, ...]
    statements: tuple[str, ...]
    prelude: tuple[str, ...] = ()


class Plain(msgspec.Struct, frozen=True, tag="plain", tag_field="run"):
    """Statements in one ordinary transaction; they take row locks at most.

    Attributes:
        statements: in order.
        loud: triggers fire, those of foreign keys among them, also where the role may switch them off.
    """

    statements: tuple[str, ...]
    loud: bool = False


class Concurrent(msgspec.Struct, frozen=True, tag="concurrent", tag_field="run"):
    """One statement outside a transaction, which may take long and blocks nobody.

    Attributes:
        statement: ``CREATE INDEX CONCURRENTLY``, ``VALIDATE CONSTRAINT``, ``VACUUM``, ``ANALYZE`` ...
        cleanup: statements that remove what an interrupted try left; each run outside a transaction.
        leftover: a query that is true when there is something to clean up.
        lock_timeout_ms: 0 for index builds, which wait for old snapshots by design.
    """

    statement: str
    cleanup: tuple[str, ...] = ()
    leftover: str = ""
    lock_timeout_ms: int = 15_000


class Batches(msgspec.Struct, frozen=True, tag="batches", tag_field="run"):
    """A resumable pass over a table in key order, in short transactions.

    Attributes:
        table: the table.
        key: the columns of a unique, NOT NULL key, in order.
        key_types: their types as ``format_type`` prints them.
        statement: works on the rows with ``{range}``, a condition over the key columns of alias ``t``.
        vacuum: whether the table is vacuumed every tenth of the way (documentation: "Routine Vacuuming").
    """

    table: QualifiedName
    key: tuple[str, ...]
    key_types: tuple[str, ...]
    statement: str
    vacuum: bool = True


class Settle(msgspec.Struct, frozen=True, tag="settle", tag_field="run"):
    """Look for rows that are not as they must be, mend them in small batches, until a look finds none.

    Attributes:
        wrong: a query for the keys (as columns) of wrong rows.
        key: the key's columns; key_types: their types.
        mend: a statement with ``{keys}``, a ``VALUES`` list of keys.
        refusal: when not empty: wrong rows are not mended but stop the run with this message.
        limit: after so many looks somebody bypasses the trigger, and the run stops.
        loud: triggers fire, those of foreign keys among them, also where the role may switch them off.
    """

    wrong: str
    key: tuple[str, ...]
    key_types: tuple[str, ...]
    mend: str = ""
    refusal: str = ""
    limit: int = 12
    loud: bool = False


AnyAction: TypeAlias = Locked | Plain | Concurrent | Batches | Settle


class Step(msgspec.Struct, frozen=True):
    """One step of a plan.

    Attributes:
        id: its name within the plan; the journal's phase.
        title: what it does, for a person.
        action: how it is run.
        probe: a query that returns true when the catalog shows it as done; empty where only the journal knows.
        on_violation: the id of the earlier step to go back to when this one meets rows that break it (SQLSTATE 23).
    """

    id: str
    title: str
    action: AnyAction
    probe: str = ""
    on_violation: str = ""

    @property
    def strongest_lock(self) -> LockMode | None:
        """The strongest explicit table lock that it takes."""
        return max((lock.mode for lock in self.action.locks), default=None) if isinstance(self.action, Locked) else None


class Plan(msgspec.Struct, frozen=True):
    """The steps of one operation.

    Attributes:
        op_id: the operation's identity, the same in every run: what it does to which object.
        title: for a person.
        table: the table it is about.
        steps: in order.
        notes: what a person should know before it runs.
        undoes: the identity of the operation that this one takes back, whose journal entry goes with it.
    """

    op_id: str
    title: str
    table: QualifiedName
    steps: tuple[Step, ...]
    notes: tuple[str, ...] = ()
    undoes: str = ""
