"""From a line in a revision to the runner: how every online operation is carried out under Alembic.

An operation never runs on Alembic's own connection: that one sits in a transaction, and short locks need transactions
of their own. The migration's transaction is committed first (Alembic's ``autocommit_block``), then the runner works
on a direct psycopg connection to the same database, whatever driver the application uses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psycopg
from alembic.operations import Operations
from alembic.util import CommandError
from sqlalchemy.engine import Connection as SqlalchemyConnection

from truing.changes import AnyChange
from truing.config import load_config
from truing.errors import OnlineError, TruingError, UnsupportedChangeError
from truing.names import QualifiedName
from truing.online.run import Planned, Runner
from truing.online.session import Connect
from truing.online.settings import OnlineSettings, current_settings

if TYPE_CHECKING:
    # Alembic is half imported when it loads its plugins, and this module with them.
    from alembic.runtime.migration import MigrationContext


def qualified(operations: Operations, name: str, schema: str | None) -> QualifiedName:
    """Resolve a table's name as Alembic would: in the given schema, else in the connection's default one."""
    if schema is not None:
        return QualifiedName(schema, name)
    context = operations.migration_context
    if context.opts.get("truing_record") is not None or context.as_sql:
        return QualifiedName(context.opts.get("truing_default_schema", "public"), name)
    row = operations.get_bind().exec_driver_sql("SELECT current_schema()").scalar()
    return QualifiedName(str(row or "public"), name)


def carry_out(
    operations: Operations,
    op_id: str,
    change: AnyChange,
    planner: Callable[[psycopg.Connection[Any]], Planned | None],
) -> bool:
    """Run an operation now, or record it when a revision is only being read.

    Args:
        operations: Alembic's.
        op_id: the operation's identity.
        change: what is asked for.
        planner: see :meth:`truing.online.run.Runner.run`.

    Returns:
        Whether anything had to be done; False when it was only recorded.

    Raises:
        UnsupportedChangeError: Alembic runs offline (``--sql``).
        OnlineError: env.py holds a transaction around the migrations.
    """
    context = operations.migration_context
    record = context.opts.get("truing_record")
    if record is not None:
        record(change, op_id)
        return False
    with errors_for_alembic():
        if context.as_sql:
            raise UnsupportedChangeError(
                f"“{op_id}” looks at the live catalog, so it has no fixed SQL",
                hint="`truing upgrade --plan` prints its steps for the database you name.",
            )
        bind = operations.get_bind()
        connect = context.opts.get("truing_connect") or connector(bind)
        settings = settings_of(context)
        refuse_outer_transaction(operations)
        with context.autocommit_block():
            if _holds_locks(connect, bind):
                raise _outer_transaction()
            return Runner(connect, settings).run(op_id, change, planner)


def settings_of(context: MigrationContext) -> OnlineSettings:
    """Return the runner's limits: those that env.py passes, else the front end's, else the configuration file's.

    Raises:
        ConfigurationError: ``[tool.truing.online]`` is not usable.
    """
    chosen: OnlineSettings | None = context.opts.get("truing_settings") or current_settings.get()
    return chosen or load_config().section("online", OnlineSettings)


@contextmanager
def errors_for_alembic() -> Iterator[None]:
    """Let errors of ours be Alembic's too: its command line prints those, and shows a traceback of any other."""
    try:
        yield
    except TruingError as error:
        error.__class__ = _also_alembics(type(error))
        raise


def _also_alembics(kind: type[TruingError]) -> type[TruingError]:
    if issubclass(kind, CommandError):
        return kind
    return type(kind.__name__, (kind, CommandError), {"__doc__": kind.__doc__, "__module__": kind.__module__})


def refuse_outer_transaction(operations: Operations) -> None:
    """Refuse to run inside a transaction that Alembic did not begin and so cannot commit.

    Raises:
        OnlineError: env.py holds a transaction around the migrations.
    """
    # Alembic's autocommit_block() would stop at an assertion.
    context = operations.migration_context
    if operations.get_bind().in_transaction() and getattr(context, "_transaction", context) is None:
        raise _outer_transaction()


def _outer_transaction() -> OnlineError:
    return OnlineError(
        "env.py runs the migrations in a transaction of its own, whose locks would block this operation",
        hint="Let Alembic manage the transaction: `with context.begin_transaction(): context.run_migrations()` without"
        " an outer connection.begin(). What env.py executes before context.configure() begins one too: commit it.",
    )


def _holds_locks(connect: Connect, bind: SqlalchemyConnection) -> bool:
    """Tell whether Alembic's own session is still inside a transaction that locks relations of this database."""
    pid = bind.exec_driver_sql("SELECT pg_backend_pid()").scalar()
    with connect() as connection:
        row = connection.execute(
            "SELECT EXISTS (SELECT FROM pg_locks WHERE pid = %s AND locktype = 'relation' AND granted"
            " AND relation >= 16384 AND mode <> 'AccessShareLock')",
            (pid,),
        ).fetchone()
    return bool(row and row[0])


def connector(bind: SqlalchemyConnection) -> Connect:
    """Return a function that opens a psycopg connection to where an SQLAlchemy connection goes.

    With the psycopg driver the very parameters of the open connection are used, so that custom creators work;
    with another driver those of the engine's URL.
    """
    raw = bind.connection.driver_connection
    if isinstance(raw, psycopg.Connection):
        parameters: dict[str, Any] = {**raw.info.get_parameters(), "password": raw.info.password or None}
        parameters.pop("application_name", None)
        parameters.pop("options", None)
    else:
        url = bind.engine.url
        query = {key: value if isinstance(value, str) else value[-1] for key, value in url.query.items()}
        parameters = {
            "host": url.host or query.get("host"),
            "port": url.port or query.get("port"),
            "user": url.username or query.get("user"),
            "password": url.password,
            "dbname": url.database,
            "sslmode": query.get("sslmode") or query.get("ssl"),
        }
    given = {key: value for key, value in parameters.items() if value is not None}
    return lambda: psycopg.connect(**given, autocommit=True)
