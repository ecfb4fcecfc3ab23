"""TR314: a foreign key whose column cannot hold what it points at."""

from __future__ import annotations

from collections.abc import Iterator

from truing.finding import Severity
from truing.names import ident
from truing.orm.context import Context
from truing.orm.live import (
    LARGEST,
    longest,
)
from truing.orm.remedies import online
from truing.orm.subjects import (
    LiveForeignKey,
)
from truing.rule import Problem, rule


@rule("TR314", "foreign-key-type-mismatch", on=LiveForeignKey, severity=Severity.WARNING, since="0.1")
def foreign_key_type_mismatch(subject: LiveForeignKey, context: Context) -> Iterator[Problem]:
    """Find foreign keys between columns of different types.

    ## What it does
    Finds foreign keys whose column is of another type than the column it points at: `integer` to `bigint`,
    `varchar(20)` to `text`, `numeric` to `integer`. Differences that do no harm (`text` to `varchar`, a longer limit, a
    domain of the same type) are passed over.

    ## Why is this bad?
    From the day the parent's key passes the narrower type, its rows cannot be referred to (`integer out of range`).
    Types of different families also compare through a cast, which an index may not serve.

    ## Example
    ```python
    class Event(Base):
        __tablename__ = "events"

        id: Mapped[int] = mapped_column(BigInteger, primary_key=True)


    class Attendance(Base):
        __tablename__ = "attendances"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        event_id: Mapped[int] = mapped_column(Integer, ForeignKey("events.id"), index=True)
    ```
    Use instead:
    ```python
    class Event(Base):
        __tablename__ = "events"

        id: Mapped[int] = mapped_column(BigInteger, primary_key=True)


    class Attendance(Base):
        __tablename__ = "attendances"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        event_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("events.id"), index=True)
    ```
    """
    parent = context.snapshot.table(subject.key.references) if subject.key.references else None
    if parent is None:
        return
    for name, referenced in zip(subject.key.columns, subject.key.referenced_columns, strict=True):
        one, other = subject.table.column(name), parent.column(referenced)
        if one is None or other is None or _fits(context.type_of(one.type), context.type_of(other.type)):
            continue
        yield Problem(
            f"{subject.owner.column_name(name)} is {one.type} and points at {parent.name.sql}.{ident(referenced)},"
            f" which is {other.type}: not every key of the parent fits.",
            remedy=online("convert_column_online", subject.table.name, name, other.type),
        )


_TEXT = ("text", "character varying", "citext")


def _fits(one: str, other: str) -> bool:
    if one == other:
        return True
    if one in LARGEST and other in LARGEST:
        return LARGEST[one] >= LARGEST[other]
    families = tuple(each.partition("(")[0].rpartition(".")[2] for each in (one, other))
    if not all(each in _TEXT for each in families):
        # A limit or precision of the same type.
        return families[0] == families[1] and "(" not in one
    mine, theirs = longest(one), longest(other)
    return mine is None or (theirs is not None and mine >= theirs)
