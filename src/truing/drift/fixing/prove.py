"""Does this fix end in true? It is applied to a copy of the migrated scratch database, and compared again.

All fixes are tried in one transaction that is rolled back: each within a savepoint, then one look at what came of them.
One that fails, or after which its object still differs, is not offered.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Final

import msgspec
import sqlalchemy
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import SQLAlchemyError

from truing.catalog.model import Snapshot
from truing.catalog.read import read_snapshot
from truing.drift.comparing.compare import Sides, compare_sides
from truing.drift.comparing.equivalent import Judge
from truing.drift.fixing.fixes import Catalogue, operations
from truing.drift.model import Drift, Verdict
from truing.revisions.urls import sqlalchemy_url

_TO_MODELS: Final = frozenset({Verdict.MIGRATION_MISSING, Verdict.MIGRATION_WRONG, Verdict.CONFLICT})

_THERE: Final = (
    "\n# The live database is like this already, and there it may fail: mend the revision that lacks it, or run it only"
    " where it is needed."
)

_ONE_BY_ONE: Final = 100
"""How many fixes are tried alone, at most: each costs a look at the whole database."""

Identity = tuple[str, str]
Told = tuple[str, str, str]
"""The identity of a drift and its verdict: in one object several may differ, each for its own reason."""
Seen = Callable[[Snapshot], Snapshot]
"""Takes out of a snapshot what the comparison left out, and puts the roles in their places."""


def remedies(drifts: Iterable[Drift], sides: Sides, url: str, seen: Seen, judge: Judge) -> dict[Told, str]:
    """Write the fixes that were tried and ended in true.

    Args:
        drifts: from the comparison of ``sides``.
        sides: as they were compared.
        url: a scratch database in which the migrations were run; it stays as it is.
        seen: what was done to a snapshot before it was compared.
        judge: knows which texts mean the same.

    Returns:
        For each drift that has one, the text for a person.
    """
    drifts = tuple(drifts)
    found: dict[Told, str] = {}
    engine = sqlalchemy.create_engine(sqlalchemy_url(url), poolclass=sqlalchemy.pool.NullPool)
    try:
        if sides.models is not None and sides.head is not None:
            found |= _to_models(drifts, sides, engine, seen, judge)
        base = sides.head if sides.applied is None else None
        if sides.live is not None and base is not None:
            found |= _of_live(drifts, base, sides.live, engine, seen, judge)
    finally:
        engine.dispose()
    return found


def _told(drift: Drift) -> Told:
    return (*drift.identity, drift.verdict.value)


def _to_models(drifts: tuple[Drift, ...], sides: Sides, engine: Any, seen: Seen, judge: Judge) -> dict[Told, str]:
    if sides.models is None or sides.head is None:
        return {}
    moved = [each for each in drifts if each.verdict in _TO_MODELS]
    texts = _texts(moved, sides.head, sides.models)
    if not texts:
        return {}
    built = msgspec.structs.replace(sides, applied=None, live=None)
    known = _remaining(built, judge)
    with engine.connect() as connection, connection.begin() as transaction:
        proved = _proved(
            connection,
            texts,
            known,
            lambda: _remaining(msgspec.structs.replace(built, head=seen(_look(connection))), judge),
        )
        transaction.rollback()
    return {
        _told(each): f"In a new revision:\n{texts[each.identity]}{_THERE if _is_there(each) else ''}"
        for each in moved
        if each.identity in proved
    }


def _is_there(drift: Drift) -> bool:
    """Tell whether the live database is already what the models say."""
    return "live" in drift.sides and all(aspect.models == aspect.live for aspect in drift.aspects)


def _of_live(
    drifts: tuple[Drift, ...], head: Snapshot, live: Snapshot, engine: Any, seen: Seen, judge: Judge
) -> dict[Told, str]:
    """Fix what was edited by hand, in both directions: to keep it, and to undo it (tried after keeping it)."""
    edited = [each for each in drifts if each.verdict is Verdict.LIVE_EDITED]
    keep, undo = _texts(edited, head, live), _texts(edited, live, head)
    if not keep:
        return {}
    known = _remaining(Sides(head=head, live=live), judge)
    with engine.connect() as connection, connection.begin() as transaction:
        kept = _proved(
            connection, keep, known, lambda: _remaining(Sides(head=seen(_look(connection)), live=live), judge)
        )
        undone = _proved(
            connection,
            {each: undo[each] for each in reversed(kept) if each in undo},
            known,
            lambda: _remaining(Sides(head=head, live=seen(_look(connection))), judge),
        )
        transaction.rollback()
    found = {}
    for each in (drift for drift in edited if drift.identity in kept):
        text = f"To keep it, in a new revision (and change the models):\n{keep[each.identity]}"
        if each.identity in undone:
            text += f"\nTo undo it on the live database:\n{undo[each.identity]}"
        found[_told(each)] = text
    return found


def _proved(
    connection: Any,
    texts: Mapping[Identity, str],
    known: Collection[Identity],
    left: Callable[[], Collection[Identity]],
) -> list[Identity]:
    """Run the fixes, and give those that end in true and bring nothing about that was not there before.

    Args:
        connection: in a transaction; the fixes stay in it.
        texts: the fixes.
        known: what differed at the beginning, hidden or not.
        left: says what differs now.
    """
    attempt = connection.begin_nested()
    done = _apply(connection, texts)
    after = left()
    if set(after) <= set(known):
        attempt.commit()
        return [each for each in done if each not in after]
    attempt.rollback()
    # One of them does something else as well. Which one is found by a look after each.
    proved: list[Identity] = []
    for identity in done[:_ONE_BY_ONE]:
        attempt = connection.begin_nested()
        after = left() if _run(connection, texts[identity]) else (identity,)
        if identity in after or not set(after) <= set(known):
            attempt.rollback()
        else:
            attempt.commit()
            proved.append(identity)
    return proved


def _texts(drifts: Iterable[Drift], have: Snapshot, want: Snapshot) -> dict[Identity, str]:
    ours, theirs = Catalogue(have), Catalogue(want)
    texts = {each.identity: operations(each, ours, theirs) for each in drifts}
    return {identity: text for identity, text in texts.items() if text is not None}


def _apply(connection: Any, texts: Mapping[Identity, str]) -> list[Identity]:
    """Run the fixes, each within a savepoint; one that needs another is tried again after it."""
    done: list[Identity] = []
    waiting = dict(texts)
    while waiting:
        before = len(waiting)
        for identity, text in list(waiting.items()):
            if _run(connection, text):
                done.append(identity)
                del waiting[identity]
        if len(waiting) == before:
            break
    return done


def _run(connection: Any, text: str) -> bool:
    space = {"op": Operations(MigrationContext.configure(connection)), "sa": sqlalchemy, "postgresql": postgresql}
    try:
        with connection.begin_nested():
            # The text is our own, from truing.drift.fixing.fixes: every name in it is a Python literal.
            exec(text, space)  # noqa: S102
    except SQLAlchemyError:
        return False
    return True


def _look(connection: Any) -> Snapshot:
    return read_snapshot(connection.connection.driver_connection)


def _remaining(sides: Sides, judge: Judge) -> Collection[Identity]:
    return {each.identity for each in compare_sides(sides, judge).drifts}


def with_remedies(drifts: Iterable[Drift], found: Mapping[Told, str]) -> tuple[Drift, ...]:
    """Put the fixes to the drifts."""
    return tuple(
        msgspec.structs.replace(each, remedy=found[_told(each)], proved=True) if _told(each) in found else each
        for each in drifts
    )
