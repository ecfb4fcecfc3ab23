-- name: masks-are-compiled
-- A role's compiled masks are what its grants say.
SELECT w.tenant_id::text AS tenant, w.role AS subject FROM :"program".wrong_masks() w

-- name: grants-stay-in-the-tenant
-- A profile has roles of its own tenant only, and of a tenant that is there.
SELECT ur.tenant_id::text AS tenant, ur.id::text AS subject FROM :"schema".user_roles ur
WHERE NOT EXISTS (SELECT FROM :"schema".profiles p WHERE p.tenant_id = ur.tenant_id AND p.id = ur.user_id)
   OR NOT EXISTS (SELECT FROM :"schema".roles r WHERE r.tenant_id = ur.tenant_id AND r.id = ur.role_id)
   OR NOT EXISTS (SELECT FROM :"schema".tenants t WHERE t.id = ur.tenant_id)

-- name: role-permissions-stay-in-the-tenant
-- A role's permission is of the role's tenant, and of a permission that is there.
SELECT rp.tenant_id::text AS tenant, rp.role_id::text AS subject FROM :"schema".role_permissions rp
WHERE NOT EXISTS (SELECT FROM :"schema".roles r WHERE r.tenant_id = rp.tenant_id AND r.id = rp.role_id)
   OR NOT EXISTS (SELECT FROM :"schema".permissions p WHERE p.id = rp.permission_id)

-- name: inheritance-stays-in-the-tenant
-- A role inherits from, and hands out, roles of its own tenant only.
SELECT x.tenant_id::text AS tenant, x.role_id::text AS subject
FROM (SELECT tenant_id, role_id, parent_id AS other_id FROM :"schema".role_inherits
      UNION ALL SELECT tenant_id, role_id, grantable_role_id FROM :"schema".role_grants) x
WHERE NOT EXISTS (SELECT FROM :"schema".roles r WHERE r.tenant_id = x.tenant_id AND r.id = x.role_id)
   OR NOT EXISTS (SELECT FROM :"schema".roles r WHERE r.tenant_id = x.tenant_id AND r.id = x.other_id)

-- name: no-role-inherits-from-itself
-- No role inherits from itself over others: its roles then are all one, which is hardly meant.
WITH RECURSIVE up AS (
  SELECT tenant_id, role_id, parent_id FROM :"schema".role_inherits
  UNION
  SELECT up.tenant_id, up.role_id, i.parent_id
  FROM up JOIN :"schema".role_inherits i ON i.tenant_id = up.tenant_id AND i.role_id = up.parent_id
)
SELECT up.tenant_id::text AS tenant, up.role_id::text AS subject FROM up WHERE up.role_id = up.parent_id

-- name: shown-roles-exist
-- The role that a profile shows is one of its tenant.
SELECT p.tenant_id::text AS tenant, p.id::text AS subject FROM :"schema".profiles p
WHERE p.role IS NOT NULL
  AND NOT EXISTS (SELECT FROM :"schema".roles r WHERE r.tenant_id = p.tenant_id AND r.name = p.role)

-- name: no-nil-tenant-is-active
-- The sentinel tenant of migrations, where it is there, is not active.
SELECT t.id::text AS tenant, t.slug AS subject FROM :"schema".tenants t
WHERE t.id = '00000000-0000-0000-0000-000000000000' AND t.is_active

-- name: every-tenant-has-a-version
-- Every tenant has the version that caches compare.
SELECT t.id::text AS tenant, t.slug AS subject FROM :"schema".tenants t
WHERE NOT EXISTS (SELECT FROM :"schema".tenant_rbac_versions v WHERE v.tenant_id = t.id)

-- name: sidebar-items-can-be-reached
-- A sidebar item requires a permission that is there, is of a tenant or of everybody and not both, and stays on the site.
SELECT s.tenant_id::text AS tenant, s.id::text AS subject FROM :"schema".sidebar_features s
WHERE (s.requires_permission IS NOT NULL
       AND NOT EXISTS (SELECT FROM :"schema".permissions p WHERE p.name = s.requires_permission))
   OR (s.is_global AND s.tenant_id IS NOT NULL)
   OR s.url_path !~ '^/([^/\\]|$)'

-- name: bits-are-distinct
-- Each permission has a bit of its own, within the mask.
SELECT NULL::text AS tenant, p.name AS subject FROM :"schema".permissions p
WHERE p.bit_no NOT BETWEEN 0 AND 1023
   OR EXISTS (SELECT FROM :"schema".permissions q WHERE q.bit_no = p.bit_no AND q.id <> p.id)

-- name: triggers-are-on
-- Every trigger of the program is there and switched on.
SELECT NULL::text AS tenant, w.table_name || '.' || w.trigger_name AS subject
FROM (VALUES :triggers) AS w(table_name, trigger_name)
WHERE NOT EXISTS (
  SELECT FROM pg_catalog.pg_trigger g JOIN pg_catalog.pg_class c ON c.oid = g.tgrelid
  WHERE c.relnamespace = :'schema'::regnamespace AND c.relname = w.table_name AND g.tgname = w.trigger_name
    AND g.tgenabled IN ('O', 'A'))

-- name: functions-are-there
-- Every function of the program is there, and the public may call none of them.
SELECT NULL::text AS tenant, w.function_name AS subject
FROM (VALUES :functions) AS w(function_name)
WHERE NOT EXISTS (
  SELECT FROM pg_catalog.pg_proc p
  WHERE p.pronamespace = :'program'::regnamespace AND p.proname = w.function_name
    AND NOT has_function_privilege('public', p.oid, 'EXECUTE'))

-- name: foreign-keys-are-validated
-- Every foreign key of the tables has been checked against every row.
SELECT NULL::text AS tenant, c.conname::text AS subject FROM pg_catalog.pg_constraint c
WHERE c.connamespace = :'schema'::regnamespace AND c.contype IN ('f', 'c') AND NOT c.convalidated

-- name: row-security-is-forced
-- Row security holds on every table of a tenant's rows, for the owner too.
SELECT NULL::text AS tenant, c.relname::text AS subject FROM pg_catalog.pg_class c
WHERE c.relnamespace = :'schema'::regnamespace AND c.relkind = 'r' AND c.relname IN (:tables)
  AND NOT (c.relrowsecurity AND c.relforcerowsecurity)

-- name: tenants-are-isolated
-- Each table of a tenant's rows has the policy tenant_isolation, and no policy gives the application rows without asking current_tenant().
WITH tables AS (
  SELECT c.oid, c.relname::text AS name, bool_or(c.relforcerowsecurity) OVER () AS forced FROM pg_catalog.pg_class c
  WHERE c.relnamespace = :'schema'::regnamespace AND c.relkind = 'r' AND c.relname IN (:tables)
), policies AS (
  SELECT t.name, t.forced, p.* FROM tables t JOIN pg_catalog.pg_policy p ON p.polrelid = t.oid
), applications AS (
  SELECT DISTINCT r AS role FROM policies p, unnest(p.polroles) r WHERE p.polname = 'tenant_isolation' AND r <> 0
)
-- Before rbac_row_security there is no policy of these names, and nothing is forced.
SELECT NULL::text AS tenant, 'no tenant_isolation on ' || t.name AS subject FROM tables t
WHERE (t.forced OR EXISTS (SELECT FROM policies p WHERE p.polname IN ('tenant_isolation', 'rbac_admin_all')))
  AND NOT EXISTS (SELECT FROM policies p WHERE p.polrelid = t.oid AND p.polname = 'tenant_isolation')
UNION ALL
SELECT NULL, p.polname || ' on ' || p.name FROM policies p
WHERE p.polpermissive
  AND EXISTS (SELECT FROM unnest(p.polroles) r WHERE r = 0
              OR EXISTS (SELECT FROM applications a WHERE pg_catalog.pg_has_role(a.role, r, 'MEMBER')))
  -- What it calls is in the catalog; the text says whether in this one of its expressions.
  AND EXISTS (
    SELECT FROM (VALUES (p.polqual), (p.polwithcheck)) e(tree)
    WHERE e.tree IS NOT NULL
      AND (pg_catalog.strpos(pg_catalog.pg_get_expr(e.tree, p.polrelid), 'current_tenant()') = 0
           OR NOT EXISTS (
             SELECT FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_proc f ON f.oid = d.refobjid
             WHERE d.classid = 'pg_catalog.pg_policy'::regclass AND d.objid = p.oid
               AND d.refclassid = 'pg_catalog.pg_proc'::regclass
               AND f.pronamespace = :'program'::regnamespace AND f.proname = 'current_tenant')))
  -- Those of the legacy database that ask a token's claims, which a tighter binding does not suffer.
  AND NOT ((:'bind' = 'setting' OR NOT p.forced)
           AND (p.name, p.polname) IN (('profiles', 'profiles_jwt_read'), ('sidebar_features', 'sidebar_features_jwt_read'))
           AND pg_catalog.strpos(pg_catalog.pg_get_expr(p.polqual, p.polrelid), 'jwt_tenant_id()') > 0)
  -- Until rbac_row_security_forced, what was seen before is seen.
  AND NOT (NOT p.forced AND p.polname IN (
    'truing_transition', 'profiles_tenant_isolation', 'sidebar_features_tenant_isolation'))

-- name: application-only-reads
-- Once row security is forced, the application's role (that of tenant_isolation) writes no table of a tenant's rows.
WITH tables AS (
  SELECT c.oid, c.relname::text AS name, bool_or(c.relforcerowsecurity) OVER () AS forced FROM pg_catalog.pg_class c
  WHERE c.relnamespace = :'schema'::regnamespace AND c.relkind = 'r' AND c.relname IN (:tables)
), applications AS (
  SELECT DISTINCT r AS role FROM tables t JOIN pg_catalog.pg_policy p ON p.polrelid = t.oid, unnest(p.polroles) r
  WHERE p.polname = 'tenant_isolation' AND r <> 0
)
SELECT NULL::text AS tenant, a.role::regrole::text || ': ' || w.privilege || ' on ' || t.name AS subject
FROM tables t CROSS JOIN applications a
CROSS JOIN (VALUES ('INSERT'), ('UPDATE'), ('DELETE'), ('TRUNCATE')) AS w(privilege)
WHERE t.forced
  AND CASE WHEN w.privilege IN ('INSERT', 'UPDATE')
           THEN pg_catalog.has_any_column_privilege(a.role, t.oid, w.privilege)
           ELSE pg_catalog.has_table_privilege(a.role, t.oid, w.privilege) END
