"""What is each question in SQL, and how is its answer read? The one layer below synchronous and asynchronous callers.

In: tenants, profiles and permissions. Out: a :class:`Question`, which any of the four kinds of SQLAlchemy's
connections and sessions can execute. A statement is written once for each schema of the program, so that SQLAlchemy
and the driver compile and prepare it once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any, Final, Generic, TypeAlias, TypeVar
from uuid import UUID

import msgspec
from sqlalchemy import Result, TextClause, text
from sqlalchemy.exc import DBAPIError

from truing.errors import (
    AccessError,
    GrantRefusedError,
    LoginRefusedError,
    NoProgramError,
    UnknownProfileError,
    UnknownRoleError,
)
from truing.names import ident
from truing.rbac.access.answers import Membership, Path, SidebarItem, Standing, Why, mask_of, reason
from truing.rbac.program import PROGRAM

T = TypeVar("T")
Rows: TypeAlias = Result[*tuple[Any, ...]]


class Question(msgspec.Struct, Generic[T], frozen=True):
    """A statement, its parameters, and how its rows are read."""

    statement: TextClause
    parameters: Mapping[str, Any]
    read: Callable[[Rows], T]


_STATEMENTS: Final[Mapping[str, str]] = {
    "can": "SELECT {}.can(:tenant, :profile, :permission)",
    # What WHERE says is done before the answer is looked for.
    "can_once": "SELECT {}.can(:tenant, :profile, :permission) WHERE set_config(:setting, :value, true) IS NOT NULL",
    "can_many": "SELECT permission, allowed FROM {}.can_many(:tenant, :profile, :permissions)",
    "permissions_of": "SELECT permission FROM {}.permissions_of(:tenant, :profile)",
    "who_can": "SELECT profile_id FROM {}.who_can(:tenant, :permission)",
    "tenants_of": "SELECT tenant_id, slug, name FROM {}.tenants_of(:profile)",
    "sidebar": "SELECT id, sidebar_name, url_path, icon, group_name, display_order FROM {}.sidebar(:tenant, :profile)",
    # A row for the state even where there is no path: the outer join keeps it.
    "why": (
        "SELECT s.tenant_active, s.profile_active, s.known, y.role, y.via, y.granted, y.effect, y.valid_from,"
        " y.expires_at, y.in_force FROM {0}.state_of(:tenant, :profile, :permission) s"
        " LEFT JOIN LATERAL {0}.why(:tenant, :profile, :permission) WITH ORDINALITY y(role, via, granted, effect,"
        " valid_from, expires_at, in_force, position) ON true ORDER BY y.position"
    ),
    "standing": "SELECT version, mask, seconds FROM {}.standing(:tenant, :profile)",
    "catalogue": "SELECT version, names, bits FROM {}.catalogue(:tenant)",
    "versions_of": "SELECT tenant_id, version FROM {}.versions_of(:tenants)",
    "grant": "SELECT {}.grant_role(:tenant, :profile, :role, :valid_from, :expires_at, :by)",
    "revoke": "SELECT {}.revoke_role(:tenant, :profile, :role)",
    "current_tenant": "SELECT {}.current_tenant()",
}

# What guard_grant says of a profile, in these words whatever the server's language is; all else with its code is
# PostgreSQL's own, of a login that lacks a privilege.
_GUARDED: Final = ("may not hand out or take back the role", "cannot grant in the name of profile")


_SAID: Final[Mapping[str, type[AccessError]]] = {
    "P0002": UnknownRoleError,
    # There is no such schema, or no such function in it.
    "3F000": NoProgramError,
    "42883": NoProgramError,
}
"""Codes after which the database's own words say it."""


@cache
def _statement(name: str, program: str) -> TextClause:
    return text(_STATEMENTS[name].format(ident(program)))


def can(tenant: UUID, profile: UUID, permission: str, *, program: str = PROGRAM) -> Question[bool]:
    """Ask whether a profile may do something now."""
    values = {"tenant": tenant, "profile": profile, "permission": permission}
    return Question(_statement("can", program), values, _one)


def can_once(
    tenant: UUID, profile: UUID, permission: str, *, setting: str, value: str, program: str = PROGRAM
) -> Question[bool]:
    """Ask the same, with the tenant's setting in the statement itself."""
    values = {"tenant": tenant, "profile": profile, "permission": permission, "setting": setting, "value": value}
    return Question(_statement("can_once", program), values, _one)


def can_many(
    tenant: UUID, profile: UUID, permissions: Sequence[str], *, program: str = PROGRAM
) -> Question[dict[str, bool]]:
    """Ask about several permissions at once."""
    values = {"tenant": tenant, "profile": profile, "permissions": list(permissions)}
    return Question(_statement("can_many", program), values, lambda rows: {row[0]: row[1] for row in rows})


def permissions_of(tenant: UUID, profile: UUID, *, program: str = PROGRAM) -> Question[frozenset[str]]:
    """Ask for every permission of a profile."""
    values = {"tenant": tenant, "profile": profile}
    return Question(_statement("permissions_of", program), values, lambda rows: frozenset(row[0] for row in rows))


def who_can(tenant: UUID, permission: str, *, program: str = PROGRAM) -> Question[tuple[UUID, ...]]:
    """Ask which profiles of a tenant have a permission."""
    values = {"tenant": tenant, "permission": permission}
    return Question(_statement("who_can", program), values, lambda rows: tuple(row[0] for row in rows))


def tenants_of(profile: UUID, *, program: str = PROGRAM) -> Question[tuple[Membership, ...]]:
    """Ask where a profile is active."""
    return Question(
        _statement("tenants_of", program), {"profile": profile}, lambda rows: tuple(Membership(*row) for row in rows)
    )


def sidebar(tenant: UUID, profile: UUID, *, program: str = PROGRAM) -> Question[tuple[SidebarItem, ...]]:
    """Ask for the sidebar that a profile sees."""
    values = {"tenant": tenant, "profile": profile}
    return Question(_statement("sidebar", program), values, lambda rows: tuple(SidebarItem(*row) for row in rows))


def why(tenant: UUID, profile: UUID, permission: str, *, program: str = PROGRAM) -> Question[Why]:
    """Ask for the reason of an answer."""

    def read(rows: Rows) -> Why:
        found = rows.all()
        (tenant_active, profile_active, known), *_ = (row[:3] for row in found)
        paths = tuple(Path(row[3], tuple(row[4]), *row[5:]) for row in found if row[3] is not None)
        allowed, said = reason(paths, tenant=tenant_active, profile=profile_active, known=known, permission=permission)
        return Why(allowed, said, paths)

    values = {"tenant": tenant, "profile": profile, "permission": permission}
    return Question(_statement("why", program), values, read)


def standing(tenant: UUID, profile: UUID, *, program: str = PROGRAM) -> Question[Standing | None]:
    """Ask for what a cache keeps of a profile; None where there is no such tenant."""

    def read(rows: Rows) -> Standing | None:
        row = rows.one_or_none()
        return None if row is None else Standing(row[0], mask_of(None if row[1] is None else _bits(row[1])), row[2])

    return Question(_statement("standing", program), {"tenant": tenant, "profile": profile}, read)


def catalogue(tenant: UUID, *, program: str = PROGRAM) -> Question[tuple[int, dict[str, int]] | None]:
    """Ask which bit stands for which permission, at which version of a tenant; None where there is no such tenant."""

    def read(rows: Rows) -> tuple[int, dict[str, int]] | None:
        row = rows.one_or_none()
        return (
            None
            if row is None
            else (row[0], {name: 1 << bit for name, bit in zip(row[1] or (), row[2] or (), strict=True)})
        )

    return Question(_statement("catalogue", program), {"tenant": tenant}, read)


def versions_of(tenants: Sequence[UUID], *, program: str = PROGRAM) -> Question[dict[UUID, int]]:
    """Ask for the versions of tenants; those that are gone are left out."""
    return Question(
        _statement("versions_of", program),
        {"tenants": list(tenants)},
        lambda rows: {row[0]: row[1] for row in rows},
    )


def grant(
    tenant: UUID,
    profile: UUID,
    role: str,
    *,
    valid_from: datetime | None = None,
    expires_at: datetime | None = None,
    by: UUID | None = None,
    program: str = PROGRAM,
) -> Question[int]:
    """Give a profile a role, or another time for one that it has; the answer is the tenant's new version."""
    values = {
        "tenant": tenant,
        "profile": profile,
        "role": role,
        "valid_from": valid_from,
        "expires_at": expires_at,
        "by": by,
    }
    return Question(_statement("grant", program), values, _one)


def revoke(tenant: UUID, profile: UUID, role: str, *, program: str = PROGRAM) -> Question[int | None]:
    """Take a role away; the answer is the tenant's new version, None where the profile did not have it."""
    values = {"tenant": tenant, "profile": profile, "role": role}
    return Question(_statement("revoke", program), values, _one)


def current_tenant(*, program: str = PROGRAM) -> Question[UUID | None]:
    """Ask for the tenant of the transaction."""
    return Question(_statement("current_tenant", program), {}, _one)


def explained(error: DBAPIError) -> AccessError | None:
    """Turn the database's refusal into an error of its own kind; None for one that is about something else."""
    code = str(getattr(error.orig, "sqlstate", None))
    said = getattr(getattr(error.orig, "diag", None), "message_primary", None) or str(error.orig)
    if code in _SAID:
        return _SAID[code](said)
    if code == "42501" and any(each in said for each in _GUARDED):
        return GrantRefusedError(said, hint="A row of role_grants says which role may hand out which.")
    if code == "42501":
        return LoginRefusedError(f"The login of this connection may not do this: {said}.")
    if code == "23514" and "window" in (getattr(getattr(error.orig, "diag", None), "constraint_name", None) or ""):
        return AccessError("a grant has to end after it begins")
    if code == "23503" and "fk_user_roles_profile" in str(error.orig):
        return UnknownProfileError("There is no such profile in this tenant.")
    return None


def _one(rows: Rows) -> Any:
    return rows.scalar_one()


def _bits(value: Any) -> str:
    # asyncpg has a type of its own for bit strings; psycopg gives the text.
    return value if isinstance(value, str) else value.as_string().replace(" ", "")
