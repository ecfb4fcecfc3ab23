-- One row is one installed extension.
SELECT e.oid AS relation, e.extname AS name, n.nspname AS schema, e.extversion AS version,
    obj_description(e.oid, 'pg_extension') AS comment
FROM pg_extension AS e
JOIN pg_namespace AS n ON n.oid = e.extnamespace
