-- One row is one thing that could keep a lock on a table waiting now, or that keeps VACUUM from its work: a session in a
-- transaction, a prepared transaction, or a replication slot. To a role without pg_read_all_stats the age and state of
-- other roles' sessions are hidden; which locks they hold never is.
WITH wanted AS (
    SELECT c.oid, json_build_object('schema', n.nspname, 'name', c.relname) AS name
    FROM unnest(%(schemas)s::text[], %(names)s::text[]) AS w (schema, name)
    JOIN pg_namespace AS n ON n.nspname = w.schema
    JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = w.name
),

held AS (
    SELECT
        l.pid,
        l.virtualtransaction,
        json_agg(DISTINCT jsonb_build_object('table', wanted.name, 'mode', l.mode)) AS locks
    FROM pg_locks AS l
    JOIN wanted ON wanted.oid = l.relation
    WHERE l.locktype = 'relation' AND l.granted AND l.mode <> 'SIReadLock'
        AND l.database = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())
    GROUP BY l.pid, l.virtualtransaction
)

SELECT
    0 AS relation,
    CASE
        WHEN a.query ~ '^autovacuum: .*\(to prevent wraparound\)' THEN 'wraparound-vacuum' ELSE 'transaction'
    END AS kind,
    a.pid,
    coalesce(nullif(a.application_name, ''), a.backend_type, '') AS name,
    coalesce(a.usename, '') AS user,
    coalesce(a.state, '') AS state,
    extract(epoch FROM clock_timestamp() - a.xact_start)::float8 AS age,
    coalesce(held.locks, '[]') AS locks,
    a.query IS NOT DISTINCT FROM '<insufficient privilege>' AS hidden,
    a.backend_xmin IS NOT NULL OR a.backend_xid IS NOT NULL AS holds_snapshot,
    CASE WHEN %(verbose)s THEN a.query END AS query
FROM pg_stat_activity AS a
LEFT JOIN held ON held.pid = a.pid
WHERE a.pid <> pg_backend_pid()
    AND (a.datname = current_database() OR held.pid IS NOT NULL)
    AND (held.pid IS NOT NULL OR a.xact_start < clock_timestamp() - make_interval(secs => %(older_than)s))

UNION ALL

SELECT
    0, 'prepared-transaction', NULL, p.gid, p.owner, 'prepared',
    extract(epoch FROM clock_timestamp() - p.prepared)::float8, coalesce(held.locks, '[]'), false, true, NULL
FROM pg_prepared_xacts AS p
-- Its locks belong to no process; they are found by the lock that every transaction holds on its own number.
LEFT JOIN pg_locks AS itself
    ON itself.locktype = 'transactionid' AND itself.transactionid = p.transaction AND itself.granted
LEFT JOIN held ON held.pid IS NULL AND held.virtualtransaction = itself.virtualtransaction
WHERE p.database = current_database()

UNION ALL

SELECT
    0, 'replication-slot', s.active_pid, s.slot_name, coalesce(s.plugin, 'physical'),
    CASE WHEN s.active THEN 'active' ELSE 'inactive' END, NULL, '[]', false, s.xmin IS NOT NULL, NULL
FROM pg_replication_slots AS s
WHERE (s.database IS NULL OR s.database = current_database()) AND (s.xmin IS NOT NULL OR NOT s.active)
