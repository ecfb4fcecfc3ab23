"""TR353: an identity that is unique in each partition only."""

from __future__ import annotations

from collections.abc import Iterator

from truing.finding import Severity
from truing.orm.context import Context
from truing.orm.live import (
    is_unique,
)
from truing.orm.subjects import (
    MappedClass,
)
from truing.rule import Problem, rule


@rule("TR353", "partition-key-outside-identity", on=MappedClass, severity=Severity.WARNING, since="0.1")
def partition_key_outside_identity(subject: MappedClass, _context: Context) -> Iterator[Problem]:
    """Find mappers of partitioned tables that leave the partition key out of their identity.

    ## What it does
    Finds classes mapped to a partitioned table whose primary key in the mapper has no unique key behind it, because the
    partition key is missing in it.

    ## Why is this bad?
    PostgreSQL can keep a key unique only together with the partition key: two partitions may hold the same identity,
    and a session makes one object of both rows. Every lookup by identity searches all partitions.

    ## Example
    ```python
    class Event(Base):
        __table__ = Table(
            "events",
            Base.metadata,
            Column("id", Uuid, primary_key=True),
            Column("day", Date, primary_key=True),
            postgresql_partition_by="RANGE (day)",
        )
        __mapper_args__ = {"primary_key": [__table__.c.id]}
    ```
    Use instead:
    ```python
    class Event(Base):
        __table__ = Table(
            "events",
            Base.metadata,
            Column("id", Uuid, primary_key=True),
            Column("day", Date, primary_key=True),
            postgresql_partition_by="RANGE (day)",
        )
    ```
    """
    live, mapper = subject.owner.live, subject.mapper
    if live is None or not live.partition_key or mapper.inherits is not None:
        return
    names = {str(column.name) for column in mapper.primary_key if column.table is subject.owner.table}
    if not names or is_unique(live, names):
        return
    key = live.primary_key
    columns = key.columns if key else (*sorted(names), "...")
    yield Problem(
        f"{subject.name} is identified by {', '.join(sorted(names))}, which {live.name.sql} (partitioned by"
        f" {live.partition_key}) keeps unique in each partition at most.",
        remedy=f'__mapper_args__ = {{"primary_key": [{", ".join(columns)}]}}',
    )
