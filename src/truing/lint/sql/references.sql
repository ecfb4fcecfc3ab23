-- One row: an object that depends on one of the relations %(relations)s (as pg_depend has it, so it holds for bodies of
-- BEGIN ATOMIC functions, views and policies alike), but is no part of that relation itself. `owner_*` is the relation
-- or function that the object belongs to.
WITH target AS (
  SELECT c.oid, c.relnamespace, c.relname, c.reltype
  FROM pg_catalog.pg_class AS c WHERE c.oid = ANY (%(relations)s)
), dependent AS (
  SELECT DISTINCT t.oid AS target, d.classid, d.objid
  FROM target AS t
  JOIN pg_catalog.pg_depend AS d
    ON (d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = t.oid)
    OR (d.refclassid = 'pg_catalog.pg_type'::pg_catalog.regclass AND t.reltype <> 0
        -- A parameter of the row type, or of its array.
        AND d.refobjid IN (SELECT ty.oid FROM pg_catalog.pg_type AS ty WHERE t.reltype IN (ty.oid, ty.typelem)))
), owned AS (
  SELECT target, classid, objid, 'foreign key' AS kind, con.conname AS part, con.conrelid AS owner, NULL::oid AS proc
  FROM dependent
  JOIN pg_catalog.pg_constraint AS con ON con.oid = objid AND con.contype = 'f' AND con.conparentid = 0
  WHERE classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass
  UNION ALL
  SELECT target, classid, objid, CASE WHEN r.rulename = '_RETURN' THEN 'view' ELSE 'rule' END,
         CASE WHEN r.rulename = '_RETURN' THEN NULL ELSE r.rulename END, r.ev_class, NULL
  FROM dependent JOIN pg_catalog.pg_rewrite AS r ON r.oid = objid
  WHERE classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass
  UNION ALL
  SELECT target, classid, objid, 'policy', p.polname, p.polrelid, NULL
  FROM dependent JOIN pg_catalog.pg_policy AS p ON p.oid = objid
  WHERE classid = 'pg_catalog.pg_policy'::pg_catalog.regclass
  UNION ALL
  -- A trigger on a relation that runs a function from elsewhere: the function is what refers.
  SELECT target, classid, objid, 'trigger', g.tgname, g.tgrelid, g.tgfoid
  FROM dependent JOIN pg_catalog.pg_trigger AS g ON g.oid = objid AND NOT g.tgisinternal
  WHERE classid = 'pg_catalog.pg_trigger'::pg_catalog.regclass
  UNION ALL
  SELECT target, classid, objid, 'function', NULL, NULL, objid
  FROM dependent WHERE classid = 'pg_catalog.pg_proc'::pg_catalog.regclass
  UNION ALL
  SELECT target, classid, objid, 'default', a.attname, ad.adrelid, NULL
  FROM dependent JOIN pg_catalog.pg_attrdef AS ad ON ad.oid = objid
  JOIN pg_catalog.pg_attribute AS a ON a.attrelid = ad.adrelid AND a.attnum = ad.adnum
  WHERE classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass
  UNION ALL
  SELECT target, classid, objid, CASE WHEN i.inhrelid IS NULL THEN 'column' ELSE 'child table' END, NULL, objid, NULL
  FROM dependent JOIN pg_catalog.pg_class AS k ON k.oid = objid AND k.relkind IN ('r', 'p', 'f')
  LEFT JOIN pg_catalog.pg_inherits AS i ON i.inhrelid = objid AND i.inhparent = target
  WHERE classid = 'pg_catalog.pg_class'::pg_catalog.regclass
)
SELECT tn.nspname AS schema, t.relname AS name, o.kind, o.part,
       coalesce(pn.nspname, cn.nspname) AS owner_schema, coalesce(p.proname, c.relname) AS owner_name,
       cn.nspname AS on_schema, c.relname AS on_name,
       CASE o.kind
         WHEN 'foreign key' THEN pg_catalog.pg_get_constraintdef(o.objid)
         WHEN 'trigger' THEN pg_catalog.pg_get_triggerdef(o.objid)
         ELSE pg_catalog.pg_describe_object(o.classid, o.objid, 0)
       END AS definition
FROM owned AS o
JOIN target AS t ON t.oid = o.target
JOIN pg_catalog.pg_namespace AS tn ON tn.oid = t.relnamespace
LEFT JOIN pg_catalog.pg_class AS c ON c.oid = o.owner
LEFT JOIN pg_catalog.pg_namespace AS cn ON cn.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_proc AS p ON p.oid = o.proc
LEFT JOIN pg_catalog.pg_namespace AS pn ON pn.oid = p.pronamespace
-- What belongs to the relation itself (its own policies, a key from it to itself) is no reference to it;
-- a trigger on it is one, when it runs a function from another schema.
WHERE CASE o.kind WHEN 'trigger' THEN p.pronamespace <> t.relnamespace ELSE o.owner IS DISTINCT FROM o.target END
ORDER BY tn.nspname, t.relname, o.kind, owner_schema, owner_name, o.part, definition
