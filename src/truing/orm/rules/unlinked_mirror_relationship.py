"""TR312: two relationships that are each other's other side and do not know it."""

from __future__ import annotations

from collections.abc import Iterator

from truing.finding import Severity
from truing.orm.context import Context
from truing.orm.subjects import (
    MappedRelationship,
)
from truing.rule import Problem, rule


@rule("TR312", "unlinked-mirror-relationship", on=MappedRelationship, severity=Severity.WARNING, since="0.1")
def unlinked_mirror_relationship(subject: MappedRelationship, context: Context) -> Iterator[Problem]:
    """Find mirror relationships without back_populates.

    ## What it does
    Finds two relationships over the same columns, one from each side, that are not tied by `back_populates`.

    ## Why is this bad?
    Both write the same column. After `child.parent = p` the child is missing in `p.children` until it is loaded again,
    and where both sides are changed, the one that is flushed last wins.

    ## Example
    ```python
    class Tenant(Base):
        __tablename__ = "tenants"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        profiles: Mapped[list["Profile"]] = relationship()


    class Profile(Base):
        __tablename__ = "profiles"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        tenant_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("tenants.id"), index=True)
        tenant: Mapped[Tenant | None] = relationship()
    ```
    Use instead:
    ```python
    class Tenant(Base):
        __tablename__ = "tenants"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        profiles: Mapped[list["Profile"]] = relationship(back_populates="tenant")


    class Profile(Base):
        __tablename__ = "profiles"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        tenant_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("tenants.id"), index=True)
        tenant: Mapped[Tenant | None] = relationship(back_populates="profiles")
    ```
    """
    for other in context.mirrors.get(subject, ()):
        yield Problem(
            f"{subject.label} and {other.label} are two sides of the same columns and do not know of each other: a"
            " change of one is not seen in the other.",
            remedy=f'{subject.label}: relationship(..., back_populates="{other.relationship.key}")\n'
            f'{other.label}: relationship(..., back_populates="{subject.relationship.key}")',
        )
