"""Where do the connections of other people's code go? To the scratch database, whatever address they were given.

For use in a child process only: it stays for as long as the process lives. ``env.py`` may take its address from
settings, a file or a secret store; what it gives to SQLAlchemy is replaced here, and what goes past SQLAlchemy to
psycopg is refused unless it leads to the scratch database as well.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from sqlalchemy import event
from sqlalchemy.engine import Engine

from truing.drift.exchange import Server
from truing.drift.stubs import rewritten

_LEADS_ELSEWHERE: Final = frozenset(
    """
    host hostaddr port user username password passfile dbname database service servicefile dsn conninfo unix_sock
    sslmode sslrootcert sslcert sslkey sslcrl sslpassword sslsni ssl ssl_context channel_binding require_auth
    gssencmode krbsrvname target_session_attrs load_balance_hosts direct_tls
    """.split()  # noqa: SIM905 - libpq's, asyncpg's and pg8000's names, as their documentations list them
)


class ElsewhereError(Exception):
    """a connection to another database than the scratch one was asked for, and refused"""  # noqa: D415 - shown after the error's name


def install(server: Server, search_path: str = "") -> None:
    """Send every connection of this process to the scratch database.

    Args:
        server: the scratch database.
        search_path: what the connections start with; empty for the server's own.
    """

    def redirect(dialect: Any, _record: object, arguments: list[Any], parameters: dict[str, Any]) -> None:
        if dialect.name != "postgresql":
            raise ElsewhereError(f"the project connects to {dialect.name}, and truing works with PostgreSQL")
        arguments.clear()
        for name in _LEADS_ELSEWHERE & parameters.keys():
            del parameters[name]
        parameters |= _address(server, dialect.driver)
        if search_path:
            _start_with(parameters, search_path, dialect.driver)

    event.listen(Engine, "do_connect", redirect)
    _guard_psycopg(server)


def stand_in(lacking: Collection[str]) -> None:
    """Let every connection of this process make a stand-in for an extension that the scratch server has not got."""

    def instead(
        _connection: object, _cursor: object, statement: str, parameters: object, _context: object, _many: bool
    ) -> tuple[str, Any]:
        return rewritten(statement, lacking), parameters

    event.listen(Engine, "before_cursor_execute", instead, retval=True)


def _address(server: Server, driver: str) -> dict[str, Any]:
    database = "database" if driver in {"asyncpg", "pg8000"} else "dbname"
    address: dict[str, Any] = {"user": server.user, database: server.dbname, "host": server.host, "port": server.port}
    if server.password:
        address["password"] = server.password
    if driver == "pg8000" and server.host.startswith("/"):
        address["unix_sock"] = f"{address.pop('host')}/.s.PGSQL.{address.pop('port')}"
    return address


def _start_with(parameters: dict[str, Any], search_path: str, driver: str) -> None:
    if driver in {"asyncpg", "pg8000"}:
        name = "server_settings" if driver == "asyncpg" else "startup_params"
        parameters[name] = {"search_path": search_path} | dict(parameters.get(name) or {})
        return
    # In `options` blanks and backslashes are escaped by a backslash (documentation: "Database Connection Control").
    escaped = search_path.replace("\\", "\\\\").replace(" ", "\\ ")
    # What the project itself sets comes later, and so wins.
    parameters["options"] = f"-c search_path={escaped} {parameters.get('options') or ''}".strip()


def _guard_psycopg(server: Server) -> None:
    import psycopg  # noqa: PLC0415 - only where connections are made
    from psycopg.conninfo import conninfo_to_dict  # noqa: PLC0415

    def leads_here(conninfo: str, options: dict[str, Any]) -> bool:
        given = conninfo_to_dict(conninfo, **{key: value for key, value in options.items() if _is_libpq(key)})
        host = str(given.get("host") or given.get("hostaddr") or server.host)
        return host == server.host and str(given.get("port") or server.port) == str(server.port)

    for kind in (psycopg.Connection, psycopg.AsyncConnection):
        connect: Any = kind.connect

        def guarded(conninfo: str = "", *, __connect: Any = connect, **options: Any) -> Any:
            if not leads_here(conninfo, options):
                raise ElsewhereError((ElsewhereError.__doc__ or "").strip())
            return __connect(conninfo, **options)

        kind.connect = guarded  # type: ignore[method-assign]
    psycopg.connect = psycopg.Connection.connect


def _is_libpq(name: str) -> bool:
    return name not in {"autocommit", "row_factory", "prepare_threshold", "context", "cursor_factory"}
