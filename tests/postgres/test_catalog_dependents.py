"""Everything that hangs on a column is found, whatever it is called, and nothing else."""

from __future__ import annotations

import psycopg
import pytest

from tests.postgres.catalog_zoo import CHILD, COLUMN, FUNCTION, ROLE, SCHEMA, TABLE, VIEW, ZOO, C, R, T, V
from truing.catalog import session
from truing.catalog.dependents import column_dependents
from truing.catalog.model import Grant, PublishedTable
from truing.catalog.read import read_snapshot
from truing.catalog.unbound import mentions
from truing.errors import CatalogError
from truing.names import QualifiedName, ident, literal

SIMPLE = QualifiedName('Né "s"', "t'1")
ST = SIMPLE.sql
SS = ident(SIMPLE.schema)


def named(name):
    return QualifiedName(SCHEMA, name)


@pytest.fixture
def zoo(database):
    database.role(name=ROLE)
    database.execute(ZOO)
    return database


@pytest.fixture
def simple(database):
    """Only a table, for one dependent at a time."""
    database.execute(
        f"CREATE SCHEMA {SS}; CREATE TABLE {ST} (id int, {C} text, other int); CREATE TABLE {SS}.far (a text, b int)"
    )
    return database


def found(database, table=SIMPLE, column=COLUMN):
    return column_dependents(database.connect(), table, column)


def only(database, statement, column=COLUMN):
    """Run a statement; return the one dependent that it made."""
    before = set(found(database, column=column))
    database.execute(statement)
    (dependent,) = set(found(database, column=column)) - before
    # The same on a column that has nothing to do with it.
    assert [d for d in found(database, column="other") if d.detail == dependent.detail] == []
    return dependent


def test_every_dependent_of_a_column_with_one_of_everything(zoo):
    dependents = found(zoo, TABLE)
    assert [(d.kind, d.depth, d.name, d.table, d.schema) for d in dependents] == [
        ("unique", 0, "uq", TABLE, SCHEMA),
        ("check", 0, "ck ", TABLE, SCHEMA),
        *([("not-null", 0, dependents[2].name, TABLE, SCHEMA)] if zoo.version.major >= 18 else []),
        ("foreign-key-in", 0, "f'k", CHILD, SCHEMA),
        ("index", 0, "ix expr", TABLE, SCHEMA),
        ("default", 0, COLUMN, TABLE, SCHEMA),
        ("generated-column", 0, "upper_id", TABLE, SCHEMA),
        ("view", 0, "Vïew", None, SCHEMA),
        ("policy", 0, "p'1", TABLE, SCHEMA),
        ("trigger", 0, "t'r", TABLE, SCHEMA),
        ("statistics", 0, "st é", TABLE, SCHEMA),
        ("column-grant", 0, COLUMN, TABLE, SCHEMA),
        ("column-setting", 0, COLUMN, TABLE, SCHEMA),
        ("column-setting", 0, COLUMN, TABLE, SCHEMA),
        ("column-setting", 0, COLUMN, TABLE, SCHEMA),
        ("column-setting", 0, COLUMN, TABLE, SCHEMA),
        ("comment", 0, COLUMN, TABLE, SCHEMA),
        ("view", 1, "outer_view", None, SCHEMA),
        ("materialized-view", 2, "Mat", None, SCHEMA),
    ]


def test_details_are_those_of_the_snapshot(zoo):
    snapshot = read_snapshot(zoo.connect())
    table, dependents = snapshot.table(TABLE), {(d.kind, d.name): d for d in found(zoo, TABLE)}
    assert dependents["unique", "uq"].detail == table.constraint("uq")
    assert dependents["unique", "uq"].index == table.index("uq")
    assert dependents["check", "ck "].detail == table.constraint("ck ")
    assert dependents["foreign-key-in", "f'k"].detail == snapshot.table(CHILD).constraint("f'k")
    assert dependents["index", "ix expr"].detail == table.index("ix expr")
    assert dependents["default", COLUMN].definition == "'x''y'::text"
    assert dependents["generated-column", "upper_id"].detail == table.column("upper_id")
    assert dependents["generated-column", "upper_id"].definition == f"upper({C})"
    assert dependents["view", VIEW.name].detail == snapshot.view(VIEW)
    assert dependents["view", VIEW.name].qualified == VIEW
    assert dependents["view", "outer_view"].via == (VIEW,)
    assert dependents["materialized-view", "Mat"].detail == snapshot.view(named("Mat"))
    assert dependents["policy", "p'1"].detail == next(p for p in table.policies if p.name == "p'1")
    assert dependents["trigger", "t'r"].detail == table.triggers[0]
    assert dependents["statistics", "st é"].detail == table.statistics[0]
    assert dependents["comment", COLUMN].definition == table.column(COLUMN).comment
    assert dependents["column-grant", COLUMN].detail == table.column(COLUMN).grants[0]


def test_grants_and_settings_are_statements_that_make_them_again(zoo):
    """Taken away and made again from their definitions, everything is as it was."""
    before = found(zoo, TABLE)
    zoo.execute(
        f"REVOKE ALL ({C}) ON {T} FROM {R}; ALTER TABLE {T} ALTER {C} SET STATISTICS -1, ALTER {C} RESET (n_distinct),"
        f" ALTER {C} SET STORAGE EXTENDED, ALTER {C} SET COMPRESSION default"
    )
    kinds = {"column-grant", "column-setting"}
    assert [d for d in found(zoo, TABLE) if d.kind in kinds] == []
    for dependent in before:
        if dependent.kind in kinds:
            zoo.execute(dependent.definition)
    assert found(zoo, TABLE) == before


def test_grant_to_everybody(simple):
    dependent = only(simple, f"GRANT SELECT ({C}) ON {ST} TO PUBLIC")
    assert dependent.definition == f"GRANT SELECT ({C}) ON TABLE {ST} TO public"
    assert isinstance(dependent.detail, Grant)
    simple.execute(dependent.definition)


# -- one by one --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "statement"),
    [
        ("primary-key", f'ALTER TABLE {ST} ADD CONSTRAINT "k\'" PRIMARY KEY ({C})'),
        ("unique", f'ALTER TABLE {ST} ADD CONSTRAINT "k\'" UNIQUE (id, {C})'),
        ("unique", f'ALTER TABLE {ST} ADD CONSTRAINT "k\'" UNIQUE (id) INCLUDE ({C})'),
        ("exclusion", f'ALTER TABLE {ST} ADD CONSTRAINT "k\'" EXCLUDE ({C} WITH =)'),
        ("exclusion", f'ALTER TABLE {ST} ADD CONSTRAINT "k\'" EXCLUDE (lower({C}) WITH =)'),
        ("exclusion", f"ALTER TABLE {ST} ADD CONSTRAINT \"k'\" EXCLUDE (id WITH =) WHERE ({C} > '')"),
        ("check", f"ALTER TABLE {ST} ADD CONSTRAINT \"k'\" CHECK ({C} <> '') NOT VALID"),
        ("index", f'CREATE INDEX "k\'" ON {ST} ({C})'),
        ("index", f'CREATE INDEX "k\'" ON {ST} USING hash ({C})'),
        ("index", f'CREATE INDEX "k\'" ON {ST} (id, lower({C}))'),
        ("index", f'CREATE INDEX "k\'" ON {ST} (id) INCLUDE ({C})'),
        ("index", f'CREATE UNIQUE INDEX "k\'" ON {ST} (id) WHERE {C} IS NOT NULL'),
        ("policy", f"CREATE POLICY \"k'\" ON {ST} USING ({C} = 'x')"),
        ("policy", f"CREATE POLICY \"k'\" ON {ST} FOR INSERT WITH CHECK ({C} = 'x')"),
        ("trigger", f'CREATE TRIGGER "k\'" AFTER UPDATE OF {C} ON {ST} EXECUTE FUNCTION {SS}.f()'),
        (
            "trigger",
            f'CREATE TRIGGER "k\'" AFTER UPDATE ON {ST} FOR EACH ROW WHEN (OLD.{C} <> NEW.{C}) EXECUTE FUNCTION {SS}.f()',
        ),
        ("rule", f"CREATE RULE \"k'\" AS ON UPDATE TO {ST} WHERE OLD.{C} = 'x' DO INSTEAD NOTHING"),
        ("statistics", f'CREATE STATISTICS {SS}."k\'" ON {C}, id FROM {ST}'),
        ("statistics", f'CREATE STATISTICS {SS}."k\'" ON (lower({C})), id FROM {ST}'),
    ],
)
def test_what_belongs_to_the_table(simple, kind, statement):
    simple.execute(f"CREATE FUNCTION {SS}.f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'")
    if kind == "primary-key":
        simple.execute(f"ALTER TABLE {ST} ALTER {C} SET NOT NULL")
    dependent = only(simple, statement)
    assert (dependent.kind, dependent.name, dependent.table) == (kind, "k'", SIMPLE)
    assert (dependent.depth, dependent.via, dependent.schema) == (0, (), SIMPLE.schema)
    assert dependent.definition
    assert "k'" in dependent.description
    name = getattr(dependent.detail.name, "name", dependent.detail.name)
    assert name == "k'"
    assert (dependent.index is not None) == (kind in {"primary-key", "unique", "exclusion"})


@pytest.mark.pg(">=18")
def test_not_null_is_an_object_on_18(simple):
    dependent = only(simple, f'ALTER TABLE {ST} ADD CONSTRAINT "n\'n" NOT NULL {C} NOT VALID')
    assert (dependent.kind, dependent.name, dependent.detail.validated) == ("not-null", "n'n", False)


@pytest.mark.pg("<18")
def test_not_null_is_no_object_before_18(simple):
    simple.execute(f"ALTER TABLE {ST} ALTER {C} SET NOT NULL")
    assert found(simple) == ()


def test_foreign_keys_in_both_directions(simple):
    simple.execute(f"ALTER TABLE {ST} ADD UNIQUE ({C}); ALTER TABLE {SS}.far ADD UNIQUE (a)")
    out = only(simple, f'ALTER TABLE {ST} ADD CONSTRAINT "o\'ut" FOREIGN KEY ({C}) REFERENCES {SS}.far (a)')
    assert (out.kind, out.name, out.table) == ("foreign-key-out", "o'ut", SIMPLE)
    into = only(simple, f'ALTER TABLE {SS}.far ADD CONSTRAINT "i\'n" FOREIGN KEY (a) REFERENCES {ST} ({C}) NOT VALID')
    assert (into.kind, into.name, into.table) == ("foreign-key-in", "i'n", QualifiedName(SIMPLE.schema, "far"))
    assert (into.detail.references, into.detail.validated) == (SIMPLE, False)


def test_foreign_key_of_a_table_to_itself(simple):
    simple.execute(
        f"ALTER TABLE {ST} ADD UNIQUE ({C}), ADD parent text,"
        f" ADD CONSTRAINT up FOREIGN KEY (parent) REFERENCES {ST} ({C}),"
        f" ADD CONSTRAINT me FOREIGN KEY ({C}) REFERENCES {ST} ({C})"
    )
    kinds = {(d.kind, d.name) for d in found(simple) if d.kind.startswith("foreign")}
    assert kinds == {("foreign-key-in", "up"), ("foreign-key-in", "me"), ("foreign-key-out", "me")}
    assert [(d.kind, d.name) for d in found(simple, column="parent")] == [("foreign-key-out", "up")]


def test_default_identity_and_sequences(simple):
    default = only(simple, f"ALTER TABLE {ST} ALTER {C} SET DEFAULT 'it''s'")
    assert (default.kind, default.name, default.definition) == ("default", COLUMN, "'it''s'::text")
    simple.execute(f'CREATE SEQUENCE {SS}."s\'q" OWNED BY {ST}.id')
    (sequence,) = found(simple, column="id")
    assert (sequence.kind, sequence.qualified) == ("sequence", QualifiedName(SIMPLE.schema, "s'q"))
    assert not sequence.detail.owned_by.identity
    simple.execute(f"ALTER TABLE {ST} ALTER other SET NOT NULL, ALTER other ADD GENERATED BY DEFAULT AS IDENTITY")
    (identity,) = [d for d in found(simple, column="other") if d.kind == "sequence"]
    assert identity.detail.owned_by.identity


def test_generated_columns(simple):
    dependent = only(simple, f"ALTER TABLE {ST} ADD \"g'1\" text GENERATED ALWAYS AS ({C} || 'x') STORED")
    assert (dependent.kind, dependent.name, dependent.definition) == ("generated-column", "g'1", f"({C} || 'x'::text)")
    assert dependent.detail.generated == "stored"


@pytest.mark.pg(">=18")
def test_virtual_columns(simple):
    dependent = only(simple, f"ALTER TABLE {ST} ADD \"g'1\" text GENERATED ALWAYS AS ({C} || 'x') VIRTUAL")
    assert (dependent.kind, dependent.detail.generated) == ("generated-column", "virtual")


def test_policy_of_another_table(simple):
    dependent = only(simple, f'CREATE POLICY "p\'" ON {SS}.far USING (EXISTS (SELECT FROM {ST} x WHERE x.{C} = far.a))')
    assert (dependent.kind, dependent.name) == ("policy", "p'")
    assert dependent.table == QualifiedName(SIMPLE.schema, "far")
    assert C in dependent.detail.using


def test_rule_of_another_table(simple):
    dependent = only(simple, f'CREATE RULE "r\'" AS ON DELETE TO {SS}.far DO ALSO DELETE FROM {ST} WHERE {C} = OLD.a')
    assert (dependent.kind, dependent.table) == ("rule", QualifiedName(SIMPLE.schema, "far"))


@pytest.mark.pg(">=15")
def test_publications(simple):
    listed = only(simple, f'CREATE PUBLICATION "p\'1" FOR TABLE {ST} (id, {C})')
    assert (listed.kind, listed.name, listed.table, listed.schema) == ("publication", "p'1", SIMPLE, None)
    assert listed.detail == PublishedTable(table=SIMPLE, columns=("id", COLUMN))
    assert listed.definition == f"(id, {C})"
    filtered = only(simple, f"CREATE PUBLICATION \"p'2\" FOR TABLE {ST} WHERE ({C} > 'x') WITH (publish = 'insert')")
    assert (filtered.name, filtered.definition) == ("p'2", f"WHERE ({C} > 'x'::text)")
    simple.execute(f"CREATE PUBLICATION whole FOR TABLE {ST}")
    assert {d.name for d in found(simple) if d.kind == "publication"} == {"p'1", "p'2"}


def test_atomic_functions(simple):
    dependent = only(
        simple,
        f'CREATE FUNCTION {SS}."f\'"(x int) RETURNS text LANGUAGE sql BEGIN ATOMIC SELECT {C} FROM {ST} LIMIT x; END',
    )
    assert (dependent.kind, dependent.qualified) == ("function-atomic", QualifiedName(SIMPLE.schema, "f'"))
    assert (dependent.arguments, dependent.detail.atomic) == ("x integer", True)
    assert "BEGIN ATOMIC" in dependent.definition


def test_atomic_function_over_a_row(simple):
    dependent = only(simple, f"CREATE FUNCTION {SS}.f(x {ST}) RETURNS text LANGUAGE sql RETURN x.{C}")
    assert dependent.kind == "function-atomic"


# -- functions kept as text --------------------------------------------------------------------------------------------


def test_function_text_with_table_and_column(simple):
    dependent = only(
        simple,
        f'CREATE FUNCTION {SS}."f\'"() RETURNS text LANGUAGE sql AS {literal(f"SELECT {C} FROM {ST} LIMIT 1")}',
    )
    assert (dependent.kind, dependent.qualified) == ("function-text", QualifiedName(SIMPLE.schema, "f'"))
    assert dependent.detail.language == "sql"


def test_function_text_of_a_trigger_on_the_table_need_not_name_it(simple):
    body = literal(f"BEGIN NEW.{C} := 'x'; RETURN NEW; END")
    simple.execute(f"CREATE FUNCTION {SS}.f() RETURNS trigger LANGUAGE plpgsql AS {body}")
    assert found(simple) == ()
    simple.execute(f"CREATE TRIGGER t BEFORE INSERT ON {ST} FOR EACH ROW EXECUTE FUNCTION {SS}.f()")
    assert [(d.kind, d.name) for d in found(simple)] == [("function-text", "f")]


@pytest.mark.parametrize("signature", ["(x {t}) RETURNS text", "(x {t}[]) RETURNS text", "() RETURNS SETOF {t}"])
def test_function_text_over_rows_of_the_table_need_not_name_it(simple, signature):
    body = literal(f"BEGIN RAISE '%', x.{C}; END")
    simple.execute(f"CREATE FUNCTION {SS}.f{signature.format(t=ST)} LANGUAGE plpgsql AS {body}")
    assert [(d.kind, d.name) for d in found(simple)] == [("function-text", "f")]
    assert found(simple, column="other") == ()


@pytest.mark.parametrize(
    "body",
    [
        f"SELECT id FROM {ST}",
        f"SELECT {C} FROM {SS}.far",
        f'SELECT "{COLUMN[:3]}" FROM {ST}',
        f"SELECT x{COLUMN}y FROM {ST}",
    ],
)
def test_function_text_about_something_else(simple, body):
    simple.execute(
        "SET check_function_bodies = off;" + f"CREATE FUNCTION {SS}.f() RETURNS text LANGUAGE sql AS {literal(body)}"
    )
    assert found(simple) == ()


@pytest.mark.parametrize(
    ("source", "name", "expected"),
    [
        ("select tenant_id from t", "tenant_id", True),
        ("select TENANT_ID from t", "tenant_id", True),
        ('select "tenant_id" from t', "tenant_id", True),
        ("select NEW.tenant_id", "tenant_id", True),
        ("select old_tenant_id, tenant_id2, tenant_id$ from t", "tenant_id", False),
        ("select étenant_id", "tenant_id", False),
        ('select "a""b"', 'a"b', True),
        ("format('%I', 'a\"b')", 'a"b', True),
        ("execute 'select \"it''s\"'", "it's", True),
        ("void", "id", False),
        ("a.b", "a.b", True),
        ("axb", "a.b", False),
        ("SELECT 'É'", "é", True),
    ],
)
def test_mentions(source, name, expected):
    assert mentions(source, name) is expected


# -- views -------------------------------------------------------------------------------------------------------------


def order(dependents):
    return [(d.kind, d.name, d.depth) for d in dependents]


def test_depth_is_the_longest_way(simple):
    """d reads the column itself, and a view that reads one that reads it: it comes after both."""
    simple.execute(
        f"CREATE VIEW {SS}.b AS SELECT {C}, id FROM {ST}; CREATE VIEW {SS}.c AS SELECT {C} FROM {SS}.b;"
        f"CREATE VIEW {SS}.a AS SELECT c.{C} FROM {SS}.c, {SS}.b, {ST} t WHERE t.{C} = 'x';"
        f"CREATE VIEW {SS}.unrelated AS SELECT other FROM {ST}"
    )
    dependents = found(simple)
    assert order(dependents) == [("view", "b", 0), ("view", "c", 1), ("view", "a", 2)]
    assert dependents[2].via == (QualifiedName(SIMPLE.schema, "b"), QualifiedName(SIMPLE.schema, "c"))
    assert dependents[0].description == f"view {SS}.b"


def test_a_view_on_a_view_counts_even_when_it_does_not_show_the_column(simple):
    """The lower view cannot be made anew while the upper one stands on any column of it."""
    simple.execute(
        f"CREATE VIEW {SS}.b AS SELECT {C}, other FROM {ST}; CREATE VIEW {SS}.c AS SELECT other FROM {SS}.b;"
        f"CREATE VIEW {SS}.d AS SELECT count(*) AS n FROM {SS}.b"
    )
    assert order(found(simple)) == [("view", "b", 0), ("view", "c", 1), ("view", "d", 1)]


def test_whatever_stands_on_a_view(simple):
    simple.execute(
        f"CREATE VIEW {SS}.v AS SELECT {C} AS x FROM {ST};"
        f"CREATE POLICY p ON {SS}.far USING (a IN (SELECT x FROM {SS}.v));"
        f"CREATE RULE r AS ON DELETE TO {SS}.far DO ALSO SELECT x FROM {SS}.v;"
        f"CREATE FUNCTION {SS}.fa() RETURNS text LANGUAGE sql RETURN (SELECT x FROM {SS}.v LIMIT 1);"
        f"CREATE FUNCTION {SS}.fr() RETURNS SETOF {SS}.v LANGUAGE sql AS 'SELECT NULL::text';"
        f"CREATE FUNCTION {SS}.fp(rows {SS}.v[]) RETURNS int LANGUAGE sql AS 'SELECT 1';"
        f'CREATE TABLE {SS}.holder ("the row" {SS}.v);'
        f"CREATE MATERIALIZED VIEW {SS}.m AS SELECT x FROM {SS}.v; CREATE INDEX mi ON {SS}.m (x);"
        f"CREATE STATISTICS {SS}.ms ON x, (x || '') FROM {SS}.m;"
        f"CREATE VIEW {SS}.w AS SELECT x FROM {SS}.m"
    )
    dependents = found(simple)
    assert order(dependents) == [
        ("view", "v", 0),
        ("materialized-view", "m", 1),
        ("rule", "r", 1),
        ("policy", "p", 1),
        ("function-atomic", "fa", 1),
        ("function-row-type", "fp", 1),
        ("function-row-type", "fr", 1),
        ("row-type", "the row", 1),
        ("view", "w", 2),
    ]
    assert all(d.via for d in dependents if d.depth)
    assert next(d for d in dependents if d.kind == "row-type").table == QualifiedName(SIMPLE.schema, "holder")
    matview = next(d for d in dependents if d.kind == "materialized-view").detail
    assert [index.name for index in matview.indexes] == ["mi"]
    assert len(matview.statistics) == 1


def test_what_belongs_to_a_view_comes_with_it(simple):
    simple.execute(
        f"CREATE VIEW {SS}.v AS SELECT {C} AS x, id FROM {ST};"
        f"CREATE FUNCTION {SS}.f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';"
        f'CREATE TRIGGER "t\'" INSTEAD OF UPDATE ON {SS}.v FOR EACH ROW EXECUTE FUNCTION {SS}.f();'
        f'CREATE RULE "r\'" AS ON DELETE TO {SS}.v DO INSTEAD DELETE FROM {ST} WHERE id = OLD.id;'
        f"ALTER VIEW {SS}.v ALTER x SET DEFAULT 'd'; COMMENT ON COLUMN {SS}.v.x IS 'c'"
    )
    (dependent,) = found(simple)
    view = dependent.detail
    assert [trigger.name for trigger in view.triggers] == ["t'"]
    assert [rule.name for rule in view.rules] == ["r'"]
    assert (view.columns[0].default, view.columns[0].comment) == ("'d'::text", "c")


def test_rule_on_a_view_that_uses_the_column_is_its_own_dependent_too(simple):
    """Its view does not read the column, so nothing else would tell."""
    simple.execute(f"CREATE VIEW {SS}.v AS SELECT id FROM {ST}")
    dependent = only(simple, f"CREATE RULE r AS ON INSERT TO {SS}.v DO INSTEAD INSERT INTO {ST} ({C}) VALUES ('x')")
    assert (dependent.kind, dependent.table) == ("rule", QualifiedName(SIMPLE.schema, "v"))


def test_views_that_use_each_other(simple):
    """PostgreSQL lets a ring of views be made (it cannot be read); looking at it must come to an end."""
    simple.execute(
        f"CREATE VIEW {SS}.a AS SELECT {C} AS x FROM {ST}; CREATE VIEW {SS}.b AS SELECT x FROM {SS}.a;"
        f"CREATE OR REPLACE VIEW {SS}.a AS SELECT t.{C} AS x FROM {ST} t, {SS}.b"
    )
    assert {(d.kind, d.name) for d in found(simple)} == {("view", "a"), ("view", "b")}


# -- tables among tables -----------------------------------------------------------------------------------------------


def test_partition_key(database):
    database.execute(
        f"CREATE SCHEMA {SS}; CREATE TABLE {ST} (a int, b text, c text) PARTITION BY RANGE (a, lower(b));"
        f'CREATE TABLE {SS}."p\'1" PARTITION OF {ST} DEFAULT'
    )
    keys = {column: [(d.kind, d.name) for d in found(database, column=column)] for column in "abc"}
    child = ("child-table", "p'1")
    assert keys == {"a": [("partition-key", "t'1"), child], "b": [("partition-key", "t'1"), child], "c": [child]}
    assert found(database, column="b")[0].definition == "RANGE (a, lower(b))"
    (parent,) = found(database, QualifiedName(SIMPLE.schema, "p'1"), "c")
    assert (parent.kind, parent.table) == ("parent-table", SIMPLE)


def test_inheritance(simple):
    simple.execute(f"CREATE TABLE {SS}.kid (extra int) INHERITS ({ST})")
    assert [(d.kind, d.name) for d in found(simple)] == [("child-table", "kid")]
    kid = QualifiedName(SIMPLE.schema, "kid")
    assert [(d.kind, d.table) for d in found(simple, kid)] == [("parent-table", SIMPLE)]
    assert found(simple, kid, "extra") == ()


def test_columns_that_hold_rows_of_the_table(simple):
    simple.execute(f'CREATE TABLE {SS}.holder ("r\'" {ST}, rs {ST}[])')
    holder = QualifiedName(SIMPLE.schema, "holder")
    assert [(d.kind, d.table, d.name, d.definition) for d in found(simple)] == [
        ("row-type", holder, "r'", ST),
        ("row-type", holder, "rs", f"{ST}[]"),
    ]


def test_security_labels(simple):
    """No provider is installed; the catalog row is what counts."""
    simple.execute(
        "SET allow_system_table_mods = on;"
        "INSERT INTO pg_seclabel VALUES"
        f" ({literal(ST)}::regclass, 'pg_class'::regclass, 2, 'prov''ider', 'la''bel')"
    )
    (label,) = found(simple)
    assert (label.kind, label.name, label.definition) == ("security-label", "prov'ider", "la'bel")


# -- who asks, and where -----------------------------------------------------------------------------------------------


def test_a_role_that_may_only_connect_sees_the_same(zoo):
    role = zoo.role()
    with psycopg.connect(zoo.url_as(role), autocommit=True) as connection:
        assert column_dependents(connection, TABLE, COLUMN) == found(zoo, TABLE)


def test_inside_a_transaction_it_sees_what_was_done_there(zoo):
    connection = zoo.connect()
    with connection.transaction():
        before = column_dependents(connection, TABLE, COLUMN)
        connection.execute(f"DROP VIEW {V} CASCADE".encode())
        after = column_dependents(connection, TABLE, COLUMN)
    assert {d.name for d in set(before) - set(after)} == {VIEW.name, "outer_view", "Mat"}


def test_a_column_renamed_is_the_same_column(zoo):
    zoo.execute(f"ALTER TABLE {T} RENAME {C} TO plain")
    assert {d.name for d in found(zoo, TABLE, "plain") if d.kind == "view"} == {VIEW.name, "outer_view"}
    with pytest.raises(CatalogError, match="no column"):
        found(zoo, TABLE)


@pytest.mark.parametrize(
    ("table", "column"),
    [
        (TABLE, "nothing"),
        (TABLE, "ctid"),
        (named("nothing"), COLUMN),
        (VIEW, "id"),
        (TABLE, "........pg.dropped.3........"),
    ],
)
def test_no_such_column(zoo, table, column):
    zoo.execute(f"ALTER TABLE {T} DROP size CASCADE")
    with pytest.raises(CatalogError, match="There is no column"):
        found(zoo, table, column)


def test_functions_that_nobody_asked_about(zoo):
    """F takes no part in the column but by a trigger of its own, which is listed as a trigger."""
    assert FUNCTION not in {d.qualified for d in found(zoo, TABLE)}


def test_an_index_that_vanishes_while_it_is_read_is_no_dependent(simple, monkeypatch):
    simple.execute(f"CREATE INDEX goes ON {ST} ({C}); CREATE INDEX stays ON {ST} ({C})")
    other, values, seen = simple.connect(), session.Reader.values, []

    def dropping(self, name, row_type, parameters=None):
        if name == "indexes" and not seen:
            other.execute(f"DROP INDEX {SS}.goes")
            seen.append(name)
        return values(self, name, row_type, parameters)

    monkeypatch.setattr(session.Reader, "values", dropping)
    assert [d.name for d in found(simple)] == ["stays"]
    assert seen


def test_what_truing_does_not_know_is_an_error_of_ours_with_a_hint(simple, monkeypatch):
    simple.execute(f"CREATE INDEX i ON {ST} ({C})")
    query = session.sql("indexes").replace("am.amname AS method", "NULL AS method")
    monkeypatch.setattr(session, "sql", lambda name, sql=session.sql: query if name == "indexes" else sql(name))
    with pytest.raises(CatalogError, match=r"does not know.*method.*\n.*report"):
        found(simple)
