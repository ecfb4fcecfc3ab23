-- One row is one session in the chain of those that wait for each other, from the one asked about (depth 0) to those
-- that wait for nobody. Number 0 stands for a prepared transaction. A session may be reached by several ways.
WITH RECURSIVE chain AS (
    SELECT %(pid)s::integer AS pid, NULL::integer AS blocks, 0 AS depth, ARRAY[%(pid)s::integer] AS path
    UNION ALL
    SELECT blocker.pid, chain.pid, chain.depth + 1, chain.path || blocker.pid
    FROM chain
    -- A session that waits for several locks' holders is named once by each; parallel workers repeat their leader.
    CROSS JOIN LATERAL (SELECT DISTINCT unnest(pg_blocking_pids(chain.pid))) AS blocker (pid)
    WHERE chain.pid <> 0 AND blocker.pid <> ALL (chain.path)
)

SELECT
    0 AS relation,
    chain.pid,
    chain.blocks,
    chain.depth,
    coalesce(nullif(a.application_name, ''), a.backend_type, '') AS name,
    coalesce(a.usename, '') AS user,
    CASE WHEN chain.pid = 0 THEN 'prepared' ELSE coalesce(a.state, '') END AS state,
    extract(epoch FROM clock_timestamp() - a.xact_start)::float8 AS age,
    extract(epoch FROM clock_timestamp() - a.state_change)::float8 AS state_age,
    a.query IS NOT DISTINCT FROM '<insufficient privilege>' AS hidden,
    waits.name AS waits_for,
    waits.mode AS waits_mode,
    CASE WHEN %(verbose)s THEN a.query END AS query
FROM chain
LEFT JOIN pg_stat_activity AS a ON a.pid = chain.pid
LEFT JOIN LATERAL (
    SELECT
        l.mode,
        CASE WHEN c.oid IS NOT NULL THEN json_build_object('schema', n.nspname, 'name', c.relname) END AS name
    FROM pg_locks AS l
    LEFT JOIN pg_class AS c
        ON c.oid = l.relation
        AND l.database = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())
    LEFT JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE l.pid = chain.pid AND NOT l.granted
    LIMIT 1
) AS waits ON true
ORDER BY chain.depth, chain.pid
