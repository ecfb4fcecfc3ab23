"""What cannot be carried is refused by name, all of it at once, before anything is changed."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from tests.fix_server import Database
from tests.postgres.carrying import plan, state
from tests.postgres.test_carry_round_trip import TABLE, C, db, sql
from truing.errors import CatalogError, UnsupportedChangeError
from truing.names import QualifiedName, ident
from truing.online.carry import Refusal

__all__ = ["db"]


def refusals(connection: psycopg.Connection[Any], table: QualifiedName = TABLE, column: str = C) -> list[Refusal]:
    before = state(connection)
    with pytest.raises(UnsupportedChangeError) as error:
        plan(connection, table, column, "uuid")
    assert state(connection) == before
    found = list(error.value.fields["refusals"])
    assert all(str(refusal) in str(error.value) for refusal in found)
    assert all(refusal.why and refusal.advice for refusal in found)
    return found


# What stands in the way -> how its name begins, in the order of the message.
OBJECTS = {
    "materialized view": (
        'CREATE MATERIALIZED VIEW {s}."m \'1" AS SELECT {c} FROM {t}',
        ['materialized view {s}."m \'1"'],
    ),
    "matview on a view": (
        "CREATE VIEW {s}.v AS SELECT {c} FROM {t}; CREATE MATERIALIZED VIEW {s}.m AS SELECT 1 AS one FROM {s}.v",
        ["materialized view {s}.m"],
    ),
    "rule": (
        'CREATE RULE "r r" AS ON UPDATE TO {u} DO ALSO DELETE FROM {t} WHERE {c} = NEW.name',
        ['rule "r r" on {u}'],
    ),
    "rule on a view": (
        "CREATE VIEW {s}.v AS SELECT {c} FROM {t}; CREATE RULE r AS ON DELETE TO {s}.v DO INSTEAD NOTHING",
        ["rule r on view {s}.v"],
    ),
    "trigger on a view": (
        (
            "CREATE FUNCTION {s}.f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; CREATE VIEW {s}.v AS"
            ' SELECT {c} FROM {t}; CREATE TRIGGER "t t" INSTEAD OF INSERT ON {s}.v FOR EACH ROW EXECUTE FUNCTION {s}.f()'
        ),
        ['trigger "t t" on view {s}.v'],
    ),
    "generated column": (
        'ALTER TABLE {t} ADD "g g" text GENERATED ALWAYS AS (upper({c})) STORED',
        ['generated column {t}."g g"'],
    ),
    "publication columns": (
        'CREATE PUBLICATION "p p" FOR TABLE {t} (id, {c})',
        ['publication "p p" on {t}'],
    ),
    "publication filter": (
        "ALTER TABLE {t} REPLICA IDENTITY FULL; CREATE PUBLICATION p FOR TABLE {t} WHERE ({c} <> '')",
        ["publication p on {t}"],
    ),
    "atomic function": (
        'CREATE FUNCTION {s}."f f"(a int) RETURNS bigint BEGIN ATOMIC SELECT count(*) FROM {t} WHERE {c} = $1::text; END',
        ['function {s}."f f"(a integer)'],
    ),
    "function of a view's rows": (
        "CREATE VIEW {s}.v AS SELECT {c} FROM {t}; CREATE FUNCTION {s}.f({s}.v) RETURNS int LANGUAGE sql AS 'SELECT 1'",
        ["function {s}.f({s}.v)"],
    ),
    "rows of the table from a function": (
        (
            "CREATE FUNCTION {s}.f() RETURNS SETOF {t} LANGUAGE sql STABLE AS $$ SELECT * FROM {t} $$;"
            "CREATE VIEW {s}.v AS SELECT {c} FROM {s}.f()"
        ),
        ["view {s}.v"],
    ),
    "columns by position": ("CREATE VIEW {s}.v AS SELECT x.b FROM {t} AS x (a, b)", ["view {s}.v"]),
    "columns of a join by position": (
        "CREATE VIEW {s}.v AS SELECT j.b FROM ({t} x JOIN {u} y ON x.id = y.id) AS j (a, b)",
        ["view {s}.v"],
    ),
    "primary key": ("ALTER TABLE {t} DROP CONSTRAINT {p}, ADD PRIMARY KEY (id, {c})", ["primary key {p} on {t}"]),
    "inbound key": (
        (
            'ALTER TABLE {t} ADD CONSTRAINT u UNIQUE ({c}, id); ALTER TABLE {u} ADD CONSTRAINT "f\'k" FOREIGN KEY ({c}, id)'
            " REFERENCES {t} ({c}, id) NOT VALID"
        ),
        ['foreign key "f\'k" on {u}'],
    ),
    "outbound key": (
        (
            "CREATE TABLE {s}.p (k text PRIMARY KEY); ALTER TABLE {t} ADD CONSTRAINT fk FOREIGN KEY ({c}) REFERENCES {s}.p"
            " NOT VALID"
        ),
        ["foreign key fk on {t}"],
    ),
    "exclude": (
        "ALTER TABLE {t} ADD CONSTRAINT x EXCLUDE USING hash ({c} WITH =) WHERE (id < 2)",
        ["EXCLUDE constraint x on {t}"],
    ),
    "replica identity": (
        (
            "ALTER TABLE {t} ALTER {c} SET NOT NULL; CREATE UNIQUE INDEX i ON {t} ({c}, id);"
            "ALTER TABLE {t} REPLICA IDENTITY USING INDEX i"
        ),
        ["index {s}.i"],
    ),
    "row type of a view": (
        "CREATE VIEW {s}.v AS SELECT {c} FROM {t}; CREATE TABLE {s}.holder (held {s}.v)",
        ["row type held on {s}.holder"],
    ),
    "child": ("CREATE TABLE {s}.child () INHERITS ({t})", ["child table {s}.child"]),
}


@pytest.mark.pg(">=15")
@pytest.mark.parametrize("name", OBJECTS)
def test_refused_by_name(db: Database, name: str) -> None:
    statement, subjects = OBJECTS[name]
    names = {"p": ident(TABLE.name + "_pkey")}
    db.execute(sql(statement, **names))
    connection = db.connect()
    assert [refusal.subject for refusal in refusals(connection)] == [sql(subject, **names) for subject in subjects]


def test_all_reasons_at_once(db: Database) -> None:
    for name in ("materialized view", "rule", "generated column", "exclude", "atomic function"):
        db.execute(sql(OBJECTS[name][0]))
    assert len(refusals(db.connect())) == 5


def test_partitioned_identity_and_missing(database: Database) -> None:
    database.execute(
        "CREATE SCHEMA a; CREATE TABLE a.p (id bigint, c text) PARTITION BY LIST (c); CREATE TABLE a.q PARTITION OF a.p DEFAULT;"
        "CREATE TABLE a.i (id bigint PRIMARY KEY, c integer GENERATED BY DEFAULT AS IDENTITY)"
    )
    connection = database.connect()
    subjects = {refusal.subject for refusal in refusals(connection, QualifiedName("a", "p"), "c")}
    assert {"table a.p", "partition key a.p", "child table a.q"} <= subjects
    assert any(r.subject == "parent table a.p" for r in refusals(connection, QualifiedName("a", "q"), "c"))
    assert [r.why for r in refusals(connection, QualifiedName("a", "i"), "c")] == ["the column is an IDENTITY column"]
    with pytest.raises(CatalogError):
        plan(connection, QualifiedName("a", "i"), "none", "uuid")


def test_an_invalid_index(db: Database) -> None:
    connection = db.connect()
    with pytest.raises(psycopg.errors.UniqueViolation):
        connection.execute(sql("CREATE UNIQUE INDEX CONCURRENTLY broken ON {t} ({c})"))
    (refusal,) = refusals(connection)
    assert refusal.subject == sql("index {s}.broken")
    assert "invalid" in refusal.why


def test_what_belongs_to_others(db: Database) -> None:
    """A role that owns the table and nothing else: every foreign object is named with its owner."""
    me, other = db.role("LOGIN"), db.role("LOGIN")
    db.execute(
        sql(
            """
        GRANT ALL ON SCHEMA {s} TO {other}; GRANT USAGE ON SCHEMA {s} TO {me};
        ALTER TABLE {t} OWNER TO {me};
        CREATE VIEW {s}.theirs AS SELECT {c} FROM {t};
        ALTER VIEW {s}.theirs OWNER TO {other};
        CREATE POLICY p ON {u} USING (name IN (SELECT {c} FROM {t}));
        CREATE STATISTICS {s}.st ON {c}, n FROM {t};
        """,
            me=ident(me),
            other=ident(other),
        )
    )
    with psycopg.connect(db.url_as(me), autocommit=True) as connection:
        found = {(refusal.subject, "belongs to" in refusal.why) for refusal in refusals(connection)}
        assert found == {
            (sql("view {s}.theirs"), True),
            (sql("view {s}.theirs"), False),  # and the role may not create views in the schema
            (sql("policy p on {u}"), True),
            (sql("statistics {s}.st"), True),
        }
        db.execute(
            sql(
                "GRANT CREATE ON SCHEMA {s} TO {me}; GRANT {other} TO {me}; DROP POLICY p ON {u}; DROP STATISTICS {s}.st",
                me=ident(me),
                other=ident(other),
            )
        )
        assert plan(connection, TABLE, C, "uuid").swap
        db.execute(f"REVOKE TEMPORARY ON DATABASE {ident(db.name)} FROM PUBLIC")
        (refusal,) = refusals(connection)
        assert "temporary tables" in refusal.why
    with psycopg.connect(db.url_as(other), autocommit=True) as connection:
        assert sql("table {t}") in {refusal.subject for refusal in refusals(connection)}


def test_postgresql_is_the_judge(db: Database) -> None:
    """What only PostgreSQL can know is tried: here a default and a cast that the new type does not have."""
    db.execute(
        sql(
            """
        ALTER TABLE {t} ALTER {c} SET DEFAULT 'no uuid';
        CREATE TYPE {s}.pair AS (a int, b int);
        """
        )
    )
    connection = db.connect()
    (refusal,) = refusals(connection)
    assert refusal.subject.startswith("default")
    assert "invalid input syntax for type uuid" in refusal.why
    assert plan(connection, TABLE, C, "uuid", convert_default=lambda _: None).swap


def test_functions_kept_as_text_are_mentioned(db: Database) -> None:
    db.execute(
        sql(
            "CREATE FUNCTION {s}.old_text() RETURNS bigint LANGUAGE sql AS $$ SELECT count(*) FROM {t} WHERE {c} = '' $$"
        )
    )
    notes = plan(db.connect(), TABLE, C, "uuid").notes
    assert [note for note in notes if note.startswith(sql("function {s}.old_text()"))]
