"""TR323: an enum whose names are written where the database has the values."""

from __future__ import annotations

from collections.abc import Iterator

from truing.finding import Severity
from truing.orm.context import Context
from truing.orm.enums import Labels
from truing.orm.subjects import (
    MappedColumn,
)
from truing.rule import Problem, rule


@rule("TR323", "enum-stored-by-name", on=MappedColumn, severity=Severity.ERROR, since="0.1")
def enum_stored_by_name(subject: MappedColumn, context: Context) -> Iterator[Problem]:
    """Find Python enums that are stored by name where the database has values.

    ## What it does
    Finds columns of a Python enum class whose database labels are the members' values, while SQLAlchemy writes their
    names.

    ## Why is this bad?
    Every write fails (`invalid input value for enum`), and every row that is there fails to load. SQLAlchemy stores the
    names unless `values_callable` says otherwise.

    ## Example
    ```python
    class State(enum.Enum):
        OPEN = "open"
        PAID = "paid"


    class Order(Base):
        __tablename__ = "orders"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        state: Mapped[State] = mapped_column(Enum(State, name="order_state"))


    op.execute("ALTER TYPE order_state RENAME VALUE 'OPEN' TO 'open'")
    op.execute("ALTER TYPE order_state RENAME VALUE 'PAID' TO 'paid'")
    ```
    Use instead:
    ```python
    class State(enum.Enum):
        OPEN = "open"
        PAID = "paid"


    class Order(Base):
        __tablename__ = "orders"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        state: Mapped[State] = mapped_column(
            Enum(State, name="order_state", values_callable=lambda states: [each.value for each in states])
        )
    ```
    """
    labels = Labels.of(context, subject)
    if labels is not None and labels.swapped:
        yield Problem(
            f"{subject.label} is stored by name ({', '.join(labels.model)}), but {subject.path} knows the values"
            f" ({', '.join(labels.live)}): every write and every load fails.",
            remedy="Enum(..., values_callable=lambda members: [member.value for member in members])",
        )
