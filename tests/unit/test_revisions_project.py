"""Finding the Alembic project, its URL, and what its env.py sets up."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.projects import ASYNC_ENV, ENV, URL, make_project, revision, write_project
from truing.errors import ProjectError
from truing.revisions.project import Project, discover

ONE = revision("a1", "pass")


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TRUING_DATABASE_URL", "DATABASE_URL", "ALEMBIC_CONFIG"):
        monkeypatch.delenv(name, raising=False)


def heads(project: Project) -> set[str]:
    return set(project.script().get_heads())


def test_from_a_folder_below(tmp_path: Path) -> None:
    write_project(tmp_path, ONE)
    (tmp_path / "a" / "b").mkdir(parents=True)
    project = discover(tmp_path / "a" / "b")
    assert project.root == str(tmp_path)
    assert heads(project) == {"a1"}


def test_in_pyproject(tmp_path: Path) -> None:
    toml = '[tool.alembic]\nscript_location = "%(here)s/migrations"\n'
    project = make_project(tmp_path, ONE, toml=toml)
    assert (project.ini_file, project.toml_file) == (None, str(tmp_path / "pyproject.toml"))
    assert heads(project) == {"a1"}


def test_a_pyproject_without_alembic_is_passed_by(tmp_path: Path) -> None:
    write_project(tmp_path, ONE)
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "pyproject.toml").write_text("[tool.other]\n")
    assert discover(tmp_path / "package").root == str(tmp_path)


def test_pyproject_for_the_scripts_and_ini_for_the_url(tmp_path: Path) -> None:
    project = make_project(
        tmp_path,
        ONE,
        toml='[tool.alembic]\nscript_location = "migrations"\n',
        ini=f"[alembic]\nsqlalchemy.url = {URL}\n",
    )
    assert heads(project) == {"a1"}
    assert project.url({}) == URL


def test_a_named_file_from_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "service"
    place.mkdir()
    write_project(place, ONE)
    (place / "alembic.ini").rename(place / "db.ini")
    monkeypatch.chdir(tmp_path)
    assert heads(discover(config="service/db.ini")) == {"a1"}
    monkeypatch.setenv("ALEMBIC_CONFIG", "service/db.ini")
    assert heads(discover()) == {"a1"}


def test_a_named_file_whose_paths_start_at_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_project(tmp_path, ONE)
    (tmp_path / "etc").mkdir()
    (tmp_path / "alembic.ini").rename(tmp_path / "etc" / "alembic.ini")
    monkeypatch.chdir(tmp_path)
    project = discover(config="etc/alembic.ini")
    assert project.root == str(tmp_path)
    assert heads(project) == {"a1"}


def test_another_section(tmp_path: Path) -> None:
    write_project(
        tmp_path,
        ONE,
        ini=f"[alembic]\nscript_location = nowhere\n[second]\nscript_location = migrations\nsqlalchemy.url = {URL}\n",
    )
    assert heads(discover(tmp_path, section="second")) == {"a1"}
    with pytest.raises(ProjectError, match=r"no section \[third\]"):
        discover(tmp_path, section="third").configuration()


def test_several_version_locations(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "b1.py").write_text(revision("b1", "pass"))
    project = make_project(tmp_path, ONE, options="version_locations = migrations/versions;other\npath_separator = ;\n")
    assert heads(project) == {"a1", "b1"}


@pytest.mark.parametrize(
    ("config", "match"), [("gone.ini", "no file"), ("plain.toml", r"no \[tool.alembic\]"), (None, "no Alembic project")]
)
def test_no_project_is_a_clear_error(tmp_path: Path, config: str | None, match: str) -> None:
    (tmp_path / "plain.toml").write_text("[tool]\n")
    with pytest.raises(ProjectError, match=match):
        discover(tmp_path, config=config)


def test_a_broken_pyproject_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool\n")
    with pytest.raises(ProjectError, match="not valid TOML"):
        discover(tmp_path)


def test_the_url_is_the_strongest_that_is_given(tmp_path: Path) -> None:
    write_project(tmp_path, ONE)
    environment = {"TRUING_DATABASE_URL": "postgres://t/d", "DATABASE_URL": "postgresql://e/d"}
    assert discover(tmp_path, database_url="postgres://o/d").url(environment) == "postgresql://o/d"
    assert discover(tmp_path).url(environment) == "postgresql://t/d"
    assert discover(tmp_path).url({"TRUING_DATABASE_URL": "", "DATABASE_URL": "postgresql://e/d"}) == "postgresql://e/d"
    assert discover(tmp_path).url({}) == URL


@pytest.mark.parametrize("url", [None, "driver://user:pass@localhost/dbname"], ids=["missing", "template"])
def test_without_a_url_the_error_says_how_to_give_one(tmp_path: Path, url: str | None) -> None:
    project = make_project(tmp_path, ONE, url=url)
    with pytest.raises(ProjectError, match="TRUING_DATABASE_URL"):
        project.url({})


def test_another_database_is_refused_and_its_password_kept(tmp_path: Path) -> None:
    project = make_project(tmp_path, ONE, url="mysql://u:secret@h/d")
    with pytest.raises(ProjectError, match="mysql") as caught:
        project.url({})
    assert "secret" not in str(caught.value)


def test_what_env_py_configures(tmp_path: Path) -> None:
    # The revision would fail if it were imported.
    options = make_project(tmp_path, "raise RuntimeError").context_options()
    assert [table.name for table in options["target_metadata"].sorted_tables] == ["users"]
    assert (options["version_table"], options["version_table_schema"]) == ("revisions", "app")
    assert options["include_schemas"] is True
    assert options["include_object"](None, "spatial_ref_sys", "table", True, None) is False
    assert options["dialect_name"] == "postgresql"


def test_an_async_env_py(tmp_path: Path) -> None:
    project = make_project(tmp_path, ONE, env=ASYNC_ENV, url="postgresql+asyncpg://u@h/d")
    assert project.context_options()["literal_binds"] is True


@pytest.mark.parametrize(("env", "url"), [(ENV, URL), (ASYNC_ENV, "postgresql+asyncpg://u@h/d")], ids=["sync", "async"])
def test_models_that_only_the_online_half_of_env_py_names(tmp_path: Path, env: str, url: str) -> None:
    """As Flask-Migrate has written them for years; the online half gets no database, and changes nothing."""
    offline, otherwise, online = env.rpartition("else:")
    offline = offline.replace("target_metadata=target_metadata,", "")
    online = online.replace(
        "context.configure(", "connection.execute('SET search_path TO app').scalar(); context.configure("
    )
    options = make_project(tmp_path, ONE, env=f"{offline}{otherwise}{online}", url=url).context_options()
    assert options["target_metadata"] is not None
    assert "connection" not in options
    assert options["dialect_name"] == "postgresql"


def test_an_env_py_without_an_offline_half(tmp_path: Path) -> None:
    start, _, online = ENV.partition("if context.is_offline_mode():")
    options = make_project(tmp_path, ONE, env=f"{start}if True:{online.partition('else:')[2]}").context_options()
    assert [table.name for table in options["target_metadata"].sorted_tables] == ["users"]


def test_revisions_that_count_on_what_env_py_does_first(tmp_path: Path) -> None:
    (tmp_path / "application").mkdir()
    (tmp_path / "application" / "things_of_ours.py").write_text("KIND = 1\n")
    env = f"import sys\nsys.path.append({str(tmp_path / 'application')!r})\n{ENV}"
    assert heads(make_project(tmp_path, revision("a1", "pass", head="from things_of_ours import KIND"), env=env)) == {
        "a1"
    }


def test_env_py_gets_a_url_and_the_arguments_of_x(tmp_path: Path) -> None:
    env = ENV.replace('version_table="revisions"', 'version_table=context.get_x_argument(as_dictionary=True)["table"]')
    write_project(tmp_path, ONE, env=env, url=None)
    assert discover(tmp_path, x=["table=mine"]).context_options()["version_table"] == "mine"


def test_a_password_with_a_percent_sign_reaches_env_py(tmp_path: Path) -> None:
    write_project(
        tmp_path,
        ONE,
        env=ENV.replace('version_table="revisions"', 'version_table=context.config.get_main_option("sqlalchemy.url")'),
    )
    url = "postgresql://u:a%40b@h/d"
    assert discover(tmp_path, database_url=url).context_options()["version_table"] == url


def test_what_stands_for_the_folder_is_that_of_each_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(".")
    for name in ("one_of_two", "other_of_two"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / f"models_of_{name}.py").write_text("")
        options = make_project(folder, ONE, env=f"import models_of_{name}\n{ENV}").context_options()
        assert options["version_table"] == "revisions"


def test_env_py_is_imported_from_the_projects_folder_and_logging_survives(tmp_path: Path) -> None:
    ini = (
        f"[alembic]\nscript_location = migrations\nprepend_sys_path = .\npath_separator = os\nsqlalchemy.url = {URL}\n"
        "[loggers]\nkeys = root\n[handlers]\nkeys =\n[formatters]\nkeys =\n[logger_root]\nlevel = ERROR\nhandlers =\n"
    )
    env = (
        "from logging.config import fileConfig\nfrom alembic import context\nimport models_of_this_test\nfileConfig(context.config.config_file_name)\n"
        + ENV
    )
    (tmp_path / "models_of_this_test.py").write_text("")
    log = logging.getLogger("truing.test.survivor")
    before, here = logging.getLogger().handlers[:], Path.cwd()
    make_project(tmp_path, ONE, env=env, ini=ini).context_options()
    assert not log.disabled
    assert logging.getLogger().handlers == before
    assert Path.cwd() == here


@pytest.mark.parametrize(
    ("env", "match"),
    [
        (
            "import there_is_no_such_module",
            r"env\.py:1: ModuleNotFoundError: No module named 'there_is_no_such_module'",
        ),
        ("x = = 1", r"env\.py:1: SyntaxError"),
        ("raise SystemExit('set SECRET_KEY first')", "set SECRET_KEY first"),
        ("pass", "never calls context.run_migrations"),
        (
            "from sqlalchemy import create_engine\ncreate_engine('postgresql+psycopg://u:secret@h/d').connect()",
            r"env\.py:2: .*a database connection is needed",
        ),
    ],
    ids=["import", "syntax", "exit", "nothing", "connects"],
)
def test_an_env_py_that_fails_is_a_clear_error(tmp_path: Path, env: str, match: str) -> None:
    with pytest.raises(ProjectError, match=match):
        make_project(tmp_path, ONE, env=env).context_options()


def test_a_revision_file_that_fails_is_a_clear_error(tmp_path: Path) -> None:
    project = make_project(tmp_path, ONE, revision("a2", "pass", down="a1", head="import there_is_no_such_module"))
    with pytest.raises(ProjectError, match=r"r0002\.py:6: ModuleNotFoundError"):
        project.script()


def test_the_environment_is_read_when_it_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = make_project(tmp_path, ONE)
    monkeypatch.setitem(os.environ, "DATABASE_URL", "postgres://now/d")
    assert project.url() == "postgresql://now/d"


@pytest.mark.parametrize(
    "text",
    [
        "[alembic]\nsqlalchemy.url = {url}\nscript_location = %(here)s/migrations\n",
        "[alembic]\nsqlalchemy.url = postgresql://u:a%%40b@h/d\nscript_location = migrations\n",
        "[alembic]\nsqlalchemy.url = %(scheme)s://u@h/d\nscheme = postgresql\n",
        "[DEFAULT]\nsqlalchemy.url = {url}\nscript_location = m:x\n[alembic]\n",
        "[alembic]\nsqlalchemy.url =\nscript_location =\n",
        "[alembic]\nscript_location = migrations\n",
        "[alembic]\nsqlalchemy.url\n",
        "[alembic]\nsqlalchemy.url = %(missing)s\n",
        "[alembic]\nsqlalchemy.url = 50%\n",
        "[other]\nsqlalchemy.url = {url}\n",
        "[alembic]\n[alembic]\n",
        "no section\n",
        "",
    ],
)
def test_options_are_those_that_alembic_reads(tmp_path: Path, text: str) -> None:
    file = tmp_path / "alembic.ini"
    file.write_text(text.format(url=URL) if "{url}" in text else text)
    project = Project(root=str(tmp_path), ini_file=str(file))

    def read(ask: Callable[[], object]) -> object:
        try:
            return ask()
        except ProjectError as error:
            # Some begin with the line from which Alembic was called.
            return error.message[error.message.find("Interpolation") :]

    def slowly(option: str) -> object:
        with project._errors():
            return project.configuration().get_alembic_option(option)

    assert read(project.configured_url) == (read(lambda: slowly("sqlalchemy.url")) or None)
    assert read(lambda: project.script_location) == (read(lambda: slowly("script_location")) or "")
