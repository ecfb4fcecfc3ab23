"""The document as JUnit XML, which nearly every CI system shows: a test case for each finding, failed where it counts.

A document without findings is one test case that passed; one of several checks (``truing check``) has a case for each.
The file is ASCII, and what XML cannot hold has become visible before.
"""

from __future__ import annotations

from xml.etree import ElementTree as ET

from truing.finding import Severity
from truing.report.clean import clean
from truing.report.document import CHECKS, Document, ReportedFinding, Table
from truing.report.telling import told


def encode(document: Document) -> str:
    """Write the document as XML."""
    suite = ET.Element("testsuite", name=f"truing {clean(document.command)}")
    for finding in document.findings:
        _finding(suite, document, finding)
    for table in document.tables:
        if table.id == CHECKS:
            _checks(suite, document, table)
    if len(suite) == 0:
        _case(suite, document, document.summary or "in true")
        if document.verdict != "true":
            ET.SubElement(suite[0], "failure", message=clean(document.summary))
    for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(attribute, str(len(suite.findall(f"testcase/{tag}"))))
    suite.set("tests", str(len(suite.findall("testcase"))))
    suite.set("time", _seconds(document.facts.get("seconds")))
    root = ET.Element("testsuites", {key: value for key, value in suite.attrib.items() if key != "name"})
    root.append(suite)
    ET.indent(root)
    written: bytes = ET.tostring(root, encoding="us-ascii", xml_declaration=True)
    return written.decode("ascii") + "\n"


def _case(suite: ET.Element, document: Document, name: str) -> ET.Element:
    return ET.SubElement(suite, "testcase", classname=f"truing.{clean(document.command)}", name=clean(name))


def _finding(suite: ET.Element, document: Document, finding: ReportedFinding) -> None:
    case = _case(suite, document, f"{finding.rule}: {finding.subject}")
    case.set("classname", f"{case.get('classname')}.{clean(finding.rule)}")
    if finding.location:
        case.set("file", clean(finding.location.file))
        case.set("line", str(finding.location.line))
    if document.fail_on != "never" and finding.severity.rank >= Severity(document.fail_on).rank:
        failure = ET.SubElement(case, "failure", type=finding.severity.value, message=clean(finding.message))
        failure.text = told(finding)
    else:
        ET.SubElement(case, "system-out").text = f"{finding.severity}: {told(finding)}"


def _checks(suite: ET.Element, document: Document, table: Table) -> None:
    for row in table.rows:
        case = _case(suite, document, str(row["check"]))
        case.set("time", _seconds(row.get("seconds")))
        why = clean(str(row.get("why") or ""))
        if row["status"] == "skipped":
            ET.SubElement(case, "skipped", message=why)
        elif row["status"] == "no answer":
            ET.SubElement(case, "error", message=why)


def _seconds(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, int | float) else "0"
