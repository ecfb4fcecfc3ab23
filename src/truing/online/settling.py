"""Which rows share a key or break a condition, and how are they settled? For unique keys and CHECKs.

In: a table, what is to hold, and a :class:`~truing.changes.Settlement`. Out: the step that looks for such rows and
stops at them, or settles them by the policy and keeps their originals.
"""

from __future__ import annotations

import msgspec

from truing.catalog.model import Table
from truing.changes import DirtyPolicy, Settlement
from truing.errors import SqlSyntaxError, UnsupportedChangeError
from truing.names import ident
from truing.online import quarantine
from truing.online.facts import Referrer, RowKey, require_column, row_key
from truing.plan import Settle, Step

POLICIES: tuple[DirtyPolicy, ...] = ("fail", "quarantine-rows", "null", "map")


class Offenders(msgspec.Struct, frozen=True):
    """Rows that do not fit.

    Attributes:
        look: a query for their keys.
        wrong: the condition of one of them, over alias ``t``.
        reason: what they are called: ``duplicate`` or ``violation``.
        column: the column that is concerned, unless the settlement names one.
        refusal: how a run says that it stops at them.
    """

    look: str
    wrong: str
    reason: str
    column: str
    refusal: str


def settlement(choice: DirtyPolicy | dict[str, str], column: str | None, first: list[str] | None = None) -> Settlement:
    """Read a policy as a revision writes it.

    Args:
        choice: a policy, or ``{"value": sql}``.
        column: the column whose value is replaced.
        first: columns that say which row of several stays.

    Raises:
        UnsupportedChangeError: it is no policy for such rows.
    """
    order = tuple(first or ())
    if isinstance(choice, dict):
        if set(choice) != {"value"}:
            raise UnsupportedChangeError(f"{choice!r} is no policy", hint='Write {"value": "an SQL expression"}.')
        return Settlement("map", column or "", choice["value"], order)
    if choice not in POLICIES or choice == "map":
        known = 'fail, quarantine-rows, null or {"value": sql}'
        raise UnsupportedChangeError(f"policy {choice!r} does not settle such rows", hint=f"Write {known}.")
    return Settlement(choice, column or "", None, order)


def over(expression: str, alias: str, table: Table) -> str:
    """Return an expression over a row of the table, as SQL over another alias; it may name the table or not."""
    return f"(SELECT ({expression}) FROM (SELECT {alias}.*) AS {ident(table.name.name)})"


def violations(table: Table, name: str, expression: str, columns: tuple[str, ...]) -> Offenders | None:
    """Say which rows break a CHECK; None where rows cannot be told apart, so that only PostgreSQL can look."""
    key = _key(table)
    if key is None:
        return None
    wrong = f"{over(expression, 't', table)} IS FALSE"
    return Offenders(
        look=f"SELECT {_columns(key, 't')} FROM {table.name.sql} t WHERE {wrong}",
        wrong=wrong,
        reason="violation",
        column=columns[-1] if columns else key.columns[-1],
        refusal=f"rows of {table.name} break {ident(name)}, CHECK ({expression})",
    )


def duplicates(
    table: Table,
    name: str,
    elements: tuple[str, ...],
    chosen: Settlement,
    *,
    where: str | None = None,
    nulls_not_distinct: bool = False,
) -> Offenders | None:
    """Say which rows have the same key as one before them; None where rows cannot be told apart.

    Args:
        table: the table.
        name: the constraint or index.
        elements: the parts of the key, as CREATE INDEX has them.
        chosen: the settlement, for the order.
        where: the condition of a partial index.
        nulls_not_distinct: whether NULLs are equal to each other.
    """
    key = _key(table)
    if key is None:
        return None
    parts = [_element(table, element) for element in elements]

    def over_row(alias: str) -> tuple[list[str], str]:
        values = [f"{alias}.{ident(text)}" if plain else over(text, alias, table) for text, plain in parts]
        conditions = [] if nulls_not_distinct else [f"{value} IS NOT NULL" for value in values]
        conditions += [over(where, alias, table)] if where else []
        return values, " AND ".join(conditions) or "true"

    order = tuple(dict.fromkeys((*(require_column(table, column).name for column in chosen.first), *key.columns)))
    mine, condition = over_row("t")
    theirs, other = over_row("o")
    equals = "IS NOT DISTINCT FROM" if nulls_not_distinct else "="
    same = " AND ".join(f"{left} {equals} {right}" for left, right in zip(theirs, mine, strict=True))
    numbered = (
        f"SELECT {_columns(key, 't')}, row_number() OVER (PARTITION BY {', '.join(mine)}"
        f" ORDER BY {_list(order, 't')}) AS __truing_n FROM {table.name.sql} t WHERE {condition}"
    )
    plain = [text for text, is_column in parts if is_column]
    return Offenders(
        look=f"SELECT {_columns(key, 'd')} FROM ({numbered}) d WHERE d.__truing_n > 1",
        wrong=(
            f"{condition} AND EXISTS (SELECT FROM {table.name.sql} o WHERE {other} AND {same}"
            f" AND ROW({_list(order, 'o')}) < ROW({_list(order, 't')}))"
        ),
        reason="duplicate",
        column=plain[-1] if plain else key.columns[-1],
        refusal=f"rows of {table.name} have the same ({', '.join(elements)}) as another, which {ident(name)} forbids",
    )


def column_of(found: Offenders | None, chosen: Settlement) -> str:
    """Return the column that the quarantine's entries are about."""
    return chosen.column or (found.column if found is not None else "")


def settle_step(
    op_id: str,
    table: Table,
    found: Offenders | None,
    chosen: Settlement,
    step_id: str = "settle",
    *,
    referrers: tuple[Referrer, ...],
) -> list[Step]:
    """Return the steps that stop at the rows, or settle them; none where only PostgreSQL can look.

    Args:
        op_id: the operation.
        table: the table.
        found: the rows.
        chosen: what becomes of them.
        step_id: the step's name in its plan.
        referrers: the foreign keys that refer to the table.

    Raises:
        UnsupportedChangeError: the policy needs rows that can be told apart, or a column that may hold NULL.
    """
    key = _key(table)
    if found is None or key is None:
        if chosen.policy != "fail":
            row_key(table)
        return []
    if chosen.policy == "fail":
        refusal = f"{found.refusal}; they are: {found.look};"
        look = Settle(found.look, key.columns, key.types, refusal=refusal)
        return [Step(step_id, f"Look for rows that are {_called(found)}", look)]
    column = require_column(table, column_of(found, chosen))
    if chosen.policy == "null" and column.not_null:
        raise UnsupportedChangeError(
            f"{table.name}.{ident(column.name)} is NOT NULL, so policy null cannot settle its rows",
            hint="Choose quarantine-rows, or a value.",
        )
    mend = quarantine.mend(
        op_id,
        table,
        key,
        column.name,
        wrong=found.wrong,
        reason=f"'{found.reason}'",
        policy=chosen.policy,
        value=chosen.value or "",
        referrers=referrers,
    )
    loud = quarantine.loud(table, column.name, chosen.policy, referrers)
    settle = Settle(found.look, key.columns, key.types, mend=mend, loud=loud)
    moves = chosen.policy == "quarantine-rows"
    first = quarantine.refuse_referred(table, key, found.wrong, referrers, step_id) if moves else ()
    return [*first, Step(step_id, f"Settle rows that are {_called(found)}", settle)]


def _called(found: Offenders) -> str:
    return "duplicates" if found.reason == "duplicate" else "in breach"


def _key(table: Table) -> RowKey | None:
    try:
        return row_key(table)
    except UnsupportedChangeError:
        return None


def _columns(key: RowKey, alias: str) -> str:
    return _list(key.columns, alias)


def _list(columns: tuple[str, ...], alias: str) -> str:
    return ", ".join(f"{alias}.{ident(column)}" for column in columns)


def _element(table: Table, element: str) -> tuple[str, bool]:
    """Read one part of a key: a column and True, or an expression and False. Order and operator class do not matter.

    Raises:
        SqlSyntaxError: it is not one part.
    """
    for column in table.columns:
        if element == ident(column.name):
            return column.name, True
    # Reading SQL costs an import that a key of plain columns does not need.
    from truing.sql.parse import deparse_expression, has, parse, unwrap  # noqa: PLC0415

    statements = parse(f"CREATE INDEX ON t ({element})")
    if len(statements) != 1:
        raise SqlSyntaxError(f"not one element of an index: {element}", line=1, column=1)
    node = unwrap(statements[0].node.index_params[0])
    if has(node, "expr"):
        return deparse_expression(node.expr), False
    return require_column(table, str(node.name)).name, True
