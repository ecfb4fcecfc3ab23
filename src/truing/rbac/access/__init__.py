"""Who may do what, asked from Python: on a connection or session that is there, in the transaction that it is in.

``truing.rbac.access.aio`` has the same functions for asynchronous ones, :mod:`truing.rbac.access.cache` answers from
memory. In: a connection or session, a tenant, a profile. Out: typed answers; errors are of
:class:`truing.errors.AccessError`. ``program`` is the schema of the functions, where it is not ``rbac``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from truing.errors import ImpersonationRefusedError
from truing.rbac.access import asking
from truing.rbac.access.answers import Membership, Path, SidebarItem, Why
from truing.rbac.access.local import ACTOR, IMPERSONATOR, acting, alone, claims, once, settings, tenant
from truing.rbac.access.signing import sign
from truing.rbac.program import PROGRAM, SETTING

__all__ = [
    "Membership",
    "Path",
    "SidebarItem",
    "Why",
    "acting",
    "can",
    "can_many",
    "can_once",
    "claims",
    "current_tenant",
    "grant",
    "impersonate",
    "permissions_of",
    "revoke",
    "sidebar",
    "sign",
    "tenant",
    "tenants_of",
    "who_can",
    "why",
]

T = TypeVar("T")
IMPERSONATE = "impersonate"
"""The permission to act as somebody else, unless another is named."""


def ask(on: Connection | Session, question: asking.Question[T]) -> T:
    """Ask a question of :mod:`truing.rbac.access.asking`.

    Raises:
        AccessError: the database refused a change.
    """
    try:
        return question.read(on.execute(question.statement, question.parameters))
    except DBAPIError as error:
        refusal = asking.explained(error)
        if refusal is None:
            raise
        raise refusal from error


def can(on: Connection | Session, tenant_id: UUID, profile: UUID, permission: str, *, program: str = PROGRAM) -> bool:
    """Say whether a profile may do something now. What does not exist, nobody may."""
    return ask(on, asking.can(tenant_id, profile, permission, program=program))


def can_once(
    on: Connection | Session,
    tenant_id: UUID,
    profile: UUID,
    permission: str,
    *,
    program: str = PROGRAM,
    setting: str = SETTING,
    secret: bytes | None = None,
    claims: Mapping[str, Any] | None = None,
) -> bool:
    """Ask the same in one statement that says its tenant itself: one round trip, on a connection in autocommit.

    Args:
        on: a connection or session in autocommit, where the setting ends with the statement.
        tenant_id: the tenant, from where it was verified.
        profile: of it.
        permission: its name.
        program: the schema of the functions.
        setting: that the policies read.
        secret: to sign the tenant with, where the program is bound by ``signed``.
        claims: the token's, after its signature was verified, where the program is bound by ``supabase``.

    Raises:
        UsageError: the connection is not in autocommit, so the tenant would last.
    """
    alone(on)
    setting, value = once(tenant_id, setting=setting, secret=secret, claims=claims)
    return ask(on, asking.can_once(tenant_id, profile, permission, setting=setting, value=value, program=program))


def can_many(
    on: Connection | Session, tenant_id: UUID, profile: UUID, permissions: Sequence[str], *, program: str = PROGRAM
) -> dict[str, bool]:
    """Answer for several permissions in one query: name -> whether the profile has it."""
    return ask(on, asking.can_many(tenant_id, profile, permissions, program=program))


def permissions_of(
    on: Connection | Session, tenant_id: UUID, profile: UUID, *, program: str = PROGRAM
) -> frozenset[str]:
    """List all that a profile may do now, wildcards included."""
    return ask(on, asking.permissions_of(tenant_id, profile, program=program))


def who_can(on: Connection | Session, tenant_id: UUID, permission: str, *, program: str = PROGRAM) -> tuple[UUID, ...]:
    """List the profiles of a tenant that have a permission now, by id."""
    return ask(on, asking.who_can(tenant_id, permission, program=program))


def tenants_of(on: Connection | Session, profile: UUID, *, program: str = PROGRAM) -> tuple[Membership, ...]:
    """List the tenants in which a profile is active, whichever tenant the transaction is in."""
    return ask(on, asking.tenants_of(profile, program=program))


def sidebar(
    on: Connection | Session, tenant_id: UUID, profile: UUID, *, program: str = PROGRAM
) -> tuple[SidebarItem, ...]:
    """List the sidebar items that a profile sees, in order: flag, required feature and required permission hold."""
    return ask(on, asking.sidebar(tenant_id, profile, program=program))


def why(on: Connection | Session, tenant_id: UUID, profile: UUID, permission: str, *, program: str = PROGRAM) -> Why:
    """Say why a profile may do something, or may not, with every grant that has to do with it."""
    return ask(on, asking.why(tenant_id, profile, permission, program=program))


def current_tenant(on: Connection | Session, *, program: str = PROGRAM) -> UUID | None:
    """Return the tenant of the transaction; None where there is none, and row security shows nothing."""
    return ask(on, asking.current_tenant(program=program))


def grant(
    on: Connection | Session,
    tenant_id: UUID,
    profile: UUID,
    role: str,
    *,
    valid_from: datetime | None = None,
    expires_at: datetime | None = None,
    by: UUID | None = None,
    program: str = PROGRAM,
) -> int:
    """Give a profile a role of its tenant, or another time for one that it has.

    Args:
        on: a connection or session that may write.
        tenant_id: of the profile and the role.
        profile: who gets it.
        role: its name.
        valid_from: when it begins; None for now.
        expires_at: when it ends; None for never.
        by: the profile that grants. It must be allowed to hand out this role (``role_grants``); so must the one of
            :func:`acting`, which counts where this is None. Without either an operator grants.
        program: the schema of the functions.

    Returns:
        The tenant's version from this transaction on.

    Raises:
        UnknownRoleError: the tenant has no such role.
        UnknownProfileError: the tenant has no such profile.
        GrantRefusedError: the granting profile may not.
        LoginRefusedError: the connection's login may not, as that of an application which only asks.
    """
    return ask(
        on,
        asking.grant(tenant_id, profile, role, valid_from=valid_from, expires_at=expires_at, by=by, program=program),
    )


def revoke(
    on: Connection | Session, tenant_id: UUID, profile: UUID, role: str, *, program: str = PROGRAM
) -> int | None:
    """Take a role away from a profile.

    Returns:
        The tenant's version from this transaction on; None where the profile did not have the role.

    Raises:
        GrantRefusedError: the profile of :func:`acting` may not take this role back.
        LoginRefusedError: the connection's login may not.
    """
    return ask(on, asking.revoke(tenant_id, profile, role, program=program))


@contextmanager
def impersonate(
    on: Connection | Session,
    tenant_id: UUID,
    actor: UUID,
    profile: UUID,
    *,
    permission: str = IMPERSONATE,
    program: str = PROGRAM,
) -> Iterator[None]:
    """Act as another profile of the tenant: the log then names it as the actor, and who is behind it.

    What may be granted within is what the other profile may grant.

    Raises:
        ImpersonationRefusedError: the actor does not have the permission, or the tenant has no such profile.
    """
    if not can(on, tenant_id, actor, permission, program=program):
        raise refused(actor, profile, permission)
    if not any(each.tenant_id == tenant_id for each in tenants_of(on, profile, program=program)):
        raise ImpersonationRefusedError(f"The tenant {tenant_id} has no active profile {profile}.")
    with settings(on, {ACTOR: str(profile), IMPERSONATOR: str(actor)}):
        yield


def refused(actor: UUID, profile: UUID, permission: str) -> ImpersonationRefusedError:
    """Make the error for an actor without the permission to impersonate."""
    return ImpersonationRefusedError(
        f"Profile {actor} may not act as profile {profile}: it does not have the permission {permission}.",
        hint=f"Grant it a role with {permission}.",
    )
