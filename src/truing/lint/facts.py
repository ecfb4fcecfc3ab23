"""What was seen: the facts that rules look at, whatever they were read from.

Sources make facts and know nothing of rules; a rule names the type of fact that it looks at (``on=``).
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from truing.finding import Evidence, Finding, Location
from truing.names import ident

Origin: TypeAlias = Literal["models", "revision", "database"]


class Scope(msgspec.Struct, frozen=True):
    """The lines of a source on which a suppression comment counts for a fact.

    Attributes:
        source: the :attr:`Source.id`.
        first: the first line, from 1.
        last: the last line.
    """

    source: str
    first: int
    last: int


class Fact(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all facts.

    Attributes:
        subject: what it is about, as findings print it.
        location: where in the person's files it comes from.
        scopes: where a suppression comment counts for it.
        revision: the Alembic revision it belongs to.
    """

    subject: str
    location: Location | None = None
    scopes: tuple[Scope, ...] = ()
    revision: str = ""


class TableReference(Fact, frozen=True, kw_only=True):
    """Something names a table.

    Attributes:
        origin: where it was seen.
        schema: None where the reference leaves it to the search path.
        name: the table's name.
        action: how it is named; reads between the subject and the table ("has a foreign key to").
        referrer: schema and name of the table, view or function that refers; None for a statement.
        definition: whether this is the table itself, as models describe it.
        certain: False where only the text of a function body was read, which may never run.
        evidence: what was seen.
    """

    origin: Origin
    schema: str | None
    name: str
    action: str
    referrer: tuple[str | None, str] | None = None
    definition: bool = False
    certain: bool = True
    evidence: tuple[Evidence, ...] = ()

    @property
    def table(self) -> str:
        """The table as a statement would name it."""
        return printed(self.schema, self.name)


class ColumnRemoval(Fact, frozen=True, kw_only=True):
    """A revision drops or renames a column.

    Attributes:
        table: the table, as a statement would name it.
        column: the column.
        action: ``drops`` or ``renames``.
        evidence: what was seen.
    """

    table: str
    column: str
    action: Literal["drops", "renames"]
    evidence: tuple[Evidence, ...] = ()


class UnusedSuppression(Fact, frozen=True, kw_only=True):
    """A suppression that nothing needs; ``rule`` is the name in it, ``known`` whether there is such a rule."""

    rule: str
    known: bool
    advice: str = ""


class UnusableSuppression(Fact, frozen=True, kw_only=True):
    """A suppression comment that allows nothing, and why."""

    problem: str


class UnrecordableRevision(Fact, frozen=True, kw_only=True):
    """A revision that cannot be read without a database; ``problem`` is what its reader found."""

    problem: Finding


class Suppressor(msgspec.Struct, frozen=True):
    """One suppression as the engine needs it, whatever comment it was.

    Attributes:
        source: the source it is in.
        rules: the rules that it allows.
        target: the line of that source that it is about.
        location: where a person finds it.
        problem: why it cannot be used; empty when it can.
    """

    source: str
    rules: tuple[str, ...]
    target: int
    location: Location
    problem: str = ""
    revision: str = ""


class Facts(msgspec.Struct, frozen=True):
    """What one source gave: facts, and the suppressions that were written beside them."""

    facts: tuple[Fact, ...] = ()
    suppressors: tuple[Suppressor, ...] = ()


def printed(schema: str | None, name: str) -> str:
    """Print a table as a statement would name it."""
    return ident(name) if schema is None else f"{ident(schema)}.{ident(name)}"
