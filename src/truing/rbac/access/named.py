"""What does a person mean by ``acme`` and ``ann@example.org``? Tenants and profiles by the names that people use.

In: a connection whose search path holds the tables, and what somebody typed. Out: ids, or an error that says what
there is.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final
from uuid import UUID

from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError

from truing.errors import UsageError
from truing.names import ident
from truing.rule import did_you_mean

_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
SEES: Final = "Connect as a member of rbac_admin, or as the tables' owner."
MOST_NAMES: Final = 2_000
"""So many names are looked through for a likely one."""


def use_schema(connection: Connection, schema: str, program: str | None = None) -> None:
    """Look for the tables in a schema, until the transaction ends.

    Args:
        connection: in a transaction.
        schema: of the tables.
        program: the schema in which the functions are to be; None where none is needed.

    Raises:
        UsageError: there are no tables, or older ones, or no functions.
    """
    connection.execute(text(f"SET LOCAL search_path TO {ident(schema)}"))
    if connection.execute(text("SELECT to_regclass('user_roles') IS NULL OR to_regclass('tenants') IS NULL")).scalar():
        raise UsageError(
            f"There are no RBAC tables in the schema {schema}.",
            hint="Name another with --schema, or make them with `truing rbac init`.",
        )
    if connection.execute(text(_OLDER)).scalar():
        from truing.rbac.script import UPGRADE  # noqa: PLC0415 - Alembic is slow to load, and is not needed otherwise

        raise UsageError(
            f"The RBAC tables in the schema {schema} are those of an older revision.", hint=f"Bring them up: {UPGRADE}"
        )
    called = text(
        "SELECT EXISTS (SELECT FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace"
        " WHERE n.nspname = :program AND p.proname = 'mask_of')"
    )
    if program is not None and not connection.execute(called, {"program": program}).scalar():
        raise UsageError(
            f"There are no RBAC functions in the schema {program}.",
            hint="Name another with --program, or install them with `truing rbac install`.",
        )


# What commands and functions need came with the last revisions; the legacy database has none of it.
_OLDER: Final = """
SELECT to_regclass('role_inherits') IS NULL OR EXISTS (
  SELECT FROM (VALUES ('tenants', 'slug'), ('permissions', 'bit_no'), ('role_permissions', 'tenant_id')) w(name, part)
  WHERE NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = to_regclass(w.name) AND a.attname = w.part
                    AND NOT a.attisdropped))
"""
_HIDDEN: Final = """
SELECT string_agg(c.relname::text, ', ' ORDER BY c.relname) FROM pg_class c
WHERE c.oid = ANY (CAST({tables} AS regclass[])) AND row_security_active(c.oid)
  AND (EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND NOT p.polpermissive
               AND EXISTS (SELECT FROM unnest(p.polroles) r WHERE r = 0 OR pg_has_role(r, 'USAGE')))
       OR NOT EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND p.polpermissive AND p.polcmd IN ('r', '*')
                      AND pg_get_expr(p.polqual, p.polrelid) = 'true'
                      AND EXISTS (SELECT FROM unnest(p.polroles) r WHERE r = 0 OR pg_has_role(r, 'USAGE'))))
"""


def hidden_query(tables: str) -> str:
    """Write the question of which of the tables, an array, row security hides rows from this login; NULL for none."""
    return _HIDDEN.replace("{tables}", tables).strip()


def hidden(connection: Connection, tables: Sequence[str]) -> str:
    """Name those of the tables, given as SQL writes them, of which row security hides rows from this login."""
    said: str | None = connection.execute(text(hidden_query(":tables")), {"tables": list(tables)}).scalar()
    return said or ""


def require_sight(connection: Connection, tables: Sequence[str]) -> None:
    """Make sure that this login sees every tenant's rows: what it did not see, it would count as none.

    Raises:
        UsageError: row security hides some.
    """
    if unseen := hidden(connection, tables):
        login = connection.execute(text("SELECT current_user")).scalar_one()
        raise UsageError(f"Row security hides rows from the login {login}: of {unseen}.", hint=SEES)


def tenant_id(connection: Connection, named: str) -> UUID:
    """Find a tenant by its id or slug.

    Raises:
        UsageError: there is none.
    """
    column = "id::text" if _UUID.fullmatch(named) else "slug"
    found: UUID | None = connection.execute(
        text(f"SELECT id FROM tenants WHERE {column} = :named"), {"named": named.lower()}
    ).scalar()
    if found is None:
        # Without the sentinel, which nobody means.
        slugs = connection.execute(
            text("SELECT slug FROM tenants WHERE id <> :nil ORDER BY slug LIMIT :most"),
            {"most": MOST_NAMES, "nil": UUID(int=0)},
        )
        known = [row.slug for row in slugs]
        if not known and hidden(connection, ["tenants"]):
            raise UsageError(f"This login sees no tenant {named!r}: row security hides other tenants' rows.", hint=SEES)
        raise UsageError(f"There is no tenant {named!r}.", hint=_likely(named, known))
    return found


def profile_id(connection: Connection, tenant: UUID, named: str) -> UUID:
    """Find a profile of a tenant by its id or address.

    Raises:
        UsageError: there is none.
    """
    condition = "id::text = :named" if _UUID.fullmatch(named) else "lower(email) = :named"
    found: UUID | None = connection.execute(
        text(f"SELECT id FROM profiles WHERE tenant_id = :tenant AND {condition}"),
        {"tenant": tenant, "named": named.lower()},
    ).scalar()
    if found is None:
        raise UsageError(
            f"The tenant has no profile {named!r}.", hint="Name a profile by its id or its address (profiles.email)."
        )
    return found


def add_tenant(connection: Connection, slug: str, name: str) -> UUID:
    """Make a tenant.

    Raises:
        UsageError: the slug is taken, or is none.
    """
    try:
        made: UUID = connection.execute(
            text("INSERT INTO tenants (slug, name) VALUES (:slug, :name) RETURNING id"), {"slug": slug, "name": name}
        ).scalar_one()
    except IntegrityError as error:
        if getattr(error.orig, "sqlstate", None) == "23505":
            raise UsageError(f"There is a tenant {slug} already.") from error
        raise UsageError(
            f"{slug!r} cannot be a tenant's slug.",
            hint="Lower-case letters, digits and hyphens, at most 63; neither end is a hyphen.",
        ) from error
    return made


def add_profile(
    connection: Connection,
    tenant: UUID,
    email: str | None,
    *,
    identity: UUID | None = None,
    name: str | None = None,
    active: bool = True,
) -> UUID:
    """Make a profile of a tenant.

    Raises:
        UsageError: the id or the address is taken, or is none.
    """
    if email is not None and (not email.isprintable() or " " in email):
        raise UsageError(f"{email!r} cannot be a profile's address.", hint="Write it as ann@example.org.")
    values = {"tenant": tenant, "email": email, "id": identity, "name": name, "active": active}
    insert = text(
        "INSERT INTO profiles (id, tenant_id, email, display_name, active)"
        " VALUES (COALESCE(CAST(:id AS uuid), gen_random_uuid()), :tenant, :email, :name, :active) RETURNING id"
    )
    try:
        made: UUID = connection.execute(insert, values).scalar_one()
    except IntegrityError as error:
        which = getattr(getattr(error.orig, "diag", None), "constraint_name", "")
        if which == "uq_profiles_tenant_email":
            raise UsageError(f"The tenant has a profile {email} already.") from error
        if getattr(error.orig, "sqlstate", None) == "23505":
            raise UsageError(f"There is a profile {identity} already.") from error
        raise UsageError(f"{email!r} cannot be a profile's address.", hint="Write it as ann@example.org.") from error
    return made


def require_role(connection: Connection, tenant: UUID, named: str, role: str) -> None:
    """Make sure that a tenant has a role.

    Args:
        connection: in a transaction.
        tenant: its id.
        named: what the person called it.
        role: the role's name.

    Raises:
        UsageError: it has none of this name.
    """
    rows = connection.execute(
        text("SELECT name FROM roles WHERE tenant_id = :tenant ORDER BY name LIMIT :most"),
        {"tenant": tenant, "most": MOST_NAMES},
    )
    known = [row.name for row in rows]
    if role not in known and len(known) < MOST_NAMES:
        said = did_you_mean(role, known)
        make = f"`truing rbac role add` makes one{'' if known else '; it has none yet'}."
        raise UsageError(f"The tenant {named} has no role {role!r}.", hint=said if said[:3] == "Did" else make)


def require_database_role(connection: Connection, role: str) -> None:
    """Make sure that the server has a role.

    Raises:
        UsageError: it has none of this name.
    """
    known = [each.rolname for each in connection.execute(text("SELECT rolname FROM pg_roles WHERE rolname !~ '^pg_'"))]
    if role not in known:
        said = did_you_mean(role, known)
        make = f"Make it first: CREATE ROLE {ident(role)} NOLOGIN; logins are its members."
        raise UsageError(f"The server has no role {role!r}.", hint=said if said.startswith("Did") else make)


def likely_permission(connection: Connection, asked: str) -> tuple[str, ...]:
    """Name the permission that was probably meant, where there is none of this name."""
    names = connection.execute(text("SELECT name FROM permissions ORDER BY name LIMIT :most"), {"most": MOST_NAMES})
    known = [each.name for each in names]
    said = "" if asked in known or len(known) == MOST_NAMES else did_you_mean(asked, known)
    return (said,) if said.startswith("Did you mean") else ()


def _likely(named: str, known: list[str]) -> str:
    # All of them would be a long list.
    said = did_you_mean(named, known)
    return said if said.startswith("Did you mean") else "A tenant is named by its slug or its id."
