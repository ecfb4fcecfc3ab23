"""The runner's own connection to the database: direct, in autocommit mode, named, and alone on its operation.

A session-level advisory lock says who runs an operation, so the connection must be one session from begin to end; a
transaction pooler in between is noticed and refused.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final, TypeAlias

import psycopg

from truing.errors import OnlineError, PoolerError, RivalRunnerError
from truing.names import literal
from truing.versions import PostgresVersion

Connect: TypeAlias = Callable[[], psycopg.Connection[Any]]
"""Opens a new connection in autocommit mode."""

APPLICATION_NAME: Final = "truing"

_SETUP: Final = """
SELECT set_config('application_name', 'truing', false), set_config('search_path', '', false),
  set_config('statement_timeout', '0', false), set_config('lock_timeout', '15s', false),
  set_config('idle_in_transaction_session_timeout', '30s', false), set_config('TimeZone', 'UTC', false),
  set_config('DateStyle', 'ISO', false), set_config('IntervalStyle', 'postgres', false),
  set_config('extra_float_digits', '1', false), set_config('default_transaction_isolation', 'read committed', false),
  set_config('client_connection_check_interval', '1s', false), set_config('row_security', 'off', false),
  set_config('client_min_messages', 'warning', false), set_config('truing.session', %(token)s, false)
"""
# client_connection_check_interval: the backend of a runner that was killed ends within a second instead of finishing
# an index build with the advisory lock in its hand (documentation: "Connection Settings").
# DateStyle, IntervalStyle, extra_float_digits: values are kept as text, which must say the same to every later reader.
# default_transaction_isolation: what was waited for must be seen, not end the run.
# row_security off: a policy that would hide rows from us makes an error, never a silently smaller result.


def open_session(connect: Connect) -> psycopg.Connection[Any]:
    """Open and prepare the runner's connection.

    Raises:
        PoolerError: the connection goes through a transaction pooler.
    """
    connection = connect()
    try:
        _compress_wal(connection)
        token = str(time.monotonic_ns())
        connection.execute(_SETUP, {"token": token}).fetchone()
        _refuse_pooler(connection, token)
    except BaseException:
        connection.close()
        raise
    return connection


def _compress_wal(connection: psycopg.Connection[Any]) -> None:
    """Have this session's full-page images compressed, where it may choose: a backfill touches every page.

    A superuser may, and whoever was given GRANT SET ON PARAMETER wal_compression (PostgreSQL 15).
    """
    try:
        connection.execute("SET wal_compression = on")
    except psycopg.errors.InsufficientPrivilege:
        return


def _refuse_pooler(connection: psycopg.Connection[Any], token: str) -> None:
    """Check in separate transactions that it is one backend and that a setting of the session survives."""
    seen = {
        connection.execute("SELECT pg_backend_pid(), current_setting('truing.session', true)").fetchone()
        for _ in range(3)
    }
    if len(seen) != 1 or next(iter(seen)) != (connection.info.backend_pid, token):
        raise PoolerError


def server_version(connection: psycopg.Connection[Any]) -> PostgresVersion:
    """Return the version of the connected server."""
    return PostgresVersion(connection.info.server_version)


def claim(connection: psycopg.Connection[Any], op_id: str, patience_s: float = 10.0) -> None:
    """Become the one runner of an operation, for as long as the session lasts.

    The backend of a run that was killed holds the claim for another moment, so it is waited for.

    Raises:
        RivalRunnerError: another process is running the operation.
    """
    give_up = time.monotonic() + patience_s
    while True:
        row = connection.execute(
            "SELECT pg_try_advisory_lock(hashtextextended('truing ' || %s, 0))", (op_id,)
        ).fetchone()
        if row and row[0]:
            return
        if time.monotonic() > give_up:
            raise RivalRunnerError(
                f"another process is running “{op_id}”: {_holder(connection, op_id)}",
                hint="Wait for it (`truing status` shows its progress), or stop it and run this again.",
            )
        time.sleep(0.2)


def _holder(connection: psycopg.Connection[Any], op_id: str) -> str:
    row = connection.execute(
        "SELECT a.pid, a.application_name, a.client_addr::text, a.backend_start FROM pg_locks l"
        " JOIN pg_stat_activity a USING (pid) CROSS JOIN hashtextextended('truing ' || %s, 0) h"
        " WHERE l.locktype = 'advisory' AND l.granted"
        " AND ((l.classid::bigint << 32) | l.objid::bigint) = h LIMIT 1",
        (op_id,),
    ).fetchone()
    if row is None:
        return "a session that has just ended"
    pid, application, address, since = row
    return f"pid {pid} ({application or 'no application name'}, {address or 'local'}, since {since})"


def may_replicate(connection: psycopg.Connection[Any]) -> bool:
    """Tell whether the session may switch ordinary triggers off for itself (superuser, or GRANT SET ON PARAMETER)."""
    try:
        connection.execute("BEGIN; SET LOCAL session_replication_role = replica; ROLLBACK")
    except psycopg.errors.InsufficientPrivilege:
        connection.execute("ROLLBACK")
        return False
    return True


_SHOWN_ALL: Final = """
SELECT COALESCE(bool_or(p.polpermissive AND p.polcmd = '*' AND pg_get_expr(p.polqual, p.polrelid) = 'true'
    AND COALESCE(pg_get_expr(p.polwithcheck, p.polrelid), 'true') = 'true'), false)
  AND NOT bool_or(NOT p.polpermissive)
FROM pg_policy p WHERE p.polrelid = %s::regclass
  AND EXISTS (SELECT FROM unnest(p.polroles) r WHERE r = 0 OR pg_has_role(r, 'USAGE'))
"""
# Permissive policies are joined by OR, so one that is true shows every row, unless a restrictive one hides some.


def require_visible(connection: psycopg.Connection[Any], table_sql: str) -> None:
    """Refuse a table whose row level security hides rows from this role: a backfill would pass over them.

    A role that a policy shows every row of the table may go on, with that policy.

    Raises:
        OnlineError: the role is subject to the table's policies, or the table is gone.
    """
    there = connection.execute("SELECT to_regclass(%s) IS NOT NULL", (table_sql,)).fetchone()
    if there != (True,):
        raise OnlineError(
            f"there is no table {table_sql}, on which this operation was begun",
            hint="Bring it back. Or, if it is gone for good, delete the operation from the journal: DELETE FROM"
            f" _truing.op WHERE rel = {literal(table_sql)};",
        )
    row = connection.execute("SELECT row_security_active(%s::regclass), current_user", (table_sql,)).fetchone()
    # row_security_active() is false while row_security is off only for roles that bypass the policies.
    if row and row[0]:
        shown = connection.execute(_SHOWN_ALL, (table_sql,)).fetchone()
        if shown and shown[0]:
            connection.execute("SET row_security = on")
            return
        raise OnlineError(
            f"row level security applies to role {row[1]} on {table_sql}, so it cannot see every row",
            hint="Run as the table's owner without FORCE ROW LEVEL SECURITY, as a role with BYPASSRLS, or as a member"
            " of one that a policy FOR ALL USING (true) WITH CHECK (true) shows everything.",
        )
