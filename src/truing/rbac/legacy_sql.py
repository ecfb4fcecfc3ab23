"""How are the rows of the legacy database made? Statements that the server runs by itself, a set at a time.

``<seed>`` (a literal), ``<tenants>`` and ``<profiles>`` (numbers) are filled in by :mod:`truing.rbac.legacy`. There is
no percent sign in any of them, for drivers read those. Ids of tenants begin with an ``a``, those of tenants that do
not exist with a ``b``: they never meet, and every id has a letter, so that upper case is never the same text.
"""

from __future__ import annotations

from typing import Final

from truing.names import literal
from truing.rbac.dirt import CLEAN, DIRTY_CLASSES

_TENANT: Final = "overlay(md5(<seed> || ' tenant ' || {n}) placing 'a' from 1 for 1)::uuid"
_GHOST: Final = "overlay(md5(<seed> || ' ghost ' || {n}) placing 'b' from 1 for 1)::uuid"
_PROFILE: Final = "md5(<seed> || ' profile ' || {n})::uuid"
_FLAG: Final = "md5(<seed> || ' flag ' || {n})::uuid"
_PERMISSION: Final = "md5(<seed> || ' permission ' || {n})::uuid"
# The tenant of a profile: a number from 1, the same wherever the profile is spoken of.
_HOME: Final = "1 + mod(('x' || left(md5(<seed> || ' home ' || {n}), 7))::bit(28)::integer, <tenants>)"

FLAGS: Final = 12
PERMISSIONS: Final = 24
ROLES_PER_TENANT: Final = 4
GHOSTS: Final = 7
"""How many rows of each kind of orphan there are."""


def profile_rows(*, tenants: int, profiles: int, seed: int, parts_per_million: int) -> str:
    """Return the query whose rows the profiles are made of.

    Args:
        tenants: how many there are.
        profiles: how many there are.
        seed: of the rows.
        parts_per_million: how many of a million are dirty; they are spread evenly.

    Returns:
        A query with the columns ``i`` (from 1), ``id``, ``tenant`` (the number of its true tenant), ``class`` (its
        name) and ``tenant_id`` (the text as the legacy table holds it).
    """
    cases = " ".join(f"WHEN {number} THEN {case.expression}" for number, case in enumerate(DIRTY_CLASSES, 1))
    names = ", ".join(literal(case.name) for case in DIRTY_CLASSES)
    turn = [number for number, case in enumerate(DIRTY_CLASSES, 1) if not case.limit]
    classes = len(DIRTY_CLASSES)
    query = f"""
      SELECT i, id, tenant, COALESCE((ARRAY[{names}])[class], {literal(CLEAN.name)}) AS class,
        CASE class {cases} ELSE {CLEAN.expression} END AS tenant_id
      FROM (
        SELECT i, {_PROFILE.format(n="i")} AS id, tenant, {_TENANT.format(n="tenant")}::text AS t,
          {_GHOST.format(n="i")}::text AS u,
          CASE WHEN k = before THEN 0 WHEN k <= {classes} THEN k
               ELSE (ARRAY{turn})[1 + mod(k - {classes} - 1, {len(turn)})] END AS class
        FROM (
          SELECT i, {_HOME.format(n="i")} AS tenant, (i * {parts_per_million} / 1000000)::integer AS k,
            ((i - 1) * {parts_per_million} / 1000000)::integer AS before
          FROM generate_series(1, {profiles}::bigint) AS i
        ) AS numbered
      ) AS classed"""
    return query.replace("<seed>", literal(str(seed))).replace("<tenants>", str(tenants))


OTHER_TABLES: Final = (
    # Profiles are made after the first of these and before the others.
    f"""
    INSERT INTO tenants (id, name, is_active, created_at, updated_at)
    SELECT {_TENANT.format(n="n")}, 'Tenant ' || n,
      CASE WHEN mod(n, 11) = 0 THEN NULL ELSE mod(n, 7) <> 0 END,
      timestamptz '2023-01-01 00:00:00+00' + n * interval '1 hour',
      timestamptz '2023-01-01 00:00:00+00' + n * interval '1 hour'
    FROM generate_series(1, <tenants>) AS n
    """,
    f"""
    INSERT INTO roles (id, tenant_id, name, created_at)
    SELECT {ROLES_PER_TENANT} * (n - 1) + r, {_TENANT.format(n="n")},
      (ARRAY['owner', 'admin', 'member', 'viewer'])[r], timestamptz '2023-01-01 00:00:00+00'
    FROM generate_series(1, <tenants>) AS n, generate_series(1, {ROLES_PER_TENANT}) AS r
    """,
    # Roles of tenants that were deleted; they hold permissions and are granted like any other.
    f"""
    INSERT INTO roles (id, tenant_id, name, created_at)
    SELECT {ROLES_PER_TENANT} * <tenants> + n, {_GHOST.format(n="'role ' || n")}, 'owner',
      timestamptz '2023-01-01 00:00:00+00'
    FROM generate_series(1, {GHOSTS}) AS n
    """,
    "SELECT setval(pg_get_serial_sequence('roles', 'id'), (SELECT max(id) FROM roles))",
    f"""
    INSERT INTO permissions (id, name, description)
    SELECT {_PERMISSION.format(n="n")},
      (ARRAY['billing', 'profiles', 'projects', 'reports', 'roles', 'settings'])[1 + mod(n, 6)] || ':'
        || (ARRAY['read', 'write', 'delete', 'export'])[1 + (n - 1) / 6], 'Permission ' || n
    FROM generate_series(1, {PERMISSIONS}) AS n
    """,
    # Owners hold all, the next role half as much, and so on.
    f"""
    INSERT INTO role_permissions (role_id, permission_id, created_at)
    SELECT id, {_PERMISSION.format(n="n")}, timestamptz '2023-01-01 00:00:00+00'
    FROM roles, generate_series(1, {PERMISSIONS}) AS n WHERE mod(n, (1 << mod(id - 1, {ROLES_PER_TENANT}))) = 0
    UNION ALL
    SELECT 900000000 + n, {_PERMISSION.format(n="n")}, timestamptz '2023-01-01 00:00:00+00'
    FROM generate_series(1, {GHOSTS}) AS n
    UNION ALL
    SELECT 1, md5(<seed> || ' ghost permission ' || n)::uuid, timestamptz '2023-01-01 00:00:00+00'
    FROM generate_series(1, {GHOSTS}) AS n
    """,
    # Everybody has a role at home and every fourth two; the fourth role (viewer) is left for the rows below.
    f"""
    INSERT INTO user_roles (id, user_id, role_id, tenant_id, created_at)
    SELECT md5(<seed> || ' grant ' || i || ' ' || r)::uuid, {_PROFILE.format(n="i")},
      {ROLES_PER_TENANT} * (tenant - 1) + 1 + mod(i + r, 3), {_TENANT.format(n="tenant")},
      timestamptz '2024-01-01 00:00:00+00' + i * interval '1 minute'
    FROM (SELECT i, {_HOME.format(n="i")} AS tenant FROM generate_series(1, <profiles>::bigint) AS i) AS homes,
      generate_series(0, 1) AS r
    WHERE r = 0 OR mod(i, 4) = 0
    """,
    # Orphans of each kind, of all kinds at once, and grants that name no tenant.
    f"""
    INSERT INTO user_roles (id, user_id, role_id, tenant_id, created_at)
    SELECT md5(<seed> || ' ghost grant ' || kind || ' ' || n)::uuid,
      CASE WHEN kind IN ('user', 'all') THEN {_GHOST.format(n="'user ' || kind || n")}
           ELSE {_PROFILE.format(n="n")} END,
      CASE kind WHEN 'role' THEN 900000000 + n WHEN 'all' THEN 910000000 + n
                WHEN 'tenant' THEN 4 WHEN 'null' THEN {ROLES_PER_TENANT} * <tenants> + 1 ELSE 1 END,
      CASE WHEN kind IN ('tenant', 'all') THEN {_GHOST.format(n="'grant ' || n")}
           WHEN kind <> 'null' THEN {_TENANT.format(n="1")} END,
      timestamptz '2024-01-01 00:00:00+00'
    FROM unnest(ARRAY['user', 'role', 'tenant', 'all', 'null']) AS kind, generate_series(1, {GHOSTS}) AS n
    WHERE n <= <profiles> OR kind IN ('user', 'all')
    """,
    f"""
    INSERT INTO feature_flags (id, name, description, is_enabled, created_at)
    SELECT {_FLAG.format(n="n")}, 'feature-' || n, 'Feature ' || n,
      CASE WHEN mod(n, 5) = 0 THEN NULL ELSE mod(n, 2) = 0 END, timestamptz '2023-01-01 00:00:00+00'
    FROM generate_series(1, {FLAGS}) AS n
    """,
    f"""
    INSERT INTO tenant_features (id, tenant_id, feature_id, is_enabled, created_at)
    SELECT md5(<seed> || ' setting ' || n || ' ' || f)::uuid, {_TENANT.format(n="n")}, {_FLAG.format(n="f")},
      CASE WHEN mod(n + f, 9) = 0 THEN NULL ELSE mod(n + f, 2) = 0 END, timestamptz '2023-01-01 00:00:00+00'
    FROM generate_series(1, <tenants>) AS n, generate_series(1, {FLAGS}) AS f WHERE mod(n + f, 3) = 0
    UNION ALL
    SELECT md5(<seed> || ' ghost setting ' || n)::uuid, {_GHOST.format(n="'setting ' || n")}, {_FLAG.format(n="1")},
      true, timestamptz '2023-01-01 00:00:00+00' FROM generate_series(1, {GHOSTS}) AS n
    UNION ALL
    SELECT md5(<seed> || ' ghost feature ' || n)::uuid, {_TENANT.format(n="1")}, {_GHOST.format(n="'feature ' || n")},
      true, timestamptz '2023-01-01 00:00:00+00' FROM generate_series(1, {GHOSTS}) AS n
    """,
    # Private items, items of everybody (no tenant), items of deleted tenants, of deleted features, of no feature.
    f"""
    INSERT INTO sidebar_features
      (id, feature_id, tenant_id, sidebar_name, url_path, display_order, requires_permission, created_at, updated_at)
    SELECT md5(<seed> || ' item ' || kind || ' ' || n)::uuid,
      CASE kind WHEN 'ghost feature' THEN {_GHOST.format(n="'item ' || n")} WHEN 'no feature' THEN NULL
                ELSE {_FLAG.format(n=f"(1 + mod(n, {FLAGS}))")} END,
      CASE kind WHEN 'global' THEN NULL WHEN 'ghost tenant' THEN {_GHOST.format(n="'owner ' || n")}
                ELSE {_TENANT.format(n="(1 + mod(n, <tenants>))")} END,
      kind || ' item ' || n, '/' || replace(kind, ' ', '-') || '/' || n, n,
      CASE WHEN mod(n, 3) = 0 THEN 'reports:read' END,
      timestamptz '2023-01-01 00:00:00+00', timestamptz '2023-01-01 00:00:00+00'
    FROM (VALUES ('private', 2 * <tenants>), ('global', 6), ('ghost tenant', {GHOSTS}),
      ('ghost feature', {GHOSTS}), ('no feature', 3)) AS kinds (kind, amount), generate_series(1, amount) AS n
    """,
    f"""
    INSERT INTO tenant_moves (profile_id, from_tenant, to_tenant, moved_at)
    SELECT {_PROFILE.format(n="n")}, {_TENANT.format(n="1")}::text, 'default', timestamptz '2024-02-01 00:00:00+00'
    FROM generate_series(1, LEAST(<profiles>, 20)) AS n
    """,
)

AUTH: Final = (
    # Supabase's arrangement: the schema and its tables belong to a role of their own, and are not the application's to
    # touch. Who may not make roles or schemas does without; a schema that is there is somebody's and stays as it is.
    """
    DO $$
    BEGIN
      IF to_regnamespace('auth') IS NOT NULL
         OR NOT has_database_privilege(current_database(), 'CREATE') THEN
        RETURN;
      END IF;
      CREATE SCHEMA auth;
      CREATE TABLE auth.users (
        id uuid PRIMARY KEY,
        email text,
        encrypted_password text,
        raw_app_meta_data jsonb NOT NULL DEFAULT '{}',
        created_at timestamptz NOT NULL DEFAULT now());
      CREATE TABLE auth.identities (
        id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
        user_id uuid NOT NULL REFERENCES auth.users (id) ON DELETE CASCADE,
        provider text NOT NULL DEFAULT 'email');
      INSERT INTO auth.users (id, email, raw_app_meta_data, created_at)
        SELECT id, email, jsonb_build_object('tenant_id', tenant_id), created_at
        FROM profiles ORDER BY id LIMIT 1000;
      INSERT INTO auth.identities (id, user_id) SELECT id, id FROM auth.users;
      IF (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user) THEN
        BEGIN
          CREATE ROLE supabase_auth_admin NOLOGIN NOINHERIT;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
          NULL;
        END;
        ALTER TABLE auth.identities OWNER TO supabase_auth_admin;
        ALTER TABLE auth.users OWNER TO supabase_auth_admin;
        ALTER SCHEMA auth OWNER TO supabase_auth_admin;
      END IF;
    END $$
    """,
)
