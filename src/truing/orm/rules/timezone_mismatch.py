"""TR351: a moment that is shifted on its way into the database."""

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


@rule("TR351", "timezone-mismatch", on=MappedColumn, severity=Severity.WARNING, since="0.1")
def timezone_mismatch(subject: MappedColumn, _context: Context) -> Iterator[Problem]:
    """Find timestamps that have a time zone on one side only.

    ## What it does
    Finds columns that are `DateTime(timezone=True)` in the model and `timestamp without time zone` in the database, or
    the other way round.

    ## Why is this bad?
    The value is converted by the session's time zone on its way, and what comes back is naive where the code expects
    an aware datetime (or the reverse): comparing them raises `TypeError`, and moments shift by hours.

    ## Example
    ```python
    class Profile(Base):
        __tablename__ = "profiles"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        seen_at: Mapped[dt.datetime | None] = mapped_column(DateTime(timezone=True))


    op.execute("ALTER TABLE profiles ALTER COLUMN seen_at TYPE timestamp")
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
    if live is None or table is None or not isinstance(type_, DateTime) or not live.type.startswith("timestamp"):
        return
    zoned = live.type.endswith("with time zone")
    if zoned is not bool(type_.timezone):
        yield Problem(
            f"{subject.label} is DateTime(timezone={bool(type_.timezone)}), but {subject.path} is {live.type}: moments"
            " shift by the session's time zone.",
            remedy=f"{subject.key} = mapped_column(DateTime(timezone={zoned}))"
            + (
                f", or:\nALTER TABLE {table.name.sql} ALTER COLUMN {ident(live.name)} TYPE timestamptz USING"
                f" {ident(live.name)} AT TIME ZONE 'UTC';"
                if not zoned
                else ""
            ),
        )
