"""Is the RBAC database in true with whatever `[tool.truing.rbac]` says? Models, revisions and live, for each binding."""

from __future__ import annotations

import io
import json

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from tests.supabase import EMPTY
from truing.catalog.diff import compare
from truing.catalog.read import read_snapshot
from truing.cli.app import run
from truing.rbac import script

BEFORE = "rbac_tenant_keys_contract"
OPEN = "rbac_row_security"
# More of what Supabase's own images make (supabase/postgres), which no revision does.
SUPABASE = """
CREATE SCHEMA extensions;
CREATE SCHEMA storage;
CREATE TABLE storage.objects (id uuid PRIMARY KEY, owner uuid);
CREATE FUNCTION extensions.pgrst_ddl_watch() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
CREATE EVENT TRIGGER pgrst_ddl_watch ON ddl_command_end EXECUTE FUNCTION extensions.pgrst_ddl_watch();
CREATE PUBLICATION supabase_realtime;
ALTER DEFAULT PRIVILEGES FOR ROLE supabase_auth_admin IN SCHEMA auth GRANT SELECT ON TABLES TO postgres;
"""
# What somebody does by hand, for each binding: what it is called afterwards.
EDITS = {
    "setting": ("ALTER FUNCTION rbac.current_tenant() VOLATILE", "function rbac.current_tenant()"),
    "role": ("GRANT SELECT ON rbac.tenant_roles TO app_user", "table rbac.tenant_roles"),
    "signed": ("DROP POLICY nobody ON rbac.tenant_keys", "policy nobody on rbac.tenant_keys"),
    "supabase": (
        "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO rbac_signup",
        "default privileges of postgres in public on tables",
    ),
}


@pytest.fixture
def go(tmp_path, database, monkeypatch):
    """In a project that is configured as told, run a command; what it answers comes as JSON."""
    for name in ("TRUING_DATABASE_URL", "ALEMBIC_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DATABASE_URL", database.url)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "alembic.ini").write_text(f"[alembic]\nscript_location = {script.MIGRATIONS}\n")

    def say(**told):
        lines = "".join(f"{key} = {json.dumps(value)}\n" for key, value in told.items())
        (tmp_path / "pyproject.toml").write_text(f"[tool.truing.rbac]\n{lines}")
        if told.get("binding") == "supabase":
            database.execute(EMPTY)
            database.execute(SUPABASE)

    def call(*arguments):
        code = run([*arguments, "--output-format", "json", "-o", "answer.json"])
        return code, json.loads((tmp_path / "answer.json").read_text()) if code < 2 else {}

    call.say = say
    return call


def move(database, target, *, down=False):
    engine = create_engine(database.url, poolclass=NullPool)
    with engine.connect() as connection:
        (script.downgrade if down else script.upgrade)(connection, target)


def snapshot(database):
    with database.connect() as connection:
        return read_snapshot(connection)


def left_out(answer):
    (table,) = (each for each in answer["tables"] if each["id"] == "left-out")
    return {row["reason"]: row["names"] for row in table["rows"]}


@pytest.mark.parametrize("bind", EDITS)
def test_models_revisions_and_live_are_one_at_head_and_it_goes_back(go, database, bind):
    go.say(binding=bind)
    move(database, BEFORE)
    before = snapshot(database)
    move(database, script.HEAD)

    # With what the project says, and nothing else: no baseline, no -x.
    command.check(Config("alembic.ini", stdout=io.StringIO()))
    code, answer = go("check")
    assert (code, answer["findings"]) == (0, [])
    if bind == "supabase":
        assert {key: value for key, value in left_out(answer).items() if key.startswith("of Supabase")} == {
            "of Supabase: default privileges": (
                "of postgres in public on functions, of postgres in public on sequences, of postgres in public on tables,"
                " of supabase_auth_admin in auth on tables"
            ),
            "of Supabase: event trigger": "pgrst_ddl_watch",
            "of Supabase: functions": "extensions.pgrst_ddl_watch",
            "of Supabase: publications": "supabase_realtime",
            "of Supabase: schemas": "extensions, storage",
            "of Supabase: tables": "storage.objects",
        }
    assert go("rbac", "verify")[0] == 0

    edit, named = EDITS[bind]
    database.execute(edit)
    code, answer = go("drift", "--no-fixes")
    assert (code, [each["subject"] for each in answer["findings"]]) == (1, [named])

    move(database, BEFORE, down=True)
    if bind == "supabase":
        database.execute("ALTER DEFAULT PRIVILEGES IN SCHEMA public REVOKE SELECT ON TABLES FROM rbac_signup")
    assert list(compare(before, snapshot(database))) == []
