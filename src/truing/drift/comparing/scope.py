"""What of a snapshot is compared at all? What belongs to others is taken out here, counted and named.

In: a snapshot, and the patterns of ``unmanaged``. Out: the snapshot without other people's tables and without what
Alembic and truing keep for themselves, and the list of what was taken out. Also: which kinds of objects and which
attributes models can speak of, so that their silence is not taken for a wish.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from functools import cache
from typing import Any, Final

import msgspec

from truing.catalog.diff import Difference
from truing.catalog.model import PUBLIC, CatalogValue, DatabaseObject, Snapshot, Table
from truing.catalog.objects import UNSEEN
from truing.catalog.parts import part_fields
from truing.catalog.read import OWN_SCHEMA
from truing.drift.model import LeftOut
from truing.names import QualifiedName, ident, is_own
from truing.patterns import TablePatterns

_FAMILIES: Final = ("tables", "views", "sequences", "functions", "types")

MODEL_KINDS: Final = frozenset({"table", "column", "constraint", "index"})
"""What every set of models speaks of; of other kinds only models that have one do."""

_NEVER_MODELS: Final = frozenset(
    {"extension", "schema", "database", "database setting", "publication", "published table"}
)
_OF_DATABASE: Final = "privileges on the database itself, which whoever makes it gives"
_MIGRATIONS_OWN: Final = frozenset(
    {"row security", "force row security", "replica identity", "storage", "compression", "statistics", "clustered"}
    | {"target", "enabled", "triggers disabled"}
)
"""Attributes that SQLAlchemy has no word for: where no model sets one (by an event, say), it is the migrations' own."""
_COUNTING: Final = {"increment": 1, "minimum": 1, "maximum": None, "cache": 1, "cycle": False}
"""What ``Identity(...)`` may say of how a column counts, and what it need not say; where it began matters to nobody."""


def managed(
    snapshot: Snapshot, unmanaged: TablePatterns, version_tables: Collection[QualifiedName]
) -> tuple[Snapshot, tuple[LeftOut, ...]]:
    """Take out of a snapshot what is not ours to compare.

    Args:
        snapshot: of any side.
        unmanaged: the tables (views, functions) of other people.
        version_tables: Alembic's own tables.

    Returns:
        The rest, and what was taken out (Alembic's own tables without a word).
    """
    out: list[LeftOut] = []
    kept: dict[str, tuple[Any, ...]] = {}
    for family in _FAMILIES:
        rest = []
        for value in getattr(snapshot, family):
            pattern = unmanaged.match(value.name.schema, value.name.name)
            if pattern is not None:
                out.append(LeftOut(f"unmanaged: {pattern.text}", str(value.name)))
            elif value.name.schema != OWN_SCHEMA and (family != "tables" or value.name not in version_tables):
                rest.append(_without_own(value, out) if isinstance(value, Table) else value)
        kept[family] = tuple(rest)
    kept["schemas"] = tuple(each for each in snapshot.schemas if unmanaged.whole(each.name) is None)
    kept["others"] = tuple(_of_whoever_made_it(each) for each in snapshot.others)
    unseen = (each.name for each in snapshot.others if each.definition == UNSEEN)
    out += (LeftOut("options of user mappings, which this role may not see", name) for name in unseen)
    members = snapshot.left_out.extension_members
    if members:
        out.append(LeftOut("members of extensions", ", ".join(each.name for each in snapshot.extensions)))
    return msgspec.structs.replace(snapshot, **kept), tuple(out)


def _of_whoever_made_it(each: DatabaseObject) -> DatabaseObject:
    """Leave out who owns the database and may connect to it: that is said before any migration runs."""
    return msgspec.structs.replace(each, owner="", grants=()) if each.kind == "database" else each


def aside(live: Snapshot, built: Iterable[Snapshot]) -> Iterator[LeftOut]:
    """Name what differs, or may, and is for whoever runs the server to say.

    Args:
        live: the live database, all of it.
        built: what the migrations build.
    """
    for each in (one for one in live.others if one.kind == "database"):
        usual = {(PUBLIC, "CONNECT"), (PUBLIC, "TEMPORARY")}
        said = {(one.grantee, one.privilege) for one in each.grants if one.grantee != each.owner}
        for role, privilege in sorted(said - usual):
            yield LeftOut(_OF_DATABASE, f"{privilege} to {ident(role)}")
        for _, privilege in sorted(usual - said):
            yield LeftOut(_OF_DATABASE, f"no {privilege} to {PUBLIC}")
    comments = {(each.name, each.version): each.comment for each in live.extensions}
    for extension in (one for side in built for one in side.extensions):
        if comments.get((extension.name, extension.version), extension.comment) != extension.comment:
            yield LeftOut("comments on extensions, which come from the files of a server", extension.name)


def _without_own(table: Table, out: list[LeftOut]) -> Table:
    """Take out what an online operation keeps on a table, when it is done too: no model and no revision names it."""
    parts: dict[str, tuple[Any, ...]] = {}
    for part in ("columns", "constraints", "indexes", "triggers"):
        values = getattr(table, part)
        own = [each for each in values if is_own(each.name)]
        out.extend(LeftOut("of an online operation, for the way back", f"{each.name} on {table.name}") for each in own)
        parts[part] = tuple(each for each in values if each not in own) if own else values
    return msgspec.structs.replace(table, **parts)


def names_of(snapshot: Snapshot) -> set[QualifiedName]:
    """Name everything that patterns can mean."""
    return {value.name for family in _FAMILIES for value in getattr(snapshot, family)}


def version_tables(name: str, schema: str | None, search_path: Collection[str]) -> frozenset[QualifiedName]:
    """Say where Alembic may keep its table."""
    return frozenset(QualifiedName(each, name) for each in ([schema] if schema else [*search_path, "public"]))


def said_by_models(models: Snapshot) -> tuple[frozenset[str], frozenset[str]]:
    """Find which kinds of objects and which of the migrations' own attributes these models speak of."""
    kinds, attributes = set(MODEL_KINDS), set()
    for value in _values(models):
        word = getattr(value, "kind", "") if type(value).__name__ == "DatabaseObject" else _word(value)
        if not (word == "sequence" and getattr(value, "owned_by", None) is not None):
            kinds.add(word)
        for field, silence in _silences(type(value)):
            if getattr(value, field) not in silence:
                attributes.add(field.replace("_", " "))
    return frozenset(kinds - _NEVER_MODELS), frozenset(attributes)


@cache
def _silences(kind: type[CatalogValue]) -> tuple[tuple[str, tuple[Any, ...]], ...]:
    """List the migrations' own attributes of a kind of object, with the values that say nothing."""
    found: dict[str, tuple[Any, ...]] = {
        each.name: (each.default, (), None, False) for each in msgspec.structs.fields(kind)
    }
    # The type's own storage is no choice of anybody's, and which one that is only the server knows.
    found |= {"storage": ("plain", "main", "extended", "external")} if "storage" in found else {}
    return tuple((name, silence) for name, silence in found.items() if name.replace("_", " ") in _MIGRATIONS_OWN)


def _word(value: CatalogValue) -> str:
    word = {"Statistic": "statistics", "UserType": "type", "PublishedTable": "published table"}
    return word.get(type(value).__name__, type(value).__name__.lower())


def _values(value: CatalogValue) -> Iterator[CatalogValue]:
    for field in part_fields(type(value)):
        if field != "grants":
            for item in getattr(value, field):
                yield item
                yield from _values(item)


def counting(models: Snapshot, other: Snapshot) -> frozenset[tuple[str, str]]:
    """Say of which sequences of columns, and of what in them, the models speak: as name and attribute.

    How an identity counts they say where it is unusual. Of a serial, that there are numbers for all that the column can
    hold: the sequence of a column that was made a bigint later may have stayed an integer.
    """
    theirs = {each.name: each for each in other.sequences}
    found: set[tuple[str, str]] = set()
    for ours in models.sequences:
        one, name = theirs.get(ours.name), str(ours.name)
        if one is None or one.owned_by is None or ours.owned_by is None:
            continue
        if one.owned_by.identity and ours.owned_by.identity and one.type == ours.type:
            found |= {(name, attribute) for attribute, usual in _COUNTING.items() if getattr(ours, attribute) != usual}
        if one.maximum < ours.maximum:
            found.add((name, "maximum"))
    return frozenset(found)


def left_to_migrations(
    difference: Difference,
    kinds: frozenset[str],
    attributes: frozenset[str],
    partitions: frozenset[str],
    counted: frozenset[tuple[str, str]],
) -> bool:
    """Tell whether models cannot say what this difference (models first) is about.

    Args:
        difference: between the models and another side.
        kinds: from :func:`said_by_models`.
        attributes: likewise.
        partitions: the names of the other side's partitions, which no model declares.
        counted: from :func:`counting`.
    """
    kind, attribute = difference.kind, difference.attribute
    if kind == "sequence" and (difference.name, attribute) in counted:
        return False
    if attribute in _MIGRATIONS_OWN and attribute not in attributes:
        return True
    if kind == "table" and not attribute and difference.before is None and difference.name in partitions:
        return True
    if kind == "type" and not attribute and difference.before is None and difference.after != "enum":
        return "type" not in kinds
    if kind == "type":
        return False
    return kind not in kinds


def folded(differences: Collection[Difference]) -> tuple[Difference, ...]:
    """Say what is in a schema that only one side has with the schema, once."""
    schemas = {(each.name, each.before is None) for each in differences if each.kind == "schema" and not each.attribute}

    def within(one: Difference) -> bool:
        return (
            not one.attribute
            # A setting such as app.tenant has its own kind of prefix.
            and one.kind not in {"schema", "database setting"}
            and any(one.name.startswith(f"{name}.") and (one.before is None) == new for name, new in schemas)
        )

    return tuple(each for each in differences if not within(each))
