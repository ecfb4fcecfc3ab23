"""TR322: an enum that is kept as text, with nothing to keep other texts out."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Enum

from truing.finding import Severity
from truing.names import ident, literal
from truing.orm.context import Context
from truing.orm.enums import dialect_type
from truing.orm.live import (
    has_check_on,
)
from truing.orm.subjects import (
    MappedColumn,
)
from truing.rule import Problem, rule


@rule("TR322", "unchecked-enum", on=MappedColumn, severity=Severity.INFO, since="0.1")
def unchecked_enum(subject: MappedColumn, context: Context) -> Iterator[Problem]:
    """Find enums kept as text without a CHECK.

    ## What it does
    Finds `Enum` columns that are text in the database (`native_enum=False`) without a CHECK on the column.

    ## Why is this bad?
    Any other client can write any text, and loading that row then fails with a `LookupError`. SQLAlchemy makes the
    CHECK only when it is told to (`create_constraint=True`).

    ## Example
    ```python
    class Order(Base):
        __tablename__ = "orders"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        state: Mapped[str] = mapped_column(Enum("open", "paid", native_enum=False))
    ```
    Use instead:
    ```python
    class Order(Base):
        __tablename__ = "orders"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        state: Mapped[str] = mapped_column(
            Enum("open", "paid", native_enum=False, create_constraint=True, name="state")
        )
    ```
    """
    type_, live, table = dialect_type(subject.column), subject.live, subject.owner.live
    if not isinstance(type_, Enum) or live is None or table is None or live.type in context.types:
        return
    if has_check_on(table, live.name) or any(live.name in key.columns for key in table.foreign_keys):
        return
    allowed = ", ".join(map(literal, type_.enums))
    yield Problem(
        f"{subject.path} is {live.type} and takes any text; what {subject.label} does not know cannot be loaded.",
        remedy=f"ALTER TABLE {table.name.sql} ADD CHECK ({ident(live.name)} IN ({allowed})) NOT VALID;",
    )
