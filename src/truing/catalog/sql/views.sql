-- One row is one view or materialised view, without what belongs to it.
SELECT
    c.oid AS relation,
    json_build_object('schema', n.nspname, 'name', c.relname) AS name,
    pg_get_viewdef(c.oid) AS definition,
    c.relkind = 'm' AS materialized,
    c.relispopulated AS populated,
    pg_get_userbyid(c.relowner) AS owner,
    (
        SELECT coalesce(json_agg(json_build_object(
            'grantee', CASE WHEN acl.grantee = 0 THEN 'public' ELSE pg_get_userbyid(acl.grantee) END,
            'privilege', acl.privilege_type,
            'grantable', acl.is_grantable,
            'grantor', pg_get_userbyid(acl.grantor)
        ) ORDER BY acl.grantee <> 0, pg_get_userbyid(acl.grantee) COLLATE "C", acl.privilege_type COLLATE "C",
            pg_get_userbyid(acl.grantor) COLLATE "C"), '[]')
        FROM aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) AS acl
    ) AS grants,
    (SELECT coalesce(json_agg(o.setting ORDER BY o.setting COLLATE "C"), '[]') FROM unnest(c.reloptions) AS o (setting))
        AS options,
    am.amname AS access_method,
    ts.spcname AS tablespace,
    obj_description(c.oid, 'pg_class') AS comment
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_am AS am ON am.oid = c.relam
LEFT JOIN pg_tablespace AS ts ON ts.oid = c.reltablespace
WHERE c.oid = ANY (%(relations)s::oid[]) AND c.relkind IN ('v', 'm')
