"""A question to the rows of a table, as pieces of SQL: what :mod:`truing.audit.layers` puts into the one pass.

A probe is a pure value. Its expressions are over one alias of the table *as it will be when its change runs*: earlier
pending changes have already renamed, converted and settled columns in the layers below.
"""

from __future__ import annotations

from typing import Final

import msgspec

from truing.audit.model import RowClass, Source, Verdict
from truing.changes import DirtyPolicy

ALIAS: Final = "t"
"""The alias that expressions of ours are written over."""

CLASS: Final = "__truing_class"
"""In ``effects``: stands for the row's class by this probe."""

PARENT: Final = "parent"
"""The alias of the parent table in a join."""

MOVED: Final = "__truing_moved"
"""The column that says whether an earlier pending change has moved the row away by then."""

ORIGINAL: Final = "__truing_was_"
"""Before a column's name: its value now, under whatever name and type it gets."""


class Outcome(msgspec.Struct, frozen=True):
    """What becomes of the rows of a class; see :class:`truing.audit.model.ClassCount`."""

    verdict: Verdict
    fate: str = ""
    policy: DirtyPolicy | None = None


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """One question.

    Attributes:
        title: what is to happen, for a person.
        columns: the columns concerned.
        source: the line that asks for it.
        outcomes: class -> what becomes of its rows; ``clean`` is understood.
        expression: the class of a row; empty for a question about keys.
        value: the text that a sample shows.
        alias: the alias that ``expression``, ``before``, ``keys`` and ``condition`` are over.
        joins: LEFT JOINs that give at most one row each.
        before: name -> expression that is computed first, for every row, for ``expression`` to refer to.
        uses: the columns that the expressions look at; None when that is not known.
        effects: column -> its value afterwards, over :data:`ALIAS`, with :data:`CLASS`.
        moved: classes whose rows are moved away.
        keys: for a question about keys: what has to be unique.
        condition: for a question about keys: which rows count.
        compared: for a question about keys: columns whose originals tell a collision from a duplicate.
        otherwise: the question to ask instead when PostgreSQL cannot answer this one.
        lists: class -> a short condition of its rows, for the query that a person runs; without, the expression.
        derived: whether the question is not about the change itself but about a key that exists already; then that
            it cannot be answered is no more than a remark.
    """

    title: str
    columns: tuple[str, ...]
    source: Source
    outcomes: dict[RowClass, Outcome]
    expression: str = ""
    value: str = "NULL"
    alias: str = ALIAS
    joins: tuple[str, ...] = ()
    before: dict[str, str] = {}
    uses: tuple[str, ...] | None = None
    effects: dict[str, str] = {}
    moved: tuple[RowClass, ...] = ()
    keys: tuple[str, ...] = ()
    condition: str = "true"
    compared: tuple[str, ...] = ()
    otherwise: Probe | None = None
    lists: dict[RowClass, str] = {}
    derived: bool = False


class Rename(msgspec.Struct, frozen=True):
    """A column gets another name from here on."""

    column: str
    to: str


class Forget(msgspec.Struct, frozen=True):
    """A column is gone from here on, or another one takes its name whose values nobody knows yet."""

    column: str


class Fill(msgspec.Struct, frozen=True):
    """A new column has a value for each row from here on, computed from the row's others.

    Attributes:
        column: its name.
        type: its type.
        value: the expression, over :data:`ALIAS`; it calls nothing.
        uses: the columns that it looks at.
    """

    column: str
    type: str
    value: str
    uses: tuple[str, ...]


Move = Probe | Rename | Forget | Fill
"""What happens to a table as the revisions are followed, in order."""
