"""Which revision is this drift about, and which line? Drifts and what is known go in, drifts with both come out.

For an object that the migrations build, it is the last revision that made or altered it; for one that they do not
build, the one that dropped it, or none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import msgspec

from truing.catalog.diff import objects
from truing.catalog.model import Snapshot
from truing.drift.comparing.compare import importance
from truing.drift.model import Drift
from truing.finding import Location
from truing.names import QualifiedName, ident

Identity = tuple[str, str]


def owners(drifts: Iterable[Drift], sides: Iterable[Snapshot]) -> tuple[QualifiedName, ...]:
    """Name the relations, functions and types that the drifts are about, for :class:`.child.touched.Watch`."""
    wanted = {each for drift in drifts for each in _identities(drift)}
    named = {
        getattr(owner, "name", None)
        for side in sides
        for kind, name, _, owner in objects(side)
        if (kind, name) in wanted
    }
    return tuple(sorted(name for name in named if isinstance(name, QualifiedName)))


def with_revisions(drifts: Iterable[Drift], touched: Mapping[Identity, str]) -> tuple[Drift, ...]:
    """Put the revisions to the drifts."""
    return tuple(
        msgspec.structs.replace(drift, revision=next(filter(None, map(touched.get, _identities(drift))), ""))
        for drift in drifts
    )


_QUALIFIED: Final = frozenset({"table", "view", "statistics", "type"})
"""Kinds that a drift names with their schema also where it tells how they were renamed."""


def _identities(drift: Drift) -> Iterator[Identity]:
    """Name the object as the migrations do, then as the drift does: a renamed one goes under one of its names."""
    names = next((each for each in drift.aspects if each.attribute == "name"), None)
    for said in (names.migrations, names.models, names.live) if names is not None else ():
        _, on, table = drift.name.rpartition(" on ")
        if said and drift.kind in _QUALIFIED:
            yield drift.kind, said
        elif said:
            short = ident(said)
            yield drift.kind, f"{short}{on}{table}" if on else f"{drift.name.rpartition('.')[0]}.{short}"
    yield drift.identity


def with_places(drifts: Iterable[Drift], places: Mapping[str, Location]) -> tuple[Drift, ...]:
    """Say where the models speak of each object: in its own line, else at its table; the worst first."""

    def placed(drift: Drift) -> Drift:
        table = drift.name.rpartition(" on ")[2]
        location = places.get(drift.name) or places.get(table)
        if location is None and drift.kind == "column":
            location = places.get(drift.name.rpartition(".")[0])
        return drift if location is None else msgspec.structs.replace(drift, location=location)

    return tuple(sorted(map(placed, drifts), key=importance))
