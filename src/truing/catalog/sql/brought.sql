-- One row is one object of PostgreSQL itself or of an extension whose privileges are not, text for text, those that it
-- came with, or that initdb gave to another owner; or one of those that are asked for by name, whatever its privileges
-- are. What initdb and CREATE EXTENSION granted is in pg_init_privs; an object without a row there came with the
-- default, except for those of information_schema, which initdb makes after it has taken note.
WITH member AS MATERIALIZED (
    SELECT d.classid, d.objid, e.extname AS extension
    FROM pg_depend AS d
    JOIN pg_extension AS e ON e.oid = d.refobjid
    WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
),

object AS (
    SELECT
        CASE p.prokind WHEN 'p' THEN 'procedure' ELSE 'function' END AS kind, 'pg_proc'::regclass AS class, p.oid,
        p.pronamespace AS namespace, p.proname AS name, '(' || oidvectortypes(p.proargtypes) || ')' AS arguments,
        p.proowner AS owner, p.proacl AS acl, i.initprivs AS recorded, 'f'::"char" AS default_of, 'f'::"char" AS type,
        NULL::name AS attribute
    FROM pg_proc AS p
    LEFT JOIN pg_init_privs AS i ON i.objoid = p.oid AND i.classoid = 'pg_proc'::regclass AND i.objsubid = 0
    WHERE p.proacl IS DISTINCT FROM i.initprivs OR p.oid < 16384 AND p.proowner <> 10 OR %(wanted)s::text[] <> '{}'
    UNION ALL
    SELECT
        CASE c.relkind WHEN 'S' THEN 'sequence' WHEN 'v' THEN 'view' WHEN 'm' THEN 'view' ELSE 'table' END,
        'pg_class'::regclass, c.oid, c.relnamespace, c.relname, '', c.relowner, c.relacl,
        coalesce(
            i.initprivs,
            CASE WHEN c.relnamespace = 'information_schema'::regnamespace AND NOT starts_with(c.relname, '_pg_')
                AND c.relname NOT IN ('sql_parts', 'transforms')
                THEN acldefault('r', c.relowner) || makeaclitem(0, c.relowner, 'SELECT', false) END
        ),
        CASE c.relkind WHEN 'S' THEN 'S'::"char" ELSE 'r' END, CASE c.relkind WHEN 'S' THEN 's'::"char" ELSE 'r' END,
        NULL
    FROM pg_class AS c
    LEFT JOIN pg_init_privs AS i ON i.objoid = c.oid AND i.classoid = 'pg_class'::regclass AND i.objsubid = 0
    WHERE c.relkind IN ('r', 'v', 'm', 'S', 'f', 'p')
        AND (c.relacl IS DISTINCT FROM i.initprivs OR c.oid < 16384 AND c.relowner <> 10 OR %(wanted)s::text[] <> '{}')
    UNION ALL
    SELECT
        'column', 'pg_class'::regclass, c.oid, c.relnamespace, c.relname, '', c.relowner, a.attacl, i.initprivs, NULL,
        'c', a.attname
    FROM pg_attribute AS a
    JOIN pg_class AS c ON c.oid = a.attrelid
    LEFT JOIN pg_init_privs AS i ON i.objoid = c.oid AND i.classoid = 'pg_class'::regclass AND i.objsubid = a.attnum
    WHERE NOT a.attisdropped
        -- Of this column alone, so that few of many go into the joins.
        AND (a.attacl IS NOT NULL OR (a.attrelid, a.attnum::integer) IN (
            SELECT s.objoid, s.objsubid FROM pg_init_privs AS s
            WHERE s.classoid = 'pg_class'::regclass AND s.objsubid <> 0
        ))
        AND (a.attacl IS DISTINCT FROM i.initprivs OR %(wanted)s::text[] <> '{}')
    UNION ALL
    SELECT
        'type', 'pg_type'::regclass, t.oid, t.typnamespace, t.typname, '', t.typowner, t.typacl, i.initprivs, 'T', 'T',
        NULL
    FROM pg_type AS t
    LEFT JOIN pg_init_privs AS i ON i.objoid = t.oid AND i.classoid = 'pg_type'::regclass AND i.objsubid = 0
    WHERE t.typacl IS DISTINCT FROM i.initprivs OR t.oid < 16384 AND t.typtype <> 'c' AND t.typowner <> 10
        OR %(wanted)s::text[] <> '{}'
    UNION ALL
    SELECT
        'schema', 'pg_namespace'::regclass, n.oid, NULL, n.nspname, '', n.nspowner, n.nspacl,
        coalesce(
            i.initprivs,
            CASE WHEN n.nspname = 'information_schema'
                THEN acldefault('n', n.nspowner) || makeaclitem(0, n.nspowner, 'USAGE', false) END
        ),
        'n', 'n', NULL
    FROM pg_namespace AS n
    LEFT JOIN pg_init_privs AS i ON i.objoid = n.oid AND i.classoid = 'pg_namespace'::regclass
    UNION ALL
    SELECT
        'language', 'pg_language'::regclass, l.oid, NULL, l.lanname, '', l.lanowner, l.lanacl, i.initprivs, NULL, 'l',
        NULL
    FROM pg_language AS l
    LEFT JOIN pg_init_privs AS i ON i.objoid = l.oid AND i.classoid = 'pg_language'::regclass
    UNION ALL
    SELECT
        'foreign-data wrapper', 'pg_foreign_data_wrapper'::regclass, f.oid, NULL, f.fdwname, '', f.fdwowner, f.fdwacl,
        i.initprivs, NULL, 'F', NULL
    FROM pg_foreign_data_wrapper AS f
    LEFT JOIN pg_init_privs AS i ON i.objoid = f.oid AND i.classoid = 'pg_foreign_data_wrapper'::regclass
    UNION ALL
    SELECT
        'foreign server', 'pg_foreign_server'::regclass, s.oid, NULL, s.srvname, '', s.srvowner, s.srvacl, i.initprivs,
        NULL, 'S', NULL
    FROM pg_foreign_server AS s
    LEFT JOIN pg_init_privs AS i ON i.objoid = s.oid AND i.classoid = 'pg_foreign_server'::regclass
)

SELECT
    o.oid AS relation,
    o.kind,
    concat_ws('.', quote_ident(n.nspname), quote_ident(o.name), quote_ident(o.attribute)) || o.arguments AS name,
    CASE WHEN o.kind = 'column' THEN concat_ws('.', quote_ident(n.nspname), quote_ident(o.name)) ELSE '' END
        AS relation_name,
    coalesce(m.extension, '') AS extension,
    pg_get_userbyid(o.owner) AS owner,
    -- BOOTSTRAP_SUPERUSERID, whatever its name is.
    o.oid < 16384 AND o.owner <> 10 AND o.kind <> 'column' AS moved,
    o.recorded IS NOT NULL AS recorded,
    (
        SELECT coalesce(json_agg(json_build_object(
            'grantee', CASE WHEN acl.grantee = 0 THEN 'public' ELSE pg_get_userbyid(acl.grantee) END,
            'privilege', acl.privilege_type,
            'grantable', acl.is_grantable,
            'grantor', pg_get_userbyid(acl.grantor)
        )), '[]')
        FROM aclexplode(coalesce(o.acl, acldefault(o.type, o.owner))) AS acl
    ) AS grants,
    (
        -- Whoever owned it then, what it came with is the owner's. A role that is gone is left behind before 17.
        SELECT coalesce(json_agg(json_build_object(
            'grantee', CASE WHEN acl.grantee = 0 THEN 'public'
                ELSE pg_get_userbyid(CASE WHEN acl.grantee = acl.grantor THEN o.owner ELSE acl.grantee END) END,
            'privilege', acl.privilege_type,
            'grantable', acl.is_grantable
        )), '[]')
        FROM aclexplode(coalesce(o.recorded, acldefault(o.type, o.owner))) AS acl
        WHERE acl.grantee IN (0, acl.grantor) OR EXISTS (SELECT FROM pg_roles AS r WHERE r.oid = acl.grantee)
    ) AS initial,
    (
        SELECT coalesce(json_agg(json_build_object(
            'grantee', CASE WHEN acl.grantee = 0 THEN 'public' ELSE pg_get_userbyid(acl.grantee) END,
            'privilege', acl.privilege_type,
            'grantable', acl.is_grantable
        )), '[]')
        FROM pg_default_acl AS d
        CROSS JOIN aclexplode(d.defaclacl) AS acl
        WHERE d.defaclrole = o.owner AND d.defaclobjtype = o.default_of
            AND d.defaclnamespace IN (0, coalesce(o.namespace, 0))
    ) AS by_default,
    EXISTS (
        SELECT FROM pg_default_acl AS d
        WHERE d.defaclrole = o.owner AND d.defaclobjtype = o.default_of AND d.defaclnamespace = 0
    ) AS otherwise_by_default
FROM object AS o
LEFT JOIN member AS m ON m.classid = o.class AND m.objid = o.oid
LEFT JOIN pg_namespace AS n ON n.oid = o.namespace
WHERE (
    n.nspname IS NULL OR n.nspname IN ('pg_catalog', 'information_schema') OR %(include)s::text[] IS NULL
    OR n.nspname::text = ANY (%(include)s::text[])
)
AND coalesce(n.nspname::text, '') <> ALL (%(exclude)s::text[])
AND (
    m.extension IS NOT NULL
    -- The schema public is everybody's.
    OR CASE WHEN o.namespace IS NULL THEN o.oid < 16384 AND o.name <> 'public' OR o.name = 'information_schema'
        ELSE n.nspname IN ('pg_catalog', 'information_schema') END
)
AND (
    o.acl IS DISTINCT FROM o.recorded
    OR o.oid < 16384 AND o.owner <> 10 AND o.kind <> 'column'
    OR o.kind || ' ' || concat_ws('.', quote_ident(n.nspname), quote_ident(o.name), quote_ident(o.attribute))
        || o.arguments = ANY (%(wanted)s::text[])
)
