"""TR337: a tenant's table that its siblings' protection leaves out."""

from __future__ import annotations

from collections.abc import Iterator

from truing.finding import Severity
from truing.orm.context import Context
from truing.orm.subjects import (
    MappedTable,
)
from truing.rule import Problem, rule


@rule("TR337", "tenant-table-without-row-security", on=MappedTable, severity=Severity.WARNING, since="0.1")
def tenant_table_without_row_security(subject: MappedTable, context: Context) -> Iterator[Problem]:
    """Find tenants' tables without row-level security among others that have it.

    ## What it does
    Finds tables with the configured `tenant-column` and without row-level security, where other mapped tables with that
    column have it.

    ## Why is this bad?
    Whoever wrote the policies counts on them: a query without a WHERE shows every tenant's rows of this table.

    ## Example
    ```python
    class Project(Base):
        __tablename__ = "projects"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        tenant_id: Mapped[uuid.UUID]


    class Document(Base):
        __tablename__ = "documents"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        tenant_id: Mapped[uuid.UUID]


    op.execute("ALTER TABLE projects ENABLE ROW LEVEL SECURITY")
    op.execute("CREATE POLICY own ON projects USING (tenant_id = current_setting('app.tenant')::uuid)")
    ```
    Use instead:
    ```python
    class Project(Base):
        __tablename__ = "projects"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        tenant_id: Mapped[uuid.UUID]


    class Document(Base):
        __tablename__ = "documents"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        tenant_id: Mapped[uuid.UUID]


    for table in ("projects", "documents"):
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY own ON {table} USING (tenant_id = current_setting('app.tenant')::uuid)")
    ```
    """
    tenant, live = context.config.tenant_column, subject.live
    if tenant is None or live is None or live.row_security or live.column(tenant) is None or live.partition_bound:
        return
    protected = sorted(
        each.label
        for each in context.tables.values()
        if each.live and each.live.row_security and each.live.policies and each.live.column(tenant)
    )
    if protected:
        others = ", ".join(protected[:3]) + (" ..." if len(protected) > len(protected[:3]) else "")
        yield Problem(
            f"{subject.label} has {tenant} and no row-level security, unlike {others}: every tenant's rows are seen.",
            remedy=f"ALTER TABLE {live.name.sql} ENABLE ROW LEVEL SECURITY;\nCREATE POLICY ... ON {live.name.sql} ...;",
        )
