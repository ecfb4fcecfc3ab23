"""TR348: a value that a deleted row keeps for ever."""

from __future__ import annotations

from collections.abc import Iterator

from truing.catalog.model import Column
from truing.finding import Severity
from truing.names import ident
from truing.orm.context import Context
from truing.orm.subjects import (
    MappedTable,
)
from truing.rule import Problem, rule


@rule("TR348", "unique-over-soft-deleted", on=MappedTable, severity=Severity.INFO, since="0.1")
def unique_over_soft_deleted(subject: MappedTable, _context: Context) -> Iterator[Problem]:
    """Find unique keys that count rows which are marked as deleted.

    ## What it does
    Finds unique constraints and indexes over all rows of a table with a soft-delete column (`deleted_at`, `deleted_on`,
    `is_deleted`, `deleted`), where the key does not include it. Generated identifiers are left alone.

    ## Why is this bad?
    After a "delete" the value cannot be used again, and the error is about a row that nobody can see.

    ## Example
    ```python
    class Profile(Base):
        __tablename__ = "profiles"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        email: Mapped[str] = mapped_column(unique=True)
        deleted_at: Mapped[dt.datetime | None] = mapped_column(DateTime(timezone=True))
    ```
    Use instead:
    ```python
    class Profile(Base):
        __tablename__ = "profiles"
        __table_args__ = (Index(None, "email", unique=True, postgresql_where=text("deleted_at IS NULL")),)

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        email: Mapped[str]
        deleted_at: Mapped[dt.datetime | None] = mapped_column(DateTime(timezone=True))
    ```
    """
    live = subject.live
    mark = next((name for name in _MARKS if live and live.column(name)), None)
    if live is None or mark is None:
        return
    for index in live.indexes:
        names = [each for each in index.columns if each is not None]
        if not index.unique or index.primary or index.predicate or mark in names or mark in index.definition:
            continue
        columns = [column for name in names if (column := live.column(name)) is not None]
        if any(each.type == "uuid" or each.default or each.identity or each.generated for each in columns):
            continue
        yield Problem(
            f"{', '.join(map(subject.column_name, names))} ({index.name}) is unique among deleted rows too ({mark}):"
            " the value of a deleted row cannot be used again.",
            subject=f"{subject.label}.{index.name}",
            remedy=f"CREATE UNIQUE INDEX CONCURRENTLY ON {live.name.sql} ({', '.join(index.elements)})"
            f" WHERE {_alive(ident(mark), live.column(mark))};",
        )


_MARKS = ("deleted_at", "deleted_on", "is_deleted", "deleted")


def _alive(name: str, column: Column | None) -> str:
    return f"NOT {name}" if column is not None and column.type == "boolean" else f"{name} IS NULL"
