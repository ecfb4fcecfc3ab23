"""How many rows are of which class? The questions of one table are put to PostgreSQL together; counts come out.

Where PostgreSQL refuses the one query, because one of its questions cannot be answered, each question is put alone, and
what one of them would have changed is unknown to those after it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import msgspec
import psycopg
from psycopg.rows import tuple_row

from truing.audit.layers import Base, key_positions, key_question, listing, row_positions, row_question
from truing.audit.model import ClassCount, RowClass, Sample, Unasked
from truing.audit.probes.probe import Forget, Move, Outcome, Probe

_Kind: TypeAlias = Literal["rows", "keys"]
_REFUSED_BY_TYPE = ("42883", "42804", "42846")
"""No such operator, a type that does not fit, no such cast: whatever the rows are, the change is refused."""


class Measured(msgspec.Struct, frozen=True):
    """What one table's passes gave: its rows (None without a pass row by row), the counts, and what failed."""

    rows: int | None
    classes: tuple[ClassCount, ...]
    unasked: tuple[Unasked, ...]


class _Tally(msgspec.Struct):
    """The answer for one class of one probe."""

    count: int = 0
    settled: int = 0
    groups: int = 0
    samples: tuple[Sample, ...] = ()


class Pass:
    """The passes over one table."""

    def __init__(self, connection: psycopg.Connection[Any], base: Base, moves: Sequence[Move], *, values: bool) -> None:
        self._connection, self._base = connection, base
        self._moves = [self._shown(move, values=values) for move in moves]
        self._usable: list[Move] = list(self._moves)
        self._tallies: defaultdict[tuple[int, RowClass], _Tally] = defaultdict(_Tally)
        self._failed: dict[int, psycopg.Error] = {}
        self._rows: int | None = None

    @staticmethod
    def _shown(move: Move, *, values: bool) -> Move:
        return msgspec.structs.replace(move, value="NULL") if isinstance(move, Probe) and not values else move

    def run(self) -> Measured:
        """Ask everything.

        Raises:
            psycopg.OperationalError: the connection is gone.
        """
        for kind, positions in (("rows", row_positions(self._moves)), ("keys", key_positions(self._moves))):
            self._ask_all("rows" if kind == "rows" else "keys", positions)
        asked = [n for n, move in enumerate(self._moves) if isinstance(move, Probe) and n not in self._failed]
        classes = [count for n in asked for count in self._counts(n)]
        return Measured(self._rows, tuple(classes), tuple(self._unasked(n) for n in sorted(self._failed)))

    def _ask_all(self, kind: _Kind, positions: list[int]) -> None:
        # A question that failed has left its place to a Forget.
        if not positions or self._ask(kind, len(self._usable), positions) is None:
            return
        for position in positions:
            error = self._ask(kind, position + 1, [position])
            probe = self._usable[position]
            if error is not None and isinstance(probe, Probe) and probe.otherwise is not None:
                self._usable[position] = self._shown(probe.otherwise, values=probe.value != "NULL")
                error = self._ask(kind, position + 1, [position])
            if error is not None:
                self._failed[position] = error
                altered = probe.effects if isinstance(probe, Probe) else {}
                self._usable[position] = Forget(next(iter(altered), ""))
            if isinstance(error, psycopg.errors.QueryCanceled):
                # The others would take as long.
                self._failed |= {other: error for other in positions if other > position}
                return

    def _ask(self, kind: _Kind, length: int, positions: list[int]) -> psycopg.Error | None:
        """Ask some of the questions; return why they could not be answered."""
        moves = self._usable[:length]
        question = row_question if kind == "rows" else key_question
        try:
            with self._connection.transaction():
                # Not prepared, and no parameters: the text holds percent signs and colons of anybody's.
                cursor = self._connection.cursor(row_factory=tuple_row)
                rows = cursor.execute(question(self._base, moves, positions).encode(), prepare=False).fetchall()
        except psycopg.Error as error:
            if self._connection.closed:
                raise
            return error
        if kind == "rows":
            self._take_rows(rows[0], positions)
        else:
            self._take_keys(rows)
        return None

    def _take_rows(self, row: tuple[Any, ...], positions: list[int]) -> None:
        self._rows, cells = int(row[0]), iter(row[1:])
        for position in positions:
            probe = self._usable[position]
            for name in probe.outcomes if isinstance(probe, Probe) else ():
                count, settled, first, last = (next(cells) for _ in range(4))
                self._tallies[position, name] = _Tally(count, settled, samples=_samples(first, last))

    def _take_keys(self, rows: list[tuple[Any, ...]]) -> None:
        for position, differ, groups, count, first, last in rows:
            probe = self._usable[position]
            collides = differ or (isinstance(probe, Probe) and "duplicate" not in probe.outcomes)
            name: RowClass = "collision" if collides else "duplicate"
            self._tallies[position, name] = _Tally(count, groups=groups, samples=_samples(first, last))

    def _counts(self, position: int) -> list[ClassCount]:
        probe = self._usable[position]
        if not isinstance(probe, Probe):
            return []
        counts = [
            self._count(position, probe, name, outcome, self._tallies[position, name])
            for name, outcome in probe.outcomes.items()
        ]
        if probe.expression and self._rows is not None:
            clean = _Tally(self._rows - sum(count.count for count in counts))
            counts.append(self._count(position, probe, "clean", Outcome("kept"), clean))
        return counts

    def _count(self, position: int, probe: Probe, name: RowClass, outcome: Outcome, tally: _Tally) -> ClassCount:
        return ClassCount(
            change=probe.title,
            table=self._base.name,
            columns=probe.columns,
            source=probe.source,
            row_class=name,
            count=tally.count,
            settled=tally.settled,
            groups=tally.groups,
            verdict=outcome.verdict,
            policy=outcome.policy,
            fate=outcome.fate,
            samples=tally.samples,
            query=listing(self._base, self._usable, position, name) if tally.count and name != "clean" else "",
        )

    def _unasked(self, position: int) -> Unasked:
        probe, error = self._moves[position], self._failed[position]
        if not isinstance(probe, Probe):  # pragma: no cover - only probes are asked
            raise TypeError
        said = str(error.diag.message_primary or error).strip()
        kind, reason, remedy = _meaning(error, said, probe)
        return Unasked(
            change=probe.title, table=self._base.name, source=probe.source, reason=reason, kind=kind, remedy=remedy
        )


def _meaning(
    error: psycopg.Error, said: str, probe: Probe
) -> tuple[Literal["unanswerable", "unreadable", "refused", "left"], str, str]:
    """Say what a failure means for the change."""
    state = error.sqlstate or ""
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        return "unreadable", f"PostgreSQL refuses to show the rows: {said}", "Audit as the owner of the tables."
    if isinstance(error, psycopg.errors.QueryCanceled):
        return "unanswerable", f"the rows could not be read in time: {said}", "Give it longer: --timeout SECONDS."
    if isinstance(error, psycopg.errors.LockNotAvailable):
        return "unanswerable", f"somebody holds an exclusive lock: {said}", "Run it again when that DDL has ended."
    if probe.derived:
        return "left", f"PostgreSQL cannot be asked beforehand: {said}", "The upgrade looks before it changes anything."
    certain = any(outcome.verdict == "refused" for outcome in probe.outcomes.values()) or bool(probe.before)
    if certain and (state.startswith("22") or state in _REFUSED_BY_TYPE):
        return "refused", f"PostgreSQL refuses it: {said}", ""
    return "unanswerable", f"PostgreSQL cannot answer: {said}", "It depends on an earlier change that is not known."


def _samples(first: list[Any] | None, last: list[Any] | None) -> tuple[Sample, ...]:
    found = [pair for pair in (first, last) if pair is not None]
    samples = [Sample("" if key is None else key, value) for key, value in found]
    return tuple(dict.fromkeys(samples))
