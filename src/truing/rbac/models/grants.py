"""Who may do what? Roles of a tenant, permissions of the product, and the tables that tie them together."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    FetchedValue,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    PrimaryKeyConstraint,
    SmallInteger,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import BIT, BitString
from sqlalchemy.orm import Mapped, mapped_column, relationship

from truing.rbac.models.base import OWNED, Base, Timestamp, UuidKey, to_tenant

if TYPE_CHECKING:
    from truing.rbac.models.features import SidebarFeature
    from truing.rbac.models.tenancy import Profile, Tenant

MASK_BITS = 1024
"""How many permissions there can be; each has a place in the masks of a role."""


def _in_tenant(name: str, column: str, referent: str) -> ForeignKeyConstraint:
    """Make the foreign key that ties a row to another of the same tenant."""
    return ForeignKeyConstraint(
        ["tenant_id", column], [f"{referent}.tenant_id", f"{referent}.id"], name=name, ondelete="CASCADE"
    )


class Role(Base):
    """A role of one tenant. Its masks are what it allows and denies, inherited and by wildcard too."""

    __tablename__ = "roles"
    __table_args__ = (
        UniqueConstraint("tenant_id", "id", name="uq_roles_tenant_id_id"),
        UniqueConstraint("tenant_id", "name", name="uq_role_name_tenant"),
    )

    # truing: allow narrow-primary-key -- the key that legacy databases have; nobody makes two thousand million roles
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    tenant_id: Mapped[UUID] = mapped_column(to_tenant("fk_roles_tenant"))
    name: Mapped[str]
    description: Mapped[str | None]
    created_at: Mapped[Timestamp]
    is_system: Mapped[bool] = mapped_column(server_default=text("false"))
    allow_mask: Mapped[BitString] = mapped_column(BIT(MASK_BITS), server_default=text("(0)::bit(1024)"))
    deny_mask: Mapped[BitString] = mapped_column(BIT(MASK_BITS), server_default=text("(0)::bit(1024)"))
    updated_at: Mapped[Timestamp]

    tenant: Mapped[Tenant] = relationship(back_populates="roles")
    user_roles: Mapped[list[UserRole]] = relationship(
        back_populates="role",
        cascade=OWNED,
        passive_deletes=True,
        primaryjoin="Role.id == foreign(UserRole.role_id)",
    )
    role_permissions: Mapped[list[RolePermission]] = relationship(
        back_populates="role", cascade=OWNED, passive_deletes=True
    )


class Permission(Base):
    """Something the product lets people do, the same for every tenant. ``a:*`` and ``*`` stand for many."""

    __tablename__ = "permissions"
    __table_args__ = (
        UniqueConstraint("name"),
        UniqueConstraint("bit_no", name="uq_permissions_bit_no"),
        CheckConstraint(r"name ~ '^(\*|[a-z0-9_]+([.:][a-z0-9_]+)*([.:]\*)?)$'", name="name"),
    )

    id: Mapped[UuidKey]
    name: Mapped[str]
    description: Mapped[str | None]
    created_at: Mapped[Timestamp]
    updated_at: Mapped[Timestamp]
    bit_no: Mapped[int] = mapped_column(SmallInteger, Identity(start=0, minvalue=0, maxvalue=MASK_BITS - 1))

    role_permissions: Mapped[list[RolePermission]] = relationship(
        back_populates="permission", cascade=OWNED, passive_deletes=True
    )
    # ON DELETE RESTRICT: an item whose permission went would be seen by everybody.
    sidebar_features: Mapped[list[SidebarFeature]] = relationship(back_populates="permission", passive_deletes="all")


class RolePermission(Base):
    """A role holds a permission, or is denied it."""

    __tablename__ = "role_permissions"
    __table_args__ = (
        PrimaryKeyConstraint("tenant_id", "role_id", "permission_id", name="pk_role_permissions"),
        _in_tenant("fk_role_permissions_role", "role_id", "roles"),
        CheckConstraint("effect IN ('allow', 'deny')", name="effect"),
    )

    role_id: Mapped[int]
    permission_id: Mapped[UUID] = mapped_column(
        ForeignKey("permissions.id", name="fk_role_permissions_permission", ondelete="CASCADE"), index=True
    )
    created_at: Mapped[Timestamp]
    effect: Mapped[str] = mapped_column(server_default=text("'allow'"))
    tenant_id: Mapped[UUID]

    role: Mapped[Role] = relationship(back_populates="role_permissions")
    permission: Mapped[Permission] = relationship(back_populates="role_permissions")


class UserRole(Base):
    """A profile has a role of its own tenant, perhaps from and until a time."""

    __tablename__ = "user_roles"
    __table_args__ = (
        UniqueConstraint("tenant_id", "user_id", "role_id", name="uq_user_roles_tenant_user_role"),
        _in_tenant("fk_user_roles_profile", "user_id", "profiles"),
        _in_tenant("fk_user_roles_role", "role_id", "roles"),
        CheckConstraint("expires_at > valid_from", name="window"),
        Index("idx_user_roles_tenant_role", "tenant_id", "role_id"),
    )

    id: Mapped[UuidKey]
    user_id: Mapped[UUID] = mapped_column(index=True)
    role_id: Mapped[int]
    tenant_id: Mapped[UUID] = mapped_column(to_tenant("fk_user_roles_tenant"))
    created_at: Mapped[Timestamp]
    # Who acts, where the writer says nothing: a trigger writes it.
    granted_by: Mapped[UUID | None] = mapped_column(server_default=FetchedValue(), server_onupdate=FetchedValue())
    valid_from: Mapped[datetime | None]
    expires_at: Mapped[datetime | None]
    updated_at: Mapped[Timestamp]

    tenant: Mapped[Tenant] = relationship(back_populates="user_roles")
    # By their ids alone, which are unique and found in the session; that the tenant is the same is what the keys say.
    profile: Mapped[Profile] = relationship(
        back_populates="user_roles", primaryjoin="foreign(UserRole.user_id) == Profile.id"
    )
    role: Mapped[Role] = relationship(back_populates="user_roles", primaryjoin="foreign(UserRole.role_id) == Role.id")


class RoleInherit(Base):
    """A role has what another role of its tenant has."""

    __tablename__ = "role_inherits"
    __table_args__ = (
        PrimaryKeyConstraint("tenant_id", "role_id", "parent_id", name="pk_role_inherits"),
        CheckConstraint("role_id <> parent_id", name="self"),
        _in_tenant("fk_role_inherits_role", "role_id", "roles"),
        _in_tenant("fk_role_inherits_parent", "parent_id", "roles"),
        Index("idx_role_inherits_parent", "tenant_id", "parent_id"),
    )

    tenant_id: Mapped[UUID]
    role_id: Mapped[int] = mapped_column(autoincrement=False)
    parent_id: Mapped[int] = mapped_column(autoincrement=False)


class RoleGrant(Base):
    """Who has a role may give another role of the tenant to others."""

    __tablename__ = "role_grants"
    __table_args__ = (
        PrimaryKeyConstraint("tenant_id", "role_id", "grantable_role_id", name="pk_role_grants"),
        _in_tenant("fk_role_grants_role", "role_id", "roles"),
        _in_tenant("fk_role_grants_grantable", "grantable_role_id", "roles"),
        Index("idx_role_grants_grantable", "tenant_id", "grantable_role_id"),
    )

    tenant_id: Mapped[UUID]
    role_id: Mapped[int] = mapped_column(autoincrement=False)
    grantable_role_id: Mapped[int] = mapped_column(autoincrement=False)
