"""The commands on a real database: upgrade, quarantine, downgrade, rbac, and what they say."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from tests.project import make_project
from truing.cli.app import run

CONVERT = """
op.convert_column_online(
    "profiles", "tenant_id", "uuid", schema="app", dirty={"malformed": "sentinel", "empty": "sentinel", "null": "null"}
)
"""
BODIES = {"start": "", "convert": CONVERT}
ROWS = """
CREATE SCHEMA app;
CREATE TABLE app.profiles (id int PRIMARY KEY, tenant_id text);
INSERT INTO app.profiles SELECT n, CASE WHEN n % 10 = 0 THEN 'bad ' || n ELSE gen_random_uuid()::text END
FROM generate_series(1, 100) AS n;
"""


@pytest.fixture
def ini(tmp_path, database, monkeypatch):
    for name in ("TRUING_DATABASE_URL", "DATABASE_URL", "ALEMBIC_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    database.execute(ROWS)
    url = database.url.replace("postgresql://", "postgresql+psycopg://", 1)
    path = make_project(tmp_path, BODIES, url=url)
    revision = path.parent / "migrations" / "versions" / "convert.py"
    back = 'op.revert_column_online("profiles", "tenant_id", schema="app")'
    revision.write_text(revision.read_text().replace("def downgrade():\n    pass", f"def downgrade():\n    {back}"))
    return path


def answer(capsys, *arguments: str) -> tuple[int, dict]:
    capsys.readouterr()
    code = run([*arguments, "--output-format", "json"])
    return code, json.loads(capsys.readouterr().out)


def column_type(database) -> str:
    query = "SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'app.profiles'::regclass AND attname = 'tenant_id'"
    return database.execute(query)[0][0]


def test_up_settle_and_down_again(ini, database, capsys):
    before = database.execute("SELECT id, tenant_id FROM app.profiles ORDER BY id")
    code, said = answer(capsys, "upgrade", "--plan")
    assert (code, column_type(database), said["command"]) == (0, "text", "upgrade --plan")
    (plan,) = said["plans"]
    locks = [lock for step in plan["steps"] for lock in step["locks"]]
    assert {"table": "app.profiles", "mode": "ACCESS EXCLUSIVE", "blocks": "reads and writes"} in locks
    assert [row["how"] for row in said["tables"][0]["rows"]] == ["online, see its plan"]

    code, said = answer(capsys, "upgrade")
    assert said["summary"] == "The database is up to date, and verified."
    assert all(row["good"] for row in said["tables"][0]["rows"])
    assert (code, said["facts"]["before"], said["facts"]["after"]) == (0, "(base)", "convert")
    assert said["facts"]["online operations"] == 1
    assert "op.contract_column_online('profiles', 'tenant_id', schema='app')" in said["next_steps"][-1]
    assert column_type(database) == "uuid"

    code, said = answer(capsys, "upgrade")
    assert (code, said["summary"]) == (0, "Nothing to do: the database is there already.")

    code, said = answer(capsys, "status", "--all")
    assert [row["state"] for row in said["tables"][0]["rows"]] == ["done"]
    assert answer(capsys, "status")[1]["summary"] == "No online operation is under way."

    code, said = answer(capsys, "quarantine", "list", "--reason", "malformed", "--limit", "3")
    counts, entries = said["tables"]
    assert counts["rows"] == [
        {"table": "app.profiles", "column": "tenant_id", "class": "malformed", "open": 10, "settled": 0}
    ]
    assert [row["original"] for row in entries["rows"]] == ["bad 10", "bad 20", "bad 30"]

    number = str(entries["rows"][0]["id"])
    code, said = answer(capsys, "quarantine", "show", number)
    assert (code, said["facts"]["original"], said["facts"]["key id"], said["summary"]) == (0, "bad 10", "10", "Open.")

    code, said = answer(capsys, "quarantine", "resolve", number, "--keep")
    assert (code, said["summary"]) == (0, "Settled: kept as it is.")

    code, said = answer(capsys, "downgrade", "-1")
    assert (code, said["facts"]["after"]) == (0, "start")
    assert column_type(database) == "text"
    after = database.execute("SELECT id, tenant_id FROM app.profiles ORDER BY id")
    assert [row for row in after if row[0] != 10] == [row for row in before if row[0] != 10]
    code, said = answer(capsys, "quarantine", "list", "--all")
    # What came back with the old column is no longer in quarantine, nor said to have been lost.
    assert [(row["key"], row["settled"]) for row in said["tables"][1]["rows"]] == [("10", "kept as it is")]


def test_the_kept_column_is_not_dropped_by_hand_and_without_it_no_way_back_is_begun(ini, database, capsys):
    versions = ini.parent / "migrations" / "versions"
    revision = versions / "convert.py"
    # A downgrade that has done something before it comes to the originals.
    first = 'op.execute("ALTER TABLE app.profiles ADD COLUMN half int")\n    op.revert'
    revision.write_text(revision.read_text().replace("op.revert", first))
    assert run(["upgrade"]) == 0
    columns = (
        "SELECT attname FROM pg_attribute WHERE attrelid = 'app.profiles'::regclass AND attnum > 0 AND NOT attisdropped"
    )
    (kept,) = [name for (name,) in database.execute(columns) if name.startswith("__truing_")]
    drop = f"ALTER TABLE app.profiles DROP COLUMN {kept}"
    body = f'revision = "drop"\ndown_revision = "convert"\nfrom alembic import op\ndef upgrade():\n    op.execute("{drop}")\n'
    (versions / "drop.py").write_text(body)

    code, said = answer(capsys, "upgrade", "--plan")
    assert said["tables"][0]["rows"][0]["locks"] == "ACCESS EXCLUSIVE on app.profiles: reads and writes wait"

    for arguments in (["lint", "--only", "revisions"], ["audit"], ["upgrade"]):
        code, said = answer(capsys, *arguments)
        assert (code, [each["rule"] for each in said["findings"]]) == (1, ["removed-kept-column"]), arguments
        assert "contract_column_online" in said["findings"][0]["remedy"]
    assert (kept,) in database.execute(columns)

    database.execute(drop)
    with pytest.raises(Exception, match="has no field"):
        database.execute("INSERT INTO app.profiles DEFAULT VALUES")
    assert run(["downgrade", "-1"]) == 2
    assert f"kept its original values, {kept}, is gone" in " ".join(capsys.readouterr().err.split())
    assert ("half",) not in database.execute(columns)


def test_everything_of_a_class_is_settled_at_once_and_a_refusal_says_how_far_it_came(ini, database, capsys):
    run(["upgrade"])
    everything = ("quarantine", "resolve", "--table", "app.profiles", "--reason", "malformed")
    # A row that has gone cannot get a value; those before it have theirs.
    database.execute("DELETE FROM app.profiles WHERE id = 30")
    given = "6f1c0c5e-3d7c-4f6e-9d1f-0f4f3c1b2a10"
    capsys.readouterr()
    assert run([*everything, "--value", given]) == 2
    said = capsys.readouterr().err
    assert "no longer in app.profiles (2 are settled)" in said
    assert "--keep" in said
    rows = "SELECT id FROM app.profiles WHERE tenant_id = %s ORDER BY id"
    assert database.execute(rows, [given]) == [(10,), (20,)]

    code, said = answer(capsys, *everything, "--keep")
    assert (code, said["summary"]) == (0, "Settled: 8 entries.")
    assert database.execute("SELECT count(*) FROM _truing.quarantine WHERE resolved_at IS NULL") == [(0,)]
    assert database.execute(rows, [given]) == [(10,), (20,)]
    assert answer(capsys, *everything, "--keep")[1]["summary"] == "Settled: 0 entries."


def test_progress_goes_to_standard_error(ini, capsys):
    assert run(["upgrade", "--to", "convert"]) == 0
    said = capsys.readouterr()
    assert "done in" in said.err
    assert "done in" not in said.out
    assert "longest lock held" in said.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["quarantine", "show", "17"], "no entry 17"),
        (["quarantine", "resolve", "17"], "--value TEXT or --keep"),
        (["quarantine", "resolve", "17", "--value", "x", "--keep"], "--value TEXT or --keep"),
        (["quarantine", "list", "--table", "app.nosuch"], "There is no table app.nosuch."),
        (["quarantine", "resolve", "--table", "nosuch", "--keep"], "There is no table nosuch."),
        (["quarantine", "list", "--table", "a.b.c"], "not a table name"),
        (["quarantine", "resolve", "--keep"], "either an ID, or --table and --reason"),
        (["quarantine", "resolve", "17", "--reason", "empty", "--keep"], "either an ID, or --table and --reason"),
        (["upgrade", "--to", "nowhere"], "nowhere"),
    ],
)
def test_what_cannot_be_done_is_said(ini, capsys, arguments, words):
    assert run(arguments) == 2
    said = capsys.readouterr().err
    assert words in said
    assert "Traceback" not in said


def test_a_revision_that_postgresql_refuses_is_named_with_its_line(ini, capsys):
    revision = ini.with_name("migrations") / "versions" / "convert.py"
    revision.write_text(
        revision.read_text().replace("def upgrade():\n", "def upgrade():\n    op.drop_table('nosuch')\n")
    )
    line = revision.read_text().splitlines().index("    op.drop_table('nosuch')") + 1
    assert run(["upgrade", "--no-audit"]) == 2
    said = capsys.readouterr().err
    assert f'Error: migrations/versions/convert.py:{line}: PostgreSQL refused: table "nosuch" does not exist' in said


def test_an_empty_quarantine(ini, capsys):
    code, said = answer(capsys, "quarantine", "list")
    assert (code, said["summary"], said["tables"]) == (0, "Nothing waits to be settled.", [])


def test_online_settings_of_the_configuration_are_checked(ini, capsys):
    ini.with_name("pyproject.toml").write_text("[tool.truing.online]\nlock-timeout = 5\n")
    assert run(["upgrade"]) == 2
    assert "Did you mean lock-timeout-ms?" in capsys.readouterr().err


def test_interrupting_stops_and_going_on_ends_it(ini, database, capsys):
    # Somebody holds a lock, so that the upgrade has to wait for it until it is interrupted.
    with database.connect(autocommit=False) as holder:
        holder.execute("LOCK TABLE app.profiles IN ACCESS SHARE MODE")
        child = subprocess.Popen(
            [sys.executable, "-m", "truing", "upgrade"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
        )
        # The step that needs the lock has begun: the journal has the operation, and the one before is done.
        begun = "SELECT to_regclass('_truing.op') IS NOT NULL"
        waiting = "SELECT count(*) FROM _truing.event WHERE kind = 'finished'"
        deadline = time.monotonic() + 60
        while not (database.execute(begun)[0][0] and database.execute(waiting)[0][0]):
            assert time.monotonic() < deadline, "the upgrade has not begun"
            time.sleep(0.05)
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=120)
    # Between two steps it stops at once; within one it says first that it will.
    assert "Run the same command again" in err
    assert child.returncode == 130, (out, err)
    assert "Traceback" not in err
    assert run(["status", "--output-format", "concise"]) == 0
    assert "state=stopped" in capsys.readouterr().out
    assert run(["upgrade"]) == 0
    assert column_type(database) == "uuid"


def test_lint_reads_the_live_database(ini, database, capsys):
    database.execute(
        "CREATE SCHEMA auth; CREATE TABLE auth.users (id int PRIMARY KEY);"
        "CREATE TABLE app.badges (u int CONSTRAINT to_users REFERENCES auth.users)"
    )
    code, said = answer(capsys, "lint")
    assert code == 1
    assert [each["subject"] for each in said["findings"]] == ["app.badges.to_users"]
    assert said["facts"]["looked at"] == "database, models, revisions"


def test_a_new_rbac_database_and_an_adoption(database, make_database, capsys):
    code, said = answer(capsys, "rbac", "init", "--database-url", database.url, "--schema", "app")
    assert code == 0
    assert database.execute("SELECT count(*) FROM app.profiles") == [(0,)]
    other = make_database()
    other.execute("CREATE TABLE profiles (id uuid)")
    code, said = answer(capsys, "rbac", "adopt", "--database-url", other.url, "--scratch-url", other.url, "--compare")
    assert (code, said["summary"]) == (1, "The database does not fit.")
    assert said["findings"]
