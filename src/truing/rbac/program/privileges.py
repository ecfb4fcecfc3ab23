"""What may whom on what is ours, and how is it given back? Revisions give and take; the way back leaves it as it was.

In: the names of the schemas and roles. Out: queries and statements.
"""

from __future__ import annotations

from typing import Final

from truing.names import block, ident, literal
from truing.rbac.program.questions import QUESTIONS

READ: Final = (
    *("tenants", "profiles", "roles", "permissions", "role_permissions", "role_inherits", "role_grants", "user_roles"),
    *("feature_flags", "tenant_features", "sidebar_features", "tenant_rbac_versions", "rbac_audit"),
)
"""Tables that the application reads."""

VIEWS: Final = ("active_profiles", "tenant_profile_counts")
KEPT: Final = ("tenant_rbac_versions", "rbac_audit")
"""Tables that only the program writes."""

CLOSED: Final = ("tenant_moves", "alembic_version")
"""Tables that are nobody's."""

DEFINERS: Final = ("log_tenant_move",)
"""Functions beside the tables that write with their owner's rights."""


def words(names: tuple[str, ...]) -> str:
    """Write names as literals."""
    return ", ".join(map(literal, names))


def held(schema: str, program: str) -> str:
    """Write the query of all privileges on what is ours: kind, object, grantee (NULL: everybody), privilege.

    Kinds: ``w`` is a table that an administrator writes, ``r`` one that is only read, ``c`` one that is nobody's, ``s``
    a sequence, ``q`` and ``f`` a function that answers and another one, ``n`` a schema.
    """
    space, functions = literal(ident(schema)), literal(ident(program))
    questions = literal("{" + ",".join(QUESTIONS) + "}")
    written = tuple(name for name in READ if name not in KEPT)
    return f"""
        WITH relations AS (
          SELECT c.oid, CASE WHEN c.relname IN ({words(written)}) THEN 'w'
                             WHEN c.relname IN ({words(CLOSED)}) THEN 'c' ELSE 'r' END AS kind
          FROM pg_catalog.pg_class c
          WHERE c.relnamespace = pg_catalog.to_regnamespace({space}) AND c.relkind IN ('r', 'p', 'v')
            AND c.relname IN ({words((*READ, *VIEWS, *CLOSED))})
        ), every AS (
          SELECT kind, oid FROM relations
          UNION ALL
          SELECT 's', s.oid FROM relations r
          JOIN pg_catalog.pg_depend d ON d.refobjid = r.oid AND d.refclassid = 'pg_catalog.pg_class'::regclass
            AND d.classid = 'pg_catalog.pg_class'::regclass AND d.deptype IN ('a', 'i')
          JOIN pg_catalog.pg_class s ON s.oid = d.objid AND s.relkind = 'S'
        ), acls AS (
          SELECT e.kind, e.oid, e.oid::regclass::text AS name, c.relacl AS acl
          FROM every e JOIN pg_catalog.pg_class c ON c.oid = e.oid
          UNION ALL
          SELECT e.kind, e.oid, e.oid::regclass::text, a.attacl
          FROM every e JOIN pg_catalog.pg_attribute a ON a.attrelid = e.oid AND NOT a.attisdropped
          UNION ALL
          SELECT CASE WHEN p.proname = ANY ({questions}::text[]) THEN 'q' ELSE 'f' END, p.oid,
                 p.oid::regprocedure::text, p.proacl
          FROM pg_catalog.pg_proc p
          WHERE p.pronamespace = pg_catalog.to_regnamespace({functions})
             OR p.pronamespace = pg_catalog.to_regnamespace({space}) AND p.proname IN ({words(DEFINERS)})
          UNION ALL
          SELECT 'n', n.oid, n.oid::regnamespace::text, n.nspacl FROM pg_catalog.pg_namespace n
          WHERE n.oid = pg_catalog.to_regnamespace({space})
        )
        SELECT DISTINCT x.kind, x.oid::bigint AS obj, x.name, r.rolname::text AS grantee, a.privilege_type AS privilege
        FROM acls x CROSS JOIN pg_catalog.aclexplode(x.acl) a LEFT JOIN pg_catalog.pg_roles r ON r.oid = a.grantee
        WHERE a.grantee = 0 OR r.oid IS NOT NULL
    """


ON: Final = """CASE WHEN it.kind IN ('w', 'r', 'c') THEN 'TABLE' WHEN it.kind = 's' THEN 'SEQUENCE'
                     WHEN it.kind = 'n' THEN 'SCHEMA' ELSE 'FUNCTION' END"""
WHOM: Final = "CASE WHEN it.grantee IS NULL THEN 'PUBLIC' ELSE pg_catalog.quote_ident(it.grantee) END"


def remember(schema: str, program: str, roles: tuple[str, ...], *, everybody: bool) -> tuple[str, ...]:
    """Write the statements that keep, for the way back, what roles had.

    Args:
        schema: of the tables.
        program: of the functions.
        roles: their names.
        everybody: also what everybody had.
    """
    return (
        """
        CREATE TABLE IF NOT EXISTS _truing.rbac_held (
          kind text NOT NULL, obj bigint NOT NULL, grantee text, privilege text NOT NULL,
          UNIQUE NULLS NOT DISTINCT (kind, obj, grantee, privilege))
        """,
        f"""
        INSERT INTO _truing.rbac_held (kind, obj, grantee, privilege)
        SELECT h.kind, h.obj, h.grantee, h.privilege FROM ({held(schema, program)}) h
        WHERE {_of(roles, everybody=everybody)}
        ON CONFLICT DO NOTHING
        """,
    )


def _of(roles: tuple[str, ...], *, everybody: bool) -> str:
    named = f"h.grantee IN ({words(roles)})"
    return f"(h.grantee IS NULL OR {named})" if everybody else named


def restore(schema: str, program: str, roles: tuple[str, ...], *, everybody: bool, exactly: bool = False) -> str:
    """Write the statement that gives back what :func:`remember` kept.

    Args:
        schema: of the tables.
        program: of the functions.
        roles: the roles of :func:`remember`.
        everybody: likewise.
        exactly: also take what was given since, and forget what was kept: the end of the way back.
    """
    names = """
        (SELECT h.kind, h.grantee, h.privilege, CASE h.kind WHEN 'n' THEN h.obj::oid::regnamespace::text
           WHEN 'f' THEN h.obj::oid::regprocedure::text ELSE h.obj::oid::regclass::text END AS name
         FROM _truing.rbac_held h
         WHERE CASE h.kind WHEN 'n' THEN EXISTS (SELECT FROM pg_catalog.pg_namespace x WHERE x.oid = h.obj)
           WHEN 'f' THEN EXISTS (SELECT FROM pg_catalog.pg_proc x WHERE x.oid = h.obj)
           ELSE EXISTS (SELECT FROM pg_catalog.pg_class x WHERE x.oid = h.obj) END)
    """
    take = f"""
        FOR it IN
          SELECT * FROM ({held(schema, program)}) h
          WHERE {_of(roles, everybody=everybody)}
            AND NOT EXISTS (SELECT FROM _truing.rbac_held k WHERE (k.kind, k.obj, k.privilege)
              = (h.kind, h.obj, h.privilege) AND k.grantee IS NOT DISTINCT FROM h.grantee)
        LOOP
          EXECUTE pg_catalog.format('REVOKE %s ON %s %s FROM %s', it.privilege, {ON}, it.name, {WHOM});
        END LOOP;
        DROP TABLE _truing.rbac_held;
    """
    return block(f"""
        DECLARE it record; BEGIN
          IF pg_catalog.to_regclass('_truing.rbac_held') IS NULL THEN
            RETURN;
          END IF;
          FOR it IN SELECT * FROM {names} x LOOP
            EXECUTE pg_catalog.format('GRANT %s ON %s %s TO %s', it.privilege, {ON}, it.name, {WHOM});
          END LOOP;
          {take if exactly else ""}
        END
    """)
