"""Which roles does a snapshot name, and how does it read with another role in one's place?

Values go in and come out; whatever does not name the role is handed on as it is, not copied.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import msgspec

from truing.catalog.model import CatalogValue, Policy, Snapshot
from truing.catalog.parts import part_fields
from truing.names import ident


def roles_of(snapshot: Snapshot) -> set[str]:
    """Name every role that owns something in a snapshot, has a privilege or is named by a policy."""
    return {role for role in _roles(snapshot) if role and role != "public" and not role.startswith("pg_")}


def _roles(value: CatalogValue) -> Iterator[str]:
    yield from (getattr(value, field) for field in _named(type(value)))
    yield from value.roles if isinstance(value, Policy) else ()
    for field in part_fields(type(value)):
        for part in getattr(value, field):
            yield from _roles(part)


@cache
def _named(kind: type[CatalogValue]) -> tuple[str, ...]:
    return tuple(field for field in kind.__struct_fields__ if field in {"owner", "grantee", "grantor"})


def spoken_as(snapshot: Snapshot, role: str, other: str) -> Snapshot:
    """Put another role in a role's place: whoever runs the migrations owns what they make.

    Args:
        snapshot: of a scratch database, where the scratch server's superuser ran them.
        role: that superuser.
        other: who runs them on the live database.
    """
    if role == other:
        return snapshot
    changed: Snapshot = _spoken(snapshot, role, other)
    mine, theirs = f"of {ident(role)} ", f"of {ident(other)} "
    others = (
        msgspec.structs.replace(each, name=each.name.replace(mine, theirs, 1))
        if each.kind == "default privileges"
        else each
        for each in changed.others
    )
    return msgspec.structs.replace(changed, others=tuple(sorted(others, key=lambda each: (each.kind, each.name))))


def _spoken(value: Any, role: str, other: str) -> Any:
    kind: type[CatalogValue] = type(value)
    changed: dict[str, Any] = {field: other for field in _named(kind) if getattr(value, field) == role}
    if isinstance(value, Policy):
        changed["roles"] = tuple(other if each == role else each for each in value.roles)
    for field in part_fields(kind):
        parts = getattr(value, field)
        if parts:
            changed[field] = tuple([_spoken(each, role, other) for each in parts])
    return msgspec.structs.replace(value, **changed) if changed else value
