"""What is switched on, and what does the sidebar show? Feature flags, their state per tenant, and sidebar items."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import CheckConstraint, ColumnElement, ForeignKey, Index, Numeric, UniqueConstraint, or_, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from truing.rbac.models.base import OWNED, Base, Timestamp, UuidKey, to_tenant

if TYPE_CHECKING:
    from truing.rbac.models.grants import Permission
    from truing.rbac.models.tenancy import Tenant


_PART = "rollout_percentage BETWEEN 0 AND 100"


class FeatureFlag(Base):
    """A feature of the product and whether, and for how many, it is on where a tenant says nothing else."""

    __tablename__ = "feature_flags"
    __table_args__ = (UniqueConstraint("name"), CheckConstraint(_PART, name="rollout"))

    id: Mapped[UuidKey]
    name: Mapped[str]
    description: Mapped[str | None]
    created_at: Mapped[Timestamp]
    rollout_percentage: Mapped[Decimal] = mapped_column(Numeric(5, 2), server_default=text("100"))
    archived_at: Mapped[datetime | None]
    updated_at: Mapped[Timestamp]
    default_enabled: Mapped[bool] = mapped_column(server_default=text("false"))

    tenant_features: Mapped[list[TenantFeature]] = relationship(
        back_populates="feature", cascade=OWNED, passive_deletes=True
    )
    sidebar_features: Mapped[list[SidebarFeature]] = relationship(
        back_populates="feature", cascade=OWNED, passive_deletes=True, foreign_keys="SidebarFeature.feature_id"
    )
    requiring_features: Mapped[list[SidebarFeature]] = relationship(
        back_populates="required_feature",
        cascade=OWNED,
        passive_deletes=True,
        foreign_keys="SidebarFeature.requires_feature",
    )


class TenantFeature(Base):
    """A tenant's own setting of a feature, perhaps until a time."""

    __tablename__ = "tenant_features"
    __table_args__ = (UniqueConstraint("tenant_id", "feature_id"), CheckConstraint(_PART, name="rollout"))

    id: Mapped[UuidKey]
    # The unique key begins with tenant_id and serves the foreign key as its index.
    tenant_id: Mapped[UUID] = mapped_column(to_tenant("fk_tenant_features_tenant"))
    feature_id: Mapped[UUID] = mapped_column(
        ForeignKey("feature_flags.id", name="fk_tenant_features_feature", ondelete="CASCADE"), index=True
    )
    is_enabled: Mapped[bool] = mapped_column(server_default=text("false"))
    created_at: Mapped[Timestamp]
    rollout_percentage: Mapped[Decimal | None] = mapped_column(Numeric(5, 2))
    expires_at: Mapped[datetime | None]
    updated_at: Mapped[Timestamp]

    tenant: Mapped[Tenant] = relationship(back_populates="tenant_features")
    feature: Mapped[FeatureFlag] = relationship(back_populates="tenant_features")


class SidebarFeature(Base):
    """A sidebar item: of one tenant, of everybody (``is_global``), or, when its tenant has gone, of nobody."""

    __tablename__ = "sidebar_features"
    # ON DELETE SET NULL empties tenant_id; that alone must never show the item to others, so NULL does not mean global.
    __table_args__ = (
        CheckConstraint("NOT (is_global AND tenant_id IS NOT NULL)", name="scope"),
        CheckConstraint(r"url_path ~ '^/([^/\\]|$)'", name="url"),
        # One item for each path of a tenant, and of everybody; those of nobody are outside.
        Index(
            "uq_sidebar_features_scope_path",
            "tenant_id",
            "url_path",
            unique=True,
            postgresql_nulls_not_distinct=True,
            postgresql_where=text("tenant_id IS NOT NULL OR is_global"),
        ),
        Index(
            "idx_sidebar_features_requires_feature",
            "requires_feature",
            postgresql_where=text("requires_feature IS NOT NULL"),
        ),
        Index(
            "idx_sidebar_features_requires_permission",
            "requires_permission",
            postgresql_where=text("requires_permission IS NOT NULL"),
        ),
        Index("idx_sidebar_features_global", "display_order", postgresql_where=text("is_global")),
    )

    id: Mapped[UuidKey]
    feature_id: Mapped[UUID] = mapped_column(
        ForeignKey("feature_flags.id", name="fk_sidebar_features_feature", ondelete="CASCADE"), index=True
    )
    tenant_id: Mapped[UUID | None] = mapped_column(to_tenant("fk_sidebar_features_tenant", "SET NULL"), index=True)
    sidebar_name: Mapped[str]
    url_path: Mapped[str]
    icon: Mapped[str | None]
    display_order: Mapped[int] = mapped_column(server_default=text("0"))
    requires_permission: Mapped[str | None] = mapped_column(
        ForeignKey(
            "permissions.name",
            name="fk_sidebar_features_requires_permission",
            ondelete="RESTRICT",
            onupdate="CASCADE",
        )
    )
    created_at: Mapped[Timestamp]
    updated_at: Mapped[Timestamp]
    is_global: Mapped[bool] = mapped_column(server_default=text("false"))
    group_name: Mapped[str | None]
    requires_feature: Mapped[UUID | None] = mapped_column(
        ForeignKey("feature_flags.id", name="fk_sidebar_features_requires_feature", ondelete="CASCADE")
    )

    feature: Mapped[FeatureFlag] = relationship(back_populates="sidebar_features", foreign_keys=[feature_id])
    required_feature: Mapped[FeatureFlag | None] = relationship(
        back_populates="requiring_features", foreign_keys=[requires_feature]
    )
    permission: Mapped[Permission | None] = relationship(back_populates="sidebar_features")
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
