-- One row is one relation of any kind and schema, the catalogs' own and members of extensions included.
SELECT
    c.oid AS relation,
    json_build_object('schema', n.nspname, 'name', c.relname) AS name,
    -- Bits of PostgreSQL's CmdType: 4 UPDATE, 8 INSERT, 16 DELETE; INSTEAD OF triggers and rules count.
    CASE WHEN c.relkind = 'v' THEN pg_relation_is_updatable(c.oid, true) & 28 = 28 ELSE c.relkind IN ('r', 'p', 'f')
    END AS writable
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relpersistence <> 't' AND n.nspname <> 'pg_toast'
