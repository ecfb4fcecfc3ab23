"""TR330: a column that the database computes and the model writes."""

from __future__ import annotations

from collections.abc import Iterator

from truing.finding import Severity
from truing.orm.context import Context
from truing.orm.subjects import (
    MappedColumn,
)
from truing.rule import Problem, rule


@rule("TR330", "undeclared-generated-column", on=MappedColumn, severity=Severity.ERROR, since="0.1")
def undeclared_generated_column(subject: MappedColumn, _context: Context) -> Iterator[Problem]:
    """Find generated columns that the model would write.

    ## What it does
    Finds columns that are GENERATED ALWAYS in the database (by an expression or as an identity) and that the model
    knows as plain columns.

    ## Why is this bad?
    SQLAlchemy names every plain column in its INSERT, with NULL where there is no value. The database refuses any
    value for such a column, so every INSERT fails (`cannot insert a non-DEFAULT value`).

    ## Example
    ```python
    class Line(Base):
        __tablename__ = "lines"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        amount: Mapped[int]
        total: Mapped[int | None]


    op.execute("ALTER TABLE lines DROP COLUMN total")
    op.execute("ALTER TABLE lines ADD COLUMN total integer GENERATED ALWAYS AS (amount * 2) STORED")
    ```
    Use instead:
    ```python
    class Line(Base):
        __tablename__ = "lines"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        amount: Mapped[int]
        total: Mapped[int | None] = mapped_column(Computed("amount * 2", persisted=True))
    ```
    """
    column, live = subject.column, subject.live
    if live is None or subject.owner.live is None or column.server_default is not None:
        return
    # An autoincrementing key is left out of the INSERT as well.
    if live.generated:
        declared, kind = f"Computed({live.expression!r})", f"generated as {live.expression}"
    elif live.identity == "always" and column is not column.table.autoincrement_column:
        declared, kind = "Identity(always=True)", "GENERATED ALWAYS AS IDENTITY"
    else:
        return
    yield Problem(
        f"every INSERT with {subject.label} fails: {subject.path} is {kind}, which the model does not say.",
        remedy=f"{subject.key} = mapped_column(..., {declared})",
    )
