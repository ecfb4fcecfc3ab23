-- One row is one extended statistics object on a table or materialised view.
SELECT
    s.stxrelid AS relation,
    json_build_object('schema', n.nspname, 'name', s.stxname) AS name,
    pg_get_statisticsobjdef(s.oid) AS definition,
    (
        SELECT coalesce(json_agg(a.attname ORDER BY k.place), '[]')
        FROM unnest(s.stxkeys) WITH ORDINALITY AS k (number, place)
        JOIN pg_attribute AS a ON a.attrelid = s.stxrelid AND a.attnum = k.number
    ) AS columns,
    pg_get_userbyid(s.stxowner) AS owner,
    nullif(s.stxstattarget, -1) AS target,
    obj_description(s.oid, 'pg_statistic_ext') AS comment
FROM pg_statistic_ext AS s
JOIN pg_namespace AS n ON n.oid = s.stxnamespace
WHERE s.stxrelid = ANY (%(relations)s::oid[])
