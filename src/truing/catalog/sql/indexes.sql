-- One row is one index of a table or materialised view.
SELECT
    i.indrelid AS relation,
    c.relname AS name,
    pg_get_indexdef(i.indexrelid) AS definition,
    (
        SELECT json_agg(a.attname ORDER BY k.place)
        FROM unnest(i.indkey) WITH ORDINALITY AS k (number, place)
        LEFT JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.number AND k.number <> 0
        WHERE k.place <= i.indnkeyatts
    ) AS columns,
    CASE WHEN i.indexprs IS NULL THEN (
        -- As pg_get_indexdef() prints a column that is no expression, and in a fraction of the time.
        SELECT json_agg(quote_ident(a.attname) ORDER BY k.place)
        FROM unnest(i.indkey) WITH ORDINALITY AS k (number, place)
        JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.number
        WHERE k.place <= i.indnkeyatts
    ) ELSE (
        SELECT json_agg(pg_get_indexdef(i.indexrelid, e.place, false) ORDER BY e.place)
        FROM generate_series(1, i.indnkeyatts::integer) AS e (place)
    ) END AS elements,
    CASE WHEN i.indnatts = i.indnkeyatts THEN '[]' ELSE (
        SELECT coalesce(json_agg(a.attname ORDER BY k.place), '[]')
        FROM unnest(i.indkey) WITH ORDINALITY AS k (number, place)
        JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.number
        WHERE k.place > i.indnkeyatts
    ) END AS include,
    am.amname AS method,
    i.indisunique AS "unique",
    -- Only a unique index can have it, and a whole row as JSON costs as much as all the rest.
    i.indisunique AND coalesce((to_jsonb(i) ->> 'indnullsnotdistinct')::boolean, false) AS nulls_not_distinct,
    i.indisprimary AS "primary",
    i.indisvalid AS valid,
    i.indisready AS ready,
    i.indislive AS live,
    con.conname AS "constraint",
    pg_get_expr(i.indpred, i.indrelid) AS predicate,
    CASE WHEN c.reloptions IS NULL THEN '[]' ELSE (
        SELECT coalesce(json_agg(o.setting ORDER BY o.setting COLLATE "C"), '[]') FROM unnest(c.reloptions) AS o (setting)
    ) END AS options,
    ts.spcname AS tablespace,
    -- Only an expression can have it.
    CASE WHEN i.indexprs IS NULL THEN '[]' ELSE (
        SELECT coalesce(json_agg(json_build_array(a.attnum, a.attstattarget) ORDER BY a.attnum), '[]')
        FROM pg_attribute AS a
        WHERE a.attrelid = i.indexrelid AND a.attstattarget >= 0
    ) END AS statistics,
    i.indisclustered AS clustered,
    i.indisreplident AS replica_identity,
    c.relispartition AS inherited,
    said.description AS comment
FROM pg_index AS i
JOIN pg_class AS c ON c.oid = i.indexrelid
JOIN pg_am AS am ON am.oid = c.relam
LEFT JOIN pg_tablespace AS ts ON ts.oid = c.reltablespace
LEFT JOIN pg_description AS said
    ON said.classoid = 'pg_class'::regclass AND said.objoid = i.indexrelid AND said.objsubid = 0
-- A foreign key names its parent's index in conindid, hence the kinds.
LEFT JOIN pg_constraint AS con ON con.conindid = i.indexrelid AND con.contype IN ('p', 'u', 'x')
WHERE i.indrelid = ANY (%(relations)s::oid[])
