"""How is a database on a server addressed? URLs that psycopg and SQLAlchemy read alike.

In: a server's URL and a database's name, whatever that name holds. Out: the URL of that database, or its name. Only
text is worked on here; nothing is connected to.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote, unquote, urlencode

from truing.errors import UsageError

# The parts are taken apart as libpq does it (documentation: "Connection URIs"), which lets a password hold # and ?. The
# scheme may name a driver for SQLAlchemy, or be the short one that SQLAlchemy refuses but providers hand out.
_URL: Final = re.compile(
    r"(?P<scheme>postgres(?:ql)?(?:\+\w+)?)://(?P<server>(?:[^@/]*@)?[^/?]*)(?:/(?P<database>[^?]*))?(?:\?(?P<query>.*))?",
    re.DOTALL,
)


def socket_url(directory: str, port: int, database: str, user: str) -> str:
    """Address a database through a Unix socket.

    The directory goes into the query, because a host part cannot hold slashes: libpq and SQLAlchemy both take it there.
    """
    query = urlencode({"host": directory, "port": port}, quote_via=quote, safe="/")
    return f"postgresql://{quote(user, safe='')}@/{quote(database, safe='')}?{query}"


def tcp_url(host: str, port: int, database: str, user: str, password: str) -> str:
    """Address a database through TCP, with a password."""
    account = f"{quote(user, safe='')}:{quote(password, safe='')}"
    return f"postgresql://{account}@{host}:{port}/{quote(database, safe='')}"


def with_database(url: str, database: str) -> str:
    """Address another database of the same server, everything else being kept (also an SQLAlchemy driver name).

    Raises:
        UsageError: the text is not the URL of a PostgreSQL database.
    """
    parts = _parts(url)
    # A `dbname` in the query would go before the one in the path.
    options = [option for option in (parts["query"] or "").split("&") if option and not option.startswith("dbname=")]
    query = "?" + "&".join(options) if options else ""
    return f"{parts['scheme']}://{parts['server']}/{quote(database, safe='')}{query}"


def database_of(url: str) -> str:
    """Name the database that a URL addresses; empty when the URL leaves it to the server's default.

    Raises:
        UsageError: the text is not the URL of a PostgreSQL database.
    """
    parts = _parts(url)
    for option in (parts["query"] or "").split("&"):
        if option.startswith("dbname="):
            return unquote(option.removeprefix("dbname="))
    return unquote(parts["database"] or "")


def libpq_url(url: str) -> str:
    """Spell a URL as libpq takes it: without SQLAlchemy's driver name.

    Raises:
        UsageError: the text is not the URL of a PostgreSQL database.
    """
    return "postgresql" + url.removeprefix(_parts(url)["scheme"] or "")


def _parts(url: str) -> dict[str, str | None]:
    match = _URL.fullmatch(url)
    # libpq would take what follows an @ or / of the password for the host, and say so, and quote what it cannot decode.
    if match is None or _UNENCODED.search(url) or _is_cut(match):
        # The text is not shown: it may hold a password.
        raise UsageError(
            "This is not the URL of a PostgreSQL database.",
            hint="Write it as postgresql://user@host:port/database; percent-encode special characters of the password"
            " (@ as %40, / as %2F, % as %25).",
        )
    return match.groupdict()


_UNENCODED: Final = re.compile(r"\s|%(?![0-9A-Fa-f]{2})")


def _is_cut(parts: re.Match[str]) -> bool:
    server, database = parts["server"], parts["database"] or ""
    return server.count("@") > 1 or (":" in server and "@" not in server and "@" in database)
