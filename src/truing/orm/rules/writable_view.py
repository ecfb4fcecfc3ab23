"""TR352: a relationship through which the session would write to a view."""

from __future__ import annotations

from collections.abc import Iterator

from truing.finding import Severity
from truing.orm.context import Context
from truing.orm.subjects import (
    MappedRelationship,
)
from truing.rule import Problem, rule


@rule("TR352", "writable-view", on=MappedRelationship, severity=Severity.WARNING, since="0.1")
def writable_view(subject: MappedRelationship, _context: Context) -> Iterator[Problem]:
    """Find relationships that would write to a view.

    ## What it does
    Finds relationships (not `viewonly`) whose foreign key columns are in a view that cannot be written to, or in a
    materialised view.

    ## Why is this bad?
    Deleting the parent, or changing the collection, makes the session update the view, which fails (`cannot update
    view`).

    ## Example
    ```python
    class Account(Base):
        __tablename__ = "accounts"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        balance: Mapped["Balance"] = relationship(primaryjoin="Account.id == foreign(Balance.account_id)")


    class Balance(Base):
        __tablename__ = "balances"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        account_id: Mapped[uuid.UUID]


    op.execute("DROP TABLE balances")
    op.execute("CREATE VIEW balances AS SELECT id, id AS account_id FROM accounts GROUP BY id")
    ```
    Use instead:
    ```python
    class Account(Base):
        __tablename__ = "accounts"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        balance: Mapped["Balance"] = relationship(
            primaryjoin="Account.id == foreign(Balance.account_id)", viewonly=True
        )


    class Balance(Base):
        __tablename__ = "balances"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        account_id: Mapped[uuid.UUID]


    op.execute("DROP TABLE balances")
    op.execute("CREATE VIEW balances AS SELECT id, id AS account_id FROM accounts GROUP BY id")
    ```
    """
    owner = subject.referring
    if owner is None or owner.view is None or owner.writable or subject.is_many_to_many:
        return
    # What reads from a view alone (view to table) writes only when objects of the view are changed.
    if not subject.is_one_to_many or subject.passive == "all":
        return
    yield Problem(
        f"changing {subject.label}, or deleting {subject.a_parent}, writes to the view {owner.name.sql}, which fails.",
        remedy=f"{subject.relationship.key} = relationship(..., viewonly=True)",
    )
