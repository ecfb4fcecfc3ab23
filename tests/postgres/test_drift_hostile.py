"""Hostile names in every place of a live database: said harmlessly, and as they are to a program.

All of them at once, and two each by itself among the slow tests; TRUING_NAMES=all takes each of them by itself.
"""

from __future__ import annotations

import json
import os
import unicodedata
from collections.abc import Iterable

import pytest

from tests.project import make_project
from truing.cli.app import run
from truing.names import ident, literal

NASTY = {
    "quotes": "a\"b'c`d",
    "newline": "one\ntwo\r\nthree",
    "escape": "\x1b[31mred\x1b]0;title\x07",
    "html": "<script>alert(1)</script>&amp;",
    "bidi": "user\u202egnp.exe\u200b",
    "ci": "::error file=x::y",
    "format": "%s %(x)s {y} {{z}} $1",
    "markup": "[bold red]x[/] ]]> \\",
    "long": "é" * 31,
}


def build(name: str) -> str:
    """One of everything, all called the same as far as they may be."""
    n, s, text = ident(name), ident(name), literal(name)

    def also(ending: str) -> str:
        return ident(name[:40] + ending)

    table = f"{s}.{also('t')}"
    # RAISE has parameters of its own, and a string within a string.
    body = literal(f"BEGIN RAISE {literal(name.replace('%', '%%'))}; END")
    return f"""
    CREATE SCHEMA {s};
    CREATE TYPE {s}.{n} AS ENUM ({text});
    CREATE DOMAIN {s}.{also("d")} AS text DEFAULT {text} CONSTRAINT {n} CHECK (VALUE <> {text});
    CREATE SEQUENCE {s}.{also("s")};
    CREATE TABLE {table} (
        {n} integer CONSTRAINT {also("pk")} PRIMARY KEY,
        {also("e")} {s}.{n} DEFAULT {text},
        {also("x")} text DEFAULT {text},
        CONSTRAINT {also("ck")} CHECK ({also("x")} <> {text}),
        CONSTRAINT {also("fk")} FOREIGN KEY ({n}) REFERENCES {table});
    CREATE INDEX {also("ix")} ON {table} ({also("x")}) WHERE {also("x")} <> {text};
    COMMENT ON TABLE {table} IS {text};
    COMMENT ON COLUMN {table}.{n} IS {text};
    CREATE VIEW {s}.{also("v")} AS SELECT {n} AS {also("y")}, {text}::text AS t FROM {table};
    CREATE FUNCTION {s}.{n}({also("arg")} integer) RETURNS text LANGUAGE plpgsql AS {body};
    CREATE FUNCTION {s}.{n}() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
    CREATE TRIGGER {n} BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION {s}.{n}({text});
    ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;
    CREATE POLICY {n} ON {table} USING ({also("x")} = {text});
    CREATE STATISTICS {s}.{also("st")} ON {n}, {also("x")} FROM {table};
    CREATE PUBLICATION {n} FOR TABLE {table};
    """


def models(names: Iterable[str]) -> str:
    """Models of those tables, which the database does not quite fit, and of others, which it lacks."""
    classes = (
        f"""
class One{number}(Base):
    __tablename__ = {name[:40] + "t"!r}
    __table_args__ = {{"schema": {name!r}}}
    id = mapped_column({name!r}, BigInteger, primary_key=True)
    more = mapped_column({name[:40] + "m"!r}, String(5), server_default={name!r}, nullable=False)
    other = mapped_column({name[:40] + "e"!r}, Enum({name!r}, "more", name={name!r}, schema={name!r}), index=True)

class Two{number}(Base):
    __tablename__ = {name[:40] + "2"!r}
    __table_args__ = {{"comment": {name!r}}}
    id = mapped_column({name!r}, Integer, primary_key=True)
"""
        for number, name in enumerate(names)
    )
    return f"""
from sqlalchemy import *
from sqlalchemy.orm import DeclarativeBase, mapped_column

class Base(DeclarativeBase):
    pass
{"".join(classes)}"""


ALONE = tuple(NASTY) if os.environ.get("TRUING_NAMES") == "all" else ("newline", "markup")


@pytest.fixture(
    params=[
        pytest.param(tuple(NASTY.values()), id="all"),
        # Each by itself says which of them it is; a name must not hide behind another, either.
        *(pytest.param((NASTY[key],), id=key, marks=pytest.mark.slow) for key in ALONE),
    ]
)
def names(request, database):
    """The names, with everything of theirs in the live database."""
    for name in request.param:
        database.execute(build(name))
    return request.param


@pytest.fixture
def project(tmp_path, database, monkeypatch):
    """A project whose migrations know nothing of what is in the live database."""
    for variable in ("TRUING_DATABASE_URL", "DATABASE_URL", "ALEMBIC_CONFIG"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    url = database.url.replace("postgresql://", "postgresql+psycopg://", 1)

    def write(text=""):
        make_project(tmp_path, {"one": "pass"}, url=url, models=text, metadata="Base.metadata" if text else "None")
        return tmp_path

    return write


def harmless(text: str) -> bool:
    """Whether a terminal only ever prints it: line breaks, and characters that are seen."""
    return all(each in "\n " or unicodedata.category(each)[0] not in "CZ" for each in text)


@pytest.mark.parametrize("command", ["drift", "orm"])
def test_names_are_said_harmlessly_and_whole(command, names, project, capfd):
    project(models(names))
    said = {}
    for form in ("full", "concise", "json"):
        assert run([command, "--output-format", form]) == 1, capfd.readouterr().err
        said[form], error = capfd.readouterr()
        assert "Traceback" not in error
        assert harmless(error)
    assert harmless(said["full"])
    assert harmless(said["concise"])
    findings = json.loads(said["json"])["findings"]
    assert len(said["concise"].splitlines()) >= len(findings) > 1
    # JSON carries the name itself, so that a program finds the object again.
    for name in names:
        assert any(name in each["subject"].replace('""', '"') for each in findings), name


def test_everything_that_has_a_bad_name_is_said(names, project, capfd):
    project(models(names))
    assert run(["drift", "--migrations", "--live", "--output-format", "json"]) == 1
    # All of a name is in one schema that no revision makes, so it is said once.
    subjects = {each["subject"] for each in json.loads(capfd.readouterr().out)["findings"]}
    assert {f"{kind} {ident(name)}" for kind in ("schema", "publication") for name in names} <= subjects


def test_a_snapshot_of_it_is_it(names, project, capfd):
    project(models(names))
    assert run(["snapshot", "-o", "it.json"]) == 0
    answers = []
    for side in (("--live",), ("--snapshot", "it.json")):
        assert run(["drift", "--migrations", "--models", *side, "--output-format", "json"]) == 1
        answers.append(json.loads(capfd.readouterr().out)["findings"])
    assert answers[0] == answers[1] != []
    for form in ("full", "concise"):
        assert run(["snapshot", "--from", "it.json", "--output-format", form]) == 0
        assert harmless(capfd.readouterr().out)
