"""Can it be told who changed the privileges on what PostgreSQL or an extension brought? What cannot is not compared.

Providers of PostgreSQL change such privileges in every database of theirs; another version of an extension, and another
major, has other objects. In: the sides. Out: what is left out of all of them, with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Final

import msgspec

from truing.catalog.brought import Terms, terms
from truing.catalog.model import Brought, Snapshot
from truing.drift.model import LeftOut
from truing.names import ident

Place = tuple[str, str, str]
"""The kind and the name of something, and the role whose privileges on it are meant; empty for its owner, and for who
that is."""
Came = Callable[[Collection[str]], tuple[Brought, ...]]
"""Tells what privileges objects have on the scratch server, by their kinds and names."""

PROVIDERS: Final = {
    "alloydbadmin": "AlloyDB",
    "azure_superuser": "Azure",
    "azuresu": "Azure",
    "cloud_admin": "Neon",
    "cloudsqladmin": "Cloud SQL",
    "rdsadmin": "Amazon RDS",
    "supabase_admin": "Supabase",
}
"""The superusers of providers, who own all that their servers come with. No customer can be one of them."""
_WORKERS: Final = {
    "alloydb*": "AlloyDB",
    "azure_pg_admin": "Azure",
    "avnadmin": "Aiven",
    "cloudsql*": "Cloud SQL",
    "dashboard_user": "Supabase",
    "doadmin": "DigitalOcean",
    "neon_*": "Neon",
    "rds_superuser": "Amazon RDS",
    "rds_replication": "Amazon RDS",
    "rdsrepladmin": "Amazon RDS",
    "rdstopmgr": "Amazon RDS",
    "supabase_*": "Supabase",
    "tsdbadmin": "Timescale",
}
"""Patterns of the roles that providers make for their own work, and for those who administer a database."""
_NOBODY: Final[Terms] = frozenset()


def untold(live: Snapshot, built: Iterable[Snapshot], lacking: Collection[str], came: Came) -> dict[Place, str]:
    """Find where it cannot be told whose a change of privileges is.

    Args:
        live: the live database.
        built: what the migrations build.
        lacking: the extensions for which a stand-in was made.
        came: asks the scratch server, where it is of another major.

    Returns:
        The places, with the reason.
    """
    built = tuple(built)
    there = {place: value for each in built for place, value in _places(each).items()}
    here = _places(live)
    reasons = {place: _of_extension(value, live, built, lacking) for place, value in (there | here).items()}
    reasons |= {place: reasons[place] or _of_provider(place, value) for place, value in here.items()}
    majors = {each.version.major for each in built} - {live.version.major}
    if majors:
        rest = {place: value for place, value in here.items() if not reasons[place] and not value.extension}
        asked = {place: value for place, value in rest.items() if place not in there}
        known = {(each.kind, each.name): each for each in came(sorted({f"{kind} {name}" for kind, name, _ in asked}))}
        unlike = f"PostgreSQL {live.version.major} and {max(majors)} may not have come with the same"
        for place, value in asked.items():
            reasons[place] = "" if _same(place[2], value, known.get(place[:2])) else unlike
        for place, value in there.items():
            reasons[place] = reasons[place] or (unlike if place not in here and not value.extension else "")
    return {place: reason for place, reason in reasons.items() if reason}


def without(snapshot: Snapshot, places: Collection[Place]) -> Snapshot:
    """Take these places out of a snapshot."""
    if not places or not snapshot.brought:
        return snapshot
    kept = []
    for each in snapshot.brought:
        grants, initial = (
            tuple(one for one in given if (each.kind, each.name, _role(each, one.grantee)) not in places)
            for given in (each.grants, each.initial)
        )
        moved = each.moved and (each.kind, each.name, "") not in places
        if grants or initial or moved:
            kept.append(msgspec.structs.replace(each, grants=grants, initial=initial, moved=moved))
    return msgspec.structs.replace(snapshot, brought=tuple(kept))


def left_out(places: Mapping[Place, str]) -> Iterator[LeftOut]:
    """Name what is left out."""
    for (kind, name, role), reason in places.items():
        yield LeftOut(f"privileges: {reason}", f"{kind} {name}, of {ident(role) if role else 'the owner'}")


def _places(snapshot: Snapshot) -> dict[Place, Brought]:
    return {
        (each.kind, each.name, role): each
        for each in snapshot.brought
        for role in (*(_role(each, grant.grantee) for grant in (*each.grants, *each.initial)), *[""] * each.moved)
    }


def _role(value: Brought, grantee: str) -> str:
    return "" if grantee == value.owner else grantee


def _of_extension(value: Brought, live: Snapshot, built: Collection[Snapshot], lacking: Collection[str]) -> str:
    name = value.extension
    if not name:
        return ""
    if name in lacking:
        return f"a stand-in was made for the extension {ident(name)}"
    versions = {each.version for side in (live, *built) for each in side.extensions if each.name == name}
    everywhere = all(any(each.name == name for each in side.extensions) for side in (live, *built))
    return "" if everywhere and len(versions) == 1 else f"the extension {ident(name)} is not the same everywhere"


def _of_provider(place: Place, value: Brought) -> str:
    """Say whose it is where it is a provider's: made by its superuser, in the name of the owner; or for its workers."""
    role = place[2]
    provider = PROVIDERS.get(value.owner)
    given = {(each.privilege, each.grantable) for each in value.initial if _role(value, each.grantee) == role}
    added = [each for each in value.grants if _role(value, each.grantee) == role]
    added = [each for each in added if (each.privilege, each.grantable) not in given]
    if provider is not None and all(each.grantor == value.owner for each in added):
        return f"changed by {provider}"
    role = role or (value.owner if value.moved else "")
    worker = next((title for pattern, title in _WORKERS.items() if fnmatchcase(role, pattern)), None)
    return f"given to a role of {worker}" if worker is not None else ""


def _same(role: str, value: Brought, known: Brought | None) -> bool:
    """Tell whether the scratch server came with the same for a role; then what is other on the live one is an edit."""
    if known is None:
        return False
    one, other = (
        {_role(each, grantee): what for grantee, what in terms(each.initial).items()}.get(role, _NOBODY)
        for each in (value, known)
    )
    return {what for what in one ^ other if what[0] != "MAINTAIN"} == set()
