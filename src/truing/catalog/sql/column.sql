-- One row: the column that somebody asks about, with what pg_depend does not know about it.
SELECT
    c.oid AS relation,
    a.attnum AS number,
    c.relkind,
    CASE t.typstorage WHEN 'p' THEN 'plain' WHEN 'e' THEN 'external' WHEN 'm' THEN 'main' ELSE 'extended' END
        AS default_storage,
    -- A column of a partition key depends on its table, rather than the other way round; also one in an expression.
    EXISTS (
        SELECT
        FROM pg_depend AS d
        WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.objsubid = a.attnum AND d.deptype = 'i'
            AND d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid AND d.refobjsubid = 0
    ) AS partition_key,
    (
        SELECT coalesce(json_agg(json_build_object(
            'kind', CASE WHEN i.inhrelid = c.oid THEN 'parent-table' ELSE 'child-table' END,
            'name', json_build_object('schema', rn.nspname, 'name', r.relname)
        ) ORDER BY rn.nspname COLLATE "C", r.relname COLLATE "C"), '[]')
        FROM pg_inherits AS i
        JOIN pg_class AS r ON r.oid = CASE WHEN i.inhrelid = c.oid THEN i.inhparent ELSE i.inhrelid END
        JOIN pg_namespace AS rn ON rn.oid = r.relnamespace
        -- A table that has the column only by itself has no relative in it.
        JOIN pg_attribute AS ra ON ra.attrelid = r.oid AND ra.attname = a.attname AND NOT ra.attisdropped
        WHERE c.oid IN (i.inhrelid, i.inhparent)
    ) AS relatives,
    (
        SELECT coalesce(json_agg(json_build_array(l.provider, l.label) ORDER BY l.provider COLLATE "C"), '[]')
        FROM pg_seclabel AS l
        WHERE l.classoid = 'pg_class'::regclass AND l.objoid = c.oid AND l.objsubid = a.attnum
    ) AS labels
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_attribute AS a ON a.attrelid = c.oid
JOIN pg_type AS t ON t.oid = a.atttypid
WHERE n.nspname = %(schema)s AND c.relname = %(table)s AND a.attname = %(column)s
    AND a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'f')
