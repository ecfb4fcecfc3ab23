"""Findings that are known do not count, are counted, and are forgotten when they are gone; old revisions can be left alone."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.project import make_project
from truing import baseline as known
from truing.baseline import Baseline
from truing.cli.app import run
from truing.cli.rules import every_rule
from truing.config import Config, parse_config
from truing.drift import findings as drift_findings
from truing.drift.rules import chosen, registry
from truing.errors import ConfigurationError
from truing.finding import Finding, Severity

USERS = "op.drop_table('users')"
AUTH = "op.drop_table('users', schema='auth')"


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """An empty folder without a database in the environment."""
    monkeypatch.chdir(tmp_path)
    for name in ("TRUING_DATABASE_URL", "DATABASE_URL", "ALEMBIC_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def finding(subject: str, rule: str = "a-rule") -> Finding:
    return Finding(rule=rule, severity=Severity.ERROR, subject=subject, message="m")


def lint(capsys, *arguments):
    code = run(["lint", "--only", "revisions", "--output-format", "json", *arguments])
    said = capsys.readouterr()
    return code, json.loads(said.out) if said.out else said.err


def test_what_is_known_is_taken_out_and_what_is_gone_is_named():
    baseline = known.updated(Baseline(), "lint", [finding("a"), finding("b")], complete=True)
    compared = known.compare(baseline, "lint", [finding("b"), finding("c")], complete=True)
    assert [each.subject for each in compared.new] == ["c"]
    assert compared.known == 1
    assert [each.subject for each in compared.stale] == ["a"]


def test_who_has_not_looked_at_everything_calls_nothing_gone():
    baseline = known.updated(Baseline(), "lint", [finding("a")], complete=True)
    assert known.compare(baseline, "lint", [], complete=False).stale == ()
    assert known.updated(baseline, "lint", [finding("b")], complete=False).findings != baseline.findings
    assert {each.subject for each in known.updated(baseline, "lint", [finding("b")], complete=False).findings} == {
        "a",
        "b",
    }


def test_a_check_leaves_the_entries_of_others_alone():
    both = known.updated(
        known.updated(Baseline(), "lint", [finding("a")], complete=True), "orm", [finding("b")], complete=True
    )
    assert known.compare(both, "orm", [finding("a")], complete=True).known == 0
    assert [each.subject for each in known.updated(both, "orm", [], complete=True).findings] == ["a"]


@given(st.lists(st.text(st.characters(codec=None, categories=None)), max_size=5))
def test_a_file_says_what_it_was_told_whatever_is_in_a_name(tmp_path_factory, subjects):
    file = tmp_path_factory.mktemp("baseline") / "b.json"
    found = [finding(each) for each in subjects]
    baseline = known.updated(Baseline(), "lint", found, complete=True)
    known.write(file, baseline)
    assert known.read(file) == baseline
    assert known.compare(known.read(file), "lint", found, complete=True).new == ()
    assert list(baseline.findings) == sorted(baseline.findings)


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"version": 2}', '{"findings": [{"check": 1}]}', '{"other": 1}', "\udcff"]
)
def test_what_is_no_baseline_is_refused(tmp_path, text):
    file = tmp_path / "b.json"
    file.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ConfigurationError, match="is not a baseline"):
        known.read(file)


def test_adopting_late(nowhere, capsys):
    make_project(nowhere, {"r1": USERS, "r2": AUTH})
    assert lint(capsys)[0] == 1
    code, document = lint(capsys, "--baseline", "known.json", "--write-baseline")
    assert (code, document["findings"]) == (0, [])
    assert document["summary"] == "No findings. The baseline known.json has 2 now. 2 known, not shown."
    entries = json.loads((nowhere / "known.json").read_text())["findings"]
    assert [(each["check"], each["rule"], each["revision"]) for each in entries] == [
        ("lint", "forbidden-table-reference", "r1"), ("lint", "forbidden-table-reference", "r2"),
    ]  # fmt: skip
    nowhere.joinpath("pyproject.toml").write_text("[tool.truing]\nbaseline = 'known.json'\n")
    assert lint(capsys)[0] == 0
    file = nowhere / "migrations" / "versions" / "r2.py"
    file.write_text(file.read_text().replace(AUTH, f"{AUTH}\n    {USERS}"))
    code, document = lint(capsys)
    assert (code, len(document["findings"])) == (1, 1)
    assert document["summary"] == "1 finding: 1 error. 2 known, not shown."


def test_entries_that_match_nothing_are_said_and_go(nowhere, capsys, monkeypatch):
    nowhere.joinpath("pyproject.toml").write_text("[tool.truing]\nbaseline = 'known.json'\n")
    make_project(nowhere, {"r1": "op.drop_table('t')"})
    known.write(nowhere / "known.json", known.updated(Baseline(), "lint", [finding("gone")], complete=True))
    # Without a database not all was looked at, so nothing can be called gone.
    assert "stale" not in [each["id"] for each in lint(capsys)[1]["tables"]]
    monkeypatch.setattr("truing.cli.lint.PLACES", ("revisions",))
    code, document = lint(capsys)
    (table,) = document["tables"]
    assert (code, table["id"], [row["subject"] for row in table["rows"]]) == (0, "stale", ["gone"])
    assert "1 of the baseline no longer found." in document["summary"]
    assert "--write-baseline" in document["next_steps"][0]
    # Who leaves rules out finds less, which says nothing about the entries either.
    for narrowed in (["--select", "TR101"], ["--ignore", "TR1"], ["--ignore", "TR1", "--write-baseline"]):
        assert lint(capsys, *narrowed)[1]["tables"] == []
    lint(capsys, "--write-baseline")
    assert known.read(nowhere / "known.json") == Baseline()


def test_a_baseline_that_is_not_there_is_an_error(nowhere, capsys):
    make_project(nowhere, {})
    code, said = lint(capsys, "--baseline", "no.json")
    assert code == 2
    assert "The baseline no.json cannot be read" in said
    assert "--write-baseline" in said
    code, said = lint(capsys, "--write-baseline")
    assert (code, "does not know where" in said) == (2, True)
    code, said = lint(capsys, "--write-baseline", "--baseline", "no/such/b.json")
    assert (code, "cannot be written" in said) == (2, True)


@pytest.mark.parametrize("command", ["lint", "check"])
@pytest.mark.parametrize(
    ("option", "entry", "hint"),
    [
        ("--select", "qqqq", "`truing rule` lists all of them."),
        ("--ignore", "migration-mising", "Did you mean migration-missing?"),
        ("--ignore", "TR9", "Did you mean TR"),
    ],
)
def test_an_option_that_names_no_rule_is_said_once_and_first(nowhere, capsys, command, option, entry, hint):
    nowhere.joinpath("pyproject.toml").write_text("[tool.truing]\n")
    make_project(nowhere, {"r1": USERS})
    assert run([command, option, entry]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    first, second = err.splitlines()
    assert first == f"Error: {option} names no rule: {entry!r}"
    assert second.startswith(f"  {hint}")


def test_revisions_up_to_one_are_left_alone(nowhere, capsys):
    make_project(nowhere, {"r1": USERS, "r2": AUTH, "r3": USERS})
    config = nowhere / "pyproject.toml"
    for start, left in (("r1", {"r2", "r3"}), ("r2", {"r3"}), ("r3", set())):
        config.write_text(f"[tool.truing]\nstart-after = '{start}'\n")
        assert {each["revision"] for each in lint(capsys)[1]["findings"]} == left
    config.write_text("[tool.truing]\nstart-after = 'r33'\n")
    code, said = lint(capsys)
    assert code == 2
    assert "start-after names no revision of the project: 'r33'" in said
    assert "Did you mean r3?" in said


def test_a_rule_can_be_off_for_a_revision(nowhere, capsys):
    make_project(nowhere, {"r1": USERS, "r2": AUTH})
    config = nowhere / "pyproject.toml"
    config.write_text("[tool.truing.per-revision-ignores]\nr1 = ['TR1']\n")
    assert {each["revision"] for each in lint(capsys)[1]["findings"]} == {"r2"}
    for text, said, hint in (
        (
            "r1 = ['forbidden-table']",
            "per-revision-ignores.r1 names no rule: 'forbidden-table'",
            "forbidden-table-reference?",
        ),
        ("r9x = ['TR1']", "per-revision-ignores names no revision", "alembic history"),
        ("r1 = 'TR1'", "per-revision-ignores", "Expected `array`"),
    ):
        config.write_text(f"[tool.truing.per-revision-ignores]\n{text}\n")
        code, error = lint(capsys)
        assert code == 2
        assert said in error
        assert hint in error


def test_every_finding_of_drift_has_a_rule_with_a_page():
    source = Path(drift_findings.__file__).read_text()
    written = set(re.findall(r'rule="([\w-]+)"', source)) | set(drift_findings.RULES.values())
    assert written == set(registry())
    assert set(registry()) <= set(every_rule())
    for rule in registry().values():
        assert rule.docs.what
        assert rule.docs.why
        assert rule.docs.example.code != rule.docs.use_instead.code


def test_drift_can_be_selected_ignored_and_allowed():
    found = [finding("index i", "migration-missing"), finding("table t", "pending-migration")]
    assert chosen(found, Config(ignore=("TR405",))) == (found[0],)
    assert chosen(found, Config(select=("pending-migration",))) == (found[1],)
    allow = {"rule": "migration-missing", "subject": "index i", "reason": "known"}
    assert chosen(found, parse_config({"allow": [allow]})) == (found[1],)
    with pytest.raises(ConfigurationError, match="select names no rule") as caught:
        chosen(found, Config(select=("pending-migrations",)))
    assert "Did you mean pending-migration?" in caught.value.advice
