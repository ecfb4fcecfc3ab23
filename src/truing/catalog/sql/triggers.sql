-- One row is one trigger that somebody created on a table or view.
SELECT
    t.tgrelid AS relation,
    t.tgname AS name,
    pg_get_triggerdef(t.oid) AS definition,
    json_build_object('schema', n.nspname, 'name', p.proname) AS function,
    CASE t.tgenabled WHEN 'D' THEN 'disabled' WHEN 'R' THEN 'replica' WHEN 'A' THEN 'always' ELSE 'origin' END
        AS enabled,
    (
        SELECT coalesce(json_agg(a.attname ORDER BY k.place), '[]')
        FROM unnest(t.tgattr) WITH ORDINALITY AS k (number, place)
        JOIN pg_attribute AS a ON a.attrelid = t.tgrelid AND a.attnum = k.number
    ) AS columns,
    (t.tgtype & 1) = 1 AS "row",
    t.tgconstraint <> 0 AS "constraint",
    t.tgparentid <> 0 AS inherited,
    obj_description(t.oid, 'pg_trigger') AS comment
FROM pg_trigger AS t
JOIN pg_proc AS p ON p.oid = t.tgfoid
JOIN pg_namespace AS n ON n.oid = p.pronamespace
WHERE t.tgrelid = ANY (%(relations)s::oid[]) AND NOT t.tgisinternal
