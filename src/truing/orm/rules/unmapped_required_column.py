"""TR316: a column that no INSERT of the ORM can do without, and that it does not know."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import Column as ModelColumn
from sqlalchemy.orm import Mapper

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


@rule("TR316", "unmapped-required-column", on=MappedTable, severity=Severity.ERROR, since="0.1")
def unmapped_required_column(subject: MappedTable, context: Context) -> Iterator[Problem]:
    """Find required columns that the models leave out.

    ## What it does
    Finds columns that are NOT NULL without a default in the database, and that no attribute is mapped to, or only one
    of a class that shares its table with others (single-table inheritance).

    ## Why is this bad?
    Every INSERT through the ORM fails (`NotNullViolation`); with single-table inheritance, every INSERT of the classes
    that do not have the column.

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
    if subject.live is None or not (subject.mappers or subject.secondary_of):
        return
    for column in subject.live.columns:
        known = [each for each in subject.table.columns if each.name == column.name]
        having = [mapper for mapper in subject.mappers if any(attribute(mapper, each) for each in known)]
        lacking = _siblings(subject, having, known) if having else subject.mappers
        given = any(each.default is not None or each.server_default is not None for each in known)
        if given or (known and not subject.mappers) or (having and not lacking):
            continue
        if not is_not_null(context.types, subject.live, column) or has_default(context.types, column):
            continue
        if may_write(context, subject.live, column.name, "INSERT"):
            continue
        names = ", ".join(mapper.class_.__name__ for mapper in lacking) or subject.name.sql
        told = f"only {having[0].class_.__name__} has it" if having else "nothing is mapped to it"
        where = f"{subject.name.sql}.{ident(column.name)}"
        yield Problem(
            f"every INSERT of {names} fails: {where} is NOT NULL without a default, and {told}.",
            subject=f"{subject.label}.{column.name}",
            remedy=(f"mapped_column(nullable=True) in {having[0].class_.__name__}, and:\n" if having else "")
            + (f"map {column.name} ({column.type}), or:\n" if not having else "")
            + f"ALTER TABLE {subject.name.sql} ALTER COLUMN {ident(column.name)} DROP NOT NULL;",
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
