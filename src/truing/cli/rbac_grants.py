"""``truing rbac tenant``, ``profile``, ``role``, ``grant``, ``revoke``, ``why``: who may do what, by people's names."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from truing.cli.options import Invocation, common
from truing.cli.rbac_database import changed, functions, program_of, tables, using
from truing.errors import UsageError

if TYPE_CHECKING:
    from uuid import UUID

    from truing.rbac.access.answers import Path
    from truing.report.document import Cell


def seen(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    """Refuse a text for people in which there is nothing to see, or something that cannot be seen."""
    if value is not None and not (value.strip() and value.isprintable()):
        raise click.BadParameter(f"{value!r} is empty, or has characters that cannot be seen.")
    return value


@click.group("tenant")
def tenant_group() -> None:
    """Make tenants.

    \b
    Examples:
      truing rbac tenant add acme --title "Acme Ltd"
    """


@tenant_group.command("add")
@click.argument("slug", metavar="SLUG")
@click.option("--title", metavar="TEXT", callback=seen, help="What people call it; the slug without one.")
@tables
@common
def tenant_add(invocation: Invocation, slug: str, title: str | None, schema: str) -> int:
    """Make a tenant.

    \b
    Examples:
      truing rbac tenant add acme --title "Acme Ltd"
    """
    from truing.rbac.access.named import add_tenant
    from truing.report.document import document

    with using(invocation, schema) as connection:
        made = add_tenant(connection, slug, title or slug)
    return invocation.answer(
        document("rbac tenant add", summary=f"The tenant {slug} is made.", facts={"id": str(made)})
    )


@click.group("profile")
def profile_group() -> None:
    """Make profiles.

    \b
    Examples:
      truing rbac profile add acme ann@example.org
    """


@profile_group.command("add")
@click.argument("tenant", metavar="TENANT")
@click.argument("email", metavar="[EMAIL]", required=False)
@click.option("--id", "identity", type=click.UUID, metavar="UUID", help="Its id, as your sign-in service has it.")
@click.option("--display-name", "display_name", metavar="TEXT", callback=seen, help="What people call it.")
@click.option("--inactive", is_flag=True, help="It may nothing until it is active.")
@tables
@common
def profile_add(
    invocation: Invocation,
    tenant: str,
    email: str | None,
    identity: UUID | None,
    display_name: str | None,
    inactive: bool,
    schema: str,
) -> int:
    """Make a profile: a user of a tenant.

    TENANT is a slug or an id.

    \b
    Examples:
      truing rbac profile add acme ann@example.org
      truing rbac profile add acme --id 5b5a3f0e-7c61-4a53-9d8e-2f4f4c6b8a11 --inactive
    """
    from truing.rbac.access.named import add_profile, tenant_id
    from truing.report.document import document

    if email is None and identity is None:
        raise UsageError(
            "Whose profile it is, nobody says.", hint="Give an address, or --id with the id of your sign-in service."
        )
    with using(invocation, schema) as connection:
        which = tenant_id(connection, tenant)
        made = add_profile(connection, which, email, identity=identity, name=display_name, active=not inactive)
    said = f"{email or made} is a profile of {tenant}{', inactive' if inactive else ''}."
    return invocation.answer(document("rbac profile add", summary=said, facts={"id": str(made)}))


@click.group("role")
def role_group() -> None:
    """Make roles, and change what they allow.

    \b
    Examples:
      truing rbac role add acme editor --allow doc.read
    """


@role_group.command("add")
@click.argument("tenant", metavar="TENANT")
@click.argument("role", metavar="ROLE")
@click.option("--allow", multiple=True, metavar="PERMISSION", help="That it allows; made when missing.")
@click.option("--deny", multiple=True, metavar="PERMISSION", help="That nobody with it has; made when missing.")
@click.option("--inherits", multiple=True, metavar="ROLE", help="Whose grants it has as well.")
@click.option("--may-grant", multiple=True, metavar="ROLE", help="That whoever has it may hand out.")
@tables
@common
def role_add(
    invocation: Invocation,
    tenant: str,
    role: str,
    schema: str,
    **lists: tuple[str, ...],
) -> int:
    """Make a role of a tenant, or add to one that is there.

    TENANT is a slug or an id.

    \b
    Examples:
      truing rbac role add acme editor --allow doc.read --allow "page.*"
      truing rbac role add acme chief --inherits editor --may-grant editor
    """
    from truing.rbac.access.named import tenant_id
    from truing.rbac.policies.apply import apply, changes
    from truing.rbac.policies.document import with_role
    from truing.rbac.policies.read import read_policy, slug_of

    with using(invocation, schema) as connection:
        slug = slug_of(connection, tenant_id(connection, tenant))
        present = read_policy(connection, (slug,))
        todo = changes(present, with_role(present, slug, role, lists))
        apply(connection, todo)
    return invocation.answer(changed("rbac role add", todo, f"The role {role} of {slug} is as you say."))


class _When(click.DateTime):
    """A date or a moment; what is none is answered with how a person writes it."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            self.fail(
                f"{value!r} is no time: write 2030-01-31, 2030-01-31T12:00:00 or 2030-01-31T12:00:00+02:00", param, ctx
            )


_WHEN = _When(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z"])


@click.command("grant")
@click.argument("tenant", metavar="TENANT")
@click.argument("profile", metavar="PROFILE")
@click.argument("role", metavar="ROLE")
@click.option(
    "--from",
    "valid_from",
    type=_WHEN,
    metavar="TIME",
    help="When it begins: 2030-01-31, or 2030-01-31T12:00:00+02:00; UTC unless it says otherwise.",
)
@click.option("--until", type=_WHEN, metavar="TIME", help="When it ends.")
@tables
@functions
@common
def grant_command(
    invocation: Invocation,
    tenant: str,
    profile: str,
    role: str,
    valid_from: datetime | None,
    until: datetime | None,
    schema: str,
    program: str,
) -> int:
    """Give a profile a role, or another time for one that it has.

    TENANT is a slug or an id, PROFILE an id or an address.

    \b
    Examples:
      truing rbac grant acme ann@example.org editor
      truing rbac grant acme ann@example.org admin --until 2027-01-31
    """
    from truing.rbac.access import grant
    from truing.rbac.access.named import profile_id, require_role, tenant_id
    from truing.report.document import document

    begins, ends = _utc(valid_from), _utc(until)
    _require_time(begins, ends)
    program = program_of(invocation, program)
    with using(invocation, schema, program) as connection:
        which = tenant_id(connection, tenant)
        who = profile_id(connection, which, profile)
        require_role(connection, which, tenant, role)
        version = grant(connection, which, who, role, valid_from=begins, expires_at=ends, program=program)
    said = f"{profile} has the role {role} of {tenant}."
    return invocation.answer(document("rbac grant", summary=said, facts=for_programs(invocation, version=version)))


@click.command("revoke")
@click.argument("tenant", metavar="TENANT")
@click.argument("profile", metavar="PROFILE")
@click.argument("role", metavar="ROLE")
@tables
@functions
@common
def revoke_command(invocation: Invocation, tenant: str, profile: str, role: str, schema: str, program: str) -> int:
    """Take a role away from a profile.

    TENANT is a slug or an id, PROFILE an id or an address.

    \b
    Examples:
      truing rbac revoke acme ann@example.org editor
    """
    from truing.rbac.access import revoke
    from truing.rbac.access.named import profile_id, require_role, tenant_id
    from truing.report.document import document

    program = program_of(invocation, program)
    with using(invocation, schema, program) as connection:
        which = tenant_id(connection, tenant)
        who = profile_id(connection, which, profile)
        require_role(connection, which, tenant, role)
        version = revoke(connection, which, who, role, program=program)
    if version is None:
        return invocation.answer(document("rbac revoke", summary=f"{profile} did not have the role {role}."))
    said = f"{profile} has the role {role} of {tenant} no more."
    return invocation.answer(document("rbac revoke", summary=said, facts=for_programs(invocation, version=version)))


@click.command("why")
@click.argument("tenant", metavar="TENANT")
@click.argument("profile", metavar="PROFILE")
@click.argument("permission", metavar="PERMISSION")
@tables
@functions
@common
def why_command(invocation: Invocation, tenant: str, profile: str, permission: str, schema: str, program: str) -> int:
    """Say why a profile may do something, or may not: every grant that has to do with it.

    TENANT is a slug or an id, PROFILE an id or an address. Exit code 1 where it may not.

    \b
    Examples:
      truing rbac why acme ann@example.org doc.read
    """
    from truing.rbac.access import why
    from truing.rbac.access.named import likely_permission, profile_id, tenant_id
    from truing.report.document import Column, Table, document

    if not permission.strip():
        raise UsageError("No permission is named.", hint="A permission is like doc.read.")
    program = program_of(invocation, program)
    with using(invocation, schema, program) as connection:
        which = tenant_id(connection, tenant)
        answer = why(connection, which, profile_id(connection, which, profile), permission, program=program)
        likely = likely_permission(connection, permission)
    titles = {
        "via": "roles",
        "effect": "effect",
        "granted": "permission",
        "from": "from",
        "until": "until",
        "now": "in force",
    }
    rows = tuple(map(_path, answer.paths))
    columns = tuple(Column(key, title) for key, title in titles.items() if any(row[key] for row in rows))
    verdict = f"{profile} {'may' if answer.allowed else 'may not'} {permission}. {answer.reason}"
    return invocation.answer(
        document(
            "rbac why",
            tables=[Table("paths", "Grants", columns, rows)] if rows else (),
            summary=verdict,
            facts=for_programs(invocation, allowed=answer.allowed),
            notes=likely,
            failed=not answer.allowed,
        )
    )


def for_programs(invocation: Invocation, **facts: Cell) -> Mapping[str, Cell]:
    """Give what the sentence does not say, or says already, where a program reads the answer."""
    return facts if invocation.output_format == "json" else {}


def _path(path: Path) -> Mapping[str, Cell]:
    return {
        "via": " > ".join(path.via),
        "effect": path.effect,
        "granted": path.granted,
        "from": path.valid_from.isoformat(" ") if path.valid_from else None,
        "until": path.expires_at.isoformat(" ") if path.expires_at else None,
        "now": "yes" if path.in_force else "no",
    }


def _require_time(begins: datetime | None, ends: datetime | None) -> None:
    if ends is None:
        return
    if begins is not None and ends <= begins:
        raise UsageError(f"--until {ends.isoformat()} is not after --from {begins.isoformat()}.")
    if ends <= datetime.now(UTC):
        raise UsageError(
            f"--until {ends.isoformat()} is past, so the role would never be had.",
            hint="`truing rbac revoke` takes a role away.",
        )


def _utc(moment: datetime | None) -> datetime | None:
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment
