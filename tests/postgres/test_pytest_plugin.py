"""`pytest --truing` on the projects in `examples/`: what passes, what fails, and what a person reads then."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.pages import ROOT

CHECKS = ("single-head", "stairway", "no-trace", "models-match", "orm", "lint")


@pytest.fixture
def example(pytester, cluster, monkeypatch):
    """A function that goes to a copy of an example, whose checks use the server of the tests."""
    for name in ("TRUING_DATABASE_URL", "DATABASE_URL", "ALEMBIC_CONFIG", "PYTEST_ADDOPTS", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TRUING_SCRATCH_URL", cluster.url())
    monkeypatch.setenv("COLUMNS", "100")

    def example(name: str) -> Path:
        ignored = shutil.ignore_patterns("__pycache__", ".pytest_cache")
        shutil.copytree(ROOT / "examples" / name, pytester.path, dirs_exist_ok=True, ignore=ignored)
        return pytester.path

    return example


@pytest.fixture
def run(pytester):
    """A function that runs pytest, in a process of its own."""

    def run(*arguments: str, asked: str = "--truing"):
        given = (*filter(None, [asked]), "-p", "no:randomly", "-p", "no:cacheprovider", *arguments)
        return pytester.runpytest_subprocess(*given, timeout=280)

    return run


def databases(cluster) -> set[str]:
    import psycopg  # noqa: PLC0415 - one question

    with psycopg.connect(cluster.dsn(), autocommit=True) as connection:
        return {name for (name,) in connection.execute("SELECT datname FROM pg_database")}


def passed(result) -> set[str]:
    return {line.split()[0] for line in result.outlines if " PASSED " in line}


def failure(result, name: str) -> str:
    """What is shown for a failed check, without the paths of this machine."""
    text = result.stdout.str()
    title = f" truing {name} "
    start = next(line for line in text.splitlines() if title in line and line.startswith("___"))
    return text.partition(start + "\n")[2].partition("\n___")[0].partition("\n====")[0].strip("\n")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["in_true", "own_schema"])
def test_a_project_in_true_passes_every_check(name, example, run, cluster):
    example(name)
    before = databases(cluster)
    result = run("-v", "-W", "error")
    assert result.ret == 0
    assert passed(result) - {"test_app.py::test_a_customer_has_invoices"} == {f"truing::{each}" for each in CHECKS}
    result.stdout.fnmatch_lines(["truing: *alembic.ini, PostgreSQL *"])
    assert databases(cluster) == before


def test_xdist_is_not_needed(example, run):
    example("two_heads")
    result = run("-v", "-p", "no:xdist", "--strict-markers", "-W", "error", "--truing-select", "single-head")
    assert "The revisions have more than one head." in failure(result, "single-head")
    assert result.ret == 1


def test_two_heads(example, run):
    example("two_heads")
    result = run("-v", "--truing-select", "single-head, stairway,no-trace")
    assert passed(result) == {"truing::stairway", "truing::no-trace"}
    assert failure(result, "single-head") == (
        "The revisions have more than one head.\n\n"
        "error several-heads 0002_city, 0002_phone\n"
        "  The project has 2 heads, so `alembic upgrade head` refuses to choose.\n"
        "  0002_phone: 0002_phone.py\n"
        "  0002_city: 0002_city.py\n"
        "  instead: alembic merge heads\n\n"
        "1 finding: 1 error."
    )
    assert result.ret == 1
    result.stdout.fnmatch_lines(["FAILED truing::single-head - Failed: The revisions have more than one head."])
    result.stdout.no_fnmatch_line("*Traceback*")


@pytest.mark.slow
def test_a_downgrade_that_leaves_a_trace(example, run, cluster):
    example("lasting_trace")
    before = databases(cluster)
    result = run("-v")
    assert passed(result) == {"truing::single-head", "truing::models-match", "truing::orm", "truing::lint"}
    assert failure(result, "stairway") == (
        "A revision does not survive going up, down and up again.\n\n"
        "error second-upgrade-fails 0002  migrations/versions/0002_invoices.py:11\n"
        "  The revision cannot be applied again once it was taken back: ProgrammingError:\n"
        '  (psycopg.errors.DuplicateObject) type "invoice_state" already exists\n'
        "  revision: 0002\n\n"
        "1 finding: 1 error."
    )
    assert failure(result, "no-trace") == (
        "A downgrade leaves a trace.\n\n"
        "error downgrade-leaves-trace type public.invoice_state  migrations/versions/0002_invoices.py:22\n"
        "  type public.invoice_state is still there after the downgrade of 0002.\n"
        "  revision: 0002\n"
        "  before the upgrade: (not there)\n"
        "  after the downgrade: enum\n"
        "  instead: op.execute('DROP TYPE public.invoice_state') at the end of downgrade()\n\n"
        "error downgrade-leaves-trace column public.customers.email  migrations/versions/0003_default.py:13\n"
        "  column public.customers.email is not what it was before: default differs after the downgrade of\n"
        "  0003.\n"
        "  revision: 0003\n"
        "  before the upgrade: (none)\n"
        "  after the downgrade: 'nobody'::text\n"
        "  instead: Undo in downgrade() what upgrade() does to it.\n\n"
        "2 findings: 2 errors."
    )
    assert databases(cluster) == before


@pytest.mark.parametrize("setting", ['truing_downgrade_floor = "0003"', '[tool.truing]\nstart-after = "0003"'])
def test_below_the_floor_nothing_is_taken_back(example, run, setting):
    folder = example("lasting_trace")
    with (folder / "pyproject.toml").open("a") as file:
        file.write(f"{setting}\n")
    assert passed(run("-v", "-k", "stairway or no-trace")) == {"truing::stairway", "truing::no-trace"}


@pytest.mark.slow
def test_models_that_no_revision_follows(example, run):
    example("forgotten_revision")
    result = run("-v")
    assert passed(result) == {f"truing::{each}" for each in ("single-head", "stairway", "no-trace", "lint")}
    models = failure(result, "models-match")
    assert models.startswith(
        "The models and the migrations do not agree.\n\n"
        "error migration-missing constraint customers_email_has_at on public.customers  models.py:"
    )
    assert "  column public.customers.phone is in the models, not in the migrations." in models
    assert models.endswith("2 findings: 2 errors.")
    assert failure(result, "orm").startswith(
        "The mappers do not tell the truth about the database.\n\n"
        "error missing-column Customer.phone  models.py:17\n"
        "  Customer.phone is mapped to public.customers.phone, which this database does not have.\n"
    )
    result.stdout.no_fnmatch_line("*Traceback*")


def test_a_revision_that_breaks_a_rule(example, run):
    folder = example("two_heads")
    revision = folder / "migrations" / "versions" / "0002_city.py"
    added = 'op.execute("ALTER TABLE customers ADD FOREIGN KEY (id) REFERENCES auth.users (id)")'
    revision.write_text(revision.read_text().replace("def upgrade():", f"def upgrade():\n    {added}"))
    result = run("--truing-select", "lint")
    result.assert_outcomes(failed=1)
    text = failure(result, "lint")
    assert text.startswith("A revision or a model breaks a rule.\n\nerror forbidden-table-reference "), text
    assert "migrations/versions/0002_city.py:11" in text


def test_what_is_below_the_threshold_is_said_on_demand(example, run):
    folder = example("in_true")
    models, revision = folder / "models.py", folder / "migrations" / "versions" / "0002_invoices.py"
    models.write_text(models.read_text().replace(", index=True", ""))
    lines = [line for line in revision.read_text().splitlines() if "create_index" not in line]
    revision.write_text("\n".join(lines))
    result = run("--truing-select", "orm", "-rP")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["warning unindexed-foreign-key *", "1 finding: 1 warning."])
    with (folder / "pyproject.toml").open("a") as file:
        file.write('[tool.truing]\nfail-on = "warning"\n')
    run("--truing-select", "orm").assert_outcomes(passed=1, failed=1)


def test_models_that_cannot_be_loaded(example, run):
    folder = example("in_true")
    folder.joinpath("models.py").write_text("import nowhere_to_be_found\n")
    result = run("--truing-select", "models-match,orm", "--ignore", "test_app.py")
    result.assert_outcomes(failed=2)
    for name in ("models-match", "orm"):
        text = failure(result, name)
        assert text.startswith(f"{name} has no answer.\n\n")
        assert text.count("No module named 'nowhere_to_be_found'") == 1
    result.stdout.no_fnmatch_line("*Traceback*")
    result.stdout.no_fnmatch_line("*During handling*")


def test_checks_are_selected_as_tests_are(example, run):
    example("in_true")
    listed = ["--collect-only", "-q"]
    every = {f"truing::{each}" for each in CHECKS}
    app = "test_app.py::test_a_customer_has_invoices"

    def found(*arguments: str) -> set[str]:
        return {line for line in run(*listed, *arguments).outlines if "::" in line}

    assert found() == {app, *every}
    assert found("-m", "truing") == every
    assert found("-m", "not truing", "--strict-markers") == {app}
    assert found("-k", "stairway") == {"truing::stairway"}
    assert found("--deselect", "truing::orm") == {app, *every} - {"truing::orm"}
    assert found("--truing-select", "orm", "--truing-select=lint", "--truing-skip", "orm") == {app, "truing::lint"}


def refused(result) -> list[str]:
    """The one error of a run that has not begun."""
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "Traceback" not in result.stdout.str() + result.stderr.str()
    return [line for line in result.errlines if line.strip()]


def test_without_a_project_there_is_one_error(example, run, pytester):
    pytester.makepyfile("def test_nothing(): pass")
    assert refused(run()) == [
        f"ERROR: there is no Alembic project in {pytester.path} or above it",
        "  Name its file with -c path/to/alembic.ini, or start one with: alembic init migrations",
    ]


def test_without_a_server_there_is_one_error(example, run, monkeypatch):
    example("in_true")
    monkeypatch.setenv("TRUING_SCRATCH_URL", "postgresql://me:secret@127.0.0.1:1/postgres")
    (first, *_) = refused(run())
    assert first.startswith("ERROR: The server for scratch databases cannot be reached:")
    monkeypatch.delenv("TRUING_SCRATCH_URL")
    monkeypatch.setenv("TRUING_PG_BIN", "/nowhere")
    (first, *_) = refused(run("-n", "2"))
    assert first == "ERROR: TRUING_PG_BIN names /nowhere, which holds no working initdb and postgres."


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--truing-select", "stairways"], "ERROR: --truing-select names no check: 'stairways'"),
        (["--truing-skip", "orm,x"], "ERROR: --truing-skip names no check: 'x'"),
    ],
)
def test_a_check_that_does_not_exist(example, run, arguments, said):
    example("in_true")
    assert refused(run(*arguments))[0] == said


def test_a_configuration_that_cannot_be_read(example, run):
    folder = example("in_true")
    with (folder / "pyproject.toml").open("a") as file:
        file.write('[tool.truing]\nfail_onn = "warning"\n')
    (first, *_) = refused(run())
    assert "unknown key fail_onn" in first


def test_the_alembic_file_can_be_named(example, run):
    folder = example("in_true")
    place = folder / "inner"
    place.mkdir()
    folder.joinpath("alembic.ini").unlink()
    for name in ("migrations", "models.py"):
        shutil.move(folder / name, place / name)
    (folder / "test_app.py").unlink()
    place.joinpath("other.ini").write_text(
        "[alembic]\nscript_location = %(here)s/migrations\nprepend_sys_path = %(here)s\n"
    )
    folder.joinpath("pyproject.toml").write_text(
        '[tool.pytest.ini_options]\ntruing_alembic_config = "inner/other.ini"\n'
    )
    result = run("-v", "--truing-select", "stairway,models-match,lint")
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(["truing: *inner/other.ini, *"])


def test_without_the_option_nothing_happens(pytester, run):
    """Whoever has truing installed and does not ask pays for the import of one small module."""
    pytester.makepyfile(
        """
        import sys

        def test_it():
            assert sorted(each for each in sys.modules if each.partition(".")[0] == "truing") == ["truing", "truing.pytest_plugin"]
            assert not {"sqlalchemy", "alembic", "psycopg", "msgspec", "rich"} & set(sys.modules)
        """
    )
    result = run("-v", "-W", "error", "--truing-select", "nonsense", asked="")
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("truing: *")


def test_importing_the_plugin_loads_nothing():
    code = (
        "import pytest, sys; before = set(sys.modules); import truing.pytest_plugin\n"
        "print(sorted({each.partition('.')[0] for each in set(sys.modules) - before} - set(sys.stdlib_module_names)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['truing']"


@pytest.mark.slow
@pytest.mark.parametrize("options", [("-n", "4"), ("-n", "4", "--dist", "loadgroup"), ("-n", "2", "-p", "randomly")])
def test_with_xdist_each_check_runs_once_and_nothing_stays(example, pytester, monkeypatch, options, tmp_path):
    """On private servers, as on a person's machine."""
    example("lasting_trace")
    monkeypatch.delenv("TRUING_SCRATCH_URL")
    place = tmp_path / "t"
    place.mkdir(mode=0o755)
    monkeypatch.setenv("TMPDIR", str(place))
    result = pytester.runpytest_subprocess("--truing", "-v", "-p", "no:cacheprovider", *options, timeout=280)
    told = re.findall(r"^\[gw\d\] \[ *\d+%\] \w+ (\S+)", result.stdout.str(), re.MULTILINE)
    assert sorted(told) == sorted(f"truing::{each}" for each in CHECKS)
    result.assert_outcomes(passed=4, failed=2)
    assert "type public.invoice_state is still there" in failure(result, "no-trace")
    assert list(place.iterdir()) == []
