"""What is a change called, and what is said of rows that a later look may find settled?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from truing.audit.pending import Touch
from truing.audit.probes.probe import Outcome, Probe
from truing.changes import (
    AddCheck,
    AddColumn,
    AddForeignKey,
    AddUnique,
    AlterColumnType,
    AnyChange,
    CreateIndex,
    DropColumn,
    RenameColumn,
    SetNotNull,
    ValidateConstraint,
)
from truing.names import ident


def soften(probe: Probe, touch: Touch) -> Probe:
    """Say of refused rows that an earlier pending statement may settle them."""
    unless = f"unless the {touch.what} of line {touch.source.location.line} settles them"
    return msgspec.structs.replace(
        probe,
        outcomes={
            name: Outcome("unsettled", f"{outcome.fate}, {unless}", outcome.policy)
            if outcome.verdict == "refused"
            else outcome
            for name, outcome in probe.outcomes.items()
        },
        otherwise=soften(probe.otherwise, touch) if probe.otherwise is not None else None,
    )


def created(revision: str) -> str:
    """Say that something does not exist yet."""
    return f"created by pending revision {revision}: nothing to audit yet"


def kept(column: str) -> tuple[str, str]:
    """Say what goes with a column that an online type change keeps, and what to do instead."""
    why = (
        f"{ident(column)} keeps the original values of an online type change: without it there is no way back, and the"
        " triggers that write to it make every INSERT fail"
    )
    remedy = (
        "Leave it. When nobody will go back any more: op.contract_column_online(table, column), which keeps the few"
        " originals that are needed."
    )
    return why, remedy


def describe(change: AnyChange) -> str:
    """Say what a change is, for a person."""
    texts: dict[type, Callable[[Any], str]] = {
        AlterColumnType: lambda c: f"{c.column} → {c.type}",
        SetNotNull: lambda c: f"{c.column} NOT NULL",
        AddForeignKey: lambda c: f"{c.name or 'FOREIGN KEY'}: {', '.join(c.columns)} → {c.references}",
        AddUnique: lambda c: f"{'PRIMARY KEY' if c.primary else 'UNIQUE'} ({', '.join(c.columns)})",
        AddCheck: lambda c: f"CHECK {c.name or c.expression}",
        CreateIndex: lambda c: f"{'UNIQUE ' if c.unique else ''}INDEX ({', '.join(c.elements)})",
        AddColumn: lambda c: f"add {c.column} {c.type}",
        DropColumn: lambda c: f"drop {ident(c.column)}",
        RenameColumn: lambda c: f"rename {ident(c.column)}",
        ValidateConstraint: lambda c: f"validate {c.name}",
    }
    text = texts.get(type(change))
    return text(change) if text is not None else type(change).__name__
