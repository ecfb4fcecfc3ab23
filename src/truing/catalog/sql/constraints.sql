-- One row is one constraint of a table (relation) or of a domain (type). Constraint triggers are read as triggers.
-- Columns that only newer servers have are taken from the row as JSON, so that one query serves every major.
SELECT
    coalesce(nullif(con.conrelid, 0), con.contypid) AS relation,
    con.conname AS name,
    CASE con.contype
        WHEN 'p' THEN 'primary-key' WHEN 'u' THEN 'unique' WHEN 'c' THEN 'check' WHEN 'f' THEN 'foreign-key'
        WHEN 'x' THEN 'exclusion' WHEN 'n' THEN 'not-null'
    END AS kind,
    pg_get_constraintdef(con.oid) AS definition,
    (
        SELECT coalesce(json_agg(
            -- Of a CHECK the server notes them by position, which says nothing.
            a.attname ORDER BY CASE WHEN con.contype = 'c' THEN a.attname::text END COLLATE "C", k.place
        ), '[]')
        FROM unnest(con.conkey) WITH ORDINALITY AS k (number, place)
        JOIN pg_attribute AS a ON a.attrelid = con.conrelid AND a.attnum = k.number
    ) AS columns,
    CASE WHEN con.contype = 'c' THEN pg_get_expr(con.conbin, con.conrelid) END AS expression,
    con.convalidated AS validated,
    CASE WHEN con.contype IN ('c', 'f') THEN coalesce((newer.columns ->> 'conenforced')::boolean, true) ELSE true END
        AS enforced,
    con.condeferrable AS deferrable,
    con.condeferred AS initially_deferred,
    -- connoinherit is true for keys as well, where nobody can choose it.
    con.connoinherit AND con.contype IN ('c', 'n') AS no_inherit,
    con.coninhcount > 0 OR con.conparentid <> 0 AS inherited,
    con.conislocal AS local,
    CASE WHEN con.contype = 'f' THEN json_build_object('schema', fn.nspname, 'name', f.relname) END AS "references",
    CASE WHEN con.contype <> 'f' THEN '[]' ELSE (
        SELECT coalesce(json_agg(a.attname ORDER BY k.place), '[]')
        FROM unnest(con.confkey) WITH ORDINALITY AS k (number, place)
        JOIN pg_attribute AS a ON a.attrelid = con.confrelid AND a.attnum = k.number
    ) END AS referenced_columns,
    CASE con.confdeltype
        WHEN 'r' THEN 'RESTRICT' WHEN 'c' THEN 'CASCADE' WHEN 'n' THEN 'SET NULL' WHEN 'd' THEN 'SET DEFAULT'
        ELSE 'NO ACTION'
    END AS on_delete,
    CASE con.confupdtype
        WHEN 'r' THEN 'RESTRICT' WHEN 'c' THEN 'CASCADE' WHEN 'n' THEN 'SET NULL' WHEN 'd' THEN 'SET DEFAULT'
        ELSE 'NO ACTION'
    END AS on_update,
    CASE WHEN con.contype <> 'f' OR con.confdeltype NOT IN ('n', 'd') THEN '[]' ELSE (
        SELECT coalesce(json_agg(a.attname ORDER BY a.attnum), '[]')
        FROM jsonb_array_elements_text(nullif(newer.columns -> 'confdelsetcols', 'null')) AS k (number)
        JOIN pg_attribute AS a ON a.attrelid = con.conrelid AND a.attnum = k.number::smallint
    ) END AS on_delete_columns,
    con.confmatchtype = 'f' AS match_full,
    CASE WHEN con.contype IN ('p', 'u', 'x') THEN i.relname END AS index,
    -- Foreign keys have such, and what is checked late.
    (con.contype = 'f' OR con.condeferrable) AND EXISTS (
        SELECT FROM pg_trigger AS t WHERE t.tgconstraint = con.oid AND t.tgisinternal AND t.tgenabled = 'D'
    ) AS triggers_disabled,
    said.description AS comment
FROM pg_constraint AS con
LEFT JOIN pg_class AS f ON f.oid = con.confrelid
LEFT JOIN pg_namespace AS fn ON fn.oid = f.relnamespace
LEFT JOIN pg_class AS i ON i.oid = con.conindid
LEFT JOIN pg_description AS said
    ON said.classoid = 'pg_constraint'::regclass AND said.objoid = con.oid AND said.objsubid = 0
CROSS JOIN LATERAL (
    SELECT CASE WHEN con.contype IN ('c', 'f') THEN to_jsonb(con) END AS columns
) AS newer
WHERE con.contype <> 't'
    AND ((con.conrelid <> 0 AND con.conrelid = ANY (%(relations)s::oid[]))
        OR (con.contypid <> 0 AND con.contypid = ANY (%(types)s::oid[])))
