"""The steps of every way back: originals return from the quarantine, and parent rows that truing made go again."""

from __future__ import annotations

from typing import Any

import psycopg

from truing.catalog.model import Constraint, Table
from truing.changes import DropConstraint, Reference
from truing.names import QualifiedName
from truing.online import quarantine
from truing.online.facts import row_key
from truing.plan import Plain, Settle, Step


def give_back_steps(
    op_id: str, table: Table, column: str, *, and_values: bool = True, parents: tuple[Constraint, ...] = ()
) -> list[Step]:
    """Return the step that gives back what an operation keeps in the quarantine; see :func:`quarantine.give_back`."""
    key = row_key(table)
    return [
        Step(
            "give back",
            "Give back the originals",
            Settle(
                quarantine.pending(op_id, key),
                key.columns,
                key.types,
                mend=quarantine.give_back(op_id, table, key, column, and_values=and_values, parents=parents),
                limit=1_000_000,
            ),
        )
    ]


def unmake_step(
    op_id: str, connection: psycopg.Connection[Any], reference: dict[str, Any], drops: DropConstraint | None = None
) -> Step:
    """Return the step that removes the parent rows an operation made and nobody uses any more."""
    parent = QualifiedName(reference["table"]["schema"], reference["table"]["name"])
    inbound = connection.execute(
        "SELECT n.nspname, c.relname, a.attname FROM pg_constraint f JOIN pg_class c ON c.oid = f.conrelid"
        " JOIN pg_namespace n ON n.oid = c.relnamespace"
        " JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = f.conkey[1]"
        " WHERE f.contype = 'f' AND f.confrelid = %s::regclass AND f.conname <> %s ORDER BY 1, 2, 3",
        (parent.sql, drops.name if drops else ""),
    ).fetchall()
    users = tuple((QualifiedName(schema, name), column) for schema, name, column in inbound)
    statement = quarantine.unmake_parents(op_id, Reference(parent, reference["column"]), users)
    return Step("unmake", f"Remove the rows truing made in {parent}", Plain((statement,)))
