"""Is the catalog what it was? Everything that a snapshot can be read from goes in, one short text comes out.

The server reads its catalogs through and sends a hash; nothing is printed or put together, so this takes a fraction of
the time of a snapshot. It is of the *content* of the rows, not of the numbers of transactions or places on disk, which
two copies of one volume share when they have long gone different ways. Every catalog and every column counts that is
not named below, also of a server that is newer than this file: what is named there costs an answer if it is wrong, what
is not costs a moment. So does a temporary table of any session: while it is there, the catalog is another one.

Two databases of one name with equal digests are equal in all that :func:`truing.catalog.read.read_snapshot` says of
them to this role: the rows hold oids, and what an oid stands for is in another row.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final

from truing.catalog.session import Reader
from truing.names import ident, literal

UNREAD: Final = frozenset({"pg_statistic", "pg_statistic_ext_data", "pg_largeobject", "pg_subscription_rel"})
"""Catalogs of a database that change by themselves; no snapshot reads them."""

SHARED: Final = {
    "pg_database": "WHERE datname = current_database()",
    "pg_db_role_setting": "",
    "pg_tablespace": "",
    "pg_shdescription": "",
    "pg_subscription": "",
}
"""Catalogs of the whole server that a snapshot reads, and which of their rows. The others are not for this database."""

VIEWS: Final = {
    "pg_roles": ("oid", "rolname"),
    # Of the options, as a snapshot, no more than the names: some hold passwords.
    "pg_user_mappings": (
        *("umid", "srvid", "srvname", "umuser", "usename"),
        "(SELECT array_agg(split_part(o.option, '=', 1)) FROM unnest(umoptions) AS o (option))",
    ),
    # With what this session has: some of it changes how definitions are printed.
    "pg_settings": ("name", "setting"),
}
"""What is read of catalogs that not everybody may read."""

UNSAID: Final = frozenset(
    """
    pg_class.relpages pg_class.reltuples pg_class.relallvisible pg_class.relallfrozen
    pg_class.relfrozenxid pg_class.relminmxid pg_database.datfrozenxid pg_database.datminmxid
    pg_attribute.attmissingval
    """.split()  # noqa: SIM905 - one name per line would be a page
)
"""Columns that VACUUM and ANALYZE write in place, or that hold values of users; no snapshot says them."""

# Rows follow each other as they lie in the file, and so they must: two orders would only be two digests.
_SETTINGS: Final = ("synchronize_seqscans", "max_parallel_workers_per_gather", "jit")

_COLUMNS: Final = """
-- One row is one column of a catalog that this role may read, and whether it has a binary form (aclitem has none).
SELECT c.relname::text, c.relisshared, a.attname::text,
    CASE WHEN t.typelem <> 0 AND t.typlen = -1 THEN e.typsend <> 0 ELSE t.typsend <> 0 END
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
LEFT JOIN pg_catalog.pg_type AS e ON e.oid = t.typelem
WHERE c.relnamespace = 'pg_catalog'::regnamespace AND c.relkind = 'r'
    AND has_column_privilege(c.oid, a.attnum, 'SELECT')
ORDER BY c.relname, a.attnum
"""


def digest(reader: Reader, salt: str) -> str:
    """Hash the catalog.

    Args:
        reader: from :func:`truing.catalog.session.reading`.
        salt: a secret of whoever keeps the digest, so that nobody can prepare two rows that hash alike.

    Raises:
        psycopg.Error: the server cannot hash, as where only FIPS' functions are allowed.
    """
    columns: dict[str, list[str]] = {}
    for catalog, shared, column, binary in reader.execute(_COLUMNS):
        counts = catalog in SHARED if shared else catalog not in UNREAD
        if counts and f"{catalog}.{column}" not in UNSAID:
            columns.setdefault(catalog, []).append(ident(column) if binary else f"{ident(column)}::text")
    columns |= {view: list(names) for view, names in VIEWS.items()}
    reader.execute(
        "SELECT set_config(s.name, s.value, true)"
        " FROM unnest(%(names)s::text[], ARRAY['off', '0', 'off']) AS s (name, value)",
        {"names": list(_SETTINGS)},
    )
    hashes = ", ".join(_hash(catalog, names, salt) for catalog, names in columns.items())
    rows = reader.execute(f"SELECT current_user::text, session_user::text, {hashes}")
    return sha256(repr((columns, rows)).encode()).hexdigest()


def _hash(catalog: str, columns: list[str], salt: str) -> str:
    """Hash the rows one by one, then the hashes: what is put together stays small however large the catalog is."""
    row = f"md5(record_send(ROW({literal(salt)}::text, {', '.join(columns)})))"
    # System columns (numbered below zero) say nothing that their table does not, and are a third of all.
    which = "WHERE attnum > 0" if catalog == "pg_attribute" else SHARED.get(catalog, "")
    return f"(SELECT md5(string_agg({row}, '')) FROM pg_catalog.{ident(catalog)} {which})"
