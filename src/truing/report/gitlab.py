"""The document as a Code Quality report of GitLab, which shows findings in merge requests.

GitLab wants a file for every finding, and tells findings apart by their fingerprints alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from pathlib import PurePath
from typing import Final

from truing.finding import Severity
from truing.report.clean import clean
from truing.report.document import Document
from truing.report.json import write
from truing.report.telling import from_root, numbered, subject_apart, told

SEVERITIES: Final[Mapping[Severity, str]] = {
    Severity.ERROR: "major",
    Severity.WARNING: "minor",
    Severity.INFO: "info",
}


def encode(document: Document) -> str:
    """Write the findings as GitLab's JSON."""
    return write(
        [
            {
                "description": ": ".join(filter(None, (clean(subject_apart(finding)), told(finding)))),
                "check_name": clean(finding.rule),
                "fingerprint": _unique(finding.fingerprint, number),
                "severity": SEVERITIES[finding.severity],
                "location": {
                    "path": _path(finding.location.file if finding.location else document.project),
                    "lines": {"begin": max(1, finding.location.line) if finding.location else 1},
                },
            }
            for finding, number in numbered(document.findings)
        ]
    )


def _path(file: str) -> str:
    return PurePath(from_root(file)).as_posix()


def _unique(fingerprint: str, number: int) -> str:
    return fingerprint if number == 1 else sha256(f"{fingerprint}:{number}".encode()).hexdigest()[:16]
