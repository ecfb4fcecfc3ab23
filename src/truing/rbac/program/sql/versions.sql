-- name: bump_tenants
-- The answers of these tenants (NULL: of all) may be other ones from this transaction on. Its row is the lock that two
-- writers of one tenant meet at, in the order of the tenants. One transaction counts once, and says it once: equal
-- notifications of a transaction are one. A tenant begins to count at the number of the transaction, so that one that
-- is deleted and made again never comes back to a number that it had.
CREATE OR REPLACE FUNCTION :"program".bump_tenants(p_tenants uuid[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, :"schema", pg_temp AS $body$
BEGIN
  INSERT INTO tenant_rbac_versions AS v (tenant_id, version)
  SELECT t.id, pg_current_xact_id()::text::bigint FROM tenants t WHERE p_tenants IS NULL OR t.id = ANY (p_tenants) ORDER BY t.id
  ON CONFLICT (tenant_id) DO UPDATE SET version = v.version + 1
  WHERE v.xmin::text <> pg_current_xact_id()::xid::text;
  IF p_tenants IS NULL THEN
    PERFORM pg_notify(:'channel', '*');
  ELSE
    PERFORM pg_notify(:'channel', x.id::text) FROM (SELECT DISTINCT unnest(p_tenants) AS id) x;
  END IF;
END
$body$;

-- name: bump
-- Trigger of user_roles and tenant_features: whose answers has a statement changed?
CREATE OR REPLACE FUNCTION :"program".bump() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, :"schema", pg_temp AS $body$
DECLARE
  tenants uuid[];
BEGIN
  IF TG_OP = 'INSERT' THEN
    SELECT array_agg(DISTINCT n.tenant_id) INTO tenants FROM n;
  ELSIF TG_OP = 'DELETE' THEN
    SELECT array_agg(DISTINCT o.tenant_id) INTO tenants FROM o;
  ELSE
    SELECT array_agg(x.tenant_id) INTO tenants FROM (SELECT n.tenant_id FROM n UNION SELECT o.tenant_id FROM o) x;
  END IF;
  IF tenants IS NOT NULL THEN
    PERFORM :"program".bump_tenants(tenants);
  END IF;
  RETURN NULL;
END
$body$;

-- name: bump_profiles
-- Trigger of profiles: only who is active, and where, changes an answer; a new name does not.
CREATE OR REPLACE FUNCTION :"program".bump_profiles() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, :"schema", pg_temp AS $body$
DECLARE
  tenants uuid[];
BEGIN
  SELECT array_agg(DISTINCT x.tenant_id) INTO tenants
  FROM (SELECT unnest(ARRAY[o.tenant_id, n.tenant_id]) AS tenant_id
        FROM o FULL JOIN n ON n.id = o.id AND n.tenant_id = o.tenant_id
        WHERE o.active IS DISTINCT FROM n.active) x
  WHERE x.tenant_id IS NOT NULL;
  IF tenants IS NOT NULL THEN
    PERFORM :"program".bump_tenants(tenants);
  END IF;
  RETURN NULL;
END
$body$;

-- name: bump_self
-- Trigger of tenants: a new one begins to count, one that is switched on or off counts on, one that has gone is told.
CREATE OR REPLACE FUNCTION :"program".bump_self() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, :"schema", pg_temp AS $body$
DECLARE
  tenants uuid[];
BEGIN
  IF TG_OP = 'INSERT' THEN
    SELECT array_agg(n.id) INTO tenants FROM n;
  ELSIF TG_OP = 'DELETE' THEN
    SELECT array_agg(o.id) INTO tenants FROM o;
  ELSE
    SELECT array_agg(DISTINCT x.id) INTO tenants
    FROM (SELECT unnest(ARRAY[o.id, n.id]) AS id FROM o FULL JOIN n ON n.id = o.id
          WHERE o.is_active IS DISTINCT FROM n.is_active) x
    WHERE x.id IS NOT NULL;
  END IF;
  IF tenants IS NOT NULL THEN
    PERFORM :"program".bump_tenants(tenants);
  END IF;
  RETURN NULL;
END
$body$;

-- name: bump_sidebar
-- Trigger of sidebar_features: an item of a tenant is that tenant's matter, a global one everybody's.
CREATE OR REPLACE FUNCTION :"program".bump_sidebar() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, :"schema", pg_temp AS $body$
DECLARE
  tenants uuid[];
  everybody boolean;
BEGIN
  IF TG_OP = 'INSERT' THEN
    SELECT array_agg(DISTINCT n.tenant_id), bool_or(n.is_global) INTO tenants, everybody FROM n;
  ELSIF TG_OP = 'DELETE' THEN
    SELECT array_agg(DISTINCT o.tenant_id), bool_or(o.is_global) INTO tenants, everybody FROM o;
  ELSE
    SELECT array_agg(DISTINCT x.tenant_id), bool_or(x.is_global) INTO tenants, everybody
    FROM (SELECT n.tenant_id, n.is_global FROM n UNION SELECT o.tenant_id, o.is_global FROM o) x;
  END IF;
  tenants := array_remove(tenants, NULL);
  IF everybody THEN
    PERFORM :"program".bump_tenants(NULL);
  ELSIF cardinality(tenants) > 0 THEN
    PERFORM :"program".bump_tenants(tenants);
  END IF;
  RETURN NULL;
END
$body$;

-- name: bump_everybody
-- Trigger of feature_flags, which belong to no tenant.
CREATE OR REPLACE FUNCTION :"program".bump_everybody() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
  PERFORM :"program".bump_tenants(NULL);
  RETURN NULL;
END
$body$;
