"""What is switched on, and what does the sidebar show? Feature flags, their state per tenant, and sidebar items."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import CheckConstraint, ColumnElement, ForeignKey, UniqueConstraint, or_, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from truing.rbac.models.base import OWNED, Base, Timestamp, UuidKey, to_tenant

if TYPE_CHECKING:
    from truing.rbac.models.tenancy import Tenant


class FeatureFlag(Base):
    """A feature of the product and whether it is on where a tenant says nothing else."""

    __tablename__ = "feature_flags"
    __table_args__ = (UniqueConstraint("name"),)

    id: Mapped[UuidKey]
    name: Mapped[str]
    description: Mapped[str | None]
    is_enabled: Mapped[bool] = mapped_column(server_default=text("false"))
    created_at: Mapped[Timestamp]

    tenant_features: Mapped[list[TenantFeature]] = relationship(
        back_populates="feature", cascade=OWNED, passive_deletes=True
    )
    sidebar_features: Mapped[list[SidebarFeature]] = relationship(
        back_populates="feature", cascade=OWNED, passive_deletes=True
    )


class TenantFeature(Base):
    """A tenant's own setting of a feature."""

    __tablename__ = "tenant_features"
    __table_args__ = (UniqueConstraint("tenant_id", "feature_id"),)

    id: Mapped[UuidKey]
    # The unique key begins with tenant_id and serves the foreign key as its index.
    tenant_id: Mapped[UUID] = mapped_column(to_tenant("fk_tenant_features_tenant"))
    feature_id: Mapped[UUID] = mapped_column(
        ForeignKey("feature_flags.id", name="fk_tenant_features_feature", ondelete="CASCADE"), index=True
    )
    is_enabled: Mapped[bool] = mapped_column(server_default=text("false"))
    created_at: Mapped[Timestamp]

    tenant: Mapped[Tenant] = relationship(back_populates="tenant_features")
    feature: Mapped[FeatureFlag] = relationship(back_populates="tenant_features")


class SidebarFeature(Base):
    """A sidebar item: of one tenant, of everybody (``is_global``), or, when its tenant has gone, of nobody."""

    __tablename__ = "sidebar_features"
    # ON DELETE SET NULL empties tenant_id; that alone must never show the item to others, so NULL does not mean global.
    __table_args__ = (CheckConstraint("NOT (is_global AND tenant_id IS NOT NULL)", name="scope"),)

    id: Mapped[UuidKey]
    feature_id: Mapped[UUID] = mapped_column(
        ForeignKey("feature_flags.id", name="fk_sidebar_features_feature", ondelete="CASCADE"), index=True
    )
    tenant_id: Mapped[UUID | None] = mapped_column(to_tenant("fk_sidebar_features_tenant", "SET NULL"), index=True)
    sidebar_name: Mapped[str]
    url_path: Mapped[str]
    icon: Mapped[str | None]
    display_order: Mapped[int] = mapped_column(server_default=text("0"))
    requires_permission: Mapped[str | None]
    created_at: Mapped[Timestamp]
    updated_at: Mapped[Timestamp]
    is_global: Mapped[bool] = mapped_column(server_default=text("false"))

    feature: Mapped[FeatureFlag] = relationship(back_populates="sidebar_features")
    tenant: Mapped[Tenant | None] = relationship(back_populates="sidebar_features")

    @classmethod
    def visible_to(cls, tenant_id: UUID) -> ColumnElement[bool]:
        """Say which items a tenant may see.

        Args:
            tenant_id: the tenant that looks.

        Returns:
            A condition for ``select(SidebarFeature).where(...)``.
        """
        return or_(cls.tenant_id == tenant_id, cls.is_global)
