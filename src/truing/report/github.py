"""The document as workflow commands of GitHub Actions: findings become annotations of the lines that cause them.

A command is a line of its own; what would end it or begin another is escaped as GitHub documents it ("Workflow
commands for GitHub Actions"). GitHub shows ten annotations of each level for a step; the log has them all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from truing.finding import Severity
from truing.report.clean import clean
from truing.report.document import Document, ReportedFinding
from truing.report.telling import from_root, told

COMMANDS: Final[Mapping[Severity, str]] = {
    Severity.ERROR: "error",
    Severity.WARNING: "warning",
    Severity.INFO: "notice",
}


LONGEST_TITLE: Final = 255
"""Characters that GitHub takes; of a message it shows 4,096."""


def encode(document: Document) -> str:
    """Write one command for each finding, and the summary as a line of the log."""
    lines = [_annotation(finding) for finding in document.findings]
    lines += [_command("error", why, title=f"no answer from {check}") for check, why in document.unanswered]
    return "".join(f"{line}\n" for line in [*lines, f"truing {clean(document.command)}: {clean(document.summary)}"])


def _annotation(finding: ReportedFinding) -> str:
    place = {"file": from_root(finding.location.file), "line": str(finding.location.line)} if finding.location else {}
    title = clean(f"{finding.rule}: {finding.subject}")
    title = title if len(title) <= LONGEST_TITLE else f"{title[: LONGEST_TITLE - 3]}..."
    return _command(COMMANDS[finding.severity], told(finding), **place, title=title)


def _command(name: str, message: str, **properties: str) -> str:
    told_properties = ",".join(f"{key}={_property(clean(value))}" for key, value in properties.items())
    return f"::{name} {told_properties}::{_data(clean(message, multiline=True))}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
