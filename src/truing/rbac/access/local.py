"""Whose transaction is this? Settings that last for a block, and never longer than the transaction.

They are set with ``set_config(..., true)``, which PostgreSQL takes back at the end of the transaction, so a connection
that goes back to a pool, ours or PgBouncer's, carries nothing. A block that outlasts a transaction sets them again in
the next one, as its first statement. Where nothing is set, row security shows nothing.

In: a connection or session, and values. Out: a context manager, synchronous or asynchronous.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, suppress
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from uuid import UUID
from weakref import WeakKeyDictionary

import msgspec
from sqlalchemy import Connection, TextClause, event, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from truing.errors import UsageError
from truing.rbac.access.signing import sign
from truing.rbac.program import SETTING

if TYPE_CHECKING:
    # At run time it would need greenlet.
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

ACTOR: Final = "app.actor"
IMPERSONATOR: Final = "app.impersonator"
CLAIMS: Final = "request.jwt.claims"
"""The setting in which PostgREST says whose token it has verified."""

Values: TypeAlias = Mapping[str, str | Callable[[], str]]
"""Name of a setting -> its value, or what makes it when a transaction begins."""


class _Layers:
    """The blocks that are open on one connection or session, the innermost last."""

    def __init__(self, on: Connection | Session) -> None:
        self.blocks: list[Values] = []
        self.listener: Callable[..., None] = self._session if isinstance(on, Session) else self._connection
        self.name = "after_begin" if isinstance(on, Session) else "begin"

    @property
    def values(self) -> dict[str, str | Callable[[], str]]:
        return {name: value for block in self.blocks for name, value in block.items()}

    def _connection(self, connection: Connection) -> None:
        _apply(connection, self.values)

    def _session(self, _session: Session, _transaction: Any, connection: Connection) -> None:
        _apply(connection, self.values)


_OPEN: Final[WeakKeyDictionary[Connection | Session, _Layers]] = WeakKeyDictionary()


def _apply(connection: Connection, values: Values) -> None:
    if not values:
        return
    raw = connection.connection.dbapi_connection
    if raw is not None and connection.dialect.detect_autocommit_setting(raw):
        raise UsageError(
            "A tenant lasts for a transaction, and this connection is in autocommit.",
            hint="Use a connection without isolation_level AUTOCOMMIT here.",
        )
    connection.execute(*_set(values))


def _set(values: Values) -> tuple[TextClause, dict[str, str]]:
    parameters: dict[str, str] = {}
    for number, (name, value) in enumerate(values.items()):
        parameters |= {f"name_{number}": name, f"value_{number}": said(value)}
    return _statement(len(values)), parameters


@cache
def _statement(settings: int) -> TextClause:
    # Written once: making it anew takes as long as asking.
    return text("SELECT " + ", ".join(f"set_config(:name_{n}, :value_{n}, true)" for n in range(settings)))


def alone(on: Connection | Session) -> None:
    """Refuse a connection on which what one statement sets is there for the next.

    Raises:
        UsageError: it is not in autocommit.
    """
    connection = on.connection() if isinstance(on, Session) else on
    raw = connection.connection.dbapi_connection
    if raw is None or not connection.dialect.detect_autocommit_setting(raw):
        raise UsageError(
            "A tenant for one statement would last for this whole transaction.",
            hint='Make the engine with isolation_level="AUTOCOMMIT", or use `tenant` and `can` in the transaction.',
        )


def _enter(on: Connection | Session, values: Values) -> _Layers:
    layers = _OPEN.get(on)
    if layers is None:
        layers = _OPEN[on] = _Layers(on)
        event.listen(on, layers.name, layers.listener)
    layers.blocks.append(values)
    return layers


def _leave(on: Connection | Session, layers: _Layers, values: Values) -> Values:
    """Close a block; returns what the transaction has to be set to."""
    # By identity: an inner block may have the same values.
    layers.blocks[:] = [block for block in layers.blocks if block is not values]
    if not layers.blocks:
        event.remove(on, layers.name, layers.listener)
        _OPEN.pop(on, None)
    return dict.fromkeys(values, "") | {name: value for name, value in layers.values.items() if name in values}


@contextmanager
def settings(on: Connection | Session, values: Values) -> Iterator[None]:
    """Set settings for a block, in every transaction that is open or begun in it.

    Args:
        on: a connection or session.
        values: name of the setting -> value, or what makes it at each transaction's beginning.

    Raises:
        UsageError: the connection is in autocommit, where nothing lasts.
    """
    own = dict(values)
    layers = _enter(on, own)
    try:
        if on.in_transaction():
            _apply(on.connection() if isinstance(on, Session) else on, own)
        yield
    finally:
        after = _leave(on, layers, own)
        if on.in_transaction():
            # Where this fails, the transaction has failed, and what was set goes with it.
            with suppress(SQLAlchemyError):
                on.execute(*_set(after))


@asynccontextmanager
async def async_settings(on: AsyncConnection | AsyncSession, values: Values) -> AsyncIterator[None]:
    """Do as :func:`settings` for an asynchronous connection or session."""
    own = dict(values)
    inner = on.sync_session if hasattr(on, "sync_session") else on.sync_connection
    if inner is None:
        raise UsageError("The connection is not open yet.", hint="Use it within `async with engine.connect()`.")
    layers = _enter(inner, own)

    def begin(given: Connection | Session) -> None:
        _apply(given.connection() if isinstance(given, Session) else given, own)

    try:
        if on.in_transaction():
            await on.run_sync(begin)
        yield
    finally:
        after = _leave(inner, layers, own)
        if on.in_transaction():
            with suppress(SQLAlchemyError):
                await on.execute(*_set(after))


def tenant(
    on: Connection | Session, tenant_id: UUID, *, setting: str = SETTING, secret: bytes | None = None
) -> AbstractContextManager[None]:
    """Work for one tenant within a block: row security shows its rows and takes only its rows.

    Args:
        on: a connection or session.
        tenant_id: the tenant, from where it was verified.
        setting: that the policies read.
        secret: to sign the tenant with, anew for each transaction, where the program is bound by ``signed``.
    """
    return settings(on, {setting: tenant_value(tenant_id, secret)})


def tenant_value(tenant_id: UUID, secret: bytes | None) -> str | Callable[[], str]:
    """Make the value of the setting: the tenant, or what signs it."""
    known = as_uuid(tenant_id)
    if secret is None:
        return str(known)
    # Once now, so that what cannot be signed is refused here and not at the next transaction.
    sign(known, secret)
    return partial(sign, known, secret)


def once(tenant_id: UUID, *, setting: str, secret: bytes | None, claims: Mapping[str, Any] | None) -> tuple[str, str]:
    """Return the one setting that says the tenant, with its value for a transaction that begins now.

    Raises:
        UsageError: it is said in two ways.
    """
    known = tenant_value(tenant_id, secret)
    if claims is None:
        return setting, said(known)
    if secret is not None:
        raise UsageError(
            "A tenant is either signed or that of a token's claims.", hint="Give secret= or claims=, not both."
        )
    return CLAIMS, claims_value(claims)


def said(value: str | Callable[[], str]) -> str:
    """Return a value for a transaction that begins now."""
    return value() if callable(value) else value


def claims(on: Connection | Session, given: Mapping[str, Any]) -> AbstractContextManager[None]:
    """Work for the user of a token within a block, where the program is bound by ``supabase``.

    It is what PostgREST does for each request, for a service that has a connection of its own.

    Args:
        on: a connection or session; its role is a member of ``authenticated``.
        given: the token's claims, after its signature was verified: they are believed.
    """
    return settings(on, {CLAIMS: claims_value(given)})


def claims_value(given: Mapping[str, Any]) -> str:
    """Write claims as the setting holds them."""
    try:
        return msgspec.json.encode(dict(given)).decode()
    except TypeError as error:
        raise UsageError(
            f"Claims are what a token holds: {error}.", hint="Give the claims that were decoded."
        ) from error


def acting(on: Connection | Session, actor: UUID | str) -> AbstractContextManager[None]:
    """Say who acts within a block: a profile, which then grants no more than it may, or the name of an operator."""
    return settings(on, {ACTOR: str(actor)})


def as_uuid(value: UUID) -> UUID:
    """Refuse what is no UUID."""
    # A text that is empty or no uuid must not become a setting that shows nothing, or fails, much later.
    if not isinstance(value, UUID):
        raise UsageError(f"A tenant is a uuid.UUID, not {value!r}.", hint="Make it with uuid.UUID(...).")
    return value
