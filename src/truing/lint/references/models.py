"""Which tables do the models name? A MetaData (and its mappers) in; facts with the classes' source lines out.

Nothing is resolved that need not be: a string foreign key to a table that nobody mapped (``"auth.users.id"``) is read
as SQLAlchemy itself splits it, into schema, table and column at the dots.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import MetaData, Table
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Mapper
from sqlalchemy.orm.mapper import _all_registries

from truing.errors import ProjectError
from truing.finding import Location
from truing.lint.facts import Fact, Facts, Scope, Suppressor, TableReference, printed
from truing.names import ident
from truing.revisions.models import mapped_in
from truing.sql.comments import python_suppressions

if TYPE_CHECKING:
    from sqlalchemy import ForeignKey


def model_references(metadata: MetaData) -> Facts:
    """Collect the tables that models name: definitions, foreign keys, relationships, secondaries, mapped selectables.

    Args:
        metadata: the models' tables; the mappers of every registry with this MetaData are looked at too.

    Raises:
        ProjectError: the mappers cannot be configured.
    """
    mappers = _mappers(metadata)
    places = _Places(mappers)
    facts: list[Fact] = []
    for table in metadata.tables.values():
        facts += _table_facts(table, places)
    for mapper in mappers:
        facts += _mapper_facts(mapper, metadata, places)
    return Facts(tuple(dict.fromkeys(facts)), places.suppressors())


def _mappers(metadata: MetaData) -> list[Mapper[Any]]:
    found: dict[Mapper[Any], None] = {}
    # SQLAlchemy has no public way from a MetaData to the registries that use it.
    for each in _all_registries():
        if each.metadata is not metadata:
            continue
        try:
            each.configure(cascade=True)
        except SQLAlchemyError as error:
            raise ProjectError(f"The models cannot be configured: {error}") from error
        found.update(dict.fromkeys(sorted(mapped_in(each), key=lambda mapper: mapper.class_.__qualname__)))
    return list(found)


def _table_facts(table: Table, places: _Places) -> Iterator[TableReference]:
    subject = printed(table.schema, table.name)
    place = places.of_table(table)
    yield TableReference(
        origin="models",
        subject=subject,
        schema=table.schema,
        name=table.name,
        action="is described as a table of ours:",
        referrer=(table.schema, table.name),
        definition=True,
        **place,
    )
    for key in sorted(table.foreign_keys, key=lambda each: (each.parent.name, each.target_fullname)):
        schema, name = _target(key)
        yield TableReference(
            origin="models",
            subject=f"{subject}.{ident(key.parent.name)}",
            schema=schema,
            name=name,
            action="has a foreign key to",
            referrer=(table.schema, table.name),
            **place,
        )


def _target(key: ForeignKey) -> tuple[str | None, str]:
    """Schema and table that a foreign key points at, without resolving a string."""
    column = key._column if hasattr(key, "_column") else None  # noqa: SLF001 - `.column` would resolve the string
    if column is not None and isinstance(column.table, Table):
        return column.table.schema, column.table.name
    words = key.target_fullname.split(".")
    # One word is a table whose column has the name of ours; else: schema words, table, column.
    table = words[-2] if len(words) > 1 else words[0]
    schema = ".".join(words[:-2]) or None
    parent = key.parent.table
    return schema if schema is not None else parent.metadata.schema, table


def _mapper_facts(mapper: Mapper[Any], metadata: MetaData, places: _Places) -> Iterator[TableReference]:
    place = places.of_class(mapper.class_)
    own = mapper.local_table
    referrer = (own.schema, own.name) if isinstance(own, Table) else None
    # Tables of this MetaData have a fact of their own already.
    others = [table for table in mapper.tables if isinstance(table, Table) and table.metadata is not metadata]
    seen: list[tuple[str, str, Any]] = [(mapper.class_.__name__, "is mapped to", table) for table in others]
    for relationship in mapper.relationships:
        subject = f"{mapper.class_.__name__}.{relationship.key}"
        seen += [(subject, "is a relationship to", table) for table in relationship.mapper.tables]
        if relationship.secondary is not None:
            seen.append((subject, "is a relationship through", relationship.secondary))
    for subject, action, table in seen:
        if isinstance(table, Table):
            yield TableReference(
                origin="models",
                subject=subject,
                schema=table.schema,
                name=table.name,
                action=action,
                referrer=referrer,
                **place,
            )


class _Places:
    """Where classes are written, and the suppressions in those files."""

    def __init__(self, mappers: Iterable[Mapper[Any]]) -> None:
        self._classes = {mapper.local_table: mapper.class_ for mapper in mappers if not mapper.inherits}
        self._files: dict[str, str] = {}

    def of_table(self, table: Table) -> dict[str, Any]:
        """The place of the class that a table is mapped by; nothing for a bare Table."""
        return self.of_class(self._classes.get(table))

    def of_class(self, class_: type | None) -> dict[str, Any]:
        """Location and scope of a class."""
        if class_ is None:
            return {}
        try:
            file = inspect.getsourcefile(class_)
            lines, first = inspect.getsourcelines(class_)
        except (OSError, TypeError):
            return {}
        if file is None:
            return {}
        shown = _shown(file)
        self._files[shown] = file
        return {"location": Location(shown, first), "scopes": (Scope(shown, first, first + len(lines) - 1),)}

    def suppressors(self) -> tuple[Suppressor, ...]:
        """The suppressions in all files that a class was found in."""
        return tuple(
            Suppressor(shown, each.names, each.target, Location(shown, each.line), each.problem)
            for shown, file in self._files.items()
            for each in python_suppressions(Path(file).read_text(encoding="utf-8", errors="replace"))
        )


def _shown(file: str) -> str:
    path = Path(file)
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
