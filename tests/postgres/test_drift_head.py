"""A folder with several histories, of which a database has one."""

from __future__ import annotations

import json

import pytest

from tests.project import REVISION, make_project
from truing.cli.app import run
from truing.drift.building.stairs import climb
from truing.drift.building.workshop import Workshop
from truing.revisions.project import discover

MODELS = """
from sqlalchemy import *
metadata = MetaData()
Table("kept", metadata, Column("id", Integer, primary_key=True), Column("note", Text))
"""
MAIN = 'op.create_table("kept", sa.Column("id", sa.Integer, primary_key=True), sa.Column("note", sa.Text))'
# A history that makes the same table: both cannot be run on one database.
LEGACY = 'op.create_table("kept", sa.Column("id", sa.Integer, primary_key=True))'


@pytest.fixture
def project(tmp_path, database, monkeypatch):
    """A project of two histories; `head(name)` says which one is meant."""
    for name in ("TRUING_DATABASE_URL", "DATABASE_URL", "ALEMBIC_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    url = database.url.replace("postgresql://", "postgresql+psycopg://", 1)
    make_project(tmp_path, {"main_1": MAIN}, url=url, models=MODELS, metadata="metadata")
    versions = tmp_path / "migrations" / "versions"
    legacy = REVISION.format(revision="old_1", down=None, body=f"    {LEGACY}")
    (versions / "old_1.py").write_text(legacy + 'branch_labels = ("old",)\n')
    main = (versions / "main_1.py").read_text()
    undone = main.replace("def downgrade():\n    pass", 'def downgrade():\n    op.drop_table("kept")')
    (versions / "main_1.py").write_text(undone + 'branch_labels = ("main",)\n')

    def head(name):
        (tmp_path / "pyproject.toml").write_text(f"[tool.truing]\nhead = {json.dumps(name)}\n")
        return tmp_path

    return head


def answer(capsys, *arguments):
    capsys.readouterr()
    code = run([*arguments, "--output-format", "json"])
    out = capsys.readouterr()
    return code, json.loads(out.out) if out.out else {}, out.err


def test_only_the_history_that_is_meant_is_built_and_run(project, capsys, database):
    project("main@head")
    code, document, error = answer(capsys, "upgrade")
    assert (code, document["facts"]["after"]) == (0, "main_1"), error
    code, document, error = answer(capsys, "drift")
    assert (code, document["findings"]) == (0, []), error
    database.execute("UPDATE alembic_version SET version_num = 'old_1'")
    # The other history is known; a database on it is not what this one builds.
    code, document, error = answer(capsys, "drift")
    assert [each["subject"] for each in document["findings"]] == ["column public.kept.note"], error


def test_without_a_head_the_histories_stand_in_each_others_way(project, capsys):
    project("heads")
    code, _, error = answer(capsys, "drift", "--models", "--migrations")
    assert code == 2
    assert 'relation "kept" already exists' in error


def test_a_head_that_is_not_there_is_named(project, capsys):
    project("nosuch@head")
    code, _, error = answer(capsys, "drift", "--models", "--migrations")
    assert code == 2
    assert "nosuch" in error
    assert "Traceback" not in error


def test_no_other_history_is_climbed(project, cluster):
    folder = project("main@head")
    with Workshop(scratch_url=cluster.url()) as workshop:
        stairs = climb(workshop, discover(folder, head="main@head"))
    assert [each.revision for each in stairs.stairs] == ["main_1"]
    assert stairs.heads == ("main_1",)
    assert not [each for each in stairs.stairs if each.failed]
