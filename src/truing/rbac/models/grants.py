"""Who may do what? Roles of a tenant, permissions of the product, and the two tables that tie them together."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import ForeignKey, Integer, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from truing.rbac.models.base import OWNED, Base, Timestamp, UuidKey, to_tenant

if TYPE_CHECKING:
    from truing.rbac.models.tenancy import Profile, Tenant


class Role(Base):
    """A role of one tenant."""

    __tablename__ = "roles"

    # truing: allow narrow-primary-key -- the key that legacy databases have; nobody makes two thousand million roles
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    tenant_id: Mapped[UUID] = mapped_column(to_tenant("fk_roles_tenant"), index=True)
    name: Mapped[str]
    description: Mapped[str | None]
    created_at: Mapped[Timestamp]

    tenant: Mapped[Tenant] = relationship(back_populates="roles")
    user_roles: Mapped[list[UserRole]] = relationship(back_populates="role", cascade=OWNED, passive_deletes=True)
    role_permissions: Mapped[list[RolePermission]] = relationship(
        back_populates="role", cascade=OWNED, passive_deletes=True
    )


class Permission(Base):
    """Something the product lets people do, the same for every tenant."""

    __tablename__ = "permissions"
    __table_args__ = (UniqueConstraint("name"),)

    id: Mapped[UuidKey]
    name: Mapped[str]
    description: Mapped[str | None]

    role_permissions: Mapped[list[RolePermission]] = relationship(
        back_populates="permission", cascade=OWNED, passive_deletes=True
    )


class RolePermission(Base):
    """A role holds a permission."""

    __tablename__ = "role_permissions"

    role_id: Mapped[int] = mapped_column(
        ForeignKey("roles.id", name="fk_role_permissions_role", ondelete="CASCADE"), primary_key=True
    )
    permission_id: Mapped[UUID] = mapped_column(
        ForeignKey("permissions.id", name="fk_role_permissions_permission", ondelete="CASCADE"),
        primary_key=True,
        index=True,
    )
    created_at: Mapped[Timestamp]

    role: Mapped[Role] = relationship(back_populates="role_permissions")
    permission: Mapped[Permission] = relationship(back_populates="role_permissions")


class UserRole(Base):
    """A profile has a role."""

    __tablename__ = "user_roles"
    __table_args__ = (UniqueConstraint("user_id", "role_id"),)

    id: Mapped[UuidKey]
    # truing: allow redundant-index -- the original plan asks for this index by name
    user_id: Mapped[UUID] = mapped_column(
        ForeignKey("profiles.id", name="fk_user_roles_profile", ondelete="CASCADE"), index=True
    )
    role_id: Mapped[int] = mapped_column(
        ForeignKey("roles.id", name="fk_user_roles_role", ondelete="CASCADE"), index=True
    )
    tenant_id: Mapped[UUID] = mapped_column(to_tenant("fk_user_roles_tenant"), index=True)
    created_at: Mapped[Timestamp]

    profile: Mapped[Profile] = relationship(back_populates="user_roles")
    role: Mapped[Role] = relationship(back_populates="user_roles")
    tenant: Mapped[Tenant] = relationship(back_populates="user_roles")
