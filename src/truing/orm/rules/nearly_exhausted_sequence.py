"""TR334: a counter that will soon have no number left."""

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
    "TR334",
    "nearly-exhausted-sequence",
    on=MappedColumn,
    severity=Severity.WARNING,
    since="0.1",
    varies="error from 80 % on",
)
def nearly_exhausted_sequence(subject: MappedColumn, context: Context) -> Iterator[Problem]:
    """Find sequences that have used up most of their numbers.

    ## What it does
    Finds columns whose sequence has given half of the numbers that it, or the column's type, can hold (`error` from
    80 % on).

    ## Why is this bad?
    After the last one every INSERT fails (`integer out of range`, or `nextval: reached maximum value`).

    ## Example
    ```python
    class Event(Base):
        __tablename__ = "events"

        id: Mapped[int] = mapped_column(BigInteger, Identity(maxvalue=1000), primary_key=True)


    op.execute("SELECT setval('events_id_seq', 700)")
    ```
    Use instead:
    ```python
    class Event(Base):
        __tablename__ = "events"

        id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)


    op.execute("SELECT setval('events_id_seq', 700)")
    ```
    """
    live, table = subject.live, subject.owner.live
    if live is None or table is None:
        return
    for counted, sequence in context.counters.get(table.name, ()):
        last = context.usage.positions.get(sequence.name)
        if last is None or counted != live.name:
            continue
        if sequence.cycle or sequence.increment < 0 or last <= 0:
            continue
        end = min(sequence.maximum, LARGEST.get(context.type_of(live.type), sequence.maximum))
        used = 100 * last / end
        if used >= _HALF:
            yield Problem(
                f"{subject.label}: {sequence.name.sql} has given {last:,} of {end:,} numbers ({used:.0f} %).",
                remedy=f"ALTER TABLE {table.name.sql} ALTER COLUMN {ident(live.name)} TYPE bigint;\n"
                f"ALTER SEQUENCE {sequence.name.sql} AS bigint NO MAXVALUE;",
                severity=Severity.ERROR if used >= _MOST else None,
            )


_HALF, _MOST = 50, 80
