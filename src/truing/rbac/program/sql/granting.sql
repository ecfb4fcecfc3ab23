-- name: grant_role
-- Give a profile a role of its tenant, or change the time for which it has it. Returns the tenant's version from this
-- transaction on: a reader that has seen it has seen the grant.
CREATE OR REPLACE FUNCTION :"program".grant_role(
  p_tenant uuid, p_profile uuid, p_role text, p_valid_from timestamptz, p_expires_at timestamptz, p_by uuid
) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, :"schema", pg_temp AS $body$
DECLARE
  wanted integer := (SELECT r.id FROM roles r WHERE r.tenant_id = p_tenant AND r.name = p_role);
BEGIN
  IF wanted IS NULL THEN
    RAISE EXCEPTION 'the tenant % has no role %', p_tenant, p_role USING ERRCODE = 'no_data_found';
  END IF;
  INSERT INTO user_roles AS ur (tenant_id, user_id, role_id, valid_from, expires_at, granted_by)
  VALUES (p_tenant, p_profile, wanted, p_valid_from, p_expires_at, p_by)
  ON CONFLICT (tenant_id, user_id, role_id)
  DO UPDATE SET valid_from = EXCLUDED.valid_from, expires_at = EXCLUDED.expires_at,
                granted_by = COALESCE(EXCLUDED.granted_by, ur.granted_by), updated_at = now();
  RETURN (SELECT v.version FROM tenant_rbac_versions v WHERE v.tenant_id = p_tenant);
END
$body$;

-- name: revoke_role
-- Take a role away. Returns the tenant's version from this transaction on; NULL where the profile did not have it.
CREATE OR REPLACE FUNCTION :"program".revoke_role(p_tenant uuid, p_profile uuid, p_role text) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, :"schema", pg_temp AS $body$
BEGIN
  DELETE FROM user_roles ur USING roles r
  WHERE ur.tenant_id = p_tenant AND ur.user_id = p_profile
    AND r.tenant_id = p_tenant AND r.id = ur.role_id AND r.name = p_role;
  IF NOT FOUND THEN
    RETURN NULL;
  END IF;
  RETURN (SELECT v.version FROM tenant_rbac_versions v WHERE v.tenant_id = p_tenant);
END
$body$;
