"""TR325: a column that may be empty in the model and not in the database."""

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
    has_subclass_table,
)
from truing.orm.triggers import may_write
from truing.rule import Problem, rule


@rule(
    "TR325",
    "nullable-in-model-only",
    on=MappedColumn,
    severity=Severity.ERROR,
    since="0.1",
    varies="warning where a default is given, so that only an explicit None fails",
)
def nullable_in_model_only(subject: MappedColumn, context: Context) -> Iterator[Problem]:
    """Find columns that the model may leave empty and the database may not.

    ## What it does
    Finds columns that are nullable in the model and NOT NULL in the database.

    ## Why is this bad?
    An INSERT without a value fails (`NotNullViolation`), although by the model it is all right. Where the column has a
    default only an explicit None fails (`warning`).

    ## Example
    ```python
    class Profile(Base):
        __tablename__ = "profiles"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        email: Mapped[str | None]


    op.execute("ALTER TABLE profiles ALTER COLUMN email SET NOT NULL")
    ```
    Use instead:
    ```python
    class Profile(Base):
        __tablename__ = "profiles"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        email: Mapped[str]
    ```
    """
    column, live, table = subject.column, subject.live, subject.owner.live
    if live is None or table is None or not column.nullable or column.primary_key or has_subclass_table(subject):
        return
    if not is_not_null(context.types, table, live) or live.generated or live.identity:
        return
    if may_write(context, table, live.name, "INSERT"):
        return
    given = column.default is not None or (column.server_default is not None and has_default(context.types, live))
    yield Problem(
        f"{subject.label} may be None by the model, but {subject.path} is NOT NULL:"
        f" {'an explicit None fails' if given else 'an INSERT without it fails'}.",
        remedy=f"{subject.key} = mapped_column(..., nullable=False), or:\n"
        f"ALTER TABLE {table.name.sql} ALTER COLUMN {ident(live.name)} DROP NOT NULL;",
        severity=Severity.WARNING if given else None,
    )
