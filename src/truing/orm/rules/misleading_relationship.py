"""TR364: a relationship that is annotated as always there and may be None."""

from __future__ import annotations

from collections.abc import Iterator

from truing.finding import Severity
from truing.orm.annotations import is_optional
from truing.orm.context import Context
from truing.orm.live import is_not_null
from truing.orm.subjects import MappedRelationship
from truing.rule import Problem, rule


@rule("TR364", "misleading-relationship", on=MappedRelationship, severity=Severity.WARNING, since="0.1")
def misleading_relationship(subject: MappedRelationship, context: Context) -> Iterator[Problem]:
    """Find relationships annotated as never None over a key that may be NULL.

    ## What it does
    Finds many-to-one relationships annotated `Mapped[X]` whose foreign key may be NULL, in the model and in the
    database.

    ## Why is this bad?
    The type checker passes code that fails on the first row without a parent: `'NoneType' object has no attribute ...`.

    ## Example
    ```python
    class Tenant(Base):
        __tablename__ = "tenants"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)


    class Profile(Base):
        __tablename__ = "profiles"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        tenant_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("tenants.id"), index=True)
        tenant: Mapped[Tenant] = relationship()
    ```
    Use instead:
    ```python
    class Tenant(Base):
        __tablename__ = "tenants"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)


    class Profile(Base):
        __tablename__ = "profiles"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        tenant_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("tenants.id"), index=True)
        tenant: Mapped[Tenant | None] = relationship()
    ```

    ## When it is quiet
    Where the foreign key is a subclass's in its parent's table, which has to take NULL for rows of other classes.
    """
    mapper, live = subject.relationship.parent, subject.referring.live if subject.referring else None
    if live is None or subject.is_one_to_many or subject.is_many_to_many or subject.relationship.uselist:
        return
    if mapper.inherits is not None and mapper.inherits.local_table is mapper.local_table:
        return
    if is_optional(mapper.class_, subject.relationship.key) is not False:
        return
    empty = [
        by
        for _, by in subject.pairs
        if by.nullable
        and (column := live.column(str(by.name))) is not None
        and not is_not_null(context.types, live, column)
    ]
    if not empty:
        return
    name = subject.referring.column_name(str(empty[0].name)) if subject.referring else ""
    yield Problem(
        f"{subject.label} is annotated as never None, but {name} may be NULL: what comes back is None.",
        remedy=f"{subject.relationship.key}: Mapped[{subject.relationship.mapper.class_.__name__} | None]",
    )
