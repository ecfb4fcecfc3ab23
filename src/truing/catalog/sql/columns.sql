-- One row is one live column of a table, view or composite type, in the order of the table. What few columns have is
-- only looked for where there is some: there are thousands of columns.
SELECT
    a.attrelid AS relation,
    a.attname AS name,
    format_type(a.atttypid, a.atttypmod) AS type,
    a.attnum AS position,
    -- PostgreSQL 18 sets attnotnull for a NOT NULL ... NOT VALID as well, which guarantees nothing about old rows.
    a.attnotnull AND NOT EXISTS (
        SELECT FROM pg_constraint AS k
        WHERE k.conrelid = a.attrelid AND k.contype = 'n' AND k.conkey[1] = a.attnum AND NOT k.convalidated
    ) AS not_null,
    CASE WHEN a.attgenerated = '' THEN pg_get_expr(d.adbin, d.adrelid) END AS "default",
    CASE a.attidentity WHEN 'a' THEN 'always' WHEN 'd' THEN 'by default' ELSE '' END AS identity,
    CASE a.attgenerated WHEN 's' THEN 'stored' WHEN 'v' THEN 'virtual' ELSE '' END AS generated,
    CASE WHEN a.attgenerated <> '' THEN pg_get_expr(d.adbin, d.adrelid) END AS expression,
    CASE WHEN a.attcollation <> t.typcollation
        THEN json_build_object('schema', cn.nspname, 'name', co.collname) END AS "collation",
    CASE a.attstorage WHEN 'p' THEN 'plain' WHEN 'e' THEN 'external' WHEN 'm' THEN 'main' ELSE 'extended' END
        AS storage,
    CASE a.attcompression WHEN 'p' THEN 'pglz' WHEN 'l' THEN 'lz4' ELSE '' END AS compression,
    nullif(a.attstattarget, -1) AS statistics,
    CASE WHEN a.attoptions IS NULL AND a.attfdwoptions IS NULL THEN '[]' ELSE (
        SELECT coalesce(json_agg(o.setting ORDER BY o.setting COLLATE "C"), '[]')
        FROM (SELECT unnest(a.attoptions) UNION ALL SELECT unnest(a.attfdwoptions)) AS o (setting)
    ) END AS options,
    CASE WHEN a.attacl IS NULL THEN '[]' ELSE (
        SELECT coalesce(json_agg(json_build_object(
            'grantee', CASE WHEN acl.grantee = 0 THEN 'public' ELSE pg_get_userbyid(acl.grantee) END,
            'privilege', acl.privilege_type,
            'grantable', acl.is_grantable,
            'grantor', pg_get_userbyid(acl.grantor)
        ) ORDER BY acl.grantee <> 0, pg_get_userbyid(acl.grantee) COLLATE "C", acl.privilege_type COLLATE "C",
            pg_get_userbyid(acl.grantor) COLLATE "C"), '[]')
        FROM aclexplode(a.attacl) AS acl
    ) END AS grants,
    said.description AS comment,
    a.attndims AS dimensions,
    a.attinhcount > 0 AS inherited,
    a.attislocal AS local
FROM pg_attribute AS a
JOIN pg_type AS t ON t.oid = a.atttypid
LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
LEFT JOIN pg_collation AS co ON co.oid = a.attcollation
LEFT JOIN pg_namespace AS cn ON cn.oid = co.collnamespace
LEFT JOIN pg_description AS said
    ON said.classoid = 'pg_class'::regclass AND said.objoid = a.attrelid AND said.objsubid = a.attnum
WHERE a.attrelid = ANY (%(relations)s::oid[]) AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attrelid, a.attnum
