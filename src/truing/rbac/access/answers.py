"""What does an answer look like? Frozen values, the same for synchronous and asynchronous callers."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

Effect = Literal["allow", "deny"]


class SidebarItem(msgspec.Struct, frozen=True):
    """An item of the sidebar that the profile sees."""

    id: UUID
    name: str
    url_path: str
    icon: str | None
    group: str | None
    display_order: int


class Membership(msgspec.Struct, frozen=True):
    """A tenant in which the profile is active."""

    tenant_id: UUID
    slug: str
    name: str


class Path(msgspec.Struct, frozen=True):
    """A way from a role of the profile to a grant of the permission.

    Attributes:
        role: that the profile has.
        via: the roles from there to the one with the grant, both included.
        granted: the permission as it was granted, perhaps a wildcard.
        effect: ``allow`` or ``deny``.
        valid_from: when the profile begins to have the role; None for always.
        expires_at: when that ends; None for never.
        in_force: whether it has the role now.
    """

    role: str
    via: tuple[str, ...]
    granted: str
    effect: Effect
    valid_from: datetime | None
    expires_at: datetime | None
    in_force: bool


class Why(msgspec.Struct, frozen=True):
    """The reason of an answer.

    Attributes:
        allowed: what ``can`` answers.
        reason: a sentence that says why.
        paths: every grant of the permission to the profile; those that deny first, then the shortest.
    """

    allowed: bool
    reason: str
    paths: tuple[Path, ...]


class Standing(msgspec.Struct, frozen=True):
    """What a cache keeps of a profile.

    Attributes:
        version: of the tenant that the mask belongs to.
        mask: bit *n* is set where the profile has the permission of ``bit_no`` *n*; 0 for a profile that may nothing.
        seconds: until a grant begins or ends, seen from the database's clock; None for never.
    """

    version: int
    mask: int
    seconds: float | None


def mask_of(bits: str | None) -> int:
    """Read PostgreSQL's ``bit(1024)``, whose bit 0 is on the left, as an integer whose bit 0 is the lowest."""
    return int(bits[::-1], 2) if bits else 0


def reason(
    paths: tuple[Path, ...], *, tenant: bool | None, profile: bool | None, known: bool, permission: str
) -> tuple[bool, str]:
    """Say in a sentence what the paths come to.

    Args:
        paths: every grant, in force or not.
        tenant: whether the tenant is active; None where there is none.
        profile: whether the profile is active; None where the tenant has no such profile.
        known: whether the permission exists.
        permission: its name.
    """
    if tenant is None or profile is None:
        said = "There is no such tenant." if tenant is None else "The tenant has no such profile."
    elif not tenant or not profile:
        said = f"The {'profile' if tenant else 'tenant'} is not active."
    elif not known:
        said = f"There is no permission {permission}."
    else:
        return _verdict(paths)
    return False, said


def _verdict(paths: tuple[Path, ...]) -> tuple[bool, str]:
    """Say what the paths of an active profile come to."""
    denied = [each for each in paths if each.in_force and each.effect == "deny"]
    allowed = [each for each in paths if each.in_force and each.effect == "allow"]
    waiting = [each for each in paths if each.effect == "allow"]
    if denied:
        return False, f"Denied by {shown(denied[0])}; a deny wins over every allow."
    if allowed:
        return True, f"Allowed by {shown(allowed[0])}."
    if waiting:
        return False, f"Only {shown(waiting[0])} allows it, and the profile does not have that role now."
    return False, "No role of the profile allows it."


def shown(path: Path) -> str:
    """Show a path as a person reads it."""
    return f"{' > '.join(path.via)}: {path.effect} {path.granted}"
