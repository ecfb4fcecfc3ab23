"""Models that are built while the migrations run: with the right guess once, with a wrong one again, and never left behind."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tests.project import make_project
from truing.drift import run as drift
from truing.errors import RevisionError
from truing.revisions.project import discover

TABLE = 'op.create_table("things", sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", {kind}))'
FUNCTION = "op.execute(\"CREATE FUNCTION made() RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT 'x' $$\")\n"
MODELS = """
from sqlalchemy import *
from sqlalchemy.dialects.postgresql import CITEXT
import os, pathlib, sys
class Metadata(MetaData):
    def create_all(self, *arguments, **options):
        with pathlib.Path({log!r}).open("a") as log:
            print(os.getpid(), file=log)
        super().create_all(*arguments, **options)
metadata = Metadata()
Table("things", metadata, Column("id", Integer, primary_key=True), Column("name", {kind}))
"""
CASES = {
    "nothing is needed": ("", "sa.Text", "Text", (1,)),
    "an extension of the migrations": (
        'op.execute("CREATE EXTENSION citext")\n',
        "sa.dialects.postgresql.CITEXT",
        "CITEXT",
        # The first one may be ended before it has begun.
        (1, 2),
    ),
    "a function of the migrations": (
        FUNCTION,
        'sa.Text, server_default=sa.text("made()")',
        'Text, server_default=text("made()")',
        (2,),
    ),
    "a role of the models": (
        'op.execute("CREATE ROLE somebody_of_both")\nop.execute("GRANT SELECT ON alembic_version TO somebody_of_both")\n',
        "sa.Text",
        'Text)); event.listen(metadata, "before_create", DDL("CREATE ROLE somebody_of_both"',
        (2,),
    ),
}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("case", CASES)
def test_models_are_built_again_where_the_guess_was_wrong(tmp_path, case):
    before, migrated, modelled, builds = CASES[case]
    log = tmp_path / "log"
    models = MODELS.format(log=str(log), kind=modelled)
    revision = before + TABLE.format(kind=migrated)
    project = discover(config=make_project(tmp_path, {"r1": revision}, models=models, metadata="metadata"))
    outcome = drift.run(project, drift.Options())
    assert outcome.drifts == ()
    # Whichever of the two makes the role first: the models are judged as what comes after the migrations.
    refused = [each.subject for each in outcome.findings if each.rule == "model-not-creatable"]
    assert refused == (["CREATE ROLE somebody_of_both"] if "role" in case else [])
    built = log.read_text().split()
    assert len(built) in builds
    again = drift.run(project, drift.Options())
    assert again.drifts == ()
    assert again.facts["from the cache"] == "migrations, models"
    assert log.read_text().split() == built


def test_what_is_built_whole_does_not_depend_on_the_functions_of_the_migrations(tmp_path):
    log = tmp_path / "log"
    models = MODELS.format(log=str(log), kind="Text")
    project = make_project(tmp_path, {"r1": TABLE.format(kind="sa.Text")}, models=models, metadata="metadata")
    drift.run(discover(config=project), drift.Options())
    revision = next((tmp_path / "migrations" / "versions").glob("*.py"))
    text = revision.read_text()
    revision.write_text(text.replace("def upgrade():", f"def upgrade():\n    {FUNCTION}"))
    os.utime(revision, (time.time() + 5, time.time() + 5))
    assert drift.run(discover(config=project), drift.Options()).drifts == ()
    # Both are built again, since the revision is a file of the project: but the models once.
    assert len(log.read_text().split()) == 2


def test_models_end_with_migrations_that_fail(tmp_path):
    pid = tmp_path / "pid"
    models = f"""
import pathlib, os, sys, time
from sqlalchemy import MetaData
class Metadata(MetaData):
    def create_all(self, *_, **__):
        pathlib.Path({str(pid)!r}).write_text(str(os.getpid()))
        time.sleep(600)
metadata = Metadata()
"""
    wait = f"import pathlib, time\nwhile not pathlib.Path({str(pid)!r}).exists():\n    time.sleep(0.05)\n"
    revision = f'{wait}raise ValueError("on purpose")'
    project = make_project(tmp_path, {"r1": revision}, models=models, metadata="metadata")
    started = time.monotonic()
    with pytest.raises(RevisionError, match="on purpose"):
        drift.run(discover(config=project), drift.Options())
    assert time.monotonic() - started < 300
    assert not Path(f"/proc/{pid.read_text()}").exists()
