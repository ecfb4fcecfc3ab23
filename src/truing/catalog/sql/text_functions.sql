-- One row is one function whose body is kept as text and might name the column: the text holds the column's name, and
-- either holds the table's name or belongs to a trigger on the table or takes or returns its row type. Spelling is
-- judged by the caller; here letters count, whatever their case.
SELECT
    p.oid AS relation,
    p.prosrc AS source,
    p.oid IN (SELECT t.tgfoid FROM pg_trigger AS t WHERE t.tgrelid = %(table)s)
    OR EXISTS (
        SELECT
        FROM pg_class AS c
        JOIN pg_type AS t ON t.oid = c.reltype
        WHERE c.oid = %(table)s
            AND (p.prorettype IN (c.reltype, t.typarray)
                OR coalesce(p.proallargtypes, p.proargtypes::oid[]) && ARRAY[c.reltype, t.typarray])
    ) AS bound,
    pg_describe_object('pg_proc'::regclass, p.oid, 0) AS description
FROM pg_proc AS p
JOIN pg_namespace AS n ON n.oid = p.pronamespace
JOIN pg_language AS l ON l.oid = p.prolang
WHERE p.prosqlbody IS NULL AND p.prokind <> 'a' AND l.lanname NOT IN ('internal', 'c')
    AND n.nspname NOT IN ('pg_catalog', 'information_schema', %(own)s)
    AND EXISTS (
        SELECT FROM unnest(%(spellings)s::text[]) AS s (spelling)
        WHERE strpos(lower(p.prosrc), lower(s.spelling)) > 0
    )
    AND NOT EXISTS (
        SELECT FROM pg_depend AS e WHERE e.classid = 'pg_proc'::regclass AND e.objid = p.oid AND e.deptype = 'e'
    )
