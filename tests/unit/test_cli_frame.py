"""The command line: instant help, one place for failures, exit codes 0, 1, 2 and 130."""

from __future__ import annotations

import json
import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import click
import jsonschema
import psycopg
import pytest
from alembic.util import CommandError
from sqlalchemy.exc import OperationalError as SqlalchemyOperationalError

import truing.cli
from tests.project import make_project
from truing.cli import app as app_module
from truing.cli.app import COMMANDS, app, explain, run
from truing.cli.options import Invocation, common
from truing.errors import TruingError
from truing.finding import Finding, Severity
from truing.report import json as json_report
from truing.report.document import document

FRAME = {"app", "options", "database", "migration", "models", "part", "rules", "rbac_database", "rbac_grants"}


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """An empty folder without a database in the environment."""
    monkeypatch.chdir(tmp_path)
    for name in ("TRUING_DATABASE_URL", "DATABASE_URL", "ALEMBIC_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def command(monkeypatch):
    """Put a command of the test's own in the place of all others; give it as `truing probe`."""

    def install(body):
        @click.command("probe")
        @click.option("--own")
        @common
        def probe(invocation: Invocation, own: str | None) -> int:
            return body(invocation, own)

        monkeypatch.setattr(app_module.LazyGroup, "get_command", lambda *_: probe)

    return install


def python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"COLUMNS": "100"},
    )


def test_every_module_is_a_command_and_every_command_a_module():
    modules = {each.name for each in pkgutil.iter_modules(truing.cli.__path__)}
    assert set(COMMANDS) == modules - FRAME
    assert list(COMMANDS) == sorted(COMMANDS)


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], *([name, "--help"] for name in COMMANDS)], ids=" ".join
)
def test_help_loads_nothing_that_is_slow(arguments):
    code = (
        "import sys; from truing.cli.app import run; code = run(sys.argv[1:])\n"
        "slow = {'sqlalchemy', 'psycopg', 'rich', 'alembic', 'postgast', 'google'} & set(sys.modules)\n"
        "print('LOADED', sorted(slow), code)"
    )
    assert python(code, *arguments).stdout.splitlines()[-1] == "LOADED [] 0"


def test_help_is_quick():
    code = (
        "import sys, time; start = time.process_time(); from truing.cli.app import run; run(['--help'])\n"
        "print(time.process_time() - start)"
    )
    # Processor time, since other tests run at the same time; loading SQLAlchemy alone takes longer than this.
    assert min(float(python(code).stdout.splitlines()[-1]) for _ in range(3)) < 0.4


@pytest.mark.parametrize("name", COMMANDS)
def test_help_teaches(name):
    command = app.get_command(click.Context(app), name)
    intro, _, examples = command.help.partition("\b")
    assert len(intro.strip().splitlines()) >= 2
    assert f"truing {name}" in examples
    assert len(command.get_short_help_str()) > 20


def test_a_command_that_does_not_exist_is_a_usage_error(capsys):
    assert run(["no-such"]) == 2
    assert "No such command" in capsys.readouterr().err


def test_shared_options_reach_the_command(command, nowhere):
    seen = []
    command(lambda invocation, own: seen.append((invocation, own)) or 0)
    nowhere.joinpath("p.toml").write_text("[tool.truing]\nalembic-config = 'x.ini'\nfail-on = 'info'\n")
    assert run(["probe", "--config", "p.toml", "--own", "1", "-x", "a=b", "-x", "c", "-n", "other"]) == 0
    ((invocation, own),) = seen
    assert own == "1"
    assert (invocation.x_arguments, invocation.alembic_name, invocation.fail_on) == (("a=b", "c"), "other", "info")
    assert invocation.alembic_config == nowhere / "x.ini"


def test_the_option_wins_over_the_configuration(command, nowhere):
    seen = []
    command(lambda invocation, _: seen.append(invocation) or 0)
    nowhere.joinpath("pyproject.toml").write_text("[tool.truing]\nalembic-config = 'x.ini'\nfail-on = 'info'\n")
    run(["probe", "-c", "y.ini", "--fail-on", "never", "--database-url", "postgresql://a/b"])
    assert (str(seen[0].alembic_config), seen[0].fail_on) == ("y.ini", "never")
    assert seen[0].require_database_url() == "postgresql://a/b"


def finding() -> Finding:
    return Finding(rule="a-rule", severity=Severity.ERROR, subject="s", message="m")


@pytest.mark.parametrize(
    ("arguments", "findings", "code"),
    [([], [], 0), ([], [finding()], 1), (["--exit-zero"], [finding()], 0), (["--fail-on", "never"], [finding()], 0)],
    ids=["true", "findings", "exit-zero", "never"],
)
def test_exit_codes(command, nowhere, arguments, findings, code):
    command(lambda invocation, _: invocation.answer(document("probe", findings=findings, fail_on=invocation.fail_on)))
    assert run(["probe", *arguments]) == code


def test_the_answer_goes_to_a_file(command, nowhere, capsys):
    command(lambda invocation, _: invocation.answer(document("probe", findings=[finding()])))
    assert run(["probe", "--output-format", "json", "-o", "out.json"]) == 1
    decoded = json.loads(nowhere.joinpath("out.json").read_text())
    jsonschema.validate(decoded, json.loads(json_report.SCHEMA_FILE.read_text()))
    assert decoded["verdict"] == "findings"
    assert tuple(capsys.readouterr()) == ("", "Wrote out.json\n")


def test_a_failure_is_a_message_and_a_hint_and_nothing_else(command, capsys):
    def fail(*_):
        raise TruingError("It\x1b[31m does not work.", hint="Do this.")

    command(fail)
    assert run(["probe"]) == 2
    said = capsys.readouterr()
    assert said.err == "Error: It\\x1b[31m does not work.\n  Do this.\n"
    assert said.out == ""


def test_verbose_shows_where_it_comes_from(command):
    def fail(*_):
        raise TruingError("It does not work.")

    command(fail)
    with pytest.raises(TruingError):
        run(["probe", "--verbose"])


def test_a_mistake_of_ours_is_not_hidden(command):
    def fail(*_):
        raise ZeroDivisionError

    command(fail)
    with pytest.raises(ZeroDivisionError):
        run(["probe"])


def test_an_interruption_says_how_to_go_on(command, capsys):
    def fail(*_):
        raise KeyboardInterrupt

    command(fail)
    assert run(["probe"]) == 130
    assert "Run the same command again" in capsys.readouterr().err


def test_a_server_that_is_not_there_is_no_answer(command, capsys):
    def fail(*_):
        psycopg.connect("host=/nonexistent user=x password=s3cret", connect_timeout=1)

    command(fail)
    assert run(["probe"]) == 2
    said = capsys.readouterr().err
    assert "The database cannot be reached" in said
    assert "--database-url" in said


def test_wrapped_failures_are_recognised_and_passwords_kept():
    inner = psycopg.OperationalError("connection to postgresql://u:s3cret@h/d failed")
    wrapped = SqlalchemyOperationalError("SELECT 1", {}, inner)
    wrapped.__cause__ = inner
    explained = explain(wrapped)
    assert "cannot be reached" in explained.message
    assert "s3cret" not in explained.message
    assert "Alembic" in explain(CommandError("Can't locate revision")).advice
    assert explain(psycopg.errors.UndefinedTable("no such table")).message.startswith("PostgreSQL refused")
    assert explain(ValueError()) is None


@pytest.mark.parametrize(
    ("error", "message", "advice"),
    [
        (psycopg.errors.LockNotAvailable("canceling"), "PostgreSQL refused: canceling", "--verbose"),
        (psycopg.errors.DiskFull("no space"), "PostgreSQL refused: no space", "--verbose"),
        (psycopg.errors.AdminShutdown("terminating"), "The database cannot be reached: terminating", "--database-url"),
        (psycopg.errors.TooManyConnections("too many"), "The database cannot be reached: too many", "--database-url"),
        (psycopg.errors.ReadOnlySqlTransaction("no ALTER"), "PostgreSQL refused: no ALTER", "standby"),
    ],
)
def test_only_a_connection_that_is_not_there_is_called_out_of_reach(error, message, advice):
    explained = explain(error)
    assert explained.message == message
    assert advice in explained.advice


def test_a_reader_that_has_had_enough_is_no_traceback(command):
    code = (
        "import sys; from truing.cli.app import main; import truing.cli.app as a; import click\n"
        "from truing.cli.options import common; from truing.report.document import document, Column, Table\n"
        "@click.command()\n@common\n"
        "def probe(i):\n"
        " t = Table('t', 'T', (Column('a', 'a'),), tuple({'a': 'x' * 100} for _ in range(5000)))\n"
        " return i.answer(document('p', tables=[t]))\n"
        "a.LazyGroup.get_command = lambda *_: probe\n"
        "sys.argv = ['truing', 'probe', '--output-format', 'concise']; main()"
    )
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    child.stdout.read(10)
    child.stdout.close()
    said = child.stderr.read()
    child.stderr.close()
    assert (child.wait(), said) == (1, b"")


def test_lint_from_the_command_line(nowhere, capsys):
    make_project(nowhere, {"r1": "op.drop_table('users')", "r2": "op.drop_table('t')"})
    assert run(["lint", "--output-format", "concise"]) == 1
    said = capsys.readouterr()
    first, *rest = said.out.splitlines()
    assert first.endswith(
        ": error forbidden-table-reference: r1: DROP TABLE users names users, which is forbidden (users)."
    )
    assert f"{Path('migrations') / 'versions' / 'r1.py'}:10" in first
    assert rest == ["looked at: models, revisions", "1 finding: 1 error."]
    assert "live database is not looked at" in said.err
    assert run(["lint", "--ignore", "TR1", "--only", "revisions"]) == 0
    assert run(["lint", "--select", "nothing-like-this", "--only", "revisions"]) == 2


@pytest.mark.parametrize("arguments", ["status", "describe", "quarantine list", "lint --only database", "rbac verify"])
def test_who_needs_a_database_only_asks_for_no_project(nowhere, capsys, arguments):
    assert run(arguments.split()) == 2
    said = capsys.readouterr().err
    assert said.startswith("Error: No database is named")
    assert "Give --database-url" in said


def test_the_url_of_alembics_template_is_called_that(nowhere, capsys):
    make_project(nowhere, {}, url="driver://user:pass@localhost/dbname")
    assert run(["status"]) == 2
    said = capsys.readouterr().err
    assert "is still that of Alembic's template" in said


@pytest.mark.parametrize(
    "arguments",
    ["status", "audit", "upgrade", "revision -m x", "orm", "rbac init", "rbac verify", "rbac adopt"],
)
def test_a_server_that_is_not_there_is_named_and_nobody_else_blamed(nowhere, capsys, arguments):
    make_project(nowhere, {"one": ""}, models="import sqlalchemy as sa", metadata="sa.MetaData()")
    url = "postgresql://u:secret@127.0.0.1:1/x"
    assert run([*arguments.split(), "--database-url", url]) == 2
    said = capsys.readouterr().err
    assert said.startswith("Error: postgresql")
    assert "u:***@127.0.0.1:1/x cannot be reached" in said
    assert "env.py" not in said


def test_the_demo_names_its_own_option(nowhere, capsys):
    assert run(["demo", "--database-url", "postgresql://u@127.0.0.1:1/x"]) == 2
    assert "--database-url" in capsys.readouterr().err


def test_lint_refuses_to_look_at_a_database_that_nobody_named(nowhere, capsys):
    make_project(nowhere, {})
    assert run(["lint", "--only", "database"]) == 2
    assert "--database-url" in capsys.readouterr().err


def test_lint_takes_the_models_of_the_configuration(nowhere, capsys):
    nowhere.joinpath("pyproject.toml").write_text("[tool.truing]\nmetadata = ['shop_models_for_lint:metadata']\n")
    nowhere.joinpath("shop_models_for_lint.py").write_text(
        "from sqlalchemy import *\nmetadata = MetaData()\nTable('t', metadata, Column('u', ForeignKey('auth.users.id')))\n"
    )
    path = list(sys.path)
    try:
        assert run(["lint", "--only", "models"]) == 1
    finally:
        sys.path[:] = path
    assert "t.u has a foreign key to auth.users" in capsys.readouterr().out


def test_rules_are_listed_and_explained(capsys):
    assert run(["rule"]) == 0
    assert "forbidden-table-reference" in capsys.readouterr().out
    assert run(["rule", "tr101"]) == 0
    page = capsys.readouterr().out
    assert "## Why is this bad?" in page
    assert "truing: allow forbidden-table-reference -- reason" in page
    assert run(["rule", "forbidden-table"]) == 2
    assert "Did you mean forbidden-table-reference?" in capsys.readouterr().err
    assert run(["rule", "zzz"]) == 2
    said = capsys.readouterr().err
    assert "`truing rule` lists all of them." in said
    assert len(said) < 100


def every_command(command, path=("truing",)):
    yield " ".join(path), command
    if isinstance(command, click.Group):
        for name in command.list_commands(click.Context(command)):
            yield from every_command(command.get_command(click.Context(command), name), (*path, name))


def test_every_command_shows_an_example_of_itself():
    lines = {path: [line.strip() for line in (each.help or "").splitlines()] for path, each in every_command(app)}
    assert [path for path, text in lines.items() if not any(line.startswith(path) for line in text)] == []
