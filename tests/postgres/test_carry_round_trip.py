"""Every kind of dependent is carried through the swap, means the same, and comes back byte for byte."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import psycopg
import pytest

from tests.fix_server import Database
from tests.postgres.carrying import OLD, contract, expand, plan, restore, state, swap, unswap
from truing.names import QualifiedName, ident
from truing.online.carry import Carry

S, T, U, C = "we\"ird 's", "T \"ab'le", "oth er", "Te nant'\"ü"
TABLE = QualifiedName(S, T)
A, B = "aaaaaaaa-0000-0000-0000-000000000001", "bbbbbbbb-0000-0000-0000-000000000002"


def sql(text: str, **names: str) -> str:
    """Fill in the hostile names: {s} schema, {t} table, {u} another table, {c} column."""
    known = {"s": ident(S), "t": f"{ident(S)}.{ident(T)}", "u": f"{ident(S)}.{ident(U)}", "c": ident(C)}
    return text.format(**known, **names)


@pytest.fixture
def db(database: Database) -> Database:
    database.execute(
        sql(
            """
        CREATE SCHEMA {s};
        CREATE TABLE {t} (id bigint PRIMARY KEY, {c} text, n integer, note text);
        CREATE TABLE {u} (id bigint PRIMARY KEY, t_id bigint, name text, {c} text);
        """
        )
        + sql(
            f"INSERT INTO {{t}} SELECT g, CASE g % 2 WHEN 0 THEN '{A}' ELSE '{B}' END, g, 'n' || g FROM generate_series(1, 20) g;"
        )
        + sql(f"INSERT INTO {{u}} VALUES (1, 1, 'one', '{B}'), (2, 2, 'two', '{A}')")
    )
    return database


def round_trip(
    db: Database,
    check: Callable[[], object] | None = None,
    connection: psycopg.Connection[Any] | None = None,
    **options: Any,
) -> Carry:
    """Carry and un-carry, also after the old column was dropped; `check` must give the same before and after the swap."""
    connection = connection or db.connect()
    before, meaning = state(connection), check() if check else None
    carry = plan(connection, TABLE, C, "uuid", **options)
    assert msgspec.json.decode(msgspec.json.encode(carry), type=Carry) == carry, "the journal keeps it as JSON"
    assert state(connection) == before, "a survey changes nothing"
    expand(connection, carry)
    swap(connection, carry)
    swapped = state(connection)
    assert not any("__truing" in text for key, text in swapped.items() if key[2] != OLD and "__truing" not in key[2])
    if check:
        assert check() == meaning
    unswap(connection, carry)
    assert state(connection) == before
    expand(connection, carry)
    swap(connection, carry)
    assert state(connection) == swapped
    contract(connection, carry)
    assert not any("__truing" in part for key in state(connection) for part in key)
    restore(connection, carry)
    unswap(connection, carry)
    assert state(connection) == before
    return carry


def test_indexes(db: Database) -> None:
    db.execute(
        sql(
            """
        CREATE INDEX plain ON {t} ({c});
        CREATE INDEX "h'o""st" ON {t} USING btree (n DESC NULLS LAST, {c}) INCLUDE (note, {c}) WITH (fillfactor = 70)
          WHERE {c} <> 'x' AND n > 1;
        CREATE INDEX expr ON {t} (lower({c}), (n + 1), ({c} || note));
        CREATE INDEX pattern ON {t} ({c} text_pattern_ops, n);
        CREATE INDEX coll ON {t} ({c} COLLATE "C");
        CREATE INDEX hashed ON {t} USING hash ({c});
        CREATE UNIQUE INDEX uniq ON {t} (id, {c}) WHERE {c} IS NOT NULL;
        CREATE INDEX other ON {t} (note);
        ALTER INDEX {s}.expr ALTER COLUMN 1 SET STATISTICS 33;
        COMMENT ON INDEX {s}.expr IS 'it''s \\ ';
        CLUSTER {t} USING plain;
        """
        )
    )
    carry = round_trip(db)
    assert len([step for step in carry.before if "CONCURRENTLY" in str(step.action)]) == 7
    texts = {carried.name.split(".")[-1]: carried.definition for carried in carry.carried}
    assert f"({ident(C)}::text text_pattern_ops" not in texts["plain"]
    assert f"({ident(C)}::text) text_pattern_ops" in texts["pattern"]


def test_constraints(db: Database) -> None:
    db.execute(
        sql(
            """
        ALTER TABLE {t} ADD CONSTRAINT u1 UNIQUE (id, {c}), ADD CONSTRAINT u2 UNIQUE ({c}, id) INCLUDE (note)
          DEFERRABLE INITIALLY DEFERRED;
        ALTER TABLE {t} ADD CONSTRAINT "c h'eck" CHECK ({c} <> '' AND length({c}) > 3 OR n IS NULL);
        ALTER TABLE {t} ADD CONSTRAINT c2 CHECK ({c} ~ '^[0-9a-f-]+$') NO INHERIT NOT VALID;
        COMMENT ON CONSTRAINT u1 ON {t} IS 'unique';
        COMMENT ON CONSTRAINT "c h'eck" ON {t} IS 'check';
        COMMENT ON INDEX {s}.u1 IS 'index';
        """
        )
    )

    def refused() -> list[str]:
        found = []
        for statement in (f"INSERT INTO {{t}} VALUES (1, '{B}', 5)", "INSERT INTO {t} VALUES (2, '', 5)"):
            with pytest.raises(psycopg.errors.Error) as error:
                db.execute(sql(statement))
            found.append(error.value.diag.constraint_name or "")
        return found

    assert refused() != ["", ""]
    round_trip(db)


def test_a_check_that_the_new_values_break_is_never_enforced(db: Database) -> None:
    """Upper-case text is a CHECK that no uuid satisfies: found by looking, before it can fail the application's writes."""
    db.execute(sql("UPDATE {t} SET {c} = upper({c}); ALTER TABLE {t} ADD CONSTRAINT up CHECK ({c} = upper({c}))"))
    connection = db.connect()
    carry = plan(connection, TABLE, C, "uuid")
    with pytest.raises(AssertionError, match="break CHECK up"):
        expand(connection, carry)
    assert connection.execute(
        "SELECT conname FROM pg_constraint WHERE contype = 'c' AND conrelid <> 0 AND connamespace = %s::regnamespace",
        (ident(S),),
    ).fetchall() == [("up",)]


def test_column_properties(db: Database) -> None:
    a, b = db.role("NOLOGIN"), db.role("NOLOGIN")
    db.execute(
        sql(
            """
        GRANT USAGE ON SCHEMA {s} TO {a};
        GRANT SELECT ({c}), UPDATE ({c}) ON {t} TO {a} WITH GRANT OPTION;
        GRANT SELECT ({c}) ON {t} TO PUBLIC;
        SET ROLE {a}; GRANT UPDATE ({c}) ON {t} TO {b}; RESET ROLE;
        COMMENT ON COLUMN {t}.{c} IS 'who''s \\ it';
        ALTER TABLE {t} ALTER {c} SET STATISTICS 42, ALTER {c} SET (n_distinct = -0.5, n_distinct_inherited = 7),
          ALTER {c} SET DEFAULT 'none';
        """,
            a=ident(a),
            b=ident(b),
        )
    )
    before = state(db.connect())["table column", ident(S) + "." + ident(T), C]
    seen = []

    def convert(text: str | None) -> str | None:
        seen.append(text)
        return B if text == "none" else None

    carry = round_trip(db, convert_default=convert)
    assert seen == ["none"]
    connection = db.connect()
    expand(connection, carry)
    swap(connection, carry)
    after = state(connection)["table column", ident(S) + "." + ident(T), C]
    assert after == before.replace("text", "uuid", 1).replace("'none'::text", f"'{B}'::uuid")


def test_default_that_is_no_constant(db: Database) -> None:
    db.execute(sql("ALTER TABLE {t} ALTER {c} SET DEFAULT gen_random_uuid()::text"))
    carry = round_trip(db, convert_default=lambda _: pytest.fail("no constant"))
    assert "SET DEFAULT (gen_random_uuid()::text)::uuid" in " ".join(carry.swap).replace(
        "((gen_random_uuid())", "(gen_random_uuid()"
    )


def test_statistics(db: Database) -> None:
    owner = db.role("NOLOGIN")
    db.execute(
        sql(
            """
        CREATE STATISTICS {s}."st ""1" (ndistinct, mcv) ON id, {c}, lower({c}) FROM {t};
        CREATE STATISTICS {s}.st2 ON (({c} || 'x')) FROM {t};
        ALTER STATISTICS {s}.st2 SET STATISTICS 17;
        COMMENT ON STATISTICS {s}.st2 IS 'co''mment';
        GRANT CREATE ON SCHEMA {s} TO {owner};
        ALTER STATISTICS {s}.st2 OWNER TO {owner};
        """,
            owner=ident(owner),
        )
    )
    round_trip(db)


def test_triggers(db: Database) -> None:
    db.execute(
        sql(
            """
        CREATE TABLE {s}.log (what text);
        CREATE FUNCTION {s}.f() RETURNS trigger LANGUAGE plpgsql AS $$
          BEGIN INSERT INTO "we""ird 's".log VALUES (TG_NAME || TG_ARGV[0]); RETURN NEW; END $$;
        CREATE TRIGGER "t r'1" BEFORE UPDATE OF {c}, n ON {t} FOR EACH ROW
          WHEN (OLD.{c} IS DISTINCT FROM NEW.{c} AND NEW.{c} <> 'x') EXECUTE FUNCTION {s}.f('a''b\\');
        CREATE TRIGGER t2 AFTER UPDATE OF {c} ON {t} FOR EACH STATEMENT EXECUTE FUNCTION {s}.f('2');
        CREATE CONSTRAINT TRIGGER t3 AFTER INSERT OR UPDATE OF {c} ON {t} DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
          WHEN (NEW.{c} LIKE 'a%') EXECUTE FUNCTION {s}.f('3');
        CREATE TRIGGER t4 BEFORE INSERT ON {t} FOR EACH ROW EXECUTE FUNCTION {s}.f('4');
        ALTER TABLE {t} ENABLE ALWAYS TRIGGER "t r'1", DISABLE TRIGGER t2, ENABLE REPLICA TRIGGER t4;
        COMMENT ON TRIGGER t2 ON {t} IS 'second';
        """
        )
    )

    def fired() -> list[tuple[Any, ...]]:
        connection = db.connect()
        connection.execute(sql("TRUNCATE {s}.log"))
        with connection.transaction(force_rollback=True):
            connection.execute(sql(f"UPDATE {{t}} SET {{c}} = '{A}' WHERE id <= 4"))
            connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
            return connection.execute(sql("SELECT what, count(*) FROM {s}.log GROUP BY 1 ORDER BY 1")).fetchall()

    assert fired()
    round_trip(db, fired)


def test_sequence_survives_its_old_column(database: Database) -> None:
    connection = database.connect()
    database.execute("CREATE SCHEMA a; CREATE TABLE a.t (id bigint PRIMARY KEY, c serial); INSERT INTO a.t VALUES (1)")
    before = state(connection)
    carry = plan(connection, QualifiedName("a", "t"), "c", "bigint")
    expand(connection, carry)
    swap(connection, carry)
    contract(connection, carry)
    assert database.execute("INSERT INTO a.t VALUES (2) RETURNING c, pg_typeof(c)::text") == [(2, "bigint")]
    assert any("goes on counting as integer" in note for note in carry.notes)
    restore(connection, carry)
    connection.execute("ALTER TABLE a.t ALTER c DROP NOT NULL")
    connection.execute(f"ALTER TABLE a.t ALTER {OLD} SET NOT NULL")
    unswap(connection, carry)
    assert state(connection) == before


def test_a_key_is_not_unique_twice_after_the_swap(db: Database) -> None:
    """PostgreSQL fails concurrent upserts of one key on a unique index that is not the arbiter (0.4 % of them here)."""
    db.execute(sql("ALTER TABLE {t} ADD CONSTRAINT k UNIQUE (id, {c}); CREATE UNIQUE INDEX j ON {t} ({c}, id)"))
    connection = db.connect()
    carry = plan(connection, TABLE, C, "uuid")
    expand(connection, carry)
    swap(connection, carry)
    unique = connection.execute(
        "SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = indexrelid WHERE indisunique AND NOT indisprimary"
        " AND indrelid = %s::regclass ORDER BY 1",
        (TABLE.sql,),
    ).fetchall()
    assert unique == [("j",), ("k",)]
    assert sum("unique twice" in note for note in carry.notes) == 2


def test_an_owner_without_superuser(db: Database) -> None:
    me = db.role("LOGIN")
    db.execute(
        sql(
            """
        ALTER SCHEMA {s} OWNER TO {me}; ALTER TABLE {t} OWNER TO {me}; ALTER TABLE {u} OWNER TO {me};
        SET ROLE {me};
        CREATE INDEX i ON {t} (lower({c})); ALTER TABLE {t} ADD CHECK ({c} <> ''), ENABLE ROW LEVEL SECURITY;
        CREATE VIEW {s}.v AS SELECT {c} FROM {t}; GRANT SELECT ON {s}.v TO PUBLIC;
        CREATE POLICY p ON {u} USING (name IN (SELECT {c} FROM {s}.v)); CREATE STATISTICS {s}.st ON id, {c} FROM {t};
        """,
            me=ident(me),
        )
    )
    with psycopg.connect(db.url_as(me), autocommit=True) as connection:
        round_trip(db, connection=connection)


def test_a_set_role_is_kept(db: Database) -> None:
    """Privileges that another role granted are given back as that role, and the session's own role comes back."""
    me, a, b = db.role("NOLOGIN"), db.role("NOLOGIN"), db.role("NOLOGIN")
    db.execute(
        sql(
            """
        GRANT {a} TO {me}; GRANT USAGE ON SCHEMA {s} TO {a}, {b};
        ALTER SCHEMA {s} OWNER TO {me}; ALTER TABLE {t} OWNER TO {me}; ALTER TABLE {u} OWNER TO {me};
        SET ROLE {me}; CREATE VIEW {s}.v AS SELECT {c} FROM {t};
        GRANT SELECT ON {s}.v TO {a} WITH GRANT OPTION; SET ROLE {a}; GRANT SELECT ON {s}.v TO {b};
        """,
            me=ident(me),
            a=ident(a),
            b=ident(b),
        )
    )
    connection = db.connect()
    connection.execute(f"SET ROLE {ident(me)}")
    round_trip(db, connection=connection)
    assert connection.execute("SELECT current_user").fetchone() == (me,)
