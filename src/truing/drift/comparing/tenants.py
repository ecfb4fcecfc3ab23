"""Are these schemas alike? A live database with a schema for each tenant goes in; it with one schema for all comes out.

Each tenant's schema is given the name that models and migrations have for it, in every definition; those that are then
the same text for text are one group. Comparing takes one look at the database and one comparison for each group.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from typing import Any, Final

import msgspec

from truing.catalog.model import DatabaseObject, Snapshot, Table
from truing.drift.model import Drift
from truing.errors import UsageError
from truing.names import ident
from truing.patterns import fitting

_FAMILIES: Final = ("tables", "views", "sequences", "functions", "types")
_ROLES: Final = ("owner", "grantee", "grantor")
# An identifier goes on with these; in JSON the letter of an escaped line break or tab stands before what it ends.
_BEGINS: Final = rb'(?:(?<![A-Za-z0-9_$\x80-\xff."\\])|(?<=\\n)|(?<=\\t)|(?<=[^\\]"))'


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """Schemas that are alike.

    Attributes:
        schemas: their names.
        live: the live database, as if there were one tenant and its schema one of these.
    """

    schemas: tuple[str, ...]
    live: Snapshot


def grouped(live: Snapshot, pattern: str, model: str, runner: str) -> tuple[Group, ...]:
    """Group the tenants' schemas of a live database.

    Args:
        live: the database.
        pattern: of the schemas' names.
        model: what models and migrations call such a schema.
        runner: who owns what migrations make; a tenant's own role, named like the schema, counts as that.

    Returns:
        The groups, the largest first.

    Raises:
        UsageError: no schema's name fits the pattern.
        ConfigurationError: it is no pattern of a name.
    """
    names = fitting(pattern, [each.name for each in live.schemas], source="tenant-schemas")
    if not names:
        raise UsageError(
            f'tenant-schemas = "{pattern}" fits no schema of the live database.',
            hint=f"It has {', '.join(ident(each.name) for each in live.schemas[:8]) or 'none'}.",
        )
    mine = _by_schema(live, names)
    if any(each.name == model for each in live.schemas):
        # That schema is compared as it is: it holds more than a tenant's, and others may use it.
        mine = {name: msgspec.structs.replace(each, schemas=()) for name, each in mine.items()}
    found: defaultdict[str, list[str]] = defaultdict(list)
    shapes: dict[str, bytes] = {}
    for name in names:
        shape = _mapped(msgspec.json.encode(mine[name]), name, model, runner)
        key = sha256(shape).hexdigest()
        found[key].append(name)
        shapes.setdefault(key, shape)
    shared = _without(live, names)
    return tuple(
        Group(schemas=tuple(sorted(schemas)), live=_joined(shared, msgspec.json.decode(shapes[key], type=Snapshot)))
        for key, schemas in sorted(found.items(), key=lambda each: (-len(each[1]), min(each[1])))
    )


def summary(groups: Sequence[Group], pattern: str) -> str:
    """Say in a line how many schemas are alike, and which are not."""
    most = len(groups[0].schemas)
    rest = sorted(name for group in groups[1:] for name in group.schemas)
    if not rest:
        return f"all {most:,} schemas {pattern} are alike"
    shown = ", ".join(map(ident, rest[:8])) + (", ..." if len(rest) > 8 else "")  # noqa: PLR2004 - a line's worth
    return f"{most:,} of {most + len(rest):,} schemas {pattern} are alike; {len(rest):,} differ: {shown}"


def of_groups(groups: Sequence[Group], compare: Callable[[Snapshot], Iterable[Drift]]) -> tuple[Drift, ...]:
    """Compare each group, and say each drift once.

    Args:
        groups: from :func:`grouped`.
        compare: compares the other sides with a live database.

    Returns:
        The drift; of what not all groups have, with the schemas that have it.
    """
    found: dict[Drift, list[str]] = {}
    for group in groups:
        for drift in compare(group.live):
            found.setdefault(drift, []).extend(group.schemas)
    everybody = sum(len(group.schemas) for group in groups)
    return tuple(
        drift if len(schemas) == everybody else msgspec.structs.replace(drift, schemas=tuple(sorted(schemas)))
        for drift, schemas in found.items()
    )


def _by_schema(live: Snapshot, names: list[str]) -> dict[str, Snapshot]:
    """Take the tenants' schemas apart, in a form in which it does not matter when a column was added."""
    parts: dict[str, dict[str, list[Any]]] = {name: {family: [] for family in _FAMILIES} for name in names}
    for family in _FAMILIES:
        for value in getattr(live, family):
            if value.name.schema in parts:
                parts[value.name.schema][family].append(_unordered(value) if isinstance(value, Table) else value)
    others: defaultdict[str, list[DatabaseObject]] = defaultdict(list)
    for other in live.others:
        for name in names:
            if _within(other, name):
                others[name].append(other)
    schemas = {each.name: each for each in live.schemas}
    bare = Snapshot(version=live.version, database=live.database)
    return {
        name: msgspec.structs.replace(
            bare,
            schemas=(schemas[name],),
            others=tuple(others[name]),
            **{family: tuple(values) for family, values in parts[name].items()},
        )
        for name in names
    }


def _within(other: DatabaseObject, schema: str) -> bool:
    """Tell whether an object of a rarer kind is in a schema, as its name says."""
    return other.name.startswith(f"{ident(schema)}.") or f" in {ident(schema)} " in f"{other.name} "


def _unordered(table: Table) -> Table:
    columns = sorted((msgspec.structs.replace(each, position=0) for each in table.columns), key=lambda each: each.name)
    return msgspec.structs.replace(table, columns=tuple(columns))


def _mapped(shape: bytes, name: str, model: str, runner: str) -> bytes:
    """Give a schema another name wherever the JSON of its objects has it."""

    def inner(text: str) -> bytes:
        return msgspec.json.encode(text)[1:-1]

    def put(new: bytes) -> Callable[[re.Match[bytes]], bytes]:
        return lambda match: new + match[0][len(match[0]) - 1 :]

    mapped = re.sub(_BEGINS + re.escape(inner(ident(name))) + rb"\.", put(inner(ident(model))), shape)
    mapped = mapped.replace(inner(f"'{name}'"), inner(f"'{model}'"))
    mapped = mapped.replace(inner(f" in {ident(name)} "), inner(f" in {ident(model)} "))
    old, new = msgspec.json.encode(name), msgspec.json.encode(model)
    mapped = mapped.replace(b'"schema":' + old, b'"schema":' + new)
    mapped = mapped.replace(b'{"object":"Schema","name":' + old, b'{"object":"Schema","name":' + new)
    for field in _ROLES:
        key = f'"{field}":'.encode()
        mapped = mapped.replace(key + old, key + msgspec.json.encode(runner))
    return mapped


def _without(live: Snapshot, names: list[str]) -> Snapshot:
    gone = set(names)
    kept: dict[str, Any] = {
        family: tuple(each for each in getattr(live, family) if each.name.schema not in gone) for family in _FAMILIES
    }
    kept["schemas"] = tuple(each for each in live.schemas if each.name not in gone)
    kept["others"] = tuple(each for each in live.others if not any(_within(each, name) for name in names))
    return msgspec.structs.replace(live, **kept)


def _joined(shared: Snapshot, tenant: Snapshot) -> Snapshot:
    """Put a tenant's schema beside what all share; where both have an object, the tenant's is the one that counts."""
    joined: dict[str, Any] = {}
    for family in ("schemas", *_FAMILIES, "others"):
        values = {_key(each): each for each in (*getattr(shared, family), *getattr(tenant, family))}
        joined[family] = tuple(values[key] for key in sorted(values))
    return msgspec.structs.replace(shared, **joined)


def _key(value: Any) -> tuple[Any, ...]:
    if isinstance(value, DatabaseObject):
        return value.kind, value.name
    return value.name, getattr(value, "arguments", "")
