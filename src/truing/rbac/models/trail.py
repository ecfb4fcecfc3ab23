"""What has changed, and since when? The version of each tenant's answers, and the audit log."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Identity, PrimaryKeyConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql.base import ischema_names
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import UserDefinedType

from truing.rbac.models.base import Base


class XID8(UserDefinedType[int]):
    """The number of a transaction, which never comes again."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        """Return its name."""
        return "xid8"


# Or reflecting the table would warn of a type that nobody knows.
ischema_names.setdefault("xid8", XID8)


class TenantRbacVersion(Base):
    """A number that grows when somebody of the tenant may do something else than before."""

    __tablename__ = "tenant_rbac_versions"
    __table_args__ = (
        PrimaryKeyConstraint("tenant_id", name="pk_tenant_rbac_versions"),
        {"postgresql_with": {"fillfactor": 50}},
    )

    tenant_id: Mapped[UUID] = mapped_column(
        ForeignKey("tenants.id", name="fk_tenant_rbac_versions_tenant", ondelete="CASCADE")
    )
    version: Mapped[int] = mapped_column(BigInteger, server_default=text("1"))


class RbacAudit(Base):
    """Who changed what. It outlives its tenant, so it has no foreign key, and is only ever added to."""

    __tablename__ = "rbac_audit"
    __table_args__ = (PrimaryKeyConstraint("tenant_id", "id", name="pk_rbac_audit"),)

    tenant_id: Mapped[UUID]
    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True))
    at: Mapped[datetime] = mapped_column(server_default=text("clock_timestamp()"))
    actor: Mapped[str] = mapped_column(
        server_default=text(
            "COALESCE(NULLIF(current_setting('app.actor'::text, true), ''::text), (SESSION_USER)::text)"
        )
    )
    impersonator: Mapped[str | None] = mapped_column(
        server_default=text("NULLIF(current_setting('app.impersonator'::text, true), ''::text)")
    )
    txid: Mapped[int] = mapped_column(XID8, server_default=text("pg_current_xact_id()"))
    op: Mapped[str]
    table_name: Mapped[str]
    old_row: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    new_row: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
