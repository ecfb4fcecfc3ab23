"""Is this live database the one that the RBAC revisions start from, and how does a new one begin?

In: a connection to the live database and one to an empty scratch database of the same server. Out: every difference
from the legacy baseline as a finding, and the stamp when there is none that the revisions would stumble over. The
baseline is read back from the scratch database, so that both sides are printed by the same server.
"""

from __future__ import annotations

from contextlib import closing

import msgspec
import psycopg
from alembic import command
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, create_engine, make_url, pool, text
from sqlalchemy.exc import OperationalError

from truing.catalog.model import Snapshot
from truing.catalog.read import read_snapshot
from truing.errors import UsageError
from truing.finding import Finding, Severity
from truing.names import ident
from truing.rbac import place, script
from truing.rbac.differences import RULE, differences
from truing.rbac.models import Base
from truing.rbac.program import PROGRAM, tables_of
from truing.revisions.urls import unreachable


class Adoption(msgspec.Struct, frozen=True):
    """What came of an adoption.

    Attributes:
        findings: every difference, the worst first.
        stamped: whether the database now carries the baseline's revision.
    """

    findings: tuple[Finding, ...]
    stamped: bool

    @property
    def fits(self) -> bool:
        """Whether the revisions can start from this database."""
        return all(finding.severity is not Severity.ERROR for finding in self.findings)


def adopt(live: Connection, scratch: Connection, *, schema: str = "public", stamp: bool = True) -> Adoption:
    """Compare a live database with the legacy baseline, and stamp it when it fits.

    Args:
        live: to the database to adopt; outside a transaction. Only the stamp is written.
        scratch: to an empty database of the same server version, in which the baseline is built.
        schema: the schema that holds the RBAC tables.
        stamp: write the stamp; False only compares.

    Returns:
        The differences, and whether it was stamped.

    Raises:
        UsageError: a connection is inside a transaction or not psycopg's, the database is stamped already, or there is
            nothing of the RBAC in it.
    """
    present = _current(live)
    known = [revision for revision in present if revision in script.revisions()]
    if known:
        newest = set(known) <= script.newest()
        raise UsageError(
            f"the database is at {', '.join(known)} already, so there is nothing to adopt",
            hint="That is rbac@head: nothing is left to do." if newest else _upgrade(set(present) - set(known)),
        )
    seen = _snapshot(live, schema)
    if not any(each.name in Base.metadata.tables for each in seen.tables_by_name):
        raise UsageError(
            f"there is no table of the RBAC in the schema {schema}, so there is nothing to adopt",
            hint="`truing rbac init` makes a new RBAC database; --schema names where the tables are.",
        )
    findings = differences(seen, _baseline(scratch, schema))
    fits = all(finding.severity is not Severity.ERROR for finding in findings)
    if not fits or not stamp:
        return Adoption(findings, stamped=False)
    if not present:
        command.stamp(script.configuration(live, schema=schema), script.LEGACY)
        return Adoption(findings, stamped=True)
    # Another Alembic project keeps its versions here, and this script location knows nothing of its revisions.
    with live.begin():
        insert = "INSERT INTO alembic_version (version_num) VALUES (:revision)"
        live.execute(text(insert), {"revision": script.LEGACY})
    return Adoption((*findings, _other_project(present)), stamped=True)


def init(url: str, *, schema: str = "", **told: str) -> None:
    """Make a new RBAC database, straight at head; the database itself too, where there is none of this name.

    Args:
        url: of the database.
        schema: where the tables go; made when missing. Empty for the search path's first.
        told: what the revisions are told beside: ``profile``, ``program``, ``setting``.

    Raises:
        ConnectionFailedError: the server cannot be reached.
        UnsupportedChangeError: the server is too old for the revisions.
        UsageError: the database holds RBAC tables that are not at a known revision.
    """
    _create_database(url)
    engine = create_engine(url, poolclass=pool.NullPool)
    try:
        with engine.connect() as connection:
            place.refuse_older(connection, *place.TENANT_KEYS)
            if schema:
                connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {ident(schema)}"))
                connection.execute(text(f"SET search_path TO {ident(schema)}"))
            there = connection.execute(text("SELECT to_regclass('profiles') IS NOT NULL")).scalar_one()
            _refuse_others(connection, told.get("program") or PROGRAM)
            connection.commit()
            if there and not script.current(connection):
                raise UsageError(
                    "the database has a table profiles already, so it is not new",
                    hint="`truing rbac adopt` brings an existing database under these revisions.",
                )
            connection.rollback()
            script.upgrade(connection, schema=schema, **told)
    finally:
        engine.dispose()


def _refuse_others(connection: Connection, program: str) -> None:
    """Refuse functions that work for other tables already, before anything is made."""
    schema = connection.execute(text("SELECT current_schema()")).scalar_one()
    other = connection.exec_driver_sql(tables_of(program, str(schema)).replace("%", "%%")).scalar_one()
    if other is not None:
        raise UsageError(
            f"the functions in schema {ident(program)} are those of the tables in schema {ident(other)}",
            hint="Give these tables functions of their own: --program NAME.",
        )


def _create_database(url: str) -> None:
    """Create the database when the server says that there is none of this name."""
    wanted = make_url(url)
    try:
        _connect_once(url)
    except OperationalError as error:
        # There is no SQLSTATE of a connection that never came about; the server's answer is all there is.
        if f'database "{wanted.database}" does not exist' not in str(error.orig):
            raise unreachable(url, error.orig or error) from error
    else:
        return
    engine = create_engine(wanted.set(database="postgres"), poolclass=pool.NullPool, isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            place.refuse_older(connection, *place.TENANT_KEYS)
            connection.execute(text(f"CREATE DATABASE {ident(str(wanted.database))}"))
    finally:
        engine.dispose()


def _connect_once(url: str) -> None:
    engine = create_engine(url, poolclass=pool.NullPool)
    with closing(engine.connect()):
        pass
    engine.dispose()


def _current(connection: Connection) -> tuple[str, ...]:
    if connection.in_transaction():
        raise UsageError("adopt() needs connections outside a transaction", hint="Commit or roll back first.")
    with connection.begin():
        return tuple(MigrationContext.configure(connection).get_current_heads())


def _baseline(scratch: Connection, schema: str) -> Snapshot:
    with scratch.begin():
        scratch.execute(text(f"CREATE SCHEMA IF NOT EXISTS {ident(schema)}"))
    script.upgrade(scratch, script.LEGACY, schema=schema)
    return _snapshot(scratch, schema)


def _upgrade(theirs: set[str]) -> str:
    """Say how a database at one of these revisions is brought up."""
    if theirs:
        return (
            f"Bring it up with the project that has {', '.join(sorted(theirs))}: alembic upgrade rbac@head, once"
            f" {script.VERSIONS} is among its version_locations."
        )
    return f"Bring it up: {script.UPGRADE}"


def _snapshot(connection: Connection, schema: str) -> Snapshot:
    raw = connection.connection.driver_connection
    if not isinstance(raw, psycopg.Connection):
        raise UsageError("adopt() reads the catalog through psycopg", hint="Use a postgresql+psycopg:// URL.")
    try:
        return read_snapshot(raw, include=(schema,))
    finally:
        connection.rollback()


def _other_project(present: tuple[str, ...]) -> Finding:
    theirs = ", ".join(present)
    return Finding(
        rule=RULE,
        severity=Severity.INFO,
        subject="alembic_version",
        message=f"Another Alembic project versions this database (it is at {theirs}), so upgrade with that one.",
        remedy=f"version_locations = %(here)s/versions\n  {script.VERSIONS}",
    )
