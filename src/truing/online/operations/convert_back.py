"""The ways back and onward of a type change: revert it, contract it, and restore what was contracted.

*Revert* swaps the columns back: every row that the application has not changed since has its original text, to the
byte; a row that it has changed has the text of its new value. *Contract* drops the old column and keeps only the
originals that the new values cannot be turned back into. *Restore* makes the old column again from them.
"""

from __future__ import annotations

from typing import Any

import msgspec
import psycopg

from truing.catalog.model import Table
from truing.catalog.read import read_table
from truing.changes import AnyChange, ContractColumnType, RestoreColumnType, RevertColumnType
from truing.errors import OnlineError, UnsupportedChangeError
from truing.locks import LockMode, TableLock
from truing.names import QualifiedName, ident, idents
from truing.online import journal
from truing.online.carry import Carry
from truing.online.dual_column import DualColumn
from truing.online.facts import require_table
from truing.online.giving_back import give_back_steps, unmake_step
from truing.online.operations.convert import Record, identity, swap_locks
from truing.online.operations.index import drop_step
from truing.online.operations.not_null import proof_steps, set_statements
from truing.online.quarantine import same_key
from truing.online.run import Planned
from truing.plan import Batches, Locked, Plain, Plan, Settle, Step


def _entry(
    connection: psycopg.Connection[Any], table: QualifiedName, column: str
) -> tuple[journal.Entry, Record] | None:
    if not journal.exists(connection):
        return None
    entry = journal.load(connection, identity(table, column))
    return None if entry is None else (entry, msgspec.convert(entry.record, Record))


def _exclusive(table: QualifiedName) -> tuple[TableLock, ...]:
    return (TableLock(table, LockMode.ACCESS_EXCLUSIVE),)


def revert_identity(table: QualifiedName, column: str) -> str:
    """Return the identity of the way back."""
    return f"revert {table.sql}.{ident(column)}"


def plan_revert(change: RevertColumnType, connection: psycopg.Connection[Any]) -> Planned | None:
    """Plan to take a type change back, wherever it stands; None where there is none.

    Raises:
        OnlineError: it has been contracted and has to be restored first.
    """
    known = _entry(connection, change.table, change.column)
    if known is None:
        return None
    entry, record = known
    dual, table = record.dual, require_table(connection, change.table)
    if record.direct or record.carry is None:
        steps = _revert_direct(record)
    elif table.column(dual.old) is not None:
        steps = _revert_swapped(record, record.carry)
    elif table.column(dual.new) is not None or not entry.done:
        steps = _give_up(dual, record.carry)
    elif journal.load(connection, contract_identity(table.name, change.column)) is None:
        raise _gone(dual, ident(dual.old), "column")
    else:
        raise OnlineError(
            f"{table.name}.{ident(change.column)} has been contracted",
            hint="Restore it first (op.restore_column_online), as the contract revision's downgrade does.",
        )
    # The values come back with the old column.
    before = _as_before(table, record)
    others = tuple(key for key in table.foreign_keys if not {dual.column, dual.old, dual.new} & set(key.columns))
    steps += give_back_steps(dual.op_id, before, dual.column, and_values=False, parents=others)
    reference = record.change.references
    if reference is not None:
        steps.append(unmake_step(dual.op_id, connection, msgspec.to_builtins(reference)))
    plan = Plan(
        revert_identity(table.name, change.column),
        f"{table.name}.{ident(change.column)}: back to {dual.source_type}",
        table.name,
        tuple(steps),
        undoes=dual.op_id,
    )
    return plan, {}


def _gone(dual: DualColumn, name: str, what: str) -> OnlineError:
    """Say that what the original values were kept in is no longer there, and was not taken away by us."""
    return OnlineError(
        f"{dual.table}.{ident(dual.column)} cannot be taken back to {dual.source_type}:"
        f" the {what} that kept its original values, {name}, is gone",
        hint=f"Bring the {what} back from a backup. Or give up the originals: convert the column as it is now with"
        f" op.convert_column_online({dual.table.name!r}, {dual.column!r}, {dual.source_type!r}) in a new revision.",
    )


def refuse_lost(change: AnyChange, restored: bool, connection: psycopg.Connection[Any]) -> None:
    """Refuse a way back whose original values are gone, before anything of a downgrade is run.

    Args:
        change: of the downgrade; only ways back of type changes are looked at.
        restored: whether the downgrade makes the old column again before.
        connection: to the database.

    Raises:
        OnlineError: somebody has dropped what truing kept them in.
    """
    if not isinstance(change, RevertColumnType | RestoreColumnType):
        return
    known = _entry(connection, change.table, change.column)
    table = read_table(connection, change.table)
    if known is None or table is None:
        return
    entry, record = known
    dual, contract = record.dual, journal.load(connection, contract_identity(change.table, change.column))
    if record.direct or record.carry is None or not entry.done or table.column(dual.old) is not None:
        return
    if isinstance(change, RevertColumnType) and not (restored and contract is not None):
        plan_revert(change, connection)
    elif contract is not None and connection.execute("SELECT to_regclass(%s)", (dual.residue,)).fetchone() == (None,):
        raise _gone(dual, dual.residue, "table")


def _as_before(table: Table, record: Record) -> Table:
    """Return the table as it will be after the way back, for the statements that give rows back."""
    dual, columns = record.dual, []
    by_name = {column.name: column for column in table.columns}
    for column in table.columns:
        if column.name == dual.new or (column.name == dual.column and dual.old in by_name):
            continue
        if column.name == dual.old:
            columns.append(msgspec.structs.replace(column, name=dual.column))
        else:
            columns.append(column)
    return msgspec.structs.replace(table, columns=tuple(columns))


def _revert_direct(record: Record) -> list[Step]:
    dual = record.dual
    # Not free in this direction: PostgreSQL checks (and may rewrite) every row. Said in the documentation.
    statement = f"ALTER TABLE {dual.table.sql} ALTER COLUMN {ident(dual.column)} TYPE {dual.source_type}"
    action = Locked(_exclusive(dual.table), (statement, *journal.REPLAN))
    return [Step("alter", f"Change the type back to {dual.source_type}", action)]


def _revert_swapped(record: Record, carry: Carry) -> list[Step]:
    dual, target = record.dual, record.dual.table.sql
    raw, new, old = ident(dual.column), ident(dual.new), ident(dual.old)
    steps = list(carry.before_unswap)
    statements = [*dual.drop_triggers()]
    if record.was_not_null:
        steps += proof_steps(dual.table, dual.old, dual.check, on_violation="", shown="the old column")
    statements += [
        f"ALTER TABLE {target} ALTER COLUMN {raw} DROP NOT NULL",
        f"ALTER TABLE {target} RENAME COLUMN {raw} TO {new}",
        f"ALTER TABLE {target} RENAME COLUMN {old} TO {raw}",
    ]
    if record.was_not_null:
        statements += set_statements(dual.table, dual.column, dual.check, record.not_null_name)
    statements += [*carry.unswap, *journal.REPLAN]
    action = Locked(swap_locks(carry, dual.table), tuple(statements), prelude=carry.view_locks)
    steps.append(Step("unswap", "Swap the two columns back with all that depends on them", action))
    return [*steps, *carry.after_unswap, _drop(dual)]


def _give_up(dual: DualColumn, carry: Carry) -> list[Step]:
    """Return the steps that remove what a change left that never came to its swap."""
    # The triggers go last, with the column: until then they keep it such that its constraints refuse no write.
    return [*carry.after_unswap, _drop(dual)]


def _drop(dual: DualColumn) -> Step:
    statements = (
        *dual.drop_triggers(),
        f"ALTER TABLE {dual.table.sql} DROP CONSTRAINT IF EXISTS {ident(dual.check)}",
        f"ALTER TABLE {dual.table.sql} DROP COLUMN IF EXISTS {ident(dual.new)}",
        dual.drop_functions(),
    )
    return Step("drop new", "Drop the new column", Locked(_exclusive(dual.table), statements))


def contract_identity(table: QualifiedName, column: str) -> str:
    """Return the identity of the contract step."""
    return f"contract {table.sql}.{ident(column)}"


def plan_contract(change: ContractColumnType, connection: psycopg.Connection[Any]) -> Planned | None:
    """Plan to drop the old column and keep the originals that are needed; None where there is no old column.

    Raises:
        UnsupportedChangeError: the type change has not come to its end yet.
    """
    known = _entry(connection, change.table, change.column)
    if known is None:
        return None
    entry, record = known
    dual, table = record.dual, require_table(connection, change.table)
    if record.direct or record.carry is None or (entry.done and table.column(dual.old) is None):
        return None
    if not entry.done:
        raise UnsupportedChangeError(f"{entry.title} is not finished", hint="Run its revision to the end first.")
    share = (TableLock(table.name, LockMode.SHARE_ROW_EXCLUSIVE),)
    rows = f"SELECT {dual.keys()}, t.{ident(dual.old)}, t.{ident(dual.column)} FROM {table.name.sql} t"
    batch = dual.archive(f"{rows} WHERE {{range}} AND {dual.lossy} FOR NO KEY UPDATE SKIP LOCKED")
    missing = (
        f"SELECT {dual.keys()} FROM {table.name.sql} t WHERE {dual.lossy} AND NOT EXISTS"
        f" (SELECT FROM {dual.residue} r WHERE {same_key(dual.row_key, 'r', 't')})"
    )
    mend = dual.archive(
        f"{rows} JOIN ({{keys}}) k({idents(dual.key)}) ON {same_key(dual.row_key, 't', 'k')}"
        f" WHERE {dual.lossy} FOR NO KEY UPDATE OF t"
    )
    drop = (
        *dual.drop_triggers(),
        f"ALTER TABLE {table.name.sql} DROP COLUMN {ident(dual.old)}",
    )
    pass_ = Batches(dual.table, dual.key, dual.key_types, batch, vacuum=False)
    steps = (
        Step("residue", "Make the table of originals", Locked(share, dual.residue_table())),
        Step("archive", "Keep the originals that differ", pass_),
        Step("settle", "Keep those that were locked", Settle(missing, dual.key, dual.key_types, mend=mend)),
        *(drop_step(index, step_id=f"drop {index.name}") for index in record.carry.drop_old_first),
        Step("drop old", "Drop the old column", Locked(_exclusive(dual.table), drop)),
    )
    title = f"{table.name}.{ident(dual.column)}: drop the old {dual.source_type} column"
    return Plan(contract_identity(table.name, dual.column), title, table.name, steps), {}


def restore_identity(table: QualifiedName, column: str) -> str:
    """Return the identity of the contract step's way back."""
    return f"restore {table.sql}.{ident(column)}"


def plan_restore(change: RestoreColumnType, connection: psycopg.Connection[Any]) -> Planned | None:
    """Plan to make the old column of a contracted change again; None where it is there or never was.

    Raises:
        UnsupportedChangeError: the contract has not come to its end; it is run to its end first.
    """
    known = _entry(connection, change.table, change.column)
    if known is None:
        return None
    _, record = known
    dual, table, undone = record.dual, require_table(connection, change.table), contract_identity(*_of(change))
    contract = journal.load(connection, undone)
    if record.direct or record.carry is None or contract is None:
        return None
    target, old = table.name.sql, ident(dual.old)
    steps: list[Step] = []
    if table.column(dual.old) is None:
        add = (f"ALTER TABLE {target} ADD COLUMN {old} {dual.source_type}{dual.old_collation}", *dual.restoring())
        batch = (
            f"{dual.mark} WITH l AS MATERIALIZED (SELECT {dual.keys()} FROM {target} t WHERE {{range}}"
            f" ORDER BY {dual.keys()} FOR NO KEY UPDATE SKIP LOCKED) UPDATE {target} t SET {old} = {dual.original}"
            f" FROM l WHERE {same_key(dual.row_key, 't', 'l')}"
        )
        mend = (
            f"{dual.mark} WITH k({idents(dual.key)}) AS ({{keys}}) UPDATE {target} t SET {old} = {dual.original}"
            f" FROM k WHERE {same_key(dual.row_key, 't', 'k')}"
        )
        wrong = (
            f'SELECT {dual.keys()} FROM {target} t WHERE (t.{old})::text COLLATE "C" IS DISTINCT FROM'
            f' ({dual.original})::text COLLATE "C"'
        )
        steps += [
            Step("add old", "Add the old column again and its triggers", Locked(_exclusive(dual.table), add)),
            Step("refill", "Give back the originals", Batches(dual.table, dual.key, dual.key_types, batch)),
            Step("settle", "Give back those that were locked", Settle(wrong, dual.key, dual.key_types, mend=mend)),
        ]
        reverse = Locked(_exclusive(dual.table), (*dual.drop_triggers(), *dual.reverse()))
        steps.append(Step("follow", "Let the old column follow the new one", reverse))
    # Also after a contract that was given up half way: the old indexes may be gone, the residue may be there.
    steps += record.carry.rebuild_old
    forget = Locked(_exclusive(dual.table), dual.drop_triggers("d", "k"))
    steps.append(Step("forget", "Drop the triggers of the table of originals", forget))
    steps.append(Step("drop residue", "Drop the table of originals", Plain((f"DROP TABLE IF EXISTS {dual.residue}",))))
    title = f"{table.name}.{ident(dual.column)}: make the old {dual.source_type} column again"
    plan = Plan(restore_identity(table.name, dual.column), title, table.name, tuple(steps), undoes=undone)
    return plan, {}


def _of(change: RestoreColumnType) -> tuple[QualifiedName, str]:
    return change.table, change.column
