"""How would PostgreSQL print this? SQL as a person writes it goes in, the catalog's words for it come out.

There is no normaliser of SQL here: the type, default or index is made on a temporary table, read back and rolled back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg

from truing.names import QualifiedName
from truing.testing.place import attempt

_TABLE = "truing_printed"


def column(connection: psycopg.Connection[Any], type_: str, default: str | None = None) -> tuple[str, str | None]:
    """Print a column's type and default.

    Raises:
        ValueError: PostgreSQL does not take them.
    """
    clause = f" DEFAULT {default}" if default is not None else ""
    rows = _tried(
        connection,
        [f"CREATE TEMPORARY TABLE {_TABLE} (value {type_}{clause})"],
        "SELECT pg_catalog.format_type(a.atttypid, a.atttypmod), pg_catalog.pg_get_expr(d.adbin, d.adrelid)"
        " FROM pg_catalog.pg_attribute AS a LEFT JOIN pg_catalog.pg_attrdef AS d"
        " ON d.adrelid = a.attrelid AND d.adnum = a.attnum"
        " WHERE a.attrelid = pg_catalog.to_regclass(%s) AND a.attnum = 1",
        f"{type_}{clause}",
    )
    return str(rows[0][0]), rows[0][1]


def index(
    connection: psycopg.Connection[Any], table: QualifiedName, elements: Sequence[str], where: str | None
) -> tuple[tuple[str, ...], str | None]:
    """Print the elements of an index and its condition.

    Args:
        connection: the connection.
        table: the table that it would be on.
        elements: expressions.
        where: the condition.

    Raises:
        ValueError: PostgreSQL does not take them.
    """
    made = ", ".join(f"({each})" for each in elements)
    clause = f" WHERE {where}" if where is not None else ""
    rows = _tried(
        connection,
        [
            f"CREATE TEMPORARY TABLE {_TABLE} (LIKE {table.sql})",
            f"CREATE INDEX {_TABLE}_index ON pg_temp.{_TABLE} ({made}){clause}",
        ],
        "SELECT pg_catalog.pg_get_expr(i.indpred, i.indrelid),"
        " ARRAY(SELECT pg_catalog.pg_get_indexdef(i.indexrelid, n, false) FROM generate_series(1, i.indnkeyatts) AS n)"
        " FROM pg_catalog.pg_index AS i WHERE i.indrelid = pg_catalog.to_regclass(%s)",
        f"({made}){clause}",
    )
    return tuple(rows[0][1]), rows[0][0]


def _tried(
    connection: psycopg.Connection[Any], statements: Sequence[str], question: str, what: str
) -> list[tuple[Any, ...]]:
    try:
        with attempt(connection):
            for statement in statements:
                connection.execute(statement.encode())
            # As the catalog is read: every name qualified.
            connection.execute("SELECT pg_catalog.set_config('search_path', '', true)")
            return connection.execute(question.encode(), [f"pg_temp.{_TABLE}"]).fetchall()
    except psycopg.errors.ReadOnlySqlTransaction:
        raise ValueError(f"{what}: write it as PostgreSQL prints it, a connection that only reads cannot ask") from None
    except psycopg.Error as error:
        raise ValueError(f"PostgreSQL does not take {what}: {error.diag.message_primary or error}") from None
