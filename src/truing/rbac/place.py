"""Where do a revision's tables, functions and tenant live? For expressions that truing runs with an empty search path.

In: the connection, and Alembic's ``-x program=`` and ``-x setting=`` or the configuration's attributes of these names.
"""

from __future__ import annotations

from typing import Any, Final

from alembic import op
from sqlalchemy import Connection

from truing.errors import UnsupportedChangeError
from truing.names import QualifiedName
from truing.rbac.program import PROGRAM, SETTING, binding

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
    """Return what the running revision was told: the configuration's attributes, and ``-x``, which counts more."""
    config = op.get_context().config
    told: dict[str, Any] = dict(config.attributes) if config is not None else {}
    for argument in getattr(getattr(config, "cmd_opts", None), "x", None) or ():
        key, _, value = argument.partition("=")
        told[key] = value
    return told


def program() -> str:
    """Return the schema of the functions."""
    return str(given().get("program") or PROGRAM)


def setting() -> str:
    """Return the setting that holds a transaction's tenant."""
    return str(given().get("setting") or SETTING)


def bound() -> str | None:
    """Return what the database says of how a tenant is bound; None while revisions are only read."""
    if _only_read():
        return None
    question = binding.question(program()).replace("%", "%%")
    said: str | None = op.get_bind().exec_driver_sql(question).scalar()
    return said


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
