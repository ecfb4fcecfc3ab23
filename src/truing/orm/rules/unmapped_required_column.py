"""TR316: a column that no INSERT of the ORM can do without, and that it does not know."""

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
    MappedTable,
    attribute,
)
from truing.orm.triggers import may_write
from truing.rule import Problem, rule


@rule("TR316", "unmapped-required-column", on=MappedTable, severity=Severity.ERROR, since="0.1")
def unmapped_required_column(subject: MappedTable, context: Context) -> Iterator[Problem]:
    """Find required columns that the models leave out.

    ## What it does
    Finds columns that are NOT NULL without a default in the database, and that no attribute is mapped to.

    ## Why is this bad?
    Every INSERT through the ORM fails (`NotNullViolation`).

    ## Example
    ```python
    class Profile(Base):
        __tablename__ = "profiles"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)


    op.execute("ALTER TABLE profiles ADD COLUMN locale text NOT NULL")
    ```
    Use instead:
    ```python
    class Profile(Base):
        __tablename__ = "profiles"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        locale: Mapped[str] = mapped_column(Text)
    ```

    ## When it is quiet
    Where a BEFORE INSERT trigger fills the column, or might.
    """
    if subject.live is None or not (subject.mappers or subject.secondary_of):
        return
    for column in subject.live.columns:
        known = [each for each in subject.table.columns if each.name == column.name]
        mapped = any(attribute(mapper, each) for mapper in subject.mappers for each in known)
        given = any(each.default is not None or each.server_default is not None for each in known)
        if mapped or given or (known and not subject.mappers):
            continue
        if not is_not_null(context.types, subject.live, column) or has_default(context.types, column):
            continue
        if may_write(context, subject.live, column.name, "INSERT"):
            continue
        names = ", ".join(mapper.class_.__name__ for mapper in subject.mappers) or subject.name.sql
        yield Problem(
            f"every INSERT of {names} fails: {subject.name.sql}.{ident(column.name)} is NOT NULL without a default, and"
            " nothing is mapped to it.",
            subject=f"{subject.label}.{column.name}",
            remedy=f"map {column.name} ({column.type}), or:\n"
            f"ALTER TABLE {subject.name.sql} ALTER COLUMN {ident(column.name)} DROP NOT NULL;",
        )
