"""Policies are carried by ALTER POLICY: same verdicts, no moment without them, whoever's table they are on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from tests.fix_server import Database
from tests.postgres.carrying import expand, plan, state, swap
from tests.postgres.test_carry_round_trip import TABLE, A, B, C, db, round_trip, sql
from truing.locks import LockMode
from truing.names import ident

__all__ = ["db"]


@pytest.fixture
def app(db: Database) -> str:
    """A role that the policies apply to."""
    app = db.role("NOLOGIN")
    db.execute(
        sql(
            """
        ALTER TABLE {t} ENABLE ROW LEVEL SECURITY;
        ALTER TABLE {u} ENABLE ROW LEVEL SECURITY;
        CREATE FUNCTION {s}.claim() RETURNS text LANGUAGE sql STABLE AS $$ SELECT current_setting('app.tenant', true) $$;
        CREATE VIEW {s}.v AS SELECT id AS vid, {c} AS "v k" FROM {t};
        CREATE VIEW {s}.vv AS SELECT vid, "v k", "v k" || '' AS txt FROM {s}.v;
        GRANT USAGE ON SCHEMA {s} TO {app};
        GRANT ALL ON ALL TABLES IN SCHEMA {s} TO {app};
        """,
            app=ident(app),
        )
    )
    return app


POLICIES = {
    "setting": "CREATE POLICY \"p '1\" ON {t} USING ({c} = current_setting('app.tenant', true)) WITH CHECK ({c} <> 'x')",
    "as_uuid": "CREATE POLICY p ON {t} USING ({c}::uuid = nullif(current_setting('app.tenant', true), '')::uuid)",
    "claim": "CREATE POLICY p ON {t} FOR SELECT TO {app} USING ({c} = {s}.claim() OR {c} IS NULL)",
    "insert": "CREATE POLICY p ON {t} AS PERMISSIVE FOR INSERT WITH CHECK ({c} IN (SELECT {s}.claim()));"
    "CREATE POLICY q ON {t} FOR SELECT USING (n < 10)",
    "own_sub_select": "CREATE POLICY p ON {t} USING (EXISTS (SELECT 1 FROM {u} WHERE {u}.name = 'one' AND {t}.{c} = {s}.claim()))",
    "other_table": "CREATE POLICY p ON {u} USING (EXISTS (SELECT 1 FROM {t} x WHERE x.{c} = {u}.{c} AND {u}.{c} = {s}.claim()));"
    "CREATE POLICY q ON {t} USING (true)",
    "other_in": "CREATE POLICY p ON {u} FOR ALL USING ({c} IN (SELECT {t}.{c} FROM {t} WHERE {t}.{c} = {s}.claim()));"
    "CREATE POLICY q ON {t} USING (true)",
    "view": 'CREATE POLICY p ON {u} USING (t_id IN (SELECT vid FROM {s}.vv WHERE "v k" = {s}.claim() AND txt = "v k"));'
    "CREATE POLICY q ON {t} USING (true)",
    "restrictive": "CREATE POLICY p ON {t} USING (true); CREATE POLICY q ON {t} AS RESTRICTIVE FOR SELECT TO PUBLIC USING ({c} LIKE {s}.claim() || '%')",
}


def visible(db: Database, app: str) -> Callable[[], list[Any]]:
    """A function that tells what the role sees and may insert, as each tenant."""

    def read() -> list[Any]:
        found: list[Any] = []
        connection = db.connect()
        for tenant in (A, B, ""):
            with connection.transaction(force_rollback=True):
                connection.execute(sql("SET LOCAL ROLE {app}", app=ident(app)))
                connection.execute("SELECT set_config('app.tenant', %s, true)", (tenant,))
                found += connection.execute(sql("SELECT id FROM {t} ORDER BY id")).fetchall()
                found += connection.execute(sql("SELECT id FROM {u} ORDER BY id")).fetchall()
                try:
                    connection.execute(sql(f"INSERT INTO {{t}} (id, {{c}}, n) VALUES (99, '{A}', 1)"))
                    found.append("inserted")
                except psycopg.errors.InsufficientPrivilege:
                    found.append("refused")
        return found

    return read


@pytest.mark.parametrize("name", POLICIES)
def test_a_policy(db: Database, app: str, name: str) -> None:
    db.execute(sql(POLICIES[name], app=ident(app)))
    db.execute(
        sql("COMMENT ON POLICY p ON {x} IS 'it''s'", x=sql("{u}" if " p ON {u}" in POLICIES[name] else "{t}"))
        if " p ON" in POLICIES[name]
        else "SELECT 1"
    )
    read = visible(db, app)
    assert read() != [], name
    carry = round_trip(db, read)
    assert not any(
        "DROP POLICY" in statement or "CREATE POLICY" in statement for statement in carry.swap + carry.unswap
    )
    others = {lock.table for lock in carry.locks}
    assert TABLE not in others
    assert bool(others) == (" p ON {u}" in POLICIES[name])
    assert all(lock.mode is LockMode.ACCESS_EXCLUSIVE for lock in carry.locks)


def test_a_policy_that_casts_to_the_new_type_needs_no_way_round(db: Database, app: str) -> None:
    db.execute(sql(POLICIES["as_uuid"]))
    carry = plan(db.connect(), TABLE, C, "uuid")
    (definition,) = [carried.definition for carried in carry.carried if carried.kind == "policy"]
    assert "::text" not in definition.split("=")[0]


def test_never_a_moment_without_policies(db: Database, app: str) -> None:
    """Inside the swap's transaction, after every single statement, the role sees no foreign row."""
    db.execute(sql(";".join(POLICIES[name] for name in ("setting", "view"))))
    db.execute(sql("DROP POLICY q ON {t}"))
    connection = db.connect()
    carry = plan(connection, TABLE, C, "uuid")
    expand(connection, carry)
    column, new, old = ident(C), ident(carry.new_column), ident(carry.old_column)
    table = TABLE.sql
    renames = (f"ALTER TABLE {table} RENAME {column} TO {old}", f"ALTER TABLE {table} RENAME {new} TO {column}")
    looked = 0
    with connection.transaction():
        for statement in (*renames, *carry.swap):
            connection.execute(statement)
            try:
                with connection.transaction(force_rollback=True):
                    connection.execute(sql("SET LOCAL ROLE {app}", app=ident(app)))
                    connection.execute("SELECT set_config('app.tenant', %s, true)", (A,))
                    ids = [row[0] for row in connection.execute(sql("SELECT id FROM {t}")).fetchall()]
                    assert all(number % 2 == 0 for number in ids), statement
                    others = [row[0] for row in connection.execute(sql("SELECT id FROM {u}")).fetchall()]
                    assert set(others) <= {2}, statement
                    looked += 1
            except (psycopg.errors.UndefinedFunction, psycopg.errors.UndefinedTable):
                continue  # a policy that does not compile shows nothing at all
    assert looked > 3


def test_policies_are_effective_after_the_swap(db: Database, app: str) -> None:
    db.execute(sql(POLICIES["setting"]))
    connection = db.connect()
    before = visible(db, app)()
    carry = plan(connection, TABLE, C, "uuid")
    expand(connection, carry)
    swap(connection, carry)
    assert visible(db, app)() == before
    assert any("goes on comparing values of the old type" in note for note in carry.notes)
    assert state(connection)
