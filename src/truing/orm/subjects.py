"""What do rules about mappers look at? Tables, columns, classes, relationships and the foreign keys that are there.

Each has its counterpart in the database beside it.
A rule names the type of its subject (``on=``) and yields messages or problems; the engine adds name and place.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import msgspec
from sqlalchemy import Column as ModelColumn
from sqlalchemy import Table as ModelTable
from sqlalchemy.orm import Mapper, RelationshipProperty
from sqlalchemy.orm.exc import UnmappedColumnError
from sqlalchemy.orm.interfaces import RelationshipDirection

from truing.catalog.model import Column, Constraint, Table, View
from truing.names import QualifiedName, ident
from truing.orm.annotations import is_optional
from truing.orm.sources import Place

Pairs = tuple[tuple[ModelColumn[Any], ModelColumn[Any]], ...]
"""(referenced column, referring column) of a relationship."""


def attribute(mapper: Mapper[Any], column: ModelColumn[Any]) -> str | None:
    """Return the name of the attribute that a class has for a column; None where it leaves the column out."""
    try:
        return str(mapper.get_property_by_column(column).key)
    except UnmappedColumnError:
        return None


class Subject(msgspec.Struct, frozen=True, kw_only=True, eq=False, dict=True):
    """Base of all subjects.

    Attributes:
        label: what findings call it.
        place: where it is written; None where no class has it.
    """

    label: str
    place: Place | None = None


class MappedTable(Subject, frozen=True, kw_only=True, eq=False, dict=True):
    """A table of the models.

    Attributes:
        table: as the models have it.
        name: where it is in the database, by the search path.
        live: the table there; None where it is a view, missing, or left out of the snapshot.
        view: the view there.
        exists: whether there is any such relation.
        writable: whether rows of it can be written.
        mappers: the classes that are mapped to it.
        secondary_of: the relationships that go through it.
        classes: what each class is called (:attr:`truing.orm.context.Context.class_names`).
    """

    table: ModelTable
    name: QualifiedName
    live: Table | None = None
    view: View | None = None
    exists: bool = True
    writable: bool = True
    mappers: tuple[Mapper[Any], ...] = ()
    secondary_of: tuple[RelationshipProperty[Any], ...] = ()
    classes: Mapping[Mapper[Any], str] = msgspec.field(default_factory=dict)

    @property
    def class_names(self) -> str:
        """The classes that are mapped to it, for a message; empty where there is none."""
        return ", ".join(self.classes[mapper] for mapper in self.mappers)

    def column_name(self, name: str) -> str:
        """Write a column of it for a message: by its mapped name where it has one."""
        for mapper in self.mappers:
            for column in self.table.columns:
                if column.name == name and (key := attribute(mapper, column)):
                    return f"{self.classes[mapper]}.{key}"
        return f"{self.name.name}.{name}"


class MappedColumn(Subject, frozen=True, kw_only=True, eq=False, dict=True):
    """A column of a mapped table.

    Attributes:
        owner: its table.
        column: as the models have it.
        live: the column there; None where it is missing.
        mapper: the class that has it as an attribute; None for tables without a class.
        key: the attribute's name; the column's where there is no class.
    """

    owner: MappedTable
    column: ModelColumn[Any]
    live: Column | None = None
    mapper: Mapper[Any] | None = None
    key: str = ""

    @cached_property
    def optional(self) -> bool | None:
        """Whether its annotation has None in it; None where it has no annotation."""
        return is_optional(self.mapper.class_, self.key) if self.mapper else None

    @property
    def path(self) -> str:
        """The column as a statement names it."""
        return f"{self.owner.name.sql}.{ident(self.column.name)}"


class MappedClass(Subject, frozen=True, kw_only=True, eq=False, dict=True):
    """A mapped class.

    Attributes:
        mapper: its mapper.
        owner: the table that it adds: its own, or that of its parent for single-table inheritance.
    """

    mapper: Mapper[Any]
    owner: MappedTable

    @property
    def name(self) -> str:
        """The class's name."""
        return self.label

    @property
    def has_own_table(self) -> bool:
        """Whether it does not share the table of the class it inherits from."""
        parent = self.mapper.inherits
        return parent is None or parent.local_table is not self.mapper.local_table


class MappedRelationship(Subject, frozen=True, kw_only=True, eq=False, dict=True):
    """A relationship that the unit of work acts on (never a viewonly one), on the class that declares it.

    Attributes:
        relationship: as SQLAlchemy has it.
        parent: the name of the class that declares it.
        target: the name of the class that it leads to.
        pairs: its columns; for one through a secondary, those of the declaring side.
        secondary_pairs: those of the other side.
        key: the foreign key in the database behind the pairs.
        referring: the table with the foreign key; None where the columns are of several.
        referenced: the table that it points at.
        twins: other relationships of the same class over the same columns.
    """

    relationship: RelationshipProperty[Any]
    parent: str
    target: str
    pairs: Pairs
    secondary_pairs: Pairs = ()
    key: Constraint | None = None
    referring: MappedTable | None = None
    referenced: MappedTable | None = None
    twins: tuple[RelationshipProperty[Any], ...] = ()

    @property
    def a_parent(self) -> str:
        """The class on its own side with its article: ``a User``, ``an Order``."""
        return with_article(self.parent)

    @property
    def is_one_to_many(self) -> bool:
        """Whether the other side has the foreign key."""
        return self.relationship.direction is RelationshipDirection.ONETOMANY

    @property
    def is_many_to_many(self) -> bool:
        """Whether it goes through a secondary."""
        return self.relationship.direction is RelationshipDirection.MANYTOMANY

    @property
    def deletes(self) -> bool:
        """Whether the session deletes the children of a deleted parent."""
        return "delete" in self.relationship.cascade

    @property
    def post_update(self) -> bool:
        """Whether its foreign key is written in an UPDATE of its own, when all rows are there."""
        return bool(self.relationship.post_update)

    @property
    def passive(self) -> bool | str:
        """``passive_deletes``: False, True or ``all``."""
        return self.relationship.passive_deletes

    @property
    def cannot_be_loaded(self) -> bool:
        """Whether deleting a parent raises, because the session would load children that are only written."""
        collects = self.is_one_to_many or self.is_many_to_many
        return self.relationship.lazy == "write_only" and collects and not self.passive

    @property
    def referring_columns(self) -> tuple[str, ...]:
        """The names of the columns with the foreign key."""
        return tuple(str(pair[1].name) for pair in self.pairs)

    def live_columns(self) -> tuple[Column, ...]:
        """The columns with the foreign key, as the database has them."""
        live = self.referring.live if self.referring else None
        found = (live.column(name) if live else None for name in self.referring_columns)
        return tuple(each for each in found if each is not None)

    @property
    def written(self) -> str:
        """The referring columns for a message: ``Child.parent_id``."""
        owner = self.referring
        return ", ".join(owner.column_name(n) if owner else n for n in self.referring_columns)

    @property
    def has_other_conditions(self) -> bool:
        """Whether its join says more than which columns are equal."""
        from sqlalchemy.sql.elements import BinaryExpression, BindParameter  # noqa: PLC0415
        from sqlalchemy.sql.visitors import iterate  # noqa: PLC0415

        elements = list(iterate(self.relationship.primaryjoin))
        comparisons = sum(isinstance(each, BinaryExpression) for each in elements)
        return comparisons != len(self.pairs) or any(isinstance(each, BindParameter) for each in elements)


class LiveForeignKey(Subject, frozen=True, kw_only=True, eq=False, dict=True):
    """A foreign key that the database has on a mapped table.

    Attributes:
        owner: the table with the key.
        key: the constraint.
        parent: the mapped table that it points at; None where it is not of the models.
        relationships: those over its columns.
    """

    owner: MappedTable
    key: Constraint
    parent: MappedTable | None = None
    relationships: tuple[MappedRelationship, ...] = ()

    @property
    def table(self) -> Table:
        """The table with the key, as the database has it."""
        if self.owner.live is None:  # pragma: no cover - it is where the key was found
            raise AssertionError
        return self.owner.live

    @property
    def written(self) -> str:
        """The key's columns for a message: ``Child.parent_id``."""
        return ", ".join(map(self.owner.column_name, self.key.columns))

    @property
    def target(self) -> str:
        """The table that it points at, for a message."""
        return self.key.references.sql if self.key.references else ""


class MapperWarning(Subject, frozen=True, kw_only=True, eq=False, dict=True):
    """Something that SQLAlchemy itself warned of; ``mirrored`` where another rule says it better."""

    text: str
    mirrored: bool = False


def with_article(noun: str) -> str:
    """Put the article before a class's name, by how its beginning is spoken: ``an Order``, ``a User``."""
    spoken_as_vowel = noun[:1] in tuple("AEIOUaeiou") and not re.match(r"(?i)us|uni|uti|eu|one", noun)
    return f"{'an' if spoken_as_vowel else 'a'} {noun}"


def has_subclass_table(subject: MappedColumn) -> bool:
    """Tell whether a column is a subclass's in its parent's table, where rows of other classes leave it empty."""
    mapper = subject.mapper
    return mapper is not None and mapper.inherits is not None and mapper.inherits.local_table is mapper.local_table
