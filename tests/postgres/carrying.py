"""A conversion by hand, for tests of `truing.online.carry`: the column, the fill, the swap and the way back in plain SQL.

What the operation itself does (triggers that keep two columns in sync, batches, locks) is left out.
"""

from __future__ import annotations

from typing import Any

import psycopg

from truing.locks import LockMode
from truing.names import QualifiedName, ident
from truing.online.carry import Carry, survey
from truing.plan import Concurrent, Locked, Settle, Step

OP = "convert a column"
NEW, OLD = "__truing_0a1b2c3d_n \"'", "__truing_0a1b2c3d_old"

# Every line is something that the way back must restore byte for byte.
STATE = """
SELECT 'table column', c.oid::regclass::text, a.attname,
  concat_ws('|', format_type(a.atttypid, a.atttypmod), pg_get_expr(d.adbin, d.adrelid), a.attacl::text,
    col_description(a.attrelid, a.attnum), nullif(a.attstattarget, -1), a.attoptions::text, a.attnotnull)
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum WHERE c.relkind = 'r' AND {ours}
UNION ALL
SELECT 'view', c.oid::regclass::text, '', concat_ws('|', pg_get_viewdef(c.oid), pg_get_userbyid(c.relowner),
  c.reloptions::text, c.relacl::text, obj_description(c.oid, 'pg_class'))
FROM pg_class c WHERE c.relkind = 'v' AND {ours}
UNION ALL
SELECT 'view column', c.oid::regclass::text, a.attname, concat_ws('|', a.attnum, format_type(a.atttypid, a.atttypmod),
  a.attacl::text, col_description(a.attrelid, a.attnum), pg_get_expr(d.adbin, d.adrelid))
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum WHERE c.relkind = 'v' AND {ours}
UNION ALL
SELECT 'index', i.indrelid::regclass::text, c.relname, concat_ws('|', pg_get_indexdef(c.oid), i.indisclustered,
  obj_description(c.oid, 'pg_class'), (SELECT string_agg(nullif(a.attstattarget, -1)::text, ',' ORDER BY a.attnum)
  FROM pg_attribute a WHERE a.attrelid = c.oid))
FROM pg_class c JOIN pg_index i ON i.indexrelid = c.oid WHERE {ours}
UNION ALL
SELECT 'constraint', k.conrelid::regclass::text, k.conname, concat_ws('|', pg_get_constraintdef(k.oid), k.convalidated,
  obj_description(k.oid, 'pg_constraint'))
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid WHERE k.contype <> 'n' AND {ours}
UNION ALL
SELECT 'policy', p.polrelid::regclass::text, p.polname, concat_ws('|', p.polcmd, p.polpermissive, p.polroles::text,
  pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid), obj_description(p.oid, 'pg_policy'))
FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid WHERE {ours}
UNION ALL
SELECT 'trigger', t.tgrelid::regclass::text, t.tgname, concat_ws('|', pg_get_triggerdef(t.oid), t.tgenabled,
  obj_description(t.oid, 'pg_trigger'))
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid WHERE NOT t.tgisinternal AND {ours}
UNION ALL
SELECT 'statistics', s.stxrelid::regclass::text, s.stxname, concat_ws('|', pg_get_statisticsobjdef(s.oid),
  pg_get_userbyid(s.stxowner), nullif(s.stxstattarget, -1), obj_description(s.oid, 'pg_statistic_ext'))
FROM pg_statistic_ext s JOIN pg_class c ON c.oid = s.stxrelid WHERE {ours}
UNION ALL
SELECT 'sequence', c.oid::regclass::text, '', (SELECT d.refobjid::regclass || '.' || a.attname FROM pg_depend d
  JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
  WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype IN ('a', 'i'))
FROM pg_class c WHERE c.relkind = 'S' AND {ours}
ORDER BY 1, 2, 3, 4
""".replace(
    "{ours}",
    "c.relnamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace, 'pg_toast'::regnamespace)",
)


def state(connection: psycopg.Connection[Any]) -> dict[tuple[str, str, str], str]:
    """What the way back must restore."""
    with connection.transaction():
        connection.execute("SET LOCAL search_path = pg_catalog, pg_temp")
        return {(a, b, c): d for a, b, c, d in connection.execute(STATE).fetchall()}


def plan(
    connection: psycopg.Connection[Any], table: QualifiedName, column: str, new_type: str, **options: Any
) -> Carry:
    return survey(connection, table, column, new_type, new_column=NEW, old_column=OLD, op_id=OP, **options)


def run(connection: psycopg.Connection[Any], steps: tuple[Step, ...]) -> None:
    """Run steps as the runner does, and believe none without its probe."""
    for step in steps:
        match step.action:
            case Locked(locks=locks, statements=statements):
                taken = "; ".join(f"LOCK TABLE {lock.table.sql} IN {lock.mode.sql} MODE" for lock in locks)
                connection.execute(f"BEGIN; {taken}; {'; '.join(statements)}; COMMIT")
            case Concurrent(statement=statement):
                connection.execute(statement)
            case Settle(wrong=wrong, refusal=refusal):
                assert connection.execute(wrong).fetchall() == [], refusal
            case _:
                raise AssertionError(step)
        if step.probe:
            assert connection.execute(step.probe).fetchone() == (True,), step


def expand(connection: psycopg.Connection[Any], carry: Carry, conversion: str | None = None) -> None:
    """Add the new column and fill it."""
    expression = conversion or f"{ident(carry.column)}::{carry.new_type}"
    connection.execute(f"ALTER TABLE {carry.table.sql} ADD COLUMN {ident(carry.new_column)} {carry.new_type}")
    connection.execute(f"UPDATE {carry.table.sql} SET {ident(carry.new_column)} = {expression}")
    run(connection, carry.before)


def _exchange(connection: psycopg.Connection[Any], carry: Carry, first: str, second: str, statements: Any) -> None:
    locks = [f"LOCK TABLE {lock.table.sql} IN {lock.mode.sql} MODE" for lock in carry.locks]
    locks += [f"LOCK TABLE {carry.table.sql} IN {LockMode.ACCESS_EXCLUSIVE.sql} MODE"]
    renames = [
        f"ALTER TABLE {carry.table.sql} RENAME COLUMN {first}",
        f"ALTER TABLE {carry.table.sql} RENAME COLUMN {second}",
    ]
    connection.execute("; ".join(["BEGIN", *carry.view_locks, *locks, *renames, *statements, "COMMIT"]))


def swap(connection: psycopg.Connection[Any], carry: Carry) -> None:
    column, new, old = ident(carry.column), ident(carry.new_column), ident(carry.old_column)
    _exchange(connection, carry, f"{column} TO {old}", f"{new} TO {column}", carry.swap)


def unswap(connection: psycopg.Connection[Any], carry: Carry) -> None:
    column, new, old = ident(carry.column), ident(carry.new_column), ident(carry.old_column)
    run(connection, carry.before_unswap)
    _exchange(connection, carry, f"{column} TO {new}", f"{old} TO {column}", carry.unswap)
    run(connection, carry.after_unswap)
    connection.execute(f"ALTER TABLE {carry.table.sql} DROP COLUMN {new}")


def contract(connection: psycopg.Connection[Any], carry: Carry) -> None:
    """Drop the old column."""
    for name in carry.drop_old_first:
        connection.execute(f"DROP INDEX CONCURRENTLY {name.sql}")
    connection.execute(f"ALTER TABLE {carry.table.sql} DROP COLUMN {ident(carry.old_column)}")


def restore(connection: psycopg.Connection[Any], carry: Carry) -> None:
    """Make the old column again."""
    old, column = ident(carry.old_column), ident(carry.column)
    connection.execute(f"ALTER TABLE {carry.table.sql} ADD COLUMN {old} {carry.old_type}")
    connection.execute(f"UPDATE {carry.table.sql} SET {old} = {column}::{carry.old_type}")
    run(connection, carry.rebuild_old)
