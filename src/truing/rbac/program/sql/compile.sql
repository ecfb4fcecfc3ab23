-- name: computed_masks
-- What the masks of these roles must be: their own grants, those of the roles they inherit from, wildcards spread out.
-- The two arrays go together, element by element. UNION makes a cycle of roles end: its roles have the same masks.
CREATE OR REPLACE FUNCTION :"program".computed_masks(p_tenants uuid[], p_roles integer[])
RETURNS TABLE(tenant_id uuid, role_id integer, allow_mask bit(1024), deny_mask bit(1024))
LANGUAGE sql STABLE SET search_path = pg_catalog, :"schema", pg_temp AS $body$
  WITH RECURSIVE asked AS (
    SELECT DISTINCT s.tenant_id, s.role_id FROM unnest(p_tenants, p_roles) AS s(tenant_id, role_id)
  ), ancestors AS (
    SELECT a.tenant_id, a.role_id, a.role_id AS ancestor_id FROM asked a
    UNION
    SELECT a.tenant_id, a.role_id, i.parent_id
    FROM ancestors a JOIN role_inherits i ON i.tenant_id = a.tenant_id AND i.role_id = a.ancestor_id
  ), granted AS (
    SELECT a.tenant_id, a.role_id, rp.effect, p.name, p.bit_no
    FROM ancestors a
    JOIN role_permissions rp ON rp.tenant_id = a.tenant_id AND rp.role_id = a.ancestor_id
    JOIN permissions p ON p.id = rp.permission_id
  ), bits AS (
    SELECT g.tenant_id, g.role_id, g.effect, g.bit_no FROM granted g
    UNION
    SELECT g.tenant_id, g.role_id, g.effect, w.bit_no
    FROM granted g JOIN permissions w ON right(g.name, 1) = '*' AND starts_with(w.name, left(g.name, -1))
  ), masks AS (
    SELECT b.tenant_id, b.role_id,
           bit_or(set_bit(0::bit(1024), b.bit_no, 1)) FILTER (WHERE b.effect = 'allow') AS allow_mask,
           bit_or(set_bit(0::bit(1024), b.bit_no, 1)) FILTER (WHERE b.effect = 'deny') AS deny_mask
    FROM bits b GROUP BY b.tenant_id, b.role_id
  )
  SELECT a.tenant_id, a.role_id, COALESCE(m.allow_mask, 0::bit(1024)), COALESCE(m.deny_mask, 0::bit(1024))
  FROM asked a LEFT JOIN masks m ON m.tenant_id = a.tenant_id AND m.role_id = a.role_id
$body$;

-- name: compile_roles
-- Bring the masks of these roles, and of all that inherit from them, up to date; returns how many were not.
-- Two transactions that change one role must not compile from what each alone can see: the first statements wait for
-- the other, and the last one, under READ COMMITTED, then sees what it has committed. A snapshot that is fixed for the
-- whole transaction would not, so it is refused. Permissions belong to no tenant; the advisory lock stands for them.
CREATE OR REPLACE FUNCTION :"program".compile_roles(p_tenants uuid[], p_roles integer[]) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, :"schema", pg_temp AS $body$
DECLARE
  changed bigint;
  every_tenant uuid[];
  every_role integer[];
BEGIN
  IF p_roles IS NULL OR cardinality(p_roles) = 0 THEN
    RETURN 0;
  END IF;
  IF current_setting('transaction_isolation') NOT IN ('read committed', 'read uncommitted') THEN
    RAISE EXCEPTION 'roles and their permissions are changed under READ COMMITTED, not %',
      upper(current_setting('transaction_isolation'))
      USING ERRCODE = 'invalid_transaction_state',
            HINT = 'A fixed snapshot cannot see a change made at the same time, and would compile without it.';
  END IF;
  PERFORM pg_advisory_xact_lock_shared(1918001507, 0);
  PERFORM :"program".bump_tenants(p_tenants);
  WITH RECURSIVE hit AS (
    SELECT s.tenant_id, s.role_id FROM unnest(p_tenants, p_roles) AS s(tenant_id, role_id)
    UNION
    SELECT i.tenant_id, i.role_id FROM hit h JOIN role_inherits i ON i.tenant_id = h.tenant_id AND i.parent_id = h.role_id
  )
  SELECT array_agg(h.tenant_id), array_agg(h.role_id) INTO every_tenant, every_role FROM hit h;
  UPDATE roles r SET allow_mask = c.allow_mask, deny_mask = c.deny_mask, updated_at = now()
  FROM :"program".computed_masks(every_tenant, every_role) c
  WHERE r.tenant_id = c.tenant_id AND r.id = c.role_id
    AND (r.allow_mask, r.deny_mask) IS DISTINCT FROM (c.allow_mask, c.deny_mask);
  GET DIAGNOSTICS changed = ROW_COUNT;
  RETURN changed;
END
$body$;

-- name: compile
-- The same for the roles of one tenant.
CREATE OR REPLACE FUNCTION :"program".compile(p_tenant uuid, p_roles integer[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
  PERFORM :"program".compile_roles(array_fill(p_tenant, ARRAY[cardinality(p_roles)]), p_roles);
END
$body$;

-- name: recompile
-- Trigger of role_permissions and role_inherits: compile what a statement has touched, all of it at once.
CREATE OR REPLACE FUNCTION :"program".recompile() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, :"schema", pg_temp AS $body$
DECLARE
  tenants uuid[];
  touched integer[];
BEGIN
  IF TG_OP = 'INSERT' THEN
    SELECT array_agg(tenant_id), array_agg(role_id) INTO tenants, touched
    FROM (SELECT DISTINCT tenant_id, role_id FROM n) x;
  ELSIF TG_OP = 'DELETE' THEN
    SELECT array_agg(tenant_id), array_agg(role_id) INTO tenants, touched
    FROM (SELECT DISTINCT tenant_id, role_id FROM o) x;
  ELSE
    SELECT array_agg(tenant_id), array_agg(role_id) INTO tenants, touched
    FROM (SELECT tenant_id, role_id FROM n UNION SELECT tenant_id, role_id FROM o) x;
  END IF;
  PERFORM :"program".compile_roles(tenants, touched);
  RETURN NULL;
END
$body$;

-- name: keep_masks
-- Trigger of roles: a mask that somebody wrote by hand is compiled again. What compile_roles() itself writes comes
-- from within a trigger or from a function that has just compared it, and would only be found right.
CREATE OR REPLACE FUNCTION :"program".keep_masks() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, :"schema", pg_temp AS $body$
DECLARE
  tenants uuid[];
  touched integer[];
BEGIN
  IF TG_OP = 'INSERT' THEN
    SELECT array_agg(n.tenant_id), array_agg(n.id) INTO tenants, touched FROM n
    WHERE n.allow_mask <> 0::bit(1024) OR n.deny_mask <> 0::bit(1024);
  ELSE
    SELECT array_agg(n.tenant_id), array_agg(n.id) INTO tenants, touched
    FROM n LEFT JOIN o ON o.id = n.id AND o.tenant_id = n.tenant_id
    WHERE (n.allow_mask, n.deny_mask) IS DISTINCT FROM (o.allow_mask, o.deny_mask);
  END IF;
  PERFORM :"program".compile_roles(tenants, touched);
  RETURN NULL;
END
$body$;

-- name: recatalogue
-- Trigger of permissions: a wildcard reaches a permission that is new or has a new name, and no longer one that has
-- gone; a bit that is free again must not be held by anybody. Every tenant's answers may be other ones where a name
-- has gone or stands for another bit.
CREATE OR REPLACE FUNCTION :"program".recatalogue() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, :"schema", pg_temp AS $body$
DECLARE
  names text[];
  ids uuid[];
  tenants uuid[];
  touched integer[];
BEGIN
  IF TG_OP = 'INSERT' THEN
    SELECT array_agg(n.name), array_agg(n.id) INTO names, ids FROM n;
  ELSIF TG_OP = 'DELETE' THEN
    SELECT array_agg(o.name), array_agg(o.id) INTO names, ids FROM o;
  ELSE
    SELECT array_agg(x.name), array_agg(DISTINCT x.id) INTO names, ids
    FROM (SELECT o.id, unnest(ARRAY[o.name, n.name]) AS name FROM o FULL JOIN n ON n.id = o.id
          WHERE (o.name, o.bit_no) IS DISTINCT FROM (n.name, n.bit_no)) x;
  END IF;
  IF names IS NULL THEN
    RETURN NULL;
  END IF;
  PERFORM pg_advisory_xact_lock(1918001507, 0);
  IF TG_OP <> 'INSERT' THEN
    PERFORM :"program".bump_tenants(NULL);
  END IF;
  SELECT array_agg(x.tenant_id), array_agg(x.role_id) INTO tenants, touched
  FROM (SELECT DISTINCT rp.tenant_id, rp.role_id
        FROM permissions g JOIN role_permissions rp ON rp.permission_id = g.id
        WHERE g.id = ANY (ids)
           OR (right(g.name, 1) = '*' AND EXISTS (SELECT FROM unnest(names) AS w(name) WHERE starts_with(w.name, left(g.name, -1))))
       ) x;
  PERFORM :"program".compile_roles(tenants, touched);
  RETURN NULL;
END
$body$;

-- name: wrong_masks
-- Roles whose stored masks are not what their grants say; none, unless a trigger was switched off.
CREATE OR REPLACE FUNCTION :"program".wrong_masks(p_tenant uuid DEFAULT NULL)
RETURNS TABLE(tenant_id uuid, role_id integer, role text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, :"schema", pg_temp AS $body$
DECLARE
  tenants uuid[];
  every integer[];
BEGIN
  SELECT array_agg(r.tenant_id), array_agg(r.id) INTO tenants, every
  FROM roles r WHERE p_tenant IS NULL OR r.tenant_id = p_tenant;
  RETURN QUERY
    SELECT r.tenant_id, r.id, r.name
    FROM :"program".computed_masks(tenants, every) c JOIN roles r ON r.tenant_id = c.tenant_id AND r.id = c.role_id
    WHERE (r.allow_mask, r.deny_mask) IS DISTINCT FROM (c.allow_mask, c.deny_mask);
END
$body$;

-- name: rebuild_masks
-- Compile every role of a tenant (of all tenants, without one); returns how many were wrong. Whoever keeps answers asks
-- again, and a tenant that was there before the program begins to count.
CREATE OR REPLACE FUNCTION :"program".rebuild_masks(p_tenant uuid DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, :"schema", pg_temp AS $body$
DECLARE
  tenants uuid[];
  every integer[];
BEGIN
  PERFORM :"program".bump_tenants(CASE WHEN p_tenant IS NOT NULL THEN ARRAY[p_tenant] END);
  SELECT array_agg(r.tenant_id), array_agg(r.id) INTO tenants, every
  FROM roles r WHERE p_tenant IS NULL OR r.tenant_id = p_tenant;
  RETURN :"program".compile_roles(tenants, every);
END
$body$;

-- name: rebuild_next
-- The same for so many tenants after this one, in the order of their ids; the last of them, NULL where there were none.
-- For one transaction after another: each holds the rows at which the writers of its tenants meet, and rebuild_masks()
-- would keep all of them waiting for all tenants.
CREATE OR REPLACE FUNCTION :"program".rebuild_next(p_after uuid, p_tenants integer, OUT last uuid, OUT changed bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, :"schema", pg_temp AS $body$
DECLARE
  slice uuid[] := ARRAY(SELECT t.id FROM tenants t WHERE p_after IS NULL OR t.id > p_after ORDER BY t.id LIMIT p_tenants);
BEGIN
  last := slice[cardinality(slice)];
  IF last IS NOT NULL THEN
    PERFORM :"program".bump_tenants(slice);
    changed := (SELECT :"program".compile_roles(array_agg(r.tenant_id), array_agg(r.id))
                FROM roles r WHERE r.tenant_id = ANY (slice));
  END IF;
END
$body$;

-- name: take_bit
-- Trigger of permissions: a new one whose bit is taken gets the lowest that is free. The numbers come from a sequence,
-- which gives one away for each insert that is rolled back or finds its name there; it begins anew at its end.
CREATE OR REPLACE FUNCTION :"program".take_bit() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, :"schema", pg_temp AS $body$
BEGIN
  PERFORM pg_advisory_xact_lock(1918001507, 0);
  IF EXISTS (SELECT FROM permissions p WHERE p.bit_no = NEW.bit_no AND p.name <> NEW.name) THEN
    NEW.bit_no := (SELECT min(n) FROM generate_series(0, 1023) n
                   WHERE NOT EXISTS (SELECT FROM permissions p WHERE p.bit_no = n));
    IF NEW.bit_no IS NULL THEN
      RAISE EXCEPTION 'there are 1,024 permissions, which is as many as there can be' USING ERRCODE = 'program_limit_exceeded';
    END IF;
  END IF;
  RETURN NEW;
END
$body$;

-- name: keep_counting
-- Let that sequence begin anew at its end; asked once, so that the table is not locked again at every installation.
DO $body$ BEGIN
  IF EXISTS (SELECT FROM pg_catalog.pg_sequence s
             WHERE s.seqrelid = pg_catalog.pg_get_serial_sequence(:'permissions', 'bit_no')::regclass AND NOT s.seqcycle) THEN
    ALTER TABLE :"schema".permissions ALTER COLUMN bit_no SET CYCLE;
  END IF;
END $body$;
