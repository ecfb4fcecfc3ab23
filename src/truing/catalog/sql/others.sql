-- One row is one object of a kind that has no reader of its own, with a definition that says all there is to compare.
-- Secrets (values of the options of user mappings, connections of subscriptions) are not read. Columns that only newer
-- servers have are taken from the row as JSON, so that one query serves every major.
WITH object AS (
    SELECT
        'default privileges' AS kind, 'pg_default_acl'::regclass AS class, d.oid, n.nspname AS schema,
        format(
            'of %%I%%s on %%s', pg_get_userbyid(d.defaclrole), ' in ' || quote_ident(n.nspname),
            CASE d.defaclobjtype WHEN 'r' THEN 'tables' WHEN 'S' THEN 'sequences' WHEN 'f' THEN 'functions'
                WHEN 'T' THEN 'types' WHEN 'n' THEN 'schemas' ELSE 'large objects' END
        ) AS name,
        (
            SELECT coalesce(string_agg(g.text, ', ' ORDER BY g.text COLLATE "C"), 'nothing to anybody')
            FROM (
                SELECT format(
                    '%%s to %%s%%s', acl.privilege_type,
                    CASE WHEN acl.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(acl.grantee)) END,
                    CASE WHEN acl.is_grantable THEN ' with grant option' END
                ) FROM aclexplode(d.defaclacl) AS acl
            ) AS g (text)
        ) AS definition,
        NULL::oid AS owner, NULL::aclitem[] AS acl
    FROM pg_default_acl AS d
    LEFT JOIN pg_namespace AS n ON n.oid = d.defaclnamespace

    UNION ALL
    SELECT
        'event trigger', 'pg_event_trigger'::regclass, e.oid, NULL, quote_ident(e.evtname),
        format(
            'ON %%s%%s EXECUTE FUNCTION %%s%%s', e.evtevent,
            ' WHEN TAG IN (' || array_to_string(e.evttags, ', ') || ')', e.evtfoid::regprocedure,
            CASE e.evtenabled WHEN 'D' THEN ', disabled' WHEN 'R' THEN ', on replicas' WHEN 'A' THEN ', always' END
        ),
        e.evtowner, NULL
    FROM pg_event_trigger AS e

    UNION ALL
    SELECT
        'collation', 'pg_collation'::regclass, c.oid, n.nspname, format('%%I.%%I', n.nspname, c.collname),
        concat_ws(
            ', ', 'provider ' || (to_jsonb(c) ->> 'collprovider'), 'collate ' || (to_jsonb(c) ->> 'collcollate'),
            'ctype ' || (to_jsonb(c) ->> 'collctype'),
            'locale ' || coalesce(to_jsonb(c) ->> 'colllocale', to_jsonb(c) ->> 'colliculocale'),
            'rules ' || (to_jsonb(c) ->> 'collicurules'),
            CASE WHEN NOT c.collisdeterministic THEN 'not deterministic' END
        ),
        c.collowner, NULL
    FROM pg_collation AS c
    JOIN pg_namespace AS n ON n.oid = c.collnamespace

    UNION ALL
    SELECT
        'cast', 'pg_cast'::regclass, c.oid, NULL,
        format('%%s AS %%s', format_type(c.castsource, NULL), format_type(c.casttarget, NULL)),
        concat_ws(
            ' ', CASE c.castmethod WHEN 'f' THEN 'WITH FUNCTION ' || c.castfunc::regprocedure::text
                WHEN 'i' THEN 'WITH INOUT' ELSE 'WITHOUT FUNCTION' END,
            CASE c.castcontext WHEN 'a' THEN 'AS ASSIGNMENT' WHEN 'i' THEN 'AS IMPLICIT' END
        ),
        NULL, NULL
    FROM pg_cast AS c

    UNION ALL
    SELECT
        'operator', 'pg_operator'::regclass, o.oid, n.nspname,
        format(
            '%%I.%%s (%%s, %%s)', n.nspname, o.oprname,
            CASE WHEN o.oprleft = 0 THEN 'NONE' ELSE format_type(o.oprleft, NULL) END, format_type(o.oprright, NULL)
        ),
        concat_ws(
            ', ', 'FUNCTION ' || o.oprcode::text, 'COMMUTATOR ' || nullif(o.oprcom, 0)::regoperator::text,
            'NEGATOR ' || nullif(o.oprnegate, 0)::regoperator::text, 'RESTRICT ' || nullif(o.oprrest, 0)::regproc::text,
            'JOIN ' || nullif(o.oprjoin, 0)::regproc::text, CASE WHEN o.oprcanhash THEN 'HASHES' END,
            CASE WHEN o.oprcanmerge THEN 'MERGES' END
        ),
        o.oprowner, NULL
    FROM pg_operator AS o
    JOIN pg_namespace AS n ON n.oid = o.oprnamespace

    UNION ALL
    SELECT
        'operator class', 'pg_opclass'::regclass, o.oid, n.nspname,
        format('%%I.%%I USING %%I', n.nspname, o.opcname, a.amname),
        concat_ws(
            ' ', CASE WHEN o.opcdefault THEN 'DEFAULT' END, 'FOR TYPE ' || format_type(o.opcintype, NULL),
            'FAMILY ' || format('%%I.%%I', fn.nspname, f.opfname),
            'STORAGE ' || format_type(nullif(o.opckeytype, 0), NULL)
        ),
        o.opcowner, NULL
    FROM pg_opclass AS o
    JOIN pg_namespace AS n ON n.oid = o.opcnamespace
    JOIN pg_am AS a ON a.oid = o.opcmethod
    JOIN pg_opfamily AS f ON f.oid = o.opcfamily
    JOIN pg_namespace AS fn ON fn.oid = f.opfnamespace

    UNION ALL
    SELECT
        'operator family', 'pg_opfamily'::regclass, f.oid, n.nspname,
        format('%%I.%%I USING %%I', n.nspname, f.opfname, a.amname),
        (
            SELECT coalesce(string_agg(m.text, ', ' ORDER BY m.text COLLATE "C"), 'empty')
            FROM (
                SELECT format('OPERATOR %%s %%s%%s', o.amopstrategy, o.amopopr::regoperator, (
                    SELECT format(' FOR ORDER BY %%I.%%I', sn.nspname, s.opfname)
                    FROM pg_opfamily AS s JOIN pg_namespace AS sn ON sn.oid = s.opfnamespace
                    WHERE s.oid = o.amopsortfamily
                ))
                FROM pg_amop AS o WHERE o.amopfamily = f.oid
                UNION ALL
                SELECT format('FUNCTION %%s %%s', p.amprocnum, p.amproc::regprocedure)
                FROM pg_amproc AS p WHERE p.amprocfamily = f.oid
            ) AS m (text)
        ),
        f.opfowner, NULL
    FROM pg_opfamily AS f
    JOIN pg_namespace AS n ON n.oid = f.opfnamespace
    JOIN pg_am AS a ON a.oid = f.opfmethod
    WHERE f.oid >= 16384

    UNION ALL
    SELECT
        'text search configuration', 'pg_ts_config'::regclass, c.oid, n.nspname,
        format('%%I.%%I', n.nspname, c.cfgname),
        (
            SELECT format('PARSER %%I.%%I', pn.nspname, p.prsname)
            FROM pg_ts_parser AS p JOIN pg_namespace AS pn ON pn.oid = p.prsnamespace WHERE p.oid = c.cfgparser
        ) || coalesce((
            SELECT string_agg(format(', %%s: %%s', t.alias, m.mapdict::regdictionary), '' ORDER BY t.tokid, m.mapseqno)
            FROM pg_ts_config_map AS m
            JOIN ts_token_type(c.cfgparser) AS t ON t.tokid = m.maptokentype
            WHERE m.mapcfg = c.oid
        ), ''),
        c.cfgowner, NULL
    FROM pg_ts_config AS c
    JOIN pg_namespace AS n ON n.oid = c.cfgnamespace
    WHERE c.oid >= 16384

    UNION ALL
    SELECT
        'text search dictionary', 'pg_ts_dict'::regclass, d.oid, n.nspname, format('%%I.%%I', n.nspname, d.dictname),
        format('TEMPLATE %%I.%%I', tn.nspname, t.tmplname) || coalesce(', ' || d.dictinitoption, ''), d.dictowner, NULL
    FROM pg_ts_dict AS d
    JOIN pg_namespace AS n ON n.oid = d.dictnamespace
    JOIN pg_ts_template AS t ON t.oid = d.dicttemplate
    JOIN pg_namespace AS tn ON tn.oid = t.tmplnamespace

    UNION ALL
    SELECT
        'text search parser', 'pg_ts_parser'::regclass, p.oid, n.nspname, format('%%I.%%I', n.nspname, p.prsname),
        concat_ws(', ', p.prsstart, p.prstoken, p.prsend, p.prsheadline, p.prslextype), NULL, NULL
    FROM pg_ts_parser AS p
    JOIN pg_namespace AS n ON n.oid = p.prsnamespace

    UNION ALL
    SELECT
        'text search template', 'pg_ts_template'::regclass, t.oid, n.nspname, format('%%I.%%I', n.nspname, t.tmplname),
        concat_ws(', ', t.tmplinit, t.tmpllexize), NULL, NULL
    FROM pg_ts_template AS t
    JOIN pg_namespace AS n ON n.oid = t.tmplnamespace

    UNION ALL
    SELECT
        'foreign-data wrapper', 'pg_foreign_data_wrapper'::regclass, f.oid, NULL, quote_ident(f.fdwname),
        concat_ws(
            ' ', 'HANDLER ' || nullif(f.fdwhandler, 0)::regproc::text,
            'VALIDATOR ' || nullif(f.fdwvalidator, 0)::regproc::text
        ),
        f.fdwowner, coalesce(f.fdwacl, acldefault('F', f.fdwowner))
    FROM pg_foreign_data_wrapper AS f

    UNION ALL
    SELECT
        'foreign server', 'pg_foreign_server'::regclass, s.oid, NULL, quote_ident(s.srvname),
        concat_ws(
            ' ', 'TYPE ' || s.srvtype, 'VERSION ' || s.srvversion, 'FOREIGN DATA WRAPPER ' || quote_ident(f.fdwname)
        ),
        s.srvowner, coalesce(s.srvacl, acldefault('S', s.srvowner))
    FROM pg_foreign_server AS s
    JOIN pg_foreign_data_wrapper AS f ON f.oid = s.srvfdw

    UNION ALL
    -- pg_user_mapping itself may not be read by everybody; its view has NULL for the options of others, and for none.
    SELECT
        'user mapping', 'pg_foreign_server'::regclass, m.umid, NULL,
        format('%%s on %%I', CASE WHEN m.umuser = 0 THEN 'PUBLIC' ELSE quote_ident(m.usename) END, m.srvname),
        CASE
            WHEN m.umoptions IS NOT NULL THEN (
                SELECT 'OPTIONS (' || string_agg(o.name, ', ' ORDER BY o.name COLLATE "C") || ')'
                FROM (SELECT quote_ident(split_part(unnest(m.umoptions), '=', 1))) AS o (name)
            )
            WHEN me.rolsuper OR CASE WHEN m.umuser = 0 THEN pg_has_role(s.srvowner, 'USAGE') ELSE m.usename = me.rolname
                AND (pg_has_role(s.srvowner, 'USAGE') OR has_server_privilege(s.oid, 'USAGE')) END
                THEN 'without options'
            ELSE 'options that this role may not see'
        END,
        NULL, NULL
    FROM pg_user_mappings AS m
    JOIN pg_foreign_server AS s ON s.oid = m.srvid
    JOIN pg_roles AS me ON me.rolname = current_user

    UNION ALL
    SELECT
        'dependency on an extension', 'pg_extension'::regclass, 0::oid, NULL,
        format('%%s %%s on %%I', i.type, i.identity, e.extname), format('DEPENDS ON EXTENSION %%I', e.extname), NULL, NULL
    FROM pg_depend AS d
    JOIN pg_extension AS e ON e.oid = d.refobjid
    CROSS JOIN pg_identify_object(d.classid, d.objid, d.objsubid) AS i
    WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'x'

    UNION ALL
    SELECT
        'database setting', 'pg_database'::regclass, 0::oid, NULL,
        substring(s.setting FROM '^[^=]*') || coalesce(' of ' || quote_ident(pg_get_userbyid(nullif(r.setrole, 0))), ''),
        substring(s.setting FROM '^[^=]*=(.*)$'), NULL, NULL
    FROM pg_db_role_setting AS r
    CROSS JOIN unnest(r.setconfig) AS s (setting)
    WHERE r.setdatabase = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())

    UNION ALL
    SELECT
        'database', 'pg_database'::regclass, d.oid, NULL, 'this database',
        -- initdb comments on the database "postgres".
        concat_ws(
            ', ', 'connection limit ' || nullif(d.datconnlimit, -1), CASE WHEN NOT d.datallowconn THEN 'closed' END,
            CASE WHEN d.datistemplate THEN 'template' END, 'comment ' || quote_literal(nullif(
                shobj_description(d.oid, 'pg_database'), 'default administrative connection database'))
        ),
        d.datdba, coalesce(d.datacl, acldefault('d', d.datdba))
    FROM pg_database AS d
    WHERE d.datname = current_database()

    UNION ALL
    SELECT
        'security label', l.classoid::oid::regclass, l.objoid, NULL,
        l.provider || ' on ' || (pg_identify_object(l.classoid, l.objoid, l.objsubid)).type
        || ' ' || (pg_identify_object(l.classoid, l.objoid, l.objsubid)).identity,
        l.label, NULL, NULL
    FROM pg_seclabel AS l

    UNION ALL
    SELECT
        'language', 'pg_language'::regclass, l.oid, NULL, quote_ident(l.lanname),
        concat_ws(
            ' ', CASE WHEN l.lanpltrusted THEN 'TRUSTED' END, 'HANDLER ' || nullif(l.lanplcallfoid, 0)::regproc::text,
            'INLINE ' || nullif(l.laninline, 0)::regproc::text,
            'VALIDATOR ' || nullif(l.lanvalidator, 0)::regproc::text
        ),
        l.lanowner, coalesce(l.lanacl, acldefault('l', l.lanowner))
    FROM pg_language AS l

    UNION ALL
    SELECT
        'transform', 'pg_transform'::regclass, t.oid, NULL,
        format('for %%s language %%I', format_type(t.trftype, NULL), l.lanname),
        concat_ws(
            ', ', 'FROM SQL ' || nullif(t.trffromsql, 0)::regprocedure::text,
            'TO SQL ' || nullif(t.trftosql, 0)::regprocedure::text
        ),
        NULL, NULL
    FROM pg_transform AS t
    JOIN pg_language AS l ON l.oid = t.trflang

    UNION ALL
    SELECT
        'access method', 'pg_am'::regclass, a.oid, NULL, quote_ident(a.amname),
        format('TYPE %%s HANDLER %%s', CASE a.amtype WHEN 'i' THEN 'INDEX' ELSE 'TABLE' END, a.amhandler), NULL, NULL
    FROM pg_am AS a

    UNION ALL
    SELECT
        'subscription', 'pg_subscription'::regclass, s.oid, NULL, quote_ident(s.subname),
        format(
            'PUBLICATION %%s%%s%%s%%s', array_to_string(s.subpublications, ', '), ', slot ' || s.subslotname,
            CASE WHEN NOT s.subenabled THEN ', disabled' END,
            ', ' || nullif(concat_ws(
                ', ', CASE WHEN s.subbinary THEN 'binary' END,
                'streaming ' || CASE left(s.substream::text, 1) WHEN 't' THEN 'on' WHEN 'p' THEN 'parallel' END,
                'synchronous_commit ' || nullif(s.subsynccommit, 'off'),
                -- Once asked for it goes from pending to enabled by itself.
                CASE WHEN newer.subtwophasestate <> 'd' THEN 'two_phase' END,
                CASE WHEN newer.subdisableonerr THEN 'disable_on_error' END,
                'origin ' || nullif(newer.suborigin, 'any'),
                CASE WHEN NOT newer.subpasswordrequired THEN 'without password_required' END,
                CASE WHEN newer.subrunasowner THEN 'run_as_owner' END,
                CASE WHEN newer.subfailover THEN 'failover' END
            ), '')
        ),
        s.subowner, NULL
    -- Not the row as JSON: it holds the connection, which only a superuser may read. What this server's catalog has not
    -- is found one level further out, and is NULL.
    FROM (
        SELECT
            NULL::"char" AS subtwophasestate, NULL::boolean AS subdisableonerr, NULL::text AS suborigin,
            NULL::boolean AS subpasswordrequired, NULL::boolean AS subrunasowner, NULL::boolean AS subfailover
    ) AS older
    CROSS JOIN pg_subscription AS s
    CROSS JOIN LATERAL (
        SELECT subtwophasestate, subdisableonerr, suborigin, subpasswordrequired, subrunasowner, subfailover
        FROM pg_subscription AS row_of_it
        WHERE row_of_it.oid = s.oid
    ) AS newer
    WHERE s.subdbid = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())

    UNION ALL
    SELECT
        'base type', 'pg_type'::regclass, t.oid, n.nspname, format('%%I.%%I', n.nspname, t.typname),
        CASE WHEN t.typisdefined THEN concat_ws(
            ', ', 'INPUT ' || t.typinput::text, 'OUTPUT ' || t.typoutput::text, 'LENGTH ' || t.typlen::text,
            'CATEGORY ' || t.typcategory::text, 'ALIGNMENT ' || t.typalign::text, 'STORAGE ' || t.typstorage::text,
            'DEFAULT ' || t.typdefault
        ) ELSE 'shell' END,
        t.typowner, coalesce(t.typacl, acldefault('T', t.typowner))
    FROM pg_type AS t
    JOIN pg_namespace AS n ON n.oid = t.typnamespace
    WHERE t.typtype IN ('b', 'p')
        AND NOT EXISTS (SELECT FROM pg_type AS element WHERE element.typarray = t.oid)
)

SELECT
    o.oid AS relation,
    o.kind,
    o.name,
    o.definition,
    coalesce(pg_get_userbyid(nullif(o.owner, 0)), '') AS owner,
    (
        SELECT coalesce(json_agg(json_build_object(
            'grantee', CASE WHEN acl.grantee = 0 THEN 'public' ELSE pg_get_userbyid(acl.grantee) END,
            'privilege', acl.privilege_type,
            'grantable', acl.is_grantable,
            'grantor', pg_get_userbyid(acl.grantor)
        ) ORDER BY acl.grantee <> 0, pg_get_userbyid(acl.grantee) COLLATE "C", acl.privilege_type COLLATE "C",
            pg_get_userbyid(acl.grantor) COLLATE "C"), '[]')
        FROM aclexplode(o.acl) AS acl
    ) AS grants,
    CASE WHEN o.kind NOT IN ('database', 'database setting', 'security label', 'user mapping')
        THEN obj_description(o.oid, o.class::name) END AS comment,
    (
        SELECT coalesce(json_agg(w.option ORDER BY w.option COLLATE "C"), '[]')
        FROM (
            SELECT unnest(f.fdwoptions) FROM pg_foreign_data_wrapper AS f
            WHERE o.kind = 'foreign-data wrapper' AND f.oid = o.oid
            UNION ALL
            SELECT unnest(s.srvoptions) FROM pg_foreign_server AS s WHERE o.kind = 'foreign server' AND s.oid = o.oid
        ) AS w (option)
    ) AS options
FROM object AS o
WHERE (o.oid >= 16384 OR o.oid = 0 OR o.kind IN ('database', 'security label'))
    AND (o.schema IS NULL OR (
        o.schema NOT IN ('pg_catalog', 'information_schema', %(own)s) AND NOT starts_with(o.schema, 'pg_')
        AND o.schema = ANY (coalesce(%(include)s::text[], ARRAY[o.schema::text]))
        AND o.schema::text <> ALL (%(exclude)s::text[])
    ))
    AND NOT EXISTS (
        SELECT FROM pg_depend AS e
        WHERE e.classid = o.class AND e.objid = o.oid AND e.deptype IN ('e', 'i')
            AND o.kind <> 'security label'
    )
