"""What came of one check, before it is put into words: what lint, drift and orm return, alone or in `truing check`."""

from __future__ import annotations

import msgspec

from truing.cli.options import Invocation
from truing.finding import Finding
from truing.report.document import Cell, Column, Table, document, shown


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


class Reviewed(msgspec.Struct, frozen=True, kw_only=True):
    """Parts without what is known already, and what there is to say about that.

    Attributes:
        parts: by check.
        known: how many findings each check had that are known.
        notes: sentences for the summary.
        tables: entries of the baseline that match nothing any more.
        next_steps: what to do about them.
    """

    parts: dict[str, Part]
    known: dict[str, int] = {}
    notes: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    next_steps: tuple[str, ...] = ()


def review(invocation: Invocation, parts: dict[str, Part]) -> Reviewed:
    """Take out of the parts what the baseline knows; first let it know all, if that is asked for.

    Raises:
        ConfigurationError: the baseline cannot be written.
    """
    from truing.baseline import compare, updated, write

    baseline, file = invocation.baseline, invocation.baseline_file
    if baseline is None or file is None:
        return Reviewed(parts=parts)
    notes: list[str] = []
    if invocation.is_narrowed:
        parts = {check: msgspec.structs.replace(part, complete=False) for check, part in parts.items()}
    if invocation.writes_baseline:
        for check, part in parts.items():
            baseline = updated(baseline, check, part.findings, complete=part.complete)
        write(file, baseline)
        notes.append(f"The baseline {shown(str(file))} has {len(baseline.findings):,} now.")
    compared = {check: compare(baseline, check, part.findings, complete=part.complete) for check, part in parts.items()}
    known = {check: each.known for check, each in compared.items()}
    stale = [entry for each in compared.values() for entry in each.stale]
    if sum(known.values()):
        notes.append(f"{sum(known.values()):,} known, not shown.")
    if stale:
        notes.append(f"{len(stale):,} of the baseline no longer found.")
    columns = tuple(Column(name, name) for name in ("check", "rule", "subject", "fingerprint"))
    rows = tuple({column.key: getattr(entry, column.key) for column in columns} for entry in stale)
    return Reviewed(
        parts={check: msgspec.structs.replace(part, findings=compared[check].new) for check, part in parts.items()},
        known=known,
        notes=tuple(notes),
        tables=(Table("stale", "In the baseline, but no longer found", columns, rows),) if stale else (),
        next_steps=("--write-baseline takes out what is no longer found",) if stale else (),
    )


def conclude(invocation: Invocation, command: str, part: Part) -> int:
    """Answer with what one check found.

    Returns:
        The exit code.
    """
    reviewed = review(invocation, {command: part})
    part = reviewed.parts[command]
    return invocation.answer(
        document(
            command,
            findings=part.findings,
            facts=part.facts,
            tables=(*part.tables, *reviewed.tables),
            fail_on=invocation.fail_on,
            notes=reviewed.notes,
            next_steps=reviewed.next_steps,
        )
    )
