-- One row is one of the tables asked about (or its TOAST table) that is so old that autovacuum freezes it at the next
-- opportunity, and then does not give way to anybody who wants a lock (documentation: "Preventing Transaction ID
-- Wraparound Failures").
SELECT
    c.oid AS relation,
    json_build_object('schema', n.nspname, 'name', c.relname) AS table,
    greatest(age(c.relfrozenxid), age(toast.relfrozenxid)) AS transactions
FROM unnest(%(schemas)s::text[], %(names)s::text[]) AS w (schema, name)
JOIN pg_namespace AS n ON n.nspname = w.schema
JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = w.name
LEFT JOIN pg_class AS toast ON toast.oid = c.reltoastrelid
LEFT JOIN pg_options_to_table(c.reloptions) AS o ON o.option_name = 'autovacuum_freeze_max_age'
WHERE c.relkind IN ('r', 'm')
    AND greatest(age(c.relfrozenxid), age(toast.relfrozenxid))
        >= least(o.option_value::bigint, current_setting('autovacuum_freeze_max_age')::bigint)
