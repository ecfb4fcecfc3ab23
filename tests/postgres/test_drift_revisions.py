"""Drift names the revision that touched its object last, and a chain of revisions is run no more often than it must."""

from __future__ import annotations

import json

import pytest

from tests.project import make_project
from truing.cli.app import run
from truing.drift.building import builds

MODELS = """
from sqlalchemy import *
metadata = MetaData()
Table("a", metadata, Column("id", Integer, primary_key=True), Column("name", Text), Column("size", BigInteger),
      Column("unknown", Integer), Index("a_here", "name"))
Table("made_again", metadata, Column("id", Integer, primary_key=True), Column("more", Text))
"""
REVISIONS = {
    "r1": """
        op.create_table("a", sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.Text),
                        sa.Column("size", sa.Integer))
        op.create_table("made_again", sa.Column("id", sa.Integer, primary_key=True), sa.Column("more", sa.Text))
        op.execute("CREATE TYPE mood AS ENUM ('sad')")
    """,
    "r2": """
        op.execute("DO $$ BEGIN EXECUTE 'ALTER TABLE a ALTER size TYPE smallint'; END $$")
        op.create_index("a_there", "a", ["name"])
        op.execute("CREATE VIEW v AS SELECT id FROM a")
    """,
    "r3": """
        op.create_check_constraint("positive", "a", "size > 0")
        op.drop_table("made_again")
    """,
    "r4": """
        op.execute("CREATE FUNCTION f() RETURNS integer LANGUAGE sql AS 'SELECT 1'")
        op.add_column("a", sa.Column("late", sa.Text))
        op.create_table("made_again", sa.Column("id", sa.Integer, primary_key=True), sa.Column("more", sa.Integer))
    """,
    "r5": "op.execute(\"ALTER TYPE mood ADD VALUE 'glad'\")",
}


@pytest.fixture
def project(tmp_path, database, monkeypatch):
    for name in ("TRUING_DATABASE_URL", "DATABASE_URL", "ALEMBIC_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    make_project(tmp_path, REVISIONS, url=database.url, models=MODELS, metadata="metadata")
    return tmp_path


def answer(capsys, *arguments):
    capsys.readouterr()
    run(["drift", *arguments, "--output-format", "json"])
    out = capsys.readouterr()
    assert out.out, out.err
    return json.loads(out.out)


def revisions(document):
    return {each["subject"]: each["revision"] for each in document["findings"]}


TOUCHED = {
    "column public.a.size": "r2",
    "index public.a_here": "r2",  # an index of the same columns under another name is one that was renamed
    "constraint positive on public.a": "r3",
    "column public.a.late": "r4",
    "column public.a.unknown": "",
    "column public.made_again.more": "r4",
    "type public.mood": "r5",
}


def connecting(project, *, driver="psycopg", begin="connect"):
    """Let env.py connect in another way."""
    env = project / "migrations" / "env.py"
    text = env.read_text()
    if driver == "asyncpg":
        old = text[text.index("    with create_engine(") :]
        new = """
    import asyncio
    from sqlalchemy.ext.asyncio import create_async_engine
    async def main():
        engine = create_async_engine(url.replace("postgresql://", "postgresql+asyncpg://", 1), poolclass=pool.NullPool)
        async with engine.connect() as connection:
            await connection.run_sync(lambda c: run(connection=c))
        await engine.dispose()
    asyncio.run(main())
"""
        text = text.replace(old, new)
    env.write_text(text.replace(".connect() as", f".{begin}() as"))


@pytest.mark.parametrize(("driver", "begin"), [("psycopg", "connect"), ("psycopg", "begin"), ("asyncpg", "connect")])
def test_a_drift_names_the_revision_that_touched_its_object_last(project, capsys, driver, begin):
    connecting(project, driver=driver, begin=begin)
    document = answer(capsys, "--models", "--migrations", "--no-fixes")
    assert revisions(document) == TOUCHED


def test_what_was_changed_by_hand_names_the_revision_that_made_it(project, database, capsys):
    statements = [
        "CREATE TABLE a (id serial PRIMARY KEY, name text, size smallint CONSTRAINT positive CHECK (size > 1), late text)",
        "CREATE TABLE made_again (id serial PRIMARY KEY, more integer)",
        "CREATE TYPE mood AS ENUM ('sad')",
        "CREATE VIEW v AS SELECT id FROM a WHERE id > 1",
        "CREATE INDEX a_there ON a (name)",
        "CREATE TABLE by_hand (id integer)",
        "CREATE TABLE alembic_version (version_num varchar(32) CONSTRAINT alembic_version_pkc PRIMARY KEY)",
        "INSERT INTO alembic_version VALUES ('r5')",
    ]
    database.execute(";".join(statements))
    assert revisions(answer(capsys, "--migrations", "--live")) == {
        "constraint positive on public.a": "r3",
        "type public.mood": "r5",
        "view public.v": "r2",
        "function public.f()": "r4",
        "table public.by_hand": "",
    }


def test_without_drift_nothing_is_run_a_second_time(project, capsys, monkeypatch):
    asked = []
    monkeypatch.setattr(
        builds, "ask", lambda request, ask=builds.ask, **more: asked.append(request) or ask(request, **more)
    )
    (project / "migrations" / "versions" / "r1.py").write_text(
        'revision = "r1"\ndown_revision = None\nfrom alembic import op\n'
        'def upgrade():\n    op.execute("CREATE TABLE made (id integer)")\ndef downgrade(): pass\n'
    )
    for revision in ("r2", "r3", "r4", "r5"):
        (project / "migrations" / "versions" / f"{revision}.py").unlink()
    env = project / "migrations" / "env.py"
    env.write_text(
        env.read_text().replace(
            "def run(", 'metadata.clear()\nTable("made", metadata, Column("id", Integer))\ndef run('
        )
    )
    assert answer(capsys, "--models", "--migrations")["findings"] == []
    # The two are asked at the same time.
    assert sorted(request.task for request in asked) == ["migrations", "models"]


def test_the_revisions_of_the_live_database_are_run_once(project, database, capsys, monkeypatch):
    """The newest state begins with a copy of the one that the live database is at."""
    asked = []
    monkeypatch.setattr(
        builds, "ask", lambda request, ask=builds.ask, **more: asked.append(request) or ask(request, **more)
    )
    log = project / "log"
    for file in sorted((project / "migrations" / "versions").glob("*.py")):
        file.write_text(
            file.read_text().replace(
                "def upgrade():\n", f"def upgrade():\n    open({str(log)!r}, 'a').write(revision)\n"
            )
        )
    database.execute(
        "CREATE TABLE alembic_version (version_num varchar(32) CONSTRAINT alembic_version_pkc PRIMARY KEY);"
        "INSERT INTO alembic_version VALUES ('r3'); CREATE TYPE mood AS ENUM ('sad');"
        "CREATE TABLE a (id serial PRIMARY KEY, name text, size smallint, CONSTRAINT positive CHECK (size > 0));"
        "CREATE INDEX a_there ON a (name); CREATE VIEW v AS SELECT id FROM a"
    )
    document = answer(capsys, "--migrations", "--live", "--no-fixes")
    assert {each["rule"] for each in document["findings"]} == {"pending-migration"}
    assert revisions(document)["column public.a.late"] == "r4"
    states = [request.revisions for request in asked]
    assert states == [("r3",), ("heads",), ("heads",)]
    # Once for both states, and once more to look at each revision.
    assert log.read_text() == "r1r2r3" + "r4r5" + "r1r2r3r4r5"


def test_a_module_that_only_an_applied_revision_imports_counts_for_the_newest_state(project, database, capsys):
    """It is run for the live state only, from which the newest one begins; the newest must not outlive it in the cache."""
    (project / "wanted.py").write_text('SQL = "CREATE TABLE wanted (id int)"')
    first = project / "migrations" / "versions" / "r1.py"
    lines = "def upgrade():\n    import sys; sys.path.insert(0, '.'); from wanted import SQL; op.execute(SQL)\n"
    first.write_text(first.read_text().replace("def upgrade():\n", lines))
    database.execute(
        "CREATE TABLE alembic_version (version_num varchar(32) CONSTRAINT alembic_version_pkc PRIMARY KEY);"
        "INSERT INTO alembic_version VALUES ('r1')"
    )
    asked = ("--models", "--migrations", "--live", "--no-fixes")
    answer(capsys, *asked)
    assert "migrations" in answer(capsys, *asked)["facts"]["from the cache"].split(", ")
    (project / "wanted.py").write_text('SQL = "CREATE TABLE wanted_otherwise (id int)"')
    document = answer(capsys, *asked)
    assert "migrations" not in document["facts"]["from the cache"].split(", ")
    assert "table public.wanted_otherwise" in {each["subject"] for each in document["findings"]}
