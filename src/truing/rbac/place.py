"""Where do a revision's tables live? For expressions that truing runs with an empty search path."""

from __future__ import annotations

from alembic import op

from truing.errors import UnsupportedChangeError
from truing.names import QualifiedName


def table(name: str) -> str:
    """Return a table's name for SQL, in the schema that the running revision works in."""
    return QualifiedName(schema(), name).sql


def schema() -> str:
    """Return that schema: the connection's first; while revisions are only read, the one that is assumed."""
    context = op.get_context()
    if _only_read():
        return str(context.opts.get("truing_default_schema", "public"))
    return str(op.get_bind().exec_driver_sql("SELECT current_schema()").scalar() or "public")


def require(major: int, why: str) -> None:
    """Stop where the server is too old.

    Raises:
        UnsupportedChangeError: it is.
    """
    if not _only_read():
        number = int(op.get_bind().exec_driver_sql("SHOW server_version_num").scalar_one())
        if number // 10_000 < major:
            raise UnsupportedChangeError(
                f"{why} needs PostgreSQL {major}, and this is {number // 10_000}",
                hint="Upgrade the server first; the revisions before this one go on working.",
            )


def _only_read() -> bool:
    context = op.get_context()
    return context.as_sql or context.opts.get("truing_record") is not None
