"""What came of one check, before it is put into words: what lint, drift and orm return, alone or in `truing check`."""

from __future__ import annotations

import msgspec

from truing.cli.options import Invocation
from truing.finding import Finding
from truing.report.document import Cell, Table, document


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """What one check found.

    Attributes:
        findings: any order.
        facts: single results by name.
        tables: rows to show.
        complete: whether it looked at all that it can look at.
    """

    findings: tuple[Finding, ...]
    facts: dict[str, Cell] = {}
    tables: tuple[Table, ...] = ()
    complete: bool = True


def conclude(invocation: Invocation, command: str, part: Part) -> int:
    """Answer with what one check found.

    Returns:
        The exit code.
    """
    return invocation.answer(
        document(command, findings=part.findings, facts=part.facts, tables=part.tables, fail_on=invocation.fail_on)
    )
