-- One row is one way by which one object depends on a column: directly (via = 0), through the row type of its table
-- (by_type), or through a view that does (via = that view, however many views deep). An object may have several rows.
-- What belongs to a view (its indexes, rules and triggers) is no row: it comes with the view.
WITH RECURSIVE way AS (
    SELECT d.classid, d.objid, d.objsubid, 0::oid AS via, d.refclassid = 'pg_type'::regclass AS by_type
    FROM pg_class AS c
    JOIN pg_type AS t ON t.oid = c.reltype
    CROSS JOIN LATERAL (
        VALUES
            ('pg_class'::regclass, c.oid, %(attnum)s::integer), ('pg_type'::regclass, c.reltype, 0),
            ('pg_type'::regclass, t.typarray, 0)
    ) AS target (class, object, part)
    JOIN pg_depend AS d
        ON d.refclassid = target.class AND d.refobjid = target.object AND d.refobjsubid = target.part
    -- A row type and its array type belong to their table.
    WHERE c.oid = %(table)s AND NOT (d.classid = 'pg_type'::regclass AND d.deptype = 'i')
    UNION
    SELECT d.classid, d.objid, d.objsubid, v.oid, false
    FROM way
    JOIN pg_rewrite AS r ON way.classid = 'pg_rewrite'::regclass AND r.oid = way.objid AND r.rulename = '_RETURN'
    JOIN pg_class AS v ON v.oid = r.ev_class
    JOIN pg_type AS t ON t.oid = v.reltype
    CROSS JOIN LATERAL (
        VALUES ('pg_class'::regclass, v.oid), ('pg_type'::regclass, v.reltype), ('pg_type'::regclass, t.typarray)
    ) AS target (class, object)
    JOIN pg_depend AS d ON d.refclassid = target.class AND d.refobjid = target.object
    WHERE d.deptype NOT IN ('a', 'i') AND NOT (d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid)
),

named AS (
    SELECT
        way.*,
        coalesce(
            con.conrelid, i.indrelid, pol.polrelid, tr.tgrelid, r.ev_class, ad.adrelid, s.stxrelid, pr.prrelid, c.oid
        ) AS owner,
        coalesce(
            con.conname, pol.polname, tr.tgname, r.rulename, s.stxname, pub.pubname, p.proname, c.relname
        ) AS name,
        coalesce(s.stxnamespace, p.pronamespace, c.relnamespace) AS namespace,
        coalesce(ad.adnum, way.objsubid) AS column_number,
        c.relkind,
        coalesce(tr.tgisinternal, false) AS internal
    FROM way
    LEFT JOIN pg_constraint AS con ON way.classid = 'pg_constraint'::regclass AND con.oid = way.objid
    LEFT JOIN pg_policy AS pol ON way.classid = 'pg_policy'::regclass AND pol.oid = way.objid
    LEFT JOIN pg_trigger AS tr ON way.classid = 'pg_trigger'::regclass AND tr.oid = way.objid
    LEFT JOIN pg_rewrite AS r ON way.classid = 'pg_rewrite'::regclass AND r.oid = way.objid
    LEFT JOIN pg_attrdef AS ad ON way.classid = 'pg_attrdef'::regclass AND ad.oid = way.objid
    LEFT JOIN pg_statistic_ext AS s ON way.classid = 'pg_statistic_ext'::regclass AND s.oid = way.objid
    LEFT JOIN pg_publication_rel AS pr ON way.classid = 'pg_publication_rel'::regclass AND pr.oid = way.objid
    LEFT JOIN pg_publication AS pub ON pub.oid = pr.prpubid
    LEFT JOIN pg_proc AS p ON way.classid = 'pg_proc'::regclass AND p.oid = way.objid
    LEFT JOIN pg_class AS c ON way.classid = 'pg_class'::regclass AND c.oid = way.objid
    LEFT JOIN pg_index AS i ON i.indexrelid = c.oid
)

SELECT
    0 AS relation,
    named.classid::regclass::text AS class,
    named.objid::bigint AS object,
    named.via::bigint AS via,
    named.by_type,
    coalesce(named.owner, 0)::bigint AS owner,
    named.name,
    n.nspname AS schema,
    a.attname AS column_name,
    named.relkind,
    pg_describe_object(named.classid, named.objid, named.objsubid) AS description
FROM named
LEFT JOIN pg_namespace AS n ON n.oid = named.namespace
LEFT JOIN pg_attribute AS a ON a.attrelid = named.owner AND a.attnum = named.column_number AND a.attnum > 0
WHERE NOT named.internal AND named.owner IS DISTINCT FROM named.via
