"""What depends on this column, and how is all of it carried? A catalog goes in, a :class:`Carry` comes out."""

from __future__ import annotations

from typing import Any

import psycopg

from truing.catalog.dependent import Dependent
from truing.catalog.dependents import column_dependents
from truing.catalog.read import read_table
from truing.errors import UnsupportedChangeError
from truing.names import QualifiedName, ident
from truing.online.carry.columns import ConvertDefault
from truing.online.carry.model import Carry, Part, Refusal
from truing.online.carry.notes import notes as further_notes
from truing.online.carry.work import Work

__all__ = ["ConvertDefault", "survey"]

_SETTINGS = (
    "SELECT pg_catalog.set_config(s.name, s.value, true) FROM (VALUES ('search_path', 'pg_catalog, pg_temp'),"
    " ('client_min_messages', 'warning'), ('lock_timeout', '5s'), ('row_security', 'off')) s (name, value)"
)
_PATH = "SET LOCAL search_path = pg_catalog, pg_temp"


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
        CatalogError: there is no such column, or the catalog could not be read.
    """
    dependents = column_dependents(connection, table, column)
    found = read_table(connection, table)
    if found is None:
        raise UnsupportedChangeError(f"there is no table {table}", hint="Check the name and the schema.")
    with connection.transaction(force_rollback=True):
        connection.execute(_SETTINGS)
        work = Work(connection, found, column, new_type, new_column, old_column, op_id, convert_default)
        parts = work.parts(dependents) if not work.refused(dependents) else ()
        if work.refusals:
            raise _unsupported(table, column, work.refusals)
        return _put_together(work, dependents, parts)


def _put_together(work: Work, dependents: tuple[Dependent, ...], parts: tuple[Part, ...]) -> Carry:
    target = work.target
    notes = [note for part in parts for note in part.notes]
    return Carry(
        table=target.table,
        column=target.column,
        old_type=target.changed.old_type,
        new_type=target.changed.new_type,
        new_column=target.new_column,
        old_column=target.old_column,
        before=tuple(step for part in parts for step in part.before),
        locks=tuple(dict.fromkeys(lock for part in parts for lock in part.locks)),
        view_locks=tuple(statement for part in parts for statement in part.view_locks),
        swap=(_PATH, *_statements(parts, "swap_first", "swap", "swap_last")),
        drop_old_first=tuple(name for part in parts for name in part.drop_old_first),
        rebuild_old=tuple(step for part in parts for step in part.rebuild_old),
        before_unswap=tuple(step for part in parts for step in part.before_unswap),
        unswap=(_PATH, *_statements(parts, "unswap_first", "unswap", "unswap_last")),
        after_unswap=tuple(step for part in parts for step in part.after_unswap),
        notes=(*notes, *further_notes(target, dependents)),
        carried=tuple(carried for part in parts for carried in part.carried),
    )


def _statements(parts: tuple[Part, ...], *fields: str) -> tuple[str, ...]:
    return tuple(statement for field in fields for part in parts for statement in getattr(part, field))


def _unsupported(table: QualifiedName, column: str, refusals: list[Refusal]) -> UnsupportedChangeError:
    reasons = "".join(f"\n  - {refusal}" for refusal in refusals)
    return UnsupportedChangeError(
        f"{table}.{ident(column)} cannot be converted online; nothing was changed:{reasons}",
        hint="Settle each of these, then run the same command again.",
        refusals=tuple(refusals),
    )
