"""``truing rbac``: a multi-tenant RBAC database, new or adopted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from truing.cli.options import Invocation, common
from truing.cli.rbac_database import (
    as_configured,
    changed,
    functions,
    opened,
    otherwise_bound,
    program_of,
    say_otherwise,
    tables,
    told,
    toml,
    using,
)
from truing.cli.rbac_grants import grant_command, profile_group, revoke_command, role_group, tenant_group, why_command

if TYPE_CHECKING:
    from truing.finding import Finding
    from truing.rbac.invariants import Result

# Written out: truing.rbac is imported when a command runs.
BINDINGS = ("setting", "role", "signed", "supabase")


@click.group("rbac")
def command() -> None:
    """Make a multi-tenant RBAC database, or adopt one that is there.

    Its tables are those of `truing.rbac.models`; its revisions are the Alembic branch `rbac`.

    \b
    Examples:
      truing rbac init --database-url postgresql://localhost/app
      truing rbac adopt --database-url postgresql://localhost/legacy --compare
      truing rbac install --application app_user
      truing rbac why acme ann@example.org doc.read
      truing rbac export > policy.yaml
      truing rbac import policy.yaml --dry-run
      truing rbac verify
    """


@command.command("init")
@click.option("--schema", default="", metavar="NAME", help="Where the tables go; made when missing.")
@click.option(
    "--profile", default="", type=click.Choice(["", "supabase"]), metavar="supabase", help="Its roles, and its tokens."
)
@click.option("--setting", default="", metavar="NAME", help="That holds the tenant; at first app.tenant_id.")
@functions
@common
def init_command(invocation: Invocation, schema: str, **given: str) -> int:
    """Make a new RBAC database, straight at the newest revision.

    What is not said is as `[tool.truing.rbac]` has it.

    The database itself is made too when there is none of this name.

    \b
    Examples:
      truing rbac init --database-url postgresql://localhost/app
      truing rbac init --database-url postgresql://localhost/app --schema rbac
      truing rbac init --database-url postgresql://localhost/app --profile supabase
    """
    from truing.rbac.adopt import init
    from truing.rbac.program import bound
    from truing.redaction import redact
    from truing.report.document import document
    from truing.revisions.urls import sqlalchemy_url

    url = invocation.require_database_url()
    init(sqlalchemy_url(url), schema=schema, **told(invocation) | {key: value for key, value in given.items() if value})
    with opened(url) as connection:
        # It may have been there, at head already.
        say_otherwise(invocation, bound(connection, program_of(invocation, given["program"])).bind)
    return invocation.answer(
        document(
            "rbac init",
            summary=f"{redact(url)} is ready, at rbac@head.",
            next_steps=('truing rbac tenant add acme --title "Acme Ltd"', "truing rbac verify"),
        )
    )


@command.command("adopt")
@click.option("--schema", default="public", show_default=True, metavar="NAME", help="Where the RBAC tables are.")
@click.option("--compare", is_flag=True, help="Only compare; stamp nothing.")
@click.option("--scratch-url", metavar="URL", help="A server to build the baseline on; else a private one is started.")
@common
def adopt_command(invocation: Invocation, schema: str, compare: bool, scratch_url: str | None) -> int:
    """Compare a live database with the legacy baseline, and stamp it when it fits.

    Every difference is said. Nothing but the stamp is written, and only when the revisions can start from there.

    \b
    Examples:
      truing rbac adopt --database-url postgresql://localhost/legacy --compare
      truing rbac adopt --database-url postgresql://localhost/legacy
    """
    from truing.cli.database import url_of
    from truing.rbac.adopt import adopt
    from truing.rbac.script import MIGRATIONS
    from truing.report.document import document

    with opened(url_of(invocation)) as live:
        # psycopg and PostgreSQL agree: 180006 is 18.6. The question ends its transaction, so that adopt() has its own.
        major = int(live.exec_driver_sql("SHOW server_version_num").scalar_one()) // 10000
        live.rollback()
        with _scratch(scratch_url, major) as empty, opened(empty) as scratch:
            adoption = adopt(live, scratch, schema=schema, stamp=not compare)
    if adoption.stamped:
        summary = "The database is adopted: it carries the legacy baseline's revision."
        steps = (f"truing audit -c {MIGRATIONS / 'alembic.ini'}",)
    else:
        summary = "The database fits; nothing was stamped." if adoption.fits else "The database does not fit."
        steps = ("the same without --compare",) if adoption.fits else ("bring it to the baseline, then adopt it",)
    return invocation.answer(
        document(
            "rbac adopt",
            findings=adoption.findings,
            summary=summary,
            next_steps=steps,
            fail_on=invocation.fail_on,
        )
    )


@contextmanager
def _scratch(url: str | None, major: int) -> Iterator[str]:
    from truing.server import Cluster, Scratch, available

    if url is not None:
        with Scratch(url) as scratch:
            yield scratch.create().url
        return
    # Catalogs of two majors differ in what they print, so the baseline is built on the live server's own if possible.
    same = next((each for each in available() if each.version.major == major), None)
    with Cluster(same) as cluster, Scratch(cluster) as scratch:
        yield scratch.create().url


@command.command("install")
@click.option("--application", metavar="ROLE", help="The role that the application connects as: it may ask.")
@click.option("--administrator", metavar="ROLE", help="A role that may call everything.")
@click.option("--owner", metavar="ROLE", help="That the functions are to belong to; it must see every tenant.")
@click.option("--setting", metavar="NAME", help="That holds the tenant; at first app.tenant_id.")
@click.option(
    "--bind",
    type=click.Choice(BINDINGS),
    help="What ties a transaction to its tenant.",
)
@click.option(
    "--claim", metavar="PATH", help="That names the tenant, with supabase: app_metadata.tenant_id without it."
)
@click.option("--show", is_flag=True, help="Print the statements, and run nothing.")
@tables
@functions
@common
def install_command(
    invocation: Invocation,
    show: bool,
    schema: str,
    program: str,
    claim: str | None,
    setting: str | None,
    bind: Any,
    **roles: Any,
) -> int:
    """Bring the functions and triggers into a database with the tables, or up to date there.

    It may be run again at any time: what is there is replaced, and every role is compiled. Without --bind, --claim and
    --setting, a tenant stays bound as it is; at first by the setting. A new binding is written into
    `[tool.truing.rbac]` first, which revisions and checks go by. The roles are those of the policies unless they are
    named; with --bind supabase, authenticated and service_role.

    \b
    Examples:
      truing rbac install --application app_user
      truing rbac install --application app_user --bind signed
      truing rbac install --bind supabase
      truing rbac install --show | psql -1
    """
    from truing.cli.database import url_of
    from truing.rbac.access.named import require_database_role
    from truing.rbac.program import SETTING, bound, compile_in_slices, held, install, left_over, statements
    from truing.rbac.program.binding import CLAIM, Claim
    from truing.report.document import document

    program, given = program_of(invocation, program), told(invocation)
    unsaid = as_configured(invocation, {"binding": bind, "claim": claim, "setting": setting})
    if bind is not None:
        claim, setting = claim or given.get("claim"), setting or given.get("setting")
    by = None if claim is None else Claim.parse(claim)
    how: dict[str, Any] = {"schema": schema, "program": program, "bind": bind}
    if show:
        every = statements(claim=by or CLAIM, setting=setting or SETTING, **how, **roles)
        return invocation.give(";\n\n".join(every) + ";\n")
    with using(invocation, schema) as connection:
        for role in ("application", "administrator", "owner"):
            if roles[role] is not None and bind != "supabase":
                require_database_role(connection, roles[role])
        before = bound(connection, program)
        if (bind or before.bind) != "supabase":
            roles = held(connection, schema) | {name: role for name, role in roles.items() if role is not None}
        install(connection, claim=by, setting=setting, compiling=False, **how, **roles)
        now, left = bound(connection, program), left_over(connection, program)
    with opened(url_of(invocation)) as connection:
        compiled = compile_in_slices(connection, program)
    if before.bind != now.bind:
        invocation.say(f"The tenant is bound by {now.bind} from now on; it was by {before.bind}.")
    for table in left:
        invocation.say(f"Nothing reads {table} any more. If nobody needs its rows: DROP TABLE {table};")
    if unsaid:
        lines = " and ".join(f"{key} = {toml(value)}" for key, value in unsaid.items())
        invocation.say(f"Write {lines} into [tool.truing.rbac] of pyproject.toml, which revisions and checks go by.")
    else:
        say_otherwise(invocation, now.bind)
    summary = f"The functions are in the schema {program}, and the triggers on the tables of {schema}."
    return invocation.answer(
        document("rbac install", summary=summary, facts={"bound by": now.bind, "compiled": compiled})
    )


@command.command("export")
@click.option("--tenant", "tenants", multiple=True, metavar="SLUG", help="Only this tenant; several are fine.")
@tables
@common
def export_command(invocation: Invocation, tenants: tuple[str, ...], schema: str) -> int:
    """Write the policy as YAML: permissions, tenants, roles. To standard output, or to -o FILE.

    Who has which role is not part of it.

    \b
    Examples:
      truing rbac export -o policy.yaml
      truing rbac export --tenant acme
    """
    from truing.rbac.access.named import require_sight
    from truing.rbac.policies.document import dump
    from truing.rbac.policies.read import read_policy

    with using(invocation, schema) as connection:
        require_sight(connection, ("tenants", "roles", "role_permissions", "role_inherits", "role_grants"))
        written = dump(read_policy(connection, tenants or None))
    return invocation.give(written)


@command.command("import")
@click.argument("file", type=click.File("rb"), metavar="FILE")
@click.option("--dry-run", is_flag=True, help="Only say what would be changed.")
@click.option("--prune", is_flag=True, help="Also remove permissions, and roles of its tenants, that it does not name.")
@tables
@common
def import_command(
    invocation: Invocation,
    file: Any,
    dry_run: bool,
    prune: bool,
    schema: str,
) -> int:
    """Bring the policy to what a YAML file says, by the fewest changes, in one transaction.

    FILE is what `truing rbac export` writes; - is standard input. What it does not name stays, without --prune.

    \b
    Examples:
      truing rbac import policy.yaml --dry-run
      truing rbac import policy.yaml
    """
    from truing.rbac.policies.apply import apply, changes, unnamed
    from truing.rbac.policies.document import parse
    from truing.rbac.policies.read import known_tenants, read_policy

    wanted = parse(file.read(), "standard input" if file.name == "<stdin>" else file.name)
    with using(invocation, schema) as connection:
        present = read_policy(connection, known_tenants(connection, wanted.tenants))
        todo = changes(present, wanted, prune=prune)
        left = () if prune else unnamed(present, wanted)
        if not dry_run:
            apply(connection, todo)
    number = f"{len(todo)} change{'' if len(todo) == 1 else 's'}"
    done = f"{number} would be made." if dry_run else f"{number} made."
    are = "is" if len(left) == 1 else "are"
    note = f"{len(left)} that the file does not name {are} left; --prune removes what is left." if left else ""
    return invocation.answer(changed("rbac import", todo, done if todo else "The database has this policy.", note))


@command.command("verify")
@click.option("--sql", "as_sql", is_flag=True, help="Print the checks as SQL for psql, which answers in TAP.")
@click.option(
    "--bind", type=click.Choice(BINDINGS), help="With --sql, also what must hold under this; else it is known."
)
@tables
@functions
@common
def verify_command(invocation: Invocation, as_sql: bool, bind: Any, schema: str, program: str) -> int:
    """Check every invariant of the RBAC database. Exit code 1 where one is broken.

    \b
    Examples:
      truing rbac verify
      truing rbac verify --sql > verify.sql
    """
    from truing.rbac import invariants
    from truing.rbac.program import bound
    from truing.report.document import Column, Table, document

    program = program_of(invocation, program)
    if as_sql:
        return invocation.give(invariants.as_sql(schema=schema, program=program, bind=bind or "setting"))
    with using(invocation, schema, program) as connection:
        results = invariants.verify(connection, schema=schema, program=program)
        now = bound(connection, program)
    rows = tuple(
        {
            "name": each.invariant.name,
            "broken": each.broken,
            "example": ", ".join(subject for _, subject in each.examples) or None,
        }
        for each in results
    )
    titles = {"name": "invariant", "broken": "broken by", "example": "for example"}
    columns = tuple(Column(key, title) for key, title in titles.items() if any(row[key] is not None for row in rows))
    bad = [each for each in results if each.broken]
    summary = f"{len(results)} invariants hold." if not bad else f"{len(bad)} of {len(results)} invariants are broken."
    subject = schema or "the RBAC database"
    found = (*_findings(bad, subject), *otherwise_bound(invocation, now.bind, subject))
    return invocation.answer(
        document(
            "rbac verify",
            findings=found,
            tables=[Table("invariants", "Invariants", columns, rows)],
            summary=summary,
            notes=[each.tried for each in results if each.tried],
            fail_on=invocation.fail_on,
        )
    )


def _findings(broken: list[Result], subject: str) -> Iterator[Finding]:
    """Say it as findings too: what CI shows at a change, or counts, is made of those."""
    from truing.finding import Evidence, Finding, Severity

    for each in broken:
        yield Finding(
            rule=f"rbac-{each.invariant.name}",
            severity=Severity.ERROR,
            subject=subject,
            message=f"{each.invariant.sentence} That is not so {_times(each.broken)}.",
            evidence=tuple(Evidence("for example", subject) for _, subject in each.examples),
            remedy=each.invariant.remedy,
        )


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number:,} times"


for each in (tenant_group, profile_group, role_group, grant_command, revoke_command, why_command):
    command.add_command(each)
