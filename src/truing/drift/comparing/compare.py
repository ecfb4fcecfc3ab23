"""Who disagrees about what? Snapshots of the sides go in, one :class:`Drift` for each object comes out.

The sides are compared in pairs (:func:`truing.catalog.diff.compare`): models with migrations, migrations at the live
database's revision with the live database, that with the newest revision. What the pairs say of one object is put side
by side, and which pairs say it is the verdict. Models are only ever held to what models can say.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Final

import msgspec

from truing.catalog.diff import Difference, compare
from truing.catalog.model import Snapshot
from truing.drift.comparing.scope import counting, folded, left_to_migrations, said_by_models
from truing.drift.comparing.tiers import tier
from truing.drift.model import Aspect, Drift, Tier, Verdict

Key = tuple[str, str, str]
Texts = tuple[str | None, str | None]
Equivalent = Callable[[Difference], bool]
"""Tells whether both texts of a difference mean the same."""

_UNSPOKEN: Final = frozenset({"owner", "privileges"})
"""What models have no word for: who owns a table and who may read it."""


class Sides(msgspec.Struct, frozen=True, kw_only=True):
    """What is compared; a side that was not asked for is None.

    Attributes:
        models: what ``create_all`` builds.
        head: what the migrations build.
        applied: what they build up to the live database's revision; None where that is the newest.
        live: the live database.
        named: the names that the models give to constraints; None counts every name as given.
        refused: what PostgreSQL refused of the models, as (kind, name): that has been said.
    """

    models: Snapshot | None = None
    head: Snapshot | None = None
    applied: Snapshot | None = None
    live: Snapshot | None = None
    named: frozenset[str] | None = None
    refused: frozenset[tuple[str, str]] = frozenset()

    @property
    def names(self) -> tuple[str, ...]:
        """The sides that there are."""
        there = {"models": self.models, "migrations": self.head, "live": self.live}
        return tuple(name for name, side in there.items() if side is not None)


class Compared(msgspec.Struct, frozen=True):
    """The drift, and what the models were not asked about: kind of object (or attribute) -> names."""

    drifts: tuple[Drift, ...]
    left_to_migrations: Mapping[str, tuple[str, ...]]


def compare_sides(sides: Sides, equivalent: Equivalent = lambda _: False) -> Compared:
    """Compare all sides.

    Args:
        sides: at least two.
        equivalent: whether both texts of a difference mean the same.

    Returns:
        The drift, the worst first.
    """
    pairs, left = _pairs(sides)
    keys: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for found in pairs.values():
        for kind, name, attribute in found:
            keys[kind, name].add(attribute)
    drifts = []
    for (kind, name), attributes in keys.items():
        by_verdict: defaultdict[Verdict, list[Aspect]] = defaultdict(list)
        for attribute in sorted(attributes):
            verdict, aspect = _judge((kind, name, attribute), pairs, sides, equivalent)
            by_verdict[verdict].append(aspect)
        drifts += [
            Drift(kind=kind, name=name, verdict=verdict, aspects=tuple(aspects), sides=sides.names)
            for verdict, aspects in by_verdict.items()
        ]
    return Compared(tuple(sorted(drifts, key=importance)), {key: tuple(names) for key, names in left.items()})


def importance(drift: Drift) -> tuple[object, ...]:
    """Sort key: the worst first, then by name."""
    return (-drift.severity.rank, drift.tier.rank, drift.name, drift.kind, drift.verdict)


def _pairs(sides: Sides) -> tuple[dict[str, dict[Key, Difference]], Mapping[str, Collection[str]]]:
    """Compare the sides in pairs: ``models`` (models, head), ``live`` (applied, live), ``pending`` (applied, head)."""
    pairs: dict[str, dict[Key, Difference]] = {}
    left: defaultdict[str, dict[str, None]] = defaultdict(dict)
    models, head, live = sides.models, sides.head, sides.live
    applied = sides.applied if sides.applied is not None else head
    said = said_by_models(models) if models is not None else (frozenset[str](), frozenset[str]())
    if models is not None and head is not None:
        pairs["models"] = _of_models(models, head, said, sides, left)
    if models is not None and live is not None and sides.applied is None:
        pairs["models-live"] = _of_models(models, live, said, sides, left if head is None else defaultdict(dict))
    if applied is not None and live is not None:
        pairs["live"] = _keyed(_without_versions(folded(compare(applied, live))))
    if sides.applied is not None and head is not None:
        pairs["pending"] = _keyed(folded(compare(sides.applied, head)))
    return pairs, left


def _of_models(
    models: Snapshot,
    other: Snapshot,
    said: tuple[frozenset[str], frozenset[str]],
    sides: Sides,
    left: defaultdict[str, dict[str, None]],
) -> dict[Key, Difference]:
    kinds, attributes = said
    partitions = frozenset(str(table.name) for table in other.tables if table.partition_bound is not None)
    counted = counting(models, other)
    rest = []
    for each in compare(models, other, ignore=_UNSPOKEN):
        if left_to_migrations(each, kinds, attributes, partitions, counted):
            left["partition" if each.name in partitions else each.attribute or each.kind][each.name] = None
        elif not _unsaid(each, sides):
            rest.append(each)
    return _keyed(folded(rest))


def _unsaid(difference: Difference, sides: Sides) -> bool:
    """Tell whether it is no word of the models: a name that PostgreSQL made up, something that it refused."""
    if (difference.kind, difference.attribute) == ("constraint", "name"):
        return sides.named is not None and difference.before not in sides.named
    lacking = not difference.attribute and difference.before is None
    return lacking and (difference.kind, difference.name) in sides.refused


def _keyed(differences: Iterable[Difference]) -> dict[Key, Difference]:
    return {(each.kind, each.name, each.attribute): each for each in differences}


def _without_versions(differences: Iterable[Difference]) -> list[Difference]:
    """Leave out which version of an extension there is: that is the server's, not the migrations', to say."""
    return [each for each in differences if (each.kind, each.attribute) != ("extension", "version")]


_ABSENT: Final = Difference("", "", "", None, None)


def _judge(
    key: Key, pairs: Mapping[str, Mapping[Key, Difference]], sides: Sides, equivalent: Equivalent
) -> tuple[Verdict, Aspect]:
    of_models, of_live = pairs.get("models", {}).get(key), pairs.get("live", {}).get(key)
    both, pending = pairs.get("models-live", {}).get(key), pairs.get("pending", {}).get(key)
    verdict = _verdict(key, of_models, of_live, both, pending, sides)
    texts = _texts(of_models, of_live, both, pending, _having(key, pairs, sides))
    said = next(each for each in (of_models, of_live, both, pending) if each is not None)
    differences = [each for each in (of_models, of_live, both, pending) if each is not None]
    if key[2] and all(None not in (each.before, each.after) and equivalent(each) for each in differences):
        return verdict, Aspect(key[2], *texts, tier=Tier.EQUIVALENT)
    return verdict, Aspect(key[2], *texts, tier=_tier(key, said, texts, sides))


def _tier(key: Key, said: Difference, texts: tuple[str | None, str | None, str | None], sides: Sides) -> Tier:
    kind, _, attribute = key
    others = [text for text, side in zip(texts[1:], (sides.head, sides.live), strict=True) if side is not None]
    if sides.models is not None and (kind, attribute) == ("column", "default") and texts[0] is None:
        # Models seldom repeat a default that a revision gave to a column for the rows that were there.
        return Tier.UNDECLARED if len(set(others)) == 1 and others[0] is not None else tier(said)
    return tier(said)


def _verdict(
    key: Key,
    of_models: Difference | None,
    of_live: Difference | None,
    both: Difference | None,
    pending: Difference | None,
    sides: Sides,
) -> Verdict:
    if of_models is not None and of_live is not None:
        if both is not None or sides.applied is not None:
            return Verdict.CONFLICT
        # Models and live agree. What the migrations lack is missing from them; what they say otherwise is wrong.
        return Verdict.MIGRATION_MISSING if not key[2] and of_models.after is None else Verdict.MIGRATION_WRONG
    if of_models is not None:
        return Verdict.MIGRATION_MISSING
    if of_live is not None:
        return Verdict.LIVE_EDITED
    return Verdict.PENDING if pending is not None else Verdict.CONFLICT


def _texts(
    of_models: Difference | None,
    of_live: Difference | None,
    both: Difference | None,
    pending: Difference | None,
    having: tuple[bool, bool, bool],
) -> tuple[str | None, str | None, str | None]:
    """Put together what models, migrations (at head) and live say; who is in no difference says what the other does."""
    models = (of_models or both or _ABSENT).before
    live = of_live.after if of_live is not None else both.after if both is not None else None
    head = of_models.after if of_models is not None else pending.after if pending is not None else None
    if of_models is None and pending is None and of_live is not None:
        head = of_live.before
    if of_models is None and both is None:
        models = head
    if of_live is None and both is None:
        live = pending.before if pending is not None else head
    said = [text if has else None for text, has in zip((models, head, live), having, strict=True)]
    return said[0], said[1], said[2]


def _having(key: Key, pairs: Mapping[str, Mapping[Key, Difference]], sides: Sides) -> tuple[bool, bool, bool]:
    """Tell which of models, migrations and live have the object that differs in an attribute, and so say something."""
    there = [side is not None for side in (sides.models, sides.head, sides.live)]
    whole = (key[0], key[1], "")
    for pair, one, other in (("models", 0, 1), ("models-live", 0, 2), ("live", 1, 2)) if key[2] else ():
        lacking = pairs.get(pair, {}).get(whole)
        if lacking is not None:
            there[one if lacking.before is None else other] = False
    return there[0], there[1], there[2]
