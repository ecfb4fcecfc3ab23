"""One model, a schema for each tenant; `schema_translate_map`, naming conventions, several schemas, hostile names."""

from __future__ import annotations

import json

import pytest

from tests.project import make_project
from truing.cli.app import run
from truing.names import ident

TENANTS = ["tenant_1", "tenant_2", "tenant_10", 'tenant_é "x"', "tenant_select", "Tenant_not"]
MODELS = """
from sqlalchemy import *
metadata = MetaData()
Table("shared", metadata, Column("id", Integer, primary_key=True), schema="common")
Table("orders", metadata, Column("id", Integer, primary_key=True), Column("shared_id", ForeignKey("common.shared.id")),
      Column("state", Enum("new", "old", name="state"), server_default="new"), Column("note", Text), Index("notes", "note"))
Table("lines", metadata, Column("order_id", ForeignKey("orders.id"), primary_key=True))
"""
REVISION = """
op.execute("CREATE SCHEMA common; CREATE TABLE common.shared (id serial PRIMARY KEY)")
op.execute("CREATE TYPE state AS ENUM ('new', 'old')")
op.execute("CREATE TABLE orders (id serial PRIMARY KEY, shared_id integer REFERENCES common.shared, state state DEFAULT 'new',"
           " note text)")
op.execute("CREATE INDEX notes ON orders (note)")
op.execute("CREATE TABLE lines (order_id integer PRIMARY KEY REFERENCES orders)")
op.execute("CREATE VIEW seen AS SELECT id, state FROM orders WHERE state = 'new'")
op.execute("CREATE FUNCTION f() RETURNS integer LANGUAGE sql AS 'SELECT 1'")
"""
TENANT = """
CREATE SCHEMA {0}; SET search_path = {0};
CREATE TYPE state AS ENUM ('new', 'old');
CREATE TABLE orders (id serial PRIMARY KEY, shared_id integer REFERENCES common.shared, state state DEFAULT 'new', note text);
CREATE INDEX notes ON orders (note);
CREATE TABLE lines (order_id integer PRIMARY KEY REFERENCES orders);
CREATE VIEW seen AS SELECT id, state FROM orders WHERE state = 'new';
CREATE FUNCTION f() RETURNS integer LANGUAGE sql AS 'SELECT 1';
CREATE TABLE alembic_version (version_num varchar(32) CONSTRAINT alembic_version_pkc PRIMARY KEY);
RESET search_path;
"""
STAMP = (
    "CREATE TABLE alembic_version (version_num varchar(32) CONSTRAINT alembic_version_pkc PRIMARY KEY);"
    "INSERT INTO alembic_version VALUES ('r1');"
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name in ("TRUING_DATABASE_URL", "DATABASE_URL", "ALEMBIC_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def tenants(folder, database):
    database.execute(STAMP + "CREATE SCHEMA common; CREATE TABLE common.shared (id serial PRIMARY KEY)")
    for name in TENANTS[:-1]:
        database.execute(TENANT.format(ident(name)))
    make_project(folder, {"r1": REVISION}, url=database.url, models=MODELS, metadata="metadata")
    configure(folder, tenant_schemas="tenant_*")
    return folder


def configure(folder, **settings):
    lines = [f"{name.replace('_', '-')} = {json.dumps(value)}" for name, value in settings.items()]
    (folder / "pyproject.toml").write_text("\n".join(["[tool.truing]", *lines, ""]))


def answer(capsys, *arguments):
    capsys.readouterr()
    code = run(["drift", *arguments, "--output-format", "json"])
    out = capsys.readouterr()
    assert out.out, out.err
    return code, json.loads(out.out)


def said(document):
    return [f"{each['rule']}: {each['subject']}" for each in document["findings"]]


def test_schemas_that_are_alike_are_one(tenants, capsys, database):
    code, document = answer(capsys)
    assert (code, said(document)) == (0, [])
    assert document["facts"]["tenants"] == "all 5 schemas tenant_* are alike"
    # Another order of the columns, and a column that was dropped, make no other schema.
    database.execute("ALTER TABLE tenant_2.orders ADD x text; ALTER TABLE tenant_2.orders DROP x")
    database.execute("ALTER TABLE tenant_1.orders DROP COLUMN note; ALTER TABLE tenant_1.orders ADD note text")
    database.execute("CREATE INDEX notes ON tenant_1.orders (note)")
    code, document = answer(capsys)
    assert (code, said(document)) == (0, [])


def test_those_that_differ_are_named_with_what_differs(tenants, capsys, database):
    hostile = ident(TENANTS[3])
    database.execute(f"ALTER TABLE {hostile}.orders ALTER note TYPE varchar(5); DROP INDEX tenant_10.notes")
    database.execute(
        "CREATE OR REPLACE VIEW tenant_10.seen AS SELECT id, state FROM tenant_10.orders WHERE state = 'old'"
    )
    database.execute("ALTER TABLE common.shared ADD by_hand text")
    code, document = answer(capsys)
    assert code == 1
    assert sorted(said(document)) == [
        "live-edited-by-hand: column common.shared.by_hand",
        f"live-edited-by-hand: column public.orders.note (in {hostile})",
        "live-edited-by-hand: index public.notes (in tenant_10)",
        "live-edited-by-hand: view public.seen (in tenant_10)",
    ]
    assert document["facts"]["tenants"] == f"3 of 5 schemas tenant_* are alike; 2 differ: tenant_10, {hostile}"


def test_what_most_have_and_the_migrations_have_not_is_said_of_those(tenants, capsys, database):
    for name in TENANTS[1:-1]:
        database.execute(f"CREATE INDEX by_hand ON {ident(name)}.orders (state)")
    _, document = answer(capsys, "--migrations", "--live")
    (subject,) = said(document)
    assert subject == "live-edited-by-hand: index public.by_hand (in tenant_10, tenant_2, tenant_select and 1 more)"
    database.execute("CREATE INDEX by_hand ON tenant_1.orders (state)")
    _, document = answer(capsys, "--migrations", "--live")
    assert said(document) == ["live-edited-by-hand: index public.by_hand"]


def test_the_model_may_be_in_a_schema_of_its_own(folder, capsys, database):
    database.execute(STAMP + "CREATE SCHEMA common; CREATE TABLE common.shared (id serial PRIMARY KEY)")
    for name in TENANTS[:-1]:
        database.execute(TENANT.format(ident(name)))
    revision = (
        'op.execute("CREATE SCHEMA tenant; SET search_path = tenant")' + REVISION + 'op.execute("RESET search_path")'
    )
    models = (
        MODELS.replace("metadata = MetaData()", 'metadata = MetaData(schema="tenant")')
        .replace('ForeignKey("orders', 'ForeignKey("tenant.orders')
        .replace('name="state")', 'name="state", metadata=metadata)')
    )
    make_project(folder, {"r1": revision}, url=database.url, models=models, metadata="metadata")
    configure(folder, tenant_schemas="tenant_*", tenant_model_schema="tenant")
    code, document = answer(capsys)
    assert (code, said(document)) == (0, [])


def test_a_pattern_that_fits_nothing_is_an_error(tenants, capsys):
    configure(tenants, tenant_schemas="tenants_*")
    assert run(["drift"]) == 2
    assert 'tenant-schemas = "tenants_*" fits no schema' in capsys.readouterr().err


def test_the_schema_translate_map_of_env_py_goes_for_the_models_too(folder, capsys, database):
    make_project(
        folder,
        {
            "r1": 'op.execute("CREATE SCHEMA mapped")\nop.create_table("t", sa.Column("id", sa.Integer, primary_key=True), schema="x")'
        },
        url=database.url,
        models="""
from sqlalchemy import *
metadata = MetaData()
Table("t", metadata, Column("id", Integer, primary_key=True), schema="x")
""",
        metadata="metadata",
    )
    env = folder / "migrations" / "env.py"
    env.write_text(
        env.read_text().replace(
            "run(connection=connection)",
            'run(connection=connection.execution_options(schema_translate_map={"x": "mapped"}))',
        )
    )
    code, document = answer(capsys, "--models", "--migrations")
    assert (code, said(document)) == (0, [])


def test_conventions_schemas_and_names_of_every_kind(folder, capsys, database):
    long = "a_table_with_a_name_that_is_as_long_as_the_server_takes_it_63_b"
    models = f"""
from sqlalchemy import *
metadata = MetaData(naming_convention={{
    "ix": "ix_%(table_name)s_%(column_0_N_name)s", "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s", "pk": "pk_%(table_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
}})
Table({long!r}, metadata, Column("id", Integer, primary_key=True), Column("a_column_with_a_rather_long_name", Text, index=True),
      Column("another_column_with_a_long_name", Text), CheckConstraint("id > 0", name="positive_and_more_words_here"),
      UniqueConstraint("a_column_with_a_rather_long_name", "another_column_with_a_long_name"),
      schema='Schéma "1"')
Table("ordér; --", metadata, Column("select", Integer, primary_key=True), Column("Ünï \\"q\\" %", Text, unique=True),
      Column("up", ForeignKey('Schéma "1".{long}.id')), schema="two")
"""
    made = 'CREATE SCHEMA "Schéma ""1"""'
    revision = f"""
op.execute({made!r})
op.execute("CREATE SCHEMA two")
from alembic import context
context.get_context().opts["target_metadata"].create_all(op.get_bind())
"""
    make_project(
        folder,
        {"r1": revision},
        url=database.url,
        models=models,
        metadata="metadata",
    )
    code, document = answer(capsys, "--models", "--migrations")
    assert (code, said(document)) == (0, [])
