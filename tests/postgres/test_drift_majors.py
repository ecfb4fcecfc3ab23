"""The live database is on another PostgreSQL major than the scratch server: in true is in true, and drift is drift."""

from __future__ import annotations

import json

import psycopg
import pytest

from tests.project import make_project
from truing.cli.app import run
from truing.errors import ServerError
from truing.server import find

OLD, NEW = 15, 18

RICH = """
CREATE SCHEMA "App é";
SET search_path = "App é";
CREATE TYPE mood AS ENUM ('sad', 'it''s ok');
CREATE DOMAIN code AS varchar(20) NOT NULL CONSTRAINT filled CHECK (VALUE <> '') CHECK (VALUE IN ('a', 'b'));
CREATE TYPE pair AS (a integer, "B b" text[]);
CREATE TYPE span AS RANGE (subtype = timestamptz);
CREATE FUNCTION f(i integer) RETURNS bigint LANGUAGE sql IMMUTABLE RETURN i + 1;
CREATE TABLE t (
    id serial PRIMARY KEY,
    name varchar(20) CONSTRAINT "named, é" NOT NULL,
    mood mood DEFAULT 'sad',
    code code,
    span span,
    made timestamptz DEFAULT now() + interval '1 day',
    low text GENERATED ALWAYS AS (lower(name)) STORED,
    doc jsonb DEFAULT '{}',
    pair pair,
    CHECK (name IN ('x', 'y')), CHECK (extract(year FROM made) > 2000), CHECK (substring(name FROM 1 FOR 2) <> ''),
    CHECK (name BETWEEN 'a' AND 'z'), CHECK (made AT TIME ZONE 'UTC' > '2000-01-01'), CHECK (name SIMILAR TO 'a%')
);
CREATE TABLE m (t_id integer REFERENCES t ON DELETE CASCADE, who text, PRIMARY KEY (t_id, who));
ALTER TABLE m ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON m USING (t_id IN (SELECT id FROM t WHERE name = 'x'))
    WITH CHECK (EXISTS (SELECT FROM t AS x WHERE x.id = t_id AND current_setting('a.b', true) = who));
CREATE INDEX expressions ON t (lower(name), (doc ->> 'a')) WHERE name IN ('a', 'b');
CREATE STATISTICS st ON name, (lower(name)) FROM t;
CREATE VIEW one AS SELECT id, name, mood FROM t WHERE name IN ('a', 'b');
CREATE VIEW two AS SELECT v.*, (SELECT count(*) FROM m WHERE m.t_id = v.id) AS n, f(v.id) FROM one AS v JOIN m ON t_id = id;
CREATE VIEW a_three AS WITH x AS (SELECT id FROM two) SELECT * FROM x UNION ALL SELECT t_id FROM m;
CREATE VIEW keyed AS SELECT t.id, t.name, (t.pair).a, count(m.who) FROM t LEFT JOIN m ON m.t_id = t.id GROUP BY t.id;
CREATE VIEW windowed WITH (security_barrier) AS SELECT id, row_number() OVER (PARTITION BY mood ORDER BY id) FROM t;
CREATE VIEW changeable AS SELECT id, name FROM t WHERE id > 1 WITH CHECK OPTION;
CREATE MATERIALIZED VIEW kept AS SELECT id, extract(epoch FROM made) AS e, span FROM t WITH NO DATA;
CREATE UNIQUE INDEX ON kept (id);
CREATE FUNCTION g() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE TRIGGER tr BEFORE UPDATE OF name ON t FOR EACH ROW WHEN (OLD.name IS DISTINCT FROM NEW.name) EXECUTE FUNCTION g();
CREATE RULE r AS ON DELETE TO m DO INSTEAD UPDATE t SET name = 'x' WHERE id = OLD.t_id;
CREATE FUNCTION bound(i integer) RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM t WHERE id = i; END;
CREATE AGGREGATE total (integer) (SFUNC = int4pl, STYPE = integer, INITCOND = '0');
CREATE VIEW summed AS SELECT total(id) AS total FROM t;
CREATE TABLE parts (id integer, at date NOT NULL) PARTITION BY RANGE (at);
CREATE TABLE part PARTITION OF parts FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
RESET search_path;
"""
STAMP = (
    "CREATE TABLE alembic_version (version_num varchar(32) CONSTRAINT alembic_version_pkc PRIMARY KEY);"
    "INSERT INTO alembic_version VALUES ('rich')"
)


@pytest.fixture(params=[(OLD, NEW), (NEW, OLD)], ids=["live-15", "live-18"])
def apart(request, servers, tmp_path, monkeypatch, capsys):
    """A live database on one major, a scratch server of another; a function that compares, and one to execute."""
    live_major, scratch_major = request.param
    try:
        live_server, scratch_server = servers.get(find(live_major)), servers.get(find(scratch_major))
    except ServerError:
        pytest.skip(f"needs PostgreSQL {OLD} and {NEW}")
    for name in ("TRUING_DATABASE_URL", "DATABASE_URL", "ALEMBIC_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    with servers.scratch(live_server).database() as live:
        make_project(tmp_path, {"rich": f"op.execute({RICH.replace(':', chr(92) + ':')!r})"}, url=live.url)

        def execute(statements):
            with psycopg.connect(live.url, autocommit=True) as connection:
                connection.execute(statements.encode())

        def compare(*arguments):
            capsys.readouterr()
            words = ("--scratch-url", scratch_server.url(), *(arguments or ("--live", live.url)))
            code = run(["drift", "--migrations", *words, "--output-format", "json"])
            out = capsys.readouterr()
            assert out.out, out.err
            return code, json.loads(out.out)

        execute(RICH + STAMP)
        yield compare, execute, live


def subjects(document):
    return [f"{each['rule']}: {each['subject']}" for each in document["findings"]]


def test_in_true_on_one_major_is_in_true_on_another(apart):
    compare, _, live = apart
    code, document = compare()
    assert (code, subjects(document)) == (0, [])
    assert not [row for table in document["tables"] for row in table["rows"] if "printed by" in row["reason"]]
    assert run(["snapshot", "--database-url", live.url, "-o", "live.json"]) == 0
    code, document = compare("--snapshot", "live.json")
    assert (code, subjects(document)) == (0, [])


def test_a_view_that_was_changed_by_hand_is_found_on_another_major(apart):
    compare, execute, _ = apart
    execute(
        """CREATE OR REPLACE VIEW "App é".one AS SELECT id, name, mood FROM "App é".t WHERE name IN ('a', 'c');
        DROP VIEW "App é".changeable; CREATE TABLE "App é".more (id integer);
        CREATE VIEW "App é".changeable AS SELECT id, name FROM "App é".t WHERE id IN (SELECT id FROM "App é".more);
        DROP VIEW "App é".windowed"""
    )
    code, document = compare()
    assert code == 1
    assert subjects(document) == [
        'live-edited-by-hand: table "App é".more',
        'live-edited-by-hand: view "App é".changeable',
        'live-edited-by-hand: view "App é".one',
        'live-edited-by-hand: view "App é".windowed',
    ]


def test_a_view_that_cannot_be_made_again_is_named_and_not_compared(apart):
    compare, execute, _ = apart
    compare()
    execute(
        """CREATE FUNCTION "App é".near(integer, integer) RETURNS boolean LANGUAGE sql AS 'SELECT $1 - $2 < 2';
        CREATE OPERATOR "App é".<-> (LEFTARG = integer, RIGHTARG = integer, FUNCTION = "App é".near);
        CREATE OR REPLACE VIEW "App é".one AS SELECT id, name, mood FROM "App é".t WHERE id OPERATOR("App é".<->) 3"""
    )
    _, document = compare()
    assert not [subject for subject in subjects(document) if "view" in subject and ".one" in subject]
    (row,) = [row for table in document["tables"] for row in table["rows"] if "printed by" in row["reason"]]
    assert '"App é".one' in row["names"]


def test_privileges_on_what_both_majors_brought_are_found_and_on_the_rest_named(apart):
    compare, execute, live = apart
    execute(
        "GRANT EXECUTE ON FUNCTION pg_read_file(text) TO pg_monitor;"
        "REVOKE SELECT ON information_schema.tables FROM PUBLIC;"
        # 18 lets pg_monitor do that to begin with.
        "GRANT EXECUTE ON FUNCTION pg_current_logfile() TO pg_monitor"
    )
    with psycopg.connect(live.url) as connection:
        old = connection.info.server_version < NEW * 10000
    execute(
        "GRANT EXECUTE ON FUNCTION pg_rotate_logfile_old() TO pg_monitor"
        if old
        else "GRANT INSERT ON pg_stat_io TO PUBLIC"
    )
    code, document = compare()
    assert code == 1
    assert subjects(document) == [
        "live-edited-by-hand: function pg_catalog.pg_read_file(text)",
        "live-edited-by-hand: view information_schema.tables",
    ]
    (row,) = [row for table in document["tables"] for row in table["rows"] if row["reason"].startswith("privileges")]
    assert row["reason"].endswith("may not have come with the same")
    assert row["names"] == (
        "function pg_catalog.pg_current_logfile(), of pg_monitor,"
        " function pg_catalog.pg_rotate_logfile_old(), of pg_monitor"
        if old
        else "view pg_catalog.pg_stat_io, of public"
    )
