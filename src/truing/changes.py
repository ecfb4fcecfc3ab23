"""One typed difference between two states of a database: a closed union.

Recording a revision lowers its statements to these; the audit asks which rows break them; online operations plan
them. A statement that is none of them is an :class:`OtherStatement`, so that nothing is passed over in silence.
"""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

import msgspec

from truing.names import QualifiedName

DirtyClass: TypeAlias = Literal["null", "empty", "malformed", "orphan"]
"""Why a value has no place in the new definition. Values that are merely *normalised* keep their meaning."""

DirtyPolicy: TypeAlias = Literal["sentinel", "null", "map", "create-parent", "quarantine-rows", "fail"]
"""What becomes of a row whose value has no place; the original is kept in every case.

``sentinel``: the value becomes the sentinel, whose parent row is made (inactive) when it is missing.
``null``: the value becomes NULL. ``map``: looked up in a table of the person's own, else ``fail``.
``create-parent``: the missing parent row is made (orphans only). ``quarantine-rows``: the row is moved to
quarantine. ``fail``: nothing is changed and the run stops.
"""

DIRTY_CLASSES: tuple[DirtyClass, ...] = get_args(DirtyClass)
DIRTY_POLICIES: tuple[DirtyPolicy, ...] = get_args(DirtyPolicy)

NIL_UUID = "00000000-0000-0000-0000-000000000000"

Action: TypeAlias = Literal["NO ACTION", "RESTRICT", "CASCADE", "SET NULL", "SET DEFAULT"]


class Reference(msgspec.Struct, frozen=True):
    """The parent that a value has to exist in.

    Attributes:
        table: the parent table.
        column: its unique column.
    """

    table: QualifiedName
    column: str


class Dirty(msgspec.Struct, frozen=True):
    """What to do with rows that do not fit, for each class.

    Attributes:
        null: policy for NULLs where the target may hold none.
        empty: policy for empty and blank text.
        malformed: policy for text that PostgreSQL cannot read as the new type.
        orphan: policy for values without a parent row.
        sentinel: the value of policy ``sentinel``, as text.
        parent: column -> value (text) of the parent row that ``sentinel`` and ``create-parent`` make, beside its key.
        map_table: for ``map``: a table with the columns ``raw text`` and ``value`` (as text).
    """

    null: DirtyPolicy = "fail"
    empty: DirtyPolicy = "fail"
    malformed: DirtyPolicy = "fail"
    orphan: DirtyPolicy = "fail"
    sentinel: str = NIL_UUID
    parent: dict[str, str] = {}
    map_table: QualifiedName | None = None

    def policy(self, dirty: DirtyClass) -> DirtyPolicy:
        """Return the policy for a class."""
        policy: DirtyPolicy = getattr(self, dirty)
        return policy


class Settlement(msgspec.Struct, frozen=True):
    """What to do with rows that share a key with others, or break a CHECK; their originals are kept.

    Attributes:
        policy: ``fail``, ``quarantine-rows``, ``null`` or (with a value) ``map``.
        column: the column whose value is replaced; empty for the last one that the key or the condition names.
        value: for ``map``: what the value becomes, an SQL expression over the row (alias ``t``).
        first: columns by which rows with the same key are ordered, before their own key: the first one stays.
    """

    policy: DirtyPolicy = "fail"
    column: str = ""
    value: str | None = None
    first: tuple[str, ...] = ()


class Change(msgspec.Struct, frozen=True, tag=True, tag_field="change"):
    """Base of all changes; ``table`` is the table they are about."""

    table: QualifiedName


class CreateTable(Change, frozen=True):
    """A new table."""


class DropTable(Change, frozen=True):
    """A table goes, with its rows."""


class RenameTable(Change, frozen=True):
    """A table gets another name."""

    to: str


class AddColumn(Change, frozen=True):
    """A new column. ``default`` is an SQL expression."""

    column: str
    type: str
    nullable: bool = True
    default: str | None = None
    value: str | None = None
    """What existing rows get, an SQL expression over them; for online operations."""
    on_insert: str | None = None
    """What rows get that the application inserts without it meanwhile, over ``NEW``; for online operations."""


class DropColumn(Change, frozen=True):
    """A column goes, with its values."""

    column: str


class RenameColumn(Change, frozen=True):
    """A column gets another name."""

    column: str
    to: str


class AlterColumnType(Change, frozen=True):
    """A column gets another type.

    Attributes:
        column: the column.
        type: the new type as ``format_type`` prints it.
        using: the conversion expression of a plain ``ALTER TABLE``; None for the assignment cast.
        nullable: whether the column may hold NULL afterwards; None keeps it as it is.
        references: the parent that the converted values have to exist in.
        dirty: what to do with rows that cannot be converted; None where the change is a plain ``ALTER TABLE``.
    """

    column: str
    type: str
    using: str | None = None
    nullable: bool | None = None
    references: Reference | None = None
    dirty: Dirty | None = None


class RevertColumnType(Change, frozen=True):
    """An online type change is taken back: the column is again what it was, originals included."""

    column: str


class ContractColumnType(Change, frozen=True):
    """What an online type change kept for its way back is reduced to the few originals that are needed."""

    column: str


class RestoreColumnType(Change, frozen=True):
    """The old column of a contracted type change is made again, so that it can be taken back."""

    column: str


class SetNotNull(Change, frozen=True):
    """A column may no longer hold NULL. ``value``: what NULLs become, an SQL expression over the row."""

    column: str
    dirty: Dirty | None = None
    value: str | None = None


class DropNotNull(Change, frozen=True):
    """A column may hold NULL again."""

    column: str


class SetDefault(Change, frozen=True):
    """A column gets a default (an SQL expression), or loses it (None)."""

    column: str
    default: str | None


class AddForeignKey(Change, frozen=True):
    """A new foreign key.

    Attributes:
        name: the constraint's name; None lets PostgreSQL choose.
        columns: the referencing columns.
        references: the referenced table.
        referenced_columns: the referenced columns; empty for the primary key.
        validated: False for ``NOT VALID``.
        dirty: what to do with orphans; only ``orphan`` counts.
    """

    name: str | None
    columns: tuple[str, ...]
    references: QualifiedName
    referenced_columns: tuple[str, ...] = ()
    on_delete: Action = "NO ACTION"
    on_update: Action = "NO ACTION"
    on_delete_columns: tuple[str, ...] = ()
    match_full: bool = False
    deferrable: bool = False
    initially_deferred: bool = False
    validated: bool = True
    dirty: Dirty | None = None


class AddUnique(Change, frozen=True):
    """A new UNIQUE or PRIMARY KEY constraint over columns (or over an existing index).

    Attributes:
        replaces: the primary key whose place it takes.
        settlement: what becomes of duplicates; for online operations.
    """

    name: str | None
    columns: tuple[str, ...]
    primary: bool = False
    nulls_not_distinct: bool = False
    using_index: str | None = None
    replaces: str | None = None
    settlement: Settlement | None = None


class AddCheck(Change, frozen=True):
    """A new CHECK constraint. ``settlement``: what becomes of rows that break it; for online operations."""

    name: str | None
    expression: str
    validated: bool = True
    settlement: Settlement | None = None


class ValidateConstraint(Change, frozen=True):
    """A NOT VALID constraint is checked against every row."""

    name: str


class DropConstraint(Change, frozen=True):
    """A constraint goes. ``columns``: of the one that is meant, where another one may have its name by then."""

    name: str
    columns: tuple[str, ...] = ()


class CreateIndex(Change, frozen=True):
    """A new index. ``elements`` are columns or expressions as SQL, with their options.

    ``settlement``: what becomes of duplicates where it is unique; for online operations.
    """

    name: str | None
    elements: tuple[str, ...]
    unique: bool = False
    method: str = "btree"
    include: tuple[str, ...] = ()
    where: str | None = None
    nulls_not_distinct: bool = False
    concurrently: bool = False
    settlement: Settlement | None = None


class DropIndex(Change, frozen=True):
    """An index goes. ``table`` holds the table when it is known, else the index's own schema and an empty name."""

    name: str
    concurrently: bool = False


class RowPolicy(msgspec.Struct, frozen=True):
    """A row-level security policy, as ``CREATE POLICY`` has it.

    Attributes:
        name: its name.
        roles: to whom; empty for everybody.
        using: which rows they see and may change, as SQL.
        check: which rows they may write, as SQL; None for ``using``.
        command: what it is for.
    """

    name: str
    roles: tuple[str, ...] = ()
    using: str = "true"
    check: str | None = None
    command: Literal["ALL", "SELECT", "INSERT", "UPDATE", "DELETE"] = "ALL"


class EnableRowSecurity(Change, frozen=True):
    """Row-level security is switched on with its policies, and with one that shows everything for the transition."""

    policies: tuple[RowPolicy, ...]


class FinishRowSecurity(Change, frozen=True):
    """The policies alone decide from here on; ``force``: for the table's owner as well."""

    force: bool = True


class DisableRowSecurity(Change, frozen=True):
    """Policies go. ``keep``: row-level security stays on, for the table had it before, with policies of its own."""

    policies: tuple[str, ...]
    keep: bool = False


class OtherStatement(Change, frozen=True):
    """A statement that no other change stands for. ``table`` is the first relation it names, or empty."""

    sql: str
    tag: str


AnyChange: TypeAlias = (
    CreateTable
    | DropTable
    | RenameTable
    | AddColumn
    | DropColumn
    | RenameColumn
    | AlterColumnType
    | RevertColumnType
    | ContractColumnType
    | RestoreColumnType
    | SetNotNull
    | DropNotNull
    | SetDefault
    | AddForeignKey
    | AddUnique
    | AddCheck
    | ValidateConstraint
    | DropConstraint
    | CreateIndex
    | DropIndex
    | EnableRowSecurity
    | FinishRowSecurity
    | DisableRowSecurity
    | OtherStatement
)
