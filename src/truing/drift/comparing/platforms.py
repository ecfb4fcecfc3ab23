"""What is there because a provider of PostgreSQL has put it there? It is owned elsewhere, and no revision makes it.

In: a snapshot. Out: the snapshot without it, with what was taken out, counted and named; and the statements that give
what migrations make on a scratch server the privileges that they would have there by default.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import Any, Final

import msgspec

from truing.catalog.model import Snapshot
from truing.catalog.objects import Brought, DatabaseObject
from truing.config import PlatformName
from truing.drift.model import LeftOut
from truing.names import ident


class Platform(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider makes.

    Attributes:
        title: its name, for a person.
        schemas: its schemas, with all that is in them; an event trigger whose function is there is its own too.
        own_roles: patterns of the roles that work for it: what they own, or give by default, is its own.
        given: the roles that get privileges by default on whatever is made in ``public``.
        extensions: that every database has.
        publications: likewise.
        settings: patterns of settings of the database.
    """

    title: str
    schemas: frozenset[str]
    own_roles: tuple[str, ...]
    given: tuple[str, ...]
    extensions: frozenset[str]
    publications: frozenset[str]
    settings: tuple[str, ...]


PLATFORMS: Final[dict[PlatformName, Platform]] = {
    "supabase": Platform(
        title="Supabase",
        schemas=frozenset(
            {"_analytics", "_realtime", "auth", "extensions", "graphql", "graphql_public", "net", "pgbouncer"}
            | {
                "pgsodium",
                "pgsodium_masks",
                "realtime",
                "storage",
                "supabase_functions",
                "supabase_migrations",
                "vault",
            }
        ),
        own_roles=("supabase_*", "dashboard_user", "pgbouncer"),
        given=("anon", "authenticated", "service_role"),
        extensions=frozenset({"pg_graphql", "pg_net", "pg_stat_statements", "pgcrypto", "pgjwt", "pgsodium"})
        | {"supabase_vault", "uuid-ossp"},
        publications=frozenset({"supabase_realtime", "supabase_realtime_messages_publication"}),
        settings=("app.settings.*",),
    )
}

_KINDS: Final = {"tables": "TABLES", "sequences": "SEQUENCES", "functions": "FUNCTIONS"}
_ALL: Final = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER"})
_PRIVILEGE: Final = re.compile(r"([A-Z ]+) to ([a-z_]+)")
_PUBLIC: Final = "public"
_FAMILIES: Final = ("tables", "views", "sequences", "functions", "types")


def prepared(snapshot: Snapshot, platform: Platform, runner: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Write what a new database of this provider has given before any revision runs.

    Only what the live database still gives, and of that only what the provider does: anything else is somebody's edit.

    Args:
        snapshot: of the live database.
        platform: the provider.
        runner: the role that runs the migrations there.

    Returns:
        The statements, and the roles that they name.
    """
    defaults = {each.name: each for each in snapshot.others if each.kind == "default privileges"}
    made = []
    for kind, word in _KINDS.items():
        found = defaults.get(f"of {ident(runner)} in {_PUBLIC} on {kind}")
        for role, privileges in sorted(_by_role(found, platform).items()) if found is not None else ():
            what = "ALL" if privileges >= _ALL else ", ".join(sorted(privileges))
            made.append(f"ALTER DEFAULT PRIVILEGES IN SCHEMA {_PUBLIC} GRANT {what} ON {word} TO {ident(role)}")
    public = next((each for each in snapshot.schemas if each.name == _PUBLIC), None)
    uses = {each.grantee for each in public.grants if each.privilege == "USAGE"} if public is not None else set()
    made += [f"GRANT USAGE ON SCHEMA {_PUBLIC} TO {ident(role)}" for role in platform.given if role in uses]
    return tuple(made), platform.given if made else ()


def _by_role(found: DatabaseObject, platform: Platform) -> dict[str, set[str]]:
    by_role: dict[str, set[str]] = {}
    for each in found.definition.split(", "):
        match = _PRIVILEGE.fullmatch(each)
        if match is not None and match[2] in platform.given:
            by_role.setdefault(match[2], set()).add(match[1])
    return by_role


def without(snapshot: Snapshot, platform: Platform, runner: str) -> tuple[Snapshot, tuple[LeftOut, ...]]:
    """Take out of a snapshot what is the provider's.

    Args:
        snapshot: of any side.
        platform: the provider.
        runner: the role that runs the migrations.
    """
    out: list[LeftOut] = []

    def ours(values: tuple[Any, ...], kind: str, theirs: Any) -> tuple[Any, ...]:
        taken = [each for each in values if theirs(each)]
        out.extend(LeftOut(f"of {platform.title}: {kind}", str(each.name)) for each in taken)
        return tuple(each for each in values if each not in taken) if taken else values

    kept: dict[str, tuple[Any, ...]] = {
        family: ours(getattr(snapshot, family), family, lambda each: each.name.schema in platform.schemas)
        for family in _FAMILIES
    }
    kept["schemas"] = ours(snapshot.schemas, "schemas", lambda each: each.name in platform.schemas)
    kept["extensions"] = ours(snapshot.extensions, "extensions", lambda each: each.name in platform.extensions)
    kept["publications"] = ours(snapshot.publications, "publications", lambda each: each.name in platform.publications)
    kept["brought"] = ours(snapshot.brought, "privileges", lambda each: _brings(each, platform))
    others = snapshot.others
    for kind in dict.fromkeys(each.kind for each in others):
        others = ours(others, kind, lambda each, kind=kind: each.kind == kind and _is_its(each, platform, runner))
    return msgspec.structs.replace(snapshot, **kept, others=others), tuple(out)


def _is_its(each: DatabaseObject, platform: Platform, runner: str) -> bool:
    match each.kind:
        case "default privileges":
            return _gives(each, platform, runner)
        case "event trigger":
            function = re.search(r" EXECUTE FUNCTION ([a-z_]+)\.", each.definition)
            return _works(each.owner, platform) or (function is not None and function[1] in platform.schemas)
        case "database setting":
            return any(fnmatchcase(each.name, pattern) for pattern in platform.settings)
        case _:
            return _works(each.owner, platform) or each.name.partition(".")[0] in platform.schemas


def _brings(each: Brought, platform: Platform) -> bool:
    return each.extension in platform.extensions or each.name.partition(".")[0] in platform.schemas


def _works(role: str, platform: Platform) -> bool:
    return any(fnmatchcase(role, pattern) for pattern in platform.own_roles)


def _gives(each: DatabaseObject, platform: Platform, runner: str) -> bool:
    """Tell whether privileges by default are the provider's: of its roles, in its schemas, or to those it gives to."""
    named = re.fullmatch(r"of (\S+)(?: in (\S+))? on ([a-z ]+)", each.name)
    if named is None:
        return False
    giver, schema, kind = named.groups()
    if _works(giver, platform) or schema in platform.schemas:
        return True
    if (giver, schema) != (ident(runner), _PUBLIC) or kind not in _KINDS:
        return False
    # To whoever makes it, too, which changes nothing.
    usual = {*platform.given, ident(runner)}
    return all(one.partition(" to ")[2] in usual for one in each.definition.split(", "))
