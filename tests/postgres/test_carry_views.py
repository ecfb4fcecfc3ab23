"""Views and views on views, and policies, are carried: same rows, same rights, same text after the way back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.fix_server import Database
from tests.postgres.carrying import expand, plan, swap
from tests.postgres.test_carry_round_trip import TABLE, A, B, C, db, round_trip, sql
from truing.names import ident

__all__ = ["db"]


def rows(db: Database, *views: str) -> Callable[[], list[list[Any]]]:
    """A function that reads views as text, with the names of their columns."""

    def read() -> list[list[Any]]:
        connection, found = db.connect(), []
        for view in views:
            cursor = connection.execute(sql(f"SELECT v::text FROM {{s}}.{view} v"))
            found.append(cursor.fetchall())
            names = connection.execute(sql(f"SELECT * FROM {{s}}.{view} LIMIT 0")).description
            found.append([column.name for column in names or ()])
        connection.close()
        return found

    return read


VIEWS = {
    "bare": "SELECT {c}, id FROM {t}",
    "star": "SELECT * FROM {t} WHERE {c} = '" + A + "'",
    "renamed": 'SELECT t.{c} AS "x y", t.{c} || \'!\' AS "!" FROM {t} t',
    "grouped": "SELECT {c}, count(*), max({c}) FROM {t} GROUP BY {c} HAVING {c} > '' ORDER BY {c} DESC",
    "by_key": "SELECT id, {c}, n FROM {t} GROUP BY id",
    "distinct_": "SELECT DISTINCT {c} FROM {t} ORDER BY {c}",
    "distinct_on": "SELECT DISTINCT ON ({c}) {c}, n FROM {t} ORDER BY {c}, n DESC",
    "sets": "SELECT {c} FROM {t} UNION SELECT name FROM {u} ORDER BY 1",
    "sets_same": "(SELECT {c} FROM {t} EXCEPT SELECT {c} FROM {t} WHERE n > 100) INTERSECT SELECT {c} FROM {t} ORDER BY 1",
    "rollup_": "SELECT {c}, grouping({c}) AS g, count(*) FROM {t} GROUP BY ROLLUP ({c}) ORDER BY 2, 1",
    "joined": "SELECT t.id, u.name, t.{c} FROM {t} t LEFT JOIN {u} u ON u.{c} = t.{c} AND u.t_id = t.id ORDER BY 1",
    "using_": "SELECT id, {c}, u.name FROM {t} t JOIN {u} u USING ({c}, id) ORDER BY 1",
    "using_full": "SELECT {c}, count(*) FROM {t} t FULL JOIN {u} u USING ({c}) GROUP BY 1 ORDER BY 1",
    "using_self": "SELECT a.id, {c} FROM {t} a JOIN {t} b USING ({c}, id) ORDER BY 1",
    "natural_": "SELECT * FROM {u} NATURAL JOIN {t} ORDER BY id",
    "sub": "SELECT s.q, s.q || 'x' AS r FROM (SELECT {c} AS q, id FROM {t}) s WHERE s.q IN (SELECT {c} FROM {u}) ORDER BY s.id",
    "exists_": "SELECT id FROM {u} o WHERE EXISTS (SELECT 1 FROM {t} WHERE {t}.{c} = o.{c} AND o.t_id = {t}.id) ORDER BY id",
    "cte": "WITH w AS (SELECT {c} AS k, n FROM {t}), z (p) AS MATERIALIZED (SELECT k FROM w WHERE k LIKE 'a%') SELECT p, length(p) FROM z",
    "recursive_": "WITH RECURSIVE w (k, d) AS (SELECT {c}, 1 FROM {t} WHERE id = 1 UNION ALL SELECT k || 'x', d + 1 FROM w WHERE d < 3) SELECT k FROM w",
    "lateral_": "SELECT t.id, l.part, f.x FROM {t} t, LATERAL (SELECT left({c}, 3) AS part) l, string_to_table({c}, '-') f (x) ORDER BY 1, 3",
    "windows": 'SELECT id, rank() OVER "w \'""" AS r, string_agg({c}, \',\') OVER "w \'""" AS s FROM {t} WINDOW "w \'""" AS (PARTITION BY {c} ORDER BY n)',
    "cases": "SELECT id, CASE {c} WHEN '"
    + A
    + "' THEN 'a' ELSE {c} END AS k, coalesce({c}, 'none') AS l, {c} IS NULL AS m FROM {t} ORDER BY id",
    "aggs": "SELECT array_agg(DISTINCT {c} ORDER BY {c}) AS a, count({c}) FILTER (WHERE {c} LIKE 'b%') AS b, min({c}) AS m FROM {t}",
    "casts": "SELECT id, {c}::uuid AS u, {c}::uuid = '" + A + "'::uuid AS same FROM {t} ORDER BY id",
    "whole_row": "SELECT (t).n, t IS NULL AS isnull, {c} FROM {t} t ORDER BY id",
    "values_": "SELECT v.k, t.id FROM (VALUES ('" + A + "'), ('zz')) v (k) JOIN {t} t ON t.{c} = v.k ORDER BY 2",
    "locked_": "SELECT {c}, id FROM {t} ORDER BY id FOR UPDATE",
    "sampled": "SELECT {c} FROM {t} TABLESAMPLE system (100) ORDER BY id",
}


def test_views_and_views_on_them(db: Database) -> None:
    """Each as it is, under a view that uses all of its columns, under a view on that."""
    for name, query in VIEWS.items():
        db.execute(sql(f"CREATE VIEW {{s}}.{name} AS {query}"))
        db.execute(sql(f"CREATE VIEW {{s}}.outer_{name} AS SELECT v.*, v::text || 'x' AS row_text FROM {{s}}.{name} v"))
        db.execute(sql(f"CREATE VIEW {{s}}.outmost_{name} AS SELECT row_text || '!' AS r FROM {{s}}.outer_{name}"))
    read = rows(db, *VIEWS, *(f"outmost_{name}" for name in VIEWS))
    assert all(read()), "a view without rows would prove nothing"
    carry = round_trip(db, read)
    how = {carried.name.split(".")[-1]: carried.how for carried in carry.carried if carried.kind == "view"}
    assert len(how) == 3 * len(VIEWS)
    assert {name for name, way in how.items() if "old types" in way} == {"using_", "using_full", "natural_"}
    assert {name for name, way in how.items() if "keep" in way} == set()


def test_everything_that_is_a_views_own(db: Database) -> None:
    owner, a, b, maker = db.role("NOLOGIN"), db.role("NOLOGIN"), db.role("NOLOGIN"), db.role("NOLOGIN")
    roles = {"owner": ident(owner), "a": ident(a), "b": ident(b), "maker": ident(maker)}
    invoker = ", security_invoker = on" if db.version.has("security-invoker-views") else ""
    db.execute(
        sql(
            """
        GRANT ALL ON SCHEMA {s} TO {owner}, {a}, {b};
        GRANT SELECT, UPDATE, INSERT ON {t} TO {owner};
        CREATE VIEW {s}."v '1" WITH (security_barrier = true{invoker}) AS SELECT id, {c} AS "k k", n FROM {t} WHERE n > 0;
        ALTER VIEW {s}."v '1" ALTER "k k" SET DEFAULT '"""
            + A
            + """', ALTER n SET DEFAULT 7;
        ALTER VIEW {s}."v '1" RENAME COLUMN n TO "n n";
        CREATE VIEW {s}.v2 (i, k) AS SELECT id, "k k" FROM {s}."v '1" WHERE "k k" <> 'x' WITH LOCAL CHECK OPTION;
        CREATE VIEW {s}.v3 AS SELECT i FROM {s}.v2;
        COMMENT ON VIEW {s}.v2 IS 'it''s \\ v2'; COMMENT ON COLUMN {s}.v2.k IS 'k''s';
        ALTER VIEW {s}."v '1" OWNER TO {owner};
        GRANT SELECT, INSERT ON {s}.v2 TO {a} WITH GRANT OPTION;
        SET ROLE {a}; GRANT SELECT ON {s}.v2 TO {b}; RESET ROLE;
        GRANT UPDATE (k) ON {s}.v2 TO {b}; GRANT SELECT ON {s}.v2 TO PUBLIC;
        REVOKE INSERT, TRIGGER ON {s}.v3 FROM CURRENT_USER;
        GRANT SELECT ON {s}.v3 TO {b};
        ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO {maker};
        ALTER DEFAULT PRIVILEGES IN SCHEMA {s} GRANT SELECT ON TABLES TO PUBLIC;
        """,
            invoker=invoker,
            **roles,
        )
    )
    connection = db.connect()
    effective = sql(
        "SELECT c.relname, r.rolname, p, has_table_privilege(r.rolname, c.oid, p) FROM pg_class c, pg_roles r,"
        " unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRIGGER']) p"
        " WHERE c.relkind = 'v' AND c.relnamespace = {s_}::regnamespace ORDER BY 1, 2, 3",
        s_="'" + ident("we\"ird 's").replace("'", "''") + "'",
    )
    rights = connection.execute(effective).fetchall()
    carry = plan(connection, TABLE, C, "uuid")
    expand(connection, carry)
    own = (
        "SELECT relname, pg_get_userbyid(relowner), reloptions, obj_description(oid, 'pg_class'),"
        " ARRAY(SELECT (attname, attacl, col_description(c.oid, attnum))::text FROM pg_attribute WHERE attrelid = c.oid)"
        " FROM pg_class c WHERE relkind = 'v' AND relnamespace > 16383 ORDER BY 1"
    )
    before = connection.execute(own).fetchall()
    assert len(before) == 3
    swap(connection, carry)
    assert connection.execute(effective).fetchall() == rights
    assert connection.execute(own).fetchall() == before
    db.execute(sql(f"INSERT INTO {{s}}.v2 (i) VALUES (50); UPDATE {{s}}.v2 SET k = '{B}' WHERE i = 50"))
    assert db.execute(sql("SELECT pg_typeof(k)::text, k::text FROM {s}.v2 WHERE i = 50")) == [("uuid", B)]


def test_views_come_back_byte_for_byte(db: Database) -> None:
    """All of the above again, as a round trip; an access list that was never set stays unset where nothing else is."""
    owner, a = db.role("NOLOGIN"), db.role("NOLOGIN")
    db.execute(
        sql(
            """
        GRANT ALL ON SCHEMA {s} TO {owner}, {a};
        CREATE VIEW {s}.v1 WITH (security_barrier = true) AS SELECT id, {c}, n FROM {t};
        CREATE VIEW {s}.v2 (i, k) AS SELECT id, {c} FROM {s}.v1 WITH CASCADED CHECK OPTION;
        CREATE VIEW {s}.v3 AS SELECT 1 AS one FROM {s}.v2, {s}.v1;
        ALTER VIEW {s}.v1 ALTER {c} SET DEFAULT 'aaaaaaaa-0000-0000-0000-000000000001';
        GRANT SELECT ON {s}.v1 TO {a} WITH GRANT OPTION; GRANT UPDATE ({c}), SELECT ({c}) ON {s}.v1 TO {owner};
        COMMENT ON VIEW {s}.v3 IS 'three'; COMMENT ON COLUMN {s}.v2.k IS 'k';
        ALTER VIEW {s}.v2 OWNER TO {owner};
        SET ROLE {a}; GRANT SELECT ON {s}.v1 TO {owner}; RESET ROLE;
        REVOKE ALL ON {s}.v3 FROM CURRENT_USER; GRANT SELECT ON {s}.v3 TO CURRENT_USER, {a};
        """,
            owner=ident(owner),
            a=ident(a),
        )
    )
    round_trip(db)


def test_a_view_is_locked_before_what_it_reads(db: Database) -> None:
    """Readers lock a view first and its table second; the swap does so too, and locks no other table through the view."""
    db.execute(sql("CREATE VIEW {s}.v AS SELECT t.{c} FROM {t} t, {u}; CREATE VIEW {s}.w AS SELECT * FROM {s}.v"))
    connection = db.connect()
    carry = plan(connection, TABLE, C, "uuid")
    with connection.transaction():
        for statement in carry.view_locks:
            connection.execute(statement)
        locked = connection.execute(
            "SELECT relname FROM pg_locks JOIN pg_class c ON c.oid = relation WHERE pid = pg_backend_pid()"
            " AND mode = 'AccessExclusiveLock' ORDER BY 1"
        ).fetchall()
    assert locked == [("v",), ("w",)]
    assert [".w " in statement for statement in carry.view_locks] == [True, False]


def test_integers_grow_without_casts(database: Database) -> None:
    """Casting back to integer would fail for every value that the column was widened for."""
    database.execute(
        "CREATE SCHEMA a; CREATE TABLE a.t (id bigint PRIMARY KEY, c integer CHECK (c > 0), d integer);"
        "CREATE INDEX e ON a.t ((c % 10)); CREATE VIEW a.v AS SELECT c, c + 1 AS d, sum(c) AS s FROM a.t GROUP BY c;"
        "INSERT INTO a.t VALUES (1, 5), (2, 7)"
    )
    connection = database.connect()
    carry = plan(connection, type(TABLE)("a", "t"), "c", "bigint")
    expand(connection, carry)
    swap(connection, carry)
    database.execute("INSERT INTO a.t (id, c) VALUES (3, 5000000000)")
    assert database.execute("SELECT c FROM a.v WHERE c > 10") == [(5000000000,)]
    assert not any("::integer" in statement for statement in carry.swap)
