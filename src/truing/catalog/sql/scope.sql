-- One row is one relation, function or type of a user, with the verdict whether the snapshot shows it or why not.
-- Sequences and composite types count as relations. Everything else is then read by the oids that are found here.
WITH namespace AS MATERIALIZED (
    SELECT
        oid,
        CASE
            WHEN starts_with(nspname, 'pg_temp_') THEN 'temporary'
            WHEN nspname = %(own)s THEN 'own'
            WHEN nspname::text <> ALL (coalesce(%(include)s::text[], ARRAY[nspname::text])) THEN 'other'
            WHEN nspname::text = ANY (%(exclude)s::text[]) THEN 'other'
            ELSE 'shown'
        END AS verdict
    FROM pg_namespace
    WHERE nspname NOT IN ('pg_catalog', 'information_schema') AND NOT starts_with(nspname, 'pg_toast')
),

candidate AS (
    SELECT 'pg_class'::regclass AS class, oid, relnamespace AS namespace, relkind::text AS kind
    FROM pg_class
    WHERE relkind IN ('r', 'p', 'f', 'v', 'm', 'S')
    UNION ALL
    SELECT 'pg_proc'::regclass, oid, pronamespace, 'function'
    FROM pg_proc
    -- The constructors of a range type belong to it.
    WHERE NOT EXISTS (
        SELECT FROM pg_depend AS d
        WHERE d.classid = 'pg_proc'::regclass AND d.objid = pg_proc.oid AND d.deptype = 'i'
    )
    UNION ALL
    -- The row types of tables are typtype c as well, and so are left to their relations; multiranges go with their range.
    SELECT 'pg_type'::regclass, type.oid, type.typnamespace, 'type'
    FROM pg_type AS type
    LEFT JOIN pg_class AS composite ON composite.oid = type.typrelid
    WHERE type.typtype IN ('e', 'd', 'r') OR composite.relkind = 'c'
)

SELECT
    candidate.oid::bigint AS oid,
    candidate.kind,
    CASE WHEN member.objid IS NOT NULL THEN 'extension' ELSE namespace.verdict END AS verdict
FROM candidate
JOIN namespace ON namespace.oid = candidate.namespace
LEFT JOIN pg_depend AS member
    ON member.classid = candidate.class AND member.objid = candidate.oid AND member.objsubid = 0 AND member.deptype = 'e'
