-- One row is one publication of the database (PostgreSQL 15 and newer).
SELECT
    p.oid AS relation,
    p.pubname AS name,
    pg_get_userbyid(p.pubowner) AS owner,
    p.puballtables AS all_tables,
    (
        SELECT coalesce(json_agg(n.nspname ORDER BY n.nspname COLLATE "C"), '[]')
        FROM pg_publication_namespace AS s
        JOIN pg_namespace AS n ON n.oid = s.pnnspid
        WHERE s.pnpubid = p.oid
    ) AS schemas,
    (
        SELECT coalesce(json_agg(json_build_object(
            'table', json_build_object('schema', n.nspname, 'name', c.relname),
            'columns', (
                SELECT coalesce(json_agg(a.attname ORDER BY a.attnum), '[]')
                FROM pg_attribute AS a WHERE a.attrelid = c.oid AND a.attnum = ANY (r.prattrs)
            ),
            'where', pg_get_expr(r.prqual, c.oid)
        ) ORDER BY n.nspname COLLATE "C", c.relname COLLATE "C"), '[]')
        FROM pg_publication_rel AS r
        JOIN pg_class AS c ON c.oid = r.prrelid
        JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE r.prpubid = p.oid
    ) AS tables,
    array_remove(ARRAY[
        CASE WHEN p.pubinsert THEN 'insert' END, CASE WHEN p.pubupdate THEN 'update' END,
        CASE WHEN p.pubdelete THEN 'delete' END, CASE WHEN p.pubtruncate THEN 'truncate' END
    ], NULL) AS operations,
    p.pubviaroot AS via_root,
    coalesce(nullif(to_jsonb(p) ->> 'pubgencols', 'n'), '') AS generated_columns,
    obj_description(p.oid, 'pg_publication') AS comment
FROM pg_publication AS p
