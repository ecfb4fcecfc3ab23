"""What we say about SQL against what the server says: command tags and type names."""

from __future__ import annotations

import pytest

from truing.sql.lower import lower
from truing.sql.parse import parse
from truing.sql.tags import tag

SETUP = """
CREATE SCHEMA app; CREATE SCHEMA "O'dd"; CREATE TABLE app.p (id int PRIMARY KEY); CREATE TABLE app.t (a int, b text); CREATE VIEW app.v AS SELECT 1 AS x;
CREATE DOMAIN app.d AS int; CREATE TYPE "O'dd"."M y" AS ENUM ('a'); CREATE SEQUENCE app.s; CREATE MATERIALIZED VIEW app.m AS SELECT 1 AS x;
CREATE FUNCTION app.f() RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE POLICY pol ON app.t; CREATE ROLE {role}
"""

# In an order that works; every one is compared with the tag the server answers.
STATEMENTS = [
    "CREATE TABLE app.n (a int)",
    "CREATE TABLE app.n2 AS SELECT 1 AS a",
    "SELECT 1 AS a INTO app.n3",
    "CREATE INDEX ni ON app.n (a)",
    "ALTER TABLE app.n ADD b int",
    "ALTER TABLE app.n RENAME b TO c",
    "ALTER TABLE app.n ADD CONSTRAINT k CHECK (a > 0)",
    "ALTER TABLE app.n RENAME CONSTRAINT k TO l",
    "ALTER INDEX app.ni RENAME TO nj",
    "ALTER VIEW app.v RENAME x TO y",
    "ALTER VIEW app.v RENAME TO w",
    "ALTER MATERIALIZED VIEW app.m RENAME TO m2",
    "ALTER SEQUENCE app.s INCREMENT 2",
    "ALTER SEQUENCE app.s RENAME TO s2",
    'ALTER TABLE app.n SET SCHEMA "O\'dd"',
    "ALTER TABLE app.t OWNER TO CURRENT_USER",
    "ALTER FUNCTION app.f() STABLE",
    "ALTER FUNCTION app.f() RENAME TO g",
    'ALTER TYPE "O\'dd"."M y" ADD VALUE \'b\'',
    "ALTER TYPE \"O'dd\".\"M y\" RENAME VALUE 'b' TO 'c'",
    "ALTER DOMAIN app.d SET NOT NULL",
    "ALTER POLICY pol ON app.t USING (true)",
    "CREATE POLICY q ON app.t USING (a = 1)",
    "CREATE FUNCTION app.h() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN new; END$$",
    "CREATE PROCEDURE app.pr() LANGUAGE sql AS 'SELECT 1'",
    "CREATE TRIGGER tr BEFORE INSERT ON app.t FOR EACH ROW EXECUTE FUNCTION app.h()",
    "CREATE VIEW app.v2 AS SELECT 1 AS a",
    "CREATE MATERIALIZED VIEW app.m3 AS SELECT 1 AS a",
    "REFRESH MATERIALIZED VIEW app.m3",
    "CREATE TYPE app.e AS ENUM ('a')",
    "CREATE TYPE app.c AS (a int)",
    "ALTER TYPE app.c ADD ATTRIBUTE b int",
    "CREATE TYPE app.r AS RANGE (subtype = int)",
    "CREATE DOMAIN app.d2 AS int",
    "CREATE SEQUENCE app.s3",
    "CREATE STATISTICS app.st ON a, b FROM app.t",
    "CREATE RULE ru AS ON DELETE TO app.t DO INSTEAD NOTHING",
    "CREATE SCHEMA app2",
    "CREATE COLLATION app.co (locale = 'C')",
    "CREATE AGGREGATE app.ag (int) (sfunc = int4pl, stype = int)",
    "COMMENT ON TABLE app.t IS 'x'",
    "GRANT SELECT ON app.t TO PUBLIC",
    "REVOKE SELECT ON app.t FROM PUBLIC",
    "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC",
    "INSERT INTO app.t VALUES (1, 'x')",
    "UPDATE app.t SET a = 2",
    "DELETE FROM app.t",
    "SELECT 1",
    "TRUNCATE app.t",
    "ANALYZE app.t",
    "VACUUM app.t",
    "REINDEX TABLE app.t",
    "SET lock_timeout = '1s'",
    "RESET lock_timeout",
    "SHOW lock_timeout",
    "DO $$BEGIN END$$",
    "CALL app.pr()",
    "BEGIN",
    "LOCK TABLE app.t",
    "SAVEPOINT x",
    "ROLLBACK TO x",
    "RELEASE x",
    "SET CONSTRAINTS ALL DEFERRED",
    "COMMIT",
    "START TRANSACTION",
    "ROLLBACK",
    "DROP TRIGGER tr ON app.t",
    "DROP POLICY q ON app.t",
    "DROP RULE ru ON app.t",
    "DROP FUNCTION app.h()",
    "DROP PROCEDURE app.pr",
    "DROP MATERIALIZED VIEW app.m3",
    "DROP VIEW app.v2",
    "DROP TYPE app.e",
    "DROP DOMAIN app.d2",
    "DROP SEQUENCE app.s3",
    "DROP STATISTICS app.st",
    "DROP AGGREGATE app.ag (int)",
    "DROP TABLE app.t",
    "DROP SCHEMA app2",
]


def prepare(database):
    for statement in parse(SETUP.format(role=f"truing_{database.name[-12:]}".lower())):
        if not statement.text.startswith("CREATE ROLE"):
            database.execute(statement.text)


def test_the_command_tag_is_the_servers(database) -> None:
    prepare(database)
    connection = database.connect()
    ours, theirs = [], []
    for text in STATEMENTS:
        (statement,) = parse(text)
        ours.append((text, tag(statement.node)))
        answer = connection.execute(text).statusmessage.rstrip("0123456789 ")
        theirs.append((text, answer))
    # A query's own tag says how its result is stored; that it makes a table is what matters to us.
    same = {"SELECT": {"CREATE TABLE AS", "SELECT INTO", "CREATE MATERIALIZED VIEW"}}
    wrong = [(t, o, s) for (t, o), (_, s) in zip(ours, theirs, strict=True) if o != s and o not in same.get(s, ())]
    assert wrong == []


TYPES = [
    "int", "int2", "bigint", "serial", "bigserial", "bool", "real", "float", "float(3)", "numeric", "numeric(10,2)", "numeric(5)", "decimal(4,1)",
    "varchar", "varchar(50)", "char", "char(3)", "bpchar", '"char"', "text", "name", "uuid", "json", "jsonb", "bytea", "inet",
    "bit", "bit(3)", "bit varying", "varbit(4)", "time", "time(3)", "timetz", "time(2) with time zone", "timestamp", "timestamp(0)",
    "timestamptz", "timestamp(3) with time zone", "date", "interval", "interval(3)", "interval year to month", "interval day to second(2)",
    "int[]", "text[3]", "varchar(5)[][]", "timestamptz(0)[]", "app.d", "\"O'dd\".\"M y\"", "\"O'dd\".\"M y\"[]", "int4range", "tsvector", "xml", "pg_catalog.int8",
]  # fmt: skip


@pytest.mark.parametrize("written", TYPES)
def test_types_are_spelled_as_the_server_does(database, written: str) -> None:
    if written == "xml" and not database.execute("SELECT 1 FROM pg_type WHERE typname = 'xml'"):
        pytest.skip("built without libxml")
    prepare(database)
    text = f"ALTER TABLE app.t ADD new {written}"
    database.execute(text)
    ((theirs,),) = database.execute(
        "SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'app.t'::regclass AND attname = 'new'"
    )
    (added,) = (one for statement in parse(text) for one in lower(statement))
    assert added.type == theirs


def test_a_serial_columns_default_and_not_null_are_what_the_server_makes(database) -> None:
    prepare(database)
    text = "ALTER TABLE app.t ADD n serial"
    database.execute(text)
    ((default, notnull),) = database.execute(
        "SELECT pg_get_expr(adbin, adrelid), attnotnull FROM pg_attribute JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum"
        " WHERE attrelid = 'app.t'::regclass AND attname = 'n'"
    )
    (added,) = lower(parse(text)[0])
    assert (added.default, not added.nullable) == (default, notnull)
