"""What do rules about mappers know beside their subject? The models and the database, matched to each other.

MetaData, mappers, a snapshot and what it leaves out go in; a :class:`Context` with every subject comes out.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any, Final

from sqlalchemy import Column as ModelColumn
from sqlalchemy import MetaData
from sqlalchemy import Table as ModelTable
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Mapper, RelationshipProperty

from truing.catalog.model import Column as LiveColumn
from truing.catalog.model import Constraint, Function, Sequence, Snapshot, UserType
from truing.catalog.usage import Usage
from truing.config import Config
from truing.names import QualifiedName
from truing.orm.creation import key_names
from truing.orm.cycles import flush_cycles, required_cycles
from truing.orm.live import is_not_null
from truing.orm.mirrors import mirrors
from truing.orm.sources import Sources
from truing.orm.subjects import (
    LiveForeignKey,
    MappedClass,
    MappedColumn,
    MappedRelationship,
    MappedTable,
    Pairs,
    Subject,
    attribute,
)
from truing.patterns import fitting

_NEXT: Final = re.compile(r"nextval\('((?:[^']|'')+)'::regclass\)")
"""A default that asks a sequence, as ``pg_get_expr`` prints it."""


class Context:
    """Everything that a run is about.

    Attributes:
        config: the configuration.
        snapshot: the database.
        usage: what the snapshot leaves out.
        sources: where the models are written.
        tables: the tables of the models.
        mappers: the mapped classes, parents first.
    """

    def __init__(
        self,
        config: Config,
        snapshot: Snapshot,
        usage: Usage,
        metadatas: Iterable[MetaData],
        mappers: Iterable[Mapper[Any]],
    ) -> None:
        """Match models and database.

        Args:
            config: the configuration.
            snapshot: the database.
            usage: what the snapshot leaves out.
            metadatas: the models' tables.
            mappers: the classes mapped to them, configured (:func:`truing.revisions.models.mappers_of`).
        """
        self.config, self.snapshot, self.usage = config, snapshot, usage
        self.sources = Sources()
        self.mappers = tuple(mappers)
        tables = {table: None for metadata in metadatas for table in metadata.tables.values()}
        tables |= {table: None for mapper in self.mappers for table in mapper.tables if isinstance(table, ModelTable)}
        self._relationships_raw = [each for mapper in self.mappers for each in _own_relationships(mapper)]
        owners, secondaries = self._owners(), self._secondaries()
        self.tables: Mapping[ModelTable, MappedTable] = {
            table: self._table(table, owners[table], secondaries[table]) for table in tables
        }

    @cached_property
    def class_names(self) -> Mapping[Mapper[Any], str]:
        """What each class is called: by its name, and with its module where several have that name."""
        many = Counter(mapper.class_.__name__ for mapper in self.mappers)
        return {
            mapper: name if many[name] == 1 else f"{mapper.class_.__module__}.{mapper.class_.__qualname__}"
            for mapper in self.mappers
            for name in (mapper.class_.__name__,)
        }

    @cached_property
    def by_name(self) -> Mapping[QualifiedName, MappedTable]:
        """The tables of the models, by where they are in the database."""
        return {each.name: each for each in self.tables.values()}

    @cached_property
    def types(self) -> Mapping[str, UserType]:
        """Enums, domains and so on, by how ``format_type`` prints them."""
        return {each.name.sql: each for each in self.snapshot.types}

    @cached_property
    def columns(self) -> Mapping[MappedTable, tuple[MappedColumn, ...]]:
        """The columns of each table that is there."""
        return {table: tuple(self._columns(table)) for table in self.tables.values()}

    @cached_property
    def relationships(self) -> tuple[MappedRelationship, ...]:
        """The relationships that the unit of work acts on."""
        return tuple(map(self._relationship, self._relationships_raw))

    @cached_property
    def relationships_of(self) -> Mapping[Mapper[Any], list[MappedRelationship]]:
        """The relationships of each class hierarchy, by its base."""
        found: defaultdict[Mapper[Any], list[MappedRelationship]] = defaultdict(list)
        for each in self.relationships:
            found[each.relationship.parent.base_mapper].append(each)
        return found

    @cached_property
    def _relationships_along(self) -> Mapping[tuple[int, MappedTable], list[MappedRelationship]]:
        """The relationships along each foreign key of a table."""
        found: defaultdict[tuple[int, MappedTable], list[MappedRelationship]] = defaultdict(list)
        for each in self.relationships:
            if each.key is not None and each.referring is not None:
                found[id(each.key), each.referring].append(each)
        return found

    @cached_property
    def foreign_keys(self) -> tuple[LiveForeignKey, ...]:
        """The foreign keys that the database has on mapped tables; those of partitions are their parent's."""
        return tuple(
            self._foreign_key(table, key)
            for table in self.tables.values()
            if table.live
            for key in table.live.foreign_keys
            if not key.inherited
        )

    @cached_property
    def mirrors(self) -> Mapping[MappedRelationship, tuple[MappedRelationship, ...]]:
        """The relationships that are another one's other side without saying so, by the first of the two."""
        found: defaultdict[MappedRelationship, list[MappedRelationship]] = defaultdict(list)
        for one, other in mirrors(self.relationships):
            found[one].append(other)
        return {one: tuple(others) for one, others in found.items()}

    @cached_property
    def required_cycles(self) -> tuple[tuple[LiveForeignKey, ...], ...]:
        """The circles of required foreign keys."""
        return required_cycles(self.types, self.foreign_keys)

    @cached_property
    def cascading(self) -> Mapping[QualifiedName, frozenset[QualifiedName]]:
        """The tables whose rows go with those of a table, directly."""
        keys = [(each.name, key) for each in self.snapshot.tables for key in each.foreign_keys if key.references]
        found: defaultdict[QualifiedName, set[QualifiedName]] = defaultdict(set)
        for name, key in keys:
            if key.references and key.on_delete == "CASCADE" and key.enforced:
                found[key.references].add(name)
        return {name: frozenset(each) for name, each in found.items()}

    @cached_property
    def flush_cycles(self) -> tuple[tuple[LiveForeignKey, ...], ...]:
        """The circles of relationships that one flush cannot write."""
        return flush_cycles(self.types, self.foreign_keys)

    @cached_property
    def counters(self) -> Mapping[QualifiedName, tuple[tuple[str, Sequence], ...]]:
        """The columns that a sequence counts, with it, by the table: their own, or one that a default asks."""
        by_name = {each.name.sql: each for each in self.snapshot.sequences}
        found: defaultdict[QualifiedName, dict[tuple[str, str], Sequence]] = defaultdict(dict)
        for each in self.snapshot.sequences:
            if each.owned_by is not None:
                found[each.owned_by.table][each.owned_by.column, each.name.sql] = each
        for table in filter(None, (each.live for each in self.tables.values())):
            for column in table.columns:
                asked = _NEXT.fullmatch(column.default or "")
                if asked and (sequence := by_name.get(asked[1].replace("''", "'"))):
                    found[table.name][column.name, sequence.name.sql] = sequence
        return {name: tuple((key[0], each) for key, each in pairs.items()) for name, pairs in found.items()}

    @cached_property
    def functions(self) -> Mapping[QualifiedName, Function]:
        """Functions by name; trigger functions have no arguments, so that it is enough."""
        return {each.name: each for each in self.snapshot.functions}

    @cached_property
    def relation_names(self) -> Counter[tuple[str | None, str]]:
        """How often the models use each name of a table, an index or a key, by schema."""
        return Counter((table.schema, name) for table in self.tables for name in (str(table.name), *key_names(table)))

    @cached_property
    def classes(self) -> tuple[MappedClass, ...]:
        """The mapped classes with a table that is there."""
        return tuple(
            MappedClass(
                label=self.class_names[mapper],
                place=self.sources.of(mapper.class_),
                mapper=mapper,
                owner=self.tables[mapper.local_table],
            )
            for mapper in self.mappers
            if isinstance(mapper.local_table, ModelTable) and self.tables[mapper.local_table].exists
        )

    def subjects(self) -> Iterator[Subject]:
        """Give every subject, tables that are missing included (of those nothing else is said)."""
        yield from self.tables.values()
        for table, columns in self.columns.items():
            if table.exists:
                yield from columns
        yield from self.classes
        yield from self.relationships
        yield from self.foreign_keys

    def name_of(self, table: ModelTable) -> QualifiedName:
        """Find a table of the models in the database: in its schema, a tenant's, or along the search path."""
        asked = self.schemas_of(None if table.schema is None else str(table.schema))
        places = [QualifiedName(schema, str(table.name)) for schema in asked]
        return next((place for place in places if place in self.usage.relations), places[0])

    def schemas_of(self, schema: str | None) -> tuple[str, ...]:
        """Name the schemas of the database that the models may mean.

        Args:
            schema: as the models have it; None for the search path.
        """
        path = self.usage.search_path or ("public",)
        asked = path if schema is None else (schema,)
        if self._tenant is not None and (self.config.tenant_model_schema or path[0]) in asked:
            return (self._tenant, *asked)
        return asked

    @cached_property
    def _tenant(self) -> str | None:
        """The first of the schemas that each have one tenant's tables."""
        pattern = self.config.tenant_schemas
        schemas = [each.name for each in self.snapshot.schemas]
        return next(iter(sorted(fitting(pattern, schemas, source="tenant-schemas"))), None) if pattern else None

    def type_of(self, printed: str) -> str:
        """Return the type under a domain, or the type itself."""
        found = self.types.get(printed)
        return self.type_of(found.base) if found and found.kind == "domain" and found.base else printed

    def _owners(self) -> Mapping[Any, list[Mapper[Any]]]:
        owners: defaultdict[Any, list[Mapper[Any]]] = defaultdict(list)
        for mapper in self.mappers:
            owners[mapper.local_table].append(mapper)
        return owners

    def _secondaries(self) -> Mapping[Any, list[RelationshipProperty[Any]]]:
        found: defaultdict[Any, list[RelationshipProperty[Any]]] = defaultdict(list)
        for each in self._relationships_raw:
            if each.secondary is not None:
                found[each.secondary].append(each)
        return found

    def _table(
        self, table: ModelTable, mappers: list[Mapper[Any]], secondary_of: list[RelationshipProperty[Any]]
    ) -> MappedTable:
        name = self.name_of(table)
        place = self.sources.of(mappers[0].class_) if mappers else None
        if secondary_of and not mappers:
            place = self.sources.of_table(secondary_of[0].parent.class_, str(table.name))
        return MappedTable(
            label=name.sql,
            place=place,
            table=table,
            name=name,
            live=self.snapshot.table(name),
            view=self.snapshot.view(name),
            exists=name in self.usage.relations,
            writable=self.usage.relations.get(name, False),
            mappers=tuple(mappers),
            secondary_of=tuple(secondary_of),
            classes=self.class_names,
        )

    def _columns(self, table: MappedTable) -> Iterator[MappedColumn]:
        relation = table.live or table.view
        live = {each.name: each for each in relation.columns} if relation else {}
        for column in table.table.columns:
            mapper = next((each for each in table.mappers if attribute(each, column)), None)
            key = (attribute(mapper, column) if mapper else None) or str(column.name)
            yield MappedColumn(
                label=f"{self.class_names[mapper]}.{key}" if mapper else f"{table.label}.{column.name}",
                place=self.sources.of(mapper.class_, key) if mapper else table.place,
                owner=table,
                column=column,
                live=live.get(str(column.name)),
                mapper=mapper,
                key=key,
            )

    def _relationship(self, relationship: RelationshipProperty[Any]) -> MappedRelationship:
        pairs = _pairs(relationship.synchronize_pairs)
        referring, referenced = self._one_table(pairs, 1), self._one_table(pairs, 0)
        twins = (
            each
            for each in relationship.parent.relationships
            if each is not relationship
            and each.parent is relationship.parent
            and not each.viewonly
            and each.direction is relationship.direction
            and _same(each.synchronize_pairs or (), pairs)
        )
        return MappedRelationship(
            label=f"{self.class_names[relationship.parent]}.{relationship.key}",
            place=self.sources.of(relationship.parent.class_, relationship.key),
            relationship=relationship,
            parent=self.class_names[relationship.parent],
            target=self.class_names.get(relationship.mapper, relationship.mapper.class_.__name__),
            pairs=pairs,
            secondary_pairs=_pairs(relationship.secondary_synchronize_pairs),
            key=self.key_of(pairs),
            referring=referring,
            referenced=referenced,
            twins=tuple(twins),
        )

    def key_of(self, pairs: Pairs) -> Constraint | None:
        """Find the foreign key that the database has over all these columns."""
        referring, referenced = self._one_table(pairs, 1), self._one_table(pairs, 0)
        if referring is None or referenced is None or referring.live is None:
            return None
        wanted = {(str(to.name), str(by.name)) for to, by in pairs}
        fitting = (
            key
            for key in referring.live.foreign_keys
            if key.references == referenced.name
            and wanted <= set(zip(key.referenced_columns, key.columns, strict=True))
            and not key.inherited
        )
        # The one over just these columns says most about them.
        return min(fitting, key=lambda key: len(key.columns), default=None)

    def discriminator(self, subject: MappedClass) -> tuple[LiveColumn | None, ModelColumn[Any] | None]:
        """Find the column that says which class a row of a hierarchy is, there and in the model.

        Returns:
            None twice on subclasses, and where it is an expression or the column of another table.
        """
        column, live = subject.mapper.polymorphic_on, subject.owner.live
        if subject.mapper.inherits is not None or live is None or not isinstance(column, ModelColumn):
            return None, None
        return (live.column(str(column.name)), column) if column.table is subject.owner.table else (None, None)

    def can_have_key(self, pairs: Pairs) -> bool:
        """Tell whether the database could have a foreign key over these columns."""
        sides = [self._one_table(pairs, 1), self._one_table(pairs, 0)]
        return all(each and each.live and each.live.kind != "foreign-table" for each in sides)

    def refuses_null(self, relationship: MappedRelationship) -> bool:
        """Tell whether the children's foreign key cannot be set to NULL: by the database, or as part of their key."""
        live = relationship.referring.live if relationship.referring else None
        if live is None:
            return False
        keyed = any(by.primary_key for _, by in relationship.pairs)
        return keyed or any(is_not_null(self.types, live, column) for column in relationship.live_columns())

    def _one_table(self, pairs: Pairs, side: int) -> MappedTable | None:
        tables = {pair[side].table for pair in pairs}
        return self.tables.get(tables.pop()) if len(tables) == 1 else None

    def _foreign_key(self, table: MappedTable, key: Constraint) -> LiveForeignKey:
        column = next((each for each in self.columns[table] if each.column.name == key.columns[0]), None)
        return LiveForeignKey(
            label=f"{table.label}.{key.name}",
            place=(column.place if column else None) or table.place,
            owner=table,
            key=key,
            parent=self.by_name.get(key.references) if key.references else None,
            relationships=tuple(self._relationships_along.get((id(key), table), ())),
        )


def _own_relationships(mapper: Mapper[Any]) -> Iterator[RelationshipProperty[Any]]:
    for each in mapper.relationships:
        if each.parent is mapper and not each.viewonly:
            try:
                each.synchronize_pairs  # noqa: B018 - reading it is what may fail
            except (AttributeError, SQLAlchemyError):  # pragma: no cover - a relationship that was never configured
                continue
            yield each


def _pairs(found: Iterable[tuple[object, object]] | None) -> Pairs:
    """Take the pairs of a relationship; none where they are more than columns of tables."""
    pairs = [(to, by) for to, by in found or () if isinstance(to, ModelColumn) and isinstance(by, ModelColumn)]
    return tuple(pairs) if len(pairs) == len(list(found or ())) else ()


def _same(one: Iterable[Any], other: Iterable[Any]) -> bool:
    return {tuple(map(id, pair)) for pair in one} == {tuple(map(id, pair)) for pair in other}
