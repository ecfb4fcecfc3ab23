"""TR347: a boolean with a third value that nobody asked for."""

from __future__ import annotations

from collections.abc import Iterator

from truing.finding import Severity
from truing.names import ident
from truing.orm.context import Context
from truing.orm.live import (
    is_not_null,
)
from truing.orm.subjects import (
    MappedColumn,
    has_subclass_table,
)
from truing.rule import Problem, rule


@rule("TR347", "three-state-boolean", on=MappedColumn, severity=Severity.INFO, since="0.1")
def three_state_boolean(subject: MappedColumn, context: Context) -> Iterator[Problem]:
    """Find booleans that may be NULL because nobody said otherwise.

    ## What it does
    Finds boolean columns that may be NULL where neither an annotation (`Mapped[bool | None]`) nor `nullable=True` says
    that this is meant.

    ## Why is this bad?
    `WHERE NOT flag` and `WHERE flag = false` leave out the rows with NULL, and `if not row.flag` takes them in.

    ## Example
    ```python
    class Profile(Base):
        __tablename__ = "profiles"

        id = Column(Uuid, primary_key=True)
        is_active = Column(Boolean, server_default=text("true"))
    ```
    Use instead:
    ```python
    class Profile(Base):
        __tablename__ = "profiles"

        id = Column(Uuid, primary_key=True)
        is_active = Column(Boolean, server_default=text("true"), nullable=False)
    ```
    """
    column, live, table = subject.column, subject.live, subject.owner.live
    if live is None or table is None or live.type != "boolean" or not column.nullable or has_subclass_table(subject):
        return
    said = isinstance(column._user_defined_nullable, bool) or subject.optional  # noqa: SLF001 - no public way to ask
    if said or is_not_null(context.types, table, live):
        return
    yield Problem(
        f"{subject.label} is a boolean that may be NULL, and nothing says that this is meant.",
        remedy=f"UPDATE {table.name.sql} SET {ident(live.name)} = false WHERE {ident(live.name)} IS NULL;\n"
        f"ALTER TABLE {table.name.sql} ALTER COLUMN {ident(live.name)} SET NOT NULL;",
    )
