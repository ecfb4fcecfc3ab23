"""Reports are read by people and by programs; nothing that comes from a database can do harm in them."""

from __future__ import annotations

import io
import itertools
import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
from rich.cells import cell_len
from rich.console import Console

from truing.errors import UsageError
from truing.finding import Evidence, Finding, Location, Severity
from truing.locks import LockMode, TableLock
from truing.names import QualifiedName
from truing.plan import Batches, Concurrent, Locked, Plain, Plan, Settle, Step
from truing.report import json as json_report
from truing.report.clean import clean
from truing.report.console import console, write
from truing.report.document import Column, Table, document
from truing.report.terminal import cell, render_concise, render_full

HOSTILE = "x\x1b[31mred\x1b]0;title\x07\r\n[bold]markup[/bold] \u202eback\x00\xa0\u200b:smile: \"'\ud800\x9b5m"
PROFILES = QualifiedName("app", "profiles")


def finding(severity: Severity = Severity.ERROR, subject: str = "app.profiles", message: str = "is wrong", **more):
    return Finding(rule="some-rule", severity=severity, subject=subject, message=message, **more)


def plan(title: str = "Convert app.profiles.tenant_id to uuid") -> Plan:
    lock = TableLock(PROFILES, LockMode.ACCESS_EXCLUSIVE)
    share = TableLock(PROFILES, LockMode.SHARE_UPDATE_EXCLUSIVE)
    actions = (
        Locked((lock,), ("ALTER TABLE app.profiles ADD COLUMN x uuid",)),
        Plain(("INSERT INTO t VALUES (1)",)),
        Batches(PROFILES, ("id",), ("uuid",), "UPDATE app.profiles SET x = 1 WHERE {range}"),
        Concurrent("CREATE INDEX CONCURRENTLY i ON app.profiles (x)"),
        Settle("SELECT id FROM t", ("id",), ("uuid",), "UPDATE t"),
        Locked((share,), ("ALTER TABLE app.profiles VALIDATE CONSTRAINT c",)),
    )
    steps = tuple(Step(f"s{number}", f"Step {number}", action) for number, action in enumerate(actions))
    return Plan("op-1", title, PROFILES, steps, notes=("takes a while",))


def whole(text: str = "plain"):
    table = Table(
        "rows-by-class",
        f"Rows {text}",
        (Column("class", f"Class {text}"), Column("count", "Count"), Column("share", "Share")),
        ({"class": text, "count": 1234567, "share": 0.123456}, {"class": "clean", "count": 0}),
        note=text,
    )
    found = finding(
        subject=text,
        message=text,
        location=Location(text, 3),
        evidence=(Evidence(text, text, text),),
        remedy=text,
        revision=text,
    )
    return document(
        "audit",
        findings=[found],
        plans=[plan(text)],
        tables=[table],
        facts={"seconds": 1.5, "ok": True, "note": text, "nothing": None},
        next_steps=[text],
    )


def rendered(doc, width: int = 80, render=render_full) -> str:
    out = io.StringIO()
    render(doc, console(out, width=width))
    return out.getvalue()


def test_control_characters_and_marks_become_visible():
    assert clean("a\x1b[31m\r\n\t\x00\x9b\u202e\u200b\xa0\ud800") == r"a\x1b[31m\r\n\t\x00\x9b\u202e\u200b\xa0\ud800"
    assert clean("é 漢 🎉 [bold]") == "é 漢 🎉 [bold]"


def test_line_breaks_are_kept_where_they_are_wanted():
    assert clean("a\n\tb\r", multiline=True) == "a\n    b\\r"


def test_a_megabyte_is_cut_and_counted():
    assert clean("x" * 1_000_000, longest=10) == "xxxxxxxxxx... (1,000,000 characters)"


@pytest.mark.parametrize("render", [render_full, render_concise], ids=["full", "concise"])
@pytest.mark.parametrize("width", [80, 140])
def test_hostile_text_is_harmless_everywhere(render, width):
    text = rendered(whole(HOSTILE), width, render)
    assert not {c for c in text if (ord(c) < 32 and c != "\n") or 0x7F <= ord(c) <= 0xA0 or c in "\u202e\u200b"}
    joined = "".join(text.split())
    assert "[bold]markup[/bold]" in joined
    assert ":smile:" in joined
    assert r"\x1b[31mred" in joined


@pytest.mark.parametrize("width", [80, 140])
def test_full_fits_and_cuts_nothing(width):
    long_name = "n" * 63
    doc = document("lint", findings=[finding(subject=f'"{long_name}".{long_name}')], plans=[plan()])
    text = rendered(doc, width)
    assert max(map(cell_len, text.splitlines())) <= width
    assert "…" not in text
    assert "".join(text.split()).count("n" * 63) == 2


@pytest.mark.parametrize("width", [80, 140])
def test_a_plan_shows_each_lock_and_what_waits(width):
    text = rendered(document("upgrade", plans=[plan()]), width)
    flat = " ".join(text.split())
    assert "ACCESS EXCLUSIVE on app.profiles" in flat
    assert "SHARE UPDATE EXCLUSIVE on app.profiles" in flat
    assert flat.count("reads and writes, for a moment") == 1
    for words in ("one short transaction", "in small batches", "outside a transaction", "takes a while"):
        assert words in flat


def test_findings_come_by_severity():
    found = [finding(Severity.INFO, "a"), finding(Severity.ERROR, "b"), finding(Severity.WARNING, "c")]
    doc = document("lint", findings=found)
    assert [each.subject for each in doc.findings] == ["b", "c", "a"]
    assert doc.summary == "3 findings: 1 error, 1 warning, 1 info."


@pytest.mark.parametrize(
    ("fail_on", "severity", "code"),
    [
        ("error", Severity.ERROR, 1),
        ("error", Severity.WARNING, 0),
        ("warning", Severity.WARNING, 1),
        ("info", Severity.INFO, 1),
        ("never", Severity.ERROR, 0),
    ],
)
def test_exit_code_follows_the_threshold(fail_on, severity, code):
    assert document("lint", findings=[finding(severity)], fail_on=fail_on).exit_code == code


def test_exit_code_without_findings():
    assert document("lint").exit_code == 0
    assert document("upgrade", failed=True).exit_code == 1


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (True, "yes"),
        (1234567, "1,234,567"),
        (0.5, "0.5"),
        (0.123456, "0.123"),
        (12345.6, "12,346"),
        ("a\n", r"a\n"),
    ],
)
def test_cells(value, text):
    assert cell(value) == text


def test_json_keeps_to_its_schema_and_keeps_numbers_and_originals():
    doc = whole(HOSTILE)
    decoded = json.loads(json_report.encode(doc))
    jsonschema.validate(decoded, json.loads(json_report.SCHEMA_FILE.read_text()))
    assert decoded["version"] == 1
    assert decoded["tables"][0]["rows"][0]["count"] == 1234567
    assert "\x1b[31mred" in decoded["findings"][0]["message"]
    assert decoded["findings"][0]["fingerprint"] == finding(subject=HOSTILE, revision=HOSTILE).fingerprint


def test_schema_refuses_what_is_not_a_report():
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"version": 2}, json.loads(json_report.SCHEMA_FILE.read_text()))


def test_committed_schema_is_the_generated_one():
    assert json_report.SCHEMA_FILE.read_text() == json_report.schema(), "run python -m truing.report.json"


def test_concise_is_one_line_for_each_finding_however_long():
    doc = document("lint", findings=[finding(message="m" * 500, location=Location("a.py", 7))])
    first, *rest = rendered(doc, 40, render_concise).splitlines()
    assert first == f"a.py:7: error some-rule: {'m' * 500}"
    assert rest == ["1 finding: 1 error."]


def test_a_file_gets_no_colours(tmp_path, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    target = tmp_path / "report.txt"
    write(whole(), "full", target)
    assert "\x1b" not in target.read_text()
    assert "app.profiles" in target.read_text()


def test_a_file_that_cannot_be_written_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match="cannot be written"):
        write(whole(), "json", tmp_path / "no" / "such.json")


@pytest.mark.parametrize("form", ["full", "json"])
def test_an_output_that_is_full_is_an_error_and_no_finding(form):
    program = "from truing.cli.app import main; main()"
    command = [sys.executable, "-c", program, "rule", "--output-format", form]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.stderr == "Error: Standard output cannot be written: No space left on device\n"
    assert done.returncode == 2


@pytest.mark.parametrize(
    ("environment", "coloured"),
    [({}, False), ({"FORCE_COLOR": "1"}, True), ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False)],
    ids=["pipe", "forced", "no-colour"],
)
def test_colour_follows_the_environment(environment, coloured):
    program = "from tests.unit.test_report_text import whole; from truing.report.console import write; write(whole())"
    env = {"PATH": "", "TERM": "xterm-256color", "PYTHONPATH": str(Path(__file__).parents[2]), **environment}
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=env, check=True).stdout
    assert "app.profiles" in out
    assert ("\x1b[31" in out or "\x1b[1;31" in out) is coloured


def test_latin_output_shows_every_name():
    program = (
        "import sys; sys.stdout.reconfigure(errors='backslashreplace')\n"
        "from tests.unit.test_report_text import whole; from truing.report.console import write; write(whole('漢'))"
    )
    env = {"PATH": "", "PYTHONIOENCODING": "latin-1", "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, env=env, check=True)
    assert b"\\u6f22" in done.stdout


def test_sql_to_copy_is_in_one_piece_and_no_line_ends_in_blanks():
    query = (
        "SELECT id FROM t WHERE name = 'two  blanks, and a literal that is longer than any terminal is wide, really'"
    )
    found = Finding(
        rule="altered-rows",
        severity=Severity.ERROR,
        subject="t",
        message="A sentence that is so long that it does not fit into one line of a terminal of eighty columns.",
        evidence=(Evidence("for example", "1", query),),
        remedy=query.replace("SELECT", "UPDATE"),
    )
    rows = [{"a": "short"}, {"a": "a cell that is longer"}]
    table = Table("t", "Title", (Column("a", "heading"),), rows, "A note.")
    told = document("audit", findings=[found], tables=[table], summary=found.message, facts={"one": 1, "seven": "two"})
    text = rendered(told, 80)
    assert " short\n" in text
    assert f"  {query}\n" in text
    assert f"  instead: {found.remedy}\n" in text
    assert [line for line in text.splitlines() if line != line.rstrip()] == []


@pytest.mark.parametrize("terminal", [False, True], ids=["pipe", "terminal"])
def test_never_two_blank_lines(terminal):
    rows = Table("t", "Title", (Column("a", "heading"),), ({"a": "x"},))
    noted = Table("n", "Title", rows.columns, rows.rows, "A note.")
    one = finding(Severity.INFO)
    for more in ({}, {"findings": [one]}, {"plans": [plan()]}, {"plans": [plan(), plan()], "facts": {"a": 1}}):
        out = io.StringIO()
        to = Console(file=out, width=80, force_terminal=terminal, color_system=None)
        render_full(document("audit", tables=[rows, noted, rows], **more), to)
        lines = [line.strip() for line in out.getvalue().splitlines()]
        assert "heading" in out.getvalue()
        assert not any(first == second == "" for first, second in itertools.pairwise(lines)), out.getvalue()


@pytest.mark.parametrize(("number", "folded"), [(4, False), (5, True), (300, True)])
def test_many_hints_of_one_rule_are_folded_and_nothing_else_is(number, folded):
    def say(rule, severity, subject):
        return Finding(rule=rule, severity=severity, subject=subject, message=f"about {subject}.")

    hints = [say("hint", Severity.INFO, f"h{n:03}") for n in range(number)]
    errors = [say("wrong", Severity.ERROR, f"e{n}") for n in range(9)]
    text = rendered(document("orm", findings=[*hints, *errors, say("other", Severity.INFO, "x")]), 80)
    assert all(f"about e{n}." in text for n in range(9))
    assert "about x." in text
    assert sum(f"about h{n:03}." in text for n in range(number)) == (3 if folded else number)
    assert (f"{number - 3} more" in text) is folded
    assert f"{number + 1} info" in text
