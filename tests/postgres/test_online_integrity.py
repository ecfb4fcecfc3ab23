"""What an operation must not break beside its own table: rows that refer to others, and rows that come twice."""

from __future__ import annotations

import pytest

from tests.fix_online import migrating
from truing.errors import DirtyDataError, OnlineError
from truing.online.settings import OnlineSettings

FAMILY = """
CREATE SCHEMA "s p";
CREATE TABLE "s p".owner (id int PRIMARY KEY);
CREATE TABLE "s p".parent (id int PRIMARY KEY, code text, owner int REFERENCES "s p".owner);
CREATE TABLE "s p".child (id int PRIMARY KEY, parent int REFERENCES "s p".parent {action});
INSERT INTO "s p".owner VALUES (1);
INSERT INTO "s p".parent VALUES (1, 'a', 1), (2, 'a', 1), (3, NULL, 1);
INSERT INTO "s p".child VALUES (1, 1), (2, {child});
"""
ORPHANS = 'SELECT id FROM "s p".child c WHERE NOT EXISTS (SELECT FROM "s p".parent p WHERE p.id = c.parent)'


@pytest.mark.parametrize("action", ["", "ON DELETE CASCADE", "ON DELETE SET NULL"], ids=["none", "cascade", "null"])
def test_a_row_that_others_refer_to_is_not_moved_away(op, sql, action):
    """It would take its children along, or leave them without a parent."""
    sql(FAMILY.format(action=action, child=2))
    with pytest.raises(DirtyDataError, match=r"child\.child_parent_fkey.*key 2"):
        op.add_unique_online("parent", "uq", ["code"], duplicates="quarantine-rows", schema="s p")
    assert sql('SELECT array_agg(id ORDER BY id) FROM "s p".parent') == [([1, 2, 3],)]
    assert sql('SELECT id, parent FROM "s p".child ORDER BY id') == [(1, 1), (2, 2)]


def test_a_row_whose_parent_has_gone_is_not_given_back(op, sql):
    sql(FAMILY.format(action="", child=1))
    op.set_not_null_online("parent", "code", nulls="quarantine-rows", schema="s p")
    sql('UPDATE "s p".parent SET owner = NULL; DELETE FROM "s p".owner')
    op.drop_not_null_online("parent", "code", schema="s p")
    assert sql('SELECT id FROM "s p".parent WHERE owner IS NOT NULL') == []
    assert sql("SELECT pk ->> 'id', resolution LIKE 'not given back%%' FROM _truing.quarantine") == [("3", True)]


def test_a_row_that_comes_again_under_a_key_that_was_moved_away_is_kept_too(op, sql, monkeypatch):
    """A table with a natural key is written again under the same key; neither row may be lost."""
    sql(FAMILY.format(action="", child=1))
    once = []

    def point(name: str) -> None:
        if name == "after settle" and not once:
            once.append(name)
            sql("""INSERT INTO "s p".parent VALUES (3, NULL, NULL)""")

    monkeypatch.setattr("truing.online.faults.from_environment", lambda: point)
    op.set_not_null_online("parent", "code", nulls="quarantine-rows", schema="s p")
    kept = sql("SELECT row_data ->> 'owner' FROM _truing.quarantine WHERE resolved_at IS NULL ORDER BY id")
    assert (once, kept) == (["after settle"], [("1",), (None,)])
    op.drop_not_null_online("parent", "code", schema="s p")
    assert sql('SELECT id, owner FROM "s p".parent WHERE code IS NULL') == [(3, 1)]
    assert sql("SELECT row_data ->> 'owner', resolution LIKE 'not%%' FROM _truing.quarantine") == [(None, True)]


def test_a_value_that_the_application_put_in_the_place_of_a_given_one_is_what_comes_back(op, sql, monkeypatch):
    sql(FAMILY.format(action="", child=1) + 'ALTER TABLE "s p".parent DROP CONSTRAINT parent_owner_fkey')
    once = []

    def point(name: str) -> None:
        if name == "after settle" and not once:
            once.append(sql('SELECT owner FROM "s p".parent WHERE id = 3'))
            sql("""UPDATE "s p".parent SET owner = 7 WHERE id = 3""")

    monkeypatch.setattr("truing.online.faults.from_environment", lambda: point)
    op.add_check_online("parent", "ck", "owner < 1", violations={"value": "0"}, column="owner", schema="s p")
    assert (once, sql('SELECT owner FROM "s p".parent WHERE id = 3')) == ([[(0,)]], [(0,)])
    op.drop_check_online("parent", "ck", schema="s p")
    assert sql('SELECT array_agg(owner ORDER BY id) FROM "s p".parent') == [([1, 1, 7],)]


@pytest.mark.parametrize("policy", ["value", "quarantine-rows"])
def test_a_value_that_is_given_has_to_have_its_parent(op, sql, policy):
    """Foreign keys that hold already are looked at, also by a role that may switch their triggers off."""
    sql(FAMILY.format(action="", child=1) + 'UPDATE "s p".parent SET owner = NULL WHERE id = 3')
    if policy == "value":
        with pytest.raises(OnlineError, match="parent_owner_fkey"):
            op.set_not_null_online("parent", "owner", nulls={"value": "77"}, schema="s p")
    else:
        op.set_not_null_online("parent", "owner", nulls=policy, schema="s p")
    assert sql('SELECT id FROM "s p".parent WHERE owner <> 1') == []


def test_a_parent_that_was_made_stays_while_a_key_of_several_columns_refers_to_it(op, sql):
    sql("""
    CREATE SCHEMA "s p";
    CREATE TABLE "s p".tenant (id int PRIMARY KEY, region int NOT NULL DEFAULT 5, UNIQUE (region, id));
    CREATE TABLE "s p".mail (id int PRIMARY KEY, tenant int);
    CREATE TABLE "s p".room (id int PRIMARY KEY, region int, tenant int,
      FOREIGN KEY (region, tenant) REFERENCES "s p".tenant (region, id));
    INSERT INTO "s p".mail VALUES (1, 9), (2, 8);
    """)
    op.add_foreign_key_online("mail", ["tenant"], "tenant", ["id"], name="fk", orphans="create-parent", schema="s p")
    sql('INSERT INTO "s p".room VALUES (1, 5, 9)')
    op.drop_foreign_key_online("mail", "fk", schema="s p")
    assert sql('SELECT id FROM "s p".tenant') == [(9,)]


def test_a_value_may_name_the_key_of_the_row(op, sql):
    sql(FAMILY.format(action="", child=1))
    op.add_column_online("parent", "twice", "int", value="id * 2", on_insert="NEW.id * 2", schema="s p")
    assert sql('SELECT id, twice FROM "s p".parent ORDER BY id') == [(1, 2), (2, 4), (3, 6)]


def test_a_comment_behind_a_statement_does_not_swallow_the_next_one(op, sql):
    sql(FAMILY.format(action="", child=1))
    op.execute_online(
        "parent",
        ["COMMENT ON TABLE \"s p\".parent IS 'x' -- why", "COMMENT ON TABLE \"s p\".child IS 'y'"],
        schema="s p",
    )
    assert sql("SELECT obj_description('\"s p\".parent'::regclass), obj_description('\"s p\".child'::regclass)") == [
        ("x", "y")
    ]


def test_statements_that_take_too_long_under_their_lock_are_not_taken_for_a_lock_that_nobody_gives(database, sql):
    """Each try keeps everybody waiting, so there are few; and nobody is in the way."""
    sql(FAMILY.format(action="", child=1))
    settings = OnlineSettings(lock_budget_s=60, lock_timeout_ms=10, statement_timeout_ms=100)
    with migrating(database.url, truing_settings=settings) as op, pytest.raises(OnlineError, match="3 times") as raised:
        op.execute_online("parent", ["SELECT pg_sleep(5)"], schema="s p")
    assert "statement-timeout-ms" in raised.value.advice


def test_a_type_that_is_not_there_is_one_clear_message(op, sql):
    sql(FAMILY.format(action="", child=1))
    with pytest.raises(OnlineError, match="nosuch"):
        op.add_column_online("parent", "c", "nosuch", default="1", schema="s p")


def test_a_table_that_went_away_half_way_is_one_clear_message(op, sql, monkeypatch):
    sql(FAMILY.format(action="", child=1))

    def point(name: str) -> None:
        if name == "after settle":
            raise RuntimeError

    with monkeypatch.context() as patch:
        patch.setattr("truing.online.faults.from_environment", lambda: point)
        with pytest.raises(RuntimeError):
            op.set_not_null_online("parent", "code", nulls="quarantine-rows", schema="s p")
    sql('DROP TABLE "s p".parent CASCADE')
    with pytest.raises(OnlineError, match="parent"):
        op.set_not_null_online("parent", "code", nulls="quarantine-rows", schema="s p")


def test_every_session_reads_a_moment_alike(op, sql, connect, monkeypatch):
    """What the trigger makes of a text must not depend on who writes it: the pass would mend it for ever."""
    sql("""
    CREATE SCHEMA "s p";
    CREATE TABLE "s p".visit (id int PRIMARY KEY, at text);
    INSERT INTO "s p".visit VALUES (1, '2026-01-02 12:00');
    """)
    writer = connect()
    writer.execute("SET TimeZone = 'Asia/Tokyo'; SET DateStyle = 'SQL, DMY'")

    def point(name: str) -> None:
        if name == "after settle":
            writer.execute("""INSERT INTO "s p".visit VALUES (2, '2026-01-02 12:00')""")

    monkeypatch.setattr("truing.online.faults.from_environment", lambda: point)
    op.convert_column_online("visit", "at", "timestamptz", schema="s p")
    assert sql("""SELECT count(*), count(DISTINCT at) FROM "s p".visit""") == [(2, 1)]
