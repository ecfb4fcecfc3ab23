"""TR341: a row that does not say which class it is."""

from __future__ import annotations

from collections.abc import Iterator

from truing.finding import Severity
from truing.names import ident
from truing.orm.context import Context
from truing.orm.live import (
    is_not_null,
)
from truing.orm.subjects import (
    MappedClass,
)
from truing.rule import Problem, rule


@rule("TR341", "nullable-discriminator", on=MappedClass, severity=Severity.WARNING, since="0.1")
def nullable_discriminator(subject: MappedClass, context: Context) -> Iterator[Problem]:
    """Find discriminators that may be NULL.

    ## What it does
    Finds `polymorphic_on` columns that may be NULL in the database.

    ## Why is this bad?
    A row without a discriminator cannot be loaded, and with it fails every query of the base class that meets it;
    queries of a subclass leave it out.

    ## Example
    ```python
    class Party(Base):
        __tablename__ = "parties"
        __mapper_args__ = {"polymorphic_on": "kind"}

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        kind: Mapped[str | None] = mapped_column(CheckConstraint("kind IN ('person')"))


    class Person(Party):
        __mapper_args__ = {"polymorphic_identity": "person"}
    ```
    Use instead:
    ```python
    class Party(Base):
        __tablename__ = "parties"
        __mapper_args__ = {"polymorphic_on": "kind"}

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        kind: Mapped[str] = mapped_column(CheckConstraint("kind IN ('person')"))


    class Person(Party):
        __mapper_args__ = {"polymorphic_identity": "person"}
    ```
    """
    (column, model), live = context.discriminator(subject), subject.owner.live
    # None is an identity like any other where a class claims it.
    if column is None or model is None or live is None or None in subject.mapper.polymorphic_map:
        return
    if is_not_null(context.types, live, column):
        return
    # Where the model says NOT NULL, it is said of the column already.
    if not model.nullable:
        return
    yield Problem(
        f"{subject.owner.column_name(column.name)} says which class a row is, and may be NULL: such a row cannot be"
        f" loaded, and no query of {subject.name} that meets it works.",
        remedy=f"ALTER TABLE {live.name.sql} ALTER COLUMN {ident(column.name)} SET NOT NULL;",
    )
