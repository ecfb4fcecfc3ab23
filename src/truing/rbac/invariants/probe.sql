-- Look as the application would, in a transaction that is rolled back. What is seen of another tenant goes to the setting
-- truing.seen, and in words how much was tried to truing.tried. Tables and views come from the catalog: those of the RBAC,
-- those with a policy that calls current_tenant(), and the views on either. A tenant is set where a setting or claims say it;
-- a login's or a signed one is not ours to say, so that there the look is from no tenant.
DECLARE
  searched CONSTANT text := pg_catalog.current_setting('search_path');
  before CONSTANT text := pg_catalog.current_setting('role');
  asked regprocedure;
  bind text;
  reads text;
  tenant uuid;
  claims jsonb;
  applications text[];
  application text;
  own uuid;
  names text[];
  queries text[];
  n integer;
  found boolean;
  step text;
  part text;
  tried text[] := '{}';
  outside integer := 0;
  inside integer := 0;
  seen text[] := '{}';
BEGIN
  PERFORM pg_catalog.set_config('transaction_read_only', 'on', true), pg_catalog.set_config('search_path', 'pg_catalog', true);
  asked := to_regprocedure(:'program' || '.current_tenant()');
  bind := COALESCE(substring(obj_description(asked, 'pg_proc') FROM '^Bound by: (\w+)'), 'setting');
  reads := COALESCE(substring(obj_description(asked, 'pg_proc') FROM '^Bound by: \w+ (.+)$'),
                 CASE bind WHEN 'supabase' THEN 'app_metadata.tenant_id' ELSE 'app.tenant_id' END);
  -- Before row security is forced, much is seen that will not be.
  applications := ARRAY(
    SELECT DISTINCT a.rolname::text
    FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid JOIN pg_roles a ON a.oid = ANY (p.polroles)
    WHERE c.relnamespace = :'schema'::regnamespace AND c.relname IN (:tables) AND p.polname = 'tenant_isolation'
      AND EXISTS (SELECT FROM pg_class f
                  WHERE f.relnamespace = c.relnamespace AND f.relname IN (:tables) AND f.relforcerowsecurity));
  WITH RECURSIVE looked AS (
    SELECT c.oid FROM pg_class c WHERE c.relnamespace = :'schema'::regnamespace AND c.relname IN (:tables)
    UNION SELECT p.polrelid FROM pg_policy p JOIN pg_depend d ON d.classid = 'pg_policy'::regclass AND d.objid = p.oid
    WHERE d.refclassid = 'pg_proc'::regclass AND d.refobjid = asked
    UNION SELECT w.ev_class FROM looked l JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = l.oid
    JOIN pg_rewrite w ON d.classid = 'pg_rewrite'::regclass AND w.oid = d.objid
  ), named AS (
    SELECT c.relname::text AS name, n.nspname, n.oid = :'schema'::regnamespace AS ours, a.attname
    FROM looked l JOIN pg_class c ON c.oid = l.oid AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
    JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_attribute a ON a.attrelid = c.oid AND NOT a.attisdropped AND a.attname
      = CASE WHEN n.oid = :'schema'::regnamespace AND c.relname = 'tenants' THEN 'id' ELSE 'tenant_id' END
  )
  SELECT array_agg(CASE WHEN o.ours THEN o.name ELSE format('%I.%I', o.nspname, o.name) END ORDER BY o.name, o.nspname),
         array_agg(format('SELECT EXISTS (SELECT FROM %I.%I x WHERE x.%I::text IS DISTINCT FROM $1::text AND x.%I IS NOT NULL%s)',
                          o.nspname, o.name, o.attname, o.attname,
                          CASE WHEN o.ours AND o.name = 'sidebar_features' THEN ' AND NOT x.is_global' END)
                   ORDER BY o.name, o.nspname)
  INTO names, queries FROM named o;
  PERFORM pg_catalog.set_config('search_path', searched, true);
  IF bind = 'supabase' THEN
    SELECT p.tenant_id, p.id::text INTO tenant, step
    FROM :"schema".profiles p JOIN :"schema".tenants t ON t.id = p.tenant_id AND t.is_active WHERE p.active LIMIT 1;
    claims := to_jsonb(tenant);
    FOREACH part IN ARRAY ARRAY(SELECT c.said FROM unnest(string_to_array(reads, '.')) WITH ORDINALITY c(said, nth) ORDER BY c.nth DESC) LOOP
      claims := jsonb_build_object(part, claims);
    END LOOP;
    claims := claims || jsonb_build_object('sub', step, 'role', 'authenticated');
  ELSIF bind = 'setting' THEN
    tenant := (SELECT t.id FROM :"schema".tenants t ORDER BY t.is_active DESC LIMIT 1);
  END IF;
  FOREACH own IN ARRAY CASE WHEN tenant IS NULL THEN ARRAY[NULL::uuid] ELSE ARRAY[NULL, tenant] END LOOP
    step := CASE WHEN own IS NULL THEN 'without a tenant' ELSE 'in the tenant ' || own END;
    IF bind = 'supabase' THEN
      PERFORM pg_catalog.set_config('request.jwt.claims', CASE WHEN own IS NULL THEN '' ELSE claims::text END, true);
    ELSE
      PERFORM pg_catalog.set_config(reads, COALESCE(own::text, ''), true);
    END IF;
    IF bind = 'role' THEN
      -- This login may be a tenant's.
      EXECUTE pg_catalog.format('SELECT %s.current_tenant()', :'program') INTO own;
    END IF;
    FOR n IN 1..cardinality(names) LOOP
      BEGIN
        EXECUTE queries[n] INTO found USING own;
        outside := outside + (found AND own IS NULL)::integer;
        inside := inside + (found AND own IS NOT NULL)::integer;
      EXCEPTION WHEN insufficient_privilege THEN
        NULL;
      END;
      FOREACH application IN ARRAY applications LOOP
        BEGIN
          PERFORM pg_catalog.set_config('role', application, true);
          EXECUTE queries[n] INTO found USING own;
          PERFORM pg_catalog.set_config('role', before, true);
          IF names[n] <> ALL (tried) THEN
            tried := tried || names[n];
          END IF;
          IF found THEN
            seen := seen || pg_catalog.format('%s as %I, %s', names[n], application, step);
          END IF;
        EXCEPTION WHEN others THEN
          -- The role is what it was again; what fails shows nothing.
          NULL;
        END;
      END LOOP;
    END LOOP;
  END LOOP;
  PERFORM pg_catalog.set_config('truing.seen', seen::text, true), pg_catalog.set_config('truing.tried', CASE
    WHEN applications = '{}' THEN 'Row security is not forced yet, so nothing was tried as the application.'
    WHEN tried = '{}' THEN pg_catalog.format('Nothing was tried as %s, which %I may not become (a superuser may); the policies were compared with what is declared.',
                                             pg_catalog.array_to_string(applications, ', '), current_user)
    WHEN outside + inside = 0 THEN 'No table holds a row that could have been seen, so that trying proves nothing; the policies were compared with what is declared.'
    ELSE pg_catalog.format('Tried as %s on %s tables and views: without a tenant, %s hold rows that could have been seen%s.',
                           pg_catalog.array_to_string(applications, ', '), cardinality(tried), outside,
                           CASE WHEN tenant IS NOT NULL THEN '; in one, ' || inside END) END, true);
END
