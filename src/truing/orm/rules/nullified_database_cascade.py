"""TR303: children that the database would delete and the ORM sets to NULL."""

from __future__ import annotations

from collections.abc import Iterator

from truing.finding import Severity
from truing.orm.context import Context
from truing.orm.subjects import (
    MappedRelationship,
)
from truing.rule import Problem, rule


@rule(
    "TR303",
    "nullified-database-cascade",
    on=MappedRelationship,
    severity=Severity.WARNING,
    since="0.1",
    varies="error where the column is NOT NULL, so that the delete fails",
)
def nullified_database_cascade(subject: MappedRelationship, context: Context) -> Iterator[Problem]:
    """Find relationships that nullify what the database would delete.

    ## What it does
    Finds one-to-many relationships over a foreign key with `ON DELETE CASCADE` whose session does not delete the
    children: it sets their foreign key to NULL before the parent goes.

    ## Why is this bad?
    Where the column is NOT NULL, deleting a parent with children fails (`NotNullViolation`). Where it is nullable, the
    children that every other client's DELETE takes along are left behind, belonging to nobody.

    ## Example
    ```python
    class Profile(Base):
        __tablename__ = "profiles"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        user_roles: Mapped[list["UserRole"]] = relationship(back_populates="profile")


    class UserRole(Base):
        __tablename__ = "user_roles"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("profiles.id", ondelete="CASCADE"), index=True)
        profile: Mapped[Profile] = relationship(back_populates="user_roles")
    ```
    Use instead:
    ```python
    class Profile(Base):
        __tablename__ = "profiles"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        user_roles: Mapped[list["UserRole"]] = relationship(
            back_populates="profile", cascade="all, delete-orphan", passive_deletes=True
        )


    class UserRole(Base):
        __tablename__ = "user_roles"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("profiles.id", ondelete="CASCADE"), index=True)
        profile: Mapped[Profile] = relationship(back_populates="user_roles")
    ```
    """
    if not subject.is_one_to_many or subject.key is None or subject.key.on_delete != "CASCADE":
        return
    if subject.cannot_be_loaded or subject.deletes or subject.passive == "all":
        return
    if any("delete" in twin.cascade for twin in subject.twins):
        return
    fails = context.refuses_null(subject)
    loaded = "those that are loaded" if subject.passive else "its children"
    end = f", which is NOT NULL: the delete fails ({subject.written})" if fails else f" ({subject.written})"
    yield Problem(
        f"deleting {subject.a_parent} sets the foreign key of {loaded} in {subject.label} to NULL{end}; the database"
        f" would delete them (ON DELETE CASCADE of {subject.key.name}).",
        remedy=f'{subject.relationship.key} = relationship(..., cascade="all, delete-orphan", passive_deletes=True)',
        severity=Severity.ERROR if fails else None,
    )
