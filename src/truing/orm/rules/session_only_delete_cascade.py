"""TR360: children that only the session deletes."""

from __future__ import annotations

from collections.abc import Iterator

from truing.finding import Severity
from truing.names import ident, idents
from truing.orm.context import Context
from truing.orm.subjects import MappedRelationship
from truing.rule import Problem, rule


@rule("TR360", "session-only-delete-cascade", on=MappedRelationship, severity=Severity.WARNING, since="0.1")
def session_only_delete_cascade(subject: MappedRelationship, _context: Context) -> Iterator[Problem]:
    """Find ORM cascades over a foreign key that refuses the delete.

    ## What it does
    Finds relationships with a `delete` cascade over a foreign key that is `ON DELETE RESTRICT`.

    ## Why is this bad?
    The session loads all children and deletes them one by one. Every other delete of a parent fails: a bulk
    `delete()`, another client, SQL by hand. So does the session's, where a child is added between its look and its
    delete.

    ## Example
    ```python
    class Tenant(Base):
        __tablename__ = "tenants"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        profiles: Mapped[list["Profile"]] = relationship(back_populates="tenant", cascade="all, delete-orphan")


    class Profile(Base):
        __tablename__ = "profiles"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        tenant_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("tenants.id", ondelete="RESTRICT"), index=True)
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
    `NO ACTION` is what a foreign key has of which the model says nothing: nobody has decided that it be refused,
    and nothing is said about it. `truing describe --relationships` lists these too.
    """
    key, referring, referenced = subject.key, subject.referring, subject.referenced
    if key is None or referring is None or referenced is None or key.on_delete != "RESTRICT":
        return
    if subject.cannot_be_loaded:
        return
    # With passive_deletes, what is not loaded is left to the database: that fails, and is another rule's.
    if not subject.is_one_to_many or not subject.deletes or subject.passive or not key.enforced:
        return
    yield Problem(
        f"deleting {subject.a_parent} through the session deletes its {subject.label}, after loading all of them; any"
        f" other delete is refused ({key.name} is ON DELETE {key.on_delete}).",
        remedy=f"to delete them everywhere: ALTER TABLE {referring.name.sql} DROP CONSTRAINT {ident(key.name)},"
        f" ADD CONSTRAINT {ident(key.name)} FOREIGN KEY ({idents(key.columns)}) REFERENCES {referenced.name.sql}"
        f" ({idents(key.referenced_columns)}) ON DELETE CASCADE;\n"
        f'to refuse it everywhere: {subject.relationship.key} = relationship(..., passive_deletes="all") without a'
        " delete cascade",
    )
