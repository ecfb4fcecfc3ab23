"""Which database does this URL mean, for SQLAlchemy and for psycopg? Text goes in and out; no connection is made.

Passwords stay inside: whatever is shown to a person goes through :func:`truing.redaction.redact`.
"""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import parse_qsl, unquote

import msgspec

from truing.errors import ConnectionFailedError, ProjectError
from truing.redaction import redact

_SCHEME: Final = re.compile(r"^(?P<backend>[A-Za-z][A-Za-z0-9]*)(?:\+(?P<driver>\w+))?://")
_USUAL: Final = re.compile(
    r"postgresql(?:\+\w+)?://(?:(?P<username>[^:/@?#\s\[\]]*)(?::(?P<password>[^:/@?#\s\[\]]*))?@)?"
    r"(?P<host>[\w.-]*)(?::(?P<port>[0-9]{1,5}))?/(?P<database>[^/@?#\s]*)(?:\?(?P<query>[^?#\s]*))?",
    re.ASCII,
)
"""The URLs of which there is but one reading."""
# asyncpg's and psycopg2's own query arguments -> libpq's; None: only a hint to that driver's pool or cache.
_TRANSLATED: Final[dict[str, str | None]] = {
    "ssl": "sslmode",
    "timeout": "connect_timeout",
    "command_timeout": None,
    "prepared_statement_cache_size": None,
    "prepared_statement_name_func": None,
    "statement_cache_size": None,
    "async_fallback": None,
}
_SSL_WORDS: Final = {"true": "require", "1": "require", "false": "disable", "0": "disable"}


def unreachable(url: str, error: Exception) -> ConnectionFailedError:
    """Say that nobody answers at an address, and why."""
    return ConnectionFailedError(
        f"{redact(url)} cannot be reached: {redact(str(error).strip())}",
        hint="Check the address, and that PostgreSQL is running and lets you in.",
    )


def postgresql_url(url: str, driver: str = "") -> str:
    """Check a URL and write it as SQLAlchemy wants it.

    Args:
        url: ``postgresql://``, ``postgres://`` or ``postgresql+driver://``.
        driver: the driver to put in its place; empty keeps the one that is named.

    Returns:
        The URL with its password; ``postgres://``, which SQLAlchemy rejects, has become ``postgresql://``.

    Raises:
        ProjectError: it is no URL, or one of another database.
    """
    url = url.strip()
    scheme = _SCHEME.match(url)
    if scheme is None:
        # Without a scheme nobody can say where a password would be.
        raise ProjectError(
            f"this is not a database URL: {redact(re.sub(r'(?s)^.*@', '***@', url))}",
            hint="Write postgresql://user@host:5432/database.",
        )
    if re.search(r"\s", url):
        raise _unreadable(re.sub(r"(?s)\s.*(?=@)", "***", url))
    backend = scheme["backend"].lower()
    if backend not in {"postgresql", "postgres"}:
        raise ProjectError(
            f"truing works with PostgreSQL, and this URL is for {backend}: {redact(url)}",
            hint="Give a PostgreSQL URL: --database-url postgresql://user@host:5432/database.",
        )
    kept = driver or scheme["driver"] or ""
    return f"postgresql{'+' if kept else ''}{kept}://{url[scheme.end() :]}"


def sqlalchemy_url(url: str) -> str:
    """Write a URL for SQLAlchemy with psycopg 3, whatever driver it names.

    Raises:
        ProjectError: it is not a URL of a PostgreSQL database.
    """
    parsed = _parsed(url)
    parsed = parsed.set(drivername="postgresql+psycopg", query=_libpq(parsed.query))
    text: str = parsed.render_as_string(hide_password=False)
    return text


def conninfo(url: str, **extra: str) -> str:
    """Write a URL as a connection string of libpq.

    Args:
        url: any form that :func:`postgresql_url` takes; ``?host=/directory`` is a Unix socket.
        extra: more parameters, for example ``application_name``; they win over the URL's own.

    Returns:
        ``key=value`` pairs, with the password.

    Raises:
        ProjectError: it is not a URL of a PostgreSQL database.
    """
    from psycopg import ProgrammingError  # noqa: PLC0415 - only who connects needs the driver
    from psycopg.conninfo import make_conninfo  # noqa: PLC0415

    parsed = _quickly_parsed(postgresql_url(url)) or _parsed(url)
    parameters: dict[str, Any] = {
        "user": parsed.username,
        "password": parsed.password,
        "host": parsed.host,
        "port": parsed.port,
        "dbname": parsed.database,
    }
    # In SQLAlchemy's form the query may name what the authority leaves open: sockets and several hosts.
    parameters |= _joined(_libpq(parsed.query))
    try:
        return make_conninfo("", **{key: value for key, value in parameters.items() if value is not None} | extra)
    except ProgrammingError as error:
        raise ProjectError(f"{redact(str(error)).strip()} in {redact(url)}") from None


class _Url(msgspec.Struct, frozen=True):
    """The parts of a URL, as those of :class:`sqlalchemy.engine.URL`."""

    username: str | None
    password: str | None
    host: str | None
    port: int | None
    database: str | None
    query: dict[str, str | tuple[str, ...]]


def _quickly_parsed(url: str) -> _Url | None:
    """Read a URL as SQLAlchemy does, without loading it, which takes longer than a look at a database.

    Returns:
        Its parts; None where it is not a usual one, and SQLAlchemy must say what it means.
    """
    match = _USUAL.fullmatch(url)
    if match is None:
        return None
    username, password, database = (
        None if match[part] is None else unquote(match[part]) for part in ("username", "password", "database")
    )
    query: dict[str, str | tuple[str, ...]] = {}
    for key, value in parse_qsl(match["query"] or ""):
        before = query.get(key, ())
        query[key] = (*((before,) if isinstance(before, str) else before), value) if key in query else value
    return _Url(
        username, password, match["host"] or None, int(match["port"]) if match["port"] else None, database, query
    )


def _parsed(url: str) -> Any:
    from sqlalchemy.engine import make_url  # noqa: PLC0415 - loading it is slow
    from sqlalchemy.exc import ArgumentError  # noqa: PLC0415

    try:
        parsed = make_url(postgresql_url(url))
    except (ArgumentError, ValueError):
        raise _unreadable(url) from None
    if "@" in (parsed.host or ""):
        # The password ended at its own @, and the rest of it would go to the resolver, and into every log.
        raise _unreadable(url)
    return parsed


def _unreadable(url: str) -> ProjectError:
    return ProjectError(
        f"this is not a database URL: {redact(url)}",
        hint="Write postgresql://user@host:5432/database; percent-encode special characters of the password"
        " (@ as %40, / as %2F, : as %3A, % as %25).",
    )


def _libpq(query: Any) -> dict[str, Any]:
    """Translate the drivers' own query arguments."""
    result: dict[str, Any] = {}
    for key, value in query.items():
        name = _TRANSLATED.get(key, key)
        if name is not None:
            word = _SSL_WORDS.get(str(value).lower(), value) if key == "ssl" else value
            result.setdefault(name, word)
    return result


def _joined(query: dict[str, Any]) -> dict[str, Any]:
    """Put several hosts into libpq's form: ``?host=a:1&host=b:2`` -> ``host=a,b port=1,2``."""
    hosts = query.get("host")
    if not isinstance(hosts, tuple):
        hosts = (hosts,) if isinstance(hosts, str) and ":" in hosts and not hosts.startswith("/") else ()
    if not hosts:
        return query
    pairs = [host.rpartition(":") if re.search(r":\d+$", host) else (host, "", "") for host in hosts]
    ports = {"port": ",".join(port for _, _, port in pairs)} if any(port for _, _, port in pairs) else {}
    return query | {"host": ",".join(host for host, _, _ in pairs)} | ports
