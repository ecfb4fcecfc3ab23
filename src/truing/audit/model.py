"""What an audit says: for every pending change, how many rows are of which class and what becomes of them.

Values only; :func:`truing.audit.run.audit` makes them.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from truing.catalog.blockers import Blocker
from truing.changes import DirtyPolicy
from truing.finding import Finding, Location
from truing.names import QualifiedName

RowClass: TypeAlias = Literal[
    "null",
    "empty",
    "malformed",
    "orphan",
    "unmapped",
    "replaced",
    "violation",
    "duplicate",
    "collision",
    "normalised",
    "clean",
]
"""What a change makes of a row. ``unmapped``: its policy is ``map`` and the map has no (usable) entry. ``replaced``: a
``USING`` expression gives another value than PostgreSQL reads in the text. ``duplicate``: equal keys already now;
``collision``: keys that only the pending conversion of a column makes equal. The others are those of
:class:`truing.online.conversion.Conversion`."""

Verdict: TypeAlias = Literal["refused", "unsettled", "altered", "normalised", "kept"]
"""What becomes of the rows of a class. ``refused``: the revision fails because of them. ``unsettled``: it would, unless
an earlier pending statement (an UPDATE, say), which the audit cannot run, settles them. ``altered``: they get another
value, or are moved. ``normalised``: the same value, written differently. ``kept``: nothing happens to them."""


class Source(msgspec.Struct, frozen=True):
    """Which line of which pending revision asks for a change.

    Attributes:
        revision: the revision.
        location: the line.
        online: whether one of truing's operations carries it out, with policies for dirty rows.
    """

    revision: str
    location: Location
    online: bool = False


class Sample(msgspec.Struct, frozen=True):
    """One row of a class.

    Attributes:
        key: its key, as text.
        value: the beginning of its value; None for NULL, or when values are left out.
    """

    key: str
    value: str | None = None


class ClassCount(msgspec.Struct, frozen=True, kw_only=True):
    """How many rows of a table are of one class for one change.

    Attributes:
        change: what is to happen, for example ``tenant_id: text → uuid``.
        table: the table, by the name that it has now.
        columns: the columns concerned.
        source: the line that asks for it.
        row_class: the class.
        count: how many rows are of it now. For duplicates and collisions: all rows of all groups of equal keys.
        settled: how many of them an earlier pending change moves away before this one sees them.
        groups: for duplicates and collisions: how many groups of equal keys.
        verdict: what becomes of them.
        policy: the revision's policy for them; None where it has none.
        fate: the same for a person, for example ``→ sentinel 00000000…``.
        samples: some of them.
        query: a query that lists all of them.
    """

    change: str
    table: QualifiedName
    columns: tuple[str, ...]
    source: Source
    row_class: RowClass
    count: int
    settled: int = 0
    groups: int = 0
    verdict: Verdict
    policy: DirtyPolicy | None = None
    fate: str = ""
    samples: tuple[Sample, ...] = ()
    query: str = ""


class DependentFate(msgspec.Struct, frozen=True, kw_only=True):
    """Something that depends on a column whose type changes, and what happens to it.

    Attributes:
        change: the change of the column.
        table: the table.
        column: the column.
        source: the line that asks for it.
        kind: what depends on it, for example ``view``.
        name: which one, for example ``policy p_tenant on app.profiles``.
        fate: what happens to it.
        refused: whether the change is refused because of it.
        advice: what to do then.
    """

    change: str
    table: QualifiedName
    column: str
    source: Source
    kind: str
    name: str
    fate: str
    refused: bool = False
    advice: str = ""


class Unasked(msgspec.Struct, frozen=True, kw_only=True):
    """A pending change whose rows could not be asked for, and why.

    Attributes:
        change: what is to happen.
        table: the table.
        source: the line that asks for it.
        reason: why nothing can be said now.
        kind: ``created``: what it is about does not exist yet. ``settled``: the catalog shows it as done, or no row
            can break it. ``missing``: what it is about does not exist and no pending revision makes it.
            ``unanswerable``: PostgreSQL could not answer. ``unreadable``: this role may not read (all of) the rows.
            ``refused``: PostgreSQL refuses the change whatever the rows are. ``kept``: it takes away originals
            of a type change. ``left``: the upgrade itself looks, before it changes anything.
        remedy: what to do about it.
    """

    change: str
    table: QualifiedName
    source: Source
    reason: str
    kind: Literal["created", "settled", "missing", "unanswerable", "unreadable", "refused", "kept", "left"]
    remedy: str = ""


class TableAudit(msgspec.Struct, frozen=True, kw_only=True):
    """What was found out about one table.

    Attributes:
        table: its name now.
        rows: how many rows it has: counted where a pass was made, else the planner's estimate (None without one).
        counted: whether ``rows`` was counted.
        size: its bytes with indexes and TOAST; None where it is unknown.
        classes: for every change, the rows by class; classes without rows too.
        dependents: what depends on columns whose type changes.
        unasked: changes whose rows could not be asked for.
        seconds: how long reading took.
    """

    table: QualifiedName
    rows: int | None = None
    counted: bool = False
    size: int | None = None
    classes: tuple[ClassCount, ...] = ()
    dependents: tuple[DependentFate, ...] = ()
    unasked: tuple[Unasked, ...] = ()
    seconds: float = 0.0


class Audit(msgspec.Struct, frozen=True, kw_only=True):
    """The answer.

    Attributes:
        database: the database's name.
        server: the server's version.
        revisions: the pending revisions that were looked at, in the order they would run.
        tables: every table that a pending change is about, by name.
        blockers: what would keep locks on these tables waiting now.
        findings: what a person should know.
    """

    database: str
    server: str
    revisions: tuple[str, ...]
    tables: tuple[TableAudit, ...]
    blockers: tuple[Blocker, ...] = ()
    findings: tuple[Finding, ...] = ()

    def counts(self, table: str, columns: tuple[str, ...] | str, revision: str = "") -> dict[str, int]:
        """Sum the rows by class for a table's column.

        Args:
            table: the table as ``schema.name``, quoted where PostgreSQL would need it.
            columns: the column, or the columns of one constraint.
            revision: only of this revision.

        Returns:
            Class -> rows, classes without rows left out; of several changes of the column the most rows, and the
            fewest clean ones.
        """
        wanted = (columns,) if isinstance(columns, str) else columns
        found: dict[str, int] = {}
        for each in self.tables:
            for count in each.classes:
                if str(each.table) == table and count.columns == wanted and revision in ("", count.source.revision):
                    best = min if count.row_class == "clean" else max
                    found[count.row_class] = best(found.get(count.row_class, count.count), count.count)
        return {name: number for name, number in found.items() if number}

    def quarantine(self) -> dict[tuple[str, str, str], int]:
        """Say what the quarantine will hold after the upgrade.

        Returns:
            Table, column and reason -> originals, those without originals left out.
        """
        predicted: dict[tuple[str, str, str], int] = {}
        for each in (count for table in self.tables for count in table.classes):
            rows = each.count - each.settled - each.groups
            if each.verdict == "altered" and rows:
                # Which keys only the conversion makes equal is the audit's to know; afterwards they are.
                reason = "duplicate" if each.row_class == "collision" else each.row_class
                key = (str(each.table), each.columns[-1], reason)
                predicted[key] = predicted.get(key, 0) + rows
        return predicted


class AuditSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of an audit.

    Attributes:
        statement_timeout_s: the longest that one pass over one table may take; 0 for no limit.
        values: whether samples show the values; without, only keys.
        default_schema: where the tables are that a revision does not qualify; None for the connection's own.
    """

    statement_timeout_s: float = 1_800.0
    values: bool = True
    default_schema: str | None = None
