"""TR313: a foreign key without an index under it."""

from __future__ import annotations

from collections.abc import Iterator

from truing.finding import Severity
from truing.names import idents
from truing.orm.context import Context
from truing.orm.live import (
    covering_index,
    partly_covering_index,
)
from truing.orm.subjects import (
    LiveForeignKey,
)
from truing.rule import Problem, rule


@rule(
    "TR313",
    "unindexed-foreign-key",
    on=LiveForeignKey,
    severity=Severity.WARNING,
    since="0.1",
    varies="info where another index covers a part, or neither ON DELETE nor a relationship looks the rows up",
)
def unindexed_foreign_key(subject: LiveForeignKey, _context: Context) -> Iterator[Problem]:
    """Find foreign keys whose columns no index begins with.

    ## What it does
    Finds foreign keys without a valid index that finds the referring rows. For a key of several columns, an index that
    begins with one of them is enough to say no more than `info`.

    ## Why is this bad?
    Each DELETE of a parent row (and each change of its key) scans the whole referring table, while it holds a lock on
    the parent. PostgreSQL makes an index for the referenced side only.

    ## Example
    ```python
    class Tenant(Base):
        __tablename__ = "tenants"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)


    class Profile(Base):
        __tablename__ = "profiles"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        tenant_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("tenants.id", ondelete="CASCADE"))
    ```
    Use instead:
    ```python
    class Tenant(Base):
        __tablename__ = "tenants"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)


    class Profile(Base):
        __tablename__ = "profiles"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        tenant_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("tenants.id", ondelete="CASCADE"), index=True)
    ```

    ## Severity
    `warning` where somebody means to delete parents (an `ON DELETE` action) or to load children (a relationship from
    the parent), `info` elsewhere.
    """
    key, table = subject.key, subject.table
    if table.kind == "foreign-table" or not key.enforced or covering_index(table, key.columns):
        return
    partly = partly_covering_index(table, key.columns) if len(key.columns) > 1 else None
    used = key.on_delete in ("CASCADE", "SET NULL", "SET DEFAULT") or any(
        r.is_one_to_many or r.is_many_to_many for r in subject.relationships
    )
    missing = "has no index" if partly is None else f"has no index of its own, only {partly.name} over a part"
    rows = "all" if partly is None else "a part"
    yield Problem(
        f"{subject.written} {missing}: each DELETE of a row of {subject.target} scans {rows} of {table.name.sql}"
        f" (ON DELETE {key.on_delete}).",
        remedy=f"CREATE INDEX CONCURRENTLY ON {table.name.sql} ({idents(key.columns)});",
        severity=None if used and partly is None else Severity.INFO,
    )
