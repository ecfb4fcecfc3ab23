-- One row is one table, partitioned table or foreign table, without what belongs to it.
SELECT
    c.oid AS relation,
    json_build_object('schema', n.nspname, 'name', c.relname) AS name,
    CASE c.relkind WHEN 'p' THEN 'partitioned-table' WHEN 'f' THEN 'foreign-table' ELSE 'table' END AS kind,
    CASE c.relpersistence WHEN 'u' THEN 'unlogged' WHEN 't' THEN 'temporary' ELSE 'permanent' END AS persistence,
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
    obj_description(c.oid, 'pg_class') AS comment,
    c.relrowsecurity AS row_security,
    c.relforcerowsecurity AS force_row_security,
    (
        SELECT coalesce(json_agg(o.setting ORDER BY o.setting COLLATE "C"), '[]')
        FROM (
            SELECT unnest(c.reloptions)
            UNION ALL
            SELECT 'toast.' || unnest(toast.reloptions)
            UNION ALL
            SELECT unnest(ft.ftoptions)
        ) AS o (setting)
    ) AS options,
    CASE c.relreplident WHEN 'n' THEN 'nothing' WHEN 'f' THEN 'full' WHEN 'i' THEN 'index' ELSE 'default' END
        AS replica_identity,
    am.amname AS access_method,
    ts.spcname AS tablespace,
    CASE WHEN c.reloftype <> 0 THEN format_type(c.reloftype, NULL) END AS of_type,
    fs.srvname AS server,
    CASE WHEN c.relkind = 'p' THEN pg_get_partkeydef(c.oid) END AS partition_key,
    -- Between the two transactions of DETACH ... CONCURRENTLY, or after the second never came, queries of the parent pass
    -- the partition over.
    CASE WHEN c.relispartition THEN pg_get_expr(c.relpartbound, c.oid)
        || CASE WHEN EXISTS (SELECT FROM pg_inherits AS h WHERE h.inhrelid = c.oid AND h.inhdetachpending)
            THEN ' DETACH PENDING' ELSE '' END
    END AS partition_bound,
    (
        SELECT coalesce(
            json_agg(json_build_object('schema', pn.nspname, 'name', p.relname) ORDER BY i.inhseqno), '[]'
        )
        FROM pg_inherits AS i
        JOIN pg_class AS p ON p.oid = i.inhparent
        JOIN pg_namespace AS pn ON pn.oid = p.relnamespace
        WHERE i.inhrelid = c.oid
    ) AS parents
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_class AS toast ON toast.oid = c.reltoastrelid
LEFT JOIN pg_am AS am ON am.oid = c.relam
LEFT JOIN pg_tablespace AS ts ON ts.oid = c.reltablespace
LEFT JOIN pg_foreign_table AS ft ON ft.ftrelid = c.oid
LEFT JOIN pg_foreign_server AS fs ON fs.oid = ft.ftserver
WHERE c.oid = ANY (%(relations)s::oid[]) AND c.relkind IN ('r', 'p', 'f')
