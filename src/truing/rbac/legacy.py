"""What does the legacy database hold? The same rows for the same seed, clean and dirty in known numbers.

In: a connection, how many tenants and profiles, and a seed. Out: the database at ``rbac_legacy_baseline`` with rows
made by the server itself, and the :class:`Inventory` of what was planted. Every value is derived from the seed by md5,
so that all PostgreSQL versions make the same rows.
"""

from __future__ import annotations

from typing import Final

import msgspec
from sqlalchemy import Connection, text

from truing.errors import UsageError
from truing.names import literal
from truing.rbac.dirt import CLEAN, DIRTY_CLASSES, DirtyClass
from truing.rbac.legacy_sql import AUTH, OTHER_TABLES, profile_rows
from truing.rbac.script import LEGACY, upgrade

_PARTS: Final = 1_000_000
"""The dirty fraction is kept in parts per million: integers give the same rows everywhere."""


class Inventory(msgspec.Struct, frozen=True):
    """What was planted.

    Attributes:
        tenants: rows of tenants.
        profiles: class name -> rows of profiles, the clean ones included.
        orphans: ``table.column`` -> rows whose value has no parent.
        nulls: ``table.column`` -> rows that hold NULL where head allows none.
        user_roles: rows of user_roles.
        private_items: sidebar items of one tenant, orphans included.
        global_items: sidebar items of everybody.
    """

    tenants: int
    profiles: dict[str, int]
    orphans: dict[str, int]
    nulls: dict[str, int]
    user_roles: int
    private_items: int
    global_items: int

    def by_fate(self) -> dict[str, int]:
        """Sum the profiles by what the audit must say of them."""
        sums: dict[str, int] = {}
        for case in (CLEAN, *DIRTY_CLASSES):
            sums[case.fate] = sums.get(case.fate, 0) + self.profiles.get(case.name, 0)
        return sums


def build_legacy(
    connection: Connection,
    *,
    tenants: int = 50,
    profiles: int = 1_000,
    seed: int = 1,
    dirty_fraction: float = 0.07,
    auth: bool = True,
) -> Inventory:
    """Make the legacy database and fill it.

    Args:
        connection: to a database without RBAC tables; outside a transaction. It must be encoded in UTF-8.
        tenants: how many there are.
        profiles: how many there are.
        seed: the same number makes the same rows.
        dirty_fraction: the part of the profiles that are of some dirty class. Every class has a row as soon as this
            makes as many rows as there are classes.
        auth: also make ``auth.users`` as Supabase has it, where the role may.

    Returns:
        What was planted.

    Raises:
        UsageError: the numbers make no sense, or the connection is inside a transaction.
    """
    if tenants < 1 or profiles < 0 or not 0 <= dirty_fraction <= 1:
        raise UsageError(
            f"cannot make {tenants} tenants and {profiles} profiles of which a part of {dirty_fraction} is dirty",
            hint="There is at least one tenant, and the dirty part is between 0 and 1.",
        )
    if connection.in_transaction():
        raise UsageError("build_legacy() needs a connection outside a transaction", hint="Commit or roll back first.")
    upgrade(connection, LEGACY)
    parts = round(dirty_fraction * _PARTS)
    values = {"seed": literal(str(seed)), "tenants": str(tenants), "profiles": str(profiles)}
    with connection.begin():
        # A crash loses a database that is being made; waiting for the disk protects nothing.
        connection.execute(text("SET LOCAL synchronous_commit = off"))
        _run(connection, OTHER_TABLES[0], values)
        rows = profile_rows(tenants=tenants, profiles=profiles, seed=seed, parts_per_million=parts)
        _run(
            connection,
            "INSERT INTO profiles (id, tenant_id, email, display_name, role, created_at, updated_at)"
            " SELECT id, tenant_id, 'user' || i || '@tenant' || tenant || '.example', 'User ' || i,"
            " (ARRAY['owner', 'admin', 'member', 'viewer'])[1 + mod(i, 4)],"
            " timestamptz '2024-01-01 00:00:00+00' + i * interval '1 minute',"
            f" timestamptz '2024-01-01 00:00:00+00' + i * interval '1 minute' FROM ({rows}) AS r",
        )
        for statement in OTHER_TABLES[1:]:
            _run(connection, statement, values)
        if auth:
            for statement in AUTH:
                _run(connection, statement, values)
    with connection.begin():
        _run(connection, "ANALYZE tenants, profiles, roles, user_roles, tenant_features, sidebar_features")
    return _inventory(connection, tenants, planted(profiles, parts))


def planted(profiles: int, parts_per_million: int) -> dict[str, int]:
    """Count the profiles of each class: every class gets one, then those without a limit take turns.

    Args:
        profiles: how many there are.
        parts_per_million: how many of a million are dirty.

    Returns:
        Class name -> rows, for every class.
    """
    dirty = profiles * parts_per_million // _PARTS
    unlimited = _unlimited()
    first = min(dirty, len(DIRTY_CLASSES))
    turns, rest = divmod(dirty - first, len(unlimited))
    counts = {CLEAN.name: profiles - dirty}
    for number, case in enumerate(DIRTY_CLASSES):
        counts[case.name] = int(number < first)
    for number, case in enumerate(unlimited):
        counts[case.name] += turns + (number < rest)
    return counts


def _unlimited() -> tuple[DirtyClass, ...]:
    return tuple(case for case in DIRTY_CLASSES if not case.limit)


def _run(connection: Connection, statement: str, values: dict[str, str] | None = None) -> None:
    for name, value in (values or {}).items():
        statement = statement.replace(f"<{name}>", value)
    connection.exec_driver_sql(statement)


_ORPHANS: Final = {
    "roles.tenant_id": "tenants",
    "role_permissions.role_id": "roles",
    "role_permissions.permission_id": "permissions",
    "user_roles.user_id": "profiles",
    "user_roles.role_id": "roles",
    "user_roles.tenant_id": "tenants",
    "tenant_features.tenant_id": "tenants",
    "tenant_features.feature_id": "feature_flags",
    "sidebar_features.tenant_id": "tenants",
    "sidebar_features.feature_id": "feature_flags",
}
_NULLS: Final = (
    "tenants.is_active",
    "feature_flags.is_enabled",
    "tenant_features.is_enabled",
    "user_roles.tenant_id",
    "sidebar_features.feature_id",
)


def _inventory(connection: Connection, tenants: int, profiles: dict[str, int]) -> Inventory:
    """Count what is there, but for the classes of profiles, which only the generator knows."""

    def count(query: str) -> int:
        return int(connection.execute(text(f"SELECT count(*) FROM {query}")).scalar_one())

    with connection.begin():
        orphans = {}
        for name, parent in _ORPHANS.items():
            table, column = name.split(".")
            orphans[name] = count(
                f"{table} c WHERE c.{column} IS NOT NULL"
                f" AND NOT EXISTS (SELECT FROM {parent} p WHERE p.id = c.{column})"
            )
        nulls = {}
        for name in _NULLS:
            table, column = name.split(".")
            nulls[name] = count(f"{table} WHERE {column} IS NULL")
        return Inventory(
            tenants=tenants,
            profiles=profiles,
            orphans=orphans,
            nulls=nulls,
            user_roles=count("user_roles"),
            private_items=count("sidebar_features WHERE tenant_id IS NOT NULL"),
            global_items=count("sidebar_features WHERE tenant_id IS NULL"),
        )
