"""Add a foreign key while the application writes, and take it back.

Before: ``op.create_foreign_key("fk_email_user", "email", "user", ["user_id"], ["id"])`` checks every row while writes
to both tables wait. After: ``op.add_foreign_key_online("email", ["user_id"], "user", ["id"], name="fk_email_user")``
adds it NOT VALID under a lock of milliseconds (parent first, then child, so that an application that writes parents
before children cannot deadlock with it), settles the orphans by the policy, and validates without blocking anybody
(documentation: "ALTER TABLE", Notes).
"""

from __future__ import annotations

from typing import Any

import psycopg
from alembic.operations import MigrateOperation, Operations

from truing.catalog.model import Constraint, Table
from truing.changes import Action, AddForeignKey, Dirty, DirtyPolicy, DropConstraint, Reference
from truing.errors import UnsupportedChangeError
from truing.locks import LockMode, TableLock
from truing.names import QualifiedName, ident, idents, literal
from truing.online import journal, quarantine
from truing.online.facts import Referrer, RowKey, referrers, require_column, require_table, row_key
from truing.online.giving_back import give_back_steps, unmake_step
from truing.online.operations.invoke import carry_out, qualified
from truing.online.run import Planned
from truing.plan import Concurrent, Locked, Plain, Plan, Settle, Step


def identity(table: QualifiedName, name: str, columns: tuple[str, ...] = ()) -> str:
    """Return the operation's identity: a key of several columns may take the name of one that had one."""
    several = f" ({idents(columns)})" if len(columns) > 1 else ""
    return f"add foreign key {ident(name)}{several} to {table.sql}"


def plan_add(change: AddForeignKey, connection: psycopg.Connection[Any]) -> Planned | None:
    """Plan a foreign key.

    Returns:
        The plan; None when the very same foreign key is there and valid.

    Raises:
        UnsupportedChangeError: it cannot be: no such table or column, types differ, no unique key to refer to, or
            another constraint has its name.
    """
    table, parent = require_table(connection, change.table), require_table(connection, change.references)
    change = _complete(change, table, parent)
    name = str(change.name)
    same = [c for c in table.foreign_keys if _is(c, change)]
    taken = table.constraint(name)
    if taken is not None and taken not in same:
        raise UnsupportedChangeError(
            f"{table.name} has another constraint of the name {name}: {taken.definition}",
            hint="Drop or rename it first.",
        )
    if taken is not None and taken.validated:
        return None
    users = referrers(connection, table.name)
    steps = _steps(change, table, row_key(table), users, existing=same[0] if same else None)
    dirty = change.dirty or Dirty()
    plan = Plan(
        identity(table.name, name, change.columns),
        f"Foreign key {name}: {table.name} ({', '.join(change.columns)}) → {parent.name}",
        table.name,
        steps,
        notes=_notes(change, table),
    )
    return plan, {"column": change.columns[-1], "policy": dirty.orphan, "reference": _reference(change)}


def _reference(change: AddForeignKey) -> dict[str, Any]:
    return {
        "table": {"schema": change.references.schema, "name": change.references.name},
        "column": change.referenced_columns[-1],
    }


def _complete(change: AddForeignKey, table: Table, parent: Table) -> AddForeignKey:
    """Fill in the referenced columns and check that the key can be."""
    referenced = change.referenced_columns
    if not referenced:
        key = parent.primary_key
        if key is None:
            raise UnsupportedChangeError(f"{parent.name} has no primary key to refer to")
        referenced = key.columns
    if len(referenced) != len(change.columns):
        raise UnsupportedChangeError(f"{len(change.columns)} columns cannot refer to {len(referenced)}")
    for mine, theirs in zip(change.columns, referenced, strict=True):
        left, right = require_column(table, mine), require_column(parent, theirs)
        if left.type != right.type:
            raise UnsupportedChangeError(
                f"{table.name}.{ident(mine)} is {left.type}, but {parent.name}.{ident(theirs)} is {right.type}",
                hint="Convert the column first (op.convert_column_online).",
            )
    if not any(i.unique and i.valid and not i.predicate and set(i.columns) == set(referenced) for i in parent.indexes):
        raise UnsupportedChangeError(f"{parent.name} ({idents(referenced)}) is not unique, so nothing can refer to it")
    name = change.name or f"{table.name.name}_{'_'.join(change.columns)}_fkey"
    if change.dirty and change.dirty.orphan == "map":
        raise UnsupportedChangeError(
            "policy map is for type changes; a foreign key's orphans have no map",
            hint="Update the rows first, or choose another policy.",
        )
    if change.dirty and change.dirty.orphan == "null" and require_column(table, change.columns[-1]).not_null:
        raise UnsupportedChangeError(
            f"{table.name}.{ident(change.columns[-1])} is NOT NULL; orphans cannot become NULL"
        )
    values = {field: getattr(change, field) for field in change.__struct_fields__}
    return AddForeignKey(**{**values, "referenced_columns": referenced, "name": name})


def _is(constraint: Constraint, change: AddForeignKey) -> bool:
    """Tell whether a constraint is what is asked for, whatever its name and state."""
    return (
        constraint.columns == change.columns
        and constraint.references == change.references
        and constraint.referenced_columns == change.referenced_columns
        and constraint.on_delete == change.on_delete
        and constraint.on_update == change.on_update
        and constraint.on_delete_columns == change.on_delete_columns
        and constraint.match_full == change.match_full
        and constraint.deferrable == change.deferrable
    )


def definition(change: AddForeignKey) -> str:
    """Return ``FOREIGN KEY (...) REFERENCES ...`` as SQL."""
    referenced = f"{change.references.sql} ({idents(change.referenced_columns)})"
    parts = [f"FOREIGN KEY ({idents(change.columns)}) REFERENCES {referenced}"]
    parts += ["MATCH FULL"] if change.match_full else []
    parts += [f"ON UPDATE {change.on_update}"] if change.on_update != "NO ACTION" else []
    if change.on_delete != "NO ACTION":
        columns = f" ({idents(change.on_delete_columns)})" if change.on_delete_columns else ""
        parts.append(f"ON DELETE {change.on_delete}{columns}")
    parts += ["DEFERRABLE"] if change.deferrable else []
    parts += ["INITIALLY DEFERRED"] if change.initially_deferred else []
    return " ".join(parts)


def orphans(change: AddForeignKey, alias: str = "t") -> str:
    """Return the condition that a row has no parent (MATCH SIMPLE: a NULL refers to nothing)."""
    present = " AND ".join(f"{alias}.{ident(column)} IS NOT NULL" for column in change.columns)
    pairs = zip(change.columns, change.referenced_columns, strict=True)
    match = " AND ".join(f"p.{ident(theirs)} = {alias}.{ident(mine)}" for mine, theirs in pairs)
    return f"{present} AND NOT EXISTS (SELECT FROM {change.references.sql} p WHERE {match})"


def _steps(
    change: AddForeignKey, table: Table, key: RowKey, users: tuple[Referrer, ...], *, existing: Constraint | None
) -> tuple[Step, ...]:
    settle = _settle(change, table, key, users)
    steps: list[Step] = []
    if (change.dirty or Dirty()).orphan == "quarantine-rows":
        steps += quarantine.refuse_referred(table, key, orphans(change), users, "settle")
    if settle.refusal:
        steps.append(Step("look", "Look for orphans", settle))
    steps += _make_sentinel(change, table)
    steps += _add(change, existing)
    steps.append(Step("settle", "Settle orphans", settle))
    target, name = table.name.sql, str(change.name)
    steps.append(
        Step(
            "validate",
            "Validate the foreign key",
            Concurrent(f"ALTER TABLE {target} VALIDATE CONSTRAINT {ident(name)}"),
            probe=(
                "SELECT convalidated FROM pg_constraint"
                f" WHERE conrelid = {literal(target)}::regclass AND conname = {literal(name)}"
            ),
            on_violation="settle",
        )
    )
    return tuple(steps)


def _settle(change: AddForeignKey, table: Table, key: RowKey, users: tuple[Referrer, ...]) -> Settle:
    """Return the look for orphans, with how they are mended or why they stop the run."""
    dirty, column = change.dirty or Dirty(), change.columns[-1]
    keys = ", ".join(f"t.{ident(c)}" for c in key.columns)
    wrong = f"SELECT {keys} FROM {table.name.sql} t WHERE {orphans(change)}"
    if dirty.orphan == "fail":
        refusal = f"rows of {table.name} refer to rows of {change.references} that are not there"
        return Settle(wrong, key.columns, key.types, refusal=refusal)
    op_id = identity(table.name, str(change.name), change.columns)
    by: dict[str, Any] = {"reason": "'orphan'", "policy": dirty.orphan, "sentinel": dirty.sentinel}
    by |= {"reference": Reference(change.references, change.referenced_columns[-1]), "parent": dirty.parent}
    mend = quarantine.mend(op_id, table, key, column, wrong=orphans(change), referrers=users, **by)
    loud = quarantine.loud(table, column, dirty.orphan, users)
    return Settle(wrong, key.columns, key.types, mend=mend, loud=loud)


def _make_sentinel(change: AddForeignKey, table: Table) -> list[Step]:
    dirty = change.dirty or Dirty()
    if dirty.orphan != "sentinel":
        return []
    reference = Reference(change.references, change.referenced_columns[-1])
    type_ = require_column(table, change.columns[-1]).type
    op_id = identity(table.name, str(change.name), change.columns)
    made = quarantine.make_sentinel(op_id, reference, dirty.sentinel, dirty.parent, type_)
    return [Step("sentinel", f"Make the sentinel row of {change.references}", Plain((made,), loud=True))]


def _add(change: AddForeignKey, existing: Constraint | None) -> list[Step]:
    target, name = change.table.sql, ident(str(change.name))
    # The parent first: an application that writes parents before children cannot deadlock with that.
    tables = dict.fromkeys((change.references, change.table))
    if existing is None:
        locks = tuple(TableLock(table, LockMode.SHARE_ROW_EXCLUSIVE) for table in tables)
        add = f"ALTER TABLE {target} ADD CONSTRAINT {name} {definition(change)} NOT VALID"
        return [Step("add", "Add the foreign key for new rows", Locked(locks, (add,)))]
    if existing.name != change.name:
        locks = tuple(TableLock(table, LockMode.ACCESS_EXCLUSIVE) for table in tables)
        rename = f"ALTER TABLE {target} RENAME CONSTRAINT {ident(existing.name)} TO {name}"
        return [Step("rename", f"Rename {existing.name}", Locked(locks, (rename,)))]
    return []


def _notes(change: AddForeignKey, table: Table) -> tuple[str, ...]:
    width = len(change.columns)
    covered = any(
        index.valid and not index.predicate and set(index.columns[:width]) == set(change.columns)
        for index in table.indexes
    )
    if covered:
        return ()
    missing = f"no index of {table.name} begins with {idents(change.columns)}"
    return (f"{missing}: each DELETE in {change.references} will read the whole table",)


def plan_drop(change: DropConstraint, connection: psycopg.Connection[Any]) -> Planned | None:
    """Plan the way back: drop the foreign key, then give back what adding it had to replace or move away."""
    table = require_table(connection, change.table)
    constraint = table.constraint(change.name)
    if constraint is not None and change.columns and constraint.columns != change.columns:
        constraint = None
    op_id = identity(table.name, change.name, constraint.columns if constraint else change.columns)
    entry = journal.load(connection, op_id) if journal.exists(connection) else None
    if constraint is None and entry is None:
        return None
    steps: list[Step] = []
    if constraint is not None and constraint.references is not None:
        tables = dict.fromkeys((constraint.references, table.name))
        locks = tuple(TableLock(name, LockMode.ACCESS_EXCLUSIVE) for name in tables)
        drop = f"ALTER TABLE {table.name.sql} DROP CONSTRAINT {ident(change.name)}"
        steps.append(Step("drop", f"Drop the foreign key {change.name}", Locked(locks, (drop,))))
    if entry is not None:
        others = tuple(key for key in table.foreign_keys if key.name != change.name)
        steps += give_back_steps(op_id, table, str(entry.record["column"]), parents=others)
        if entry.record["policy"] in {"sentinel", "create-parent"}:
            steps.append(unmake_step(op_id, connection, entry.record["reference"], drops=change))
    plan = Plan(
        f"drop foreign key {ident(change.name)} from {table.name.sql}",
        f"Drop foreign key {change.name} of {table.name}",
        table.name,
        tuple(steps),
        undoes=op_id if entry is not None else "",
    )
    return plan, {}


@Operations.register_operation("add_foreign_key_online")
class AddForeignKeyOnlineOp(MigrateOperation):
    """Add a foreign key without blocking writes."""

    def __init__(
        self, table: str, columns: list[str], referent: str, referent_columns: list[str], **options: Any
    ) -> None:
        self.table, self.columns = table, columns
        self.referent, self.referent_columns = referent, referent_columns
        self.options = options

    @classmethod
    def add_foreign_key_online(
        cls,
        operations: Operations,
        table: str,
        columns: list[str],
        referent: str,
        referent_columns: list[str],
        *,
        name: str | None = None,
        ondelete: str | None = None,
        onupdate: str | None = None,
        orphans: DirtyPolicy = "fail",
        sentinel: str = Dirty().sentinel,
        parent: dict[str, str] | None = None,
        deferrable: bool = False,
        initially_deferred: bool = False,
        schema: str | None = None,
        referent_schema: str | None = None,
    ) -> None:
        """Add a foreign key while the application writes.

        Args:
            operations: Alembic's.
            table: the referencing table.
            columns: its columns.
            referent: the referenced table.
            referent_columns: its columns; empty for the primary key.
            name: the constraint's name; as PostgreSQL would name it by default.
            ondelete: ``CASCADE``, ``SET NULL``, ``SET NULL (column)``, ``RESTRICT``, ``SET DEFAULT``.
            onupdate: as ``ondelete``, without columns.
            orphans: what becomes of rows without a parent; their originals are kept.
            sentinel: the key of the row that policy ``sentinel`` refers them to.
            parent: the other columns of a parent row that policies ``sentinel`` and ``create-parent`` make.
            deferrable: DEFERRABLE.
            initially_deferred: INITIALLY DEFERRED.
            schema: of the referencing table.
            referent_schema: of the referenced table; by default that of the referencing one.
        """
        operations.invoke(
            cls(
                table,
                columns,
                referent,
                referent_columns,
                name=name,
                ondelete=ondelete,
                onupdate=onupdate,
                dirty=Dirty(orphan=orphans, sentinel=sentinel, parent=parent or {}),
                deferrable=deferrable,
                initially_deferred=initially_deferred,
                schema=schema,
                referent_schema=referent_schema,
            )
        )


@Operations.implementation_for(AddForeignKeyOnlineOp)
def _run_add(operations: Operations, op: AddForeignKeyOnlineOp) -> None:
    options = op.options
    action, set_columns = parse_action(options["ondelete"])
    change = AddForeignKey(
        table=qualified(operations, op.table, options["schema"]),
        name=options["name"] or f"{op.table}_{'_'.join(op.columns)}_fkey",
        columns=tuple(op.columns),
        references=qualified(operations, op.referent, options["referent_schema"] or options["schema"]),
        referenced_columns=tuple(op.referent_columns),
        on_delete=action,
        on_update=parse_action(options["onupdate"])[0],
        on_delete_columns=set_columns,
        deferrable=options["deferrable"],
        initially_deferred=options["initially_deferred"],
        dirty=options["dirty"],
    )
    op_id = identity(change.table, str(change.name), change.columns)
    carry_out(operations, op_id, change, lambda connection: plan_add(change, connection))


def parse_action(text: str | None) -> tuple[Action, tuple[str, ...]]:
    """Read ``SET NULL (a, b)`` into the action and its columns.

    Raises:
        UnsupportedChangeError: it is no referential action.
    """
    head, _, columns = (text or "NO ACTION").partition("(")
    action = " ".join(head.upper().split())
    names = tuple(name.strip().strip('"') for name in columns.rstrip(") ").split(",") if name.strip())
    match action:
        case "NO ACTION" | "RESTRICT" | "CASCADE" | "SET NULL" | "SET DEFAULT":
            return action, names
    raise UnsupportedChangeError(f"{text!r} is no referential action", hint="Write CASCADE, SET NULL, RESTRICT ...")


@Operations.register_operation("drop_foreign_key_online")
class DropForeignKeyOnlineOp(MigrateOperation):
    """Drop a foreign key and give back what adding it replaced."""

    def __init__(self, table: str, name: str, columns: list[str] | None, schema: str | None) -> None:
        self.table, self.name, self.columns, self.schema = table, name, tuple(columns or ()), schema

    @classmethod
    def drop_foreign_key_online(
        cls,
        operations: Operations,
        table: str,
        name: str,
        *,
        columns: list[str] | None = None,
        schema: str | None = None,
    ) -> None:
        """Drop a foreign key; rows and values that adding it moved or replaced come back.

        Args:
            operations: Alembic's.
            table: the referencing table.
            name: the constraint.
            columns: its columns, where a key of other columns may have the name when this is run again.
            schema: of the table.
        """
        operations.invoke(cls(table, name, columns, schema))


@Operations.implementation_for(DropForeignKeyOnlineOp)
def _run_drop(operations: Operations, op: DropForeignKeyOnlineOp) -> None:
    change = DropConstraint(qualified(operations, op.table, op.schema), op.name, op.columns)
    op_id = f"drop foreign key {ident(op.name)} from {change.table.sql}"
    carry_out(operations, op_id, change, lambda connection: plan_drop(change, connection))
