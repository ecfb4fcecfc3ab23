"""Where are the tables and functions of an RBAC command, and how does it say what it has changed?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import click

from truing.cli.options import Invocation

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from truing.config import PlatformName
    from truing.finding import Finding
    from truing.rbac.policies.apply import Change
    from truing.report.document import Document


TOLD: Final = frozenset(
    {"binding", "profile", "claim", "setting", "program", "app_role", "admin_role", "migration_role"}
)
"""What revisions are told, by the names of ``-x``."""


def tables(function: Callable[..., int]) -> Callable[..., int]:
    """Give a command the option that says where the tables are."""
    option = click.option("--schema", default="public", show_default=True, metavar="NAME", help="Of the tables.")
    return option(function)


def arguments(invocation: Invocation) -> tuple[str, ...]:
    """Say as ``-x`` what ``[tool.truing.rbac]`` tells the revisions, so that what is kept of them depends on it."""
    if not invocation.config.rbac:
        return ()
    from truing.rbac.settings import settings_of

    return tuple(f"{name}={value}" for name, value in settings_of(invocation.config).told.items())


def told(invocation: Invocation) -> dict[str, str]:
    """Return what the revisions are told in this invocation, by name; ``-x`` counts more than the configuration."""
    every = (each.partition("=") for each in (*arguments(invocation), *invocation.x_arguments))
    return {name: value for name, _, value in every if value and name in TOLD}


def binding_of(invocation: Invocation) -> str | None:
    """Name the binding that the project is configured for; None where nothing is said."""
    given = told(invocation)
    return given.get("binding") or given.get("profile")


def as_configured(invocation: Invocation, chosen: dict[str, str | None]) -> dict[str, str]:
    """Bring together what a command was told of a binding and what the configuration says.

    Args:
        invocation: with the configuration.
        chosen: ``binding``, ``claim`` and ``setting`` as options have them.

    Returns:
        What was chosen and the configuration does not have, by key.

    Raises:
        UsageError: the configuration has another one, and revisions and checks would go by that.
    """
    from truing.errors import UsageError

    given = told(invocation)
    if "profile" in given:
        given.setdefault("binding", given["profile"])
    named = {key: value for key, value in chosen.items() if value}
    for key, value in named.items():
        if given.get(key, value) != value:
            raise UsageError(
                f"[tool.truing.rbac] has {key} = {toml(given[key])}, and {toml(value)} is asked for.",
                hint=f"Write {key} = {toml(value)} there first: revisions, `truing drift` and `truing check` go by it.",
            )
    usual = {"binding": "setting", "claim": "app_metadata.tenant_id", "setting": "app.tenant_id"}
    return {key: value for key, value in named.items() if key not in given and usual[key] != value}


def otherwise_bound(invocation: Invocation, bind: str, subject: str) -> tuple[Finding, ...]:
    """Say it where a database is not bound as the project is configured."""
    from truing.finding import Finding, Severity

    configured = binding_of(invocation)
    if configured in {None, bind}:
        return ()
    return (
        Finding(
            rule="rbac-bound-otherwise",
            severity=Severity.ERROR,
            subject=subject,
            message=f"A tenant is bound by {bind}, and the configuration says {configured}.",
            remedy=f"truing rbac install --bind {configured}, or binding = {toml(bind)} in [tool.truing.rbac].",
        ),
    )


def say_otherwise(invocation: Invocation, bind: str) -> None:
    """Say what would bind a database as the project is configured, where it is bound otherwise."""
    configured = binding_of(invocation)
    if configured not in {None, bind}:
        changes = f"truing rbac install --bind {configured} changes it."
        invocation.say(f"A tenant is bound by {bind}, and the configuration says {configured}: {changes}")


def toml(text: str) -> str:
    """Write a text for TOML, whose basic strings are those of JSON."""
    import json

    return json.dumps(text)


def platform(invocation: Invocation) -> PlatformName | None:
    """Say whose PostgreSQL it is: as the configuration has it, else as the binding of the RBAC database does."""
    return invocation.config.platform or ("supabase" if binding_of(invocation) == "supabase" else None)


def functions(function: Callable[..., int]) -> Callable[..., int]:
    """Give a command the option that says where the program is."""
    words = "Of the functions; at first rbac, or as [tool.truing.rbac] has it."
    return click.option("--program", default="", metavar="NAME", help=words)(function)


def program_of(invocation: Invocation, program: str) -> str:
    """Name the schema of the functions: as it was said, else as it is configured."""
    return program or told(invocation).get("program") or "rbac"


@contextmanager
def using(invocation: Invocation, schema: str, program: str | None = None) -> Iterator[Connection]:
    """Open a transaction in which the tables are found; the log names who runs the command. Committed at the end."""
    import getpass

    from truing.cli.database import url_of
    from truing.rbac.access import acting
    from truing.rbac.access.named import use_schema

    with opened(url_of(invocation)) as connection, connection.begin():
        use_schema(connection, schema, program)
        with acting(connection, f"truing ({getpass.getuser()})"):
            yield connection


@contextmanager
def opened(url: str) -> Iterator[Connection]:
    """Open a connection of its own."""
    from sqlalchemy import create_engine, pool
    from sqlalchemy.exc import OperationalError

    from truing.revisions.urls import sqlalchemy_url, unreachable

    engine = create_engine(sqlalchemy_url(url), poolclass=pool.NullPool, connect_args={"application_name": "truing"})
    try:
        connection = engine.connect()
    except OperationalError as error:
        raise unreachable(url, error.orig or error) from error
    with connection:
        yield connection


def changed(name: str, todo: tuple[Change, ...], summary: str, note: str = "") -> Document:
    """Say which changes were made, or would be."""
    from truing.report.document import Column, Table, document

    rows = tuple({"verb": change.verb, "subject": change.subject} for change in todo)
    table = Table("changes", "Changes", (Column("verb", "change"), Column("subject", "of what")), rows, note)
    return document(
        name, tables=[table] if rows else (), summary=summary, next_steps=(note,) if note and not rows else ()
    )
