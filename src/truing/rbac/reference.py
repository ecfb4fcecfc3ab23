"""Who may do what, said once more on one page of plain Python: what the SQL, the masks and the cache must agree with.

It is not fast and knows no database. In: a :class:`Policy`, a moment, a question. Out: the answer. To know what the
rules are, read this; that the program keeps them is proved by comparing the two on thousands of policies.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from hashlib import md5
from typing import Literal
from uuid import UUID

import msgspec


class Role(msgspec.Struct, frozen=True):
    """A role: what it grants itself (permission -> effect), and the roles it inherits from."""

    grants: dict[str, Literal["allow", "deny"]] = {}
    parents: frozenset[str] = frozenset()


class Grant(msgspec.Struct, frozen=True):
    """A profile has a role, from ``valid_from`` until before ``expires_at``."""

    role: str
    valid_from: datetime | None = None
    expires_at: datetime | None = None


class Profile(msgspec.Struct, frozen=True):
    """A profile with its grants."""

    active: bool = True
    grants: tuple[Grant, ...] = ()


class Feature(msgspec.Struct, frozen=True):
    """A flag: on by default?, for how many percent; and what the tenant says instead, until when."""

    id: UUID
    enabled: bool = False
    rollout: Decimal = Decimal(100)
    archived: bool = False
    own_enabled: bool | None = None
    own_rollout: Decimal | None = None
    own_expires_at: datetime | None = None


class Item(msgspec.Struct, frozen=True):
    """A sidebar item of the tenant or of everybody."""

    name: str
    feature: str
    order: int = 0
    requires_permission: str | None = None
    requires_feature: str | None = None


class Policy(msgspec.Struct, frozen=True):
    """All that decides about the answers in one tenant."""

    permissions: frozenset[str]
    active: bool = True
    roles: dict[str, Role] = {}
    profiles: dict[UUID, Profile] = {}
    features: dict[str, Feature] = {}
    items: tuple[Item, ...] = ()


def matches(granted: str, asked: str) -> bool:
    """Whether a permission as granted reaches the one asked about: itself, or what a final ``*`` stands for."""
    return granted == asked or (granted.endswith("*") and asked.startswith(granted[:-1]))


def lineage(policy: Policy, role: str) -> frozenset[str]:
    """Return a role and all it inherits from; a cycle is walked once."""
    seen: set[str] = set()
    waiting = [role]
    while waiting:
        if (each := waiting.pop()) not in seen:
            seen.add(each)
            waiting += policy.roles[each].parents
    return frozenset(seen)


def in_force(grant: Grant, now: datetime) -> bool:
    """Whether the profile has the role now."""
    return (grant.valid_from is None or grant.valid_from <= now) and (
        grant.expires_at is None or grant.expires_at > now
    )


def is_active(policy: Policy, profile: UUID) -> bool:
    """Whether the tenant is active, and has this profile, and the profile is active."""
    return policy.active and profile in policy.profiles and policy.profiles[profile].active


def can(policy: Policy, profile: UUID, permission: str, now: datetime) -> bool:
    """Whether some role in force allows it, and none denies it."""
    if permission not in policy.permissions or not is_active(policy, profile):
        return False
    effects = {
        effect
        for grant in policy.profiles[profile].grants
        if (grant.valid_from is None or grant.valid_from <= now)
        and (grant.expires_at is None or grant.expires_at > now)
        for role in lineage(policy, grant.role)
        for granted, effect in policy.roles[role].grants.items()
        if matches(granted, permission)
    }
    return effects == {"allow"}


def is_on(feature: Feature, profile: UUID, now: datetime) -> bool:
    """Whether a feature is on for a profile: the tenant's word before the default, and a bucket below the rollout."""
    own = feature.own_enabled is not None and (feature.own_expires_at is None or feature.own_expires_at > now)
    enabled = feature.own_enabled if own else feature.enabled
    rollout = feature.own_rollout if own and feature.own_rollout is not None else feature.rollout
    bucket = int(md5(f"{feature.id}:{profile}".encode(), usedforsecurity=False).hexdigest()[:8], 16) % 10_000
    return bool(enabled) and not feature.archived and bucket < rollout * 100


def sidebar(policy: Policy, profile: UUID, now: datetime) -> list[str]:
    """List the items that a profile sees, in order."""
    if not is_active(policy, profile):
        return []
    return [
        item.name
        for item in sorted(policy.items, key=lambda item: (item.order, item.name))
        if is_on(policy.features[item.feature], profile, now)
        and (item.requires_feature is None or is_on(policy.features[item.requires_feature], profile, now))
        and (item.requires_permission is None or can(policy, profile, item.requires_permission, now))
    ]
