"""What is in a PostgreSQL database? The answer as frozen values, without oids, so that two databases can be compared.

``read`` makes these from ``pg_catalog``; everything else only looks. All expressions and definitions are as the server
prints them under an empty ``search_path``, so every name in them is qualified. ``==`` on these values is exact, down to
the position of a column; :func:`truing.catalog.diff.compare` is the question whether two databases mean the same.

Lists of names are sorted, except where their order means something (columns of a key, elements of an index).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Literal, TypeVar

from truing.catalog.objects import (
    Brought,
    DatabaseObject,
    Extension,
    Function,
    OwnedBy,
    Publication,
    PublishedTable,
    Schema,
    Sequence,
    Unread,
    UserType,
)
from truing.catalog.parts import (
    PUBLIC,
    CatalogValue,
    Column,
    Constraint,
    ConstraintKind,
    Enabled,
    Grant,
    Index,
    Policy,
    Rule,
    Statistic,
    Trigger,
)
from truing.names import QualifiedName
from truing.versions import PostgresVersion

__all__ = [
    "PUBLIC",
    "Brought",
    "CatalogValue",
    "Column",
    "Constraint",
    "ConstraintKind",
    "DatabaseObject",
    "Enabled",
    "Extension",
    "Function",
    "Grant",
    "Index",
    "LeftOut",
    "OwnedBy",
    "Policy",
    "Publication",
    "PublishedTable",
    "Rule",
    "Schema",
    "Sequence",
    "Snapshot",
    "Statistic",
    "Table",
    "TableSize",
    "Trigger",
    "Unread",
    "UserType",
    "View",
]


class Table(CatalogValue, frozen=True, dict=True):
    """A table, partitioned table or foreign table.

    Attributes:
        name: its name.
        kind: what it is.
        persistence: ``unlogged`` tables are empty after a crash.
        owner: its owner.
        grants: privileges on the whole table, the owner's own included.
        comment: its comment.
        row_security: ENABLE ROW LEVEL SECURITY.
        force_row_security: FORCE ROW LEVEL SECURITY.
        options: storage parameters (or those of a foreign table), as ``name=value``; its TOAST table's
            as ``toast.name=value``.
        replica_identity: how logical replication tells rows apart.
        access_method: ``heap`` or another; None where there is none.
        tablespace: where it is not the database's own.
        of_type: the composite type of CREATE TABLE ... OF.
        server: the foreign server of a foreign table.
        partition_key: ``pg_get_partkeydef`` of a partitioned table.
        partition_bound: FOR VALUES ... of a partition; with ``DETACH PENDING`` where it is half detached.
        parents: the tables it inherits from, in their order; the partitioned table of a partition.
        columns: in the order of the table.
        constraints: all but NOT NULL.
        not_nulls: NOT NULL as constraints, with their names; PostgreSQL 18 and newer only.
        indexes: all, those of constraints included.
        policies: row-level security policies.
        triggers: those that somebody created.
        rules: rewrite rules.
        statistics: extended statistics.
    """

    name: QualifiedName
    kind: Literal["table", "partitioned-table", "foreign-table"] = "table"
    persistence: Literal["permanent", "unlogged", "temporary"] = "permanent"
    owner: str = ""
    grants: tuple[Grant, ...] = ()
    comment: str | None = None
    row_security: bool = False
    force_row_security: bool = False
    options: tuple[str, ...] = ()
    replica_identity: Literal["default", "nothing", "full", "index"] = "default"
    access_method: str | None = None
    tablespace: str | None = None
    of_type: str | None = None
    server: str | None = None
    partition_key: str | None = None
    partition_bound: str | None = None
    parents: tuple[QualifiedName, ...] = ()
    columns: tuple[Column, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    not_nulls: tuple[Constraint, ...] = ()
    indexes: tuple[Index, ...] = ()
    policies: tuple[Policy, ...] = ()
    triggers: tuple[Trigger, ...] = ()
    rules: tuple[Rule, ...] = ()
    statistics: tuple[Statistic, ...] = ()

    def column(self, name: str) -> Column | None:
        """Find a column by its name."""
        return next((column for column in self.columns if column.name == name), None)

    def constraint(self, name: str) -> Constraint | None:
        """Find a constraint by its name."""
        return next((constraint for constraint in self.constraints if constraint.name == name), None)

    def index(self, name: str) -> Index | None:
        """Find an index by its name."""
        return next((index for index in self.indexes if index.name == name), None)

    @property
    def primary_key(self) -> Constraint | None:
        """The primary key."""
        return next((constraint for constraint in self.constraints if constraint.kind == "primary-key"), None)

    @property
    def foreign_keys(self) -> tuple[Constraint, ...]:
        """The foreign keys that this table declares."""
        return tuple(constraint for constraint in self.constraints if constraint.kind == "foreign-key")


class View(CatalogValue, frozen=True):
    """A view or materialised view, with everything that has to come back when it is made again.

    Attributes:
        name: its name.
        definition: ``pg_get_viewdef``: the query, ending in a semicolon.
        materialized: whether it holds rows.
        populated: False for a materialised view WITH NO DATA.
        owner: its owner.
        grants: privileges on the whole view, the owner's own included.
        options: ``security_barrier=true`` and the like, and the check option.
        access_method, tablespace: of a materialised view.
        comment: its comment.
        columns: with their comments, grants and (rarely) defaults.
        indexes, statistics: of a materialised view.
        triggers: INSTEAD OF triggers.
        rules: others than the one that makes it a view.
    """

    name: QualifiedName
    definition: str
    materialized: bool = False
    populated: bool = True
    owner: str = ""
    grants: tuple[Grant, ...] = ()
    options: tuple[str, ...] = ()
    access_method: str | None = None
    tablespace: str | None = None
    comment: str | None = None
    columns: tuple[Column, ...] = ()
    indexes: tuple[Index, ...] = ()
    triggers: tuple[Trigger, ...] = ()
    rules: tuple[Rule, ...] = ()
    statistics: tuple[Statistic, ...] = ()


class LeftOut(CatalogValue, frozen=True):
    """How many relations, functions and types a snapshot does not show, and why.

    Attributes:
        extension_members: they belong to an extension.
        own: they are in truing's own schema.
        other_schemas: the caller asked to leave their schema out.
        temporary: temporary relations of some session.
    """

    extension_members: int = 0
    own: int = 0
    other_schemas: int = 0
    temporary: int = 0


class Snapshot(CatalogValue, frozen=True, dict=True):
    """What a database is, at one moment. Everything is sorted by name.

    Attributes:
        version: of the server.
        database: the database's name.
        left_out: what is not shown.
        publications: the database's own, whatever schemas were asked for.
        others: objects of rarer kinds.
        brought: what PostgreSQL and extensions brought, where its privileges are others than it came with.
        unread: what was not looked at.
    """

    version: PostgresVersion
    database: str
    schemas: tuple[Schema, ...] = ()
    extensions: tuple[Extension, ...] = ()
    tables: tuple[Table, ...] = ()
    views: tuple[View, ...] = ()
    sequences: tuple[Sequence, ...] = ()
    functions: tuple[Function, ...] = ()
    types: tuple[UserType, ...] = ()
    publications: tuple[Publication, ...] = ()
    others: tuple[DatabaseObject, ...] = ()
    brought: tuple[Brought, ...] = ()
    unread: tuple[Unread, ...] = ()
    left_out: LeftOut = LeftOut()

    @cached_property
    def tables_by_name(self) -> Mapping[QualifiedName, Table]:
        """The tables, by their names."""
        return _by_name(self.tables)

    @cached_property
    def views_by_name(self) -> Mapping[QualifiedName, View]:
        """The views, by their names."""
        return _by_name(self.views)

    def table(self, name: QualifiedName) -> Table | None:
        """Find a table by its name."""
        return self.tables_by_name.get(name)

    def view(self, name: QualifiedName) -> View | None:
        """Find a view by its name."""
        return self.views_by_name.get(name)


class TableSize(CatalogValue, frozen=True):
    """Estimates about a table, kept apart from :class:`Table` because they change with every write.

    Attributes:
        rows: the planner's estimate; None when the table was never analysed.
        table_bytes: heap and TOAST.
        index_bytes: its indexes.
        total_bytes: everything.
    """

    rows: int | None
    table_bytes: int
    index_bytes: int
    total_bytes: int


_Named = TypeVar("_Named", Table, View)


def _by_name(values: tuple[_Named, ...]) -> dict[QualifiedName, _Named]:
    return {value.name: value for value in values}
