"""What else is in a database beside tables and views? Sequences, functions, types, schemas, publications, as values.

:mod:`truing.catalog.model` puts them together and exports all of them.
"""

from __future__ import annotations

from typing import Final, Literal

from truing.catalog.parts import CatalogValue, Column, Constraint, Grant
from truing.names import QualifiedName


class OwnedBy(CatalogValue, frozen=True):
    """The column that a sequence goes with.

    Attributes:
        table: the table.
        column: the column.
        identity: whether it is the column's identity rather than OWNED BY.
    """

    table: QualifiedName
    column: str
    identity: bool = False


class Sequence(CatalogValue, frozen=True):
    """A sequence's definition; how far it has counted is data."""

    name: QualifiedName
    type: str
    start: int
    increment: int
    minimum: int
    maximum: int
    cache: int = 1
    cycle: bool = False
    persistence: Literal["permanent", "unlogged", "temporary"] = "permanent"
    owned_by: OwnedBy | None = None
    owner: str = ""
    grants: tuple[Grant, ...] = ()
    comment: str | None = None


class Function(CatalogValue, frozen=True):
    """A function, procedure, aggregate or window function.

    Attributes:
        name: its name.
        arguments: ``pg_get_function_identity_arguments``; with the name, its identity.
        kind: what it is.
        definition: ``pg_get_functiondef``; for an aggregate, which has no such printer, the options of its CREATE.
        language: its language.
        returns: its result type; None for a procedure.
        security_definer: SECURITY DEFINER.
        atomic: BEGIN ATOMIC or RETURN: the body is bound to objects, not kept as text.
        owner: its owner.
        grants: privileges, the owner's own included.
        comment: its comment.
    """

    name: QualifiedName
    arguments: str = ""
    kind: Literal["function", "procedure", "aggregate", "window"] = "function"
    definition: str = ""
    language: str = ""
    returns: str | None = None
    security_definer: bool = False
    atomic: bool = False
    owner: str = ""
    grants: tuple[Grant, ...] = ()
    comment: str | None = None


class UserType(CatalogValue, frozen=True):
    """An enum, domain, composite or range type.

    Attributes:
        name: its name.
        kind: what it is.
        labels: of an enum, in their order.
        base: the type under a domain, or the subtype of a range.
        range_options: what else CREATE TYPE ... AS RANGE chose: operator class, collation, functions, multirange name.
        not_null, default, collation, constraints: of a domain.
        columns: of a composite type.
        owner, grants, comment: as everywhere.
    """

    name: QualifiedName
    kind: Literal["enum", "domain", "composite", "range"]
    labels: tuple[str, ...] = ()
    base: str | None = None
    range_options: str | None = None
    not_null: bool = False
    default: str | None = None
    collation: QualifiedName | None = None
    constraints: tuple[Constraint, ...] = ()
    columns: tuple[Column, ...] = ()
    owner: str = ""
    grants: tuple[Grant, ...] = ()
    comment: str | None = None


class Extension(CatalogValue, frozen=True):
    """An installed extension.

    Attributes:
        name: its name.
        schema: where its members are.
        version: its version.
        comment: its comment, which is the one of the server's file if nobody has said otherwise. Never compared by
            ``compare``.
    """

    name: str
    schema: str
    version: str
    comment: str | None = None


class Schema(CatalogValue, frozen=True):
    """A schema."""

    name: str
    owner: str = ""
    grants: tuple[Grant, ...] = ()
    comment: str | None = None


class PublishedTable(CatalogValue, frozen=True):
    """A table of a publication: its column list (empty for all columns) and row filter."""

    table: QualifiedName
    columns: tuple[str, ...] = ()
    where: str | None = None


class Publication(CatalogValue, frozen=True):
    """A publication of logical replication.

    Attributes:
        name: its name.
        owner: its owner.
        all_tables: FOR ALL TABLES.
        schemas: FOR TABLES IN SCHEMA.
        tables: FOR TABLE.
        operations: what it publishes: ``insert``, ``update``, ``delete``, ``truncate``.
        via_root: publish_via_partition_root.
        generated_columns: publish_generated_columns (PostgreSQL 18): empty for none, ``s`` for stored ones.
        comment: its comment.
    """

    name: str
    owner: str = ""
    all_tables: bool = False
    schemas: tuple[str, ...] = ()
    tables: tuple[PublishedTable, ...] = ()
    operations: tuple[str, ...] = ()
    via_root: bool = False
    generated_columns: str = ""
    comment: str | None = None


UNSEEN: Final = "options that this role may not see"
"""The definition of a user mapping of somebody else; what it is cannot be compared."""


class DatabaseObject(CatalogValue, frozen=True):
    """An object of a rarer kind, with its definition as one text.

    Attributes:
        kind: for example ``event trigger``, ``collation``, ``cast`` or ``default privileges``.
        name: for a person, quoted and qualified; with the kind, its identity.
        definition: everything else of it; never a secret.
        owner: its owner; empty where there is none.
        grants: privileges, where the kind has any.
        comment: its comment.
    """

    kind: str
    name: str
    definition: str = ""
    owner: str = ""
    grants: tuple[Grant, ...] = ()
    comment: str | None = None


class Brought(CatalogValue, frozen=True):
    """Something that PostgreSQL or an extension brought, and that has other privileges now than it came with.

    Attributes:
        kind: what it is, for example ``function``, ``view``, ``schema`` or ``column``.
        name: for a person and in a statement, quoted and qualified; with the kind, its identity.
        relation: the table or view of a column, likewise; empty for another kind.
        extension: whose member it is; empty for what is PostgreSQL's own.
        owner: its owner.
        grants: what those may do who may do something else than they could.
        initial: what these could do when it came.
        moved: whether it is PostgreSQL's own and has another owner than initdb gave it.
    """

    kind: str
    name: str
    relation: str = ""
    extension: str = ""
    owner: str = ""
    grants: tuple[Grant, ...] = ()
    initial: tuple[Grant, ...] = ()
    moved: bool = False


class Unread(CatalogValue, frozen=True):
    """Objects that somebody made and that no reader of ours shows: of them nobody can say that nothing differs.

    Attributes:
        catalog: the system catalog that lists them.
        count: how many there are, members of extensions not counted.
    """

    catalog: str
    count: int
