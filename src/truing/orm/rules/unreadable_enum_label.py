"""TR321: a value in the database that the model's enum cannot read."""

from __future__ import annotations

from collections.abc import Iterator

from truing.finding import Severity
from truing.orm.context import Context
from truing.orm.enums import Labels
from truing.orm.subjects import (
    MappedColumn,
)
from truing.rule import Problem, rule


@rule("TR321", "unreadable-enum-label", on=MappedColumn, severity=Severity.WARNING, since="0.1")
def unreadable_enum_label(subject: MappedColumn, context: Context) -> Iterator[Problem]:
    """Find enum labels that the model does not know.

    ## What it does
    Finds labels of the database's enum type (or values that the column's CHECK allows) that the model's `Enum` does not
    have.

    ## Why is this bad?
    Loading a row with such a value fails with a `LookupError`, and with it every query that meets the row.

    ## Example
    ```python
    class Order(Base):
        __tablename__ = "orders"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        state: Mapped[str] = mapped_column(Enum("open", "paid", name="order_state"))


    op.execute("ALTER TYPE order_state ADD VALUE 'refunded'")
    ```
    Use instead:
    ```python
    class Order(Base):
        __tablename__ = "orders"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        state: Mapped[str] = mapped_column(Enum("open", "paid", "refunded", name="order_state"))
    ```
    """
    labels = Labels.of(context, subject)
    if labels is None or labels.swapped:
        return
    unknown = [each for each in labels.live if each not in labels.model]
    if unknown:
        yield Problem(
            f"{subject.path} may hold {', '.join(map(repr, unknown))}: loading such a row fails, because"
            f" {subject.label} does not know it.",
            remedy=f"add {', '.join(map(repr, unknown))} to the Enum of {subject.label}",
        )
