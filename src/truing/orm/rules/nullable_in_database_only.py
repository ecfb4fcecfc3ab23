"""TR326: a column that the model calls NOT NULL and the database does not."""

from __future__ import annotations

from collections.abc import Iterator

from truing.finding import Severity
from truing.orm.context import Context
from truing.orm.live import (
    is_not_null,
)
from truing.orm.remedies import online
from truing.orm.subjects import (
    MappedColumn,
)
from truing.rule import Problem, rule


@rule("TR326", "nullable-in-database-only", on=MappedColumn, severity=Severity.WARNING, since="0.1")
def nullable_in_database_only(subject: MappedColumn, context: Context) -> Iterator[Problem]:
    """Find columns that the model calls NOT NULL and the database does not.

    ## What it does
    Finds columns that are NOT NULL in the model, where the database takes NULL.

    ## Why is this bad?
    Other clients may have written NULL and still may. What comes back is None, where nobody expects it.

    ## Example
    ```python
    class Profile(Base):
        __tablename__ = "profiles"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        email: Mapped[str]


    op.execute("ALTER TABLE profiles ALTER COLUMN email DROP NOT NULL")
    ```
    Use instead:
    ```python
    class Profile(Base):
        __tablename__ = "profiles"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        email: Mapped[str | None]
    ```
    """
    column, live, table = subject.column, subject.live, subject.owner.live
    # A view's columns have no NOT NULL of their own, and a key without one is another rule's.
    if live is None or table is None or column.nullable or column.primary_key or table.kind == "foreign-table":
        return
    if is_not_null(context.types, table, live) or live.generated:
        return
    yield Problem(
        f"{subject.label} is NOT NULL by the model, but {subject.path} may be NULL: None may come back.",
        remedy=online("set_not_null_online", table.name, live.name),
    )
