"""Is there anything in this database that no reader shows? All catalogs are listed, and the rows of the others counted.

So that "nothing differs" is never said of something that nobody looked at: neither of a kind of object that truing does
not know yet, nor of one that a newer PostgreSQL has brought.
"""

from __future__ import annotations

from typing import Final

from truing.catalog.objects import Unread
from truing.catalog.session import Reader
from truing.names import ident, literal

_READ: Final = frozenset(
    """
    pg_am pg_attrdef pg_cast pg_class pg_collation pg_constraint pg_default_acl pg_enum pg_event_trigger pg_extension
    pg_foreign_data_wrapper pg_foreign_server pg_language pg_namespace pg_opclass pg_operator pg_opfamily pg_policy
    pg_proc pg_publication pg_publication_namespace pg_publication_rel pg_rewrite pg_statistic_ext pg_transform
    pg_trigger pg_ts_config pg_ts_dict pg_ts_parser pg_ts_template pg_type pg_user_mapping pg_amop pg_amproc
    pg_largeobject_metadata
    """.split()  # noqa: SIM905 - one name per line would be a page
)
"""Catalogs whose rows a snapshot shows, on their own or within what they belong to; large objects are data."""

_FIRST_OF_USERS: Final = 16384  # FirstNormalObjectId; whatever initdb makes is below


def unread(reader: Reader) -> tuple[Unread, ...]:
    """Count the user-made rows of every catalog that is not read.

    Args:
        reader: from :func:`truing.catalog.session.reading`.

    Returns:
        The catalogs that have some, sorted by name.
    """
    catalogs = reader.execute(
        "SELECT c.relname::text FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attname = 'oid'"
        " WHERE c.relnamespace = 'pg_catalog'::regnamespace AND c.relkind = 'r' AND NOT c.relisshared"
        " AND has_column_privilege(c.oid, a.attnum, 'SELECT') ORDER BY c.relname"
    )
    counts = [
        f"SELECT {literal(name)}, count(*) FROM pg_catalog.{ident(name)} AS r WHERE r.oid >= {_FIRST_OF_USERS}"
        f" AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.classid = {literal('pg_catalog.' + name)}::regclass"
        " AND d.objid = r.oid AND d.deptype = 'e')"
        for (name,) in catalogs
        if name not in _READ
    ]
    rows = reader.execute(" UNION ALL ".join(counts)) if counts else []
    return tuple(Unread(catalog=str(name), count=int(count)) for name, count in sorted(rows) if count)
