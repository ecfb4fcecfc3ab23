"""Is the RBAC database in true with whatever `[tool.truing.rbac]` says? Models, revisions and live, for each binding."""

from __future__ import annotations

import io
import json
import os

import psycopg
import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from tests.rbac_isolation import AROUND
from tests.supabase import EMPTY
from truing.catalog.diff import compare
from truing.catalog.read import read_snapshot
from truing.cli.app import run
from truing.errors import UsageError
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
EDITS = {
    "setting": (
        "ALTER FUNCTION rbac.current_tenant() VOLATILE",
        "ALTER FUNCTION rbac.current_tenant() STABLE",
        "function rbac.current_tenant()",
    ),
    "role": (
        "GRANT SELECT ON rbac.tenant_roles TO app_user",
        "REVOKE SELECT ON rbac.tenant_roles FROM app_user",
        "table rbac.tenant_roles",
    ),
    "signed": (
        "ALTER POLICY nobody ON rbac.tenant_keys USING (true)",
        "ALTER POLICY nobody ON rbac.tenant_keys USING (false)",
        "policy nobody on rbac.tenant_keys",
    ),
    "supabase": (
        "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO rbac_signup",
        "ALTER DEFAULT PRIVILEGES IN SCHEMA public REVOKE SELECT ON TABLES FROM rbac_signup",
        "default privileges of postgres in public on tables",
    ),
}
"""What somebody does by hand under each binding, what undoes it, and what it is found as."""


OFTEN = ("role", "supabase")
"""For these it is tried each time; for all of them with TRUING_TEST_FULL=1."""


class Project:
    """A folder with `[tool.truing.rbac]`, in which commands are run; what they answer comes as JSON."""

    def __init__(self, folder, database, monkeypatch):
        self.folder, self.database = folder, database
        for name in ("TRUING_DATABASE_URL", "ALEMBIC_CONFIG"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("DATABASE_URL", database.url)
        monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        monkeypatch.chdir(folder)
        (folder / "alembic.ini").write_text(f"[alembic]\nscript_location = {script.MIGRATIONS}\n")

    def say(self, **told):
        lines = "".join(f"{key} = {json.dumps(value)}\n" for key, value in told.items())
        (self.folder / "pyproject.toml").write_text(f"[tool.truing.rbac]\n{lines}")

    def run(self, *arguments):
        code = run([*arguments, "--output-format", "json", "-o", "answer.json"])
        return code, json.loads((self.folder / "answer.json").read_text()) if code < 2 else {}


@pytest.fixture
def project(tmp_path, database, monkeypatch):
    """Over an empty database."""
    return Project(tmp_path, database, monkeypatch)


@pytest.fixture
def made(tmp_path, isolated, monkeypatch):
    """Over a database at head that is bound by the setting."""
    return Project(tmp_path, isolated("setting").database, monkeypatch)


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
def test_models_revisions_and_live_are_one_at_head_and_it_goes_back(project, database, bind):
    project.say(binding=bind)
    if bind == "supabase":
        database.execute(EMPTY)
        database.execute(SUPABASE)
    move(database, BEFORE)
    before = snapshot(database)
    move(database, script.HEAD)

    # With what the project says, and nothing else: no baseline, no -x.
    command.check(Config("alembic.ini", stdout=io.StringIO()))
    code, answer = project.run("check")
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

    edit, undo, named = EDITS[bind]
    if bind in OFTEN or os.environ.get("TRUING_TEST_FULL"):
        database.execute(edit)
        code, answer = project.run("drift", "--no-fixes")
        assert (code, [each["subject"] for each in answer["findings"]]) == (1, [named])
        database.execute(undo)

    move(database, BEFORE, down=True)
    assert list(compare(before, snapshot(database))) == []


def test_a_trigger_of_auth_users_is_allowed_as_it_is_declared_and_no_other(tmp_path, isolated, monkeypatch):
    database = isolated("supabase").database
    project = Project(tmp_path, database, monkeypatch)
    project.say(binding="supabase")
    code, answer = project.run("lint", "--only", "database")
    assert (code, answer["findings"]) == (0, [])
    assert answer["facts"]["allowed as triggers of the RBAC program"].count("auth.users.rbac_follow_") == 3

    def found():
        return sorted(each["subject"] for each in project.run("lint", "--only", "database")[1]["findings"])

    # Another one, and one of that name that calls another function.
    database.execute(
        "CREATE FUNCTION public.mine() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';"
        "CREATE TRIGGER mine AFTER INSERT ON auth.users FOR EACH ROW EXECUTE FUNCTION public.mine();"
        "CREATE OR REPLACE TRIGGER rbac_follow_i AFTER INSERT ON auth.users FOR EACH ROW EXECUTE FUNCTION public.mine()"
    )
    assert found() == ["auth.users.mine", "auth.users.rbac_follow_i"]
    project.say(binding="role")
    assert found() == ["auth.users.mine", *(f"auth.users.rbac_follow_{each}" for each in "diu")]


def test_install_changes_to_what_is_configured_and_verify_says_otherwise(made, capsys):
    made.database.execute(AROUND)

    def said():
        return " ".join(capsys.readouterr().err.split())

    assert made.run("rbac", "install", "--bind", "role")[0] == 0
    assert 'Write binding = "role" into [tool.truing.rbac] of pyproject.toml' in said()
    # Where the configuration names another one, nothing is changed.
    made.say(binding="role")
    assert made.run("rbac", "install", "--bind", "signed") == (2, {})
    assert 'Write binding = "signed" there first' in said()
    assert made.run("rbac", "verify")[0] == 0
    assert made.database.execute(
        "SELECT has_function_privilege('rbac_admin', 'rbac.bind_role(text, uuid)', 'EXECUTE')"
    )[0][0]

    made.database.execute("INSERT INTO rbac.tenant_roles (role, tenant_id) SELECT 'app_user', id FROM tenants LIMIT 1")
    made.say(binding="signed")
    code, answer = made.run("rbac", "verify")
    assert (code, [each["rule"] for each in answer["findings"]]) == (1, ["rbac-bound-otherwise"])
    assert made.run("rbac", "install")[0] == 0
    otherwise = "bound by role, and the configuration says signed: truing rbac install --bind signed changes it."
    assert otherwise in said()
    assert made.run("rbac", "init", "-x", "schema=elsewhere")[0] == 0
    assert otherwise in said()
    assert made.run("rbac", "install", "--bind", "signed")[0] == 0
    # What an administrator wrote there is nobody's to throw away.
    assert "Nothing reads rbac.tenant_roles any more." in said()
    assert made.run("rbac", "verify")[0] == 0
    made.database.execute("TRUNCATE rbac.tenant_roles")
    assert made.run("rbac", "install")[0] == 0
    assert "Nothing reads" not in said()
    assert made.database.execute("SELECT to_regclass('rbac.tenant_roles')") == [(None,)]


def test_forcing_stops_where_a_policy_goes_around_the_binding_or_another_one_is_asked_for(project, database):
    project.say(binding="signed")
    move(database, OPEN)
    project.say(binding="role")
    with pytest.raises(UsageError, match="bound by signed since rbac_row_security, and role is asked for"):
        move(database, script.HEAD)
    project.say(binding="signed")
    database.execute("CREATE POLICY mine ON profiles USING (email = current_setting('my.email', true))")
    with pytest.raises(psycopg.Error, match="policies that ask something else: mine on") as caught:
        move(database, script.HEAD)
    assert "jwt_read" not in str(caught.value)
    before = database.execute("SELECT polname, polroles FROM pg_policy WHERE polname = 'profiles_jwt_read'")
    assert before == [("profiles_jwt_read", [0])]
    database.execute("DROP POLICY mine ON profiles")
    move(database, script.HEAD)
    assert project.run("rbac", "verify")[0] == 0
