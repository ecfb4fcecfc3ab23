"""The document as SARIF 2.1.0, which code scanning of GitHub and Azure and many editors read.

A rule's help is its page. Fingerprints stand in ``partialFingerprints``, also under the name that GitHub compares by.
GitHub refuses a whole file if one result has no file, so what has none (a live table, say) is placed in the file of the
project, and its subject is a logical location.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import PurePath
from typing import Any, Final
from urllib.parse import quote

from truing.finding import Severity
from truing.report.clean import clean
from truing.report.document import Document, ReportedFinding
from truing.report.formats import Rules
from truing.report.json import write
from truing.report.rule_page import page
from truing.report.telling import from_root, numbered, told
from truing.rule import Rule

SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"
HOME: Final = "https://github.com/truing/truing"
LEVELS: Final[Mapping[Severity, str]] = {
    Severity.ERROR: "error",
    Severity.WARNING: "warning",
    Severity.INFO: "note",
}


def encode(document: Document, rules: Rules) -> str:
    """Write the document as SARIF.

    Args:
        document: what to say; plans and tables have no place in SARIF.
        rules: for the help of those that found something.
    """
    names = sorted({finding.rule for finding in document.findings})
    known = rules() if names else {}
    index = {name: number for number, name in enumerate(names)}
    run = {
        "tool": {
            "driver": {
                "name": document.tool.name,
                "version": document.tool.version,
                "informationUri": HOME,
                "rules": [_descriptor(name, known.get(name)) for name in names],
            }
        },
        "automationDetails": {"id": f"truing/{document.command}/"},
        "columnKind": "unicodeCodePoints",
        "invocations": [
            {
                "executionSuccessful": document.verdict != "no answer",
                "exitCode": document.exit_code,
                "toolExecutionNotifications": [
                    {"level": "error", "message": {"text": _plain(clean(f"{check}: {why}", multiline=True))}}
                    for check, why in document.unanswered
                ],
            },
        ],
        "results": list(_results(document, index)),
    }
    return write({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]})


def _descriptor(name: str, rule: Rule | None) -> dict[str, Any]:
    if rule is None:
        return {"id": clean(name), "shortDescription": {"text": clean(name)}}
    return {
        "id": rule.name,
        "shortDescription": {"text": " ".join(rule.docs.what.partition("\n\n")[0].split())},
        "fullDescription": {"text": rule.docs.why},
        "help": {"text": page(rule), "markdown": page(rule)},
        "defaultConfiguration": {"level": LEVELS[rule.severity]},
        "properties": {"tags": [rule.code]},
    }


def _results(document: Document, index: Mapping[str, int]) -> Iterable[dict[str, Any]]:
    for finding, number in numbered(document.findings):
        yield {
            "ruleId": clean(finding.rule),
            "ruleIndex": index[finding.rule],
            "level": LEVELS[finding.severity],
            "message": {"text": _plain(told(finding))},
            "locations": [
                {
                    "physicalLocation": _place(finding, document.project),
                    "logicalLocations": [{"fullyQualifiedName": clean(finding.subject)}],
                }
            ],
            "partialFingerprints": {
                "truing/v1": finding.fingerprint,
                "primaryLocationLineHash": f"{finding.fingerprint}:{number}",
            },
            "properties": {"revision": clean(finding.revision)} if finding.revision else {},
        }


def _plain(text: str) -> str:
    # "[text](target)" in a message is a link (SARIF 3.11.6).
    return text.replace("](", "] (")


def _place(finding: ReportedFinding, project: str) -> dict[str, Any]:
    if finding.location is None:
        return {"artifactLocation": {"uri": _uri(from_root(project))}, "region": {"startLine": 1}}
    line = max(1, finding.location.line)
    return {"artifactLocation": {"uri": _uri(from_root(finding.location.file))}, "region": {"startLine": line}}


def _uri(file: str) -> str:
    path = PurePath(file)
    return ("file://" if path.is_absolute() else "") + quote(path.as_posix().encode("utf-8", "surrogatepass"))
