"""The steps of every way back: originals return from the quarantine, and parent rows that truing made go again."""

from __future__ import annotations

from typing import Any

import psycopg

from truing.catalog.model import Constraint, Table
from truing.changes import DropConstraint, Reference
from truing.names import QualifiedName
from truing.online import quarantine
from truing.online.facts import referrers, row_key
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
    gone = (drops.table, drops.name) if drops else None
    users = tuple(each for each in referrers(connection, parent) if (each.table, each.name) != gone)
    statements = quarantine.unmake_parents(op_id, Reference(parent, reference["column"]), users)
    return Step("unmake", f"Remove the rows truing made in {parent}", Plain(statements, loud=True))
