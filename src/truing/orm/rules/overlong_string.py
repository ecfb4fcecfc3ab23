"""TR319: a string that the model lets through and the database refuses."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import ARRAY, Enum, String

from truing.finding import Severity
from truing.names import ident
from truing.orm.context import Context
from truing.orm.enums import dialect_type
from truing.orm.live import (
    longest,
)
from truing.orm.subjects import (
    MappedColumn,
)
from truing.rule import Problem, rule


@rule(
    "TR319",
    "overlong-string",
    on=MappedColumn,
    severity=Severity.WARNING,
    since="0.1",
    varies="error for an enum, whose longest label does not fit",
)
def overlong_string(subject: MappedColumn, context: Context) -> Iterator[Problem]:
    """Find strings that are longer in the model than in the database.

    ## What it does
    Finds `String` and `Enum` columns whose length in the model is more than the database's `varchar(n)`.

    ## Why is this bad?
    Whoever validates by the model lets a value through that PostgreSQL refuses (`value too long for type`).

    ## Example
    ```python
    class Profile(Base):
        __tablename__ = "profiles"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        email: Mapped[str] = mapped_column(String(320))


    op.execute("ALTER TABLE profiles ALTER COLUMN email TYPE varchar(100)")
    ```
    Use instead:
    ```python
    class Profile(Base):
        __tablename__ = "profiles"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        email: Mapped[str] = mapped_column(String(100))
    ```
    """
    limit = longest(context.type_of(subject.live.type.removesuffix("[]"))) if subject.live else None
    type_ = dialect_type(subject.column)
    several = isinstance(type_, ARRAY)
    if isinstance(type_, ARRAY):
        type_ = type_.item_type
    if limit is None or not isinstance(type_, String):
        return
    length = max(map(len, type_.enums), default=0) if isinstance(type_, Enum) else type_.length
    if length is not None and length <= limit:
        return
    told = "text of any length" if length is None else f"up to {length} characters"
    yield Problem(
        f"{subject.label} takes {told}, {subject.path} only {limit}.",
        remedy=f"ALTER TABLE {subject.owner.name.sql} ALTER COLUMN {ident(str(subject.column.name))} TYPE"
        f" {'varchar' if length is None else f'varchar({length})'}{'[]' if several else ''};",
        severity=Severity.ERROR if isinstance(type_, Enum) else None,
    )
