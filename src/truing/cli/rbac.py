"""``truing rbac``: a multi-tenant RBAC database, new or adopted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from truing.cli.options import Invocation, common

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection


@click.group("rbac")
def command() -> None:
    """Make a multi-tenant RBAC database, or adopt one that is there.

    Its tables are those of `truing.rbac.models`; its revisions are the Alembic branch `rbac`.

    \b
    Examples:
      truing rbac init --database-url postgresql://localhost/app
      truing rbac adopt --database-url postgresql://localhost/legacy --compare
    """


@command.command("init")
@click.option("--schema", default="", metavar="NAME", help="Where the tables go; made when missing.")
@common
def init_command(invocation: Invocation, schema: str) -> int:
    """Make a new RBAC database, straight at the newest revision.

    The database itself is made too when there is none of this name.

    \b
    Examples:
      truing rbac init --database-url postgresql://localhost/app
      truing rbac init --database-url postgresql://localhost/app --schema rbac
    """
    from truing.rbac.adopt import init
    from truing.report.document import document
    from truing.revisions.urls import redact, sqlalchemy_url

    url = sqlalchemy_url(invocation.require_database_url())
    init(url, schema=schema)
    return invocation.answer(document("rbac init", summary=f"{redact(url)} is ready, at rbac@head."))


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

    with _open(url_of(invocation)) as live:
        # psycopg and PostgreSQL agree: 180006 is 18.6. The question ends its transaction, so that adopt() has its own.
        major = int(live.exec_driver_sql("SHOW server_version_num").scalar_one()) // 10000
        live.rollback()
        with _scratch(scratch_url, major) as empty, _open(empty) as scratch:
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


@contextmanager
def _open(url: str) -> Iterator[Connection]:
    from sqlalchemy import create_engine, pool

    from truing.revisions.urls import sqlalchemy_url

    engine = create_engine(sqlalchemy_url(url), poolclass=pool.NullPool, connect_args={"application_name": "truing"})
    with engine.connect() as connection:
        yield connection
