"""The application's side of a type change: a column type and a listener that work before, during and after the swap.

Neither the old release nor the new one runs on both sides of the swap of a text column for a uuid one: SQLAlchemy
writes a cast behind every bound string (``%s::VARCHAR``), and there is no ``uuid = varchar``. A release in between
declares the column as :class:`TransitionalUUID`, which writes no cast and reads both. What is left are the statements
that the drivers prepared before the swap: they fail on it once, or, under AUTOCOMMIT, for ever. :func:`make_retryable`
recognises that, has the pool make new connections, and raises :class:`SchemaChangedError`, upon which
:func:`retry_on_schema_change` runs the unit of work again.

In flow an engine and units of work; nothing else of truing is imported, for this is what an application imports.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar, cast, overload
from uuid import UUID

from sqlalchemy import Connection, Dialect, Engine, String, TypeDecorator, Uuid, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import OperationalError
from sqlalchemy.types import TypeEngine, UserDefinedType

if TYPE_CHECKING:
    # At run time it would need greenlet, which an application without asyncio has no use for.
    from sqlalchemy.ext.asyncio import AsyncEngine

_P = ParamSpec("_P")
_T = TypeVar("_T")
_E = TypeVar("_E", Engine, "AsyncEngine")

# What uuid_in() reads, with the outer blanks that the conversion removes; truing.online.conversion says it in SQL.
# Python's own UUID() is too kind: it reads urn:uuid: and hyphens anywhere, which the conversion takes for malformed.
_READABLE: Final = re.compile(
    r"[ \t\r\n\f\v]*(\{)?([0-9a-fA-F]{4}(?:-?[0-9a-fA-F]{4}){7})(?(1)\})[ \t\r\n\f\v]*", re.ASCII
)


class _Untyped(UserDefinedType[UUID]):
    """What a TransitionalUUID is to the database: UUID in DDL, and a value that is sent without a type.

    The dialects' own types of strings and UUIDs would write a cast behind it (``render_bind_cast``).
    """

    cache_ok = True

    def get_col_spec(self, **_options: Any) -> str:
        """Return the column's type in DDL."""
        return "UUID"


class TransitionalUUID(TypeDecorator[UUID]):
    """A column that is text now and uuid after the swap, or the other way round.

    A bound :class:`~uuid.UUID` is sent as its text without a type, which PostgreSQL takes for either; a bound ``str``
    is sent as it is. A value that comes back is a :class:`~uuid.UUID` wherever PostgreSQL could make one of it, so
    that nothing changes for the application at the swap. Text that is no UUID (there is none after the swap) comes
    back as the ``str`` it is, and not as None: the application can still tell it from a missing value, show it, and
    write it back unharmed.

    Its DDL is ``UUID``: models that use it agree with the database once the migration is at its head.

    Before::

        tenant_id: Mapped[str] = mapped_column(Text)

    In the release in between::

        tenant_id: Mapped[uuid.UUID] = mapped_column(TransitionalUUID)
    """

    # Whatever asks for the kind of type (a relationship, whether it may look a parent up by its key) hears: a UUID.
    impl = Uuid
    cache_ok = True

    @property
    def python_type(self) -> type[UUID]:
        """The type of what comes back."""
        return UUID

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:  # noqa: ARG002 - SQLAlchemy's signature
        """Return the type without a cast."""
        return _Untyped()

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:  # noqa: ARG002 - likewise
        """Turn a bound value into text."""
        return _sent(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:  # noqa: ARG002 - likewise
        """Turn a driver's value (a str, a UUID or None) into a UUID."""
        return _read(value)

    def process_literal_param(self, value: Any, dialect: Dialect) -> str:
        """Write a value into a statement: quoted and without a type, as it is bound."""
        quote = cast("Callable[[str], str]", String().literal_processor(dialect))  # type: ignore[no-untyped-call]
        return quote(str(_sent(value)))


def _sent(value: Any) -> str | None:
    if value is None or type(value) is str:
        return value
    if isinstance(value, UUID | str):
        return str(value)
    raise TypeError(f"TransitionalUUID takes a UUID or a str, not {value!r}")


def _read(value: Any) -> UUID | str | None:
    if not isinstance(value, str):
        return cast("UUID | None", value)
    match = _READABLE.fullmatch(value)
    return UUID(match[2]) if match else value


class SchemaChangedError(OperationalError):
    """A statement met a schema that has changed since it was prepared; the same unit of work will succeed.

    The connection it ran on is gone and its transaction rolled back. Run the whole unit of work again, from its
    begin: :func:`retry_on_schema_change` does.

    Attributes:
        retryable: True; for retry loops that do not import this class.
    """

    retryable = True


def make_retryable(engine: _E) -> _E:
    """Make what a schema change does to prepared statements retryable, for all connections of an engine.

    Recognised are the ways in which a statement fails only because it was prepared (or begun) before the change:
    ``cached plan must not change result type``, asyncpg's own caches, and ``datatype mismatch`` or ``no such operator``
    of a statement that has worked on the same connection before. The error is raised as :class:`SchemaChangedError`;
    the connection, and with it what is prepared on it, is thrown away, and so are the pool's others before they are
    used again. A statement that has never worked fails as ever.

    Args:
        engine: of psycopg or asyncpg; one that is made retryable twice is made so once.

    Returns:
        The same engine.
    """
    target: Any = getattr(engine, "sync_engine", engine)
    if not event.contains(target, "handle_error", _on_error):
        event.listen(target, "after_cursor_execute", _on_success)
        event.listen(target, "handle_error", _on_error)
    return engine


_WORKED: Final = "truing_worked"
_REMEMBERED: Final = 500
"""Statements remembered of each connection. A driver keeps fewer prepared (100), and drops the least recent first."""

_MISMATCHES: Final = frozenset({"42804", "42883"})
"""datatype_mismatch (plpgsql functions raise it too: they keep plans) and undefined_function (operators included)."""

_CACHE_ERRORS: Final = frozenset({"InvalidCachedStatementError", "OutdatedSchemaCacheError"})
"""asyncpg's classes, by name: it need not be installed."""


def _on_success(
    connection: Connection, _cursor: Any, statement: str, _parameters: Any, _context: Any, _executemany: bool
) -> None:
    worked = connection.info.setdefault(_WORKED, {})
    worked.pop(statement, None)
    worked[statement] = None
    if len(worked) > _REMEMBERED:
        del worked[next(iter(worked))]


def _on_error(context: ExceptionContext) -> SchemaChangedError | None:
    error, connection = context.original_exception, context.connection
    if connection is None or connection.invalidated or not isinstance(error, Exception):
        return None
    stale = _is_stale_plan(error)
    if not stale:
        if _sqlstate(error) not in _MISMATCHES:
            return None
        # Without a statement it is a COMMIT (a deferred trigger) or a cursor, both of something that has worked.
        stale = context.statement is None or context.statement in connection.info.get(_WORKED, ())
        # A transaction keeps the table from changing between the two round trips of a prepared statement. Without
        # one the change may fall in between even when it runs for the first time; the others need not pay for that.
        if not stale and not _in_autocommit(connection):
            return None
    context.is_disconnect = True
    context.invalidate_pool_on_disconnect = stale
    return SchemaChangedError(
        context.statement,
        context.parameters,
        error,
        hide_parameters=connection.engine.hide_parameters,
        connection_invalidated=True,
    )


def _in_autocommit(connection: Connection) -> bool:
    raw = connection.connection.dbapi_connection
    return raw is not None and bool(getattr(raw, "autocommit", False))


def _origins(error: Exception) -> tuple[Any, ...]:
    """Return a driver's error and, where SQLAlchemy stands in between (asyncpg), the one it was made from."""
    return (error, error.__cause__) if error.__cause__ is not None else (error,)


def _sqlstate(error: Exception) -> str | None:
    return next((state for origin in _origins(error) if (state := getattr(origin, "sqlstate", None))), None)


def _is_stale_plan(error: Exception) -> bool:
    """Tell ``cached plan must not change result type``, whatever language the server speaks, by where it is raised."""
    for origin in _origins(error):
        if not _CACHE_ERRORS.isdisjoint(each.__name__ for each in type(origin).__mro__):
            return True
        if getattr(getattr(origin, "diag", None), "source_function", None) == "RevalidateCachedQuery":
            return True
    return False


@overload
def retry_on_schema_change(work: Callable[_P, _T], /, *, attempts: int = ...) -> Callable[_P, _T]: ...
@overload
def retry_on_schema_change(*, attempts: int = ...) -> Callable[[Callable[_P, _T]], Callable[_P, _T]]: ...
def retry_on_schema_change(work: Callable[..., Any] | None = None, /, *, attempts: int = 3) -> Callable[..., Any]:
    """Run a unit of work again when the schema changed under it; a decorator, for functions and coroutine functions.

    There is no pause: once the error is there, the change is over.

    Args:
        work: begins and ends its own transaction (``with Session(engine) as session, session.begin(): ...``), so that
            all of it is run again. It may begin several times, so it should not send mail.
        attempts: how often it is run at most. Two are enough for one change.

    Returns:
        The function, with retries.

    Raises:
        ValueError: attempts is less than 1.
    """
    if attempts < 1:
        raise ValueError(f"attempts must be at least 1, not {attempts}")
    if work is None:
        return partial(retry_on_schema_change, attempts=attempts)
    if inspect.iscoroutinefunction(work):

        @wraps(work)
        async def run_async(*args: Any, **kwargs: Any) -> Any:
            for _attempt in range(attempts - 1):
                try:
                    return await work(*args, **kwargs)
                except SchemaChangedError:
                    continue
            return await work(*args, **kwargs)

        return run_async

    @wraps(work)
    def run(*args: Any, **kwargs: Any) -> Any:
        for _attempt in range(attempts - 1):
            try:
                return work(*args, **kwargs)
            except SchemaChangedError:
                continue
        return work(*args, **kwargs)

    return run
