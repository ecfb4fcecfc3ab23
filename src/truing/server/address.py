"""How is a database on a server addressed? URLs that psycopg and SQLAlchemy read alike.

In: a server's URL and a database's name, whatever that name holds. Out: the URL of that database, or its conninfo
string. Only text is worked on here; nothing is connected to.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

# SQLAlchemy's way to name a driver, and the spelling that SQLAlchemy itself refuses but providers hand out.
_SCHEME: Final = re.compile(r"^postgres(?:ql)?(?:\+\w+)?(?=://)")


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
    """Address another database of the same server, in the same form (an SQLAlchemy driver name is kept)."""
    parts = urlsplit(url)
    query = [(key, value) for key, value in parse_qsl(parts.query, keep_blank_values=True) if key != "dbname"]
    path = "/" + quote(database, safe="")
    return urlunsplit(parts._replace(path=path, query=urlencode(query, quote_via=quote, safe="/")))


def database_of(url: str) -> str:
    """Name the database that a URL addresses; empty when the URL leaves it to the server's default."""
    parts = urlsplit(url)
    named = dict(parse_qsl(parts.query)).get("dbname", "")
    return named or unquote(parts.path[1:])


def libpq_url(url: str) -> str:
    """Spell a URL as libpq takes it: without SQLAlchemy's driver name."""
    return _SCHEME.sub("postgresql", url)
