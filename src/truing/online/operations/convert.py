"""Change a column's type while the application writes, with every original kept.

Before: ``op.alter_column("profiles", "tenant_id", type_=Uuid, postgresql_using="tenant_id::uuid")`` rewrites the table
while nobody can even read it, fails on the first dirty row, and is refused outright where a policy or view uses the
column. After: ``op.convert_column_online("profiles", "tenant_id", "uuid", references="tenants.id", ...)`` adds a second
column, lets triggers fill it for every write, fills the rest in small batches, builds on it whatever depends on the
first, and swaps the two in one transaction of milliseconds.

The state of the way: *expand* (both columns, the old one leads) → *swapped* (both, the new one leads) → *contracted*
(only the new one, originals that differ kept aside). Each arrow has a way back.
"""

from __future__ import annotations

from typing import Any

import msgspec
import psycopg

from truing.catalog.model import Column, Table
from truing.changes import DIRTY_CLASSES, AlterColumnType, DirtyClass
from truing.errors import UnsupportedChangeError
from truing.locks import LockMode, TableLock
from truing.names import QualifiedName, ident, literal
from truing.online import journal, quarantine
from truing.online.carry import Carry, survey
from truing.online.conversion import Conversion, parent_insert
from truing.online.dual_column import DualColumn
from truing.online.facts import Referrer, referrers, require_column, require_table, row_key
from truing.online.operations.not_null import constraint_name, proof_steps, set_statements
from truing.online.run import Planned
from truing.online.session import server_version
from truing.plan import Batches, Concurrent, Locked, Plain, Plan, Settle, Step


def identity(table: QualifiedName, column: str) -> str:
    """Return the operation's identity."""
    return f"convert {table.sql}.{ident(column)}"


class Record(msgspec.Struct, frozen=True):
    """What the way back needs to know, kept in the journal.

    Attributes:
        dual: the names.
        carry: what depends on the column, with the original definitions.
        was_not_null: whether the column was NOT NULL.
        not_null_name: the name of that constraint on PostgreSQL 18.
        change: what was asked for.
        direct: whether it was one metadata-only ALTER TABLE, with no second column.
    """

    dual: DualColumn
    carry: Carry | None
    was_not_null: bool
    change: AlterColumnType
    direct: bool = False
    not_null_name: str = ""


def plan_convert(change: AlterColumnType, connection: psycopg.Connection[Any]) -> Planned | None:
    """Plan a type change.

    Returns:
        The plan; None where the column has the type (and nullability) already.

    Raises:
        UnsupportedChangeError: something that depends on the column cannot be carried; nothing was changed.
    """
    table = require_table(connection, change.table)
    column = require_column(table, change.column)
    change = _with_printed_type(change, connection)
    if column.type == change.type:
        return None
    if column.identity or column.generated:
        raise UnsupportedChangeError(f"{table.name}.{ident(column.name)} is an identity or generated column")
    nullable = (not column.not_null) if change.nullable is None else change.nullable
    key = row_key(table)
    op_id = identity(table.name, column.name)
    collation = column.collation.sql if column.collation else ""
    dual = DualColumn(op_id, table.name, column.name, column.type, change.type, key.columns, key.types, collation)
    if _is_free(change, column, nullable, connection):
        return _direct(change, dual, column)
    if column.name in key.columns:
        raise UnsupportedChangeError(f"{table.name}.{ident(column.name)} is part of the key that rows are found by")
    conversion = Conversion(change, column.type, nullable, server_version(connection), dual.function)
    _check_policies(conversion)
    carry = survey(
        connection,
        table.name,
        column.name,
        change.type,
        new_column=dual.new,
        old_column=dual.old,
        op_id=op_id,
        convert_default=lambda text: _convert_default(conversion, text, connection),
    )
    plan = Plan(
        op_id,
        f"{table.name}.{ident(column.name)}: {column.type} → {change.type}",
        table.name,
        _steps(conversion, dual, table, column, carry, referrers(connection, table.name)),
        notes=(*carry.notes, *_trigger_notes(table)),
    )
    name = constraint_name(table, column.name, conversion.version) if column.not_null else ""
    record = Record(dual, carry, column.not_null, change, not_null_name=name)
    return plan, msgspec.to_builtins(record)


def _with_printed_type(change: AlterColumnType, connection: psycopg.Connection[Any]) -> AlterColumnType:
    """Spell the target type as ``format_type`` prints it, so that it can be compared."""
    try:
        result = connection.execute(f"SELECT NULL::{change.type}").pgresult
    except psycopg.Error as error:
        raise UnsupportedChangeError(f"there is no type {change.type!r}: {error.diag.message_primary}") from error
    if result is None:  # pragma: no cover - a query has a result
        return change
    row = connection.execute("SELECT format_type(%s, %s)", (result.ftype(0), result.fmod(0))).fetchone()
    return msgspec.structs.replace(change, type=str(row[0]) if row else change.type)


def _is_free(change: AlterColumnType, column: Column, nullable: bool, connection: psycopg.Connection[Any]) -> bool:
    """Tell whether PostgreSQL changes the type in the catalog alone: neither rewrites the table nor an index.

    Asked of PostgreSQL itself, on an empty temporary copy in a transaction that is rolled back. Something that depends
    on the column (a view, a policy) makes a plain ALTER TABLE impossible, free or not.
    """
    if change.dirty is not None and change.references is not None:
        return False
    if nullable == column.not_null:
        return False
    table = change.table.sql
    files = (
        "SELECT array_agg(pg_relation_filenode(c.oid) ORDER BY c.oid) FROM pg_class c"
        " WHERE c.oid = 'pg_temp.__truing_look'::regclass OR c.oid IN"
        " (SELECT indexrelid FROM pg_index WHERE indrelid = 'pg_temp.__truing_look'::regclass)"
    )
    blocked = connection.execute(
        "SELECT EXISTS (SELECT FROM pg_depend d WHERE d.refclassid = 'pg_class'::regclass"
        " AND d.refobjid = %s::regclass AND d.refobjsubid = (SELECT attnum FROM pg_attribute"
        "  WHERE attrelid = %s::regclass AND attname = %s)"
        " AND d.classid = ANY ('{pg_rewrite,pg_policy,pg_trigger,pg_proc}'::regclass[]))",
        (table, table, column.name),
    ).fetchone()
    if blocked and blocked[0]:
        return False
    connection.execute(f"BEGIN; CREATE TEMPORARY TABLE __truing_look (LIKE {table} INCLUDING ALL) ON COMMIT DROP")
    try:
        before = connection.execute(files).fetchone()
        connection.execute(f"ALTER TABLE pg_temp.__truing_look ALTER COLUMN {ident(column.name)} TYPE {change.type}")
        after = connection.execute(files).fetchone()
    except psycopg.Error:
        return False
    finally:
        connection.execute("ROLLBACK")
    return before == after


def _direct(change: AlterColumnType, dual: DualColumn, column: Column) -> Planned:
    exclusive = (TableLock(dual.table, LockMode.ACCESS_EXCLUSIVE),)
    statement = f"ALTER TABLE {dual.table.sql} ALTER COLUMN {ident(dual.column)} TYPE {change.type}"
    step = Step(
        "alter",
        "Change the type in the catalog (PostgreSQL rewrites nothing)",
        Locked(exclusive, (statement, *journal.REPLAN)),
    )
    title = f"{dual.table}.{ident(dual.column)}: {column.type} → {change.type}"
    record = Record(dual, None, column.not_null, change, direct=True)
    return Plan(dual.op_id, title, dual.table, (step,)), msgspec.to_builtins(record)


def _check_policies(conversion: Conversion) -> None:
    """Refuse policies that cannot work for this column before anything is begun."""
    dirty = conversion.dirty
    for name in DIRTY_CLASSES:
        policy = dirty.policy(name)
        if policy == "null" and not conversion.nullable:
            raise UnsupportedChangeError(
                f"policy null for {name} values needs a nullable column", hint="Pass nullable=True or another policy."
            )
        if policy == "create-parent" and (name != "orphan" or conversion.change.references is None):
            raise UnsupportedChangeError("policy create-parent is for orphans of a column that references a table")
        if policy == "map" and dirty.map_table is None:
            raise UnsupportedChangeError(f"policy map for {name} values needs map_table")


def _convert_default(conversion: Conversion, text: str | None, connection: psycopg.Connection[Any]) -> str | None:
    """Return what a constant default becomes: read by PostgreSQL, or what the policy gives for it."""
    if text is None:
        return None
    type_, dirty = conversion.change.type, conversion.dirty
    trimmed = text.strip(" \t\r\n\f\v") if conversion.from_text else text
    reason: DirtyClass = "malformed" if trimmed or not conversion.from_text else "empty"
    try:
        # A savepoint: the caller may be inside a transaction that must survive a default that cannot be read.
        with connection.transaction():
            row = connection.execute(f"SELECT ({literal(trimmed)}::{type_})::text").fetchone()
    except psycopg.errors.DataError:
        row = None
    if row is not None:
        return str(row[0])
    policy = dirty.policy(reason)
    return dirty.sentinel if policy == "sentinel" else None


def _trigger_notes(table: Table) -> tuple[str, ...]:
    after = [t for t in table.triggers if "AFTER" in t.definition.split(" ON ")[0]]
    names = [t.name for t in after if t.enabled == "origin" and t.row]
    if not names:
        return ()
    return (
        (
            f"AFTER triggers of {table.name} ({', '.join(names)}) fire for rows that are filled in, unless the role may"
            " set session_replication_role (a superuser, or GRANT SET ON PARAMETER)"
        ),
    )


def _has_parent(conversion: Conversion, raw: str) -> str:
    reference = conversion.change.references
    if reference is None or conversion.dirty.orphan == "create-parent":
        return "true"
    value = conversion.safe_cast(raw)
    return f"EXISTS (SELECT FROM {reference.table.sql} p WHERE p.{ident(reference.column)} = {value})"


def _refusals(conversion: Conversion, dual: DualColumn, raw: str) -> Settle | None:
    """Return a look for rows that the policies leave no place for."""
    failing = [c for c in DIRTY_CLASSES if conversion.dirty.policy(c) in {"fail", "map"}]
    if conversion.nullable and "null" in failing:
        failing.remove("null")
    if not failing:
        return None
    wrong = [f"{conversion.class_of(raw, _has_parent(conversion, raw))} IN ({', '.join(map(literal, failing))})"]
    if any(conversion.dirty.policy(c) == "map" for c in failing):
        wrong.append(f"{conversion.convert(raw)} IS NULL")
    return Settle(
        f"SELECT {dual.keys()} FROM {dual.table.sql} t WHERE {' AND '.join(wrong)}",
        dual.key,
        dual.key_types,
        refusal=f"values of {dual.table}.{ident(dual.column)} have no place as {dual.target_type}"
        f" ({', '.join(failing)})",
    )


def _steps(
    conversion: Conversion,
    dual: DualColumn,
    table: Table,
    column: Column,
    carry: Carry,
    users: tuple[Referrer, ...],
) -> tuple[Step, ...]:
    steps = [Step("functions", "Make the functions that convert", Plain(conversion.functions()))]
    raw = f"t.{ident(column.name)}"
    refusal = _refusals(conversion, dual, raw)
    if refusal is not None:
        steps.append(Step("look", "Look for values without a place", refusal))
    steps += _expand(conversion, dual)
    steps += _fill(conversion, dual, table, users)
    if refusal is not None:
        steps.append(Step("look again", "Look for values without a place", refusal))
    if not conversion.nullable:
        steps += proof_steps(table.name, dual.new, dual.check, on_violation="settle", shown="the new column")
    # A key that normalising made equal, or a row that breaks a carried CHECK, is met here, before the swap.
    steps += carry.before
    analyze = f"ANALYZE {table.name.sql} ({ident(dual.new)})"
    steps.append(Step("analyze", "Give the planner statistics of the new column", Concurrent(analyze)))
    name = constraint_name(table, column.name, conversion.version)
    steps.append(_swap(conversion, dual, column, carry, name))
    steps.append(_keep(conversion, dual, table))
    return tuple(steps)


def _expand(conversion: Conversion, dual: DualColumn) -> list[Step]:
    change, dirty, steps = conversion.change, conversion.dirty, []
    policies = {dirty.policy(name) for name in DIRTY_CLASSES}
    if "sentinel" in policies and change.references is not None:
        made = quarantine.make_sentinel(dual.op_id, change.references, dirty.sentinel, dirty.parent, change.type)
        steps.append(Step("sentinel", f"Make the sentinel row of {change.references.table}", Plain((made,), loud=True)))
    exclusive = (TableLock(dual.table, LockMode.ACCESS_EXCLUSIVE),)
    add = f"ALTER TABLE {dual.table.sql} ADD COLUMN {ident(dual.new)} {change.type}{dual.new_collation}"
    # The column and its triggers commit together: whoever wrote before has finished, whoever writes after is seen.
    steps.append(Step("expand", "Add the new column and its triggers", Locked(exclusive, (add, *dual.forward()))))
    return steps


def _fill(conversion: Conversion, dual: DualColumn, table: Table, users: tuple[Referrer, ...]) -> list[Step]:
    target, new, raw = dual.table.sql, ident(dual.new), f"t.{ident(dual.column)}"
    batch = (
        f"{dual.mark} WITH l AS MATERIALIZED (SELECT {dual.keys()} FROM {target} t WHERE {{range}}"
        f" AND t.{new} IS NULL{' AND ' + raw + ' IS NOT NULL' if conversion.nullable else ''}"
        f" ORDER BY {dual.keys()} FOR NO KEY UPDATE SKIP LOCKED)"
        f" UPDATE {target} t SET {new} = {conversion.convert(raw)} FROM l"
        f" WHERE {quarantine.same_key(dual.row_key, 't', 'l')}"
    )
    keys = ", ".join(map(ident, dual.key))
    mend = (
        f"{dual.mark} WITH k({keys}) AS ({{keys}}) UPDATE {target} t SET {new} = {conversion.convert(raw)} FROM k"
        f" WHERE {quarantine.same_key(dual.row_key, 't', 'k')}"
    )
    wrong = f"SELECT {dual.keys()} FROM {target} t WHERE t.{new} IS DISTINCT FROM {conversion.convert(raw)}"
    steps = [
        Step("backfill", "Fill the new column", Batches(dual.table, dual.key, dual.key_types, batch)),
        Step("settle", "Mend what the passes left", Settle(wrong, dual.key, dual.key_types, mend=mend)),
    ]
    moved = [name for name in DIRTY_CLASSES if conversion.dirty.policy(name) == "quarantine-rows"]
    if moved and not (moved == ["null"] and conversion.nullable):
        reason = conversion.class_of(raw, _has_parent(conversion, raw))
        condition = f"{reason} IN ({', '.join(map(literal, moved))})"
        by: dict[str, Any] = {"reason": reason, "policy": "quarantine-rows", "referrers": users}
        move = quarantine.mend(dual.op_id, table, dual.row_key, dual.column, wrong=condition, **by)
        look = f"SELECT {dual.keys()} FROM {target} t WHERE {condition}"
        steps += quarantine.refuse_referred(table, dual.row_key, condition, users, "move")
        steps.append(
            Step("move", "Move rows without a place to quarantine", Settle(look, dual.key, dual.key_types, mend=move))
        )
    reference = conversion.change.references
    if reference is not None and conversion.dirty.orphan == "create-parent":
        made = parent_insert(
            reference.table,
            reference.column,
            "v.value",
            conversion.dirty.parent,
            f"FROM (SELECT DISTINCT t.{new} AS value FROM {target} t WHERE t.{new} IS NOT NULL AND NOT EXISTS"
            f" (SELECT FROM {reference.table.sql} p WHERE p.{ident(reference.column)} = t.{new})) v",
        )
        keep = f"WITH made AS ({made}) {quarantine.made_parents(dual.op_id, reference)}"
        steps.append(Step("parents", f"Make the missing rows of {reference.table}", Plain((keep,), loud=True)))
    return steps


def swap_locks(carry: Carry | None, table: QualifiedName) -> tuple[TableLock, ...]:
    """Return the locks of the swap, the table's own last."""
    return (*(carry.locks if carry else ()), TableLock(table, LockMode.ACCESS_EXCLUSIVE))


def _swap(conversion: Conversion, dual: DualColumn, column: Column, carry: Carry, not_null_name: str) -> Step:
    target, raw, new, old = dual.table.sql, ident(dual.column), ident(dual.new), ident(dual.old)
    statements = [
        *dual.drop_triggers(),
        f"ALTER TABLE {target} RENAME COLUMN {raw} TO {old}",
        f"ALTER TABLE {target} RENAME COLUMN {new} TO {raw}",
    ]
    if column.not_null:
        statements.append(f"ALTER TABLE {target} ALTER COLUMN {old} DROP NOT NULL")
    if not conversion.nullable:
        statements += set_statements(dual.table, dual.column, dual.check, not_null_name)
    statements += [*carry.swap, *dual.reverse(), *journal.REPLAN]
    action = Locked(swap_locks(carry, dual.table), tuple(statements), prelude=carry.view_locks)
    return Step("swap", "Swap the two columns with all that depends on them", action)


def _keep(conversion: Conversion, dual: DualColumn, table: Table) -> Step:
    """Return the step that lists in the quarantine what became of dirty values; the old column still holds them."""
    raw = f"t.{ident(dual.old)}"
    reason = conversion.class_of(raw, _has_parent(conversion, raw))
    # After the swap the old column follows the new one, so that a row written since is clean by definition.
    source = (
        f"SELECT {quarantine.key_json(dual.row_key, 'd')}, d.__truing_raw, d.__truing_class, d.__truing_given,"
        f" NULL::jsonb FROM (SELECT {dual.keys()}, {raw}::text AS __truing_raw, {reason} AS __truing_class,"
        f" t.{ident(dual.column)}::text AS __truing_given FROM {dual.table.sql} t"
        f" WHERE {dual.lossy}) d WHERE d.__truing_class NOT IN ('clean', 'normalised')"
    )
    statement = journal.keep_sql(dual.op_id, table.name, dual.column, source=source)
    return Step("keep", "List the originals of dirty values", Plain((statement,)))
