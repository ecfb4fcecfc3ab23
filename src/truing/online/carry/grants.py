"""Which GRANTs make an access list again, entry for entry? Access lists go in, statements come out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

import msgspec
import psycopg
from psycopg.rows import tuple_row

from truing.names import QualifiedName, ident

_QUERY = """
-- One row is one entry of an access list, in the order of the list; grantee NULL is PUBLIC.
SELECT a.column_name, pg_get_userbyid(e.grantor), CASE WHEN e.grantee <> 0 THEN pg_get_userbyid(e.grantee) END,
    e.privilege_type, e.is_grantable
FROM (
    SELECT NULL::name AS column_name, c.relacl AS acl, 0 AS number FROM pg_class c WHERE c.oid = %(relation)s::regclass
    UNION ALL
    SELECT attname, attacl, attnum FROM pg_attribute
    WHERE attrelid = %(relation)s::regclass AND attnum > 0 AND NOT attisdropped
) a
CROSS JOIN LATERAL aclexplode(a.acl) WITH ORDINALITY AS e (grantor, grantee, privilege_type, is_grantable, place)
ORDER BY a.number, e.place
"""

_DEFAULTS = """
-- One row is one role (NULL: PUBLIC) that gets privileges on every new relation of the current role in a schema.
SELECT DISTINCT CASE WHEN e.grantee <> 0 THEN pg_get_userbyid(e.grantee) END
FROM pg_default_acl d CROSS JOIN LATERAL aclexplode(d.defaclacl) e
WHERE d.defaclrole = current_user::regrole AND d.defaclobjtype = 'r'
AND (d.defaclnamespace = 0 OR d.defaclnamespace = (SELECT oid FROM pg_namespace WHERE nspname = %(schema)s))
"""

_OWNER_HAS = """
SELECT coalesce(array_agg(DISTINCT privilege_type::text), '{}') FROM pg_class c
CROSS JOIN LATERAL aclexplode(acldefault('r', c.relowner)) WHERE c.oid = %(relation)s::regclass
"""


class Entry(msgspec.Struct, frozen=True):
    """One entry of an access list; ``column`` None is the whole relation, ``grantee`` None is PUBLIC."""

    column: str | None
    grantor: str
    grantee: str | None
    privilege: str
    grantable: bool


class AccessList(msgspec.Struct, frozen=True):
    """The access lists of a relation and of its columns.

    Attributes:
        owner: the relation's owner.
        entries: those of the relation first, then column by column; in the order of the lists.
        owner_default: what an owner has without an access list.
        new_grantees: the roles (None: PUBLIC) that a new relation of the current role would be granted to.
    """

    owner: str
    entries: tuple[Entry, ...]
    owner_default: frozenset[str]
    new_grantees: tuple[str | None, ...]

    @property
    def grantors(self) -> frozenset[str]:
        """The roles other than the owner that gave privileges; only they can give them again."""
        return frozenset(entry.grantor for entry in self.entries) - {self.owner}


def read_access(connection: psycopg.Connection[Any], relation: QualifiedName, owner: str) -> AccessList:
    """Read the access lists of a relation."""
    cursor = connection.cursor(row_factory=tuple_row)
    entries = tuple(Entry(*row) for row in cursor.execute(_QUERY, {"relation": relation.sql}).fetchall())
    has = cursor.execute(_OWNER_HAS, {"relation": relation.sql}).fetchone() or ([],)
    new = cursor.execute(_DEFAULTS, {"schema": relation.schema}).fetchall()
    return AccessList(owner, entries, frozenset(has[0]), tuple(row[0] for row in new))


def grants(relation: QualifiedName, access: AccessList, current_role: str) -> tuple[str, ...]:
    """Return what makes the access lists of a relation that was just made anew what they were.

    Args:
        relation: the relation.
        access: its access lists.
        current_role: the role that runs the statements.
    """
    on = f"ON TABLE {relation.sql}"
    made = list(_grants(relation, access.entries, access.owner, current_role))
    own = [e for e in access.entries if e.column is None and e.grantee == access.owner and e.grantor == access.owner]
    whole = any(entry.column is None for entry in access.entries)
    revoked: list[str | None] = list(access.new_grantees)
    if whole and frozenset(entry.privilege for entry in own) != access.owner_default:
        revoked.append(access.owner)
    # Default privileges of the role that makes the relation would come on top.
    return (*(f"REVOKE ALL {on} FROM {_role(role)}" for role in dict.fromkeys(revoked)), *made)


def column_grants(relation: QualifiedName, access: AccessList, column: str, current_role: str) -> tuple[str, ...]:
    """Return what gives a column its access list again."""
    entries = [entry for entry in access.entries if entry.column == column]
    return tuple(_grants(relation, entries, access.owner, current_role))


def _grants(relation: QualifiedName, entries: Iterable[Entry], owner: str, current_role: str) -> Iterator[str]:
    # Who gave a privilege must have got it before: what the owner gave comes first.
    ordered = sorted(entries, key=lambda entry: (entry.column is not None, entry.grantor != owner))
    for (column, grantor, grantee, grantable), group in groupby(
        ordered, key=lambda entry: (entry.column, entry.grantor, entry.grantee, entry.grantable)
    ):
        what = f" ({ident(column)})" if column is not None else ""
        privileges = ", ".join(f"{entry.privilege}{what}" for entry in group)
        option = " WITH GRANT OPTION" if grantable and grantee != owner else ""
        grant = f"GRANT {privileges} ON TABLE {relation.sql} TO {_role(grantee)}{option}"
        if grantor == owner:
            yield grant
        else:
            yield f"SET LOCAL ROLE {ident(grantor)}"
            yield grant
            yield f"SET LOCAL ROLE {ident(current_role)}"


def _role(name: str | None) -> str:
    return "PUBLIC" if name is None else ident(name)
