"""TR356: an index that costs writes and serves no query."""

from __future__ import annotations

from collections.abc import Iterator

from truing.finding import Severity
from truing.names import QualifiedName
from truing.orm.context import Context
from truing.orm.subjects import (
    MappedTable,
)
from truing.rule import Problem, rule


@rule(
    "TR356", "invalid-index", on=MappedTable, severity=Severity.WARNING, since="0.1", varies="error for a unique index"
)
def invalid_index(subject: MappedTable, _context: Context) -> Iterator[Problem]:
    """Find indexes that a failed CREATE INDEX CONCURRENTLY left behind.

    ## What it does
    Finds invalid indexes (`error` for unique ones).

    ## Why is this bad?
    Writes keep it up to date, no query uses it, and a unique one guarantees nothing about the rows that were there.

    ## Example
    ```python
    class Profile(Base):
        __tablename__ = "profiles"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        email: Mapped[str] = mapped_column(index=True)


    op.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ix_profiles_email'::regclass")
    ```
    Use instead:
    ```python
    class Profile(Base):
        __tablename__ = "profiles"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        email: Mapped[str] = mapped_column(index=True)
    ```
    """
    live = subject.live
    for index in live.indexes if live else ():
        # The index of a partitioned table is invalid until each partition has one; REINDEX cannot mend that.
        if live is None or index.valid or live.kind == "partitioned-table":
            continue
        name = QualifiedName(live.name.schema, index.name).sql
        yield Problem(
            f"{index.name} on {subject.label} is invalid: it costs writes"
            f" {'and keeps nothing unique' if index.unique else 'and serves no query'}.",
            subject=f"{subject.label}.{index.name}",
            remedy=f"REINDEX INDEX CONCURRENTLY {name};",
            severity=Severity.ERROR if index.unique else None,
        )
