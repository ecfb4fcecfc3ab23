-- name: mask_of
-- All that this profile may do now: the compiled masks of its roles in force, deny before allow. NULL for a profile
-- that is not active, or not in this tenant, or whose tenant is not active. Everything is looked up by a key: without
-- sequential scans, because small tables fill so few pages that the planner would rather read all of their rows.
CREATE OR REPLACE FUNCTION :"program".mask_of(p_tenant uuid, p_profile uuid) RETURNS bit(1024)
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, :"schema", pg_temp SET enable_seqscan = off AS $body$
BEGIN
  RETURN (
    SELECT bit_or(r.allow_mask) & ~bit_or(r.deny_mask)
    FROM user_roles ur JOIN roles r ON r.tenant_id = ur.tenant_id AND r.id = ur.role_id
    WHERE ur.tenant_id = p_tenant AND ur.user_id = p_profile
      AND (ur.valid_from IS NULL OR ur.valid_from <= now()) AND (ur.expires_at IS NULL OR ur.expires_at > now())
      AND EXISTS (SELECT FROM profiles p JOIN tenants t ON t.id = p.tenant_id AND t.is_active
                  WHERE p.tenant_id = p_tenant AND p.id = p_profile AND p.active));
END
$body$;

-- name: can
-- May this profile do this now? The permission is found by a sub-select of its own: joined by name, the planner would
-- not begin with it. False for what is not there. As above, by keys alone.
CREATE OR REPLACE FUNCTION :"program".can(p_tenant uuid, p_profile uuid, p_permission text) RETURNS boolean
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, :"schema", pg_temp SET enable_seqscan = off AS $body$
BEGIN
  RETURN (
    SELECT COALESCE(get_bit(bit_or(r.allow_mask) & ~bit_or(r.deny_mask),
                            (SELECT pm.bit_no FROM permissions pm WHERE pm.name = p_permission)) = 1, false)
    FROM user_roles ur JOIN roles r ON r.tenant_id = ur.tenant_id AND r.id = ur.role_id
    WHERE ur.tenant_id = p_tenant AND ur.user_id = p_profile
      AND (ur.valid_from IS NULL OR ur.valid_from <= now()) AND (ur.expires_at IS NULL OR ur.expires_at > now())
      AND EXISTS (SELECT FROM profiles p JOIN tenants t ON t.id = p.tenant_id AND t.is_active
                  WHERE p.tenant_id = p_tenant AND p.id = p_profile AND p.active));
END
$body$;

-- name: can_many
-- The same for several permissions, each answered once, in the order asked.
CREATE OR REPLACE FUNCTION :"program".can_many(p_tenant uuid, p_profile uuid, p_permissions text[])
RETURNS TABLE(permission text, allowed boolean)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, :"schema", pg_temp AS $body$
DECLARE
  mask bit(1024) := :"program".mask_of(p_tenant, p_profile);
BEGIN
  RETURN QUERY
    SELECT asked.name, COALESCE(get_bit(mask, pm.bit_no) = 1, false)
    FROM (SELECT a.name, min(a.position) AS position
          FROM unnest(p_permissions) WITH ORDINALITY AS a(name, position) GROUP BY a.name) asked
    LEFT JOIN permissions pm ON pm.name = asked.name
    ORDER BY asked.position;
END
$body$;

-- name: permissions_of
-- Every permission that this profile has now, wildcards included.
CREATE OR REPLACE FUNCTION :"program".permissions_of(p_tenant uuid, p_profile uuid) RETURNS TABLE(permission text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, :"schema", pg_temp AS $body$
DECLARE
  mask bit(1024) := :"program".mask_of(p_tenant, p_profile);
BEGIN
  RETURN QUERY SELECT pm.name FROM permissions pm WHERE get_bit(mask, pm.bit_no) = 1 ORDER BY pm.name COLLATE "C";
END
$body$;

-- name: who_can
-- Every active profile of the tenant that may do this now.
CREATE OR REPLACE FUNCTION :"program".who_can(p_tenant uuid, p_permission text) RETURNS TABLE(profile_id uuid)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, :"schema", pg_temp AS $body$
DECLARE
  bit_wanted smallint := (SELECT pm.bit_no FROM permissions pm WHERE pm.name = p_permission);
BEGIN
  IF bit_wanted IS NULL THEN
    RETURN;
  END IF;
  RETURN QUERY
    SELECT ur.user_id
    FROM (SELECT r.id, get_bit(r.allow_mask, bit_wanted) AS allows, get_bit(r.deny_mask, bit_wanted) AS denies
          FROM roles r WHERE r.tenant_id = p_tenant) r
    JOIN user_roles ur ON ur.tenant_id = p_tenant AND ur.role_id = r.id
    JOIN profiles p ON p.tenant_id = p_tenant AND p.id = ur.user_id AND p.active
    JOIN tenants t ON t.id = p_tenant AND t.is_active
    WHERE (r.allows = 1 OR r.denies = 1)
      AND (ur.valid_from IS NULL OR ur.valid_from <= now()) AND (ur.expires_at IS NULL OR ur.expires_at > now())
    GROUP BY ur.user_id
    HAVING max(r.allows) = 1 AND max(r.denies) = 0
    ORDER BY ur.user_id;
END
$body$;

-- name: tenants_of
-- Where is this profile active? Asked before a tenant is chosen, so it has to see past the row security of one.
CREATE OR REPLACE FUNCTION :"program".tenants_of(p_profile uuid) RETURNS TABLE(tenant_id uuid, slug text, name text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, :"schema", pg_temp AS $body$
BEGIN
  RETURN QUERY
    SELECT t.id, t.slug, t.name FROM profiles p JOIN tenants t ON t.id = p.tenant_id
    WHERE p.id = p_profile AND p.active AND t.is_active ORDER BY t.slug COLLATE "C";
END
$body$;

-- name: sidebar
-- The items that this profile sees: the flag is on, and the feature it requires, and the permission it requires is
-- held. A rollout takes the same profiles each time: the first 32 bits of md5(flag:profile), modulo 10,000. What the
-- planner thinks of random pages is what they cost in memory, so that it looks up the permissions of the items that are
-- left, and does not read all there are. The two IFs are two, because an expression with a sub-select is a query, which
-- is begun even where the sub-select is not needed.
CREATE OR REPLACE FUNCTION :"program".sidebar(p_tenant uuid, p_profile uuid)
RETURNS TABLE(id uuid, sidebar_name text, url_path text, icon text, group_name text, display_order integer)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, :"schema", pg_temp SET random_page_cost = 1.1 AS $body$
DECLARE
  mask bit(1024) := :"program".mask_of(p_tenant, p_profile);
BEGIN
  IF mask IS NULL THEN
    IF NOT EXISTS (SELECT FROM profiles p JOIN tenants t ON t.id = p.tenant_id AND t.is_active
                   WHERE p.tenant_id = p_tenant AND p.id = p_profile AND p.active) THEN
      RETURN;
    END IF;
  END IF;
  RETURN QUERY
    WITH flags AS MATERIALIZED (
      SELECT f.id FROM feature_flags f
      LEFT JOIN tenant_features tf ON tf.feature_id = f.id AND tf.tenant_id = p_tenant
        AND (tf.expires_at IS NULL OR tf.expires_at > now())
      WHERE f.archived_at IS NULL AND COALESCE(tf.is_enabled, f.default_enabled)
        AND (COALESCE(tf.rollout_percentage, f.rollout_percentage) = 100
             OR ('x' || substr(md5(f.id::text || ':' || p_profile::text), 1, 8))::bit(32)::bigint % 10000
                < COALESCE(tf.rollout_percentage, f.rollout_percentage) * 100)
    )
    SELECT i.id, i.sidebar_name, i.url_path, i.icon, i.group_name, i.display_order
    FROM sidebar_features i
    WHERE (i.tenant_id = p_tenant OR i.is_global)
      -- A join instead would be planned for the one row that row security lets the planner expect.
      AND (i.feature_id IN (SELECT f.id FROM flags f)) IS TRUE
      AND (i.requires_feature IS NULL OR i.requires_feature IN (SELECT f.id FROM flags f))
      AND (i.requires_permission IS NULL
           OR get_bit(mask, (SELECT pm.bit_no FROM permissions pm WHERE pm.name = i.requires_permission)) = 1)
    ORDER BY i.display_order, i.sidebar_name COLLATE "C", i.id;
END
$body$;

-- name: why
-- Every path from a role of the profile to a grant of the permission: allowing and denying, in force or not.
CREATE OR REPLACE FUNCTION :"program".why(p_tenant uuid, p_profile uuid, p_permission text)
RETURNS TABLE(role text, via text[], granted text, effect text, valid_from timestamptz, expires_at timestamptz, in_force boolean)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, :"schema", pg_temp AS $body$
BEGIN
  RETURN QUERY
    WITH RECURSIVE paths AS (
      SELECT ur.id AS grant_id, ur.role_id, ARRAY[ur.role_id] AS ids, ARRAY[r.name] AS names
      FROM user_roles ur JOIN roles r ON r.tenant_id = ur.tenant_id AND r.id = ur.role_id
      WHERE ur.tenant_id = p_tenant AND ur.user_id = p_profile
      UNION ALL
      SELECT p.grant_id, i.parent_id, p.ids || i.parent_id, p.names || r.name
      FROM paths p
      JOIN role_inherits i ON i.tenant_id = p_tenant AND i.role_id = p.role_id
      JOIN roles r ON r.tenant_id = p_tenant AND r.id = i.parent_id
      WHERE i.parent_id <> ALL (p.ids)
    )
    SELECT p.names[1], p.names, pm.name, rp.effect, ur.valid_from, ur.expires_at,
           (ur.valid_from IS NULL OR ur.valid_from <= now()) AND (ur.expires_at IS NULL OR ur.expires_at > now())
    FROM paths p
    JOIN user_roles ur ON ur.id = p.grant_id
    JOIN role_permissions rp ON rp.tenant_id = p_tenant AND rp.role_id = p.role_id
    JOIN permissions pm ON pm.id = rp.permission_id
    WHERE EXISTS (SELECT FROM permissions asked WHERE asked.name = p_permission)
      AND (pm.name = p_permission
           OR (right(pm.name, 1) = '*' AND starts_with(p_permission, left(pm.name, -1))))
    ORDER BY rp.effect DESC, cardinality(p.names), p.names COLLATE "C", pm.name COLLATE "C";
END
$body$;

-- name: standing
-- What a cache keeps of a profile: the version its mask belongs to, the mask as a string of bits, and the seconds until
-- a grant begins or ends. One row, from one snapshot; no row for a tenant that is not there.
CREATE OR REPLACE FUNCTION :"program".standing(p_tenant uuid, p_profile uuid)
RETURNS TABLE(version bigint, mask bit(1024), seconds double precision)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, :"schema", pg_temp AS $body$
BEGIN
  RETURN QUERY
    SELECT COALESCE(v.version, 0), :"program".mask_of(p_tenant, p_profile),
      (SELECT extract(epoch FROM min(edge.at) - now())::double precision
       FROM user_roles ur, LATERAL (VALUES (ur.valid_from), (ur.expires_at)) AS edge(at)
       WHERE ur.tenant_id = p_tenant AND ur.user_id = p_profile AND edge.at > now())
    FROM tenants t LEFT JOIN tenant_rbac_versions v ON v.tenant_id = t.id WHERE t.id = p_tenant;
END
$body$;

-- name: state_of
-- Whether tenant and profile are active (NULL where they are not there) and the permission is known; always one row.
CREATE OR REPLACE FUNCTION :"program".state_of(p_tenant uuid, p_profile uuid, p_permission text)
RETURNS TABLE(tenant_active boolean, profile_active boolean, known boolean)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, :"schema", pg_temp AS $body$
BEGIN
  RETURN QUERY SELECT
    (SELECT t.is_active FROM tenants t WHERE t.id = p_tenant),
    (SELECT p.active FROM profiles p WHERE p.tenant_id = p_tenant AND p.id = p_profile),
    EXISTS (SELECT FROM permissions pm WHERE pm.name = p_permission);
END
$body$;

-- name: versions_of
-- The versions of these tenants, for a cache that keeps answers of several: a number says nothing about a tenant, so
-- it may be seen past the row security of one.
CREATE OR REPLACE FUNCTION :"program".versions_of(p_tenants uuid[]) RETURNS TABLE(tenant_id uuid, version bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, :"schema", pg_temp AS $body$
BEGIN
  RETURN QUERY
    SELECT t.id, COALESCE(v.version, 0)
    FROM tenants t LEFT JOIN tenant_rbac_versions v ON v.tenant_id = t.id WHERE t.id = ANY (p_tenants);
END
$body$;

-- name: catalogue
-- Which bit stands for which permission, and the tenant's version in the same snapshot; no row for no tenant.
CREATE OR REPLACE FUNCTION :"program".catalogue(p_tenant uuid)
RETURNS TABLE(version bigint, names text[], bits integer[])
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, :"schema", pg_temp AS $body$
BEGIN
  RETURN QUERY
    SELECT COALESCE(v.version, 0), p.names, p.bits
    FROM tenants t LEFT JOIN tenant_rbac_versions v ON v.tenant_id = t.id
    CROSS JOIN (SELECT array_agg(pm.name ORDER BY pm.name) AS names, array_agg(pm.bit_no::integer ORDER BY pm.name) AS bits
                FROM permissions pm) p
    WHERE t.id = p_tenant;
END
$body$;
