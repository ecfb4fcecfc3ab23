"""What does the walk have to know of the database? A read-only connection goes in, a :class:`Catalog` comes out."""

from __future__ import annotations

from typing import Any, Final

import psycopg
from psycopg.rows import tuple_row

from truing.audit.asking import Catalog
from truing.audit.layers import Base
from truing.audit.pending import Found
from truing.catalog.model import Table
from truing.catalog.read import read_table
from truing.errors import CatalogError, UnsupportedChangeError
from truing.names import QualifiedName, ident
from truing.online.facts import row_key
from truing.online.session import server_version

_ACCESS: Final = """
-- One row: may this role use the schema, are rows hidden from it, and which columns may it read?
SELECT has_schema_privilege(n.oid, 'USAGE'), row_security_active(c.oid), current_user::text,
    ARRAY(SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
          AND has_column_privilege(c.oid, a.attnum, 'SELECT'))
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %(schema)s AND c.relname = %(name)s
"""

_ASSIGNABLE: Final = """
-- One row: does PostgreSQL cast the type %(source)s to %(target)s in an assignment? (documentation: "CREATE CAST")
SELECT coalesce(s.id = t.id OR t.typcategory = 'S' OR (s.typcategory = 'A' AND t.typcategory = 'A')
    OR EXISTS (SELECT FROM pg_cast k WHERE k.castsource = s.id AND k.casttarget = t.id AND k.castcontext IN ('a', 'i')),
    false)
FROM (SELECT CASE WHEN y.typtype = 'd' THEN y.typbasetype ELSE y.oid END AS id, y.typcategory
      FROM pg_type y WHERE y.oid = to_regtype(%(source)s)) s,
    (SELECT CASE WHEN y.typtype = 'd' THEN y.typbasetype ELSE y.oid END AS id, y.typcategory
     FROM pg_type y WHERE y.oid = to_regtype(%(target)s)) t
"""


def look_up(connection: psycopg.Connection[Any], default_schema: str | None = None) -> Catalog:
    """Prepare to answer what the walk asks.

    Args:
        connection: in the audit's transaction.
        default_schema: the schema of names that are not qualified; None for the connection's own.

    Raises:
        CatalogError: the catalog cannot be read (also later, from what is returned).
    """
    cursor = connection.cursor(row_factory=tuple_row)

    def printed(type_: str) -> str | None:
        try:
            with connection.transaction():
                result = cursor.execute(f"SELECT NULL::{type_}".encode()).pgresult
                if result is None:  # pragma: no cover - a query has a result
                    return None
                row = cursor.execute("SELECT format_type(%s, %s)", (result.ftype(0), result.fmod(0))).fetchone()
        except psycopg.Error:
            return None
        return str(row[0]) if row else None

    def assignable(source: str, target: str) -> bool:
        row = cursor.execute(_ASSIGNABLE.encode(), {"source": source, "target": target}).fetchone()
        # A type that the catalog does not know by this name is nothing to complain about.
        return row is None or bool(row[0])

    return Catalog(
        server_version(connection),
        default_schema or current_schema(connection),
        lambda name: _find(connection, name),
        printed,
        assignable,
    )


def current_schema(connection: psycopg.Connection[Any]) -> str:
    """Return the schema that an unqualified new table would be in."""
    row = connection.cursor(row_factory=tuple_row).execute("SELECT current_schema()").fetchone()
    return str(row[0]) if row and row[0] else "public"


def _find(connection: psycopg.Connection[Any], name: QualifiedName) -> Found | None:
    try:
        table = read_table(connection, name)
    except CatalogError as error:
        # Somebody's DDL holds an exclusive lock on this table; the others can be looked at all the same.
        return Found(Table(name=name), Base(name, ()), error.message, error.advice)
    if table is None:
        return None
    parameters = {"schema": name.schema, "name": name.name}
    row = connection.cursor(row_factory=tuple_row).execute(_ACCESS.encode(), parameters).fetchone()
    usable, hidden, role, readable = row or (False, False, "", [])
    columns = tuple(column.name for column in table.columns if column.name in readable)
    key = _key(table)
    base = Base(name, columns, key if set(key) <= set(columns) else ())
    who = ident(role) if role else "this role"
    if not usable or not columns:
        remedy = f"GRANT USAGE ON SCHEMA {ident(name.schema)} TO {who}; GRANT SELECT ON {name} TO {who};"
        return Found(table, base, f"role {who} may not read {name}", remedy)
    if hidden:
        reason = f"row level security hides rows of {name} from role {who}"
        owner = ident(table.owner) if table.owner else "the owner"
        return Found(table, base, reason, f"Audit as {owner}, a superuser, or a role with BYPASSRLS.")
    return Found(table, base)


def _key(table: Table) -> tuple[str, ...]:
    try:
        return row_key(table).columns
    except UnsupportedChangeError:
        return ()
