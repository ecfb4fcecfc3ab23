"""TR304: children that are loaded and deleted one by one although the database would do it."""

from __future__ import annotations

from collections.abc import Iterator

from truing.finding import Severity
from truing.orm.cascades import gaps
from truing.orm.context import Context
from truing.orm.subjects import (
    MappedRelationship,
)
from truing.rule import Problem, rule


@rule("TR304", "loaded-database-cascade", on=MappedRelationship, severity=Severity.INFO, since="0.1")
def loaded_database_cascade(subject: MappedRelationship, context: Context) -> Iterator[Problem]:
    """Find ORM cascades that do by hand what the database does by itself.

    ## What it does
    Finds relationships with a `delete` cascade over a foreign key with `ON DELETE CASCADE`, without `passive_deletes`.

    ## Why is this bad?
    To delete one parent, SQLAlchemy loads all its children, and theirs, and deletes them by primary key. The database
    does it in the one DELETE of the parent.

    ## Example
    ```python
    class Tenant(Base):
        __tablename__ = "tenants"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        profiles: Mapped[list["Profile"]] = relationship(back_populates="tenant", cascade="all, delete-orphan")


    class Profile(Base):
        __tablename__ = "profiles"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        tenant_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("tenants.id", ondelete="CASCADE"), index=True)
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

    ## When it is quiet
    Where the session has more to do than the database would: children with cascades of their own (at any depth) that
    the database does not have, or children whose row is spread over several tables.
    """
    if not subject.is_one_to_many or subject.key is None or subject.key.on_delete != "CASCADE":
        return
    if subject.cannot_be_loaded or not subject.deletes or subject.passive or any(gaps(context, subject)):
        return
    yield Problem(
        f"deleting {subject.a_parent} loads all of {subject.label} and deletes them one by one; the database does it"
        f" by itself (ON DELETE CASCADE of {subject.key.name}).",
        remedy=f"{subject.relationship.key} = relationship(..., passive_deletes=True)",
    )
