"""Privileges on what PostgreSQL and extensions brought: edited by hand is found, and the fix was tried."""

from __future__ import annotations

import json

import pytest

from tests.project import make_project
from truing.cli.app import run
from truing.names import ident

GIVEN = (
    "CREATE EXTENSION pg_stat_statements",
    "REVOKE EXECUTE ON FUNCTION pg_sleep(float8) FROM PUBLIC",
    "GRANT SELECT ON pg_stat_statements TO pg_monitor",
    "CREATE TABLE alembic_version (version_num varchar(32) CONSTRAINT alembic_version_pkc PRIMARY KEY)",
    "INSERT INTO alembic_version VALUES ('r1')",
)
ROLE = "ro'le \"é: x"


@pytest.fixture
def drift(database, tmp_path, monkeypatch, capsys):
    """A function that compares the migrations with the live database, which is what they build."""
    for name in ("TRUING_DATABASE_URL", "DATABASE_URL", "ALEMBIC_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    revision = "\n".join(f"op.execute({each!r})" for each in GIVEN[:3])
    make_project(tmp_path, {"r1": revision}, url=database.url)
    database.execute("; ".join(GIVEN))

    def compare():
        capsys.readouterr()
        code = run(
            ["drift", "--migrations", "--live", "--scratch-url", database.cluster.url(), "--output-format", "json"]
        )
        out = capsys.readouterr()
        assert out.out, out.err
        return code, {each["subject"]: each for each in json.loads(out.out)["findings"]}

    return compare


def test_what_a_revision_has_changed_is_in_true(drift):
    assert drift() == (0, {})


def test_what_was_changed_by_hand_is_found_with_the_revision_and_a_fix_that_was_tried(drift, database):
    role = database.role(name=ROLE)
    database.execute(
        f"GRANT EXECUTE ON FUNCTION pg_sleep(float8) TO PUBLIC; REVOKE ALL ON pg_stat_statements FROM pg_monitor;"
        f"GRANT EXECUTE ON FUNCTION pg_read_file(text) TO {ident(role)}; GRANT CREATE ON SCHEMA pg_catalog TO PUBLIC"
    )
    code, found = drift()
    assert code == 1
    assert {each["rule"] for each in found.values()} == {"live-edited-by-hand"}
    said = {subject: (each["revision"], each["remedy"]) for subject, each in found.items()}
    keep, undo = "To keep it, in a new revision (and change the models):\n", "\nTo undo it on the live database:\n"

    def fix(kept, undone):
        return f"{keep}op.execute({kept!r}){undo}op.execute({undone!r})"

    read = "EXECUTE ON FUNCTION pg_catalog.pg_read_file(text)"
    sleep = "EXECUTE ON FUNCTION pg_catalog.pg_sleep(double precision)"
    seen = "SELECT ON TABLE public.pg_stat_statements"
    other = ident(ROLE).replace(": x", ": x")
    assert said == {
        "function pg_catalog.pg_read_file(text)": ("", fix(f"GRANT {read} TO {other}", f"REVOKE {read} FROM {other}")),
        "function pg_catalog.pg_sleep(double precision)": (
            "r1",
            fix(f"GRANT {sleep} TO PUBLIC", f"REVOKE {sleep} FROM PUBLIC"),
        ),
        "schema pg_catalog": (
            "",
            fix("GRANT CREATE ON SCHEMA pg_catalog TO PUBLIC", "REVOKE CREATE ON SCHEMA pg_catalog FROM PUBLIC"),
        ),
        "view public.pg_stat_statements": ("r1", fix(f"REVOKE {seen} FROM pg_monitor", f"GRANT {seen} TO pg_monitor")),
    }
