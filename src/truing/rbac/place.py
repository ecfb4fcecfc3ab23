"""Where do a revision's tables, functions and tenant live? For expressions that truing runs with an empty search path.

In: the connection, and what the revision is told: by ``[tool.truing.rbac]``, by attributes of Alembic's configuration,
by ``-x``.
"""

from __future__ import annotations

from typing import Any, Final

from alembic import op
from alembic.config import Config
from sqlalchemy import Connection

from truing.errors import UnsupportedChangeError, UsageError
from truing.names import QualifiedName
from truing.rbac.program import PROGRAM, SETTING, binding
from truing.rbac.program.binding import BINDINGS, CLAIM, Bound, Claim
from truing.rbac.settings import configured
from truing.rule import did_you_mean

TENANT_KEYS: Final = (15, "rbac_tenant_keys (ON DELETE SET NULL of one column of a key)")
"""What that revision needs, and why."""


def table(name: str) -> str:
    """Return a table's name for SQL, in the schema that the running revision works in."""
    return QualifiedName(schema(), name).sql


def schema() -> str:
    """Return that schema: the connection's first; while revisions are only read, the one that is assumed."""
    context = op.get_context()
    if _only_read():
        return str(context.opts.get("truing_default_schema", "public"))
    return str(op.get_bind().exec_driver_sql("SELECT current_schema()").scalar() or "public")


def given() -> dict[str, Any]:
    """Return what the running revision was told."""
    return told(op.get_context().config)


def told(config: Config | None) -> dict[str, Any]:
    """Return what a run of Alembic was told: by ``[tool.truing.rbac]``, attributes and ``-x``; the last counts most."""
    attributes: dict[str, Any] = dict(config.attributes) if config is not None else {}
    said = dict(each.partition("=")[::2] for each in getattr(getattr(config, "cmd_opts", None), "x", None) or ())
    return {key: value for each in (configured().told, attributes, said) for key, value in each.items() if value}


def program() -> str:
    """Return the schema of the functions."""
    return str(given().get("program") or PROGRAM)


def setting() -> str:
    """Return the setting that holds a transaction's tenant."""
    return str(given().get("setting") or SETTING)


def bound() -> Bound | None:
    """Return what the database says of how a tenant is bound; None where it has no program, or is not there to ask."""
    if _only_read():
        return None
    question = binding.question(program()).replace("%", "%%")
    said: str | None = op.get_bind().exec_driver_sql(question).scalar()
    return binding.said(said) if said is not None else None


def wanted(told: dict[str, Any]) -> Bound | None:
    """Return how a tenant is to be bound; None where nobody says.

    Raises:
        UsageError: there is no such binding or claim, or two of them are named.
    """
    profile, bind = str(told.get("profile") or ""), str(told.get("binding") or "")
    if profile not in {"", "supabase"}:
        raise UsageError(
            f"There is no profile {profile!r} of an RBAC database.", hint="Write profile=supabase, or none."
        )
    if profile and bind not in {"", profile}:
        raise UsageError(
            f"profile={profile} binds a tenant by the claims of {profile}, and binding={bind} otherwise.",
            hint="Say one of them; binding is in [tool.truing.rbac] or in -x.",
        )
    if not (bind or profile):
        return None
    known = next((each for each in BINDINGS if each == (bind or profile)), None)
    if known is None:
        raise UsageError(f"There is no binding {bind!r} of a tenant.", hint=did_you_mean(bind, list(BINDINGS)))
    claim = told.get("claim")
    return Bound(known, claim=Claim.parse(str(claim)) if claim else CLAIM)


def require(major: int, why: str) -> None:
    """Stop where the server of the running revision is too old.

    Raises:
        UnsupportedChangeError: it is.
    """
    if not _only_read():
        refuse_older(op.get_bind(), major, why)


def refuse_older(connection: Connection, major: int, why: str) -> None:
    """Stop where the server is older than that.

    Raises:
        UnsupportedChangeError: it is.
    """
    number = int(connection.exec_driver_sql("SHOW server_version_num").scalar_one())
    if number // 10_000 < major:
        raise UnsupportedChangeError(
            f"{why} needs PostgreSQL {major}, and this is {number // 10_000}",
            hint="Upgrade the server first; the revisions before this one go on working.",
        )


def tenant_keys_need() -> None:
    """Stop where this upgrade goes to ``rbac_tenant_keys`` and the server is too old, before anything is changed.

    A relative target (``+2``) is not followed; there that revision stops by itself.

    Raises:
        UnsupportedChangeError: it is.
    """
    context = op.get_context()
    target, environment = context.opts.get("destination_rev"), context.environment_context
    if _only_read() or environment is None or not target or "+" in str(target):
        return
    if any(each.revision == "rbac_tenant_keys" for each in environment.script.iterate_revisions(target, "base")):
        require(*TENANT_KEYS)


def _only_read() -> bool:
    context = op.get_context()
    return context.as_sql or context.opts.get("truing_record") is not None
