"""Chains of revisions that do not start from empty: a schema file, a dump, another database, a revision."""

from __future__ import annotations

import json
import subprocess

import psycopg
import pytest

from tests.project import make_project
from truing.cli.app import run
from truing.drift.building.base import pieces
from truing.errors import ConfigurationError
from truing.server import available

REVISIONS = {
    # What these do is in the base, and nobody can run them any more.
    "r1": "raise RuntimeError('r1 must not run')",
    "r2": "raise RuntimeError('r2 must not run')",
    "r3": 'op.add_column("old", sa.Column("late", sa.Text), schema="legacy")',
}
BASE = """
CREATE SCHEMA legacy;
CREATE TABLE legacy.old (id integer PRIMARY KEY, "na""me é" text DEFAULT 'a;b');
CREATE FUNCTION legacy.f() RETURNS text LANGUAGE plpgsql AS $body$
BEGIN
  RETURN '
\\d within a body is no command
COPY nothing FROM stdin;
';
END $body$;
ALTER TABLE legacy.old OWNER TO truing_nobody;
"""
STAMP = "CREATE TABLE alembic_version (version_num varchar(32) CONSTRAINT alembic_version_pkc PRIMARY KEY);"


@pytest.fixture
def project(tmp_path, database, monkeypatch):
    """A project whose live database is the base with r3; `configure()` writes [tool.truing]."""
    for name in ("TRUING_DATABASE_URL", "DATABASE_URL", "ALEMBIC_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    database.role("NOLOGIN", name="truing_nobody")
    database.execute(BASE + STAMP + "INSERT INTO alembic_version VALUES ('r3');")
    database.execute("ALTER TABLE legacy.old ADD late text")
    make_project(tmp_path, REVISIONS, url=database.url)

    def configure(**settings):
        lines = [f"{name.replace('_', '-')} = {json.dumps(value)}" for name, value in settings.items()]
        (tmp_path / "pyproject.toml").write_text("\n".join(["[tool.truing]", *lines, ""]))
        return tmp_path

    return configure


def answer(capsys, *arguments):
    capsys.readouterr()
    code = run(["drift", "--migrations", "--live", *arguments, "--output-format", "json"])
    out = capsys.readouterr()
    return code, json.loads(out.out) if out.out else {}, out.err


def pg_dump(database, *options):
    (binaries,) = [each for each in available() if each.version == database.version][:1]
    command = [binaries.program("pg_dump"), *options, "-d", database.dsn]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_a_schema_file_with_a_revision_stands_for_the_revisions_up_to_it(project, capsys, database):
    project(base="schema.sql", base_revision="r2").joinpath("schema.sql").write_text(BASE)
    code, document, _ = answer(capsys)
    assert (code, document["findings"]) == (0, [])
    database.execute("ALTER TABLE legacy.old DROP COLUMN late, ADD hand integer")
    code, document, _ = answer(capsys)
    assert {(each["subject"], each["revision"]) for each in document["findings"]} == {
        ("column legacy.old.hand", ""),
        ("column legacy.old.late", "r3"),
    }
    assert code == 1


@pytest.mark.parametrize("options", [(), ("--create",), ("--inserts", "--clean", "--if-exists")])
def test_a_dump_with_its_rows_says_by_itself_what_it_is_at(project, capsys, make_database, options):
    before = make_database()
    before.execute(BASE + STAMP + "INSERT INTO alembic_version VALUES ('r2');")
    dump = pg_dump(before, *options)
    assert "\\restrict" in dump or "SET statement_timeout" in dump
    project(base="dump.sql").joinpath("dump.sql").write_text(dump)
    code, document, error = answer(capsys)
    assert (code, document.get("findings"), error) == (0, [], "")


def test_another_database_may_be_the_base(project, capsys, make_database):
    before = make_database()
    before.execute(BASE + STAMP + "INSERT INTO alembic_version VALUES ('r2');")
    project(base=before.url)
    code, document, error = answer(capsys)
    assert (code, document.get("findings"), error) == (0, [], "")
    before.execute("ALTER TABLE legacy.old ADD more text")
    _, document, _ = answer(capsys)
    assert [each["subject"] for each in document["findings"]] == ["column legacy.old.more"]


def test_the_base_is_part_of_what_the_cache_goes_by(project, capsys):
    folder = project(base="schema.sql", base_revision="r2")
    (folder / "schema.sql").write_text(BASE)
    kept = [answer(capsys)[1]["facts"]["from the cache"].split(", ")[0] for _ in range(2)]
    assert kept == ["nothing", "migrations"]
    (folder / "schema.sql").write_text(BASE + "CREATE TABLE legacy.more (id integer);")
    _, document, _ = answer(capsys)
    assert document["facts"]["from the cache"] == "nothing"
    assert [each["subject"] for each in document["findings"]] == ["table legacy.more"]


@pytest.mark.parametrize(
    ("settings", "content", "messages"),
    [
        ({"base_revision": "r2"}, None, ["base-revision = 'r2'", "no base"]),
        ({"base": "schema.sql"}, None, ["schema.sql cannot be read", "pg_dump --schema-only"]),
        ({"base": "schema.sql"}, b"\xff", ["is not UTF-8"]),
        ({"base": "schema.sql"}, b"CREATE TABLE a (id integer);\nCREATE TALBE b ();\n", ["schema.sql, line 2"]),
        ({"base": "schema.sql"}, b"CREATE TABLE a (id integer);\n\nALTER TABLE b ADD c text;\n", ["line 3", '"b" does not exist']),
        ({"base": "schema.sql"}, b"SELECT 1;\n\\i other.sql\n", ["line 2", "\\i is a command of psql"]),
        ({"base": "schema.sql"}, b"CREATE TABLE a (id integer);\nCOPY a FROM stdin;\n1\n", ["line 2", "no end"]),
        ({"base": "schema.sql"}, b"CREATE TABLE a (id integer);\nCOPY a FROM stdin;\nx\n\\.\n", ["line 2", "invalid input syntax"]),
        ({"base": "schema.sql", "base_revision": "gone"}, BASE.encode(), ["gone"]),
        ({"base": "postgresql://truing:secret@localhost:1/x"}, None, ["cannot be reached"]),
    ],
)  # fmt: skip
def test_a_base_that_cannot_be_used_is_one_clear_error(project, capsys, settings, content, messages):
    folder = project(**settings)
    if content is not None:
        (folder / "schema.sql").write_bytes(content)
    code, _, error = answer(capsys)
    assert code == 2
    for message in messages:
        assert message in error
    assert "Traceback" not in error
    assert "secret" not in error


def test_a_live_database_below_the_base_is_said(project, capsys, database):
    project(base="schema.sql", base_revision="r2").joinpath("schema.sql").write_text(BASE)
    database.execute("UPDATE alembic_version SET version_num = 'r1'")
    code, _, error = answer(capsys)
    assert code == 2
    assert "revision r1 is below the base's (r2)" in error


def test_lines_that_look_like_commands_within_a_body_are_the_bodys():
    (piece,) = pieces(BASE, "x")
    assert piece.text == BASE
    with pytest.raises(ConfigurationError, match="line 2"):
        list(pieces("SELECT 1;\n\\d", "x"))


@pytest.mark.parametrize(
    "opening",
    [
        "COMMENT ON TABLE t IS 'cash $$';",
        "COMMENT ON TABLE t IS E'it\\'s $a$ or ''more';",
        'CREATE TABLE "a$$""b" (x integer); -- it\'s $x$',
        "CREATE TABLE a$$b (x integer); /* it's",
        "SELECT TYPE'x\\', '--';",
    ],
)
def test_what_looks_like_the_beginning_of_a_body_is_none_within_a_text_a_name_or_a_comment(opening):
    closing = "*/" if "/*" in opening else ""
    text = f"{opening}\n{closing}\n\\unrestrict x\nCOPY t (a) FROM stdin;\n1\n\\.\nSELECT 2;"
    first, copied, last = pieces(text, "x")
    assert (first.text, copied.rows, last.text) == (f"{opening}\n{closing}\n", "1\n", "SELECT 2;")


def test_a_line_of_a_text_is_never_taken_for_a_command():
    for text in ("COMMENT ON TABLE t IS 'one\n\\q\ntwo';", "COMMENT ON TABLE t IS E'\n\\q \\'\n\\q';"):
        (piece,) = pieces(text, "x")
        assert piece.text == text


def test_the_base_runs_with_the_live_search_path(project, capsys, database):
    database.execute(f"ALTER DATABASE {psycopg.sql.Identifier(database.name).as_string()} SET search_path = legacy")
    database.execute("CREATE TABLE legacy.plain (id integer); ALTER TABLE public.alembic_version SET SCHEMA legacy")
    text = BASE + "CREATE TABLE plain (id integer);"
    project(base="schema.sql", base_revision="r2").joinpath("schema.sql").write_text(text)
    _, document, _ = answer(capsys)
    # That is the one thing that no revision does.
    assert [each["subject"].split(" ")[:2] for each in document["findings"]] == [["database", "setting"]]
