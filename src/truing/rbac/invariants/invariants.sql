-- name: masks-are-compiled
-- A role's compiled masks are what its grants say.
-- do: Compile them again with `truing rbac install`.
SELECT w.tenant_id::text AS tenant, w.role AS subject FROM :"program".wrong_masks() w

-- name: grants-stay-in-the-tenant
-- A profile has roles of its own tenant only, and of a tenant that is there.
-- do: Delete these rows of user_roles, and grant what was meant with `truing rbac grant`.
SELECT ur.tenant_id::text AS tenant, ur.id::text AS subject FROM :"schema".user_roles ur
WHERE NOT EXISTS (SELECT FROM :"schema".profiles p WHERE p.tenant_id = ur.tenant_id AND p.id = ur.user_id)
   OR NOT EXISTS (SELECT FROM :"schema".roles r WHERE r.tenant_id = ur.tenant_id AND r.id = ur.role_id)
   OR NOT EXISTS (SELECT FROM :"schema".tenants t WHERE t.id = ur.tenant_id)

-- name: role-permissions-stay-in-the-tenant
-- A role's permission is of the role's tenant, and of a permission that is there.
-- do: Delete these rows of role_permissions, and allow what was meant with `truing rbac role add`.
SELECT rp.tenant_id::text AS tenant, rp.role_id::text AS subject FROM :"schema".role_permissions rp
WHERE NOT EXISTS (SELECT FROM :"schema".roles r WHERE r.tenant_id = rp.tenant_id AND r.id = rp.role_id)
   OR NOT EXISTS (SELECT FROM :"schema".permissions p WHERE p.id = rp.permission_id)

-- name: inheritance-stays-in-the-tenant
-- A role inherits from, and hands out, roles of its own tenant only.
-- do: Delete these rows of role_inherits or role_grants, and say what was meant with `truing rbac role add`.
SELECT x.tenant_id::text AS tenant, x.role_id::text AS subject
FROM (SELECT tenant_id, role_id, parent_id AS other_id FROM :"schema".role_inherits
      UNION ALL SELECT tenant_id, role_id, grantable_role_id FROM :"schema".role_grants) x
WHERE NOT EXISTS (SELECT FROM :"schema".roles r WHERE r.tenant_id = x.tenant_id AND r.id = x.role_id)
   OR NOT EXISTS (SELECT FROM :"schema".roles r WHERE r.tenant_id = x.tenant_id AND r.id = x.other_id)

-- name: no-role-inherits-from-itself
-- No role inherits from itself over others: its roles then are all one, which is hardly meant.
-- do: Delete one row of role_inherits from each circle.
WITH RECURSIVE up AS (
  SELECT tenant_id, role_id, parent_id FROM :"schema".role_inherits
  UNION
  SELECT up.tenant_id, up.role_id, i.parent_id
  FROM up JOIN :"schema".role_inherits i ON i.tenant_id = up.tenant_id AND i.role_id = up.parent_id
)
SELECT up.tenant_id::text AS tenant, up.role_id::text AS subject FROM up WHERE up.role_id = up.parent_id

-- name: shown-roles-exist
-- The role that a profile shows is one of its tenant.
-- do: Set profiles.role to NULL or to a role of the tenant.
SELECT p.tenant_id::text AS tenant, p.id::text AS subject FROM :"schema".profiles p
WHERE p.role IS NOT NULL
  AND NOT EXISTS (SELECT FROM :"schema".roles r WHERE r.tenant_id = p.tenant_id AND r.name = p.role)

-- name: no-nil-tenant-is-active
-- The sentinel tenant of migrations, where it is there, is not active.
-- do: Set is_active of the sentinel to false, and settle its rows with `truing quarantine`.
SELECT t.id::text AS tenant, t.slug AS subject FROM :"schema".tenants t
WHERE t.id = '00000000-0000-0000-0000-000000000000' AND t.is_active

-- name: every-tenant-has-a-version
-- Every tenant has the version that caches compare.
-- do: Insert the tenant into tenant_rbac_versions; what is missing there, no cache hears of.
SELECT t.id::text AS tenant, t.slug AS subject FROM :"schema".tenants t
WHERE NOT EXISTS (SELECT FROM :"schema".tenant_rbac_versions v WHERE v.tenant_id = t.id)

-- name: sidebar-items-can-be-reached
-- A sidebar item requires a permission that is there, is of a tenant or of everybody and not both, and stays on the site.
-- do: Correct requires_permission, the tenant or url_path of these items.
SELECT s.tenant_id::text AS tenant, s.id::text AS subject FROM :"schema".sidebar_features s
WHERE (s.requires_permission IS NOT NULL
       AND NOT EXISTS (SELECT FROM :"schema".permissions p WHERE p.name = s.requires_permission))
   OR (s.is_global AND s.tenant_id IS NOT NULL)
   OR s.url_path !~ '^/([^/\\]|$)'

-- name: bits-are-distinct
-- Each permission has a bit of its own, within the mask.
-- do: Give each permission a bit_no of its own from 0 to 1023, then run `truing rbac install`.
SELECT NULL::text AS tenant, p.name AS subject FROM :"schema".permissions p
WHERE p.bit_no NOT BETWEEN 0 AND 1023
   OR EXISTS (SELECT FROM :"schema".permissions q WHERE q.bit_no = p.bit_no AND q.id <> p.id)

-- name: triggers-are-on
-- Every trigger of the program is there and switched on.
-- do: Run `truing rbac install`, or ALTER TABLE ... ENABLE TRIGGER, and verify again: what happened meanwhile went unguarded.
SELECT NULL::text AS tenant, w.table_name || '.' || w.trigger_name AS subject
FROM (VALUES :triggers) AS w(table_name, trigger_name)
WHERE NOT EXISTS (
  SELECT FROM pg_catalog.pg_trigger g JOIN pg_catalog.pg_class c ON c.oid = g.tgrelid
  WHERE c.relnamespace = :'schema'::regnamespace AND c.relname = w.table_name AND g.tgname = w.trigger_name
    AND g.tgenabled IN ('O', 'A'))

-- name: functions-are-there
-- Every function of the program is there, and the public may call none of them.
-- do: Run `truing rbac install`, which makes what is missing and takes it from the public.
SELECT NULL::text AS tenant, w.function_name AS subject
FROM (VALUES :functions) AS w(function_name)
WHERE NOT EXISTS (
  SELECT FROM pg_catalog.pg_proc p
  WHERE p.pronamespace = :'program'::regnamespace AND p.proname = w.function_name
    AND NOT has_function_privilege('public', p.oid, 'EXECUTE'))

-- name: foreign-keys-are-validated
-- Every foreign key of the tables has been checked against every row.
-- do: Run ALTER TABLE ... VALIDATE CONSTRAINT; it names the rows that do not fit.
SELECT NULL::text AS tenant, c.conname::text AS subject FROM pg_catalog.pg_constraint c
WHERE c.connamespace = :'schema'::regnamespace AND c.contype IN ('f', 'c') AND NOT c.convalidated
