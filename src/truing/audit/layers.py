"""How does one query ask everything of a table? A base table and its moves go in, SQL comes out; nothing is run here.

The query is a pile of layers. The lowest reads the table, once; each one above adds the class of every row by one
probe, or gives columns the values that a pending change will give them, so that the next probe sees them. ``OFFSET 0``
keeps PostgreSQL from merging layers, which would compute an expression once for every place that mentions it (and
keeps the pass to one process; the classes cost more than what parallel workers would save).

Questions about equal keys need grouping, so they share a second pass: one query with GROUPING SETS, a set for each
key. That is two reads of a table with such questions, however many they are, and one of any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from truing.audit.probes.probe import ALIAS, CLASS, MOVED, ORIGINAL, PARENT, Fill, Forget, Move, Probe, Rename
from truing.names import QualifiedName, ident, idents, literal

KEY: Final = "__truing_key"
SAMPLE_LENGTH: Final = 80
"""Characters of a value that leave the server; a value can be a gigabyte."""


class Base(msgspec.Struct, frozen=True):
    """A table as it is now.

    Attributes:
        name: its name.
        columns: those that may be read.
        key: the columns that tell rows apart; empty where there is no key (then ``ctid`` does).
    """

    name: QualifiedName
    columns: tuple[str, ...]
    key: tuple[str, ...] = ()

    @property
    def key_text(self) -> str:
        """The key of a row as one text."""
        if not self.key:
            return f"{ALIAS}.ctid::text"
        parts = [f"{ALIAS}.{ident(column)}" for column in self.key]
        return f"{parts[0]}::text" if len(parts) == 1 else f"ROW({', '.join(parts)})::text"


def layered(base: Base, moves: Sequence[Move]) -> str:
    """Write the pile of layers.

    For the probe at position ``i`` of the moves the rows have the columns ``__truing_c<i>`` (its class),
    ``__truing_v<i>`` (its sample) and ``__truing_m<i>`` (whether the row was moved away before), or
    ``__truing_k<i>_<n>``, ``__truing_ok<i>``, ``__truing_w<i>`` (the originals) and ``__truing_v<i>`` for keys.

    Args:
        base: the table.
        moves: what happens to it, in order.

    Returns:
        A SELECT.
    """
    pile = _Pile(base, moves)
    for position, move in enumerate(moves):
        match move:
            case Rename(column, to):
                pile.rename(column, to)
            case Forget(column):
                pile.forget(column)
            case Fill():
                pile.fill(move)
            case Probe() if move.expression:
                pile.rows(position, move)
            case Probe():
                pile.keys(position, move)
    return pile.sql


class _Pile:
    """The layers so far: their SQL, and the columns that the top one gives."""

    def __init__(self, base: Base, moves: Sequence[Move]) -> None:
        compared = [column for move in moves if isinstance(move, Probe) for column in move.compared]
        self.originals = {column: f"{ORIGINAL}{n}" for n, column in enumerate(dict.fromkeys(compared))}
        # column -> class columns with the classes whose rows are refused: nobody knows their value from there on.
        self.doubts: dict[str, list[tuple[str, list[str]]]] = {}
        self.columns = list(base.columns)
        self.hidden = [KEY, MOVED, *self.originals.values()]
        listed = [f"{ALIAS}.{ident(column)}" for column in self.columns]
        listed += [f"{base.key_text} AS {KEY}", f"false AS {MOVED}"]
        listed += [f"{ALIAS}.{ident(column)} AS {name}" for column, name in self.originals.items()]
        self.sql = f"SELECT {', '.join(listed)} FROM {base.name.sql} AS {ALIAS}"

    def _add(
        self, listed: Sequence[str], alias: str = ALIAS, joins: Sequence[str] = (), *, barrier: bool = True
    ) -> None:
        joined = "".join(f" {join}" for join in joins)
        end = " OFFSET 0" if barrier else ""
        self.sql = f"SELECT {', '.join(listed)} FROM ({self.sql}) AS {ident(alias)}{joined}{end}"

    def _all(self, alias: str) -> list[str]:
        return [f"{ident(alias)}.{ident(column)}" for column in (*self.columns, *self.hidden)]

    def rename(self, column: str, to: str) -> None:
        renamed = f"{ALIAS}.{ident(column)} AS {ident(to)}"
        kept = [name for name in self.columns if name != column]
        listed = [f"{ALIAS}.{ident(name)}" for name in (*kept, *self.hidden)]
        self._add([*listed, renamed], barrier=False)
        self.columns = [*kept, to]
        self.doubts[to] = self.doubts.pop(column, [])

    def forget(self, column: str) -> None:
        self.columns = [name for name in self.columns if name != column]
        self._add(self._all(ALIAS), barrier=False)

    def fill(self, move: Fill) -> None:
        self._add([*self._all(ALIAS), f"({move.value})::{move.type} AS {ident(move.column)}"])
        self.columns.append(move.column)
        self.doubts[move.column] = [doubt for column in move.uses for doubt in self.doubts.get(column, ())]

    def rows(self, position: int, probe: Probe) -> None:
        joins, alias = probe.joins, ident(probe.alias)
        if probe.before:
            self._add(
                [*self._all(probe.alias), *(f"({sql}) AS {name}" for name, sql in probe.before.items())],
                probe.alias,
                joins,
            )
            joins = ()
            self.hidden += probe.before
        added = (
            f"({self._undoubted(probe)}) AS __truing_c{position}",
            f"{_sample(probe)} AS __truing_v{position}",
            f"{alias}.{MOVED} AS __truing_m{position}",
        )
        self._add([*self._all(probe.alias), *added], probe.alias, joins)
        self.hidden += [f"__truing_{letter}{position}" for letter in "cvm"]
        if probe.effects or probe.moved:
            self._effects(position, probe)
            refused = [str(name) for name, each in probe.outcomes.items() if each.verdict in {"refused", "unsettled"}]
            for column in probe.effects if refused else ():
                self.doubts.setdefault(column, []).append((f"__truing_c{position}", refused))
        for name in probe.before:
            self.hidden.remove(name)

    def _doubt(self, probe: Probe) -> str:
        """Return the condition that an earlier change refuses a row for a value that this probe looks at."""
        used = self.doubts if probe.uses is None else probe.uses
        found = [doubt for column in used for doubt in self.doubts.get(column, ())]
        return " OR ".join(
            f"{ident(probe.alias)}.{name} IN ({', '.join(map(literal, refused))})" for name, refused in found
        )

    def _undoubted(self, probe: Probe) -> str:
        doubt = self._doubt(probe)
        return f"CASE WHEN {doubt} THEN 'clean' ELSE {probe.expression} END" if doubt else probe.expression

    def _effects(self, position: int, probe: Probe) -> None:
        of_row = f"{ALIAS}.__truing_c{position}"
        listed = [
            f"({probe.effects[name].replace(CLASS, of_row)}) AS {ident(name)}"
            if name in probe.effects
            else f"{ALIAS}.{ident(name)}"
            for name in self.columns
        ]
        listed += [f"{ALIAS}.{name}" for name in self.hidden if name != MOVED]
        moved = f" OR {of_row} IN ({', '.join(map(literal, probe.moved))})" if probe.moved else ""
        self._add([*listed, f"({ALIAS}.{MOVED}{moved}) AS {MOVED}"])

    def keys(self, position: int, probe: Probe) -> None:
        alias = ident(probe.alias)
        originals = [f"{alias}.{self.originals[column]}" for column in probe.compared]
        was = f"ROW({', '.join(originals)})::text" if originals else "NULL::text"
        doubt = self._doubt(probe)
        counts = f"NOT {alias}.{MOVED} AND ({probe.condition}){f' AND NOT ({doubt})' if doubt else ''}"
        added = [
            *(f"({key}) AS __truing_k{position}_{n}" for n, key in enumerate(probe.keys)),
            f"({counts}) AS __truing_ok{position}",
            f"{was} AS __truing_w{position}",
            f"{_sample(probe)} AS __truing_v{position}",
        ]
        self._add([*self._all(probe.alias), *added], probe.alias)
        self.hidden += [f"__truing_k{position}_{n}" for n in range(len(probe.keys))]
        self.hidden += [f"__truing_{name}{position}" for name in ("ok", "w", "v")]


def _sample(probe: Probe) -> str:
    return f"pg_catalog.left(({probe.value})::text, {SAMPLE_LENGTH})"


def row_positions(moves: Sequence[Move]) -> list[int]:
    """Return where the probes are that are asked row by row."""
    return [n for n, move in enumerate(moves) if isinstance(move, Probe) and move.expression]


def key_positions(moves: Sequence[Move]) -> list[int]:
    """Return where the probes are that are asked of equal keys."""
    return [n for n, move in enumerate(moves) if isinstance(move, Probe) and not move.expression]


def row_question(base: Base, moves: Sequence[Move], positions: Sequence[int]) -> str:
    """Write the query that asks everything row by row.

    Returns:
        A SELECT of one row: the number of rows, then for every probe and each of its classes: rows, rows moved away
        before, and the first and last sample as ``{key, value}``.
    """
    listed = ["count(*)"]
    for position in positions:
        probe = moves[position]
        pair = f'ARRAY[q.{KEY}, q.__truing_v{position}] COLLATE "C"'
        for name in probe.outcomes if isinstance(probe, Probe) else ():
            which = f"q.__truing_c{position} = {literal(name)}"
            listed += [
                f"count(*) FILTER (WHERE {which})",
                f"count(*) FILTER (WHERE {which} AND q.__truing_m{position})",
                f"min({pair}) FILTER (WHERE {which})",
                f"max({pair}) FILTER (WHERE {which})",
            ]
    return f"SELECT {', '.join(listed)} FROM ({layered(base, moves)}) AS q"


def key_question(base: Base, moves: Sequence[Move], positions: Sequence[int]) -> str:
    """Write the query that looks for equal keys.

    Returns:
        A SELECT of rows: the position of the probe, whether the originals differ within the groups, the number of
        groups, their rows, and the first and last sample as ``{keys of two rows, value}``.
    """
    sets, which, counts, differ, value = [], [], [], [], []
    for position in positions:
        probe = moves[position]
        keys = [f"q.__truing_k{position}_{n}" for n in range(len(probe.keys))] if isinstance(probe, Probe) else []
        counted = f"q.__truing_ok{position}"
        sets.append(f"({', '.join([counted, *keys])})")
        case = f"WHEN GROUPING({counted}) = 0 THEN"
        which.append(f"{case} {position}")
        counts.append(f"{case} {counted}")
        original = f'q.__truing_w{position} COLLATE "C"'
        differ.append(f"{case} min({original}) <> max({original})")
        value.append(f"{case} min(q.__truing_v{position})")
    key = f'q.{KEY} COLLATE "C"'
    groups = (
        f"SELECT {_case(which)} AS probe, coalesce({_case(differ)}, false) AS differ, count(*) AS n,"
        f" min({key}) || ', ' || max({key}) AS keys, {_case(value)} AS value"
        f" FROM ({layered(base, moves)}) AS q GROUP BY GROUPING SETS ({', '.join(sets)})"
        f" HAVING count(*) > 1 AND {_case(counts)}"
    )
    pair = 'ARRAY[g.keys, g.value] COLLATE "C"'
    return (
        f"SELECT g.probe, g.differ, count(*), sum(g.n)::bigint, min({pair}), max({pair}) FROM ({groups}) AS g"
        " GROUP BY g.probe, g.differ"
    )


def _case(branches: list[str]) -> str:
    return f"CASE {' '.join(branches)} END"


def listing(base: Base, moves: Sequence[Move], position: int, row_class: str) -> str:
    """Write the query that lists all rows of a class, for a person to run."""
    probe = moves[position]
    if not isinstance(probe, Probe):
        return ""
    below = _needed(moves[:position], probe)
    if not probe.expression:
        return _listing_keys(base, below, probe)
    chosen = literal(row_class)
    if below or probe.before:
        return (
            f"SELECT q.{KEY} AS key, q.__truing_v{len(below)} AS value FROM ({layered(base, [*below, probe])}) AS q"
            f" WHERE q.__truing_c{len(below)} = {chosen}"
        )
    alias = ident(probe.alias)
    known = [column for column in dict.fromkeys((*base.key, *probe.columns)) if column in base.columns]
    shown = [f"{alias}.ctid"] if not base.key else []
    shown += [f"{alias}.{ident(column)}" for column in known]
    where = {str(name): condition for name, condition in probe.lists.items()}.get(row_class)
    needed = probe.joins if where is None or f"{PARENT}." in where else ()
    joins = "".join(f" {join}" for join in needed)
    where = where or f"({probe.expression}) = {chosen}"
    return f"SELECT {', '.join(shown)} FROM {base.name.sql} AS {alias}{joins} WHERE {where}"


def _listing_keys(base: Base, below: list[Move], probe: Probe) -> str:
    if not below:
        keys = ", ".join(f"({key})" for key in probe.keys)
        return (
            f"SELECT {keys}, count(*) FROM {base.name.sql} AS {ident(probe.alias)} WHERE {probe.condition}"
            f" GROUP BY {keys} HAVING count(*) > 1"
        )
    bare = msgspec.structs.replace(probe, compared=())
    keys = idents([f"__truing_k{len(below)}_{n}" for n in range(len(probe.keys))])
    return (
        f"SELECT {keys}, array_agg(q.{KEY}) AS keys FROM ({layered(base, [*below, bare])}) AS q"
        f" WHERE q.__truing_ok{len(below)} GROUP BY {keys} HAVING count(*) > 1"
    )


def _needed(moves: Sequence[Move], probe: Probe) -> list[Move]:
    """Leave out the moves that make no difference to what a probe looks at."""
    wanted = None if probe.uses is None else set(probe.uses)
    kept: list[Move] = []
    renamed = False
    for move in reversed(moves):
        match move:
            case Probe() if move.effects and (wanted is None or wanted & set(move.effects)):
                kept.append(msgspec.structs.replace(move, moved=()))
                wanted = None if wanted is None or move.uses is None else wanted | set(move.uses)
            case Rename(column, to) if wanted is None or to in wanted:
                kept.append(move)
                wanted = None if wanted is None else wanted | {column}
                renamed = True
            case Fill(column, uses=uses) if wanted is None or column in wanted:
                kept.append(move)
                wanted = None if wanted is None else wanted | set(uses)
            case Rename() | Forget():
                kept.append(move)
    # Names that one column takes over from another only make sense together.
    return kept[::-1] if renamed else [move for move in kept[::-1] if isinstance(move, Probe | Fill)]
