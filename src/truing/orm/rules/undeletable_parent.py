"""TR306: a parent whose delete always fails once it has children."""

from __future__ import annotations

from collections.abc import Iterator

from truing.finding import Severity
from truing.orm.context import Context
from truing.orm.subjects import (
    MappedRelationship,
)
from truing.rule import Problem, rule


@rule(
    "TR306",
    "undeletable-parent",
    on=MappedRelationship,
    severity=Severity.WARNING,
    since="0.1",
    varies="error where the database would let the parent go: write-only collections, ON DELETE SET NULL (column)",
)
def undeletable_parent(subject: MappedRelationship, context: Context) -> Iterator[Problem]:
    """Find parents that can never be deleted through the ORM.

    ## What it does
    Finds one-to-many relationships without a delete cascade over a NOT NULL foreign key that has no `ON DELETE` action,
    or one that empties some of its columns only (`ON DELETE SET NULL (column)`), and `write_only` collections without
    `passive_deletes`, whatever the foreign key does.

    ## Why is this bad?
    Deleting a parent that has children always fails: SQLAlchemy sets the children's key to NULL, which the column
    refuses, so the error speaks of a NULL that nobody wrote. If the delete shall be refused, say so
    (`passive_deletes="all"`), and the database's error names the foreign key.

    A `write_only` collection is never loaded, so that SQLAlchemy can neither delete the children (or the rows of a
    `secondary`) nor empty their key: deleting any parent raises `InvalidRequestError`, unless `passive_deletes` leaves
    them to the database.

    ## Example
    ```python
    class Customer(Base):
        __tablename__ = "customers"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        orders: Mapped[list["Order"]] = relationship(back_populates="customer")


    class Order(Base):
        __tablename__ = "orders"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        customer_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("customers.id"), index=True)
        customer: Mapped[Customer] = relationship(back_populates="orders")
    ```
    Use instead:
    ```python
    class Customer(Base):
        __tablename__ = "customers"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        orders: Mapped[list["Order"]] = relationship(back_populates="customer", passive_deletes="all")


    class Order(Base):
        __tablename__ = "orders"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        customer_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("customers.id", ondelete="RESTRICT"), index=True)
        customer: Mapped[Customer] = relationship(back_populates="orders")
    ```
    """
    key, name = subject.key, subject.relationship.key
    if subject.cannot_be_loaded:
        yield Problem(
            f"deleting {subject.a_parent} always fails: {subject.label} is write-only, and SQLAlchemy cannot load what"
            " is in it.",
            remedy=f"leave it to the database: {name} = relationship(..., passive_deletes=True), and a foreign key that"
            f" is ON DELETE CASCADE{'' if subject.is_many_to_many else ' or SET NULL'}",
            severity=Severity.ERROR,
        )
        return
    if not subject.is_one_to_many or key is None or not context.refuses_null(subject):
        return
    if subject.deletes or any("delete" in twin.cascade for twin in subject.twins):
        return
    if key.on_delete_columns and subject.passive != "all":
        # Where that fails as well, it is set-null-on-not-null's.
        loaded = " that are loaded" if subject.passive else ""
        yield Problem(
            f"deleting {subject.a_parent} that has {name}{loaded} fails: SQLAlchemy sets {subject.written} to NULL, not"
            f" only {', '.join(key.on_delete_columns)} as the database does (ON DELETE {key.on_delete} of {key.name}).",
            remedy=f'leave it to the database: {name} = relationship(..., passive_deletes="all")',
            severity=Severity.ERROR,
        )
    if subject.passive or key.on_delete not in ("NO ACTION", "RESTRICT"):
        return
    yield Problem(
        f"deleting {subject.a_parent} that has {name} always fails: SQLAlchemy sets {subject.written} to NULL, which is"
        " NOT NULL.",
        remedy=f'to refuse it: {name} = relationship(..., passive_deletes="all")\n'
        f'to delete them too: {name} = relationship(..., cascade="all, delete-orphan")',
    )
