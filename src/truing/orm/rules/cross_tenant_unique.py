"""TR336: a unique key that spans all tenants."""

from __future__ import annotations

from collections.abc import Iterator

from truing.finding import Severity
from truing.names import idents
from truing.orm.context import Context
from truing.orm.subjects import (
    MappedTable,
)
from truing.rule import Problem, rule


@rule("TR336", "cross-tenant-unique", on=MappedTable, severity=Severity.INFO, since="0.1")
def cross_tenant_unique(subject: MappedTable, context: Context) -> Iterator[Problem]:
    """Find unique keys of tenants' tables that leave the tenant out.

    ## What it does
    Finds unique constraints and indexes of tables with the configured `tenant-column` that do not include it. Primary
    keys, generated identifiers, and keys that contain a foreign key are left alone.

    ## Why is this bad?
    One tenant's value keeps another tenant from using it, and the error tells them that it exists.

    ## Example
    ```python
    class Project(Base):
        __tablename__ = "projects"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        tenant_id: Mapped[uuid.UUID]
        name: Mapped[str] = mapped_column(unique=True)
    ```
    Use instead:
    ```python
    class Project(Base):
        __tablename__ = "projects"
        __table_args__ = (UniqueConstraint("tenant_id", "name"),)

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        tenant_id: Mapped[uuid.UUID]
        name: Mapped[str]
    ```
    """
    tenant, live = context.config.tenant_column, subject.live
    if tenant is None or live is None or live.column(tenant) is None:
        return
    referring = {name for key in live.foreign_keys for name in key.columns}
    for index in live.indexes:
        names = [each for each in index.columns if each is not None]
        if not index.unique or index.primary or tenant in names or len(names) != len(index.columns):
            continue
        columns = [column for name in names if (column := live.column(name)) is not None]
        # A row is reached through its parent, which is the tenant's; an identifier was made to be unique everywhere.
        if referring & set(names) or any(each.type == "uuid" or each.default or each.identity for each in columns):
            continue
        yield Problem(
            f"{', '.join(map(subject.column_name, names))} must be unique among all tenants together ({index.name}):"
            " one tenant's value keeps another's out.",
            subject=f"{subject.label}.{index.name}",
            remedy=f"CREATE UNIQUE INDEX CONCURRENTLY ON {live.name.sql} ({idents([tenant, *names])});",
        )
