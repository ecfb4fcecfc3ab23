-- What is asked about below, for WITH: a table of a tenant's rows; its policies; the roles of the application, which are
-- those of tenant_isolation; how PostgreSQL prints what such a policy says (whole), or a part of that. It leaves a
-- function's schema out where the search path finds that function, and only there.
tables AS (
  SELECT c.oid, c.relname::text AS name, c.relowner AS owner, bool_or(c.relforcerowsecurity) OVER () AS forced
  FROM pg_catalog.pg_class c
  WHERE c.relnamespace = :'schema'::regnamespace AND c.relkind = 'r' AND c.relname IN (:tables)
), policies AS (
  SELECT t.name, t.forced, pg_catalog.pg_get_expr(p.polqual, p.polrelid) AS shown,
         pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid) AS taken, p.*
  FROM tables t JOIN pg_catalog.pg_policy p ON p.polrelid = t.oid
), applications AS (
  SELECT DISTINCT r AS role FROM policies p, unnest(p.polroles) r WHERE p.polname = 'tenant_isolation' AND r <> 0
), call AS (
  SELECT CASE WHEN pg_catalog.pg_function_is_visible(f.oid) THEN '' ELSE pg_catalog.quote_ident(n.nspname) || '.' END
         || 'current_tenant()' AS tenant
  FROM pg_catalog.pg_proc f JOIN pg_catalog.pg_namespace n ON n.oid = f.pronamespace
  WHERE n.oid = :'program'::regnamespace AND f.proname = 'current_tenant' AND f.pronargs = 0
), declared AS (
  SELECT t.name, e.whole, pg_catalog.format(e.said, w.written) AS said
  FROM tables t CROSS JOIN call
  CROSS JOIN LATERAL (VALUES (call.tenant), ('( SELECT ' || call.tenant || ' AS current_tenant)')) w(written)
  CROSS JOIN LATERAL (VALUES
    (t.name NOT IN ('tenants', 'sidebar_features'), '(tenant_id = %s)'), (t.name = 'tenants', '(id = %s)'),
    (t.name = 'sidebar_features', '(is_global OR (tenant_id = %s))')) e(whole, said)
  WHERE e.whole OR t.name = 'sidebar_features' AND e.said = '(tenant_id = %s)'
)

-- name: row-security-is-forced
-- Row security holds on every table of a tenant's rows, for the owner too.
-- do: Run ALTER TABLE ... ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY; before rbac@head, upgrade to it.
SELECT NULL::text AS tenant, c.relname::text AS subject FROM pg_catalog.pg_class c
WHERE c.relnamespace = :'schema'::regnamespace AND c.relkind = 'r' AND c.relname IN (:tables)
  AND NOT (c.relrowsecurity AND c.relforcerowsecurity)

-- name: tenants-are-isolated
-- Each table of a tenant's rows has the policy tenant_isolation, and no policy gives the application more than the rows of current_tenant().
-- do: Drop the policy, give it to a role that is not the application's, or narrow it to tenant_id = current_tenant() AND what it says.
WITH :shared
-- Before rbac_row_security there is no policy of these names, and nothing is forced.
SELECT NULL::text AS tenant, 'no tenant_isolation on ' || t.name AS subject FROM tables t
WHERE (t.forced OR EXISTS (SELECT FROM policies p WHERE p.polname IN ('tenant_isolation', 'rbac_admin_all')))
  AND NOT EXISTS (SELECT FROM policies p WHERE p.polrelid = t.oid AND p.polname = 'tenant_isolation')
UNION ALL
SELECT NULL, p.polname || ' on ' || p.name FROM policies p
WHERE p.polpermissive
  AND EXISTS (SELECT FROM unnest(p.polroles) r WHERE r = 0
              OR EXISTS (SELECT FROM applications a WHERE pg_catalog.pg_has_role(a.role, r, 'MEMBER')))
  -- Anything but what is declared, and what narrows it, is wider or cannot be told from it. PostgreSQL prints every
  -- expression with its parentheses, so that what begins or ends like this is an AND of the whole.
  AND EXISTS (
    SELECT FROM (VALUES (p.shown), (p.taken)) e(said)
    WHERE e.said <> 'false' AND NOT EXISTS (
      SELECT FROM declared d
      WHERE d.name = p.name
        AND (e.said = d.said OR pg_catalog.starts_with(e.said, '(' || d.said || ' AND ')
             OR pg_catalog.right(e.said, pg_catalog.length(d.said) + 6) = ' AND ' || d.said || ')')))
  -- Those of the legacy database that ask a token's claims, which a tighter binding does not suffer.
  AND NOT ((:'bind' = 'setting' OR NOT p.forced) AND p.polcmd = 'r'
           AND (p.name, p.polname, pg_catalog.replace(p.shown, :'schema' || '.', '')) IN (
             ('profiles', 'profiles_jwt_read', '(tenant_id = jwt_tenant_id())'),
             ('profiles', 'profiles_jwt_read', '((tenant_id)::text = jwt_tenant_id())'),
             ('sidebar_features', 'sidebar_features_jwt_read', '((tenant_id IS NULL) OR ((tenant_id)::text = jwt_tenant_id()))'),
             ('sidebar_features', 'sidebar_features_jwt_read', '(is_global OR ((tenant_id)::text = jwt_tenant_id()))')))
  -- Until rbac_row_security_forced, what was seen before is seen.
  AND NOT (NOT p.forced AND p.polname IN (
    'truing_transition', 'profiles_tenant_isolation', 'sidebar_features_tenant_isolation'))

-- name: policies-are-as-declared
-- The policies tenant_isolation, rbac_admin_all and rbac_migration_all say what the revisions made them say.
-- do: Alter the policy back: tenant_isolation is FOR SELECT by current_tenant() as on the other tables, the other two are FOR ALL USING (true) WITH CHECK (true).
WITH :shared
SELECT NULL::text AS tenant, p.polname || ' on ' || p.name AS subject FROM policies p
WHERE CASE
  WHEN p.polname = 'tenant_isolation'
  THEN NOT (p.polpermissive AND p.polcmd = 'r' AND p.polroles <> '{0}'
            AND EXISTS (SELECT FROM declared d WHERE d.name = p.name AND d.whole AND d.said = p.shown))
  WHEN p.polname IN ('rbac_admin_all', 'rbac_migration_all')
  THEN NOT (p.polpermissive AND p.polcmd = '*' AND p.polroles <> '{0}'
            AND (p.shown, p.taken) IS NOT DISTINCT FROM ('true', 'true'))
  ELSE false END

-- name: application-only-reads
-- Once row security is forced, the application's role (that of tenant_isolation) writes no table of a tenant's rows.
-- do: Revoke the privilege from the role, or from PUBLIC where it comes from there; who writes is in rbac_admin.
WITH :shared
SELECT NULL::text AS tenant, a.role::regrole::text || ': ' || w.privilege || ' on ' || t.name AS subject
FROM tables t CROSS JOIN applications a
CROSS JOIN (VALUES ('INSERT'), ('UPDATE'), ('DELETE'), ('TRUNCATE')) AS w(privilege)
WHERE t.forced
  AND CASE WHEN w.privilege IN ('INSERT', 'UPDATE')
           THEN pg_catalog.has_any_column_privilege(a.role, t.oid, w.privilege)
           ELSE pg_catalog.has_table_privilege(a.role, t.oid, w.privilege) END

-- name: logins-are-held
-- Once row security is forced, no login of the application (a member of its role) is or can become a role that it does not hold for.
-- do: Take SUPERUSER or BYPASSRLS from the role, or the application's login out of it (REVOKE ... FROM ...); let another login own the tables and administer.
WITH RECURSIVE :shared, edges AS (
  -- From PostgreSQL 16 a membership may be one that gives nothing but the right to hand it on.
  SELECT m.member, m.roleid FROM pg_catalog.pg_auth_members m
  WHERE COALESCE((to_jsonb(m) ->> 'set_option')::boolean, true) OR COALESCE((to_jsonb(m) ->> 'inherit_option')::boolean, true)
), reach AS (
  SELECT r.oid AS login, r.oid AS role FROM pg_catalog.pg_roles r
  WHERE r.rolcanlogin OR r.oid IN (SELECT a.role FROM applications a)
  UNION
  SELECT up.login, e.roleid FROM reach up JOIN edges e ON e.member = up.role
), every AS (
  SELECT m.login, m.role, r.rolsuper, r.rolbypassrls FROM reach m JOIN pg_catalog.pg_roles r ON r.oid = m.role
  WHERE m.login IN (SELECT our.login FROM reach our JOIN applications a ON a.role = our.role)
)
SELECT NULL::text AS tenant,
       e.login::regrole::text || CASE WHEN e.role = e.login THEN '' ELSE ' can become ' || e.role::regrole END || ': ' || w.why
       AS subject
FROM every e CROSS JOIN LATERAL (
  SELECT 'SUPERUSER' WHERE e.rolsuper
  UNION ALL SELECT 'BYPASSRLS' WHERE e.rolbypassrls
  UNION ALL SELECT 'owns ' || string_agg(t.name, ', ' ORDER BY t.name) FROM tables t WHERE t.owner = e.role HAVING count(*) > 0
  UNION ALL SELECT 'sees every tenant' WHERE EXISTS (
    SELECT FROM policies p WHERE p.polpermissive AND p.shown = 'true' AND e.role = ANY (p.polroles))
) w(why)
-- The login of PostgREST may become the service role: that is how Supabase is made, and users-cannot-rise is for it.
WHERE :'bind' <> 'supabase' AND EXISTS (SELECT FROM tables t WHERE t.forced)

-- name: others-rows-are-hidden
-- Tried as the application's role, in a tenant and in none, no table and no view shows a row of another tenant.
-- do: Look at its policies, at a view's security_invoker, and at what current_tenant() answers.
-- first: probe.sql
SELECT NULL::text AS tenant, seen AS subject
FROM unnest(COALESCE(NULLIF(pg_catalog.current_setting('truing.seen', true), ''), '{}')::text[]) seen
