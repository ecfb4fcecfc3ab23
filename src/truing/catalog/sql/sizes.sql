-- One row is one table that a snapshot would show, with the planner's estimate of its rows and its size on disk.
-- A partitioned table has no storage of its own: its partitions are added up. No permission on the table is needed.
SELECT
    c.oid AS relation,
    json_build_object('schema', n.nspname, 'name', c.relname) AS name,
    json_build_object(
        'rows', CASE WHEN count(*) FILTER (WHERE part.reltuples >= 0) > 0
            THEN sum(greatest(part.reltuples, 0))::bigint END,
        'table_bytes', coalesce(sum(pg_table_size(part.oid)), 0)::bigint,
        'index_bytes', coalesce(sum(pg_indexes_size(part.oid)), 0)::bigint,
        'total_bytes', coalesce(sum(pg_total_relation_size(part.oid)), 0)::bigint
    ) AS size
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN LATERAL (
    SELECT leaf.oid, leaf.reltuples FROM pg_class AS leaf WHERE leaf.oid = c.oid AND c.relkind <> 'p'
    UNION ALL
    SELECT leaf.oid, leaf.reltuples
    FROM pg_partition_tree(c.oid) AS tree
    JOIN pg_class AS leaf ON leaf.oid = tree.relid
    WHERE c.relkind = 'p' AND tree.isleaf
) AS part ON true
WHERE c.oid = ANY (%(relations)s::oid[]) AND c.relkind IN ('r', 'p', 'f')
GROUP BY c.oid, n.nspname, c.relname
