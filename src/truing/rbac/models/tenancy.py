"""Who is there? Tenants, their profiles, and the log of profiles that changed tenant."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    FetchedValue,
    ForeignKeyConstraint,
    Identity,
    Index,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from truing.rbac.models.base import OWNED, Base, Timestamp, UuidKey, to_tenant

if TYPE_CHECKING:
    from truing.rbac.models.features import SidebarFeature, TenantFeature
    from truing.rbac.models.grants import Role, UserRole


NIL = "00000000-0000-0000-0000-000000000000"
"""The tenant of rows that had none; never an active one."""


class Tenant(Base):
    """A customer. Everything of its own goes with it; its sidebar items stay behind, seen by nobody."""

    __tablename__ = "tenants"
    __table_args__ = (
        UniqueConstraint("slug", name="uq_tenants_slug"),
        CheckConstraint(f"id <> '{NIL}' OR NOT is_active", name="not_nil"),
        CheckConstraint("slug ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'", name="slug"),
    )

    id: Mapped[UuidKey]
    name: Mapped[str]
    is_active: Mapped[bool] = mapped_column(server_default=text("true"))
    created_at: Mapped[Timestamp]
    updated_at: Mapped[Timestamp]
    description: Mapped[str | None]
    slug: Mapped[str] = mapped_column(server_default=text("(gen_random_uuid())::text"))

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
        UniqueConstraint("tenant_id", "id", name="uq_profiles_tenant_id_id"),
        # Shown, never read by what decides.
        ForeignKeyConstraint(
            ["tenant_id", "role"],
            ["roles.tenant_id", "roles.name"],
            name="fk_profiles_role",
            onupdate="CASCADE",
            ondelete="SET NULL (role)",
        ),
        Index(
            "uq_profiles_tenant_email",
            "tenant_id",
            text("lower(email)"),
            unique=True,
            postgresql_where=text("email IS NOT NULL"),
        ),
        Index("idx_profiles_tenant_role", "tenant_id", "role"),
        Index(None, "email"),
        Index("idx_profiles_role", "role", postgresql_where=text("tenant_id IS NOT NULL")),
        {"comment": "Application users. auth.users holds their credentials."},
    )

    id: Mapped[UuidKey]
    # truing: allow redundant-index -- the original plan asks for this index by name
    tenant_id: Mapped[UUID] = mapped_column(
        to_tenant("fk_profiles_tenant"), index=True, comment="The tenant this user belongs to."
    )
    email: Mapped[str | None]
    display_name: Mapped[str | None]
    role: Mapped[str | None] = mapped_column(comment="Shown in the UI; grants nothing.")
    created_at: Mapped[Timestamp]
    # A trigger writes it.
    updated_at: Mapped[Timestamp] = mapped_column(server_onupdate=FetchedValue())
    avatar_url: Mapped[str | None]
    bio: Mapped[str | None]
    active: Mapped[bool] = mapped_column(server_default=text("true"))

    tenant: Mapped[Tenant] = relationship(back_populates="profiles")
    user_roles: Mapped[list[UserRole]] = relationship(
        back_populates="profile",
        cascade=OWNED,
        passive_deletes=True,
        primaryjoin="Profile.id == foreign(UserRole.user_id)",
    )


class TenantMove(Base):
    """A profile that changed tenant, written by a trigger. It outlives both, so it has no foreign key."""

    __tablename__ = "tenant_moves"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    profile_id: Mapped[UUID]
    from_tenant: Mapped[str | None]
    to_tenant: Mapped[str | None]
    moved_at: Mapped[Timestamp]
