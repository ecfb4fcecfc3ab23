-- One row is one sequence that has been used and that we may look into, with the last value it gave.
SELECT
    c.oid AS relation,
    json_build_object('schema', s.schemaname, 'name', s.sequencename) AS name,
    s.last_value AS "last"
FROM pg_sequences AS s
JOIN pg_namespace AS n ON n.nspname = s.schemaname
JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = s.sequencename
WHERE s.last_value IS NOT NULL
