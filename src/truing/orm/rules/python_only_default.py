"""TR327: a default that only Python knows, on a column that needs one."""

from __future__ import annotations

from collections.abc import Iterator

from truing.finding import Severity
from truing.names import ident
from truing.orm.context import Context
from truing.orm.live import (
    has_default,
    is_not_null,
)
from truing.orm.subjects import (
    MappedColumn,
)
from truing.orm.triggers import may_write
from truing.rule import Problem, rule


@rule("TR327", "python-only-default", on=MappedColumn, severity=Severity.INFO, since="0.1")
def python_only_default(subject: MappedColumn, context: Context) -> Iterator[Problem]:
    """Find defaults that only Python knows.

    ## What it does
    Finds NOT NULL columns with `default=` in the model and without a default in the database.

    ## Why is this bad?
    An INSERT that does not come from this model (psql, another service, `INSERT ... SELECT`, the next migration) fails
    or has to know the default itself.

    ## Example
    ```python
    class Profile(Base):
        __tablename__ = "profiles"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        is_active: Mapped[bool] = mapped_column(default=True)
    ```
    Use instead:
    ```python
    class Profile(Base):
        __tablename__ = "profiles"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        is_active: Mapped[bool] = mapped_column(default=True, server_default=text("true"))
    ```
    """
    column, live, table = subject.column, subject.live, subject.owner.live
    if live is None or table is None or column.default is None or has_default(context.types, live):
        return
    if column.default.is_sequence or not is_not_null(context.types, table, live):
        return
    if may_write(context, table, live.name, "INSERT"):
        return
    yield Problem(
        f"{subject.label} has a default that only Python knows; any other INSERT without {subject.path} fails.",
        remedy=f"ALTER TABLE {table.name.sql} ALTER COLUMN {ident(live.name)} SET DEFAULT ...;\n"
        f"{subject.key} = mapped_column(..., server_default=...)",
    )
