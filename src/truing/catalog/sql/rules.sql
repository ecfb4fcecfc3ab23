-- One row is one rewrite rule of a table or view, other than the one that makes it a view.
SELECT
    r.ev_class AS relation,
    r.rulename AS name,
    pg_get_ruledef(r.oid) AS definition,
    CASE r.ev_enabled WHEN 'D' THEN 'disabled' WHEN 'R' THEN 'replica' WHEN 'A' THEN 'always' ELSE 'origin' END
        AS enabled,
    obj_description(r.oid, 'pg_rewrite') AS comment
FROM pg_rewrite AS r
WHERE r.ev_class = ANY (%(relations)s::oid[]) AND r.rulename <> '_RETURN'
