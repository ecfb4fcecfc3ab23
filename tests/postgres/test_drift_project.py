"""A small project end to end: three sides, a verdict for each object, fixes that were tried, and a database left alone."""

from __future__ import annotations

import json

import pytest

from tests.project import make_project
from truing.cli.app import run

MODELS = """
from sqlalchemy import *
metadata = MetaData()
Table("a", metadata, Column("id", Integer, primary_key=True), Column("name", String(20), nullable=False),
      Column("made", DateTime, server_default=text("CURRENT_TIMESTAMP")), Column("doc", JSON, server_default="[]"),
      Index("a_name", "name"), schema="app")
Table("b", metadata, Column("id", Integer, primary_key=True), Column("a_id", ForeignKey("app.a.id"), index=True),
      schema="app")
Table("hidden_one", metadata, Column("id", Integer, primary_key=True))

def include_object(object, name, type_, reflected, compare_to):
    return not (type_ == "table" and name.startswith("hidden"))
"""
ONE = """
op.execute("CREATE SCHEMA app")
op.create_table("a", sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.String(20)),
    sa.Column("made", sa.DateTime, server_default=sa.func.now()), sa.Column("doc", sa.JSON, server_default="[]"),
    schema="app")
"""
TWO = """
op.create_table("b", sa.Column("id", sa.Integer, primary_key=True), sa.Column("a_id", sa.Integer), schema="app")
op.create_foreign_key("b_a_id_fkey", "b", "a", ["a_id"], ["id"], source_schema="app", referent_schema="app")
op.create_index("ix_app_b_a_id", "b", ["a_id"], schema="app")
op.execute("CREATE FUNCTION app.f() RETURNS integer LANGUAGE sql AS 'SELECT 1'")
op.execute("GRANT SELECT ON app.b TO truing_reader")
"""


@pytest.fixture
def project(tmp_path, database, monkeypatch):
    """The project, with the live database at its first revision; `migrate()` brings it to the second."""
    for name in ("TRUING_DATABASE_URL", "DATABASE_URL", "ALEMBIC_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    url = database.url.replace("postgresql://", "postgresql+psycopg://", 1)
    make_project(
        tmp_path,
        {"one": ONE, "two": TWO},
        url=url,
        models=MODELS,
        metadata="metadata",
        options="include_object=include_object,",
    )
    return tmp_path


def upgrade(database, *revisions):
    """What the revisions do, done by hand."""
    statements = {
        "one": "CREATE SCHEMA app; CREATE TABLE app.a (id serial PRIMARY KEY, name varchar(20), made timestamp DEFAULT now(),"
        " doc json DEFAULT '[]'); CREATE TABLE alembic_version (version_num varchar(32) CONSTRAINT alembic_version_pkc"
        " PRIMARY KEY); INSERT INTO alembic_version VALUES ('one')",
        "two": "CREATE TABLE app.b (id serial PRIMARY KEY, a_id integer); ALTER TABLE app.b ADD FOREIGN KEY (a_id)"
        " REFERENCES app.a (id); CREATE INDEX ix_app_b_a_id ON app.b (a_id);"
        " CREATE FUNCTION app.f() RETURNS integer LANGUAGE sql AS 'SELECT 1'; GRANT SELECT ON app.b TO truing_reader;"
        " UPDATE alembic_version SET version_num = 'two'",
    }
    for revision in revisions:
        database.execute(statements[revision])


@pytest.fixture
def at_head(project, database):
    database.role("NOLOGIN", name="truing_reader")
    upgrade(database, "one", "two")
    return project


def answer(capsys, *arguments):
    capsys.readouterr()
    code = run([*arguments, "--output-format", "json"])
    out = capsys.readouterr()
    assert out.out, out.err
    return code, json.loads(out.out)


def said(document):
    return {(each["rule"], each["subject"]) for each in document["findings"]}


MODELS_MOVED = {
    ("migration-missing", "index app.a_name"),
    ("migration-missing", "column app.a.name"),
    # CURRENT_TIMESTAMP and now(): of the tier "equivalent", so information only.
    ("migration-missing", "column app.a.made"),
}


def test_models_against_migrations_needs_no_database(project, capsys):
    code, document = answer(capsys, "drift", "--models", "--migrations")
    assert code == 1
    assert said(document) == MODELS_MOVED
    left = {row["reason"]: row["names"] for row in document["tables"][0]["rows"]}
    assert left["left to the migrations: function"] == "app.f()"
    assert left["hidden by include_object"] == "table public.hidden_one"
    remedies = {each["subject"]: each["remedy"] for each in document["findings"]}
    tiers = {each["subject"]: each["message"].rpartition(" ")[2] for each in document["findings"]}
    assert tiers["column app.a.made"] == "[equivalent]"
    assert "op.create_index('a_name', 'a', ['name'], unique=False, schema='app')" in remedies["index app.a_name"]
    assert "op.alter_column('a', 'name', nullable=False, schema='app')" in remedies["column app.a.name"]


def test_all_three_at_head(at_head, database, capsys):
    _, document = answer(capsys, "drift")
    assert said(document) == MODELS_MOVED
    database.execute(
        "ALTER TABLE app.b ADD COLUMN by_hand text; CREATE TABLE app.more (id integer); CREATE INDEX a_name ON app.a (name)"
    )
    database.execute("REVOKE SELECT ON app.b FROM truing_reader")
    _, document = answer(capsys, "drift")
    assert said(document) == {
        *MODELS_MOVED,
        ("live-edited-by-hand", "column app.b.by_hand"),
        ("live-edited-by-hand", "table app.more"),
        ("live-edited-by-hand", "table app.b"),
    }
    (column,) = (each for each in document["findings"] if each["subject"] == "column app.b.by_hand")
    assert "op.add_column('b', sa.Column('by_hand', sa.Text(), nullable=True), schema='app')" in column["remedy"]
    assert "op.drop_column('b', 'by_hand', schema='app')" in column["remedy"]


def test_what_env_py_hides_and_a_revision_builds_is_said_where_live_has_it_otherwise(project, database, capsys):
    env = project / "migrations" / "env.py"
    hiding = 'and name not in ("ix_app_b_a_id", "of_theirs", "b_a_id_fkey")'
    env.write_text(env.read_text().replace('name.startswith("hidden"))', f'name.startswith("hidden")) {hiding}'))
    database.role("NOLOGIN", name="truing_reader")
    upgrade(database, "one", "two")
    # An index that models and live database lack, a key that only the live database lacks, one that only it has.
    env.write_text(env.read_text().replace('ForeignKey("app.a.id"), index=True', 'ForeignKey("app.a.id")'))
    database.execute(
        "DROP INDEX app.ix_app_b_a_id; CREATE INDEX of_theirs ON app.a (made); ALTER TABLE app.b DROP CONSTRAINT b_a_id_fkey"
    )
    _, document = answer(capsys, "drift")
    assert said(document) - MODELS_MOVED == {
        ("live-edited-by-hand", "index app.ix_app_b_a_id"),
        ("live-edited-by-hand", "constraint b_a_id_fkey on app.b"),
    }
    left = {row["reason"]: row["names"] for row in document["tables"][0]["rows"]}
    assert "of_theirs" in left["hidden by include_object"]


def test_what_a_revision_brings_is_pending(project, database, capsys):
    upgrade(database, "one")
    _, document = answer(capsys, "drift", "--migrations", "--live")
    assert {each["rule"] for each in document["findings"]} == {"pending-migration"}
    assert ("pending-migration", "table app.b") in said(document)
    database.execute("ALTER TABLE app.a DROP COLUMN doc")
    code, document = answer(capsys, "drift", "--migrations", "--live")
    assert ("live-edited-by-hand", "column app.a.doc") in said(document)
    assert code == 1


def test_an_unknown_and_a_missing_revision_are_said(at_head, database, capsys):
    database.execute("UPDATE alembic_version SET version_num = 'gone'")
    assert ("unknown-revision", "gone") in said(answer(capsys, "drift", "--migrations", "--live")[1])
    database.execute("DROP TABLE alembic_version")
    assert ("unstamped-database", "alembic_version") in said(answer(capsys, "drift", "--migrations", "--live")[1])


def test_what_does_not_load_is_not_blamed_on_the_migrations(project, capsys):
    env = project / "migrations" / "env.py"
    env.write_text(env.read_text() + "\nclass Order(Base\n")
    assert run(["drift", "--models", "--migrations"]) == 2
    said = capsys.readouterr().err
    assert "the migrations cannot be loaded" in said
    assert "do not run" not in said


def test_several_heads_are_said(at_head, capsys):
    two = at_head / "migrations" / "versions" / "two.py"
    other = two.with_name("other.py")
    other.write_text('revision = "other"\ndown_revision = "one"\ndef upgrade(): pass\ndef downgrade(): pass\n')
    assert ("several-heads", "other, two") in said(answer(capsys, "drift", "--models", "--migrations")[1])


def test_equivalent_texts_are_a_tier_of_their_own(at_head, database, capsys):
    database.execute(
        "ALTER TABLE app.a ALTER made SET DEFAULT transaction_timestamp(), ALTER doc SET DEFAULT '[ ]'::json"
    )
    _, document = answer(capsys, "drift", "--migrations", "--live")
    tiers = {each["subject"]: (each["severity"], each["message"].rpartition(" ")[2]) for each in document["findings"]}
    assert tiers["column app.a.made"] == ("info", "[equivalent]")
    database.execute("ALTER TABLE app.a ALTER doc SET DEFAULT '[1]'::json")
    _, document = answer(capsys, "drift", "--migrations", "--live")
    tiers = {each["subject"]: each["message"].rpartition(" ")[2] for each in document["findings"]}
    assert tiers["column app.a.doc"] == "[behaviour]"


def test_the_migrations_never_reach_the_live_database(at_head, database, capsys, monkeypatch):
    """Also where env.py takes the address from elsewhere than Alembic's configuration."""
    env = at_head / "migrations" / "env.py"
    url = database.url.replace("postgresql://", "postgresql+psycopg://", 1)
    env.write_text(env.read_text().replace('url = context.config.get_main_option("sqlalchemy.url")', f"url = {url!r}"))
    database.execute("DELETE FROM alembic_version; DROP SCHEMA app CASCADE")
    _, document = answer(capsys, "drift", "--models", "--migrations")
    assert said(document) == MODELS_MOVED
    assert database.execute("SELECT to_regnamespace('app')") == [(None,)]


def test_the_live_database_is_untouched(at_head, database, capsys):
    look = (
        "SELECT pg_snapshot_xmax(pg_current_snapshot())::text, (SELECT array_agg(last_value::text) FROM pg_sequences),"
        " (SELECT array_agg(xmin::text ORDER BY 1) FROM pg_class), (SELECT array_agg(relname ORDER BY 1) FROM pg_class)"
    )
    before = database.execute(look)
    answer(capsys, "drift")
    assert "comparison" in answer(capsys, "drift")[1]["facts"]["from the cache"]
    answer(capsys, "snapshot")
    assert database.execute(look) == before


def test_an_unchanged_project_is_built_once(at_head, database, capsys):
    assert answer(capsys, "drift")[1]["facts"]["from the cache"] == "nothing"
    # Another state of the catalog, in which nothing differs.
    database.execute("TRUNCATE app.b")
    assert answer(capsys, "drift")[1]["facts"]["from the cache"] == "migrations, models"
    revision = at_head / "migrations" / "versions" / "two.py"
    revision.write_text(revision.read_text() + "\n# changed\n")
    assert answer(capsys, "drift")[1]["facts"]["from the cache"] == "nothing"
    new = revision.with_name("three.py")
    new.write_text('revision = "three"\ndown_revision = "two"\ndef upgrade(): pass\ndef downgrade(): pass\n')
    assert answer(capsys, "drift", "--models", "--migrations")[1]["facts"]["from the cache"] == "nothing"


def test_a_snapshot_stands_for_the_live_database(at_head, database, capsys, tmp_path):
    file = tmp_path / "live.json"
    assert run(["snapshot", "-o", str(file)]) == 0
    database.execute("DROP TABLE app.b")
    _, document = answer(capsys, "drift", "--migrations", "--snapshot", str(file))
    assert document["findings"] == []
    code, document = answer(capsys, "snapshot", "--from", str(file))
    assert (code, document["facts"]["revisions"], document["facts"]["tables"]) == (0, "two", 3)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not JSON"), (b"hello", "is not JSON"), (b"\xff\xfe", "is not JSON"), (b"[1]", "no snapshot"),
        (b'{"format": "other", "version": 1}', "no snapshot"),
        (b'{"format": "truing-snapshot", "version": 99, "new": 1}', "version 99"),
        (b'{"format": "truing-snapshot", "version": 1, "snapshot": {"object": "Snapshot"}}', "damaged"),
        (b'{"format": "truing-snapshot", "version": 1, "snaps', "cut off"), (None, "cannot be read"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_snapshot_is_one_clear_error(project, capsys, content, message):
    file = project / "broken.json"
    if content is not None:
        file.write_bytes(content)
    assert run(["drift", "--migrations", "--snapshot", str(file)]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error


def test_one_side_alone_is_a_usage_error(project, capsys):
    assert run(["drift", "--models"]) == 2
    assert "only one side" in capsys.readouterr().err


def test_a_pattern_of_unmanaged_means_what_it_means_to_lint(at_head, database, capsys):
    database.execute(
        "CREATE SCHEMA theirs; CREATE TABLE theirs.tmp_1 (); CREATE TABLE tmp_2 (); CREATE TABLE app.tmp_3 ()"
    )
    configuration = at_head / "pyproject.toml"

    def unmanaged(pattern):
        configuration.write_text(f"[tool.truing]\nunmanaged = ['theirs.*', '{pattern}']\n")
        _, document = answer(capsys, "drift", "--migrations", "--live", "--no-fixes")
        return {subject for _, subject in said(document)}, document["facts"].get("unmanaged")

    assert unmanaged("tmp_*") == (
        {"table app.tmp_3"},
        "tmp_* means public alone, and *.tmp_* would mean app.tmp_3 too",
    )
    assert unmanaged("*.tmp_*") == (set(), None)
    configuration.write_text("[tool.truing]\nunmanaged = ['tmp_?']\n")
    assert run(["drift", "--migrations", "--live"]) == 2
    assert "unmanaged: only * stands for other characters, which 'tmp_?' has more of" in capsys.readouterr().err
