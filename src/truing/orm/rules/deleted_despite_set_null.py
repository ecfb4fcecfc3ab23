"""TR307: children that the ORM deletes and the database would keep."""

from __future__ import annotations

from collections.abc import Iterator

from truing.finding import Severity
from truing.orm.context import Context
from truing.orm.subjects import (
    MappedRelationship,
)
from truing.rule import Problem, rule


@rule(
    "TR307",
    "deleted-despite-set-null",
    on=MappedRelationship,
    severity=Severity.WARNING,
    since="0.1",
    varies="error with passive_deletes, where it depends on what is loaded",
)
def deleted_despite_set_null(subject: MappedRelationship, _context: Context) -> Iterator[Problem]:
    """Find ORM cascades that contradict ON DELETE SET NULL.

    ## What it does
    Finds relationships with a `delete` cascade over a foreign key with `ON DELETE SET NULL` (or `SET DEFAULT`).

    ## Why is this bad?
    Whether the children live on depends on who deletes the parent: the session deletes them, any other client keeps
    them. With `passive_deletes=True` it even depends on whether they are loaded.

    ## Example
    ```python
    class Author(Base):
        __tablename__ = "authors"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        books: Mapped[list["Book"]] = relationship(back_populates="author", cascade="all, delete-orphan")


    class Book(Base):
        __tablename__ = "books"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        author_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("authors.id", ondelete="SET NULL"), index=True)
        author: Mapped[Author | None] = relationship(back_populates="books")
    ```
    Use instead:
    ```python
    class Author(Base):
        __tablename__ = "authors"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        books: Mapped[list["Book"]] = relationship(back_populates="author", passive_deletes=True)


    class Book(Base):
        __tablename__ = "books"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        author_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("authors.id", ondelete="SET NULL"), index=True)
        author: Mapped[Author | None] = relationship(back_populates="books")
    ```
    """
    key = subject.key
    if not subject.is_one_to_many or key is None or key.on_delete not in ("SET NULL", "SET DEFAULT"):
        return
    if not subject.deletes or subject.cannot_be_loaded:
        return
    which = "those that happen to be loaded" if subject.passive else "them all"
    yield Problem(
        f"deleting {subject.a_parent} through the session deletes its {subject.label} ({which}); the database keeps"
        f" them (ON DELETE {key.on_delete} of {key.name}).",
        remedy=f"keep them: {subject.relationship.key} = relationship(..., passive_deletes=True) without a delete"
        " cascade\ndelete them: make the foreign key ON DELETE CASCADE",
        severity=Severity.ERROR if subject.passive else None,
    )
