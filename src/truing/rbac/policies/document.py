"""What does a policy look like as YAML? Typed values, checked when they are read, written in one order.

YAML 1.2 (ruamel.yaml, MIT): a role called ``no`` or ``on`` is a text and no boolean, and a key that is there twice is
an error.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Any, Final

import msgspec
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from truing.errors import UsageError
from truing.rule import did_you_mean


class Role(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, rename="kebab"):
    """A role.

    Attributes:
        description: for people.
        inherits: roles whose grants it has as well.
        allow: permissions, wildcards included.
        deny: permissions that nobody with this role has, whatever else allows them.
        may_grant: roles that whoever has this one may hand out.
    """

    description: str | None = None
    inherits: tuple[str, ...] = ()
    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    may_grant: tuple[str, ...] = ()


class Tenant(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A tenant with its roles, by name."""

    name: str
    active: bool = True
    roles: dict[str, Role] = {}


class Policy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A policy: permissions by name with their descriptions, tenants by slug."""

    permissions: dict[str, str | None] = {}
    tenants: dict[str, Tenant] = {}


_SLUG: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_PERMISSION: Final = re.compile(r"\*|[a-z0-9_]+([.:][a-z0-9_]+)*([.:]\*)?")


def parse(source: str | bytes, file: str = "the policy") -> Policy:
    """Read a policy.

    Raises:
        UsageError: it is no YAML, or no policy, or names what it does not have.
    """
    try:
        source = source.decode() if isinstance(source, bytes) else source
    except UnicodeDecodeError as error:
        number = error.object.count(b"\n", 0, error.start) + 1
        raise UsageError(f"{file}:{number} is not text in UTF-8.", hint="Write the file again, in UTF-8.") from error
    try:
        given = YAML(typ="safe", pure=True).load(source)
    except YAMLError as error:
        where = getattr(error, "problem_mark", None)
        line = f":{where.line + 1}" if where is not None else ""
        parts = (getattr(error, "context", None), getattr(error, "problem", None))
        said = ", ".join(filter(None, parts)) or "it cannot be read"
        raise UsageError(f"{file}{line} is not YAML: {said}") from error
    hint = "`truing rbac export` shows what a policy is."
    if given is None:
        # As a file that was cut off is; with --prune it would take everything away.
        raise UsageError(f"{file} is empty", hint=hint)
    try:
        policy = msgspec.convert(given, Policy)
    except msgspec.ValidationError as error:
        # The path that msgspec adds names no tenant and no role.
        said = str(error).partition(" - at `")[0]
        raise UsageError(f"{file} is not a policy: {_placed(given)}{said}", hint=hint) from error
    for said in _mistakes(policy):
        raise UsageError(f"{file}: {said}")
    return policy


def _placed(given: Any) -> str:
    """Name the first tenant, and role, that is not one."""
    tenants = given.get("tenants") if isinstance(given, dict) else None
    for slug, tenant in tenants.items() if isinstance(tenants, dict) else ():
        roles = tenant.get("roles") if isinstance(tenant, dict) else None
        for name, role in roles.items() if isinstance(roles, dict) else ():
            if not _fits(role, Role):
                return f"the role {name} of {slug}: "
        if not _fits(tenant, Tenant):
            return f"the tenant {slug}: "
    return ""


def _fits(given: Any, kind: type[msgspec.Struct]) -> bool:
    try:
        msgspec.convert(given, kind)
    except msgspec.ValidationError:
        return False
    return True


def _mistakes(policy: Policy) -> list[str]:
    found = [f"the permission {name!r} is not like doc.read, doc.* or *" for name in policy.permissions
             if not _PERMISSION.fullmatch(name)]  # fmt: skip
    for slug, tenant in policy.tenants.items():
        if not _SLUG.fullmatch(slug):
            found.append(f"the tenant {slug!r} is not a slug: lower-case letters, digits and hyphens")
        for name, role in tenant.roles.items():
            where = f"the role {name} of {slug}"
            found += [
                f"{where} {verb} {other}, which is not named among the roles of {slug}."
                f" {did_you_mean(other, tenant.roles)}"
                for verb, others in (("inherits", role.inherits), ("may grant", role.may_grant))
                for other in others
                if other not in tenant.roles
            ]
            found += [
                f"{where} names {each}, which is not named among the permissions."
                f" {did_you_mean(each, policy.permissions)}"
                for each in (*role.allow, *role.deny)
                if each not in policy.permissions
            ]
            found += [f"{where} both allows and denies {each}" for each in role.allow if each in role.deny]
        found += _cycle(slug, tenant)
    return [each.rstrip() for each in found]


def _cycle(slug: str, tenant: Tenant) -> list[str]:
    """Say which roles inherit from themselves, perhaps by way of others."""
    try:
        TopologicalSorter({name: role.inherits for name, role in tenant.roles.items()}).prepare()
    except CycleError as error:
        chain: list[str] = error.args[1]
        return [f"the role {chain[0]} of {slug} inherits from itself: {' <- '.join(chain)}"]
    return []


def dump(policy: Policy) -> str:
    """Write a policy, sorted, so that two writings of one policy are the same."""
    writer = YAML(typ="safe", pure=True)
    writer.default_flow_style = None
    writer.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    writer.width = 100
    stream = io.StringIO()
    writer.dump(msgspec.to_builtins(policy), stream)
    return stream.getvalue()


def with_role(policy: Policy, slug: str, name: str, lists: Mapping[str, tuple[str, ...]]) -> Policy:
    """Make a policy in which a role has, besides what it has, what these lists say (``allow``, ``inherits``, ...).

    Raises:
        UsageError: a list names a role that the tenant does not have, or contradicts another.
    """
    tenant = policy.tenants[slug]
    role = tenant.roles.get(name, Role())
    more = {key: tuple(sorted({*getattr(role, key), *added})) for key, added in lists.items()}
    named = dict.fromkeys((*more.get("allow", ()), *more.get("deny", ())))
    roles = {**tenant.roles, name: msgspec.structs.replace(role, **more)}
    made = Policy({**named, **policy.permissions}, {slug: msgspec.structs.replace(tenant, roles=roles)})
    for said in _mistakes(made):
        raise UsageError(said[:1].upper() + said[1:])
    return made
