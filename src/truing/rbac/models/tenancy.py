"""Who is there? Tenants, their profiles, and the log of profiles that changed tenant."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, FetchedValue, Identity, Index, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from truing.rbac.models.base import OWNED, Base, Timestamp, UuidKey, to_tenant

if TYPE_CHECKING:
    from truing.rbac.models.features import SidebarFeature, TenantFeature
    from truing.rbac.models.grants import Role, UserRole


class Tenant(Base):
    """A customer. Everything of its own goes with it; its sidebar items stay behind, seen by nobody."""

    __tablename__ = "tenants"

    id: Mapped[UuidKey]
    name: Mapped[str]
    is_active: Mapped[bool] = mapped_column(server_default=text("true"))
    created_at: Mapped[Timestamp]
    updated_at: Mapped[Timestamp]

    profiles: Mapped[list[Profile]] = relationship(back_populates="tenant", cascade=OWNED, passive_deletes=True)
    roles: Mapped[list[Role]] = relationship(back_populates="tenant", cascade=OWNED, passive_deletes=True)
    user_roles: Mapped[list[UserRole]] = relationship(back_populates="tenant", cascade=OWNED, passive_deletes=True)
    tenant_features: Mapped[list[TenantFeature]] = relationship(
        back_populates="tenant", cascade=OWNED, passive_deletes=True
    )
    # ON DELETE SET NULL: not owned, so nothing but the key changes.
    sidebar_features: Mapped[list[SidebarFeature]] = relationship(back_populates="tenant", passive_deletes=True)


class Profile(Base):
    """A user of one tenant."""

    __tablename__ = "profiles"
    __table_args__ = (
        CheckConstraint("tenant_id IS NOT NULL OR email IS NOT NULL", name="reachable"),
        CheckConstraint("email IS NULL OR POSITION('@' IN email) > 1", name="email"),
        Index(None, "email"),
        Index("idx_profiles_role", "role", postgresql_where=text("tenant_id IS NOT NULL")),
        {"comment": "Application users. auth.users holds their credentials."},
    )

    id: Mapped[UuidKey]
    tenant_id: Mapped[UUID] = mapped_column(
        to_tenant("fk_profiles_tenant"), index=True, comment="The tenant this user belongs to."
    )
    email: Mapped[str | None]
    display_name: Mapped[str | None]
    role: Mapped[str | None] = mapped_column(
        server_default=text("'member'"), comment="Shown in the UI; grants nothing."
    )
    created_at: Mapped[Timestamp]
    # A trigger writes it.
    updated_at: Mapped[Timestamp] = mapped_column(server_onupdate=FetchedValue())

    tenant: Mapped[Tenant] = relationship(back_populates="profiles")
    user_roles: Mapped[list[UserRole]] = relationship(back_populates="profile", cascade=OWNED, passive_deletes=True)


class TenantMove(Base):
    """A profile that changed tenant, written by a trigger. It outlives both, so it has no foreign key."""

    __tablename__ = "tenant_moves"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    profile_id: Mapped[UUID]
    from_tenant: Mapped[str | None]
    to_tenant: Mapped[str | None]
    moved_at: Mapped[Timestamp]
