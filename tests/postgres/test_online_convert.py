"""A type change with conversion: every class of dirt, every policy, and all the ways back to the byte."""

from __future__ import annotations

import pytest

from truing.errors import DirtyDataError, OnlineError, UnsupportedChangeError
from truing.online import originals

KNOWN = "11111111-2222-3333-4444-55555555abcd"
UNKNOWN = "99999999-2222-3333-4444-55555555abcd"
NIL = "00000000-0000-0000-0000-000000000000"

# text -> its class
DIRT = {
    KNOWN: "clean",
    KNOWN.upper(): "normalised",
    "{" + KNOWN + "}": "normalised",
    KNOWN.replace("-", ""): "normalised",
    KNOWN.replace("-", "").upper(): "normalised",
    "1111-1111-2222-3333-4444-5555-5555-ABCD": "normalised",
    f"  {KNOWN}": "normalised",
    f"{KNOWN}\t": "normalised",
    f"\r\n{KNOWN}\n": "normalised",
    f"\v{KNOWN}\f": "normalised",
    None: "null",
    "": "empty",
    "   ": "empty",
    "\t\n": "empty",
    "default": "malformed",
    KNOWN[:-1]: "malformed",
    KNOWN + "0": "malformed",
    f"urn:uuid:{KNOWN}": "malformed",
    f"\u00a0{KNOWN}": "malformed",
    f"{KNOWN}\u00a0": "malformed",
    f"{{{KNOWN}": "malformed",
    f"{KNOWN}}}": "malformed",
    "11111111-2222-3333-4444--5555555abcd": "malformed",
    "\\x00": "malformed",
    "\\u0000": "malformed",
    "😀" * 9: "malformed",
    "'); DROP TABLE tenants; --": "malformed",
    "x" * 1_000_000: "malformed",
    "null": "malformed",
    UNKNOWN: "orphan",
    UNKNOWN.upper(): "orphan",
    f" {UNKNOWN} ": "orphan",
    NIL: "orphan",
}

SCHEMA = f"""
CREATE SCHEMA "Åpp";
CREATE TABLE "Åpp".tenants (id uuid PRIMARY KEY, name text NOT NULL, is_active boolean);
INSERT INTO "Åpp".tenants VALUES ('{KNOWN}', 'known', true);
CREATE TABLE "Åpp".profiles (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "Tenant Id" text, note text DEFAULT 'n',
  updated_at timestamptz NOT NULL DEFAULT '2020-01-01');
CREATE FUNCTION "Åpp".touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.updated_at := now(); RETURN NEW; END';
CREATE TRIGGER touch BEFORE UPDATE ON "Åpp".profiles FOR EACH ROW EXECUTE FUNCTION "Åpp".touch();
"""
CONTENT = """SELECT id, "Tenant Id", note, updated_at::text FROM "Åpp".profiles ORDER BY id"""
SENTINEL = {"parent": {"name": "nowhere", "is_active": "false"}}


@pytest.fixture
def dirt(sql):
    """A table with one row for each kind of dirt; returns id -> (text, class)."""
    sql(SCHEMA)
    rows = {}
    for text, kind in DIRT.items():
        rows[sql('INSERT INTO "Åpp".profiles ("Tenant Id") VALUES (%s) RETURNING id', text)[0][0]] = text, kind
    return rows


def convert(op, dirty="sentinel", nullable=False, **options):
    if dirty == "sentinel":
        options = {**SENTINEL, **options}
    op.convert_column_online(
        "profiles",
        "Tenant Id",
        "uuid",
        references="tenants.id",
        nullable=nullable,
        dirty=dirty,
        schema="Åpp",
        **options,
    )


def column_type(sql):
    return sql(
        """SELECT format_type(atttypid, atttypmod), attnotnull FROM pg_attribute
           WHERE attrelid = '"Åpp".profiles'::regclass AND attname = 'Tenant Id'"""
    )[0]


def leftovers(sql):
    return sql(
        """SELECT attname FROM pg_attribute WHERE attrelid = '"Åpp".profiles'::regclass AND attname LIKE '\\_\\_truing%'
             AND NOT attisdropped
           UNION ALL SELECT tgname FROM pg_trigger WHERE tgname LIKE '%truing%'
           UNION ALL SELECT proname FROM pg_proc WHERE pronamespace = '_truing'::regnamespace
           UNION ALL SELECT conname FROM pg_constraint WHERE conname LIKE '\\_\\_truing%'
           UNION ALL SELECT relname FROM pg_class WHERE relname LIKE 'residue%'
           UNION ALL SELECT op_id FROM _truing.op"""
    )


def test_each_kind_of_dirt_ends_where_its_class_says(op, sql, dirt, connect):
    convert(op)
    assert column_type(sql) == ("uuid", True)
    values = dict(sql('SELECT id, "Tenant Id"::text FROM "Åpp".profiles'))
    for number, (text, kind) in dirt.items():
        expected = KNOWN if kind in {"clean", "normalised"} else NIL
        assert values[number] == expected, (text, kind)
    kept = {entry.pk["id"]: entry for entry in originals.listed(connect(), limit=1000)}
    for number, (text, kind) in dirt.items():
        entry = kept.pop(str(number), None)
        if kind in {"clean", "normalised"} or text == NIL:
            assert entry is None, text
        else:
            assert (entry.raw, entry.reason, entry.given) == (text, kind, NIL)
    assert kept == {}
    assert sql('SELECT DISTINCT updated_at::date::text FROM "Åpp".profiles') == [("2020-01-01",)]


@pytest.mark.parametrize("contracted", [False, True], ids=["swapped", "contracted"])
@pytest.mark.parametrize("dirty", ["sentinel", "quarantine-rows"])
def test_the_way_back_restores_every_byte(op, sql, dirt, dirty, contracted):
    before = sql(CONTENT), sql('SELECT * FROM "Åpp".tenants'), column_type(sql)
    convert(op, dirty)
    convert(op, dirty)  # nothing to do
    if contracted:
        op.contract_column_online("profiles", "Tenant Id", schema="Åpp")
        op.contract_column_online("profiles", "Tenant Id", schema="Åpp")
        columns = sql("""SELECT attname FROM pg_attribute WHERE attrelid = '"Åpp".profiles'::regclass AND attnum > 0
                           AND NOT attisdropped""")
        assert {name for (name,) in columns} == {"id", "Tenant Id", "note", "updated_at"}
        with pytest.raises(OnlineError, match="contracted"):
            op.revert_column_online("profiles", "Tenant Id", schema="Åpp")
        op.restore_column_online("profiles", "Tenant Id", schema="Åpp")
        op.restore_column_online("profiles", "Tenant Id", schema="Åpp")
    op.revert_column_online("profiles", "Tenant Id", schema="Åpp")
    op.revert_column_online("profiles", "Tenant Id", schema="Åpp")
    assert (sql(CONTENT), sql('SELECT * FROM "Åpp".tenants'), column_type(sql)) == before
    assert leftovers(sql) == []


def test_the_policies_null_map_and_create_parent(op, sql, dirt):
    sql(f"""CREATE TABLE "Åpp".mapping (raw text PRIMARY KEY, value text);
            INSERT INTO "Åpp".mapping VALUES ('', '{KNOWN}'), ('   ', '{KNOWN}'), (E'\\t\\n', '{KNOWN}')""")
    before = sql(CONTENT), sql('SELECT * FROM "Åpp".tenants ORDER BY id')
    policies = {"empty": "map", "malformed": "null", "orphan": "create-parent"}
    convert(op, policies, nullable=True, map_table="mapping", parent={"name": "made"})
    values = dict(sql('SELECT id, "Tenant Id"::text FROM "Åpp".profiles'))
    expected = {"clean": KNOWN, "normalised": KNOWN, "empty": KNOWN, "null": None, "malformed": None, "orphan": UNKNOWN}
    for number, (text, kind) in dirt.items():
        assert values[number] == (NIL if text == NIL else expected[kind]), text
    assert sql("""SELECT id::text FROM "Åpp".tenants WHERE name = 'made' ORDER BY id""") == [(NIL,), (UNKNOWN,)]
    op.contract_column_online("profiles", "Tenant Id", schema="Åpp")
    op.restore_column_online("profiles", "Tenant Id", schema="Åpp")
    op.revert_column_online("profiles", "Tenant Id", schema="Åpp")
    assert (sql(CONTENT), sql('SELECT * FROM "Åpp".tenants ORDER BY id')) == before


def test_a_sentinel_row_that_is_there_is_used_and_stays(op, sql):
    sql(SCHEMA)
    sql(
        f"""INSERT INTO "Åpp".tenants VALUES ('{NIL}', 'mine', false); INSERT INTO "Åpp".profiles ("Tenant Id") VALUES ('x')"""
    )
    convert(op, dict.fromkeys(("null", "empty", "malformed", "orphan"), "sentinel"))
    assert sql('SELECT "Tenant Id"::text FROM "Åpp".profiles') == [(NIL,)]
    op.revert_column_online("profiles", "Tenant Id", schema="Åpp")
    assert sql(f"""SELECT name FROM "Åpp".tenants WHERE id = '{NIL}'""") == [("mine",)]


def test_policy_fail_changes_nothing(op, sql, dirt):
    before = sql(CONTENT), column_type(sql)
    with pytest.raises(DirtyDataError, match="no place as uuid"):
        convert(op, "fail")
    assert (sql(CONTENT), column_type(sql)) == before
    assert sql("SELECT count(*) FROM pg_attribute WHERE attname LIKE '\\_\\_truing%'") == [(0,)]
    op.revert_column_online("profiles", "Tenant Id", schema="Åpp")
    assert leftovers(sql) == []


def test_what_the_application_changes_after_the_swap_wins_and_the_rest_of_its_row_does_not_matter(op, sql, dirt):
    convert(op)
    by_text = {text: number for number, (text, _) in dirt.items()}
    sql('UPDATE "Åpp".profiles SET note = %s WHERE id = %s', "touched", by_text[KNOWN.upper()])
    sql('UPDATE "Åpp".profiles SET "Tenant Id" = %s WHERE id = %s', KNOWN, by_text["default"])
    op.contract_column_online("profiles", "Tenant Id", schema="Åpp")
    # Away and back: what the residue knew of this row is no longer true.
    sql('UPDATE "Åpp".profiles SET "Tenant Id" = %s WHERE id = %s', NIL, by_text["{" + KNOWN + "}"])
    sql('UPDATE "Åpp".profiles SET "Tenant Id" = %s WHERE id = %s', KNOWN, by_text["{" + KNOWN + "}"])
    op.restore_column_online("profiles", "Tenant Id", schema="Åpp")
    op.revert_column_online("profiles", "Tenant Id", schema="Åpp")
    texts = dict(sql('SELECT id, "Tenant Id" FROM "Åpp".profiles'))
    assert texts[by_text[KNOWN.upper()]] == KNOWN.upper()
    assert texts[by_text["default"]] == KNOWN
    assert texts[by_text["{" + KNOWN + "}"]] == KNOWN
    assert texts[by_text[""]] == ""


def test_a_growing_varchar_is_changed_in_the_catalog_alone(op, sql, events):
    sql(SCHEMA)
    sql('ALTER TABLE "Åpp".profiles ALTER note TYPE varchar(5)')
    op.convert_column_online("profiles", "note", "varchar(50)", schema="Åpp")
    op.convert_column_online("profiles", "note", "varchar(50)", schema="Åpp")
    assert sql("SELECT count(*) FROM pg_attribute WHERE attname LIKE '\\_\\_truing%'") == [(0,)]
    assert sql("SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attname = 'note'") == [
        ("character varying(50)",)
    ]
    op.revert_column_online("profiles", "note", schema="Åpp")
    assert sql("SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attname = 'note'") == [
        ("character varying(5)",)
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dirty": "null"}, "nullable"),
        ({"dirty": {"malformed": "create-parent"}}, "create-parent"),
        ({"dirty": {"malformed": "map"}}, "map_table"),
        ({"dirty": {"odd": "null"}}, "odd"),
        ({"dirty": {"null": "odd"}}, "odd"),
    ],
)
def test_policies_that_cannot_work_are_refused_before_anything_is_begun(op, sql, options, message):
    sql(SCHEMA)
    with pytest.raises(UnsupportedChangeError, match=message):
        convert(op, **options)
    assert sql("SELECT to_regnamespace('_truing')") == [(None,)]


class StopError(Exception):
    """Raised at one point of a run."""


def stopping_at(monkeypatch, number):
    """Let the run stop at its nth point, once; return the list of points passed."""
    passed = []

    def point(name):
        passed.append(name)
        if len(passed) == number:
            raise StopError(name)

    monkeypatch.setattr("truing.online.faults.from_environment", lambda: point)
    return passed


def test_collation_and_the_name_of_not_null_survive(op, sql, database):
    sql(
        """CREATE TABLE t (id int PRIMARY KEY, c varchar(40) COLLATE "C" NOT NULL); INSERT INTO t VALUES (1, ' x '), (2, '')"""
    )
    names = """SELECT format_type(atttypid, atttypmod), attnotnull, (SELECT collname FROM pg_collation WHERE oid = attcollation),
                 (SELECT conname FROM pg_constraint WHERE conrelid = attrelid AND conkey = ARRAY[attnum] AND contype = 'n')
               FROM pg_attribute WHERE attrelid = 't'::regclass AND attname = 'c'"""
    before = sql(names)
    op.convert_column_online("t", "c", "char(50)")
    assert sql(names)[0][1:] == before[0][1:]
    op.contract_column_online("t", "c")
    op.restore_column_online("t", "c")
    op.revert_column_online("t", "c")
    assert sql(names) == before
    assert sql("SELECT c FROM t ORDER BY id") == [(" x ",), ("",)]


@pytest.mark.slow
def test_given_up_at_any_point_and_taken_back_it_leaves_nothing(op, sql, dirt, monkeypatch):
    before = sql(CONTENT), sql('SELECT * FROM "Åpp".tenants'), column_type(sql)
    number = 0
    while True:
        number += 1
        passed = stopping_at(monkeypatch, number)
        try:
            convert(op)
        except StopError:
            stopping_at(monkeypatch, 0)
            op.revert_column_online("profiles", "Tenant Id", schema="Åpp")
            assert (sql(CONTENT), sql('SELECT * FROM "Åpp".tenants'), column_type(sql)) == before, passed[-1]
            assert sql("SELECT to_regnamespace('_truing')") == [(None,)] or leftovers(sql) == [], passed[-1]
        else:
            break
    assert number > 20


@pytest.mark.slow
@pytest.mark.parametrize("way", ["contract", "restore", "revert"])
def test_a_way_that_stops_at_any_point_goes_on(op, sql, dirt, monkeypatch, way):
    before = sql(CONTENT), sql('SELECT * FROM "Åpp".tenants'), column_type(sql)
    names = {"contract": ["contract"], "restore": ["contract", "restore"], "revert": ["revert"]}[way]
    number = stops = 0
    finished = False
    while not finished:
        number += 1
        stopping_at(monkeypatch, 0)
        convert(op)
        for name in names[:-1]:
            getattr(op, f"{name}_column_online")("profiles", "Tenant Id", schema="Åpp")
        stopping_at(monkeypatch, number)
        try:
            getattr(op, f"{way}_column_online")("profiles", "Tenant Id", schema="Åpp")
            finished = True
        except StopError:
            stops += 1
            stopping_at(monkeypatch, 0)
            getattr(op, f"{way}_column_online")("profiles", "Tenant Id", schema="Åpp")
        stopping_at(monkeypatch, 0)
        op.restore_column_online("profiles", "Tenant Id", schema="Åpp")
        op.revert_column_online("profiles", "Tenant Id", schema="Åpp")
        assert (sql(CONTENT), sql('SELECT * FROM "Åpp".tenants'), column_type(sql)) == before, number
        assert leftovers(sql) == [], number
    assert stops > 4
