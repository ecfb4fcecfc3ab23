"""The functions of :mod:`truing.rbac.access` for asynchronous connections and sessions, over the same statements."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from sqlalchemy.exc import DBAPIError

from truing.errors import ImpersonationRefusedError
from truing.rbac.access import IMPERSONATE, asking, refused
from truing.rbac.access.answers import Membership, SidebarItem, Why
from truing.rbac.access.local import (
    ACTOR,
    CLAIMS,
    IMPERSONATOR,
    alone,
    async_settings,
    claims_value,
    once,
    tenant_value,
)
from truing.rbac.program import PROGRAM, SETTING

if TYPE_CHECKING:
    # At run time it would need greenlet.
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

T = TypeVar("T")


async def ask(on: AsyncConnection | AsyncSession, question: asking.Question[T]) -> T:
    """Ask a question; see :func:`truing.rbac.access.ask`."""
    try:
        return question.read(await on.execute(question.statement, question.parameters))
    except DBAPIError as error:
        refusal = asking.explained(error)
        if refusal is None:
            raise
        raise refusal from error


async def can(
    on: AsyncConnection | AsyncSession, tenant_id: UUID, profile: UUID, permission: str, *, program: str = PROGRAM
) -> bool:
    """See :func:`truing.rbac.access.can`."""
    return await ask(on, asking.can(tenant_id, profile, permission, program=program))


async def can_once(
    on: AsyncConnection | AsyncSession,
    tenant_id: UUID,
    profile: UUID,
    permission: str,
    *,
    program: str = PROGRAM,
    setting: str = SETTING,
    secret: bytes | None = None,
    claims: Mapping[str, Any] | None = None,
) -> bool:
    """See :func:`truing.rbac.access.can_once`."""
    inner = getattr(on, "sync_connection", None)
    if inner is None:
        await on.run_sync(alone)
    else:
        # Asks nothing of the server, and a way into a greenlet and back costs as much as the check.
        alone(inner)
    setting, value = once(tenant_id, setting=setting, secret=secret, claims=claims)
    return await ask(on, asking.can_once(tenant_id, profile, permission, setting=setting, value=value, program=program))


async def can_many(
    on: AsyncConnection | AsyncSession,
    tenant_id: UUID,
    profile: UUID,
    permissions: Sequence[str],
    *,
    program: str = PROGRAM,
) -> dict[str, bool]:
    """See :func:`truing.rbac.access.can_many`."""
    return await ask(on, asking.can_many(tenant_id, profile, permissions, program=program))


async def permissions_of(
    on: AsyncConnection | AsyncSession, tenant_id: UUID, profile: UUID, *, program: str = PROGRAM
) -> frozenset[str]:
    """See :func:`truing.rbac.access.permissions_of`."""
    return await ask(on, asking.permissions_of(tenant_id, profile, program=program))


async def who_can(
    on: AsyncConnection | AsyncSession, tenant_id: UUID, permission: str, *, program: str = PROGRAM
) -> tuple[UUID, ...]:
    """See :func:`truing.rbac.access.who_can`."""
    return await ask(on, asking.who_can(tenant_id, permission, program=program))


async def tenants_of(
    on: AsyncConnection | AsyncSession, profile: UUID, *, program: str = PROGRAM
) -> tuple[Membership, ...]:
    """See :func:`truing.rbac.access.tenants_of`."""
    return await ask(on, asking.tenants_of(profile, program=program))


async def sidebar(
    on: AsyncConnection | AsyncSession, tenant_id: UUID, profile: UUID, *, program: str = PROGRAM
) -> tuple[SidebarItem, ...]:
    """See :func:`truing.rbac.access.sidebar`."""
    return await ask(on, asking.sidebar(tenant_id, profile, program=program))


async def why(
    on: AsyncConnection | AsyncSession, tenant_id: UUID, profile: UUID, permission: str, *, program: str = PROGRAM
) -> Why:
    """See :func:`truing.rbac.access.why`."""
    return await ask(on, asking.why(tenant_id, profile, permission, program=program))


async def current_tenant(on: AsyncConnection | AsyncSession, *, program: str = PROGRAM) -> UUID | None:
    """See :func:`truing.rbac.access.current_tenant`."""
    return await ask(on, asking.current_tenant(program=program))


async def grant(
    on: AsyncConnection | AsyncSession,
    tenant_id: UUID,
    profile: UUID,
    role: str,
    *,
    valid_from: datetime | None = None,
    expires_at: datetime | None = None,
    by: UUID | None = None,
    program: str = PROGRAM,
) -> int:
    """See :func:`truing.rbac.access.grant`."""
    return await ask(
        on,
        asking.grant(tenant_id, profile, role, valid_from=valid_from, expires_at=expires_at, by=by, program=program),
    )


async def revoke(
    on: AsyncConnection | AsyncSession, tenant_id: UUID, profile: UUID, role: str, *, program: str = PROGRAM
) -> int | None:
    """See :func:`truing.rbac.access.revoke`."""
    return await ask(on, asking.revoke(tenant_id, profile, role, program=program))


def tenant(
    on: AsyncConnection | AsyncSession, tenant_id: UUID, *, setting: str = SETTING, secret: bytes | None = None
) -> AbstractAsyncContextManager[None]:
    """See :func:`truing.rbac.access.tenant`."""
    return async_settings(on, {setting: tenant_value(tenant_id, secret)})


def claims(on: AsyncConnection | AsyncSession, given: Mapping[str, Any]) -> AbstractAsyncContextManager[None]:
    """See :func:`truing.rbac.access.claims`."""
    return async_settings(on, {CLAIMS: claims_value(given)})


def acting(on: AsyncConnection | AsyncSession, actor: UUID | str) -> AbstractAsyncContextManager[None]:
    """See :func:`truing.rbac.access.acting`."""
    return async_settings(on, {ACTOR: str(actor)})


@asynccontextmanager
async def impersonate(
    on: AsyncConnection | AsyncSession,
    tenant_id: UUID,
    actor: UUID,
    profile: UUID,
    *,
    permission: str = IMPERSONATE,
    program: str = PROGRAM,
) -> AsyncIterator[None]:
    """See :func:`truing.rbac.access.impersonate`."""
    if not await can(on, tenant_id, actor, permission, program=program):
        raise refused(actor, profile, permission)
    if not any(each.tenant_id == tenant_id for each in await tenants_of(on, profile, program=program)):
        raise ImpersonationRefusedError(f"The tenant {tenant_id} has no active profile {profile}.")
    async with async_settings(on, {ACTOR: str(profile), IMPERSONATOR: str(actor)}):
        yield
