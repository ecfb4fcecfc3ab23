"""Every form of a report is well-formed and harmless, whatever stands in it: the forms are read back by what reads them."""

from __future__ import annotations

import io
import json
import re
import unicodedata
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote_to_bytes
from xml.etree import ElementTree as ET

import jsonschema
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from truing.cli.rules import every_rule
from truing.finding import Evidence, Finding, Location, Severity
from truing.locks import LockMode, TableLock
from truing.names import QualifiedName
from truing.plan import Locked, Plan, Step
from truing.report import json as json_report
from truing.report import junit, markdown
from truing.report.clean import clean
from truing.report.console import console, write
from truing.report.document import CHECKS, Column, Document, Table, document
from truing.report.formats import FORMATS, REPORTERS
from truing.report.telling import told

SARIF = json.loads(Path(__file__).with_name("sarif-2.1.0.json").read_text())
PIECES = (
    "'", '"', "\n", "\r", "\x1b[31m", "<script>alert(1)</script>", "::error::", "\n::add-mask::x", "::stop-commands::t",
    "##[error]", "##vso[task.complete]", "]]>", "-->", "|", "\x00", "\x07", "\x0c", "\x7f", "\x9b5m", "\u202e", "\u2066",
    "\u200b", "\ufeff", "\ufffe", "\ud800", "\udcff", "\u2028", "`", "```", "\n```\n", "**b**", "[a](https://x.org)",
    "![i](u)", "@somebody", "https://x.org", "www.x.org", "%0A", "%", ",", ":", "=", "{0}", "\\", "&amp;", "&", "$x$", "~~s~~",
    "- x", "1. x", "# h", "    x", "\t", "é", "漢", "🎉", "x", " ", "a.py",
)  # fmt: skip
TEXT = st.lists(
    st.sampled_from(PIECES) | st.text(st.characters(codec=None, categories=None), max_size=3), max_size=5
).map("".join)
NAME = TEXT.map(lambda text: text.encode("utf-8", "ignore").decode().replace("\0", "")[:15] or "t")
"""What PostgreSQL takes as a name."""
COMMANDS = [
    "add-mask",
    "add-matcher",
    "add-path",
    "debug",
    "echo",
    "endgroup",
    "error",
    "group",
    "notice",
    "remove-matcher",
    "save-state",
    "set-env",
    "set-output",
    "stop-commands",
    "warning",
]
UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"}


@st.composite
def documents(draw) -> Document:
    """A document in which a text from outside stands wherever one can stand."""
    found = draw(st.lists(findings(), max_size=4))
    lock = TableLock(QualifiedName(draw(NAME), draw(NAME)), LockMode.SHARE)
    step = Step("s", draw(TEXT), Locked((lock,), (draw(TEXT),)))
    plan = Plan("op", draw(TEXT), lock.table, (step,), notes=(draw(TEXT),))
    columns = (Column("a", draw(TEXT)), Column("b", "b"))
    table = Table("t", draw(TEXT), columns, ({"a": draw(TEXT), "b": 1}, {"a": None}), note=draw(TEXT))
    return document(
        draw(TEXT),
        findings=found,
        plans=[plan],
        tables=[table],
        facts={draw(TEXT): draw(TEXT)},
        summary=draw(TEXT),
        next_steps=[draw(TEXT)],
        fail_on=draw(st.sampled_from(["info", "warning", "error", "never"])),
    )


@st.composite
def findings(draw) -> Finding:
    return Finding(
        rule=draw(TEXT | st.just("forbidden-table-reference")),
        severity=draw(st.sampled_from(list(Severity))),
        subject=draw(TEXT),
        message=draw(TEXT),
        location=draw(st.none() | st.builds(Location, TEXT, st.integers(1, 10**6))),
        evidence=tuple(draw(st.lists(st.builds(Evidence, TEXT, TEXT, TEXT), max_size=2))),
        remedy=draw(TEXT),
        revision=draw(TEXT),
    )


def everywhere(text: str) -> Document:
    one = Finding(
        rule=text, severity=Severity.ERROR, subject=text, message=text, location=Location(text, 3),
        evidence=(Evidence(text, text, text),), remedy=text, revision=text,
    )  # fmt: skip
    table = Table("t", text, (Column("a", text),), ({"a": text},), note=text)
    return document(text, findings=[one], tables=[table], facts={text: text}, summary=text, next_steps=[text])


def written(doc: Document, form: str) -> str:
    reporter = REPORTERS[form]
    if reporter.takes == "console":
        out = io.StringIO()
        reporter.load()(doc, console(out, width=80))
        return out.getvalue()
    return reporter.load()(doc, every_rule) if reporter.takes == "rules" else reporter.load()(doc)


def command(line: str) -> tuple[str, dict[str, str], str] | None:
    """Read a line of a log as GitHub's runner does; None where it is no command."""
    if "##[" in line:
        return "##", {}, line
    line = line.lstrip()
    end = line.find("::", 2)
    if not line.startswith("::") or end < 0:
        return None
    name, _, properties = line[2:end].partition(" ")
    if name.lower() not in COMMANDS:
        return None

    def plain(text: str, pairs: str) -> str:
        for pair in pairs.split():
            text = text.replace(pair, chr(int(pair[1:], 16)))
        return text

    split = dict(each.split("=", 1) for each in properties.split(",") if "=" in each)
    values = {key.strip(): plain(value, "%0D %0A %3A %2C %25") for key, value in split.items()}
    return name, values, plain(line[end + 2 :], "%0D %0A %25")


def parsed(xml: str) -> ET.Element:
    return ET.fromstring(xml)  # noqa: S314 - our own


@pytest.mark.parametrize("form", FORMATS)
@settings(max_examples=60, deadline=None)
@given(doc=documents())
@example(doc=everywhere("".join(PIECES)))
@example(doc=everywhere("::error file=a::b\n  ::add-mask::c"))
def test_nothing_in_it_does_harm(form, doc):
    text = written(doc, form)
    text.encode()
    assert {
        character for character in text if character not in " \n" and unicodedata.category(character) in UNSEEN
    } == set()
    if form != "github":
        assert [line for line in text.splitlines() if command(line)] == []


@settings(max_examples=60, deadline=None)
@given(doc=documents())
@example(doc=everywhere("".join(PIECES)))
def test_sarif_keeps_to_the_schema(doc):
    decoded = json.loads(written(doc, "sarif"))
    jsonschema.validate(decoded, SARIF)
    (run,) = decoded["runs"]
    assert len(run["results"]) == len(doc.findings)
    for finding, result in zip(doc.findings, run["results"], strict=True):
        assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"] == clean(finding.rule)
        place = result["locations"][0]["physicalLocation"]
        file = finding.location.file if finding.location else "pyproject.toml"
        uri = place["artifactLocation"]["uri"].removeprefix("file://")
        assert uri.isascii()
        # A path is not kept to the character ("a//b" is "a/b"), but what is in its parts is.
        assert unquote_to_bytes(uri).decode("utf-8", "surrogatepass").replace("/", "") in (
            file.replace("/", ""),
            ".",
            "",
        )
        assert result["locations"][0]["logicalLocations"] == [{"fullyQualifiedName": clean(finding.subject)}]
    hashes = [each["partialFingerprints"]["primaryLocationLineHash"] for each in run["results"]]
    assert len(set(hashes)) == len(hashes)


def test_sarif_has_the_page_of_a_rule():
    doc = document(
        "lint",
        findings=[
            Finding(rule="forbidden-table-reference", severity=Severity.WARNING, subject="s", message="m [x](y)")
        ],
    )
    (run,) = json.loads(written(doc, "sarif"))["runs"]
    (rule,) = run["tool"]["driver"]["rules"]
    assert "## Why is this bad?" in rule["help"]["markdown"]
    assert rule["defaultConfiguration"] == {"level": "error"}
    (result,) = run["results"]
    assert (result["level"], result["message"]["text"]) == ("warning", "m [x] (y)")
    assert result["partialFingerprints"]["truing/v1"] == doc.findings[0].fingerprint


@pytest.mark.parametrize(
    "broken",
    [
        {"runs": []},
        {"version": "2.1.0", "runs": [{}]},
        {"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "x"}}, "results": [{}]}]},
        {
            "version": "2.1.0",
            "runs": [{"tool": {"driver": {"name": "x"}}, "results": [{"message": {"text": "x"}, "level": "bad"}]}],
        },
        {"version": "2.1.0", "runs": [], "own": 1},
    ],
)
def test_the_sarif_schema_refuses_what_is_not_sarif(broken):
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(broken, SARIF)


@settings(max_examples=60, deadline=None)
@given(doc=documents())
@example(doc=everywhere("".join(PIECES)))
def test_json_keeps_to_its_schema(doc):
    jsonschema.validate(json.loads(written(doc, "json")), json.loads(json_report.SCHEMA_FILE.read_text()))


@settings(max_examples=60, deadline=None)
@given(doc=documents())
@example(doc=everywhere("".join(PIECES)))
@example(doc=everywhere("x" * 128))
def test_github_reads_one_command_for_each_finding(doc):
    *lines, last = written(doc, "github").splitlines()
    assert command(last) is None
    assert len(lines) == len(doc.findings)
    for finding, line in zip(doc.findings, lines, strict=True):
        name, values, message = command(line)
        assert name == {"error": "error", "warning": "warning", "info": "notice"}[finding.severity.value]
        assert message == told(finding)
        title = clean(f"{finding.rule}: {finding.subject}")
        assert values["title"] == (title if len(title) <= 255 else f"{title[:252]}...")
        assert values.get("file") == (clean(finding.location.file) if finding.location else None)


@settings(max_examples=60, deadline=None)
@given(doc=documents())
@example(doc=everywhere("".join(PIECES)))
def test_gitlab_reads_every_finding(doc):
    decoded = json.loads(written(doc, "gitlab"))
    assert len({each["fingerprint"] for each in decoded}) == len(decoded) == len(doc.findings)
    for finding, each in zip(doc.findings, decoded, strict=True):
        assert set(each) == {"description", "check_name", "fingerprint", "severity", "location"}
        assert each["severity"] in {"info", "minor", "major"}
        assert each["location"]["lines"]["begin"] == (finding.location.line if finding.location else 1)
        assert each["location"]["path"]


@settings(max_examples=60, deadline=None)
@given(doc=documents())
@example(doc=everywhere("".join(PIECES)))
def test_junit_is_xml_with_a_case_for_each_finding(doc):
    root = parsed(written(doc, "junit"))
    (suite,) = root
    failing = [
        each for each in doc.findings if doc.fail_on != "never" and each.severity.rank >= Severity(doc.fail_on).rank
    ]
    assert int(root.get("tests")) == len(suite.findall("testcase")) == max(1, len(doc.findings))
    assert int(suite.get("failures")) == len(suite.findall("testcase/failure")) == len(failing)
    for finding, case in zip(doc.findings, suite, strict=bool(doc.findings)):
        assert case.get("name") == clean(f"{finding.rule}: {finding.subject}")
        assert (case.findtext("failure") or case.findtext("system-out") or "").endswith(told(finding))


def test_junit_has_a_case_for_each_check():
    columns = tuple(Column(key, key) for key in ("check", "status", "why"))
    rows = (
        {"check": "lint", "status": "in true", "seconds": 1.5},
        {"check": "drift", "status": "skipped", "why": "nobody <asked>"},
        {"check": "orm", "status": "no answer", "why": "no\x00 connection"},
    )
    suite = parsed(junit.encode(document("check", tables=[Table(CHECKS, "Checks", columns, rows)])))[0]
    assert [(case.get("name"), [each.tag for each in case]) for case in suite] == [
        ("lint", []), ("drift", ["skipped"]), ("orm", ["error"]),
    ]  # fmt: skip
    assert (suite.get("errors"), suite.get("skipped"), suite.get("tests")) == ("1", "1", "3")
    assert suite[2][0].get("message") == r"no\x00 connection"


def test_a_check_without_an_answer_is_said_to_github_and_in_sarif():
    columns = tuple(Column(key, key) for key in ("check", "status", "why"))
    row = {"check": "orm", "status": "no answer", "why": "nobody\nthere: 50%"}
    doc = document("check", tables=[Table(CHECKS, "Checks", columns, (row,))], unanswered=["orm"])
    assert (doc.verdict, doc.exit_code) == ("no answer", 2)
    first, last = written(doc, "github").splitlines()
    assert command(first) == ("error", {"title": "no answer from orm"}, "nobody\nthere: 50%")
    assert last == "truing check: No findings. No answer: orm."
    decoded = json.loads(written(doc, "sarif"))
    jsonschema.validate(decoded, SARIF)
    (invocation,) = decoded["runs"][0]["invocations"]
    assert not invocation["executionSuccessful"]
    assert invocation["toolExecutionNotifications"][0]["message"]["text"] == "orm: nobody\nthere: 50%"


class Html(HTMLParser):
    """Tags, and the text of each table cell, of what Markdown was turned into."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.cells: list[str] = []
        self._open = False
        self.feed(html)

    def handle_starttag(self, tag, attrs):  # noqa: ARG002 - html.parser's signature
        self.tags.add(tag)
        if tag == "td":
            self.cells.append("")
        self._open = tag == "td" or (self._open and tag == "b")

    def handle_endtag(self, tag):
        self._open = self._open and tag != "td"

    def handle_data(self, data):
        if self._open:
            self.cells[-1] += data


OURS = {
    "h2",
    "h3",
    "p",
    "table",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
    "ul",
    "ol",
    "li",
    "b",
    "details",
    "summary",
    "pre",
    "code",
}


def flat(text: str) -> str:
    return " ".join(text.split())


@settings(max_examples=60, deadline=None)
@given(doc=documents())
@example(doc=everywhere("".join(PIECES)))
@example(doc=everywhere("```\n</details><script>\n- x"))
def test_markdown_shows_what_was_said_and_nothing_else(doc):
    source = written(doc, "markdown")
    html = Html(MarkdownIt("gfm-like", {"linkify": False, "html": True}).render(source))
    assert html.tags <= OURS
    cells = html.cells[2 * len(doc.tables[0].columns) * bool(doc.plans) or 1 :]
    assert len(cells) == 4 * len(doc.findings)
    for number, finding in enumerate(doc.findings):
        severity, rule, what, _ = cells[4 * number : 4 * number + 4]
        assert severity == finding.severity.value
        assert flat(rule) == flat(clean(finding.rule, longest=markdown.LONGEST))
        subject = (
            "" if finding.message.startswith(finding.subject) else clean(finding.subject, longest=markdown.LONGEST)
        )
        said = f"{subject.strip()} {clean(finding.message, longest=markdown.LONGEST)}"
        assert flat(what) == flat(said)
    outside = re.sub(r"^(`{3,})text\n.*?\n\1$", "", source, flags=re.MULTILINE | re.DOTALL)
    assert not re.search(r"@\w|://|www\.", outside)


def test_every_form_can_be_written_to_a_file(tmp_path):
    for form in FORMATS:
        write(everywhere("漢"), form, tmp_path / form, every_rule)
        assert (tmp_path / form).read_text()


@pytest.mark.parametrize(
    ("file", "named"),
    [
        ("migrations/versions/1.py", "services/shop/migrations/versions/1.py"),
        ("../lib/models.py", "services/lib/models.py"),
        ("{root}/lib/models.py", "lib/models.py"),
        ("/elsewhere/models.py", "/elsewhere/models.py"),
    ],
    ids=["below", "beside", "above", "elsewhere"],
)
@pytest.mark.parametrize("repository", [True, False], ids=["repository", "none"])
def test_code_hosts_read_files_from_the_root_of_the_repository(tmp_path, monkeypatch, file, named, repository):
    here = tmp_path / "services" / "shop"
    here.mkdir(parents=True)
    if repository:
        (tmp_path / ".git").touch()
    monkeypatch.chdir(here)
    file = file.format(root=tmp_path)
    one = Finding(rule="r", severity=Severity.ERROR, subject="s", message="m", location=Location(file, 3))
    doc = document("lint", findings=[one])
    expected = named if repository else doc.findings[0].location.file
    assert command(written(doc, "github").splitlines()[0])[1]["file"] == expected
    assert json.loads(written(doc, "gitlab"))[0]["location"]["path"] == expected
    place = json.loads(written(doc, "sarif"))["runs"][0]["results"][0]["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"].removeprefix("file://") == expected
    assert written(doc, "concise").startswith(doc.findings[0].location.file)


@pytest.mark.parametrize("where", ["findings", "details", "tables"])
def test_markdown_fits_into_a_comment(where):
    long = "漢*" * 3_000
    remedy = long if where == "details" else ""
    found = [
        Finding(rule="r", severity=Severity.ERROR, subject=f"s{n}", message="m" if remedy else long, remedy=remedy)
        for n in range(300)
    ]
    rows = tuple({"a": long} for _ in range(300))
    tables = [Table(f"t{n}", "Title", (Column("a", "a"),), rows) for n in range(9)] if where == "tables" else []
    text = written(document("check", findings=found, tables=tables, facts={"kept": "fact"}), "markdown")
    assert len(text) < 65_536
    assert len(text) > 15_000
    assert "300 findings" in text
    assert "- kept: fact" in text
    more = re.search(r"\.\.\. and (\d+) more\.", text)
    assert int(more[1]) + text.count("| error | r |") == 300
    assert (more[1] == "200") is (where == "details")
    assert ("more tables, which" in text) is (where == "tables")
    assert ("more details, which" in text) is (where == "details")
