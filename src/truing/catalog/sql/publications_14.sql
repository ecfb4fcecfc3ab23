-- One row is one publication of the database (PostgreSQL 14, which has no column lists, row filters and schemas).
SELECT
    p.oid AS relation,
    p.pubname AS name,
    pg_get_userbyid(p.pubowner) AS owner,
    p.puballtables AS all_tables,
    (
        SELECT coalesce(json_agg(json_build_object(
            'table', json_build_object('schema', n.nspname, 'name', c.relname)
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
    obj_description(p.oid, 'pg_publication') AS comment
FROM pg_publication AS p
