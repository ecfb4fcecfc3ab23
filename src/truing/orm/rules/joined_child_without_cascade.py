"""TR344: a parent's row that only the ORM can delete."""

from __future__ import annotations

from collections.abc import Iterator

from truing.finding import Severity
from truing.names import ident, idents
from truing.orm.context import Context
from truing.orm.subjects import (
    MappedClass,
    with_article,
)
from truing.rule import Problem, rule


@rule("TR344", "joined-child-without-cascade", on=MappedClass, severity=Severity.INFO, since="0.1")
def joined_child_without_cascade(subject: MappedClass, context: Context) -> Iterator[Problem]:
    """Find joined-table subclasses whose row stays when the parent's row goes.

    ## What it does
    Finds classes of joined-table inheritance whose foreign key to the parent's table is not `ON DELETE CASCADE`.

    ## Why is this bad?
    `session.execute(delete(Parent))`, and every other client's DELETE of the parent's row, fails; a cascade from
    elsewhere that reaches the parent's table fails too. Only deleting loaded objects works.

    ## Example
    ```python
    class Party(Base):
        __tablename__ = "parties"
        __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "party"}

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        kind: Mapped[str] = mapped_column(CheckConstraint("kind IN ('party', 'person')"))


    class Person(Party):
        __tablename__ = "people"
        __mapper_args__ = {"polymorphic_identity": "person"}

        id: Mapped[uuid.UUID] = mapped_column(ForeignKey("parties.id"), primary_key=True)
    ```
    Use instead:
    ```python
    class Party(Base):
        __tablename__ = "parties"
        __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "party"}

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        kind: Mapped[str] = mapped_column(CheckConstraint("kind IN ('party', 'person')"))


    class Person(Party):
        __tablename__ = "people"
        __mapper_args__ = {"polymorphic_identity": "person"}

        id: Mapped[uuid.UUID] = mapped_column(ForeignKey("parties.id", ondelete="CASCADE"), primary_key=True)
    ```
    """
    live, parent = subject.owner.live, subject.mapper.inherits
    if live is None or parent is None or not subject.has_own_table or subject.mapper.concrete:
        return
    above = context.tables.get(parent.local_table)  # type: ignore[call-overload]
    primary = {str(column.name) for column in subject.owner.table.primary_key}
    for key in live.foreign_keys:
        if above is None or key.references != above.name or set(key.columns) != primary or key.on_delete == "CASCADE":
            continue
        yield Problem(
            f"a row of {above.name.sql} that is {with_article(subject.name)} cannot be deleted by SQL:"
            f" {key.name} is ON DELETE {key.on_delete}.",
            remedy=f"ALTER TABLE {live.name.sql} DROP CONSTRAINT {ident(key.name)}, ADD CONSTRAINT {ident(key.name)}"
            f" FOREIGN KEY ({idents(key.columns)}) REFERENCES {above.name.sql} ({idents(key.referenced_columns)})"
            " ON DELETE CASCADE;",
        )
