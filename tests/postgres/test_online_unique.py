"""Unique constraints, unique indexes, primary keys and CHECKs over dirty rows: settled, kept, given back."""

from __future__ import annotations

import threading

import pytest

from truing.errors import DirtyDataError, OnlineError, UnsupportedChangeError

SCHEMA = 'my "App'
ITEMS = """
CREATE SCHEMA "my ""App";
CREATE TABLE "my ""App"."it""ems" (id int PRIMARY KEY, tenant int, "select" text, made int NOT NULL, live bool NOT NULL);
INSERT INTO "my ""App"."it""ems" VALUES (1, 1, 'a', 9, true), (2, 1, 'a', 8, true), (3, 1, 'A', 7, true), (4, 2, 'a', 6, true),
  (5, NULL, 'a', 5, true), (6, NULL, 'a', 4, false), (7, 1, 'a', 3, false), (8, 2, E'd\\\\''é', 2, true), (9, 2, E'd\\\\''é', 1, true);
"""
TABLE = 'it"ems'
ROWS = 'SELECT array_agg(i::text ORDER BY id) FROM "my ""App"."it""ems" i'
IDS = 'SELECT array_agg(id ORDER BY id) FROM "my ""App"."it""ems"'
KEPT = "SELECT array_agg((pk ->> 'id')::int ORDER BY 1) FROM (SELECT pk FROM _truing.quarantine WHERE resolved_at IS NULL ORDER BY (pk ->> 'id')::int) q"


@pytest.fixture
def items(sql):
    sql(ITEMS)
    return sql(ROWS)


def unique(op, duplicates="fail", **options):
    op.add_unique_online(TABLE, 'uq "é', ["tenant", "select"], duplicates=duplicates, schema=SCHEMA, **options)


def constraint(sql, name='uq "é'):
    return sql("SELECT contype::text, pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = %s", name)


def kept(sql):
    return [int(pk) for (pk,) in sql("SELECT pk ->> 'id' FROM _truing.quarantine WHERE resolved_at IS NULL ORDER BY 1")]


def test_duplicates_stop_it_with_their_number_and_their_query_before_anything_is_changed(op, sql, items):
    with pytest.raises(DirtyDataError, match=r"3 rows, for example with key 2") as raised:
        unique(op)
    query = raised.value.message.partition("they are: ")[2].partition(";")[0]
    assert sorted(sql(query)) == [(2,), (7,), (9,)]
    assert sql('SELECT count(*) FROM pg_index WHERE indrelid = \'"my ""App"."it""ems"\'::regclass') == [(1,)]
    assert sql(ROWS) == items


@pytest.mark.parametrize(
    ("duplicates", "options", "left", "settled"),
    [
        ("quarantine-rows", {}, [1, 3, 4, 5, 6, 8], [2, 7, 9]),
        ("quarantine-rows", {"first": ["made"]}, [3, 4, 5, 6, 7, 9], [1, 2, 8]),
        ("null", {}, list(range(1, 10)), [2, 7, 9]),
        ({"value": """t."select" || ' ' || t.id"""}, {}, list(range(1, 10)), [2, 7, 9]),
        ({"value": "t.id + 100"}, {"column": "tenant"}, list(range(1, 10)), [2, 7, 9]),
        ("quarantine-rows", {"nulls_not_distinct": True}, [1, 3, 4, 5, 8], [2, 6, 7, 9]),
    ],
    ids=["moved", "moved-by-first", "null", "value", "value-of-column", "nulls"],
)
@pytest.mark.pg(">=15")
def test_duplicates_are_settled_and_come_back(op, sql, items, duplicates, options, left, settled):
    unique(op, duplicates, **options)
    nulls = " NULLS NOT DISTINCT" if options.get("nulls_not_distinct") else ""
    assert constraint(sql) == [("u", f'UNIQUE{nulls} (tenant, "select")')]
    assert sql(IDS) == [(left,)]
    assert kept(sql) == settled
    unique(op, duplicates, **options)  # nothing to do
    op.drop_unique_online(TABLE, 'uq "é', schema=SCHEMA)
    assert (constraint(sql), sql(ROWS)) == ([], items)
    assert sql("SELECT count(*) FROM _truing.op") == sql("SELECT count(*) FROM _truing.quarantine") == [(0,)]


def test_a_unique_index_over_expressions_settles_only_the_rows_of_its_predicate(op, sql, items):
    op.create_index_online(
        "ux é",
        TABLE,
        ["tenant"],
        expressions=['lower("select") DESC'],
        unique=True,
        where="live",
        duplicates="quarantine-rows",
        schema=SCHEMA,
    )
    assert sql(IDS) == [([1, 4, 5, 6, 7, 8],)]
    assert kept(sql) == [2, 3, 9]
    op.drop_index_online("ux é", TABLE, schema=SCHEMA)
    assert sql(ROWS) == items
    assert sql('SELECT to_regclass(\'"my ""App"."ux é"\')') == [(None,)]


def test_duplicates_written_while_the_index_is_built_are_settled_too(op, sql, items, monkeypatch):
    sneaked = []

    def point(name):
        if name == "starting build" and not sneaked:
            sneaked.append(name)
            sql("""INSERT INTO "my ""App"."it""ems" VALUES (20, 2, 'a', 1, true)""")

    monkeypatch.setattr("truing.online.faults.from_environment", lambda: point)
    unique(op, "quarantine-rows")
    assert sneaked
    assert kept(sql) == [2, 20, 7, 9]
    assert sql("SELECT count(*) FROM pg_index WHERE NOT indisvalid") == [(0,)]


def test_another_constraint_of_the_name_is_never_taken_for_it(op, sql, items):
    sql("""ALTER TABLE "my ""App"."it""ems" ADD CONSTRAINT "uq ""é" UNIQUE (id, tenant)""")
    with pytest.raises(UnsupportedChangeError, match=r"UNIQUE \(id, tenant\)"):
        unique(op)


def test_a_primary_key_takes_the_place_of_another_and_back(op, sql, items):
    sql("""ALTER TABLE "my ""App"."it""ems" ALTER made SET NOT NULL""")
    with pytest.raises(UnsupportedChangeError, match="may hold NULL"):
        op.add_primary_key_online(TABLE, "pk", ["tenant", "id"], replaces='it"ems_pkey', schema=SCHEMA)
    with pytest.raises(UnsupportedChangeError, match="already"):
        op.add_primary_key_online(TABLE, "pk", ["made", "id"], schema=SCHEMA)
    for _ in range(2):
        op.add_primary_key_online(TABLE, "pk", ["made", "id"], replaces='it"ems_pkey', schema=SCHEMA)
        assert constraint(sql, "pk") == [("p", "PRIMARY KEY (made, id)")]
    op.add_primary_key_online(TABLE, 'it"ems_pkey', ["id"], replaces="pk", schema=SCHEMA)
    assert constraint(sql, 'it"ems_pkey') == [("p", "PRIMARY KEY (id)")]
    assert constraint(sql, "pk") == []


def test_a_primary_key_that_is_referred_to_stays(op, sql, items):
    sql("""CREATE TABLE "my ""App".user_of (id int REFERENCES "my ""App"."it""ems")""")
    with pytest.raises(UnsupportedChangeError, match="user_of"):
        op.add_primary_key_online(TABLE, "pk", ["made", "id"], replaces='it"ems_pkey', schema=SCHEMA)


@pytest.mark.parametrize(
    ("violations", "options", "left"),
    [
        ("quarantine-rows", {}, [1, 2, 3, 4, 5, 6, 7]),
        ("null", {"column": "select"}, list(range(1, 10))),
        ({"value": "'z'"}, {"column": "select"}, list(range(1, 10))),
    ],
    ids=["moved", "null", "value"],
)
def test_rows_that_break_a_check_are_settled_and_come_back(op, sql, items, violations, options, left):
    condition = r"""("it""ems"."select" ~ '^[a-zA-Z]$')"""
    with pytest.raises(DirtyDataError, match=r"2 rows, for example with key 8; 9"):
        op.add_check_online(TABLE, "ck é", condition, schema=SCHEMA)
    assert constraint(sql, "ck é") == []
    for _ in range(2):
        op.add_check_online(TABLE, "ck é", condition, violations=violations, schema=SCHEMA, **options)
    assert sql("SELECT convalidated FROM pg_constraint WHERE conname = 'ck é'") == [(True,)]
    assert sql(IDS) == [(left,)]
    assert kept(sql) == [8, 9]
    op.drop_check_online(TABLE, "ck é", schema=SCHEMA)
    assert (constraint(sql, "ck é"), sql(ROWS)) == ([], items)
    assert sql("SELECT count(*) FROM _truing.op") == [(0,)]


def test_a_policy_that_cannot_settle_is_refused_in_words(op, sql, items):
    with pytest.raises(UnsupportedChangeError, match="sentinel"):
        unique(op, "sentinel")
    with pytest.raises(UnsupportedChangeError, match="is no policy"):
        unique(op, {"valeu": "1"})
    with pytest.raises(UnsupportedChangeError, match="NOT NULL, so policy null"):
        op.add_unique_online(TABLE, "u", ["made", "live"], duplicates="null", schema=SCHEMA)


def test_a_column_that_is_not_there_is_named(op, sql, items):
    with pytest.raises(UnsupportedChangeError, match='column "nothing" does not exist'):
        op.add_check_online(TABLE, "ck", "nothing > 0", schema=SCHEMA)
    with pytest.raises(UnsupportedChangeError, match="no column 'nothing'"):
        op.create_index_online("ix", TABLE, ["nothing"], unique=True, schema=SCHEMA)


def test_a_killed_run_goes_on(op, sql, items, monkeypatch):
    class Killed(BaseException):
        pass

    def point(name):
        if name == "before add":
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("truing.online.faults.from_environment", lambda: point)
        with pytest.raises(Killed):
            unique(op, "quarantine-rows")
    assert constraint(sql) == []
    unique(op, "quarantine-rows")
    assert constraint(sql) == [("u", 'UNIQUE (tenant, "select")')]
    assert sql("SELECT count(*) FROM pg_class WHERE relname LIKE '\\_\\_truing%%'") == [(0,)]


def test_a_table_without_a_key_is_left_to_the_server(op, sql):
    sql("CREATE TABLE bare (a int); INSERT INTO bare VALUES (1), (1)")
    with pytest.raises(OnlineError, match="u_bare|bare"):
        op.add_unique_online("bare", "u_bare", ["a"])
    with pytest.raises(UnsupportedChangeError, match="primary key"):
        op.add_unique_online("bare", "u_other", ["a"], duplicates="quarantine-rows")
    assert sql("SELECT count(*) FROM pg_index WHERE NOT indisvalid") == [(0,)]


def test_writers_go_on_while_it_is_added(op, sql, items, connect):
    failures, stop = [], threading.Event()

    def write():
        connection = connect()
        number = 1000
        while not stop.is_set():
            number += 1
            try:
                connection.execute(f"""INSERT INTO "my ""App"."it""ems" VALUES ({number}, {number}, 'w', 1, true)""")
            except Exception as error:  # noqa: BLE001 - any of them is a failure
                failures.append(str(error))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        unique(op, "quarantine-rows")
    finally:
        stop.set()
        writer.join()
    assert failures == []


def test_a_column_with_one_default_for_all_touches_no_row(op, sql, items):
    before = sql('SELECT array_agg(ctid::text || xmin ORDER BY id) FROM "my ""App"."it""ems"')
    op.add_column_online(TABLE, "mask é", "bit(8)", default="0::bit(8)", schema=SCHEMA)
    op.add_column_online(TABLE, "mask é", "bit(8)", default="0::bit(8)", schema=SCHEMA)
    assert sql('SELECT array_agg(ctid::text || xmin ORDER BY id) FROM "my ""App"."it""ems"') == before
    assert sql('SELECT DISTINCT "mask é"::text FROM "my ""App"."it""ems"') == [("00000000",)]
    with pytest.raises(UnsupportedChangeError, match="another one for each row"):
        op.add_column_online(TABLE, "u", "uuid", default="gen_random_uuid()", schema=SCHEMA)
    op.add_column_online(TABLE, "u", "uuid", default="gen_random_uuid()", value="gen_random_uuid()", schema=SCHEMA)
    assert sql('SELECT count(DISTINCT u) FROM "my ""App"."it""ems"') == [(9,)]
