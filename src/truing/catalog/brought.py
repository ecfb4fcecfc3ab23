"""Who may use what PostgreSQL and its extensions brought? Only what is no longer as it came is read.

Nobody models these objects and no reader shows them, but a privilege on one of them (to read files of the server, say)
is somebody's decision like any other. What a server comes with depends on its major, and on the version of the
extension; what has changed since does not, so that it can be compared.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

import msgspec

from truing.catalog.objects import Brought
from truing.catalog.parts import Grant
from truing.catalog.session import Reader

Terms = frozenset[tuple[str, bool]]
"""What a role may do, as (privilege, with grant option)."""


class _Row(msgspec.Struct, frozen=True):
    """One row of brought.sql."""

    kind: str
    name: str
    relation_name: str
    extension: str
    owner: str
    moved: bool
    recorded: bool
    grants: tuple[Grant, ...]
    initial: tuple[Grant, ...]
    by_default: tuple[Grant, ...]
    otherwise_by_default: bool


def brought(reader: Reader, parameters: Mapping[str, Any], wanted: Collection[str] = ()) -> tuple[Brought, ...]:
    """Read what has other privileges than it came with.

    Args:
        reader: from :func:`truing.catalog.session.reading`.
        parameters: which schemas to show, as for the other readers.
        wanted: kind and name of objects to show in any case, with all their privileges.

    Returns:
        The objects, sorted by kind and name.
    """
    rows = (row for _, row in reader.values("brought", _Row, {**parameters, "wanted": list(wanted)}))
    found = (_brought(row, set(wanted)) for row in rows)
    return tuple(sorted((each for each in found if each is not None), key=lambda each: (each.kind, each.name)))


def terms(grants: Iterable[Grant]) -> dict[str, Terms]:
    """Say what each role may do."""
    found: dict[str, set[tuple[str, bool]]] = {}
    for each in grants:
        found.setdefault(each.grantee, set()).add((each.privilege, each.grantable))
    return {role: frozenset(what) for role, what in found.items()}


def moved(a: Iterable[Brought], b: Iterable[Brought]) -> Iterator[tuple[str, str, str, str | None, str | None]]:
    """Say who owns what initdb gave to its superuser, whose name is nobody's business: what a difference is made of."""
    ours, theirs = ({(each.kind, each.name): each.owner for each in side if each.moved} for side in (a, b))
    for key in ours.keys() | theirs.keys():
        if ours.get(key) != theirs.get(key):
            yield *key, "owner", ours.get(key), theirs.get(key)


def _brought(row: _Row, wanted: Collection[str]) -> Brought | None:
    now, before = terms(row.grants), terms(row.initial)
    roles = {each for each in now.keys() | before.keys() if now.get(each) != before.get(each)}
    roles = {each for each in roles if not _explained(each, row, now, before)}
    if f"{row.kind} {row.name}" in wanted:
        roles = now.keys() | before.keys()
    if not roles and not row.moved:
        return None
    return Brought(
        kind=row.kind,
        name=row.name,
        relation=row.relation_name,
        extension=row.extension,
        owner=row.owner,
        grants=_of(row.grants, roles),
        initial=_of(row.initial, roles),
        moved=row.moved,
    )


def _explained(role: str, row: _Row, now: Mapping[str, Terms], before: Mapping[str, Terms]) -> bool:
    """Tell whether nobody has decided it on this object.

    Members of an extension are made under the default privileges of whoever creates it, and no note is taken of them;
    and an owner may do whatever there is, which from 17 on is one thing more.
    """
    had, has = before.get(role, frozenset()), now.get(role, frozenset())
    if role == row.owner and {what for what, _ in had ^ has} <= {"MAINTAIN"}:
        return True
    if not row.extension or row.recorded:
        return False
    given = terms(row.by_default).get(role, frozenset())
    return has - had <= given and (had <= has or (row.otherwise_by_default and not (had - has) & given))


def _of(grants: Iterable[Grant], roles: Collection[str]) -> tuple[Grant, ...]:
    kept = [each for each in grants if each.grantee in roles]
    return tuple(sorted(kept, key=lambda each: (each.grantee, each.privilege, each.grantor)))
