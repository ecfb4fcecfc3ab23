"""A database with one of everything, under names that break careless quoting; for the tests of the catalog."""

from __future__ import annotations

from truing.names import QualifiedName, ident

SCHEMA = 'My "app"\n%(x)s'
TABLE = QualifiedName(SCHEMA, "Thé 'table'; --")
CHILD = QualifiedName(SCHEMA, "select")
COLUMN = 'te"nant\\id é'
FUNCTION = QualifiedName(SCHEMA, "Touch It")
VIEW = QualifiedName(SCHEMA, "Vïew")
ROLE = 'ro"le é'
"""A role that the test makes before it runs :data:`ZOO` (roles belong to the whole server)."""

S, T, C, F, V, R = ident(SCHEMA), TABLE.sql, ident(COLUMN), FUNCTION.sql, VIEW.sql, ident(ROLE)

ZOO = f"""
CREATE SCHEMA {S};
GRANT USAGE ON SCHEMA {S} TO {R};
CREATE TYPE {S}."Mood's" AS ENUM ('sad', 'it''s "ok"');
CREATE DOMAIN {S}.code AS text COLLATE "C" DEFAULT 'x' NOT NULL CONSTRAINT "not empty" CHECK (VALUE <> '');
CREATE TYPE {S}.pair AS (a integer, "B b" text[]);
CREATE TYPE {S}.span AS RANGE (subtype = float8);
CREATE SEQUENCE {S}.free INCREMENT 5 CACHE 10 CYCLE MAXVALUE 500;

CREATE TABLE {T} (
    id bigint GENERATED ALWAYS AS IDENTITY,
    {C} text COLLATE "C" DEFAULT 'x''y' NOT NULL,
    size numeric(10,2) NOT NULL,
    upper_id text GENERATED ALWAYS AS (upper({C})) STORED,
    mood {S}."Mood's",
    serial_number serial,
    CONSTRAINT "pk é" PRIMARY KEY (id),
    CONSTRAINT uq UNIQUE ({C}, size),
    CONSTRAINT late UNIQUE (serial_number) DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT "ck " CHECK ({C} <> 'bad' AND size > 0),
    CONSTRAINT ex EXCLUDE USING btree (mood WITH =)
) WITH (fillfactor = 70, autovacuum_enabled = off, toast.autovacuum_enabled = off);
COMMENT ON TABLE {T} IS 'a ''table''';
COMMENT ON COLUMN {T}.{C} IS 'a "column"
of two lines';
COMMENT ON CONSTRAINT uq ON {T} IS 'unique!';
ALTER TABLE {T} ALTER {C} SET STATISTICS 321, ALTER {C} SET STORAGE EXTERNAL, ALTER {C} SET COMPRESSION pglz,
    ALTER {C} SET (n_distinct = 7), ALTER size SET STATISTICS 0;
CREATE INDEX "ix expr" ON {T} (lower({C}) DESC, size) INCLUDE (mood) WHERE size > 1;
COMMENT ON INDEX {S}."ix expr" IS 'an index';
ALTER INDEX {S}."ix expr" ALTER COLUMN 1 SET STATISTICS 55;
GRANT SELECT ON {T} TO {R};
GRANT UPDATE ({C}) ON {T} TO {R} WITH GRANT OPTION;

CREATE TABLE {CHILD.sql} (
    id integer PRIMARY KEY,
    "FK col" text,
    size numeric(10,2),
    CONSTRAINT "c n" CHECK (id > 0) NO INHERIT
);
ALTER TABLE {CHILD.sql} ADD CONSTRAINT "f'k" FOREIGN KEY ("FK col", size) REFERENCES {T} ({C}, size)
    MATCH FULL ON DELETE SET NULL ON UPDATE CASCADE NOT VALID;
CREATE TABLE {S}."Parts" (id integer, "when" date) PARTITION BY RANGE ("when");
CREATE TABLE {S}.part1 PARTITION OF {S}."Parts" FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
CREATE UNLOGGED TABLE {S}.scratch (a integer);
ALTER TABLE {S}.scratch REPLICA IDENTITY FULL;

ALTER TABLE {T} ENABLE ROW LEVEL SECURITY;
ALTER TABLE {T} FORCE ROW LEVEL SECURITY;
CREATE POLICY "p'1" ON {T} AS RESTRICTIVE FOR UPDATE TO {R}, CURRENT_USER
    USING ({C} = current_setting('app.tenant', true)) WITH CHECK (size > 0);
COMMENT ON POLICY "p'1" ON {T} IS 'a policy';
CREATE POLICY everybody ON {T} FOR SELECT USING (true);

CREATE FUNCTION {F}() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN RETURN NEW; END $f$;
CREATE FUNCTION {F}(a integer, "B b" text DEFAULT 'é') RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 1';
REVOKE EXECUTE ON FUNCTION {F}(integer, text) FROM PUBLIC;
COMMENT ON FUNCTION {F}(integer, text) IS 'a function';
CREATE PROCEDURE {S}.proc() LANGUAGE sql AS 'SELECT 1';
CREATE AGGREGATE {S}.total (integer) (SFUNC = int4pl, STYPE = integer, INITCOND = 0);
CREATE TRIGGER "t'r" BEFORE UPDATE OF {C}, size ON {T} FOR EACH ROW WHEN (OLD.size <> NEW.size)
    EXECUTE FUNCTION {F}();
ALTER TABLE {T} ENABLE ALWAYS TRIGGER "t'r";
COMMENT ON TRIGGER "t'r" ON {T} IS 'a trigger';
CREATE RULE "r'u" AS ON DELETE TO {CHILD.sql} DO ALSO NOTIFY x;
CREATE STATISTICS {S}."st é" (dependencies) ON {C}, size FROM {T};
ALTER STATISTICS {S}."st é" SET STATISTICS 77;

CREATE VIEW {V} WITH (security_barrier) AS SELECT id, {C} AS "the id", size FROM {T} WHERE size > 0;
COMMENT ON VIEW {V} IS 'a view';
COMMENT ON COLUMN {V}."the id" IS 'its column';
GRANT SELECT ON {V} TO {R};
GRANT UPDATE ("the id") ON {V} TO PUBLIC;
CREATE VIEW {S}.outer_view AS SELECT "the id", count(*) AS n FROM {V} GROUP BY 1;
CREATE MATERIALIZED VIEW {S}."Mat" AS SELECT "the id" FROM {S}.outer_view WITH NO DATA;
CREATE INDEX "mat ix" ON {S}."Mat" ("the id");
CREATE PUBLICATION "pub é" FOR TABLE {T} WITH (publish = 'insert, delete');
"""
