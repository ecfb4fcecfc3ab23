-- One row is one table, view or sequence (or schema), with what a role lacks on it. Roles that it is a member of count.
SELECT
    c.oid AS relation,
    json_build_object('schema', n.nspname, 'name', c.relname) AS name,
    (
        SELECT coalesce(json_agg(w.privilege ORDER BY w.place), '[]')
        FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) WITH ORDINALITY AS w (privilege, place)
        WHERE c.relkind <> 'S' AND NOT has_table_privilege(r.oid, c.oid, w.privilege)
            -- Privileges on single columns are a choice that somebody made.
            AND CASE WHEN w.privilege = 'DELETE' THEN true
                ELSE NOT has_any_column_privilege(r.oid, c.oid, w.privilege) END
    ) AS missing,
    c.relkind = 'S' AND NOT has_sequence_privilege(r.oid, c.oid, 'USAGE') AS unusable,
    NOT has_schema_privilege(r.oid, n.oid, 'USAGE') AS hidden,
    pg_has_role(r.oid, c.relowner, 'USAGE') AS owner
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
CROSS JOIN (SELECT oid FROM pg_roles WHERE rolname = %(role)s) AS r
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND c.relpersistence <> 't'
    AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
