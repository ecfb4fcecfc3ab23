"""What depends on this column, and how is all of it carried? A catalog goes in, a :class:`Carry` comes out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import psycopg

from truing.names import QualifiedName
from truing.online.carry.model import Carry

ConvertDefault: TypeAlias = Callable[[str | None], str | None]
"""Text of the old column's constant default -> text of the new one's (None: the column gets no default)."""


def survey(
    connection: psycopg.Connection[Any],
    table: QualifiedName,
    column: str,
    new_type: str,
    *,
    new_column: str,
    old_column: str,
    op_id: str,
    convert_default: ConvertDefault | None = None,
) -> Carry:
    """Find out how everything that depends on a column is carried through the swap; change nothing.

    All of it is tried on empty temporary copies, in a transaction that is rolled back, so that what PostgreSQL would
    refuse in the swap is refused now.

    Args:
        connection: of the role that will carry it out.
        table: the table.
        column: the column.
        new_type: its new type.
        new_column: the name of the new column until the swap.
        old_column: the name of the old column from the swap on.
        op_id: the operation's identity, which the names of temporary objects are made from.
        convert_default: converts a constant default; None for the cast to the new type.

    Returns:
        The carry.

    Raises:
        UnsupportedChangeError: something cannot be carried; the message names every such thing, and the field
            ``refusals`` holds them.
    """
    raise NotImplementedError
