-- name: guard_grant
-- Trigger of user_roles, for each row: a profile hands out, changes and takes back only those roles that one of its
-- own roles may (role_grants). The profile is granted_by, and the one in app.actor where that is set: they must be the
-- same, so that nobody grants in another's name. Without either it is an operator, whom the table's privileges hold.
CREATE OR REPLACE FUNCTION :"program".guard_grant() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, :"schema", pg_temp AS $body$
DECLARE
  actor uuid := :"program".current_actor();
  refused text;
BEGIN
  IF TG_OP <> 'DELETE' THEN
    IF TG_OP = 'INSERT' THEN
      NEW.granted_by := COALESCE(NEW.granted_by, actor);
    ELSIF NEW.granted_by IS NOT DISTINCT FROM OLD.granted_by THEN
      -- A grant that is changed is, from then on, the grant of who changes it.
      NEW.granted_by := COALESCE(actor, NEW.granted_by);
    END IF;
    IF actor IS NOT NULL AND NEW.granted_by IS DISTINCT FROM actor THEN
      RAISE EXCEPTION 'profile % cannot grant in the name of profile %', actor, NEW.granted_by
        USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'role_grants', TABLE = TG_TABLE_NAME;
    END IF;
    IF TG_OP = 'INSERT' OR NEW.granted_by IS DISTINCT FROM OLD.granted_by THEN
      actor := NEW.granted_by;
    END IF;
  END IF;
  IF actor IS NULL THEN
    RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
  END IF;
  IF TG_OP <> 'INSERT' AND NOT :"program".may_grant(OLD.tenant_id, actor, OLD.role_id) THEN
    refused := (SELECT r.name FROM roles r WHERE r.tenant_id = OLD.tenant_id AND r.id = OLD.role_id);
  ELSIF TG_OP <> 'DELETE' AND NOT :"program".may_grant(NEW.tenant_id, actor, NEW.role_id) THEN
    refused := (SELECT r.name FROM roles r WHERE r.tenant_id = NEW.tenant_id AND r.id = NEW.role_id);
    refused := COALESCE(refused, NEW.role_id::text);
  END IF;
  IF refused IS NOT NULL THEN
    RAISE EXCEPTION 'profile % may not hand out or take back the role %', actor, refused
      USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'role_grants', TABLE = TG_TABLE_NAME,
            HINT = 'A row of role_grants says which role may hand out which.';
  END IF;
  RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
END
$body$;

-- name: may_grant
-- Whether one of the profile's roles, now in force, may hand out this role of the same tenant.
CREATE OR REPLACE FUNCTION :"program".may_grant(p_tenant uuid, p_profile uuid, p_role integer) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, :"schema", pg_temp AS $body$
BEGIN
  RETURN EXISTS (
    SELECT FROM user_roles ur
    JOIN role_grants g ON g.tenant_id = ur.tenant_id AND g.role_id = ur.role_id AND g.grantable_role_id = p_role
    JOIN profiles p ON p.tenant_id = ur.tenant_id AND p.id = ur.user_id AND p.active
    JOIN tenants t ON t.id = ur.tenant_id AND t.is_active
    WHERE ur.tenant_id = p_tenant AND ur.user_id = p_profile
      AND (ur.valid_from IS NULL OR ur.valid_from <= now()) AND (ur.expires_at IS NULL OR ur.expires_at > now()));
END
$body$;
