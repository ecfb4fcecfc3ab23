"""TR305: children left to a database that does nothing about them."""

from __future__ import annotations

from collections.abc import Iterator

from truing.finding import Severity
from truing.names import ident, idents
from truing.orm.cascades import Gap, gaps
from truing.orm.context import Context
from truing.orm.subjects import (
    MappedRelationship,
)
from truing.rule import Problem, rule


@rule(
    "TR305",
    "passive-deletes-without-cascade",
    on=MappedRelationship,
    severity=Severity.ERROR,
    since="0.1",
    varies="warning where the database leaves something behind, rather than refusing",
)
def passive_deletes_without_cascade(subject: MappedRelationship, context: Context) -> Iterator[Problem]:
    """Find relationships that leave to the database what it does not do.

    ## What it does
    Finds `passive_deletes=True` over a foreign key whose `ON DELETE` is NO ACTION or RESTRICT; and over one that is
    CASCADE, where only the session does the rest: what the children own themselves, the rows of their `secondary`,
    their row in a parent's table (joined-table inheritance).

    ## Why is this bad?
    `passive_deletes` says: children that are not loaded are the database's business. The database refuses the delete
    of a parent that still has children, or of a child that still has its own, so deleting fails or works by what
    happens to be loaded.

    ## Example
    ```python
    class Tenant(Base):
        __tablename__ = "tenants"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        profiles: Mapped[list["Profile"]] = relationship(
            back_populates="tenant", cascade="all, delete-orphan", passive_deletes=True
        )


    class Profile(Base):
        __tablename__ = "profiles"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        tenant_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("tenants.id"), index=True)
        tenant: Mapped[Tenant] = relationship(back_populates="profiles")
    ```
    Use instead:
    ```python
    class Tenant(Base):
        __tablename__ = "tenants"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        profiles: Mapped[list["Profile"]] = relationship(
            back_populates="tenant", cascade="all, delete-orphan", passive_deletes=True
        )


    class Profile(Base):
        __tablename__ = "profiles"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        tenant_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("tenants.id", ondelete="CASCADE"), index=True)
        tenant: Mapped[Tenant] = relationship(back_populates="profiles")
    ```

    ## What is fine
    `passive_deletes="all"` says that the session shall do nothing at all, so that the database refuses the delete:
    that is a decision, and nothing is said about it. Nor is there of rows that go by a cascade of their own, such as
    all of a tenant's. A foreign key that a trigger looks after cannot be told from one that nobody does.
    """
    for gap in _of_children(subject, context):
        yield Problem(
            f"deleting {subject.a_parent} leaves what is not loaded of {subject.label} to the database, which"
            f" {gap.told}.",
            remedy=f"{subject.relationship.key} = relationship(...) without passive_deletes, or ON DELETE CASCADE also"
            " further down",
            severity=None if gap.refused else Severity.WARNING,
        )
    key = subject.key
    if key is None or subject.passive is not True or key.on_delete not in ("NO ACTION", "RESTRICT"):
        return
    if not (subject.is_one_to_many or subject.is_many_to_many):
        return
    owner = subject.referring.name.sql if subject.referring else ""
    parent = subject.referenced.name.sql if subject.referenced else ""
    yield Problem(
        f"deleting {subject.a_parent} whose {subject.label} are not loaded fails: passive_deletes leaves them to the"
        f" database, and {key.name} is ON DELETE {key.on_delete}.",
        remedy=f"ALTER TABLE {owner} DROP CONSTRAINT {ident(key.name)}, ADD CONSTRAINT {ident(key.name)}"
        f" FOREIGN KEY ({idents(key.columns)}) REFERENCES {parent} ({idents(key.referenced_columns)})"
        " ON DELETE CASCADE;",
    )


def _of_children(subject: MappedRelationship, context: Context) -> list[Gap]:
    """Find what the session would do about the children and a cascade of the database does not; the worst of it."""
    key = subject.key
    if key is None or key.on_delete != "CASCADE" or subject.passive is not True:
        return []
    if not subject.is_one_to_many or not subject.deletes:
        return []
    found = [each for each in gaps(context, subject) if not each.reported]
    return sorted(found, key=lambda each: not each.refused)[:1]
