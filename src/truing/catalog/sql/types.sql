-- One row is one enum, domain, composite or range type.
SELECT
    t.oid AS relation,
    t.typrelid::bigint AS row_relation,
    json_build_object('schema', n.nspname, 'name', t.typname) AS name,
    CASE t.typtype WHEN 'e' THEN 'enum' WHEN 'd' THEN 'domain' WHEN 'r' THEN 'range' ELSE 'composite' END AS kind,
    (
        SELECT coalesce(json_agg(e.enumlabel ORDER BY e.enumsortorder), '[]')
        FROM pg_enum AS e WHERE e.enumtypid = t.oid
    ) AS labels,
    CASE t.typtype WHEN 'd' THEN format_type(t.typbasetype, t.typtypmod) WHEN 'r' THEN format_type(r.rngsubtype, NULL)
    END AS base,
    CASE WHEN t.typtype = 'r' THEN concat_ws(
        ', ',
        (
            SELECT format('subtype_opclass %%I.%%I', pn.nspname, p.opcname)
            FROM pg_opclass AS p JOIN pg_namespace AS pn ON pn.oid = p.opcnamespace WHERE p.oid = r.rngsubopc
        ),
        (
            SELECT format('collation %%I.%%I', kn.nspname, k.collname)
            FROM pg_collation AS k JOIN pg_namespace AS kn ON kn.oid = k.collnamespace WHERE k.oid = r.rngcollation
        ),
        'canonical ' || nullif(r.rngcanonical, 0)::regproc::text, 'subtype_diff ' || nullif(r.rngsubdiff, 0)::regproc::text,
        'multirange ' || format_type(r.rngmultitypid, NULL)
    ) END AS range_options,
    t.typnotnull AS not_null,
    t.typdefault AS "default",
    CASE WHEN t.typtype = 'd' AND t.typcollation <> b.typcollation
        THEN json_build_object('schema', cn.nspname, 'name', co.collname) END AS "collation",
    pg_get_userbyid(t.typowner) AS owner,
    (
        SELECT coalesce(json_agg(json_build_object(
            'grantee', CASE WHEN acl.grantee = 0 THEN 'public' ELSE pg_get_userbyid(acl.grantee) END,
            'privilege', acl.privilege_type,
            'grantable', acl.is_grantable,
            'grantor', pg_get_userbyid(acl.grantor)
        ) ORDER BY acl.grantee <> 0, pg_get_userbyid(acl.grantee) COLLATE "C", acl.privilege_type COLLATE "C",
            pg_get_userbyid(acl.grantor) COLLATE "C"), '[]')
        FROM aclexplode(coalesce(t.typacl, acldefault('T', t.typowner))) AS acl
    ) AS grants,
    coalesce(obj_description(t.oid, 'pg_type'), obj_description(t.typrelid, 'pg_class')) AS comment
FROM pg_type AS t
JOIN pg_namespace AS n ON n.oid = t.typnamespace
LEFT JOIN pg_range AS r ON r.rngtypid = t.oid
LEFT JOIN pg_type AS b ON b.oid = t.typbasetype
LEFT JOIN pg_collation AS co ON co.oid = t.typcollation
LEFT JOIN pg_namespace AS cn ON cn.oid = co.collnamespace
WHERE t.oid = ANY (%(types)s::oid[])
