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
    SetNotNull,
    ValidateConstraint,
)


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
        ValidateConstraint: lambda c: f"validate {c.name}",
    }
    text = texts.get(type(change))
    return text(change) if text is not None else type(change).__name__
