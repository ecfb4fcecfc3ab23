"""The quarantine: the original of every value that had no place, and how it comes back.

Values are kept as PostgreSQL's own text of them, so that they come back byte for byte whatever their type. Here are the
statements that move rows in and give them back; what a person sees and settles is :mod:`truing.online.originals`.
"""

from __future__ import annotations

from truing.catalog.model import Constraint, Table
from truing.changes import DirtyPolicy, Reference
from truing.names import ident, literal
from truing.online import journal
from truing.online.conversion import parent_insert
from truing.online.facts import Referrer, RowKey
from truing.plan import Settle, Step

_ARGUMENTS = 40
"""Columns per ``jsonb_build_object`` call, which takes 100 arguments."""


def key_json(key: RowKey, alias: str) -> str:
    """Return the key of a row as jsonb."""
    return _object(key.columns, alias)


def row_json(table: Table, alias: str) -> str:
    """Return a whole row as jsonb of texts, generated columns left out."""
    return _object(tuple(column.name for column in table.columns if not column.generated), alias)


def _object(columns: tuple[str, ...], alias: str) -> str:
    parts = []
    for start in range(0, len(columns), _ARGUMENTS):
        pairs = ", ".join(f"{literal(c)}, {alias}.{ident(c)}::text" for c in columns[start : start + _ARGUMENTS])
        parts.append(f"jsonb_build_object({pairs})")
    return " || ".join(parts)


def same_key(key: RowKey, left: str, right: str) -> str:
    """Return the condition that two aliases are one row."""
    return " AND ".join(f"{left}.{ident(column)} = {right}.{ident(column)}" for column in key.columns)


def loud(table: Table, column: str, policy: DirtyPolicy, referrers: tuple[Referrer, ...]) -> bool:
    """Tell whether the foreign keys of the server have to look at what a mend writes.

    It makes a row of another table, or a value that refers to another row or is referred to.
    """
    mine = (key.columns for key in table.foreign_keys)
    return policy == "create-parent" or any(column in each for each in (*mine, *(r.referenced for r in referrers)))


def refuse_referred(
    table: Table, key: RowKey, wrong: str, referrers: tuple[Referrer, ...], step_id: str
) -> tuple[Step, ...]:
    """Return the look for rows that cannot be moved away, for others refer to them; none where nothing does.

    Args:
        table: the table.
        key: its key.
        wrong: the condition of a row that is to be moved away, over alias ``t``.
        referrers: the foreign keys that refer to the table.
        step_id: the step that moves rows away.
    """
    if not referrers:
        return ()
    names = ", ".join(f"{each.table}.{ident(each.name)}" for each in referrers)
    keys = ", ".join(f"t.{ident(column)}" for column in key.columns)
    look = f"SELECT {keys} FROM {table.name.sql} t WHERE {wrong} AND ({_referred(table, referrers)})"
    refusal = f"rows of {table.name} cannot be moved to the quarantine while other rows refer to them by {names}"
    return (Step(f"{step_id}: referred", "Look for rows that others refer to", Settle(look, *key, refusal=refusal)),)


def _referred(table: Table, referrers: tuple[Referrer, ...]) -> str:
    return " OR ".join(each.refers(table.name, "t") for each in referrers)


def mend(
    op_id: str,
    table: Table,
    key: RowKey,
    column: str,
    *,
    wrong: str,
    reason: str,
    policy: DirtyPolicy,
    sentinel: str = "",
    reference: Reference | None = None,
    parent: dict[str, str] | None = None,
    value: str = "",
    referrers: tuple[Referrer, ...] = (),
) -> str:
    """Return the statement that settles rows by a policy and keeps their originals.

    The rows are locked first and judged again, so that what is kept is what was replaced.

    Args:
        op_id: the operation.
        table: the table.
        key: its key.
        column: the column with the value that has no place.
        wrong: the condition of a wrong row, over alias ``t``.
        reason: an expression of the dirty class, over alias ``t``.
        policy: what to do.
        sentinel: the value of policy ``sentinel``.
        reference: the parent table, for ``create-parent``.
        parent: the other columns of a parent row that is made.
        value: for policy ``map`` without a table: the expression (over ``t``) that replaces the value.
        referrers: the foreign keys that refer to the table: no row that another refers to is moved away.
    """
    target, name = table.name.sql, ident(column)
    columns = ", ".join(map(ident, key.columns))
    first = ""
    if policy == "quarantine-rows" and referrers:
        wrong = f"{wrong} AND NOT ({_referred(table, referrers)})"
        # By a statement of its own: the next one sees who has come to refer to the rows before they were locked.
        first = f"SELECT FROM {target} t JOIN ({{keys}}) k({columns}) ON {same_key(key, 't', 'k')} FOR UPDATE OF t; "
    # The same expressions over the locked row.
    locked = (
        f"WITH k({columns}) AS ({{keys}}), l AS MATERIALIZED (SELECT t.*, ({reason}) AS __truing_reason,"
        f" ({value or 'NULL'})::text AS __truing_value FROM {target} t JOIN k ON {same_key(key, 't', 'k')}"
        f" WHERE {wrong} FOR UPDATE OF t)"
    )
    given = {"sentinel": literal(sentinel), "null": "NULL::text"}.get(policy, "l.__truing_value")
    row = row_json(table, "l") if policy == "quarantine-rows" else "NULL::jsonb"
    kept = journal.keep_sql(
        op_id,
        table.name,
        column,
        source=f"SELECT {key_json(key, 'l')}, l.{name}::text, l.__truing_reason, {given}, {row} FROM l",
    )
    if policy == "create-parent" and reference is not None:
        made = parent_insert(
            reference.table, reference.column, f"l.{name}", parent or {}, f"FROM (SELECT DISTINCT {name} FROM l) l"
        )
        return f"{locked}, made AS ({made}) {made_parents(op_id, reference)}"
    if policy == "quarantine-rows":
        return f"{first}{locked}, kept AS ({kept}) DELETE FROM {target} t USING l WHERE {same_key(key, 't', 'l')}"
    found = table.column(column)
    type_ = found.type if found else "text"
    return (
        f"{locked}, kept AS ({kept}) UPDATE {target} t SET {name} = ({given})::{type_} FROM l"
        f" WHERE {same_key(key, 't', 'l')}"
    )


def made_parents(op_id: str, reference: Reference) -> str:
    """Return the INSERT that keeps which parent rows were made, from a CTE ``made`` of one text column."""
    return (
        "INSERT INTO _truing.made_parent (op_id, rel, col, key)"
        f" SELECT {literal(op_id)}, {literal(reference.table.sql)}, {literal(reference.column)}, made.* FROM made"
        " ON CONFLICT DO NOTHING"
    )


def make_sentinel(op_id: str, reference: Reference, sentinel: str, parent: dict[str, str], type_: str) -> str:
    """Return the statement that makes the sentinel's parent row when it is missing."""
    made = parent_insert(reference.table, reference.column, f"{literal(sentinel)}::{type_}", parent, "")
    return f"WITH made AS ({made}) {made_parents(op_id, reference)}"


def unmake_parents(op_id: str, reference: Reference, referrers: tuple[Referrer, ...]) -> tuple[str, ...]:
    """Return the statements that remove the parent rows an operation made, those that nobody refers to by now.

    Args:
        op_id: the operation that made them.
        reference: the parent table and its key.
        referrers: the foreign keys that refer to it, so that nothing cascades.
    """
    column = f"p.{ident(reference.column)}"
    unused = "".join(f" AND NOT {each.refers(reference.table, 'p', as_text=True)}" for each in referrers)
    made = f"m.op_id = {literal(op_id)} AND m.rel = {literal(reference.table.sql)} AND {column}::text = m.key"
    return (
        # First, by a statement of its own: the next one sees who has come to refer to them before they were locked.
        f"SELECT FROM {reference.table.sql} p JOIN _truing.made_parent m ON {made} FOR UPDATE OF p",
        f"DELETE FROM {reference.table.sql} p USING _truing.made_parent m WHERE {made}{unused}",
    )


def pending(op_id: str, key: RowKey) -> str:
    """Return the query for the keys of what an operation keeps and has not given back."""
    columns = ", ".join(
        f"(q.pk ->> {literal(column)})::{type_} AS {ident(column)}"
        for column, type_ in zip(key.columns, key.types, strict=True)
    )
    kept = f"_truing.quarantine q WHERE q.op_id = {literal(op_id)} AND q.resolved_at IS NULL"
    return f"SELECT DISTINCT {columns} FROM {kept}"


def give_back(
    op_id: str, table: Table, key: RowKey, column: str, *, and_values: bool = True, parents: tuple[Constraint, ...] = ()
) -> str:
    """Return the statement that gives originals back, whole rows and values, for the keys in ``{keys}``.

    A value comes back where the row still holds what truing gave it; a row where nobody has taken its place. What
    cannot come back stays in the quarantine with the reason, for a person to see.

    Args:
        op_id: the operation.
        table: the table, as it is by then.
        key: its rows' key.
        column: the column.
        and_values: False where values are back already and only whole rows are missing: a row that then holds what
            truing gave was given it by the application, away and back.
        parents: the foreign keys that hold by then. The server does not look at them here, so a row whose parent is
            gone stays in the quarantine.
    """
    target, name = table.name.sql, ident(column)
    keys = ", ".join(map(ident, key.columns))
    matched = " AND ".join(
        f"(q.pk ->> {literal(c)})::{t} = k.{ident(c)}" for c, t in zip(key.columns, key.types, strict=True)
    )
    columns = [c for c in table.columns if not c.generated]
    names = ", ".join(ident(c.name) for c in columns)
    values = ", ".join(f"(w.row_data ->> {literal(c.name)})::{c.type}" for c in columns)
    found = table.column(column)
    type_ = found.type if found else "text"
    same = " AND ".join(
        f"t.{ident(c)} = (w.pk ->> {literal(c)})::{ty}" for c, ty in zip(key.columns, key.types, strict=True)
    )
    held = "".join(_value_has_parent(each, column, type_) for each in parents if column in each.columns)
    return (
        f"WITH k({keys}) AS ({{keys}}), w AS MATERIALIZED (SELECT q.* FROM _truing.quarantine q JOIN k ON {matched}"
        f" WHERE q.op_id = {literal(op_id)} AND q.resolved_at IS NULL FOR UPDATE OF q),"
        f" rows AS (INSERT INTO {target} ({names}) OVERRIDING SYSTEM VALUE SELECT {values} FROM w"
        f" WHERE w.row_data IS NOT NULL{''.join(_has_parent(each, table) for each in parents)}"
        # Of two that had one key the first comes back.
        f" ORDER BY w.id ON CONFLICT DO NOTHING RETURNING {key_json(key, target)} AS pk),"
        f" vals AS (UPDATE {target} t SET {name} = w.raw::{type_} FROM w WHERE w.row_data IS NULL AND {same}"
        f" AND t.{name}::text IS NOT DISTINCT FROM w.given AND {and_values}{held} RETURNING {key_json(key, 't')} AS pk)"
        " UPDATE _truing.quarantine q SET resolved_at = now(), resolution = CASE WHEN q.pk IN"
        " (SELECT pk FROM rows UNION ALL SELECT pk FROM vals) THEN 'given back'"
        # A type change that is taken back brings its originals with the old column, before anybody looks here.
        f" WHEN w.row_data IS NULL AND EXISTS (SELECT FROM {target} t WHERE {same}"
        f" AND t.{name}::text IS NOT DISTINCT FROM w.raw) THEN 'given back'"
        " ELSE 'not given back: the row has been changed, removed or replaced meanwhile' END FROM w WHERE q.id = w.id"
    )


def _value_has_parent(key: Constraint, column: str, type_: str) -> str:
    """Return the condition that a value that waits has its parent, in the row (alias ``t``) that it goes into."""
    values = [f"w.raw::{type_}" if each == column else f"t.{ident(each)}" for each in key.columns]
    return _parent_of(key, values)


def _has_parent(key: Constraint, table: Table) -> str:
    """Return the condition that a row that waits (alias ``w``) has its parent (MATCH SIMPLE)."""
    types = {column.name: column.type for column in table.columns}
    return _parent_of(key, [f"(w.row_data ->> {literal(column)})::{types[column]}" for column in key.columns])


def _parent_of(key: Constraint, values: list[str]) -> str:
    none = " OR ".join(f"{value} IS NULL" for value in values)
    pairs = zip(key.referenced_columns, values, strict=True)
    same = " AND ".join(f"p.{ident(theirs)} = {value}" for theirs, value in pairs)
    parent = key.references.sql if key.references is not None else ""
    return f" AND ({none} OR EXISTS (SELECT FROM {parent} p WHERE {same}))"
