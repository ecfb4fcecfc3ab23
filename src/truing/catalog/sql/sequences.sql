-- One row is one sequence, with the column that it goes with.
SELECT
    c.oid AS relation,
    json_build_object('schema', n.nspname, 'name', c.relname) AS name,
    format_type(s.seqtypid, NULL) AS type,
    s.seqstart AS start,
    s.seqincrement AS increment,
    s.seqmin AS minimum,
    s.seqmax AS maximum,
    s.seqcache AS cache,
    s.seqcycle AS cycle,
    CASE c.relpersistence WHEN 'u' THEN 'unlogged' WHEN 't' THEN 'temporary' ELSE 'permanent' END AS persistence,
    (
        SELECT json_build_object(
            'table', json_build_object('schema', tn.nspname, 'name', t.relname),
            'column', a.attname,
            'identity', d.deptype = 'i'
        )
        FROM pg_depend AS d
        JOIN pg_class AS t ON t.oid = d.refobjid
        JOIN pg_namespace AS tn ON tn.oid = t.relnamespace
        JOIN pg_attribute AS a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
        WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.objsubid = 0
            AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')
    ) AS owned_by,
    pg_get_userbyid(c.relowner) AS owner,
    (
        SELECT coalesce(json_agg(json_build_object(
            'grantee', CASE WHEN acl.grantee = 0 THEN 'public' ELSE pg_get_userbyid(acl.grantee) END,
            'privilege', acl.privilege_type,
            'grantable', acl.is_grantable,
            'grantor', pg_get_userbyid(acl.grantor)
        ) ORDER BY acl.grantee <> 0, pg_get_userbyid(acl.grantee) COLLATE "C", acl.privilege_type COLLATE "C",
            pg_get_userbyid(acl.grantor) COLLATE "C"), '[]')
        FROM aclexplode(coalesce(c.relacl, acldefault('s', c.relowner))) AS acl
    ) AS grants,
    obj_description(c.oid, 'pg_class') AS comment
FROM pg_sequence AS s
JOIN pg_class AS c ON c.oid = s.seqrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.oid = ANY (%(relations)s::oid[])
