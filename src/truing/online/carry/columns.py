"""How are the column's own properties carried: default, sequence, grants, comment, statistics settings?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias

import psycopg
from psycopg.rows import tuple_row

from truing.catalog.model import Column, Sequence
from truing.locks import LockMode
from truing.names import ident, literal
from truing.online.carry.grants import AccessList, column_grants
from truing.online.carry.model import Carried, Part
from truing.online.carry.target import Target, comment_on
from truing.sql.parse import kind, parse_expression, walk

ConvertDefault: TypeAlias = Callable[[str | None], str | None]
"""Text of the old column's constant default -> text of the new one's (None: the column gets no default)."""

_CONSTANT: Final = {"A_Const", "TypeCast", "TypeName", "String", "Integer", "Float", "Boolean", "BitString", "Node"}


def is_constant(expression: str) -> bool:
    """Tell whether a default is a constant, as PostgreSQL prints one: ``'x'::text``, ``'-1'::integer``."""
    kinds = {kind(node) for node in walk(parse_expression(expression))}
    return kinds <= _CONSTANT


def converted_default(
    connection: psycopg.Connection[Any], default: str, new_type: str, convert: ConvertDefault | None
) -> str | None:
    """Return the default of the new column.

    Args:
        connection: to evaluate a constant with.
        default: the old column's default.
        new_type: the new column's type.
        convert: converts the text of a constant; None for the cast.

    Returns:
        An expression; None for no default.
    """
    if not is_constant(default):
        return f"({default})::{new_type}"
    # Evaluated now: a constant that the new type cannot hold would fail every INSERT after the swap.
    cast = f"::{new_type}" if convert is None else ""
    row = connection.cursor(row_factory=tuple_row).execute(f"SELECT (({default}){cast})::text".encode()).fetchone()
    text = row[0] if row else None
    if convert is not None:
        text = convert(text)
    return None if text is None else f"{literal(text).strip()}::{new_type}"


def carry_default(target: Target, default: str, new_default: str | None) -> Part:
    """Carry a default."""

    def set_default(column: str, expression: str | None) -> str:
        action = "DROP DEFAULT" if expression is None else f"SET DEFAULT {expression}"
        return target.alter(f"ALTER COLUMN {ident(column)} {action}")

    return Part(
        swap=(set_default(target.old_column, None), set_default(target.column, new_default)),
        unswap=(set_default(target.new_column, None), set_default(target.column, default)),
        carried=(Carried("default", target.column_sql, "converted in the swap", new_default or "(none)"),),
    )


def carry_sequence(target: Target, sequence: Sequence) -> Part:
    """Carry a sequence that goes with the column (``serial``): it must not go when the old column does."""
    own = f"ALTER SEQUENCE {sequence.name.sql} OWNED BY {target.column_sql}"
    notes = []
    if sequence.type != target.changed.new_type and target.changed.new_type in ("smallint", "integer", "bigint"):
        notes.append(
            f"sequence {sequence.name.sql} goes on counting as {sequence.type}; let it count as"
            f" {target.changed.new_type} in a revision of its own: ALTER SEQUENCE ... AS {target.changed.new_type}"
        )
    carried = Carried("sequence", sequence.name.sql, "owned by the new column from the swap on")
    return Part(swap=(own,), unswap=(own,), notes=tuple(notes), carried=(carried,))


def carry_properties(target: Target, column: Column, access: AccessList, current_role: str) -> Part:
    """Carry the grants, the comment and the statistics settings of the column."""
    grants = column_grants(target.table, access, target.column, current_role)
    comment = comment_on(f"COLUMN {target.column_sql}", column.comment)
    settings = _settings(target, column, target.new_column)
    title = "Set the statistics target and options of the new column"
    step = target.locked("column-settings", title, *settings, mode=LockMode.SHARE_UPDATE_EXCLUSIVE)
    told = {
        "column grants": ("granted in the swap", grants),
        "comment": ("set in the swap", comment),
        "statistics settings": ("set before the swap", settings),
    }
    return Part(
        before=(step,) if settings else (),
        swap=(*grants, *comment),
        # Also where the old column kept them: it may have been dropped and made again meanwhile.
        unswap=(*grants, *comment, *_settings(target, column, target.column)),
        carried=tuple(Carried(what, target.column_sql, how) for what, (how, some) in told.items() if some),
    )


def _settings(target: Target, column: Column, name: str) -> tuple[str, ...]:
    settings = []
    if column.statistics is not None:
        settings.append(target.alter(f"ALTER COLUMN {ident(name)} SET STATISTICS {column.statistics}"))
    if column.options:
        options = (option.partition("=") for option in column.options)
        listed = ", ".join(f"{ident(option)} = {literal(value).strip()}" for option, _, value in options)
        settings.append(target.alter(f"ALTER COLUMN {ident(name)} SET ({listed})"))
    return tuple(settings)
