-- One row is one schema that the snapshot shows, also when nothing is in it.
SELECT
    n.oid AS relation,
    n.nspname AS name,
    pg_get_userbyid(n.nspowner) AS owner,
    (
        SELECT coalesce(json_agg(json_build_object(
            'grantee', CASE WHEN acl.grantee = 0 THEN 'public' ELSE pg_get_userbyid(acl.grantee) END,
            'privilege', acl.privilege_type,
            'grantable', acl.is_grantable,
            'grantor', pg_get_userbyid(acl.grantor)
        ) ORDER BY acl.grantee <> 0, pg_get_userbyid(acl.grantee) COLLATE "C", acl.privilege_type COLLATE "C",
            pg_get_userbyid(acl.grantor) COLLATE "C"), '[]')
        FROM aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) AS acl
    ) AS grants,
    obj_description(n.oid, 'pg_namespace') AS comment
FROM pg_namespace AS n
WHERE n.nspname <> 'information_schema' AND NOT starts_with(n.nspname, 'pg_') AND n.nspname <> %(own)s
    AND n.nspname::text = ANY (coalesce(%(include)s::text[], ARRAY[n.nspname::text]))
    AND n.nspname::text <> ALL (%(exclude)s::text[])
    AND NOT EXISTS (
        SELECT FROM pg_depend AS e WHERE e.classid = 'pg_namespace'::regclass AND e.objid = n.oid AND e.deptype = 'e'
    )
