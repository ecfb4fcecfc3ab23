"""The online operations one by one: forward, again (nothing to do), and back."""

from __future__ import annotations

import pytest
from alembic.operations import Operations

from truing.errors import DirtyDataError, OnlineError, UnsupportedChangeError
from truing.online import ops

CHILD = """
CREATE SCHEMA "my ""App";
CREATE TABLE "my ""App"."Tenants é" ("I d" uuid PRIMARY KEY, name text NOT NULL DEFAULT 'x');
CREATE TABLE "my ""App".child (a int, b text, "select" uuid, note text, PRIMARY KEY (a, b));
INSERT INTO "my ""App"."Tenants é" SELECT ('00000000-0000-0000-0000-00000000000' || n)::uuid FROM generate_series(1, 3) n;
INSERT INTO "my ""App".child SELECT n, 'k''' || n, ('00000000-0000-0000-0000-00000000000' || n % 5 + 1)::uuid, repeat('é', n)
  FROM generate_series(1, 9) n;
INSERT INTO "my ""App".child VALUES (10, 'null', NULL, NULL);
"""
SCHEMA = 'my "App'
CONTENT = 'SELECT array_agg(c::text ORDER BY a) FROM "my ""App".child c'
FOREIGN_KEY = """SELECT convalidated, confdeltype::text FROM pg_constraint WHERE conname = 'fk "Child'"""


def add(op, orphans="fail", **options):
    op.add_foreign_key_online(
        "child",
        ["select"],
        "Tenants é",
        ["I d"],
        name='fk "Child',
        ondelete="CASCADE",
        orphans=orphans,
        schema=SCHEMA,
        **options,
    )


@pytest.mark.parametrize("orphans", ["null", "quarantine-rows", "sentinel", "create-parent"])
def test_a_foreign_key_settles_orphans_and_its_way_back_restores_every_byte(op, sql, orphans):
    sql(CHILD)
    before = sql(CONTENT), sql('SELECT count(*) FROM "my ""App"."Tenants é"')
    options = {"sentinel": "99999999-0000-0000-0000-000000000000"} if orphans == "sentinel" else {}
    add(op, orphans, **options)
    assert sql(FOREIGN_KEY) == [(True, "c")]
    kept = sql("SELECT count(*) FROM _truing.quarantine WHERE resolved_at IS NULL")[0][0]
    assert kept == (0 if orphans == "create-parent" else 4)
    add(op, orphans, **options)  # nothing to do
    op.drop_foreign_key_online("child", 'fk "Child', schema=SCHEMA)
    assert sql(FOREIGN_KEY) == []
    assert (sql(CONTENT), sql('SELECT count(*) FROM "my ""App"."Tenants é"')) == before
    assert sql("SELECT count(*) FROM _truing.op") == [(0,)]


def test_orphans_stop_a_foreign_key_whose_policy_is_fail_before_anything_is_changed(op, sql):
    sql(CHILD)
    before = sql(CONTENT)
    with pytest.raises(DirtyDataError, match="at least|4 rows"):
        add(op)
    assert sql(FOREIGN_KEY) == []
    assert sql(CONTENT) == before


def test_a_value_that_the_application_changed_meanwhile_is_not_taken_back(op, sql):
    sql(CHILD)
    add(op, "null")
    sql(
        'UPDATE "my ""App".child SET "select" = (SELECT min("I d"::text)::uuid FROM "my ""App"."Tenants é") WHERE a = 3'
    )
    op.drop_foreign_key_online("child", 'fk "Child', schema=SCHEMA)
    assert sql("SELECT resolution FROM _truing.quarantine") == [
        ("not given back: the row has been changed, removed or replaced meanwhile",)
    ]


def test_another_constraint_of_the_same_name_is_never_taken_for_the_foreign_key(op, sql):
    sql(CHILD)
    sql("""ALTER TABLE "my ""App".child ADD CONSTRAINT "fk ""Child" CHECK (a > 0)""")
    with pytest.raises(UnsupportedChangeError, match="CHECK"):
        add(op)


def test_types_that_differ_are_refused_by_name(op, sql):
    sql(CHILD)
    sql('ALTER TABLE "my ""App".child ALTER "select" TYPE text')
    with pytest.raises(UnsupportedChangeError, match='"select" is text.*is uuid'):
        add(op)


def test_not_null_replaces_nulls_and_gives_them_back(op, sql):
    sql(CHILD)
    before = sql(CONTENT)
    op.set_not_null_online("child", "note", nulls={"value": "'was ' || t.b"}, schema=SCHEMA)
    assert sql('SELECT note FROM "my ""App".child WHERE a = 10') == [("was null",)]
    assert sql(
        """SELECT attnotnull FROM pg_attribute WHERE attname = 'note' AND attrelid = '"my ""App".child'::regclass"""
    ) == [(True,)]
    assert sql("SELECT count(*) FROM pg_constraint WHERE conname LIKE '\\_\\_truing%'") == [(0,)]
    op.set_not_null_online("child", "note", nulls={"value": "'was ' || t.b"}, schema=SCHEMA)
    op.drop_not_null_online("child", "note", schema=SCHEMA)
    assert sql(CONTENT) == before


def test_not_null_moves_rows_and_gives_them_back(op, sql):
    sql(CHILD)
    before = sql(CONTENT)
    op.set_not_null_online("child", "select", nulls="quarantine-rows", schema=SCHEMA)
    assert sql('SELECT count(*) FROM "my ""App".child') == [(9,)]
    op.drop_not_null_online("child", "select", schema=SCHEMA)
    assert sql(CONTENT) == before


def test_an_invalid_index_of_the_same_name_is_built_anew(op, sql):
    sql(CHILD)
    sql('CREATE INDEX "ix A" ON "my ""App".child (note)')
    sql("""UPDATE pg_index SET indisvalid = false WHERE indexrelid = '"my ""App"."ix A"'::regclass""")
    op.create_index_online("ix A", "child", ["note"], schema=SCHEMA)
    assert sql("""SELECT indisvalid FROM pg_index WHERE indexrelid = '"my ""App"."ix A"'::regclass""") == [(True,)]
    op.create_index_online("ix A", "child", ["note"], schema=SCHEMA)
    with pytest.raises(UnsupportedChangeError, match="another index"):
        op.create_index_online("ix A", "child", ["note"], unique=True, schema=SCHEMA)
    op.drop_index_online("ix A", "child", schema=SCHEMA)
    assert sql("""SELECT to_regclass('"my ""App"."ix A"')::text""") == [(None,)]
    op.drop_index_online("ix A", "child", schema=SCHEMA)


def test_a_column_is_filled_for_rows_of_writers_that_do_not_know_it(op, sql):
    sql(CHILD)
    op.add_column_online(
        "child",
        "is global",
        "boolean",
        value='t."select" IS NULL',
        default="false",
        on_insert='NEW."select" IS NULL',
        schema=SCHEMA,
    )
    sql("""INSERT INTO "my ""App".child VALUES (11, 'x', NULL, NULL)""")
    assert sql('SELECT a, "is global" FROM "my ""App".child WHERE a > 8') == [(9, False), (10, True), (11, True)]
    op.finish_column_online("child", "is global", schema=SCHEMA)
    sql("""INSERT INTO "my ""App".child VALUES (12, 'x', NULL, NULL)""")
    assert sql('SELECT "is global" FROM "my ""App".child WHERE a = 12') == [(False,)]
    op.finish_column_online("child", "is global", on_insert='NEW."select" IS NULL', default="false", schema=SCHEMA)
    op.drop_column_online("child", "is global", schema=SCHEMA)
    assert sql("SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal") == [(0,)]
    assert sql("SELECT count(*) FROM _truing.op") == [(0,)]


def test_a_check_is_added_valid_and_dropped(op, sql):
    sql(CHILD)
    op.add_check_online("child", "ck a", "a > 0", schema=SCHEMA)
    op.add_check_online("child", "ck a", "a > 0", schema=SCHEMA)
    with pytest.raises(UnsupportedChangeError, match="another constraint"):
        op.add_check_online("child", "ck a", "a > 1", schema=SCHEMA)
    assert sql("SELECT convalidated FROM pg_constraint WHERE conname = 'ck a'") == [(True,)]
    op.drop_check_online("child", "ck a", schema=SCHEMA)
    assert sql("SELECT count(*) FROM pg_constraint WHERE conname = 'ck a'") == [(0,)]


def test_a_missing_table_is_named_with_the_closest_one(op, sql):
    sql(CHILD)
    with pytest.raises(UnsupportedChangeError, match="chidl"):
        op.create_index_online("ix", "chidl", ["a"], schema=SCHEMA)


def test_a_unique_index_that_cannot_be_built_leaves_nothing_that_refuses_writes(op, sql):
    sql(CHILD)
    sql("INSERT INTO \"my \"\"App\".child VALUES (20, 'x', NULL, 'same'), (21, 'x', NULL, 'same')")
    with pytest.raises(OnlineError, match="ix_unique"):
        op.create_index_online("ix_unique", "child", ["note"], unique=True, schema=SCHEMA)
    assert sql("SELECT count(*) FROM pg_index WHERE NOT indisvalid") == [(0,)]


def test_rows_that_get_past_a_foreign_key_while_it_is_validated_are_settled_too(op, sql, monkeypatch):
    sql(CHILD)
    sneaked = []

    def point(name):
        if name == "starting validate" and not sneaked:
            sneaked.append(name)
            sql("""SET session_replication_role = replica; INSERT INTO "my ""App".child VALUES
                   (30, 'x', '77777777-0000-0000-0000-000000000000', NULL); RESET session_replication_role""")

    monkeypatch.setattr("truing.online.faults.from_environment", lambda: point)
    add(op, "null")
    assert sneaked
    assert sql(FOREIGN_KEY) == [(True, "c")]
    assert sql('SELECT "select" FROM "my ""App".child WHERE a = 30') == [(None,)]


def test_a_policy_that_a_foreign_key_cannot_follow_is_refused(op, sql):
    sql(CHILD)
    with pytest.raises(UnsupportedChangeError, match="policy map"):
        add(op, "map")


def test_the_typed_functions_are_the_operations(op, sql):
    sql(CHILD)
    spelled = {name for name in dir(op) if name.endswith("_online")}
    assert spelled == {name for name in vars(ops) if name.endswith("_online")}
    with Operations.context(op.migration_context):
        ops.create_index_online("ix", "child", ["note"], schema=SCHEMA)
    assert sql('SELECT indisvalid FROM pg_index WHERE indexrelid = \'"my ""App".ix\'::regclass') == [(True,)]
