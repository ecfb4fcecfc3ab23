"""How the audit reads: once, without a write, as far as its role may, and not for ever."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import jsonschema
import pytest

from tests.auditing import Audited, classes, counts, rules
from truing.cli.app import run
from truing.finding import Severity
from truing.names import ident
from truing.report.json import SCHEMA_FILE

SETUP = """
CREATE TABLE tenants (id uuid PRIMARY KEY);
CREATE TABLE p (id int PRIMARY KEY, tenant text, a int, b int, c text, secret text);
INSERT INTO p SELECT n, 'x' || n, n, NULL, 'c', 'Passw0rd' || n FROM generate_series(1, 1000) n;
ANALYZE;
"""
FIVE = """
op.alter_column("p", "tenant", type_=sa.Uuid, postgresql_using="tenant::uuid")
op.create_foreign_key("fk", "p", "tenants", ["tenant"], ["id"])
op.alter_column("p", "b", nullable=False)
op.create_check_constraint("ck", "p", "a > 10")
op.create_check_constraint("ck2", "p", "c <> 'c'")
"""
KEYS = """
op.create_unique_constraint("un", "p", ["a"])
op.create_unique_constraint("un2", "p", ["c"])
op.create_index("un3", "p", [sa.text("lower(secret)")], unique=True)
"""


def reads(database, table: str) -> int:
    # A backend tells its figures when it ends, which may be a moment after its connection is closed.
    database.execute(
        "DO $$ BEGIN WHILE EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database()"
        " AND pid <> pg_backend_pid() AND backend_type = 'client backend') LOOP PERFORM pg_sleep(0.01);"
        " PERFORM pg_stat_clear_snapshot(); END LOOP; END $$"
    )
    ((scans,),) = database.execute(
        "SELECT seq_scan + coalesce(idx_scan, 0) FROM pg_stat_user_tables WHERE relname = %s", (table,)
    )
    return scans


@pytest.mark.parametrize(("body", "passes"), [(FIVE, 1), (KEYS, 1), (FIVE + KEYS, 2)], ids=["rows", "keys", "both"])
def test_all_questions_of_a_table_share_a_pass(database, tmp_path, body, passes):
    database.execute(SETUP)
    audited = Audited(database, tmp_path, r1=body)
    before = reads(database, "p")
    result = audited.audit()
    assert reads(database, "p") == before + passes
    assert len({each.change for each in classes(result)}) == body.count("op.")
    wanted = {"malformed": 1000, "null": 1000, "violation": 1010} if FIVE in body else {}
    assert counts(result) == wanted | ({"duplicate": 1000} if KEYS in body else {})


def test_nothing_is_written(database, tmp_path):
    database.execute(SETUP)
    audited = Audited(database, tmp_path, r1=FIVE + KEYS)
    connection = database.connect()
    seen = []

    def look(_):
        seen.append(
            connection.execute(
                "SELECT pg_current_xact_id_if_assigned(), current_setting('transaction_read_only'),"
                " current_setting('transaction_isolation'), current_setting('application_name')"
            ).fetchone()
        )

    next_id = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text"
    before = database.execute(next_id)
    audited.audit(connection=connection, on_table=look)
    assert database.execute(next_id) == before
    assert seen == [(None, "on", "repeatable read", "truing")]


@pytest.fixture
def reader(database):
    """A role that may connect, and nothing else yet."""
    role = database.role()
    database.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {ident(role)}")
    return role


def test_a_role_that_may_only_select_is_enough(database, tmp_path, reader):
    database.execute(SETUP + f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {ident(reader)}")
    audited = Audited(database, tmp_path, r1=FIVE + KEYS)
    mine, theirs = audited.audit(), audited.audit(database.url_as(reader))
    assert counts(theirs) == counts(mine)
    assert [each.fingerprint for each in theirs.findings] == [each.fingerprint for each in mine.findings]


def test_a_table_that_may_not_be_read_is_a_finding(database, tmp_path, reader):
    database.execute(
        SETUP + f"GRANT SELECT ON tenants TO {ident(reader)}; GRANT SELECT (id, a) ON p TO {ident(reader)}"
    )
    body = """
    op.alter_column("p", "b", nullable=False)
    op.create_check_constraint("ck", "p", "a > 10")
    op.create_foreign_key("fk", "tenants", "other", ["id"], ["id"])
    op.alter_column("other", "n", nullable=False)
    """
    database.execute("CREATE TABLE other (id uuid PRIMARY KEY, n int)")
    result = Audited(database, tmp_path, r1=body).audit(database.url_as(reader))
    unasked = [(str(each.table), each.change, each.kind) for table in result.tables for each in table.unasked]
    assert sorted(unasked) == [
        ("public.other", "n NOT NULL", "unreadable"),
        ("public.p", "b NOT NULL", "unreadable"),
        ("public.tenants", "fk: id → public.other", "unreadable"),
    ]
    assert counts(result) == {"violation": 10}
    assert rules(result, Severity.ERROR) == {"unreadable-rows", "refused-rows"}


@pytest.mark.parametrize("force", [False, True], ids=["", "FORCE"])
def test_rows_that_a_policy_hides_are_a_finding(database, tmp_path, reader, force):
    database.execute(
        SETUP + f"ALTER TABLE p ENABLE ROW LEVEL SECURITY; CREATE POLICY few ON p USING (id < 5);"
        f"CREATE TABLE q (id int PRIMARY KEY, p int); INSERT INTO q VALUES (1, 1), (2, 9);"
        f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {ident(reader)};"
        + (f"ALTER TABLE p OWNER TO {ident(reader)}; ALTER TABLE p FORCE ROW LEVEL SECURITY" if force else "")
    )
    body = """
    op.alter_column("p", "b", nullable=False)
    op.create_foreign_key("fk", "q", "p", ["p"], ["id"])
    op.create_check_constraint("ck", "q", "id > 1")
    """
    result = Audited(database, tmp_path, r1=body).audit(database.url_as(reader))
    reasons = {each.reason for table in result.tables for each in table.unasked}
    assert reasons == {f"row level security hides rows of public.p from role {ident(reader)}"}
    assert counts(result) == {"violation": 1}
    assert "unreadable-rows" in rules(result, Severity.ERROR)


def test_one_question_that_cannot_be_answered_leaves_the_others(database, tmp_path):
    database.execute(SETUP)
    body = """
    op.create_check_constraint("ck", "p", "1 / (a - 5) > -1")
    op.alter_column("p", "b", nullable=False)
    op.create_check_constraint("ck2", "p", "no_such_function(a)")
    op.create_unique_constraint("un", "p", ["c"])
    """
    result = Audited(database, tmp_path, r1=body).audit()
    assert counts(result) == {"null": 1000, "duplicate": 1000}
    unasked = {each.change: (each.kind, each.reason) for table in result.tables for each in table.unasked}
    assert unasked["CHECK ck"] == ("refused", "PostgreSQL refuses it: division by zero")
    assert unasked["CHECK ck2"][0] == "refused"


def test_it_does_not_read_for_ever(database, tmp_path):
    database.execute(SETUP)
    body = 'op.create_check_constraint("ck", "p", "pg_sleep(0.1) IS NULL")\nop.alter_column("p", "b", nullable=False)'
    result = Audited(database, tmp_path, r1=body).audit(statement_timeout_s=0.3)
    assert {each.change for table in result.tables for each in table.unasked} == {"CHECK ck", "b NOT NULL"}
    assert rules(result, Severity.WARNING) == {"unanswered-question"}


def test_a_table_that_somebody_has_locked_is_a_finding(database, tmp_path):
    database.execute(SETUP)
    body = 'op.alter_column("p", "b", nullable=False)\nop.create_check_constraint("ck", "tenants", "id IS NULL")'
    audited = Audited(database, tmp_path, r1=body)
    other = database.connect()
    other.execute("BEGIN; LOCK TABLE p")
    result = audited.audit()
    (unasked,) = [each for table in result.tables for each in table.unasked]
    assert (unasked.change, unasked.kind) == ("b NOT NULL", "unreadable")
    assert "exclusive lock" in unasked.reason
    assert "lock-blocker" in rules(result, Severity.WARNING)
    assert any(blocker.locks for blocker in result.blockers)


def test_a_revision_that_cannot_be_recorded_is_a_finding(database, tmp_path):
    database.execute(SETUP)
    body = 'op.alter_column("p", "b", nullable=False)\nop.get_bind().execute(sa.text("SELECT 1")).scalar_one()'
    result = Audited(database, tmp_path, r1=body).audit()
    assert counts(result) == {"null": 1000}
    assert "unrecordable-revision" in {each.rule for each in result.findings}


class TestCommand:
    @pytest.fixture
    def audited(self, database, tmp_path, monkeypatch):
        for name in ("TRUING_DATABASE_URL", "DATABASE_URL", "ALEMBIC_CONFIG"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("COLUMNS", "80")
        monkeypatch.chdir(tmp_path)
        database.execute(SETUP)
        return lambda body: Audited(database, tmp_path, r1=body)

    def test_it_fails_when_rows_are_refused(self, audited, capsys):
        audited('op.alter_column("p", "b", nullable=False)')
        assert run(["audit"]) == 1
        out = capsys.readouterr().out
        assert "public.p: 1,000 rows" in out
        assert "1,000 rows hold NULL" in out
        assert "SELECT t.id, t.b FROM public.p AS t WHERE t.b IS NULL" in out
        # What is to be copied stays in one piece where nobody looks at it on a terminal.
        whole = ("  SELECT", "  instead:")
        assert max(len(line) for line in out.splitlines() if not line.startswith(whole)) <= 80

    def test_it_passes_when_nothing_is_refused(self, audited, capsys):
        audited('op.set_not_null_online("p", "b", nulls={"value": "0"})')
        assert run(["audit"]) == 0
        assert run(["audit", "--fail-on", "warning"]) == 1
        assert "refuse no row. 1,000" in capsys.readouterr().out

    def test_nothing_pending(self, audited, capsys):
        audited("").upgrade()
        assert run(["audit"]) == 0
        assert "Nothing is pending" in capsys.readouterr().out

    def test_json_keeps_to_its_schema_and_has_every_query(self, audited, tmp_path):
        audited(FIVE + KEYS)
        assert run(["audit", "--output-format", "json", "-o", "audit.json"]) == 1
        answer = json.loads(tmp_path.joinpath("audit.json").read_text())
        jsonschema.validate(answer, json.loads(Path(SCHEMA_FILE).read_text()))
        rows = [row for table in answer["tables"] if table["id"] == "rows" for row in table["rows"]]
        assert {row["class"] for row in rows} == {"malformed", "null", "violation", "duplicate", "clean"}
        assert all(row["query"] for row in rows if row["class"] != "clean")

    def test_values_stay_where_they_are_when_asked(self, audited, capsys):
        audited('op.create_check_constraint("ck", "p", "secret IS NULL")')
        assert run(["audit"]) == 1
        assert "Passw0rd" in capsys.readouterr().out
        assert run(["audit", "--no-values", "--output-format", "json"]) == 1
        assert "Passw0rd" not in capsys.readouterr().out

    def test_a_long_read_is_announced_on_standard_error(self, audited, capsys, monkeypatch):
        # `truing.cli.audit` is loaded by name, and its attribute `command` hides it in the package.
        monkeypatch.setattr(
            sys.modules.get("truing.cli.audit") or __import__("truing.cli.audit").cli.audit, "LONG_BYTES", 0
        )
        audited('op.alter_column("p", "b", nullable=False)')
        assert run(["audit", "--output-format", "json"]) == 1
        captured = capsys.readouterr()
        assert "Reading public.p (1 of 1; about 1,000 rows" in captured.err
        json.loads(captured.out)

    def test_a_database_of_another_project_is_no_answer(self, audited, database, capsys):
        audited("pass")
        database.execute("CREATE TABLE alembic_version (version_num text); INSERT INTO alembic_version VALUES ('zz')")
        assert run(["audit"]) == 2
        assert "zz" in capsys.readouterr().err
