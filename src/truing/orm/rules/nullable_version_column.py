"""TR345: a version counter that may be missing."""

from __future__ import annotations

from collections.abc import Iterator

from truing.finding import Severity
from truing.orm.context import Context
from truing.orm.live import (
    is_not_null,
)
from truing.orm.remedies import online
from truing.orm.subjects import (
    MappedClass,
)
from truing.rule import Problem, rule


@rule("TR345", "nullable-version-column", on=MappedClass, severity=Severity.WARNING, since="0.1")
def nullable_version_column(subject: MappedClass, context: Context) -> Iterator[Problem]:
    """Find version counters that may be NULL.

    ## What it does
    Finds `version_id_col` columns that may be NULL in the database.

    ## Why is this bad?
    A row without a version can never be updated or deleted through the ORM: SQLAlchemy has no version to compare with
    and raises (`A value is required for bind parameter`).

    ## Example
    ```python
    class Document(Base):
        __tablename__ = "documents"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        version: Mapped[int | None] = mapped_column()
        __mapper_args__ = {"version_id_col": version}
    ```
    Use instead:
    ```python
    class Document(Base):
        __tablename__ = "documents"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        version: Mapped[int] = mapped_column()
        __mapper_args__ = {"version_id_col": version}
    ```
    """
    version, live = subject.mapper.version_id_col, subject.owner.live
    if version is None or live is None or subject.mapper.inherits is not None or not version.nullable:
        return
    column = live.column(str(version.name))
    if column is None or is_not_null(context.types, live, column):
        return
    yield Problem(
        f"{subject.owner.column_name(column.name)} counts versions and may be NULL: such a row can never be updated"
        " through the ORM.",
        remedy=online("set_not_null_online", live.name, column.name, nulls={"value": "1"}),
    )
