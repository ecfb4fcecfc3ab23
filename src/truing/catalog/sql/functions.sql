-- One row is one function, procedure, aggregate or window function: those asked for, and those of other schemas that
-- a relation asked for needs (in a trigger, default, constraint, index, policy, rule or view).
WITH needed AS (
    SELECT d.refobjid AS oid
    FROM pg_depend AS d
    LEFT JOIN pg_trigger AS t ON d.classid = 'pg_trigger'::regclass AND t.oid = d.objid
    LEFT JOIN pg_attrdef AS a ON d.classid = 'pg_attrdef'::regclass AND a.oid = d.objid
    LEFT JOIN pg_constraint AS con ON d.classid = 'pg_constraint'::regclass AND con.oid = d.objid
    LEFT JOIN pg_policy AS pol ON d.classid = 'pg_policy'::regclass AND pol.oid = d.objid
    LEFT JOIN pg_rewrite AS r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid
    LEFT JOIN pg_index AS i ON d.classid = 'pg_class'::regclass AND i.indexrelid = d.objid
    WHERE d.refclassid = 'pg_proc'::regclass
        AND coalesce(t.tgrelid, a.adrelid, con.conrelid, pol.polrelid, r.ev_class, i.indrelid, d.objid)
            = ANY (%(relations)s::oid[])
)

SELECT
    p.oid AS relation,
    json_build_object('schema', n.nspname, 'name', p.proname) AS name,
    pg_get_function_identity_arguments(p.oid) AS arguments,
    CASE p.prokind WHEN 'p' THEN 'procedure' WHEN 'a' THEN 'aggregate' WHEN 'w' THEN 'window' ELSE 'function' END
        AS kind,
    CASE WHEN p.prokind = 'a' THEN (
        SELECT concat_ws(
            ', ', 'SFUNC ' || a.aggtransfn::text, 'STYPE ' || format_type(a.aggtranstype, NULL),
            'SSPACE ' || nullif(a.aggtransspace, 0), 'FINALFUNC ' || nullif(a.aggfinalfn, 0)::regproc::text,
            CASE WHEN a.aggfinalextra THEN 'FINALFUNC_EXTRA' END, 'FINALFUNC_MODIFY ' || a.aggfinalmodify::text,
            'COMBINEFUNC ' || nullif(a.aggcombinefn, 0)::regproc::text,
            'SERIALFUNC ' || nullif(a.aggserialfn, 0)::regproc::text,
            'DESERIALFUNC ' || nullif(a.aggdeserialfn, 0)::regproc::text, 'INITCOND ' || quote_literal(a.agginitval),
            'MSFUNC ' || nullif(a.aggmtransfn, 0)::regproc::text, 'MINVFUNC ' || nullif(a.aggminvtransfn, 0)::regproc::text,
            'MSTYPE ' || format_type(nullif(a.aggmtranstype, 0), NULL),
            'MSSPACE ' || nullif(a.aggmtransspace, 0), 'MFINALFUNC ' || nullif(a.aggmfinalfn, 0)::regproc::text,
            CASE WHEN a.aggmfinalextra THEN 'MFINALFUNC_EXTRA' END,
            'MFINALFUNC_MODIFY ' || CASE WHEN a.aggmfinalfn <> 0 THEN a.aggmfinalmodify::text END, 'MINITCOND ' || quote_literal(a.aggminitval),
            'SORTOP ' || nullif(a.aggsortop, 0)::regoperator::text, 'PARALLEL ' || p.proparallel::text, 'kind ' || a.aggkind::text
        ) FROM pg_aggregate AS a WHERE a.aggfnoid = p.oid
    ) ELSE pg_get_functiondef(p.oid) END AS definition,
    l.lanname AS language,
    pg_get_function_result(p.oid) AS returns,
    p.prosecdef AS security_definer,
    p.prosqlbody IS NOT NULL AS atomic,
    pg_get_userbyid(p.proowner) AS owner,
    (
        SELECT coalesce(json_agg(json_build_object(
            'grantee', CASE WHEN acl.grantee = 0 THEN 'public' ELSE pg_get_userbyid(acl.grantee) END,
            'privilege', acl.privilege_type,
            'grantable', acl.is_grantable,
            'grantor', pg_get_userbyid(acl.grantor)
        ) ORDER BY acl.grantee <> 0, pg_get_userbyid(acl.grantee) COLLATE "C", acl.privilege_type COLLATE "C",
            pg_get_userbyid(acl.grantor) COLLATE "C"), '[]')
        FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS acl
    ) AS grants,
    obj_description(p.oid, 'pg_proc') AS comment
FROM pg_proc AS p
JOIN pg_namespace AS n ON n.oid = p.pronamespace
JOIN pg_language AS l ON l.oid = p.prolang
WHERE (p.oid = ANY (%(functions)s::oid[]) OR p.oid IN (SELECT needed.oid FROM needed))
    AND n.nspname NOT IN ('pg_catalog', 'information_schema')
    AND NOT EXISTS (
        SELECT FROM pg_depend AS e WHERE e.classid = 'pg_proc'::regclass AND e.objid = p.oid AND e.deptype = 'e'
    )
