"""TR311: a one-to-one relationship that the database lets be one-to-many."""

from __future__ import annotations

from collections.abc import Iterator

from truing.finding import Severity
from truing.names import idents
from truing.orm.context import Context
from truing.orm.live import (
    is_unique,
)
from truing.orm.subjects import (
    MappedRelationship,
)
from truing.rule import Problem, rule


@rule("TR311", "scalar-without-unique", on=MappedRelationship, severity=Severity.WARNING, since="0.1")
def scalar_without_unique(subject: MappedRelationship, _context: Context) -> Iterator[Problem]:
    """Find one-to-one relationships without a unique key.

    ## What it does
    Finds relationships that give one object (`uselist=False`, or an annotation that is no collection) although the
    columns of the foreign key are not unique in the database.

    ## Why is this bad?
    Two requests that create the other side both succeed. From then on the relationship gives one of the rows, with a
    warning, and which one is up to the query plan.

    ## Example
    ```python
    class User(Base):
        __tablename__ = "people"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        settings: Mapped["Settings"] = relationship(back_populates="user", passive_deletes="all")


    class Settings(Base):
        __tablename__ = "settings"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("people.id"), index=True)
        user: Mapped[User] = relationship(back_populates="settings")
    ```
    Use instead:
    ```python
    class User(Base):
        __tablename__ = "people"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        settings: Mapped["Settings"] = relationship(back_populates="user", passive_deletes="all")


    class Settings(Base):
        __tablename__ = "settings"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("people.id"), unique=True)
        user: Mapped[User] = relationship(back_populates="settings")
    ```
    """
    live = subject.referring.live if subject.referring else None
    if not subject.is_one_to_many or subject.relationship.uselist or live is None or live.kind == "foreign-table":
        return
    # An order or a further condition picks one row on purpose; so does an index over some of the rows.
    if subject.relationship.order_by or subject.has_other_conditions:
        return
    if is_unique(live, subject.referring_columns, partial=True):
        return
    yield Problem(
        f"{subject.label} gives one {subject.target}, but nothing keeps {subject.a_parent} from having several:"
        f" {subject.written} is not unique.",
        remedy=f"CREATE UNIQUE INDEX CONCURRENTLY ON {live.name.sql} ({idents(subject.referring_columns)});",
    )
