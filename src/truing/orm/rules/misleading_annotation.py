"""TR324: an annotation that says something else about None than the column."""

from __future__ import annotations

from collections.abc import Iterator

from truing.finding import Severity
from truing.orm.context import Context
from truing.orm.live import (
    is_not_null,
)
from truing.orm.subjects import (
    MappedColumn,
    has_subclass_table,
)
from truing.rule import Problem, rule


@rule(
    "TR324",
    "misleading-annotation",
    on=MappedColumn,
    severity=Severity.WARNING,
    since="0.1",
    varies="info where the annotation allows a None that cannot come",
)
def misleading_annotation(subject: MappedColumn, context: Context) -> Iterator[Problem]:
    """Find annotations that are wrong about None.

    ## What it does
    Finds attributes annotated `Mapped[X]` whose column may be NULL, in the model and in the database, and attributes
    annotated `Mapped[X | None]` whose column is NOT NULL in both (`info`: an object may well be without it before it is
    flushed).

    ## Why is this bad?
    The type checker passes code that fails on the first NULL: `'NoneType' object has no attribute ...`.

    ## Example
    ```python
    class Profile(Base):
        __tablename__ = "profiles"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        email: Mapped[str] = mapped_column(nullable=True)
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
    if live is None or table is None or column.primary_key or subject.optional is None or has_subclass_table(subject):
        return
    held = is_not_null(context.types, table, live)
    if subject.optional is bool(column.nullable) or held is bool(column.nullable):
        return
    if subject.optional:
        yield Problem(
            f"{subject.label} is annotated as if it could be None, but {subject.path} is NOT NULL.",
            remedy=f"{subject.key}: Mapped[...] without None",
            severity=Severity.INFO,
        )
        return
    yield Problem(
        f"{subject.label} is annotated as never None, but {subject.path} may be NULL: what comes back is None.",
        remedy=f"{subject.key}: Mapped[... | None]",
    )
