"""Row-level security comes and goes without anybody losing a row; a policy that shows everything lets truing work."""

from __future__ import annotations

import psycopg
import pytest

from truing.errors import OnlineError, UnsupportedChangeError

SCHEMA = 'my "App'
TABLE = 'it"ems'
ITEMS = """
CREATE SCHEMA "my ""App";
CREATE TABLE "my ""App"."it""ems" (id int PRIMARY KEY, "select" int NOT NULL);
INSERT INTO "my ""App"."it""ems" SELECT n, n % 2 FROM generate_series(1, 10) n;
"""
COUNT = 'SELECT count(*) FROM "my ""App"."it""ems"'
USING = """ "it""ems"."select" = current_setting('app.n', true)::int """


@pytest.fixture
def reader(database, sql):
    sql(ITEMS)
    role = database.role()
    sql(f'GRANT USAGE ON SCHEMA "my ""App" TO {role}; GRANT ALL ON "my ""App"."it""ems" TO {role}')
    return role


def seen(database, role):
    with psycopg.connect(database.url_as(role)) as connection:
        connection.execute("SET app.n = 1")
        return connection.execute(COUNT).fetchone()[0]


def enable(op, role, **options):
    policy = {"name": "p é", "roles": [role], "using": USING, "check": USING, **options}
    op.enable_row_security_online(TABLE, [policy], schema=SCHEMA)


def test_nobody_notices_until_the_transition_is_over(op, sql, database, reader):
    for _ in range(2):
        enable(op, reader)
        assert seen(database, reader) == 10
    with pytest.raises(UnsupportedChangeError, match="another policy"):
        enable(op, reader, using="true")
    for _ in range(2):
        op.finish_row_security_online(TABLE, schema=SCHEMA)
        assert seen(database, reader) == 5
    state = "SELECT relrowsecurity, relforcerowsecurity FROM pg_class WHERE relname = 'it\"ems'"
    assert sql(state) == [(True, True)]
    for _ in range(2):
        op.disable_row_security_online(TABLE, ["p é"], schema=SCHEMA)
        assert seen(database, reader) == 10
    assert sql(state) == [(False, False)]
    assert sql("SELECT count(*) FROM pg_policy") == [(0,)]


def test_a_table_that_had_policies_is_never_opened(op, sql, database, reader):
    sql('ALTER TABLE "my ""App"."it""ems" ENABLE ROW LEVEL SECURITY')
    assert seen(database, reader) == 0
    enable(op, reader)
    assert seen(database, reader) == 5
    op.disable_row_security_online(TABLE, ["p é"], keep=True, schema=SCHEMA)
    assert seen(database, reader) == 0


def test_what_cannot_be_is_refused_in_words(op, sql, reader):
    with pytest.raises(UnsupportedChangeError, match="nobody_such"):
        enable(op, "nobody_such")
    with pytest.raises(UnsupportedChangeError, match="no usign"):
        enable(op, reader, usign="true")
    with pytest.raises(UnsupportedChangeError, match="is off"):
        op.finish_row_security_online(TABLE, schema=SCHEMA)


@pytest.mark.parametrize("shown", [True, False], ids=["shown-all", "hidden"])
def test_an_owner_works_where_a_policy_shows_it_everything(database, sql, shown):
    from tests.fix_online import migrating  # noqa: PLC0415

    owner = database.role()
    sql(f"CREATE SCHEMA _truing AUTHORIZATION {owner}; GRANT CREATE ON SCHEMA public TO {owner}")
    with psycopg.connect(database.url_as(owner), autocommit=True) as connection:
        connection.execute("CREATE TABLE t (id int PRIMARY KEY, n int); INSERT INTO t VALUES (1, NULL), (2, 2)")
        using = "true" if shown else "n = 2"
        connection.execute(f"CREATE POLICY p ON t TO {owner} USING ({using}) WITH CHECK (true)")
        connection.execute("ALTER TABLE t ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")
    with migrating(database.url_as(owner)) as op:
        if shown:
            op.set_not_null_online("t", "n", nulls={"value": "0"})
        else:
            with pytest.raises(OnlineError, match="row level security applies"):
                op.set_not_null_online("t", "n", nulls={"value": "0"})
    assert sql("SELECT n FROM t ORDER BY id") == ([(0,), (2,)] if shown else [(None,), (2,)])
