"""How does a FastAPI application ask? ``Depends(require("manage_users"))``, and a connection that is in the tenant.

Who somebody is, and in which tenant, comes out of a token whose signature was checked, and from nowhere else: no
header, path or query says it. In: an engine, whose login reads and asks; a second one, whose login hands out roles, for
an application that does; and a function that verifies a token. Out: dependencies, which answer 401 without a valid
token and 403 without the permission.

Needs ``pip install 'truing[fastapi]'``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import Connection, Engine

from truing.errors import AccessError, LoginRefusedError, UnknownProfileError, UnknownRoleError, UsageError
from truing.rbac.access import acting
from truing.rbac.access import claims as as_user
from truing.rbac.access import tenant as in_tenant
from truing.rbac.access.cache import Cache
from truing.rbac.program.binding import Claim

try:
    import jwt
    from fastapi import Depends, FastAPI, HTTPException, Request
    from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f"{__name__} needs FastAPI and PyJWT. Install them with: pip install 'truing[fastapi]'", name=error.name
    ) from error

Verify = Callable[[str], Mapping[str, Any]]
"""Takes a token and gives its claims; raises :class:`jwt.InvalidTokenError` for one that is not valid."""

_bearer: Final = HTTPBearer(auto_error=False)
_NO_ADMINISTRATOR: Final = "This application has no database login that may do this, whoever asks."


class Identity(msgspec.Struct, frozen=True):
    """Who asks: a profile, in a tenant, as a verified token says."""

    tenant: UUID
    profile: UUID


class Rbac:
    """What an application needs to answer: a cache, an engine, and the way a token is verified.

    Args:
        app: the application whose dependencies ask.
        engine: of the application, which reads and asks; its login is one that row security holds for, in app_user.
        verify: takes a token, gives its claims; :func:`jwt_verifier` makes one.
        tenant_claim: the claim that holds the tenant's id.
        profile_claim: the claim that holds the profile's id.
        administrator: the engine to hand out roles over (:data:`Administering`); its login is in rbac_admin, and who
            acts is still checked to be one who may hand them out. None for an application that hands out none.
        cache: the cache to ask; one of its own otherwise, which :meth:`close` ends.
        secret: to sign the tenant with, where the program is bound by ``signed``.
        claim: that names the tenant, in place of ``tenant_claim``, where the program is bound by ``supabase``:
            ``app_metadata.tenant_id``.
    """

    def __init__(
        self,
        app: FastAPI,
        engine: Engine,
        verify: Verify,
        *,
        tenant_claim: str = "tenant_id",
        profile_claim: str = "sub",
        administrator: Engine | None = None,
        cache: Cache | None = None,
        secret: bytes | None = None,
        claim: str | None = None,
    ) -> None:
        self.engine = engine
        self.administrator = administrator
        self.cache = cache or Cache(engine, secret=secret, claim=claim)
        self.secret = secret
        self._verify = verify
        self._bound = None if claim is None else Claim.parse(claim)
        self._tenant, self._profile = self._bound or Claim((tenant_claim,)), Claim((profile_claim,))
        app.state.truing_rbac = self

    def close(self) -> None:
        """End the cache, at the application's shutdown."""
        self.cache.close()

    def identity(self, token: str) -> Identity | None:
        """Read who a token is; None where it is not valid or does not say."""
        try:
            claims = self._verify(token)
            return Identity(*(UUID(str(each.read(claims))) for each in (self._tenant, self._profile)))
        except (jwt.InvalidTokenError, ValueError):
            return None

    def within(self, opened: Connection, who: Identity) -> AbstractContextManager[None]:
        """Work on a connection in the tenant of who asks, as the program is bound."""
        if self._bound is not None:
            return as_user(opened, self._bound.of(who.tenant, who.profile))
        return in_tenant(opened, who.tenant, secret=self.secret)


def jwt_verifier(
    key: Any, *, algorithms: Sequence[str], audience: str | None = None, issuer: str | None = None
) -> Verify:
    """Make a verifier of JSON Web Tokens: signature, expiry, and audience and issuer where they are given.

    Args:
        key: the secret, or the public key.
        algorithms: that are accepted; never what the token itself names.
        audience: that a token must be for.
        issuer: that it must be from.

    Raises:
        UsageError: no algorithm is named, or ``none`` is.
    """
    if not algorithms or any(each.lower() == "none" for each in algorithms):
        raise UsageError("A token without a signature proves nothing.", hint='Name algorithms, such as ["RS256"].')

    def verify(token: str) -> Mapping[str, Any]:
        claims: Mapping[str, Any] = jwt.decode(
            token, key, algorithms=list(algorithms), audience=audience, issuer=issuer, options={"require": ["exp"]}
        )
        return claims

    return verify


def _rbac(request: Request) -> Rbac:
    found = getattr(request.app.state, "truing_rbac", None)
    if not isinstance(found, Rbac):
        raise UsageError("This application has no Rbac.", hint="Make one: Rbac(app, engine, verify).")
    return found


def identify(request: Request, given: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]) -> Identity:
    """Dependency: who asks; 401 without a valid bearer token."""
    identity = _rbac(request).identity(given.credentials) if given is not None else None
    if identity is None:
        raise HTTPException(401, "A valid bearer token is needed.", headers={"WWW-Authenticate": "Bearer"})
    return identity


Who = Annotated[Identity, Depends(identify)]
"""A parameter of this type is who asks."""


def require(*permissions: str) -> Callable[..., Identity]:
    """Make a dependency that lets through who has all of these permissions, and answers 403 otherwise.

    Raises:
        UsageError: no permission is named, which would let everybody through.
    """
    if not permissions:
        raise UsageError("require() needs a permission.", hint="Use Depends(identify) to ask only for a valid token.")

    def allowed(request: Request, who: Who) -> Identity:
        cache = _rbac(request).cache
        for permission in permissions:
            if not cache.can(who.tenant, who.profile, permission):
                raise HTTPException(403, f"This needs the permission {permission}.")
        return who

    return allowed


def connection(request: Request, who: Who) -> Iterator[Connection]:
    """Dependency: a connection in the tenant of who asks, and acting as them; committed unless the endpoint fails.

    What the database refuses becomes a 403, a role or profile that is not there a 404, and what the application's
    login may not do, whoever asks, a 501.
    """
    rbac = _rbac(request)
    yield from _working(rbac, rbac.engine, who)


# In the scope of the function: otherwise FastAPI answers first and commits afterwards, when nothing can be taken back.
InTenant = Annotated[Connection, Depends(connection, scope="function")]
"""A parameter of this type is a connection in the tenant of who asks."""


def administering(request: Request, who: Who) -> Iterator[Connection]:
    """Dependency: the same over the administrator's engine, to hand out roles; 501 where the application has none.

    Row security shows this login every tenant: let nobody's own SQL near it, and give :func:`~truing.rbac.access.grant`
    the tenant of who asks.
    """
    rbac = _rbac(request)
    if rbac.administrator is None:
        raise HTTPException(501, _NO_ADMINISTRATOR)
    yield from _working(rbac, rbac.administrator, who)


Administering = Annotated[Connection, Depends(administering, scope="function")]
"""A parameter of this type is a connection that may hand out the roles which who asks may."""


def _working(rbac: Rbac, engine: Engine, who: Identity) -> Iterator[Connection]:
    try:
        with engine.connect() as opened, rbac.within(opened, who), acting(opened, who.profile):
            yield opened
            opened.commit()
    except (UnknownRoleError, UnknownProfileError) as error:
        raise HTTPException(404, error.message) from error
    except LoginRefusedError as error:
        raise HTTPException(501, _NO_ADMINISTRATOR) from error
    except AccessError as error:
        raise HTTPException(403, error.message) from error
