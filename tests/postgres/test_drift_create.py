"""What `create_all` does beside tables: `ddl_if`, events, names that a convention makes too long; whole and piece by piece."""

from __future__ import annotations

import json
from contextlib import nullcontext

import psycopg
import pytest
from sqlalchemy import DDL, Column, ForeignKey, Integer, MetaData, Table, create_engine, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import AddConstraint

from tests.project import make_project
from truing.cli.app import run
from truing.drift import run as drift
from truing.drift.child.batch import batched
from truing.errors import RevisionError
from truing.revisions.project import discover
from truing.server.account import MEMORY, is_roomy

LONG = "the_permission_assignments_of_a_member_of_an_organisation"
MODELS = f"""
from sqlalchemy import *
metadata = MetaData(naming_convention={{
    "ix": "ix_%(table_name)s_%(column_0_N_name)s", "uq": "uq_%(table_name)s_%(column_0_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s", "pk": "pk_%(table_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
}})
parent = Table({LONG!r}, metadata, Column("id", Integer, primary_key=True), Column("name", Text))
child = Table("child", metadata, Column("id", Integer, primary_key=True),
    Column("the_assignment_that_this_is_a_child_of", Integer, index=True), Column("other_id", Integer), Column("n", Integer),
    Index("here", "n").ddl_if(dialect="postgresql"), Index("elsewhere", "n").ddl_if(dialect="sqlite"),
    CheckConstraint("n > 0", name="here").ddl_if(dialect="postgresql"),
    CheckConstraint("n > 1", name="elsewhere").ddl_if(dialect="sqlite"),
    ForeignKeyConstraint(["the_assignment_that_this_is_a_child_of"], [f"{LONG}.id"]),
    ForeignKeyConstraint(["other_id"], [f"{LONG}.id"], name="elsewhere").ddl_if(dialect="sqlite"),
)
event.listen(metadata, "before_create", DDL("CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$"))
event.listen(child, "after_create", DDL("CREATE TRIGGER stamped BEFORE UPDATE ON child FOR EACH ROW EXECUTE FUNCTION stamp()"))
event.listen(child, "after_create", DDL("CREATE TABLE never (id integer)").execute_if(dialect="sqlite"))
event.listen(metadata, "after_create", DDL("CREATE VIEW seen AS SELECT id FROM child -- all of it"))
@event.listens_for(metadata, "after_create")
def looking(target, connection, **_):
    connection.execute(DDL("CREATE TABLE made_before_looking (id integer)"))
    made = connection.scalar(text("SELECT to_regclass('made_before_looking') IS NOT NULL AND to_regclass('seen') IS NOT NULL"))
    connection.execute(DDL("DROP TABLE made_before_looking" if made else "CREATE TABLE nothing_was_there (id integer)"))
@event.listens_for(child, "after_create")
def policies(target, connection, **_):
    connection.execute(text("ALTER TABLE child ENABLE ROW LEVEL SECURITY"))
    connection.exec_driver_sql("COMMENT ON TABLE child IS '100%% sure'")
"""
REFUSED = '\nTable("refused", metadata, Column("id", Integer, primary_key=True), Column("bad", Integer, server_default=text("nothing()")))\n'
REVISION = f"""
op.execute("CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$")
op.create_table({LONG!r}, sa.Column("id", sa.Integer, nullable=False), sa.Column("name", sa.Text),
    sa.PrimaryKeyConstraint("id", name=op.f("pk_{LONG}")))
op.create_table("child", sa.Column("id", sa.Integer), sa.Column("the_assignment_that_this_is_a_child_of", sa.Integer),
    sa.Column("other_id", sa.Integer), sa.Column("n", sa.Integer), sa.PrimaryKeyConstraint("id", name="pk_child"),
    sa.CheckConstraint("n > 0", name=op.f("ck_child_here")), comment="100% sure")
op.create_foreign_key("FK_NAME", "child", {LONG!r}, ["the_assignment_that_this_is_a_child_of"], ["id"])
op.create_index("ix_child_the_assignment_that_this_is_a_child_of", "child", ["the_assignment_that_this_is_a_child_of"])
op.create_index("here", "child", ["n"])
op.execute("CREATE TRIGGER stamped BEFORE UPDATE ON child FOR EACH ROW EXECUTE FUNCTION stamp()")
op.execute("ALTER TABLE child ENABLE ROW LEVEL SECURITY")
op.execute("CREATE VIEW seen AS SELECT id FROM child")
"""


def fk_name():
    """The name that SQLAlchemy makes of one longer than the server takes."""
    metadata = MetaData(naming_convention={"fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s"})
    Table(LONG, metadata, Column("id", Integer, primary_key=True))
    child = Table("child", metadata, Column("the_assignment_that_this_is_a_child_of", ForeignKey(f"{LONG}.id")))
    (key,) = child.foreign_key_constraints
    name = str(AddConstraint(key).compile(dialect=postgresql.dialect())).split()[5]
    assert len(name) <= 63 < len(f"fk_child_the_assignment_that_this_is_a_child_of_{LONG}")
    return name


def test_statements_travel_together_and_before_whoever_looks(database):
    engine = create_engine(database.url.replace("postgresql://", "postgresql+psycopg://", 1))
    count = "SELECT count(*) FROM pg_tables WHERE tablename IN ('one', '100 %', 'said')"
    with engine.begin() as connection, batched(connection):
        connection.execute(DDL("CREATE TABLE one (id integer) -- and no more"))
        connection.execute(DDL("CREATE TABLE said AS SELECT current_query() AS sent"))
        assert connection.scalar(text(count)) == 2
        connection.execute(DDL('CREATE TABLE "100 %%" (id integer)'))
        connection.execute(DDL("INSERT INTO one VALUES (1)"))
    with engine.begin() as connection:
        assert connection.scalar(text(count)) == 3
        assert connection.scalar(text("SELECT id FROM one")) == 1
        sent = connection.scalar(text("SELECT sent FROM said"))
        assert "CREATE TABLE one" in sent
        assert "CREATE TABLE said" in sent
        connection.execute(DDL("CREATE TABLE afterwards AS SELECT current_query() AS sent"))
        assert connection.scalar(text("SELECT sent FROM afterwards")).startswith("CREATE TABLE")
    never = DDL("CREATE TABLE never (id integer);CREATE TABLE one (id integer)")
    with pytest.raises(psycopg.errors.DuplicateTable), engine.begin() as connection, batched(connection):
        connection.execute(never)
    with engine.begin() as connection:
        assert connection.scalar(text("SELECT to_regclass('never')")) is None
    engine.dispose()


@pytest.mark.parametrize("refused", [False, True], ids=["whole", "piece by piece"])
def test_what_create_all_does_is_what_is_compared(tmp_path, monkeypatch, capsys, refused):
    for name in ("TRUING_DATABASE_URL", "DATABASE_URL", "ALEMBIC_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    revision = REVISION.replace("FK_NAME", fk_name())
    models = MODELS + (REFUSED if refused else "")
    make_project(tmp_path, {"r1": revision}, models=models, metadata="metadata")
    run(["drift", "--models", "--migrations", "--output-format", "json"])
    out = capsys.readouterr()
    assert out.out, out.err
    document = json.loads(out.out)
    findings = [(each["rule"], each["subject"][:20]) for each in document["findings"]]
    assert findings == ([("model-not-creatable", "CREATE TABLE refused")] if refused else [])
    # Since a model makes a function, a trigger, a view and row security, none of these is left to the migrations.
    left = [row["reason"] for table in document["tables"] for row in table["rows"]]
    assert not [reason for reason in left if reason.startswith("left to the migrations")]


IN_MEMORY = """op.execute(\"\"\"DO $$ BEGIN
    IF current_setting('data_directory') LIKE '/dev/shm/%' THEN RAISE EXCEPTION 'no space left' USING ERRCODE = '53100'; END IF;
END $$\"\"\")"""


@pytest.mark.skipif(not is_roomy(MEMORY), reason="there is no room in memory")
@pytest.mark.parametrize("crowded", [True, False])
def test_a_server_that_fills_the_memory_is_made_again_on_the_disk(tmp_path, monkeypatch, crowded):
    monkeypatch.delenv("TMPDIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("truing.drift.building.workshop.is_roomy", lambda *_: not crowded)
    project = make_project(tmp_path, {"r1": IN_MEMORY}, models="from sqlalchemy import MetaData", metadata="MetaData()")
    with nullcontext() if crowded else pytest.raises(RevisionError, match="no space left"):
        assert drift.run(discover(config=project), drift.Options()).drifts == ()
