"""Recorded statements and the version table against a real server."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
from alembic import command
from sqlalchemy import create_engine

from tests.projects import ENV, make_project, revision
from truing.errors import CatalogError
from truing.names import ident
from truing.revisions.history import applied, pending
from truing.revisions.record import record
from truing.revisions.urls import conninfo, sqlalchemy_url

HOSTILE = 'ver"si on'


@pytest.mark.parametrize("schema", [None, "o'd\"d"])
def test_what_is_applied_is_read(database, schema: str | None) -> None:
    connection = database.connect()
    assert applied(connection, HOSTILE, schema) == ()
    if schema:
        connection.execute(f"CREATE SCHEMA {ident(schema)}")
    table = f"{ident(schema)}.{ident(HOSTILE)}" if schema else ident(HOSTILE)
    connection.execute(f"CREATE TABLE {table} (version_num text)")
    assert applied(connection, HOSTILE, schema) == ()
    connection.execute(f"INSERT INTO {table} VALUES ('b2'), ('a1')")
    assert applied(connection, HOSTILE, schema) == ("a1", "b2")


def test_a_table_that_is_not_alembics_is_an_error(database) -> None:
    database.execute("CREATE TABLE alembic_version (x int)")
    with pytest.raises(CatalogError, match="version_num"):
        applied(database.connect())


def test_the_urls_lead_to_the_database(database) -> None:
    url = database.url.replace("postgresql+psycopg://", "postgres://").replace("postgresql://", "postgres://")
    with psycopg.connect(conninfo(url, application_name="truing")) as connection:
        assert connection.execute("SELECT current_database(), current_setting('application_name')").fetchone() == (
            database.name,
            "truing",
        )
    engine = create_engine(sqlalchemy_url(url))
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT current_database()").scalar() == database.name
    engine.dispose()


UPGRADE = '''
op.create_table("p", sa.Column("id", sa.Uuid, primary_key=True, server_default=sa.text("gen_random_uuid()")))
op.create_table("t", sa.Column("id", sa.BigInteger, primary_key=True), sa.Column("k", sa.Enum("x", "y", name="kind")),
    sa.Column("p_id", sa.Uuid, sa.ForeignKey("p.id", ondelete="CASCADE")), sa.CheckConstraint("id > 0", name="pos"))
op.alter_column("t", "id", type_=sa.Numeric(20, 0), existing_type=sa.BigInteger)
op.create_index("ix", "t", ["k"], postgresql_where=sa.text("id > 10"))
with op.batch_alter_table("t") as batch:
    batch.add_column(sa.Column("é col", sa.String(20), server_default="50% 'é'", nullable=False))
    batch.create_unique_constraint("un", ["é col"])
op.execute("""
    INSERT INTO p DEFAULT VALUES;
    CREATE VIEW v AS SELECT id, k FROM t WHERE "é col" LIKE '%é%';
    DO $$ BEGIN CREATE TABLE made (a int); END $$
""")
with op.get_context().autocommit_block():
    op.create_index("ix2", "t", ["p_id"], postgresql_concurrently=True)
op.bulk_insert(sa.table("t", sa.column("id", sa.Integer)), [{"id": 1}])
'''

FACTS = """
SELECT array_agg(f ORDER BY f) FROM (
  SELECT format('%s.%s %s %s %s', c.relname, attname, format_type(atttypid, atttypmod), attnotnull, pg_get_expr(adbin, adrelid)) AS f
    FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
   WHERE c.relnamespace = 'public'::regnamespace AND attnum > 0 AND NOT attisdropped AND c.relname NOT LIKE 'alembic%'
  UNION ALL SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND conrelid::regclass::text NOT LIKE 'alembic%'
  UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename NOT LIKE 'alembic%'
  UNION ALL SELECT pg_get_viewdef('v'::regclass) UNION ALL SELECT 'rows ' || count(*) || min("é col") FROM t UNION ALL SELECT 'rows ' || count(*) FROM p
) x
"""


def test_running_what_was_recorded_gives_what_alembic_makes(make_database, tmp_path: Path) -> None:
    database, other = make_database(), make_database()
    env = ENV.replace('version_table="revisions", version_table_schema="app", ', "")
    project = make_project(
        tmp_path, revision("a1", UPGRADE), env=env, url=sqlalchemy_url(database.url).replace("%", "%%")
    )
    with project.at_root():
        command.upgrade(project.configuration(), "heads")
    assert applied(database.connect()) == ("a1",)
    assert pending(project, ("a1",)) == ()
    (recorded,) = record(project)
    assert recorded.problem is None
    for statement in recorded.statements:
        other.execute(statement.sql)
    assert other.execute(FACTS) == database.execute(FACTS)
