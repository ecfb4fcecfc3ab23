-- name: tenant_roles
-- Which tenant a login is for. A regrole is the role itself: one that is dropped and made again under the same name is
-- another one. Row security keeps it closed even where somebody grants SELECT on every table.
CREATE TABLE IF NOT EXISTS :"program".tenant_roles (
  role regrole NOT NULL CONSTRAINT pk_tenant_roles PRIMARY KEY,
  tenant_id uuid NOT NULL CONSTRAINT fk_tenant_roles_tenant REFERENCES :"schema".tenants (id) ON DELETE CASCADE,
  bound_at timestamptz NOT NULL DEFAULT now());

-- name: tenant_roles_index
-- For a tenant that is deleted.
CREATE INDEX IF NOT EXISTS idx_tenant_roles_tenant_id ON :"program".tenant_roles (tenant_id);

-- name: current_tenant
-- The tenant of the login; NULL for a login without one. It is session_user, which SET ROLE leaves alone and only a
-- superuser can change: a login that could become another tenant's role would be no boundary. A transaction that says
-- another tenant than its login's has come to the wrong pool, and sees nothing. Its cost has the planner look tenants up in
-- an index, which asks once, rather than ask for each row that it reads.
CREATE OR REPLACE FUNCTION :"program".current_tenant() RETURNS uuid
LANGUAGE plpgsql STABLE PARALLEL SAFE COST 1000 SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
  said text := NULLIF(current_setting(:'setting', true), '');
  bound uuid := (SELECT b.tenant_id FROM :"program".tenant_roles b WHERE b.role = to_regrole(quote_ident(session_user)));
BEGIN
  RETURN CASE WHEN said IS NULL OR lower(said) = bound::text THEN bound END;
END
$body$;

-- name: bind_role
-- Make a login one tenant's, or no tenant's (NULL). For who administers.
CREATE OR REPLACE FUNCTION :"program".bind_role(p_role text, p_tenant uuid) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
  found_role regrole := to_regrole(quote_ident(p_role));
BEGIN
  IF found_role IS NULL THEN
    RAISE EXCEPTION 'there is no role %', p_role USING ERRCODE = 'undefined_object';
  END IF;
  IF EXISTS (SELECT FROM pg_roles r WHERE r.oid = found_role AND (r.rolsuper OR r.rolbypassrls)) THEN
    RAISE EXCEPTION 'row security does not hold for the role %', p_role
      USING ERRCODE = 'invalid_parameter_value', HINT = 'Bind a role that is no superuser and has no BYPASSRLS.';
  END IF;
  DELETE FROM :"program".tenant_roles b WHERE b.role = found_role;
  IF p_tenant IS NOT NULL THEN
    INSERT INTO :"program".tenant_roles (role, tenant_id) VALUES (found_role, p_tenant);
  END IF;
END
$body$;
