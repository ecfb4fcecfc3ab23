"""TR320: a value of an enum that the database refuses."""

from __future__ import annotations

from collections.abc import Iterator

from truing.finding import Severity
from truing.names import literal
from truing.orm.context import Context
from truing.orm.enums import Labels
from truing.orm.subjects import (
    MappedColumn,
)
from truing.rule import Problem, rule


@rule("TR320", "unknown-enum-label", on=MappedColumn, severity=Severity.ERROR, since="0.1")
def unknown_enum_label(subject: MappedColumn, context: Context) -> Iterator[Problem]:
    """Find enum values that the database does not know.

    ## What it does
    Finds values of an `Enum` that are neither labels of the database's enum type nor allowed by the column's CHECK.

    ## Why is this bad?
    Writing the value fails (`invalid input value for enum`), and so does a query that compares with it.

    ## Example
    ```python
    class Order(Base):
        __tablename__ = "orders"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        state: Mapped[str] = mapped_column(Enum("open", "paid", "refunded", name="order_state"))


    op.execute("ALTER TABLE orders ALTER COLUMN state TYPE text")
    op.execute("DROP TYPE order_state")
    op.execute("CREATE TYPE order_state AS ENUM ('open', 'paid')")
    op.execute("ALTER TABLE orders ALTER COLUMN state TYPE order_state USING state::order_state")
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
    unknown = [each for each in labels.model if each not in labels.live]
    if not unknown:
        return
    add = "\n".join(f"ALTER TYPE {labels.type} ADD VALUE {literal(each)};" for each in unknown)
    yield Problem(
        f"{subject.label} may be {', '.join(map(repr, unknown))}, which {subject.path} refuses (it knows"
        f" {', '.join(map(repr, labels.live))}).",
        remedy=add if labels.type else f"let the CHECK of {subject.path} allow {', '.join(map(literal, unknown))}",
    )
