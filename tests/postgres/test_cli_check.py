"""`truing check`: what applies is run, what cannot answer does not keep the others from it, one document, one exit code."""

from __future__ import annotations

import json
import sys

import jsonschema
import pytest
from alembic import command
from alembic.config import Config

from tests.project import make_project
from truing.cli.app import run
from truing.report import json as json_report

MODELS = """
from sqlalchemy import BigInteger, ForeignKey
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

class Base(DeclarativeBase):
    pass

class Customer(Base):
    __tablename__ = "customers"
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)

class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    customer_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("customers.id"){index})
"""
START = """
op.create_table("customers", sa.Column("id", sa.BigInteger, primary_key=True))
op.create_table("orders", sa.Column("id", sa.BigInteger, primary_key=True),
    sa.Column("customer_id", sa.BigInteger, sa.ForeignKey("customers.id"), nullable=False))
"""
INDEX = 'op.create_index("ix_orders_customer_id", "orders", ["customer_id"])'


@pytest.fixture
def project(tmp_path, database, monkeypatch):
    """Write a project whose live database is where its revisions lead."""
    for name in ("TRUING_DATABASE_URL", "DATABASE_URL", "ALEMBIC_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(*, index=True, extra="", named=True, models="Base.metadata"):
        tmp_path.joinpath("check_project_models.py").write_text(MODELS.format(index=", index=True" if index else ""))
        url = database.url.replace("postgresql://", "postgresql+psycopg://", 1)
        revisions = {"one": START + (INDEX if index else "")} | ({"two": extra} if extra else {})
        ini = make_project(
            tmp_path, revisions, url=url, models="from check_project_models import Base", metadata=models
        )
        # drift loads the models in processes of its own.
        ini.write_text(ini.read_text() + "prepend_sys_path = .\n")
        command.upgrade(Config(str(ini)), "one")
        forget()
        if not named:
            ini.write_text(ini.read_text().replace(url.replace("%", "%%"), ""))
        return tmp_path

    yield write
    forget()


def forget():
    module = sys.modules.pop("check_project_models", None)
    if module is not None:
        module.Base.registry.dispose()


def check(capsys, *arguments):
    """Run it; returns the exit code, the document, and its summary table by check."""
    code = run(["check", "--output-format", "json", *arguments])
    decoded = json.loads(capsys.readouterr().out)
    jsonschema.validate(decoded, json.loads(json_report.SCHEMA_FILE.read_text()))
    return code, decoded, {row["check"]: row for row in decoded["tables"][0]["rows"]}


def test_all_three_look_and_agree(project, capsys):
    project()
    code, document, rows = check(capsys)
    assert (code, document["verdict"], document["findings"]) == (0, "true", [])
    assert {name: row["status"] for name, row in rows.items()} == dict.fromkeys(("lint", "drift", "orm"), "in true")
    assert document["facts"]["lint: looked at"] == "database, models, revisions"
    assert document["facts"]["drift: compared"] == "models, migrations, live"
    assert document["facts"]["orm: mapped classes"] == 2
    assert document["facts"]["seconds"] == pytest.approx(sum(row["seconds"] for row in rows.values()), abs=0.05)


def test_findings_are_counted_by_check_and_severity(project, database, capsys):
    project(index=False)
    database.execute("CREATE TABLE users (id integer PRIMARY KEY)")
    database.execute("ALTER TABLE orders ADD by_user integer REFERENCES users")
    code, document, rows = check(capsys)
    assert code == 1
    alone = {}
    for name in ("lint", "drift", "orm"):
        run([name, "--output-format", "json"])
        alone[name] = json.loads(capsys.readouterr().out)["findings"]
        for severity in ("error", "warning", "info"):
            assert rows[name][severity] == sum(each["severity"] == severity for each in alone[name]), name
    together = [each for findings in alone.values() for each in findings]
    assert {each["fingerprint"] for each in document["findings"]} == {each["fingerprint"] for each in together}
    assert [rows[name]["status"] for name in ("lint", "drift", "orm")] == ["findings", "findings", "in true"]


def test_without_a_database_models_and_migrations_are_checked(project, capsys):
    project(named=False)
    code, document, rows = check(capsys)
    assert code == 0
    assert rows["orm"] == {"check": "orm", "status": "skipped", "why": "no database is named"}
    assert document["facts"]["lint: looked at"] == "models, revisions"
    assert document["facts"]["drift: compared"] == "models, migrations"


def test_a_database_can_be_left_alone(project, capsys):
    project()
    code, document, rows = check(capsys, "--no-database", "--skip", "drift")
    assert (code, sorted(rows), rows["orm"]["status"]) == (0, ["lint", "orm"], "skipped")
    assert document["facts"]["lint: looked at"] == "models, revisions"


def test_one_that_cannot_answer_does_not_keep_the_others_from_it(project, capsys):
    project(extra="op.execute('DROP TABLE IF EXISTS users')\nop.execute('SELECT 1 / 0')")
    code, document, rows = check(capsys, "--exit-zero")
    assert (code, document["verdict"]) == (2, "no answer")
    assert "division by zero" in rows["drift"]["why"]
    assert {name: row["status"] for name, row in rows.items()} == {
        "lint": "findings",
        "drift": "no answer",
        "orm": "in true",
    }
    assert [each["rule"] for each in document["findings"]] == ["forbidden-table-reference"]
    assert document["summary"] == "1 finding: 1 error. No answer: drift."


def test_a_database_that_cannot_be_reached_is_no_answer(project, capsys):
    project()
    url = "postgresql://nobody:s3cret@127.0.0.1:1/x"
    code, _, rows = check(capsys, "--database-url", url)
    assert code == 2
    assert {row["status"] for row in rows.values()} == {"no answer"}
    assert "cannot be reached" in rows["orm"]["why"]
    assert "\n" not in rows["orm"]["why"]
    assert "s3cret" not in str(rows)


def test_models_that_do_not_load_are_said(project, capsys):
    folder = project(named=False)
    folder.joinpath("check_project_models.py").write_text("raise RuntimeError('no such thing')")
    code, _, rows = check(capsys)
    assert code == 2
    assert "no such thing" in rows["lint"]["why"]
    assert "no such thing" in rows["drift"]["why"]


def test_a_project_without_models_still_compares_what_there_is(project, capsys):
    project(models="None")
    code, document, rows = check(capsys)
    assert code == 0
    assert document["facts"]["drift: compared"] == "migrations, live"
    assert "no models" in rows["orm"]["why"]


def test_nothing_to_check_is_not_agreement(tmp_path, monkeypatch, capsys):
    for name in ("TRUING_DATABASE_URL", "DATABASE_URL", "ALEMBIC_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    assert run(["check"]) == 2
    said = capsys.readouterr().err
    assert "nothing to check" in said
    assert "orm: no models" in said


def test_choosing_no_check_is_a_usage_error(project, capsys):
    project()
    assert run(["check", "--only", "orm", "--skip", "orm"]) == 2
    assert "--skip leaves no check" in capsys.readouterr().err


def test_a_baseline_serves_all_checks_and_each_alone(project, database, capsys):
    folder = project(index=False)
    database.execute("CREATE TABLE users (id integer PRIMARY KEY)")
    database.execute("ALTER TABLE orders ADD by_user integer REFERENCES users")
    folder.joinpath("pyproject.toml").write_text("[tool.truing]\nbaseline = 'known.json'\n")
    code, document, rows = check(capsys, "--write-baseline")
    assert (code, document["findings"]) == (0, [])
    assert {row["status"] for row in rows.values()} == {"in true"}
    entries = json.loads(folder.joinpath("known.json").read_text())["findings"]
    assert {name: row["known"] for name, row in rows.items()} == {
        name: sum(each["check"] == name for each in entries) for name in ("lint", "drift", "orm")
    }
    assert document["summary"].endswith(f"{len(entries)} known, not shown.")
    for name in ("lint", "drift", "orm"):
        assert run([name, "--fail-on", "info", "--output-format", "concise"]) == 0, name
        assert "no longer found" not in capsys.readouterr().out
    database.execute("ALTER TABLE orders DROP by_user; DROP TABLE users; ALTER TABLE orders ADD other integer")
    code, document, _ = check(capsys)
    assert code == 1
    assert any("other" in each["subject"] for each in document["findings"])
    (stale,) = [table for table in document["tables"] if table["id"] == "stale"]
    assert {"lint", "drift"} <= {row["check"] for row in stale["rows"]}


def test_drift_takes_select_and_ignore(project, database, capsys):
    project()
    database.execute("ALTER TABLE orders ADD other integer")
    assert run(["drift"]) == 1
    assert run(["drift", "--ignore", "live-edited-by-hand"]) == 0
    assert run(["drift", "--select", "TR405"]) == 0
    capsys.readouterr()
    assert run(["drift", "--ignore", "live-edited"]) == 2
    assert "Did you mean live-edited-by-hand?" in capsys.readouterr().err
    assert run(["check", "--only", "drift", "--select", "pending-migrations"]) == 2
