"""TR302: a secondary table that may hold the same pair twice."""

from __future__ import annotations

from collections.abc import Iterator

from truing.finding import Severity
from truing.names import idents
from truing.orm.context import Context
from truing.orm.live import (
    is_unique,
)
from truing.orm.subjects import (
    MappedTable,
)
from truing.rule import Problem, rule


@rule("TR302", "non-unique-secondary", on=MappedTable, severity=Severity.WARNING, since="0.1")
def non_unique_secondary(subject: MappedTable, context: Context) -> Iterator[Problem]:
    """Find association tables without a key over both sides.

    ## What it does
    Finds the `secondary` of many-to-many relationships without a primary key or unique constraint over the columns of
    both foreign keys.

    ## Why is this bad?
    Two requests that add the same pair both succeed. Removing the pair from the collection then fails: the DELETE
    matches two rows where SQLAlchemy expects one (`StaleDataError`).

    ## Example
    ```python
    post_tags = Table(
        "post_tags",
        Base.metadata,
        Column("post_id", ForeignKey("posts.id"), nullable=False, index=True),
        Column("tag_id", ForeignKey("tags.id"), nullable=False, index=True),
    )


    class Post(Base):
        __tablename__ = "posts"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        tags: Mapped[list["Tag"]] = relationship(secondary=post_tags)


    class Tag(Base):
        __tablename__ = "tags"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    ```
    Use instead:
    ```python
    post_tags = Table(
        "post_tags",
        Base.metadata,
        Column("post_id", ForeignKey("posts.id"), primary_key=True),
        Column("tag_id", ForeignKey("tags.id"), primary_key=True, index=True),
    )


    class Post(Base):
        __tablename__ = "posts"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        tags: Mapped[list["Tag"]] = relationship(secondary=post_tags)


    class Tag(Base):
        __tablename__ = "tags"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    ```
    """
    if subject.live is None or subject.live.kind == "foreign-table":
        return
    for each in subject.secondary_of:
        pairs = (*(each.synchronize_pairs or ()), *(each.secondary_synchronize_pairs or ()))
        columns = tuple(dict.fromkeys(str(by.name) for _, by in pairs if by.table is subject.table))
        if not columns or is_unique(subject.live, columns):
            continue
        through = ", ".join(f"{context.class_names[one.parent]}.{one.key}" for one in subject.secondary_of)
        yield Problem(
            f"{subject.name.sql} may hold the same pair ({', '.join(columns)}) twice; removing it from {through} then"
            " fails, because the DELETE matches two rows.",
            remedy=f"ALTER TABLE {subject.name.sql} ADD PRIMARY KEY ({idents(columns)});",
        )
        return
