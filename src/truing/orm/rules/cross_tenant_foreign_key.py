"""TR335: a foreign key that lets one tenant's row point at another's."""

from __future__ import annotations

from collections.abc import Iterator

from truing.finding import Severity
from truing.names import idents
from truing.orm.context import Context
from truing.orm.subjects import (
    LiveForeignKey,
)
from truing.rule import Problem, rule


@rule("TR335", "cross-tenant-foreign-key", on=LiveForeignKey, severity=Severity.WARNING, since="0.1")
def cross_tenant_foreign_key(subject: LiveForeignKey, context: Context) -> Iterator[Problem]:
    """Find foreign keys between tenants' tables that leave the tenant out.

    ## What it does
    Finds foreign keys whose two tables both have the configured `tenant-column`, and that do not include it.

    ## Why is this bad?
    A row of tenant B may point at a row of tenant A: a user gets another tenant's role. Foreign keys are checked
    without row-level security, so policies do not prevent it.

    ## Example
    ```python
    class Role(Base):
        __tablename__ = "roles"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        tenant_id: Mapped[uuid.UUID]


    class UserRole(Base):
        __tablename__ = "user_roles"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        tenant_id: Mapped[uuid.UUID]
        role_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("roles.id"), index=True)
    ```
    Use instead:
    ```python
    class Role(Base):
        __tablename__ = "roles"
        __table_args__ = (UniqueConstraint("tenant_id", "id"),)

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        tenant_id: Mapped[uuid.UUID]


    class UserRole(Base):
        __tablename__ = "user_roles"
        __table_args__ = (
            ForeignKeyConstraint(["tenant_id", "role_id"], ["roles.tenant_id", "roles.id"]),
            Index(None, "role_id", "tenant_id"),
        )

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        tenant_id: Mapped[uuid.UUID]
        role_id: Mapped[uuid.UUID]
    ```
    """
    tenant, key, table = context.config.tenant_column, subject.key, subject.table
    parent = context.snapshot.table(key.references) if key.references else None
    if tenant is None or parent is None or table.column(tenant) is None or parent.column(tenant) is None:
        return
    # The key to the tenants' own table, and a row's parent in a table whose tenant column is its key, are the tenant.
    if tenant in key.columns or tenant in key.referenced_columns:
        return
    wider = {tenant, *key.columns}
    if any(other.references == key.references and wider <= set(other.columns) for other in table.foreign_keys):
        return
    columns = (tenant, *key.columns)
    yield Problem(
        f"{subject.written} may point at a row of {parent.name.sql} of another tenant: {key.name} leaves {tenant} out.",
        remedy=f"CREATE UNIQUE INDEX CONCURRENTLY ON {parent.name.sql} ({idents((tenant, *key.referenced_columns))});\n"
        f"ALTER TABLE {table.name.sql} ADD FOREIGN KEY ({idents(columns)}) REFERENCES {parent.name.sql}"
        f" ({idents((tenant, *key.referenced_columns))}) ON DELETE {key.on_delete} NOT VALID;",
    )
