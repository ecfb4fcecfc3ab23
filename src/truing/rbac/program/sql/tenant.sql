-- name: current_tenant
-- The tenant of this transaction; NULL where none is set, so that every policy fails closed. It has no search_path of
-- its own, because a function with one is never inlined into a policy; its body is parsed when it is made instead, so
-- that each name in it is what it was then, the equality of NULLIF too.
CREATE OR REPLACE FUNCTION :"program".current_tenant() RETURNS uuid
LANGUAGE sql STABLE PARALLEL SAFE
RETURN NULLIF(pg_catalog.current_setting(:'setting', true), '')::pg_catalog.uuid;

-- name: current_actor
-- The profile that acts in this transaction; NULL where the setting is empty or names no profile (an operator).
CREATE OR REPLACE FUNCTION :"program".current_actor() RETURNS uuid
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
  said text := current_setting('app.actor', true);
BEGIN
  RETURN CASE WHEN said ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN said::uuid END;
END
$body$;
