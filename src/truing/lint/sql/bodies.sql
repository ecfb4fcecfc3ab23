-- One row: a function or procedure whose body is kept as text, which pg_depend therefore knows nothing of. Members of
-- extensions are left out.
SELECT n.nspname AS schema, p.proname AS name, l.lanname AS language, p.prosrc AS body,
       pg_catalog.pg_get_function_identity_arguments(p.oid) AS arguments
FROM pg_catalog.pg_proc AS p
JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
JOIN pg_catalog.pg_language AS l ON l.oid = p.prolang
WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', '_truing') AND n.nspname !~ '^pg_(toast|temp)'
  AND l.lanname NOT IN ('internal', 'c')
  AND p.prosrc <> ''
  AND NOT EXISTS (
    SELECT FROM pg_catalog.pg_depend AS d
    WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid = p.oid AND d.deptype = 'e')
ORDER BY n.nspname, p.proname, arguments
