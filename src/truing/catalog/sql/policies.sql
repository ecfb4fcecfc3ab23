-- One row is one row-level security policy of a table.
SELECT
    p.polrelid AS relation,
    p.polname AS name,
    CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE'
        ELSE 'ALL' END AS command,
    p.polpermissive AS permissive,
    (
        SELECT json_agg(r.name ORDER BY r.name COLLATE "C")
        FROM (
            SELECT CASE WHEN role.oid = 0 THEN 'public' ELSE pg_get_userbyid(role.oid) END
            FROM unnest(p.polroles) AS role (oid)
        ) AS r (name)
    ) AS roles,
    pg_get_expr(p.polqual, p.polrelid) AS "using",
    pg_get_expr(p.polwithcheck, p.polrelid) AS "check",
    obj_description(p.oid, 'pg_policy') AS comment
FROM pg_policy AS p
WHERE p.polrelid = ANY (%(relations)s::oid[])
