"""What has to change so that a database has this policy? The fewest changes, each a sentence and a statement.

In: the policy that is there and the one that is wanted. Out: changes, in an order in which they can be made. What the
wanted one does not name stays, unless it is pruned; the lists of a role are exactly what they say.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal

import msgspec
from sqlalchemy import Connection, text

from truing.errors import UsageError
from truing.rbac.policies.document import Policy, Role, Tenant

Verb = Literal["add", "change", "remove"]

_ROLE: Final = "(SELECT r.id FROM roles r JOIN tenants t ON t.id = r.tenant_id WHERE t.slug = :slug AND r.name = {})"
_TENANT: Final = "(SELECT id FROM tenants WHERE slug = :slug)"
_PERMISSION: Final = "(SELECT id FROM permissions WHERE name = :other)"


class Change(msgspec.Struct, frozen=True):
    """One difference.

    Attributes:
        verb: what is done.
        subject: to what, for a person.
        statement: that does it.
        parameters: of the statement.
    """

    verb: Verb
    subject: str
    statement: str
    parameters: Mapping[str, Any]


def changes(present: Policy, wanted: Policy, *, prune: bool = False) -> tuple[Change, ...]:
    """List what has to be done.

    Args:
        present: the policy of the database.
        wanted: the policy it is to have.
        prune: also remove the permissions, and the roles of tenants that are named, which the policy does not name;
            their grants go with them. Tenants are never removed.

    Raises:
        UsageError: a role that is to be made has no name that a person could read.
    """
    found = [*_permissions(present, wanted)]
    for slug, tenant in wanted.tenants.items():
        found += _tenant(slug, present.tenants.get(slug), tenant)
    for slug, tenant in wanted.tenants.items():
        found += _edges(slug, present.tenants.get(slug, Tenant("")).roles, tenant.roles)
    if prune:
        found += _pruned(present, wanted)
    return tuple(found)


def unnamed(present: Policy, wanted: Policy) -> tuple[str, ...]:
    """Say what is there and not named: what pruning would remove."""
    return tuple(change.subject for change in _pruned(present, wanted))


def apply(connection: Connection, todo: tuple[Change, ...]) -> None:
    """Make the changes, in the connection's transaction, in the tables on its search path."""
    for change in todo:
        connection.execute(text(change.statement), change.parameters)


def _permissions(present: Policy, wanted: Policy) -> Iterator[Change]:
    for name, description in wanted.permissions.items():
        values = {"name": name, "description": description}
        if name not in present.permissions:
            insert = "INSERT INTO permissions (name, description) VALUES (:name, :description)"
            yield Change("add", f"permission {name}", insert, values)
        elif present.permissions[name] != description:
            update = "UPDATE permissions SET description = :description, updated_at = now() WHERE name = :name"
            yield Change("change", f"permission {name}: description", update, values)


def _tenant(slug: str, present: Tenant | None, wanted: Tenant) -> Iterator[Change]:
    values = {"slug": slug, "name": wanted.name, "active": wanted.active}
    if present is None:
        insert = "INSERT INTO tenants (slug, name, is_active) VALUES (:slug, :name, :active)"
        yield Change("add", f"tenant {slug}", insert, values)
    elif (present.name, present.active) != (wanted.name, wanted.active):
        said = "name" if present.active == wanted.active else "active" if wanted.active else "not active any more"
        update = "UPDATE tenants SET name = :name, is_active = :active, updated_at = now() WHERE slug = :slug"
        yield Change("change", f"tenant {slug}: {said}", update, values)
    there = present.roles if present else {}
    for name, role in wanted.roles.items():
        values = {"slug": slug, "role": name, "description": role.description}
        if name not in there:
            if not (name.strip() and name.isprintable()):
                raise UsageError(
                    f"The role {name!r} of {slug} cannot be made.",
                    hint="A role's name is not empty, and has no character that cannot be seen.",
                )
            insert = f"INSERT INTO roles (tenant_id, name, description) VALUES ({_TENANT}, :role, :description)"
            yield Change("add", f"role {name} of {slug}", insert, values)
        elif there[name].description != role.description:
            update = f"UPDATE roles SET description = :description WHERE id = {_ROLE.format(':role')}"
            yield Change("change", f"role {name} of {slug}: description", update, values)


_LISTS: Final = (
    ("allow", "allow", "role_permissions", "permission_id", _PERMISSION),
    ("deny", "deny", "role_permissions", "permission_id", _PERMISSION),
    ("inherits", "inherits", "role_inherits", "parent_id", _ROLE.format(":other")),
    ("may_grant", "may grant", "role_grants", "grantable_role_id", _ROLE.format(":other")),
)


def _edges(slug: str, present: Mapping[str, Role], wanted: Mapping[str, Role]) -> Iterator[Change]:
    """First what goes, then what comes: a permission that turns from allowed to denied is both."""
    for verb in ("remove", "add"):
        for name, role in wanted.items():
            before = present.get(name, Role())
            for field, said, table, column, other in _LISTS:
                old, new = set(getattr(before, field)), set(getattr(role, field))
                for each in sorted(old - new if verb == "remove" else new - old):
                    values = {"slug": slug, "role": name, "other": each}
                    if verb == "remove":
                        where = f"role_id = {_ROLE.format(':role')} AND {column} = {other}"
                        statement = f"DELETE FROM {table} WHERE {where}"
                    elif table == "role_permissions":
                        statement = (
                            "INSERT INTO role_permissions (tenant_id, role_id, permission_id, effect)"
                            f" VALUES ({_TENANT}, {_ROLE.format(':role')}, {other}, :effect)"
                        )
                        values["effect"] = field
                    else:
                        statement = (
                            f"INSERT INTO {table} (tenant_id, role_id, {column})"
                            f" VALUES ({_TENANT}, {_ROLE.format(':role')}, {other})"
                        )
                    yield Change("remove" if verb == "remove" else "add", f"role {name} of {slug}: {said} {each}",
                                 statement, values)  # fmt: skip


def _pruned(present: Policy, wanted: Policy) -> Iterator[Change]:
    for slug, tenant in wanted.tenants.items():
        for name in present.tenants.get(slug, Tenant("")).roles:
            if name not in tenant.roles:
                delete = f"DELETE FROM roles WHERE id = {_ROLE.format(':role')}"
                yield Change("remove", f"role {name} of {slug}, with its grants", delete, {"slug": slug, "role": name})
    for name in present.permissions:
        if name not in wanted.permissions:
            delete = "DELETE FROM permissions WHERE name = :name"
            yield Change("remove", f"permission {name}, from every role", delete, {"name": name})
