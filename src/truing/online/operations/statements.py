"""Run statements of one's own under a strong lock that nobody queues behind for long.

Before: ``op.execute("ALTER POLICY ...")`` waits for ACCESS EXCLUSIVE behind the oldest reader, and everybody else waits
behind it. After: ``op.execute_online("profiles", ["ALTER POLICY ..."])`` runs the same in one transaction under the
two-stage lock, with its retries and its report of who is in the way.

The catalog cannot tell whether somebody's own statements have been run, so they have to be repeatable: a revision that
was stopped halfway runs them again.
"""

from __future__ import annotations

from collections.abc import Sequence

from alembic.operations import MigrateOperation, Operations

from truing.errors import InterruptedRunError, UsageError
from truing.locks import LockMode, TableLock
from truing.names import literal
from truing.online import locking
from truing.online.operations.invoke import (
    connector,
    errors_for_alembic,
    qualified,
    refuse_outer_transaction,
    settings_of,
)
from truing.online.run import stop_requested
from truing.online.session import open_session


@Operations.register_operation("execute_online")
class ExecuteOnlineOp(MigrateOperation):
    """Run metadata-only statements under a short lock."""

    def __init__(self, table: str, statements: tuple[str, ...], lock: LockMode, schema: str | None) -> None:
        self.table, self.statements, self.lock, self.schema = table, statements, lock, schema

    @classmethod
    def execute_online(
        cls,
        operations: Operations,
        table: str,
        statements: Sequence[str],
        *,
        lock: str = "ACCESS EXCLUSIVE",
        schema: str | None = None,
    ) -> None:
        """Run metadata-only, repeatable statements in one transaction under a lock of a table.

        Args:
            operations: Alembic's.
            table: the table to lock.
            statements: what to run, with the search path of Alembic's own connection.
            lock: the lock that the statements need.
            schema: of the table.

        Raises:
            UsageError: there is no such lock.
        """
        modes = {mode.sql: mode for mode in LockMode}
        if lock.upper() not in modes:
            raise UsageError(f"{lock!r} is no table lock", hint=f"Write one of {', '.join(modes)}.")
        operations.invoke(cls(table, tuple(statements), modes[lock.upper()], schema))


@Operations.implementation_for(ExecuteOnlineOp)
def _execute(operations: Operations, op: ExecuteOnlineOp) -> None:
    context = operations.migration_context
    if context.as_sql or context.opts.get("truing_record") is not None:
        # Nothing is locked by writing statements down.
        for statement in op.statements:
            operations.execute(statement)
        return
    with errors_for_alembic():
        refuse_outer_transaction(operations)
        _run(operations, op)


def _run(operations: Operations, op: ExecuteOnlineOp) -> None:
    context = operations.migration_context
    locks = (TableLock(qualified(operations, op.table, op.schema), op.lock),)
    bind = operations.get_bind()
    path = bind.exec_driver_sql("SELECT current_setting('search_path')").scalar()
    # The runner's own session finds nothing by search path; the statements are written with the revision's.
    prepared = (f"SELECT pg_catalog.set_config('search_path', {literal(str(path))}, true)", *op.statements)
    connect = context.opts.get("truing_connect") or connector(bind)
    settings = settings_of(context)
    with context.autocommit_block(), open_session(connect) as connection:
        locking.run_locked(connection, locks, prepared, settings, on_attempt=_stop_if_asked, point=lambda _: None)


def _stop_if_asked(_attempt: locking.Attempt) -> None:
    if stop_requested.is_set():
        raise InterruptedRunError
