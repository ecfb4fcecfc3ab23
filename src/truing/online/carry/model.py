"""What carrying a column's dependents means, as data: statements and steps for every moment of the operation.

In flows nothing; :func:`truing.online.carry.survey` makes these values before anything is changed. They are kept in the
journal, since the way back must restore the original definitions and the catalog no longer holds them by then.

The moments, in the order of the whole operation::

    before          steps, once the new column is filled and in sync; nothing that takes long blocks anybody
    view_locks, locks                the first things of the swap's transaction, before the table's own lock
    [renames: column -> old_column, new_column -> column]
    swap            statements, in the same transaction as the renames, after them
    drop_old_first  indexes to drop concurrently before the old column goes
    rebuild_old     steps on an old column that was made and filled again (a way back after the old one was dropped)
    before_unswap   steps on the old column, in every way back
    view_locks, locks                as above
    [renames: column -> new_column, old_column -> column]
    unswap          statements, in the same transaction as these renames, after them
    after_unswap    steps that leave of the new column only the column
"""

from __future__ import annotations

import msgspec

from truing.locks import TableLock
from truing.names import QualifiedName
from truing.plan import Step


class Refusal(msgspec.Struct, frozen=True):
    """One reason why a column cannot be converted online.

    Attributes:
        subject: what stands in the way, for example ``materialized view app.totals``.
        why: what is the matter with it.
        advice: what a person can do.
    """

    subject: str
    why: str
    advice: str

    def __str__(self) -> str:
        return f"{self.subject}: {self.why}. {self.advice}"


class Carried(msgspec.Struct, frozen=True):
    """One dependent that is carried, for people who read the plan.

    Attributes:
        kind: for example ``view``, ``policy``, ``index``.
        name: for example ``app.v_active`` or ``p_app on app.profiles``.
        how: what happens to it.
        definition: the new definition where it differs from the old one.
    """

    kind: str
    name: str
    how: str
    definition: str = ""


class Part(msgspec.Struct, frozen=True):
    """What one kind of dependents adds to a :class:`Carry`; the fields mean the same.

    ``swap_first`` runs before the ``swap`` of every kind and ``swap_last`` after it; likewise for ``unswap``.
    """

    before: tuple[Step, ...] = ()
    locks: tuple[TableLock, ...] = ()
    view_locks: tuple[str, ...] = ()
    swap_first: tuple[str, ...] = ()
    swap: tuple[str, ...] = ()
    swap_last: tuple[str, ...] = ()
    drop_old_first: tuple[QualifiedName, ...] = ()
    rebuild_old: tuple[Step, ...] = ()
    before_unswap: tuple[Step, ...] = ()
    unswap_first: tuple[str, ...] = ()
    unswap: tuple[str, ...] = ()
    unswap_last: tuple[str, ...] = ()
    after_unswap: tuple[Step, ...] = ()
    notes: tuple[str, ...] = ()
    carried: tuple[Carried, ...] = ()


class Carry(msgspec.Struct, frozen=True):
    """Everything that is needed to carry what depends on a column through the swap, and back.

    Attributes:
        table: the table.
        column: the column's name, which stays what the application sees.
        old_type: its type before.
        new_type: its type afterwards, as ``format_type`` prints it.
        new_column: the name of the new column before the swap (and after the way back).
        old_column: the name of the old column after the swap.
        before: steps on the new column; each has a probe. Index builds may meet duplicates, validations may meet
            violations: give them ``on_violation``.
        locks: other tables that the swap changes. To be locked before the converted table, in this order: whoever
            reads them locks them first and the converted table second.
        view_locks: statements that lock the views which the swap makes anew and nothing else (``LOCK TABLE`` on a view
            would lock its tables too). To be run before ``locks``, for the same reason.
        swap: run after the renames. They set ``search_path`` for the rest of the transaction.
        drop_old_first: indexes of the old column to be dropped concurrently before the column is.
        rebuild_old: steps that make again what went with the old column.
        before_unswap: steps to be run before the way back's swap, also where the old column was never dropped.
        unswap: run after the inverse renames; they restore the original definitions.
        after_unswap: steps that remove what the new column still has. An operation that is given up before its swap
            runs them while its triggers still fill the new column: until then its CHECKs and keys are enforced.
        notes: what a person should know before it runs.
        carried: what is carried.
    """

    table: QualifiedName
    column: str
    old_type: str
    new_type: str
    new_column: str
    old_column: str
    before: tuple[Step, ...] = ()
    locks: tuple[TableLock, ...] = ()
    view_locks: tuple[str, ...] = ()
    swap: tuple[str, ...] = ()
    drop_old_first: tuple[QualifiedName, ...] = ()
    rebuild_old: tuple[Step, ...] = ()
    before_unswap: tuple[Step, ...] = ()
    unswap: tuple[str, ...] = ()
    after_unswap: tuple[Step, ...] = ()
    notes: tuple[str, ...] = ()
    carried: tuple[Carried, ...] = ()
