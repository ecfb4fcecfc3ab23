"""TR333: a counter that ends at two thousand million, or at thirty-two thousand."""

from __future__ import annotations

from collections.abc import Iterator

from truing.finding import Severity
from truing.names import ident
from truing.orm.context import Context
from truing.orm.live import (
    LARGEST,
)
from truing.orm.subjects import (
    MappedColumn,
)
from truing.rule import Problem, rule


@rule(
    "TR333", "narrow-primary-key", on=MappedColumn, severity=Severity.INFO, since="0.1", varies="warning for smallint"
)
def narrow_primary_key(subject: MappedColumn, _context: Context) -> Iterator[Problem]:
    """Find counted primary keys that are not bigint.

    ## What it does
    Finds primary keys of type `integer` or `smallint` that a sequence or an identity counts.

    ## Why is this bad?
    After 2,147,483,647 (or 32,767) numbers, used or not, every INSERT fails. Widening the column then rewrites the
    table, and every foreign key to it, under a lock that nobody passes. Four bytes a row buy that off.

    ## Example
    ```python
    class Event(Base):
        __tablename__ = "events"

        id: Mapped[int] = mapped_column(primary_key=True)
    ```
    Use instead:
    ```python
    class Event(Base):
        __tablename__ = "events"

        id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    ```
    """
    live, table = subject.live, subject.owner.live
    key = table.primary_key if table else None
    if live is None or table is None or key is None or key.columns != (live.name,):
        return
    counted = live.identity or (live.default or "").startswith("nextval(")
    if not counted or live.type not in ("integer", "smallint"):
        return
    yield Problem(
        f"{subject.label} is {live.type} and counted: after {LARGEST[live.type]:,} numbers every INSERT fails.",
        remedy=f"ALTER TABLE {table.name.sql} ALTER COLUMN {ident(live.name)} TYPE bigint;",
        severity=Severity.WARNING if live.type == "smallint" else None,
    )
