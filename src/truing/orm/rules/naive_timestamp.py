"""TR350: a moment that depends on who reads it."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import DateTime

from truing.finding import Severity
from truing.names import ident
from truing.orm.context import Context
from truing.orm.enums import dialect_type
from truing.orm.subjects import (
    MappedColumn,
)
from truing.rule import Problem, rule


@rule("TR350", "naive-timestamp", on=MappedColumn, severity=Severity.INFO, since="0.1")
def naive_timestamp(subject: MappedColumn, _context: Context) -> Iterator[Problem]:
    """Find timestamps without a time zone.

    ## What it does
    Finds columns that are `timestamp without time zone` in the model and in the database.

    ## Why is this bad?
    Nothing says which clock a value was read from. `now()` stores the session's local time, `datetime.utcnow()`
    another, and comparing them is wrong by some hours, depending on where the program runs.

    ## Example
    ```python
    class Profile(Base):
        __tablename__ = "profiles"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        seen_at: Mapped[dt.datetime | None]
    ```
    Use instead:
    ```python
    class Profile(Base):
        __tablename__ = "profiles"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        seen_at: Mapped[dt.datetime | None] = mapped_column(DateTime(timezone=True))
    ```
    """
    live, table, type_ = subject.live, subject.owner.live, dialect_type(subject.column)
    if live is None or table is None or not isinstance(type_, DateTime) or type_.timezone:
        return
    if live.type.startswith("timestamp") and live.type.endswith("without time zone"):
        yield Problem(
            f"{subject.label} has no time zone: what moment it means depends on who wrote it.",
            remedy=f"ALTER TABLE {table.name.sql} ALTER COLUMN {ident(live.name)} TYPE timestamptz"
            f" USING {ident(live.name)} AT TIME ZONE 'UTC';\n"
            f"{subject.key} = mapped_column(DateTime(timezone=True))",
        )
