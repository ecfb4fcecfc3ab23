"""What does the RBAC database look like from Python? Typed SQLAlchemy models, just as the revisions leave the tables.

Names, types, defaults, keys, indexes, ON DELETE and comments are those of the database at ``rbac@head``: ``alembic
check`` has nothing to say, and deleting through the ORM does what deleting through SQL does.
"""

from __future__ import annotations

from truing.rbac.models.base import NAMING_CONVENTION, Base
from truing.rbac.models.features import FeatureFlag, SidebarFeature, TenantFeature
from truing.rbac.models.grants import Permission, Role, RoleGrant, RoleInherit, RolePermission, UserRole
from truing.rbac.models.tenancy import Profile, Tenant, TenantMove
from truing.rbac.models.trail import RbacAudit, TenantRbacVersion

__all__ = [
    "NAMING_CONVENTION",
    "Base",
    "FeatureFlag",
    "Permission",
    "Profile",
    "RbacAudit",
    "Role",
    "RoleGrant",
    "RoleInherit",
    "RolePermission",
    "SidebarFeature",
    "Tenant",
    "TenantFeature",
    "TenantMove",
    "TenantRbacVersion",
    "UserRole",
]
