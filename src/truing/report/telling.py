"""What does a finding say where there is one field for all of it? Message, evidence and remedy as lines of text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from os.path import normpath
from pathlib import Path, PurePath

from truing.report.clean import clean
from truing.report.document import ReportedFinding


def told(finding: ReportedFinding) -> str:
    """Write all that a finding says, harmless, with line breaks."""
    lines = [finding.message]
    lines += [f"{each.label}: {each.value}" for each in finding.evidence]
    lines += [f"instead: {finding.remedy}"] if finding.remedy else []
    return clean("\n".join(lines), multiline=True)


def from_root(file: str) -> str:
    """Name a file from the root of its repository, where it is in one: by that, code hosts know a file.

    Args:
        file: as the document has it, from the working directory.
    """
    here = Path.cwd()
    root = next((folder for folder in (here, *here.parents) if (folder / ".git").exists()), here)
    path = PurePath(normpath(here / file))
    return file if root == here or not path.is_relative_to(root) else path.relative_to(root).as_posix()


def subject_apart(finding: ReportedFinding) -> str:
    """Return the subject where the message does not begin with it; else nothing, as it is said already."""
    return "" if finding.message.startswith(finding.subject) else finding.subject


def numbered(findings: Iterable[ReportedFinding]) -> Iterator[tuple[ReportedFinding, int]]:
    """Count findings of one fingerprint from 1, for readers that keep only the first of each."""
    seen: dict[str, int] = {}
    for finding in findings:
        seen[finding.fingerprint] = seen.get(finding.fingerprint, 0) + 1
        yield finding, seen[finding.fingerprint]
