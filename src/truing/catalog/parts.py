"""What is a table or view made of? Columns, constraints, indexes, policies, triggers, rules and grants, as values.

:mod:`truing.catalog.model` puts them together and exports all of them.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Literal, TypeAlias, get_args, get_origin

import msgspec

from truing.changes import Action
from truing.names import QualifiedName

PUBLIC = "public"
"""The grantee or policy role that stands for everybody. No role can have this name, so it is not ambiguous."""


class CatalogValue(msgspec.Struct, frozen=True, kw_only=True, tag=True, tag_field="object"):
    """Base of everything that a snapshot is made of; the tag lets unions of them travel as JSON."""


@cache
def part_fields(kind: type[CatalogValue]) -> tuple[str, ...]:
    """Name the fields of a kind of value that hold further values: few of many, so who looks at all asks this first."""
    return tuple(each.name for each in msgspec.structs.fields(kind) if _holds_values(each.type))


def _holds_values(field: Any) -> bool:
    item = get_args(field)[0] if get_origin(field) is tuple else None
    return isinstance(item, type) and issubclass(item, CatalogValue)


class Grant(CatalogValue, frozen=True):
    """One privilege of one role on one object.

    Attributes:
        grantee: the role, or :data:`PUBLIC`.
        privilege: as GRANT spells it, for example ``SELECT``.
        grantable: WITH GRANT OPTION.
        grantor: the role that gave it.
    """

    grantee: str
    privilege: str
    grantable: bool = False
    grantor: str = ""


class Column(CatalogValue, frozen=True):
    """A column of a table, view or composite type.

    Attributes:
        name: its name.
        type: as ``format_type`` prints it.
        position: its number in the table, with gaps where columns were dropped. Never compared by ``compare``.
        not_null: whether the server guarantees that it holds no NULL (an unvalidated NOT NULL does not).
        default: the default expression; None without one and for generated columns.
        identity: ``always``, ``by default`` or empty.
        generated: ``stored``, ``virtual`` or empty.
        expression: what it is generated from; None for others.
        collation: the collation where it is not the type's own.
        storage: ``plain``, ``external``, ``main`` or ``extended``.
        compression: ``pglz``, ``lz4`` or empty for the server's default.
        statistics: the statistics target; None for the server's default.
        options: ``ALTER COLUMN ... SET (...)``, as ``name=value``.
        grants: privileges on this column alone.
        comment: its comment.
        dimensions: declared array dimensions (documentation only, PostgreSQL does not enforce them).
        inherited: whether a parent table has it as well.
        local: whether this table declares it itself.
    """

    name: str
    type: str
    position: int
    not_null: bool = False
    default: str | None = None
    identity: Literal["", "always", "by default"] = ""
    generated: Literal["", "stored", "virtual"] = ""
    expression: str | None = None
    collation: QualifiedName | None = None
    storage: Literal["plain", "external", "main", "extended"] = "plain"
    compression: Literal["", "pglz", "lz4"] = ""
    statistics: int | None = None
    options: tuple[str, ...] = ()
    grants: tuple[Grant, ...] = ()
    comment: str | None = None
    dimensions: int = 0
    inherited: bool = False
    local: bool = True


ConstraintKind: TypeAlias = Literal["primary-key", "unique", "check", "foreign-key", "exclusion", "not-null"]


class Constraint(CatalogValue, frozen=True):
    """A constraint of a table or a domain.

    Attributes:
        name: its name.
        kind: what it is.
        definition: ``pg_get_constraintdef``.
        columns: its columns, in the order of the key; sorted by name for a CHECK.
        expression: the condition of a CHECK, without the word CHECK.
        validated: False for NOT VALID.
        enforced: False for NOT ENFORCED (PostgreSQL 18).
        deferrable: DEFERRABLE.
        initially_deferred: INITIALLY DEFERRED.
        no_inherit: NO INHERIT.
        inherited: whether a parent table has it as well; it then goes and comes with the parent's.
        local: whether this table declares it itself.
        references: the referenced table of a foreign key.
        referenced_columns: the referenced columns, in the order of ``columns``.
        on_delete: what a foreign key does when the parent row goes.
        on_update: what a foreign key does when the parent's key changes.
        on_delete_columns: the columns of ON DELETE SET NULL (...) or SET DEFAULT (...); empty for all.
        match_full: MATCH FULL.
        index: the name of the index that enforces it (same schema as the table).
        triggers_disabled: whether somebody switched its internal triggers off (``DISABLE TRIGGER ALL``).
        comment: its comment.
    """

    name: str
    kind: ConstraintKind
    definition: str
    columns: tuple[str, ...] = ()
    expression: str | None = None
    validated: bool = True
    enforced: bool = True
    deferrable: bool = False
    initially_deferred: bool = False
    no_inherit: bool = False
    inherited: bool = False
    local: bool = True
    references: QualifiedName | None = None
    referenced_columns: tuple[str, ...] = ()
    on_delete: Action = "NO ACTION"
    on_update: Action = "NO ACTION"
    on_delete_columns: tuple[str, ...] = ()
    match_full: bool = False
    index: str | None = None
    triggers_disabled: bool = False
    comment: str | None = None


class Index(CatalogValue, frozen=True):
    """An index; it lives in the schema of its table.

    Attributes:
        name: its name.
        definition: ``pg_get_indexdef``: a whole CREATE INDEX statement.
        columns: the column of each key element; None where the element is an expression.
        elements: each key element as SQL, without operator class, collation and order (those are in ``definition``).
        include: the INCLUDE columns.
        method: the access method.
        unique: UNIQUE.
        nulls_not_distinct: NULLS NOT DISTINCT.
        primary: enforces the primary key.
        valid: False after a failed CREATE INDEX CONCURRENTLY: costs writes, serves no query.
        ready: whether writes keep it up to date.
        live: False while it is being dropped.
        constraint: the constraint that it enforces.
        predicate: the WHERE of a partial index.
        options: storage parameters, as ``name=value``.
        tablespace: where it is not the database's own.
        statistics: statistics targets of expression elements, as (element number from 1, target).
        clustered: CLUSTER ON.
        replica_identity: REPLICA IDENTITY USING INDEX.
        inherited: whether it is a part of a partitioned index.
        comment: its comment.
    """

    name: str
    definition: str
    columns: tuple[str | None, ...] = ()
    elements: tuple[str, ...] = ()
    include: tuple[str, ...] = ()
    method: str = "btree"
    unique: bool = False
    nulls_not_distinct: bool = False
    primary: bool = False
    valid: bool = True
    ready: bool = True
    live: bool = True
    constraint: str | None = None
    predicate: str | None = None
    options: tuple[str, ...] = ()
    tablespace: str | None = None
    statistics: tuple[tuple[int, int], ...] = ()
    clustered: bool = False
    replica_identity: bool = False
    inherited: bool = False
    comment: str | None = None


class Policy(CatalogValue, frozen=True):
    """A row-level security policy.

    Attributes:
        name: its name.
        command: what it applies to.
        permissive: False for RESTRICTIVE.
        roles: to whom; :data:`PUBLIC` for everybody.
        using: the USING expression.
        check: the WITH CHECK expression.
        comment: its comment.
    """

    name: str
    command: Literal["ALL", "SELECT", "INSERT", "UPDATE", "DELETE"] = "ALL"
    permissive: bool = True
    roles: tuple[str, ...] = (PUBLIC,)
    using: str | None = None
    check: str | None = None
    comment: str | None = None


Enabled: TypeAlias = Literal["origin", "disabled", "replica", "always"]
"""When a trigger or rule fires: ``origin`` is the ordinary state."""


class Trigger(CatalogValue, frozen=True):
    """A trigger that somebody created (those behind foreign keys are part of the constraint).

    Attributes:
        name: its name.
        definition: ``pg_get_triggerdef``: a whole CREATE TRIGGER statement.
        function: what it calls.
        enabled: when it fires.
        columns: the columns of UPDATE OF.
        row: FOR EACH ROW.
        constraint: CREATE CONSTRAINT TRIGGER.
        inherited: whether it came from the partitioned table.
        comment: its comment.
    """

    name: str
    definition: str
    function: QualifiedName
    enabled: Enabled = "origin"
    columns: tuple[str, ...] = ()
    row: bool = True
    constraint: bool = False
    inherited: bool = False
    comment: str | None = None


class Rule(CatalogValue, frozen=True):
    """A rewrite rule other than the one that makes a view.

    Attributes:
        name: its name.
        definition: ``pg_get_ruledef``: a whole CREATE RULE statement.
        enabled: when it fires.
        comment: its comment.
    """

    name: str
    definition: str
    enabled: Enabled = "origin"
    comment: str | None = None


class Statistic(CatalogValue, frozen=True):
    """An extended statistics object, which has a schema of its own.

    Attributes:
        name: its name.
        definition: ``pg_get_statisticsobjdef``: a whole CREATE STATISTICS statement.
        columns: its plain columns.
        owner: its owner.
        target: the statistics target; None for the server's default.
        comment: its comment.
    """

    name: QualifiedName
    definition: str
    columns: tuple[str, ...] = ()
    owner: str = ""
    target: int | None = None
    comment: str | None = None
