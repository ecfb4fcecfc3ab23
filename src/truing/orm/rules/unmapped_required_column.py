"""TR316: a column that no INSERT of the ORM can do without, and that it does not know."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import Column as ModelColumn
from sqlalchemy.orm import Mapper, RelationshipProperty

from truing.finding import Severity
from truing.names import ident
from truing.orm.context import Context
from truing.orm.live import (
    has_default,
    is_not_null,
)
from truing.orm.subjects import (
    MappedTable,
    attribute,
)
from truing.orm.triggers import may_write
from truing.rule import Problem, rule


@rule(
    "TR316",
    "unmapped-required-column",
    on=MappedTable,
    severity=Severity.ERROR,
    since="0.1",
    varies="warning for the secondary of a relationship that a class is mapped to as well",
)
def unmapped_required_column(subject: MappedTable, context: Context) -> Iterator[Problem]:
    """Find required columns that the models leave out.

    ## What it does
    Finds columns that are NOT NULL without a default in the database, and that no attribute is mapped to, or only one
    of a class that shares its table with others (single-table inheritance); and such columns of a `secondary` beside
    its foreign keys.

    ## Why is this bad?
    Every INSERT through the ORM fails (`NotNullViolation`); with single-table inheritance, every INSERT of the classes
    that do not have the column; through a `secondary`, every addition to the collection.

    ## Example
    ```python
    class Profile(Base):
        __tablename__ = "profiles"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)


    op.execute("ALTER TABLE profiles ADD COLUMN locale text NOT NULL")
    ```
    Use instead:
    ```python
    class Profile(Base):
        __tablename__ = "profiles"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        locale: Mapped[str] = mapped_column(Text)
    ```

    ## When it is quiet
    Where a BEFORE INSERT trigger fills the column, or might.
    """
    live = subject.live
    for column in live.columns if live else ():
        known = [each for each in subject.table.columns if each.name == column.name]
        given = any(each.default is not None or each.server_default is not None for each in known)
        if live is None or given or not is_not_null(context.types, live, column) or has_default(context.types, column):
            continue
        if may_write(context, live, column.name, "INSERT"):
            continue
        having = [each for each in subject.mappers if any(attribute(each, one) for one in known)]
        lacking = _siblings(subject, having, known) if having else subject.mappers
        through = [each for each in subject.secondary_of if not _writes(each, column.name)]
        where = f"{subject.name.sql}.{ident(column.name)} is NOT NULL without a default"
        nullable = f"ALTER TABLE {subject.name.sql} ALTER COLUMN {ident(column.name)} DROP NOT NULL;"
        if lacking:
            names = ", ".join(map(context.class_names.__getitem__, lacking))
            told = f"only {context.class_names[having[0]]} has it" if having else "nothing is mapped to it"
            message = f"every INSERT of {names} fails: {where}, and {told}."
            remedy = f"mapped_column(nullable=True), and:\n{nullable}"
            if not having:
                remedy = f"map {column.name} ({column.type}), or:\n{nullable}"
        elif through:
            names = ", ".join(f"{context.class_names[each.parent]}.{each.key}" for each in through)
            message = f"adding to {names} fails: {where}, and a secondary's row is written with its keys alone."
            remedy = f"relationship(..., viewonly=True), and objects of {subject.class_names}" if having else nullable
        else:
            continue
        yield Problem(
            message,
            subject=f"{subject.label}.{column.name}",
            remedy=remedy,
            severity=None if lacking or not having else Severity.WARNING,
        )


def _siblings(
    subject: MappedTable, having: Sequence[Mapper[Any]], known: Iterable[ModelColumn[Any]]
) -> tuple[Mapper[Any], ...]:
    """Find the classes of the same hierarchy that insert into the table and leave the column out."""
    hierarchy = dict.fromkeys(each for mapper in having for each in mapper.base_mapper.self_and_descendants)
    return tuple(
        each
        for each in hierarchy
        # A base without an identity of its own is never inserted.
        if each.polymorphic_identity is not None
        and subject.table in each.tables
        and not any(attribute(each, column) for column in known)
    )


def _writes(relationship: RelationshipProperty[Any], column: str) -> bool:
    """Tell whether a relationship through a secondary gives a column of it."""
    pairs = (*(relationship.synchronize_pairs or ()), *(relationship.secondary_synchronize_pairs or ()))
    return any(by.name == column for _, by in pairs)
