"""TR308: ON DELETE SET NULL on a column that holds no NULL."""

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
    LiveForeignKey,
)
from truing.rule import Problem, rule


@rule("TR308", "set-null-on-not-null", on=LiveForeignKey, severity=Severity.ERROR, since="0.1")
def set_null_on_not_null(subject: LiveForeignKey, context: Context) -> Iterator[Problem]:
    """Find foreign keys whose action can only fail.

    ## What it does
    Finds foreign keys with `ON DELETE SET NULL` on a NOT NULL column (and `SET DEFAULT` on one without a default).

    ## Why is this bad?
    Deleting a parent with children always fails, with an error about a NULL that nobody wrote.

    ## Example
    ```python
    class Author(Base):
        __tablename__ = "authors"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)


    class Book(Base):
        __tablename__ = "books"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        author_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("authors.id", ondelete="SET NULL"), index=True)
    ```
    Use instead:
    ```python
    class Author(Base):
        __tablename__ = "authors"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)


    class Book(Base):
        __tablename__ = "books"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        author_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("authors.id", ondelete="SET NULL"), index=True)
    ```
    """
    key, table = subject.key, subject.table
    for action, changed in ((key.on_delete, key.on_delete_columns or key.columns), (key.on_update, key.columns)):
        if action not in ("SET NULL", "SET DEFAULT"):
            continue
        found = [column for name in changed if (column := table.column(name)) is not None]
        refusing = [
            column.name
            for column in found
            if is_not_null(context.types, table, column)
            and (action == "SET NULL" or not has_default(context.types, column))
        ]
        if refusing:
            names = ", ".join(map(subject.owner.column_name, refusing))
            event = "deleting" if action == key.on_delete else "changing the key of"
            yield Problem(
                f"{event} a row of {subject.target} that {subject.owner.name.sql} refers to always fails:"
                f" {key.name} is {action}, and {names} is NOT NULL.",
                remedy="\n".join(
                    f"ALTER TABLE {table.name.sql} ALTER COLUMN {ident(n)} DROP NOT NULL;" for n in refusing
                ),
            )
            return
