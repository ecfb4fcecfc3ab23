"""How is a database used? What a snapshot leaves out because it is no definition: search path, positions, privileges.

Mappers are judged by it: whether a table can be seen, how far a sequence has counted, what the application may do.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import psycopg

from truing.catalog.session import Reader, look
from truing.errors import ConfigurationError
from truing.names import QualifiedName


class Access(msgspec.Struct, frozen=True):
    """What a role may do with a relation.

    Attributes:
        missing: of SELECT, INSERT, UPDATE and DELETE what it may not do, not even with single columns.
        unusable: a sequence that it may not advance.
        hidden: whether it lacks USAGE on the schema.
        owner: whether it owns it, itself or as a member of the owner.
    """

    missing: tuple[str, ...] = ()
    unusable: bool = False
    hidden: bool = False
    owner: bool = False


class Role(msgspec.Struct, frozen=True):
    """A role, and what it may do.

    Attributes:
        name: its name.
        bypasses_row_security: SUPERUSER or BYPASSRLS.
        access: by relation.
    """

    name: str
    bypasses_row_security: bool
    access: Mapping[QualifiedName, Access]


class Usage(msgspec.Struct, frozen=True):
    """How a database is used.

    Attributes:
        search_path: the schemas that an unqualified name is looked for in.
        relations: all relations, also those that a snapshot leaves out -> whether rows can be written.
        positions: sequence -> the last value it gave; without those that were never used or may not be looked into.
        role: the application's role, where one was asked for.
    """

    search_path: tuple[str, ...]
    relations: Mapping[QualifiedName, bool]
    positions: Mapping[QualifiedName, int]
    role: Role | None = None


class _RelationRow(msgspec.Struct, frozen=True):
    """One row of relations.sql."""

    name: QualifiedName
    writable: bool


class _PositionRow(msgspec.Struct, frozen=True):
    """One row of positions.sql."""

    name: QualifiedName
    last: int


class _AccessRow(Access, frozen=True, kw_only=True):
    """One row of access.sql."""

    name: QualifiedName


def read_usage(connection: psycopg.Connection[Any], role: str | None = None) -> Usage:
    """Read how a database is used.

    Args:
        connection: a psycopg connection, idle or in a transaction.
        role: the role whose privileges are wanted; None for nobody's.

    Raises:
        CatalogError: the catalog could not be read.
        ConfigurationError: there is no such role.
    """
    # Before the reader puts a search path of its own in its place.
    path = connection.execute("SELECT pg_catalog.current_schemas(false)::text[]").fetchone()
    if path is None:  # pragma: no cover - a SELECT without FROM gives one row
        raise AssertionError
    return look(connection, lambda reader: _usage(reader, tuple(path[0]), role))


def _usage(reader: Reader, path: tuple[str, ...], role: str | None) -> Usage:
    return Usage(
        search_path=path,
        relations={row.name: row.writable for _, row in reader.values("relations", _RelationRow)},
        positions={row.name: row.last for _, row in reader.values("positions", _PositionRow)},
        role=None if role is None else _role(reader, role),
    )


def _role(reader: Reader, name: str) -> Role:
    rows = reader.execute(
        "SELECT rolsuper OR rolbypassrls FROM pg_catalog.pg_roles WHERE rolname = %(role)s", {"role": name}
    )
    if not rows:
        raise ConfigurationError(
            f"application-role names no role of this database: {name!r}", hint="Check its spelling, or create the role."
        )
    access = {
        row.name: Access(row.missing, row.unusable, row.hidden, row.owner)
        for _, row in reader.values("access", _AccessRow, {"role": name})
    }
    return Role(name, bool(rows[0][0]), access)
