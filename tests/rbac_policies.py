"""Random policies, written down twice: as the reference reads them, and as rows of a database."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
import psycopg

from truing.rbac.reference import Feature, Grant, Item, Policy, Profile, Role

NAMES = (
    "*",
    "doc.*",
    "doc.read",
    "doc.write",
    "doc.sub.*",
    "doc.sub.deep",
    "docs.read",
    "page:read",
    "page:*",
    "page.read",
    "x",
)
ROLLOUTS = tuple(map(Decimal, ("0", "0.01", "12.34", "50", "99.99", "100")))
MOMENTS = (None, None, timedelta(hours=-2), timedelta(hours=-1), timedelta(hours=1), timedelta(hours=2))
EMPTY = "TRUNCATE tenants, permissions, feature_flags CASCADE"


class Batch(msgspec.Struct):
    """Policies of several tenants that share the permissions, the features and the global items."""

    policies: dict[UUID, Policy]
    now: datetime

    @property
    def permissions(self) -> frozenset[str]:
        return next(iter(self.policies.values())).permissions


class Maker:
    """Makes a batch from a seed and puts it into a database, with detours that must leave no trace."""

    def __init__(self, connection: psycopg.Connection[Any], seed: int) -> None:
        self.connection = connection
        self.chance = random.Random(seed)
        self.now = datetime.now(UTC)

    def make(self, number: int) -> Batch:
        chance = self.chance
        self.run(EMPTY)
        names = chance.sample(NAMES, chance.randint(3, len(NAMES)))
        late = set(chance.sample(names, len(names) // 3))
        self.insert("permissions", [{"id": self.uuid(), "name": name} for name in names if name not in late])
        flags = {f"f{n}": self.feature() for n in range(4)}
        self.insert(
            "feature_flags",
            [
                {
                    "id": each.id,
                    "name": name,
                    "default_enabled": each.enabled,
                    "rollout_percentage": each.rollout,
                    "archived_at": self.now if each.archived else None,
                }
                for name, each in flags.items()
            ],
        )
        early = [name for name in names if name not in late]
        policies = {self.uuid(): self.policy(early, flags) for _ in range(number)}
        for tenant, policy in policies.items():
            self.put(tenant, policy)
        # A wildcard that was granted before must reach them.
        self.insert("permissions", [{"id": self.uuid(), "name": name} for name in sorted(late)])
        self.detour(names)
        everybody = self.items(f"g{chance.random()}", flags, names)
        self.put_items(None, everybody, flags)
        for tenant, policy in policies.items():
            own = self.items(str(tenant), flags, names)
            self.put_items(tenant, own, flags)
            policies[tenant] = msgspec.structs.replace(policy, permissions=frozenset(names), items=(*everybody, *own))
        return Batch(policies, self.now)

    def detour(self, names: list[str]) -> None:
        """Rename a permission and back, take one away that nobody was to have, give and take back."""
        name = self.chance.choice(names)
        self.run("UPDATE permissions SET name = 'doc.elsewhere' WHERE name = %s", name)
        self.run("UPDATE permissions SET name = %s WHERE name = 'doc.elsewhere'", name)
        self.run("INSERT INTO permissions (name) VALUES ('doc.passing')")
        self.run(
            "INSERT INTO role_permissions (tenant_id, role_id, permission_id) SELECT r.tenant_id, r.id, p.id"
            " FROM roles r, permissions p WHERE p.name = 'doc.passing' AND r.id % 2 = 0"
        )
        self.run("DELETE FROM permissions WHERE name = 'doc.passing'")

    def policy(self, names: list[str], flags: dict[str, Feature]) -> Policy:
        chance = self.chance
        roles = [f"r{n}" for n in range(chance.randint(1, 5))]
        made = {
            name: Role(
                {
                    each: chance.choice(("allow", "allow", "deny"))
                    for each in chance.sample(names, chance.randint(0, min(3, len(names))))
                },
                frozenset(each for each in roles if each != name and chance.random() < 0.25),
            )
            for name in roles
        }
        return Policy(
            frozenset(names),
            active=chance.random() < 0.9,
            roles=made,
            profiles={self.uuid(): self.profile(roles) for _ in range(chance.randint(1, 3))},
            features={name: self.own(each) for name, each in flags.items()},
        )

    def profile(self, roles: list[str]) -> Profile:
        held = self.chance.sample(roles, self.chance.randint(0, len(roles)))
        return Profile(self.chance.random() < 0.85, tuple(map(self.grant, held)))

    def grant(self, role: str) -> Grant:
        first, last = self.chance.choice(MOMENTS), self.chance.choice(MOMENTS)
        if first is not None and last is not None and first >= last:
            first = None
        return Grant(role, *(None if each is None else self.now + each for each in (first, last)))

    def feature(self) -> Feature:
        return Feature(
            self.uuid(), self.chance.random() < 0.7, self.chance.choice(ROLLOUTS), self.chance.random() < 0.1
        )

    def own(self, flag: Feature) -> Feature:
        if self.chance.random() < 0.5:
            return flag
        until = self.chance.choice(MOMENTS)
        return msgspec.structs.replace(
            flag,
            own_enabled=self.chance.random() < 0.6,
            own_rollout=self.chance.choice((None, *ROLLOUTS)),
            own_expires_at=None if until is None else self.now + until,
        )

    def items(self, prefix: str, flags: dict[str, Feature], names: list[str]) -> tuple[Item, ...]:
        chance = self.chance
        return tuple(
            Item(
                f"{prefix}/{n}",
                chance.choice(list(flags)),
                chance.randint(0, 3),
                chance.choice((None, *names)),
                chance.choice((None, None, *flags)),
            )
            for n in range(chance.randint(0, 3))
        )

    def put(self, tenant: UUID, policy: Policy) -> None:
        self.insert("tenants", [{"id": tenant, "name": "t", "slug": tenant.hex, "is_active": policy.active}])
        roles = self.returning("roles", [{"tenant_id": tenant, "name": name} for name in policy.roles])
        keys = dict(zip(policy.roles, roles, strict=True))
        self.insert(
            "profiles",
            [{"id": key, "tenant_id": tenant, "active": each.active} for key, each in policy.profiles.items()],
        )
        for role, key in keys.items():
            for name, effect in policy.roles[role].grants.items():
                self.run(
                    "INSERT INTO role_permissions (tenant_id, role_id, permission_id, effect)"
                    " SELECT %s, %s, id, %s FROM permissions WHERE name = %s",
                    *(tenant, key, effect, name),
                )
        self.insert(
            "role_inherits",
            [
                {"tenant_id": tenant, "role_id": keys[role], "parent_id": keys[parent]}
                for role, each in policy.roles.items()
                for parent in each.parents
            ],
        )
        self.insert(
            "user_roles",
            [
                {
                    "tenant_id": tenant,
                    "user_id": profile,
                    "role_id": keys[grant.role],
                    "valid_from": grant.valid_from,
                    "expires_at": grant.expires_at,
                }
                for profile, each in policy.profiles.items()
                for grant in each.grants
            ],
        )
        self.insert(
            "tenant_features",
            [
                {
                    "tenant_id": tenant,
                    "feature_id": each.id,
                    "is_enabled": each.own_enabled,
                    "rollout_percentage": each.own_rollout,
                    "expires_at": each.own_expires_at,
                }
                for each in policy.features.values()
                if each.own_enabled is not None
            ],
        )

    def put_items(self, tenant: UUID | None, items: tuple[Item, ...], flags: dict[str, Feature]) -> None:
        self.insert(
            "sidebar_features",
            [
                {
                    "feature_id": flags[item.feature].id,
                    "tenant_id": tenant,
                    "is_global": tenant is None,
                    "sidebar_name": item.name,
                    "url_path": f"/{number}",
                    "display_order": item.order,
                    "requires_permission": item.requires_permission,
                    "requires_feature": None if item.requires_feature is None else flags[item.requires_feature].id,
                }
                for number, item in enumerate(items)
            ],
        )

    def uuid(self) -> UUID:
        return UUID(int=self.chance.getrandbits(128), version=4)

    def run(self, statement: str, *parameters: Any) -> None:
        self.connection.execute(statement.encode(), parameters or None)

    def insert(self, table: str, rows: list[dict[str, Any]]) -> None:
        if rows:
            places = ", ".join("(" + ", ".join(["%s"] * len(rows[0])) + ")" for _ in rows)
            self.run(
                f"INSERT INTO {table} ({', '.join(rows[0])}) VALUES {places}",
                *(value for row in rows for value in row.values()),
            )

    def returning(self, table: str, rows: list[dict[str, Any]]) -> list[int]:
        found = []
        for row in rows:
            statement = f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join(['%s'] * len(row))}) RETURNING id"
            found.append(self.connection.execute(statement.encode(), list(row.values())).fetchone()[0])  # type: ignore[index]
        return found
