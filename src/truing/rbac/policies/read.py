"""What is the policy of this database? Five queries, however many tenants there are; a :class:`Policy` comes out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from truing.errors import UsageError
from truing.rbac.policies.document import Policy, Role, Tenant

# Without the sentinel, which stands for rows that have no tenant.
_TENANTS = """
SELECT id, slug, name, is_active FROM tenants WHERE id <> '00000000-0000-0000-0000-000000000000' ORDER BY slug
"""
_ROLES = "SELECT tenant_id, id, name, description FROM roles ORDER BY name"
_EDGES = """
SELECT rp.tenant_id, rp.role_id, rp.effect AS kind, p.name AS other
FROM role_permissions rp JOIN permissions p ON p.id = rp.permission_id
UNION ALL
SELECT i.tenant_id, i.role_id, 'inherits', r.name
FROM role_inherits i JOIN roles r ON r.tenant_id = i.tenant_id AND r.id = i.parent_id
UNION ALL
SELECT g.tenant_id, g.role_id, 'may grant', r.name
FROM role_grants g JOIN roles r ON r.tenant_id = g.tenant_id AND r.id = g.grantable_role_id
"""
_KINDS = ("inherits", "allow", "deny", "may grant")


def read_policy(connection: Connection, tenants: Collection[str] | None = None) -> Policy:
    """Read the policy from the tables on the search path.

    Args:
        connection: within a transaction or not.
        tenants: the slugs of those to read; None for all.

    Raises:
        UsageError: there is no tenant of a slug that was asked for.
    """
    rows = [row for row in connection.execute(text(_TENANTS)) if tenants is None or row.slug in tenants]
    missing = sorted(set(tenants or ()) - {row.slug for row in rows})
    if missing:
        raise UsageError(f"There is no tenant {missing[0]}.", hint="A tenant is named by its slug.")
    edges: defaultdict[tuple[Any, int, str], list[str]] = defaultdict(list)
    for row in connection.execute(text(_EDGES)):
        edges[row.tenant_id, row.role_id, row.kind].append(row.other)
    roles: defaultdict[Any, dict[str, Role]] = defaultdict(dict)
    for row in connection.execute(text(_ROLES)):
        parts = (
            tuple(sorted(edges[row.tenant_id, row.id, kind])) for kind in ("inherits", "allow", "deny", "may grant")
        )
        roles[row.tenant_id][row.name] = Role(row.description, *parts)
    permissions = connection.execute(text("SELECT name, description FROM permissions ORDER BY name"))
    return Policy(
        {row.name: row.description for row in permissions},
        {row.slug: Tenant(row.name, row.is_active, dict(sorted(roles[row.id].items()))) for row in rows},
    )


def slug_of(connection: Connection, tenant: UUID) -> str:
    """Return the slug of a tenant that is there."""
    found: str = connection.execute(
        text("SELECT slug FROM tenants WHERE id = :tenant"), {"tenant": tenant}
    ).scalar_one()
    return found


def known_tenants(connection: Connection, slugs: Collection[str]) -> tuple[str, ...]:
    """Say which of these tenants there are."""
    found = connection.execute(text("SELECT slug FROM tenants WHERE slug = ANY(:slugs)"), {"slugs": list(slugs)})
    return tuple(row.slug for row in found)
