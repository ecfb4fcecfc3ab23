"""The field's known traps of triggers and plans: each is shown on the server, and then that truing does not fall into it."""

from __future__ import annotations

import psycopg
import pytest

from tests.postgres.stopping import run_until
from truing.errors import UnsupportedChangeError

KNOWN = "aaaaaaaa-2222-3333-4444-55555555abcd"
OTHER = "bbbbbbbb-2222-3333-4444-55555555abcd"
UNKNOWN = "99999999-2222-3333-4444-55555555abcd"
NIL = "00000000-0000-0000-0000-000000000000"

SCHEMA = f"""
CREATE SCHEMA "Åpp";
CREATE TABLE "Åpp".tenants (id uuid PRIMARY KEY, name text);
INSERT INTO "Åpp".tenants VALUES ('{KNOWN}', 'known'), ('{OTHER}', 'other');
CREATE TABLE "Åpp".profiles (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id text, name text);
INSERT INTO "Åpp".profiles (tenant_id, name) VALUES ('{KNOWN}', 'first'), ('dirt', 'second');
"""
DIRTY = {
    KNOWN.upper(): KNOWN,
    f" {KNOWN}\t": KNOWN,
    "{" + KNOWN + "}": KNOWN,
    UNKNOWN: NIL,
    "": NIL,
    "dirt": NIL,
    "'": NIL,
    "x" * 100_000: NIL,
    None: NIL,
}


def convert(op):
    options = {"references": "tenants.id", "nullable": False, "dirty": "sentinel", "parent": {"name": "nowhere"}}
    op.convert_column_online("profiles", "tenant_id", "uuid", schema="Åpp", **options)


def columns(sql):
    """Both columns of each row: as the application knows it, and the one that follows."""
    [(follower,)] = sql(
        """SELECT quote_ident(attname) FROM pg_attribute WHERE attrelid = '"Åpp".profiles'::regclass
           AND attname LIKE '\\_\\_truing%' AND NOT attisdropped"""
    )
    return sql(f'SELECT tenant_id::text, {follower}::text FROM "Åpp".profiles ORDER BY id')


# -- (i) the planner evaluates a cast before CASE can protect it -------------------------------------------------------

# As pg_input_is_valid() is: not immutable, so that it is not evaluated before the cast is.
NAIVE = """
ALTER TABLE "Åpp".profiles ADD new_id uuid;
CREATE FUNCTION is_valid(text) RETURNS boolean LANGUAGE plpgsql STABLE AS
  $$ BEGIN RETURN $1 ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'; END $$;
CREATE FUNCTION naive() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  NEW.new_id := (SELECT t.id FROM "Åpp".tenants t
                 WHERE t.id = CASE WHEN public.is_valid(NEW.tenant_id) THEN NEW.tenant_id::uuid END);
  RETURN NEW;
END $$;
CREATE TRIGGER naive BEFORE INSERT ON "Åpp".profiles FOR EACH ROW EXECUTE FUNCTION naive();
"""


def test_a_case_with_a_subquery_in_a_trigger_fails_each_dirty_write(sql):
    sql(SCHEMA + NAIVE)
    sql('INSERT INTO "Åpp".profiles (tenant_id) VALUES (%s)', KNOWN)
    with pytest.raises(psycopg.errors.InvalidTextRepresentation, match="dirt"):
        sql("""INSERT INTO "Åpp".profiles (tenant_id) VALUES ('dirt')""")


def test_dirty_writes_pass_truing_s_own_trigger(op, sql):
    sql(SCHEMA)
    run_until("expand", lambda: convert(op))
    for text, value in DIRTY.items():
        # More than five times, so that a generic plan is met as well.
        for _ in range(7):
            sql('INSERT INTO "Åpp".profiles (tenant_id) VALUES (%s)', text)
        sql('UPDATE "Åpp".profiles SET tenant_id = %s WHERE id = 1', text)
        assert columns(sql)[0] == (text, value)
    convert(op)
    expected = [value for value in DIRTY.values() for _ in range(7)]
    assert [new for new, _ in columns(sql)][2:] == expected


# -- (ii) UPDATE OF does not see what an earlier trigger changes ---------------------------------------------------------

HOUSE = f"""
CREATE FUNCTION move() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN IF NEW.name = 'moved' THEN NEW.tenant_id := '{OTHER}'; END IF; RETURN NEW; END $$;
CREATE TRIGGER "zzz the application's" BEFORE INSERT OR UPDATE ON "Åpp".profiles FOR EACH ROW EXECUTE FUNCTION move();
"""


def test_update_of_does_not_fire_for_what_another_trigger_changes(sql):
    sql(SCHEMA + HOUSE)
    sql("""ALTER TABLE "Åpp".profiles ADD follower text;
           CREATE FUNCTION follow() RETURNS trigger LANGUAGE plpgsql AS
           'BEGIN NEW.follower := NEW.tenant_id; RETURN NEW; END';
           CREATE TRIGGER zzzz BEFORE UPDATE OF tenant_id ON "Åpp".profiles FOR EACH ROW EXECUTE FUNCTION follow();
           UPDATE "Åpp".profiles SET name = 'moved' WHERE id = 1""")
    assert sql('SELECT tenant_id, follower FROM "Åpp".profiles WHERE id = 1') == [(OTHER, None)]


@pytest.mark.parametrize("step", ["expand", "swap"])
def test_truing_s_trigger_sees_what_another_trigger_changes(op, sql, step):
    sql(SCHEMA + HOUSE)
    run_until(step, lambda: convert(op))
    sql("""UPDATE "Åpp".profiles SET name = 'moved' WHERE id = 1""")
    sql(f"""INSERT INTO "Åpp".profiles (tenant_id, name) VALUES ('{KNOWN}', 'moved')""")
    rows = columns(sql)
    assert (rows[0], rows[2]) == ((OTHER, OTHER), (OTHER, OTHER))


# -- (iii) BEFORE triggers see NULL in generated columns ------------------------------------------------------------------

GENERATED = 'ALTER TABLE "Åpp".profiles ADD shout text GENERATED ALWAYS AS (upper(name)) STORED;'


def test_a_before_trigger_sees_null_in_a_generated_column(sql):
    sql(SCHEMA + GENERATED)
    sql("""CREATE TABLE seen (what text); CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS
           'BEGIN INSERT INTO public.seen VALUES (coalesce(NEW.shout, ''nothing'')); RETURN NEW; END';
           CREATE TRIGGER look BEFORE INSERT OR UPDATE ON "Åpp".profiles FOR EACH ROW EXECUTE FUNCTION look();
           INSERT INTO "Åpp".profiles (name) VALUES ('loud'); UPDATE "Åpp".profiles SET name = 'louder' WHERE id = 1""")
    assert sql("SELECT what FROM seen") == [("nothing",), ("nothing",)]


@pytest.mark.parametrize("step", ["expand", "backfill", "swap"])
def test_a_table_with_a_generated_column_is_converted_and_the_column_stays_right(op, sql, step):
    sql(SCHEMA + GENERATED)
    shouts = """SELECT name, shout FROM "Åpp".profiles ORDER BY id"""
    run_until(step, lambda: convert(op))
    assert sql(shouts) == [("first", "FIRST"), ("second", "SECOND")]
    sql(f"""UPDATE "Åpp".profiles SET name = 'third', tenant_id = '{OTHER}' WHERE id = 1""")
    convert(op)
    op.contract_column_online("profiles", "tenant_id", schema="Åpp")
    op.restore_column_online("profiles", "tenant_id", schema="Åpp")
    op.revert_column_online("profiles", "tenant_id", schema="Åpp")
    assert sql(shouts) == [("third", "THIRD"), ("second", "SECOND")]
    assert sql('SELECT tenant_id FROM "Åpp".profiles ORDER BY id') == [(OTHER,), ("dirt",)]


@pytest.mark.parametrize(
    "expression", ["NEW.shout", 'length(new . "shout") > 3', "(NEW.Shout || 'x') = 'y'", 'NEW."G x" IS NULL']
)
def test_a_value_on_insert_that_looks_at_a_generated_column_is_refused(op, sql, expression):
    sql(SCHEMA + GENERATED)
    sql('ALTER TABLE "Åpp".profiles ADD "G x" bigint GENERATED ALWAYS AS (id + 1) STORED')
    with pytest.raises(UnsupportedChangeError, match="generated"):
        op.add_column_online("profiles", "loud", "text", value="t.shout", on_insert=expression, schema="Åpp")
    op.add_column_online("profiles", "loud", "text", value="t.shout", on_insert="upper(NEW.name)", schema="Åpp")
    sql("""INSERT INTO "Åpp".profiles (tenant_id, name) VALUES ('x', 'third')""")
    assert sql('SELECT loud = shout FROM "Åpp".profiles') == [(True,)] * 3


# -- (iv) ordinary triggers do not fire for a replica ---------------------------------------------------------------------


def as_replica(sql, *statements):
    sql("SET session_replication_role = replica")
    for statement in statements:
        sql(statement)
    sql("RESET session_replication_role")


def test_an_ordinary_trigger_does_not_fire_for_a_replica_and_one_that_always_does_fires(sql):
    sql(SCHEMA)
    sql("""ALTER TABLE "Åpp".profiles ADD ordinary int, ADD always int;
           CREATE FUNCTION o() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.ordinary := 1; RETURN NEW; END';
           CREATE FUNCTION a() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.always := 1; RETURN NEW; END';
           CREATE TRIGGER o BEFORE UPDATE ON "Åpp".profiles FOR EACH ROW EXECUTE FUNCTION o();
           CREATE TRIGGER a BEFORE UPDATE ON "Åpp".profiles FOR EACH ROW EXECUTE FUNCTION a();
           ALTER TABLE "Åpp".profiles ENABLE ALWAYS TRIGGER a""")
    as_replica(sql, """UPDATE "Åpp".profiles SET name = 'x' WHERE id = 1""")
    assert sql('SELECT ordinary, always FROM "Åpp".profiles WHERE id = 1') == [(None, 1)]


@pytest.mark.parametrize("step", ["expand", "swap"])
def test_what_a_replica_writes_is_followed(op, sql, step):
    sql(SCHEMA)
    run_until(step, lambda: convert(op))
    as_replica(
        sql,
        f"""UPDATE "Åpp".profiles SET tenant_id = '{OTHER}' WHERE id = 1""",
        f"""INSERT INTO "Åpp".profiles (tenant_id) VALUES ('{OTHER}')""",
    )
    rows = columns(sql)
    assert (rows[0], rows[2]) == ((OTHER, OTHER), (OTHER, OTHER))
    convert(op)
    op.revert_column_online("profiles", "tenant_id", schema="Åpp")
    assert sql('SELECT tenant_id FROM "Åpp".profiles ORDER BY id') == [(OTHER,), ("dirt",), (OTHER,)]


@pytest.mark.parametrize("replica", [False, True], ids=["origin", "replica"])
def test_a_value_that_went_away_and_came_back_after_the_contract_is_the_application_s(op, sql, replica):
    sql(SCHEMA)
    convert(op)
    op.contract_column_online("profiles", "tenant_id", schema="Åpp")
    away = f"""UPDATE "Åpp".profiles SET tenant_id = '{OTHER}' WHERE id = 2"""
    if replica:
        as_replica(sql, away, away.replace(OTHER, NIL))
    else:
        sql(away)
        sql(away.replace(OTHER, NIL))
    op.restore_column_online("profiles", "tenant_id", schema="Åpp")
    op.revert_column_online("profiles", "tenant_id", schema="Åpp")
    assert sql('SELECT tenant_id FROM "Åpp".profiles WHERE id = 2') == [(NIL,)]
    assert sql("SELECT resolution FROM _truing.quarantine") == [
        ("not given back: the row has been changed, removed or replaced meanwhile",)
    ]


@pytest.mark.parametrize("step", ["add", "backfill"])
def test_a_column_that_is_being_added_is_filled_for_a_replica(op, sql, step):
    sql(SCHEMA)
    run_until(
        step,
        lambda: op.add_column_online("profiles", "n", "int", value="1", on_insert="length(NEW.name)", schema="Åpp"),
    )
    as_replica(sql, """INSERT INTO "Åpp".profiles (tenant_id, name) VALUES ('x', 'four')""")
    assert sql('SELECT n FROM "Åpp".profiles WHERE id = 3') == [(4,)]


# -- functions keep the plans of expressions with the type that a column had ----------------------------------------------

PLANS = """
CREATE FUNCTION "Åpp".note() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN IF NEW.tenant_id IS DISTINCT FROM OLD.tenant_id THEN NEW.name := 'moved'; END IF; RETURN NEW; END $$;
CREATE TRIGGER note BEFORE UPDATE ON "Åpp".profiles FOR EACH ROW EXECUTE FUNCTION "Åpp".note();
CREATE FUNCTION "Åpp".tenant_of(number bigint) RETURNS text LANGUAGE plpgsql AS $$
  DECLARE r record; p "Åpp".profiles;
  BEGIN
    SELECT * INTO r FROM "Åpp".profiles WHERE id = number;
    SELECT * INTO p FROM "Åpp".profiles WHERE id = number;
    IF r.tenant_id IS NULL OR p.tenant_id IS NULL THEN RETURN NULL; END IF;
    RETURN r.tenant_id;
  END $$;
"""
USE = ("""UPDATE "Åpp".profiles SET name = 'x' WHERE id = 1""", 'SELECT "Åpp".tenant_of(1)')


def test_a_function_that_has_run_before_a_swap_fails_for_as_long_as_the_session_lasts(sql, connect):
    sql(SCHEMA + PLANS)
    application = connect(prepare_threshold=None)
    for statement in USE:
        application.execute(statement)
    sql("""BEGIN; ALTER TABLE "Åpp".profiles ADD new_id uuid; ALTER TABLE "Åpp".profiles RENAME tenant_id TO old_id;
           ALTER TABLE "Åpp".profiles RENAME new_id TO tenant_id; COMMIT""")
    for statement in USE * 3:
        with pytest.raises(psycopg.errors.DatatypeMismatch, match="when preparing the plan"):
            application.execute(statement)


def test_functions_of_open_sessions_live_through_truing_s_swaps(op, sql, connect):
    sql(SCHEMA + PLANS)
    application = connect(prepare_threshold=None)

    def use(*_):
        for statement in USE * 7:
            application.execute(statement)

    use()
    for step, operation in [
        ("analyze", lambda: convert(op)),
        (None, lambda: convert(op)),
        (None, lambda: op.contract_column_online("profiles", "tenant_id", schema="Åpp")),
        (None, lambda: op.restore_column_online("profiles", "tenant_id", schema="Åpp")),
        (None, lambda: op.revert_column_online("profiles", "tenant_id", schema="Åpp")),
        (None, lambda: op.convert_column_online("profiles", "name", "varchar", schema="Åpp")),
        (None, lambda: op.revert_column_online("profiles", "name", schema="Åpp")),
    ]:
        run_until(step, operation) if step else operation()
        use()


def test_a_type_that_is_changed_in_the_catalog_alone_spares_functions_too(op, sql, connect):
    sql("""CREATE TABLE t (id int PRIMARY KEY, a varchar(5)); INSERT INTO t VALUES (1, 'x');
           CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS
           'BEGIN IF NEW.a IS NULL THEN RAISE ''no''; END IF; RETURN NEW; END';
           CREATE TRIGGER f BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION f()""")
    sql("CREATE INDEX ON t (id)")
    op.create_index_online("ix", "t", ["id"])  # the journal is there, so that nothing else resets the plans
    application = connect(prepare_threshold=None)
    for operation in (
        lambda: op.convert_column_online("t", "a", "text"),
        lambda: op.revert_column_online("t", "a"),
    ):
        application.execute("UPDATE t SET a = 'y'")
        operation()
        application.execute("UPDATE t SET a = 'z'")
