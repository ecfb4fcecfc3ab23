"""`--database-url` means that database, whatever `env.py` reads."""

from __future__ import annotations

import pytest

from tests.project import make_project
from truing.cli.app import run

BODIES = {"start": "op.execute('CREATE TABLE made (id int)')"}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name in ("TRUING_DATABASE_URL", "ALEMBIC_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    make_project(tmp_path, BODIES)
    return tmp_path


def reads(folder, expression: str) -> None:
    env = folder / "migrations" / "env.py"
    url = 'context.config.get_main_option("sqlalchemy.url")'
    assert url in env.read_text()
    env.write_text("import os\n" + env.read_text().replace(url, expression))


def made(database) -> bool:
    return database.execute("SELECT to_regclass('made') IS NOT NULL") == [(True,)]


@pytest.mark.parametrize("name", ["DATABASE_URL", "TRUING_DATABASE_URL"])
def test_an_environment_that_names_another_database_does_not_win(folder, database, make_database, monkeypatch, name):
    other = make_database()
    reads(folder, f'os.environ["{name}"].replace("postgresql://", "postgresql+psycopg://")')
    monkeypatch.setenv(name, other.url)
    assert run(["upgrade", "--database-url", database.url]) == 0
    assert (made(database), made(other)) == (True, False)
    assert run(["downgrade", "base", "--database-url", database.url]) == 0


def test_an_env_py_that_goes_elsewhere_is_refused_before_anything_is_run(folder, database, make_database, capsys):
    other = make_database()
    reads(folder, repr(other.url.replace("postgresql://", "postgresql+psycopg://")))
    assert run(["upgrade", "--database-url", database.url]) == 2
    said = capsys.readouterr().err
    assert f"env.py connects to database {other.name} at the local socket" in said
    assert "sqlalchemy.url" in said
    assert (made(database), made(other)) == (False, False)
    # The one that env.py means can be migrated.
    assert run(["upgrade", "--database-url", other.url]) == 0
    assert made(other)
