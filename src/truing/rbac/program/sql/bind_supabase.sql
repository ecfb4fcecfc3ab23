-- name: current_tenant
-- The tenant of the claims that PostgREST has verified; NULL where there are none, where they name no tenant, and where
-- the user (sub) is no active profile of that tenant, or the tenant is not active: a token outlives what it says. The
-- claim is one that only an administrator writes, never one of user_metadata. What is no JSON or no uuid is an error.
-- Its cost has the planner look tenants up in an index, which asks once, rather than ask for each row that it reads.
CREATE OR REPLACE FUNCTION :"program".current_tenant() RETURNS uuid
LANGUAGE plpgsql STABLE PARALLEL SAFE COST 2000 SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
  claims jsonb := NULLIF(current_setting('request.jwt.claims', true), '')::jsonb;
  said uuid := NULLIF(claims #>> :'claim'::text[], '')::uuid;
  who uuid := NULLIF(claims ->> 'sub', '')::uuid;
BEGIN
  IF said IS NULL OR who IS NULL THEN
    RETURN NULL;
  END IF;
  RETURN (SELECT p.tenant_id FROM :"schema".profiles p JOIN :"schema".tenants t ON t.id = p.tenant_id AND t.is_active
          WHERE p.id = who AND p.tenant_id = said AND p.active);
END
$body$;

-- name: current_actor
-- The profile that acts in this transaction: the user of the claims, whatever else is said; without one, that of the
-- setting app.actor, for a service that writes on its own connection.
CREATE OR REPLACE FUNCTION :"program".current_actor() RETURNS uuid
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
  claims jsonb := NULLIF(current_setting('request.jwt.claims', true), '')::jsonb;
  said text := COALESCE(NULLIF(claims ->> 'sub', ''), current_setting('app.actor', true));
BEGIN
  RETURN CASE WHEN said ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN said::uuid END;
END
$body$;

-- name: follow_auth_user
-- Trigger of auth.users: a user whose app_metadata names a tenant has a profile of the same id in it. What a user says
-- of itself (raw_user_meta_data) is not read. Signing up never fails because of it: what does not fit makes no profile
-- and a warning. A tenant that is taken away deactivates the profile; another one moves it, without the roles that it had;
-- a user that is deleted takes the profile along. These fail where they cannot be done, for access would stay otherwise.
CREATE OR REPLACE FUNCTION :"program".follow_auth_user() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $body$
DECLARE
  said text;
  wanted uuid;
  held uuid;
  address text;
BEGIN
  IF TG_OP = 'DELETE' THEN
    DELETE FROM :"schema".profiles p WHERE p.id = OLD.id;
    RETURN NULL;
  END IF;
  said := NULLIF(NEW.raw_app_meta_data #>> :'metadata'::text[], '');
  address := CASE WHEN position('@' IN NEW.email) > 1 THEN NEW.email END;
  IF TG_OP = 'UPDATE' AND NEW.email IS DISTINCT FROM OLD.email THEN
    BEGIN
      UPDATE :"schema".profiles p SET email = address WHERE p.id = NEW.id;
    EXCEPTION WHEN integrity_constraint_violation THEN
      RAISE WARNING 'the profile of user % keeps its address: %', NEW.id, SQLERRM;
    END;
  END IF;
  IF TG_OP = 'UPDATE' AND said IS NOT DISTINCT FROM NULLIF(OLD.raw_app_meta_data #>> :'metadata'::text[], '') THEN
    -- Whoever has switched the profile off, or made it by hand, goes on deciding.
    RETURN NULL;
  END IF;
  IF said ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN
    wanted := (SELECT t.id FROM :"schema".tenants t
               WHERE t.id = said::uuid AND t.id <> '00000000-0000-0000-0000-000000000000');
  END IF;
  IF said IS NOT NULL AND wanted IS NULL THEN
    RAISE WARNING 'user % has no profile: there is no tenant %', NEW.id, said;
  END IF;
  held := (SELECT p.tenant_id FROM :"schema".profiles p WHERE p.id = NEW.id);
  IF TG_OP = 'INSERT' THEN
    IF held <> wanted THEN
      RAISE WARNING 'user % keeps the profile that is there, of tenant %', NEW.id, held;
    ELSIF wanted IS NOT NULL AND held IS NULL THEN
      BEGIN
        INSERT INTO :"schema".profiles (id, tenant_id, email) VALUES (NEW.id, wanted, address);
      EXCEPTION WHEN integrity_constraint_violation THEN
        RAISE WARNING 'user % has no profile: %', NEW.id, SQLERRM;
      END;
    END IF;
  ELSIF wanted IS NULL THEN
    UPDATE :"schema".profiles p SET active = false WHERE p.id = NEW.id AND p.active;
  ELSIF held IS NULL THEN
    INSERT INTO :"schema".profiles (id, tenant_id, email) VALUES (NEW.id, wanted, address);
  ELSE
    IF held <> wanted THEN
      DELETE FROM :"schema".user_roles ur WHERE ur.user_id = NEW.id;
      UPDATE :"schema".profiles p SET tenant_id = wanted, role = NULL WHERE p.id = NEW.id;
    END IF;
    UPDATE :"schema".profiles p SET active = true WHERE p.id = NEW.id AND NOT p.active;
  END IF;
  RETURN NULL;
END
$body$;
