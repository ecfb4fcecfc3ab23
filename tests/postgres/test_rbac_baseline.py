"""The legacy baseline is the database as teams have it, on every major and in any schema, and it goes without a trace."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, text

from truing.errors import UsageError
from truing.rbac import script

INI = script.MIGRATIONS / "alembic.ini"
ANY_TABLE = "SELECT count(*) FROM pg_class WHERE relkind IN ('r', 'v') AND relnamespace = %s::regnamespace"


def up(engine, revision=script.LEGACY, schema=""):
    with engine.connect() as connection:
        script.upgrade(connection, revision, schema=schema)


def test_tenant_id_is_text_with_a_default_and_no_key(engine, database):
    up(engine)
    assert database.execute(
        "SELECT data_type, column_default, is_nullable FROM information_schema.columns"
        " WHERE table_name = 'profiles' AND column_name = 'tenant_id'"
    ) == [("text", "'default'::text", "YES")]
    assert database.execute("SELECT conname FROM pg_constraint WHERE contype = 'f'") == []


def test_what_stops_a_plain_type_change_is_there(engine, database):
    """Policies, views, an expression index, a column trigger, a check and a default: each refuses ALTER TYPE uuid."""
    up(engine)
    kinds = database.execute(
        "SELECT DISTINCT classid::regclass::text FROM pg_depend WHERE refobjid = 'profiles'::regclass"
        " AND refobjsubid = (SELECT attnum FROM pg_attribute WHERE attrelid = 'profiles'::regclass"
        " AND attname = 'tenant_id')"
    )
    assert {kind for (kind,) in kinds} >= {
        "pg_policy",
        "pg_rewrite",
        "pg_class",
        "pg_trigger",
        "pg_constraint",
        "pg_attrdef",
    }
    with pytest.raises(psycopg.errors.FeatureNotSupported, match=r"view|policy|trigger"):
        database.execute("ALTER TABLE profiles ALTER tenant_id DROP DEFAULT, ALTER tenant_id TYPE uuid USING NULL")


def test_nothing_of_auth_is_made_by_the_revision(engine, database):
    up(engine)
    assert database.execute("SELECT to_regnamespace('auth')") == [(None,)]


def test_downgrade_leaves_nothing(engine, database):
    up(engine)
    with engine.connect() as connection:
        script.downgrade(connection, "rbac@base")
    assert database.execute("SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace") == [
        ("alembic_version",),
        ("alembic_version_pkc",),
    ]
    assert database.execute("SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace") == []


@pytest.mark.parametrize("schema", ["app", 'odd "name"', "select"])
def test_it_works_in_any_schema(engine, database, schema):
    database.execute(psycopg.sql.SQL("CREATE SCHEMA {}").format(psycopg.sql.Identifier(schema)).as_string())
    up(engine, schema=schema)
    quoted = psycopg.sql.Identifier(schema).as_string()
    assert database.execute(ANY_TABLE, (quoted,)) == [(13,)]
    assert database.execute(ANY_TABLE, ("public",)) == [(0,)]
    # The trigger's function finds its table although the schema is on nobody's search path.
    database.execute(
        f"INSERT INTO {quoted}.profiles (email) VALUES ('a@b'); UPDATE {quoted}.profiles SET tenant_id = 'x'"
    )
    assert database.execute(f"SELECT from_tenant, to_tenant FROM {quoted}.tenant_moves") == [("default", "x")]


def test_plain_alembic_brings_it_up(database):
    command = [sys.executable, "-m", "alembic", "-c", str(INI), "-x", f"url={database.url}", "upgrade", script.LEGACY]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert database.execute("SELECT version_num FROM alembic_version") == [(script.LEGACY,)]


def test_it_lives_in_somebodys_version_locations(database, tmp_path):
    """Their env.py, their revisions, and the branch `rbac` beside them."""
    project = tmp_path / "theirs"
    (project / "versions").mkdir(parents=True)
    (project / "env.py").write_text(
        "from alembic import context\nfrom sqlalchemy import create_engine\n"
        "with create_engine(context.config.get_main_option('sqlalchemy.url')).connect() as connection:\n"
        "    context.configure(connection=connection, transaction_per_migration=True)\n"
        "    with context.begin_transaction():\n        context.run_migrations()\n"
    )
    (project / "versions" / "one.py").write_text(
        "from alembic import op\nrevision = 'one'\ndown_revision = None\n"
        "def upgrade(): op.execute('CREATE TABLE mine (id int)')\ndef downgrade(): op.execute('DROP TABLE mine')\n"
    )
    ini = project / "alembic.ini"
    ini.write_text(
        f"[alembic]\nscript_location = {project}\npath_separator = newline\nsqlalchemy.url = {database.url}\n"
        f"version_locations = {project / 'versions'}\n  {script.VERSIONS}\n"
    )
    for revision in ("one", script.LEGACY):
        command = [sys.executable, "-m", "alembic", "-c", str(ini), "upgrade", revision]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    assert sorted(database.execute("SELECT version_num FROM alembic_version")) == [("one",), (script.LEGACY,)]


def test_offline_it_is_a_script(database):
    """The baseline looks at nothing, so it can be written down and run by hand."""
    command_line = [sys.executable, "-m", "alembic", "-c", str(INI), "upgrade", script.LEGACY, "--sql"]
    done = subprocess.run(command_line, capture_output=True, text=True, check=True)
    database.execute(done.stdout)
    assert database.execute("SELECT version_num FROM alembic_version") == [(script.LEGACY,)]
    assert database.execute("SELECT count(*) FROM pg_policies") == [(4,)]


def test_a_database_that_is_not_named_is_said_so(monkeypatch):
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.delenv("TRUING_DATABASE_URL", raising=False)
    with pytest.raises(UsageError, match="no database was named"):
        command.upgrade(script.configuration(), script.LEGACY)


def test_a_password_with_a_percent_sign_survives():
    url = "postgresql://u:100%25@h/d"
    assert script.configuration(url=url).get_main_option("sqlalchemy.url") == url


def test_a_role_that_may_make_no_roles_can_run_it(engine, database):
    """The migration does without app_user where it is missing and may not be made."""
    owner = database.role("LOGIN NOCREATEROLE")
    database.execute(f"GRANT ALL ON SCHEMA public TO {owner}")
    theirs = create_engine(database.url_as(owner))
    up(theirs)
    with theirs.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM pg_policies")).scalar() == 4
    theirs.dispose()
    database.execute(f"DROP OWNED BY {owner}")


def test_the_tree_is_one_branch_with_readable_names():
    directory = ScriptDirectory(str(script.MIGRATIONS))
    assert [each.revision for each in directory.walk_revisions()] == [
        "rbac_row_security_forced",
        "rbac_row_security",
        "rbac_tenant_keys_contract",
        "rbac_tenant_keys",
        "rbac_contract",
        "rbac_foreign_key_implementation",
        "rbac_legacy_baseline",
    ]
    # alembic_version.version_num holds 32 characters.
    assert all(len(each.revision) <= 32 for each in directory.walk_revisions())
    assert directory.get_revision("rbac@head").revision == "rbac_row_security_forced"
    assert Path(INI).is_file()
