"""What does a finding say where there is one field for all of it? Message, evidence and remedy as lines of text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from truing.report.clean import clean
from truing.report.document import ReportedFinding


def told(finding: ReportedFinding) -> str:
    """Write all that a finding says, harmless, with line breaks."""
    lines = [finding.message]
    lines += [f"{each.label}: {each.value}" for each in finding.evidence]
    lines += [f"instead: {finding.remedy}"] if finding.remedy else []
    return clean("\n".join(lines), multiline=True)


def subject_apart(finding: ReportedFinding) -> str:
    """Return the subject where the message does not begin with it; else nothing, as it is said already."""
    return "" if finding.message.startswith(finding.subject) else finding.subject


def numbered(findings: Iterable[ReportedFinding]) -> Iterator[tuple[ReportedFinding, int]]:
    """Count findings of one fingerprint from 1, for readers that keep only the first of each."""
    seen: dict[str, int] = {}
    for finding in findings:
        seen[finding.fingerprint] = seen.get(finding.fingerprint, 0) + 1
        yield finding, seen[finding.fingerprint]
