r"""What is there before the first revision? A schema file or another database goes in, SQL that builds it comes out.

For chains of revisions that begin in the middle. The file may be what ``pg_dump --schema-only`` writes, and is run
without psql: its own commands (``\restrict``, ``\connect``) are passed over, the rows of ``COPY ... FROM stdin`` are
sent, roles that are missing are made. What is about the server and not about one database is left out.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import msgspec
import psycopg

from truing.drift.building.workshop import Workshop
from truing.drift.options import Base
from truing.drift.stubs import rewritten
from truing.errors import ConfigurationError, ConnectionFailedError, ServerError, SqlSyntaxError
from truing.names import ident
from truing.redaction import redact
from truing.server import Binaries, ScratchDatabase, available
from truing.sql import parse as sql
from truing.versions import PostgresVersion

_PASSED_OVER: Final = re.compile(r"\\(restrict|unrestrict|connect|c|encoding|set|unset|echo|timing|pset|q)\b")
_COPY: Final = re.compile(r"COPY\s.+\sFROM\s+stdin\b.*;", re.IGNORECASE)
_OPENS: Final = re.compile(
    r"--|/\*|(?<![\w$])\$(?:[A-Za-z_\x80-\U0010ffff][\w\x80-\U0010ffff]*)?\$|(?<![\w$])[Ee]'|'|\""
)
_CLOSES: Final = {"'": r"''|(')", "E'": r"''|\\.|(')", '"': '""|(")', "/*": r"(\*/)"}
"""What opens a text, a name or a comment -> what is passed over in it, and in parentheses what closes it."""
_OF_SERVER: Final = frozenset(
    """
    CreatedbStmt DropdbStmt AlterDatabaseStmt AlterDatabaseSetStmt AlterDatabaseRefreshCollStmt AlterSystemStmt
    CreateTableSpaceStmt DropTableSpaceStmt AlterTableSpaceOptionsStmt
    CreateRoleStmt AlterRoleStmt AlterRoleSetStmt DropRoleStmt GrantRoleStmt
    """.split()  # noqa: SIM905 - the parser's names, as its grammar lists them
)
_NO_ROLE: Final = re.compile(r'role "((?:[^"]|"")+)" does not exist')
_UNKNOWN_SETTING: Final = "42704"
_SCHEMA_THERE: Final = "42P06"


class Piece(msgspec.Struct, frozen=True):
    """A part of a file: statements, or one COPY with its rows.

    Attributes:
        line: of the file, on which it begins.
        text: SQL.
        rows: what COPY reads; None for statements.
    """

    line: int
    text: str
    rows: str | None = None


def find_base(base: str | None, revision: str | None, folder: Path) -> Base | None:
    """Read the base that is configured.

    Args:
        base: a file, or the URL of a database whose schema it is.
        revision: what the base is at.
        folder: where relative paths start.

    Returns:
        The base; None where none is configured.

    Raises:
        ConfigurationError: a revision without a base, or a file that cannot be read.
        ConnectionFailedError: the database cannot be reached.
        ServerError: no program can read the database's schema.
    """
    if base is None:
        if revision is not None:
            raise ConfigurationError(
                f"base-revision = {revision!r} says what the base is at, and there is no base.",
                hint='Name it: base = "schema.sql" (or the URL of a database) in [tool.truing].',
            )
        return None
    revisions = (revision,) if revision else ()
    if "://" in base:
        return _of_database(base, revisions)
    file = folder / base
    try:
        return Base(name=str(file), text=file.read_bytes().decode(), revisions=revisions)
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"The base {file} is not UTF-8 (byte {error.start}).", hint=_DUMP) from None
    except OSError as error:
        raise ConfigurationError(f"The base {file} cannot be read: {error.strerror or error}.", hint=_DUMP) from None


_DUMP: Final = "Write one with: pg_dump --schema-only --no-owner URL > schema.sql"


def _of_database(url: str, revisions: tuple[str, ...]) -> Base:
    from truing.revisions.history import applied  # noqa: PLC0415 - only for the few that have such a base
    from truing.revisions.urls import conninfo  # noqa: PLC0415 - it loads SQLAlchemy

    name = redact(url)
    try:
        with closing(psycopg.connect(conninfo(url, application_name="truing"), autocommit=True)) as connection:
            version = PostgresVersion(connection.info.server_version)
            stamped = revisions or applied(connection)
            program = _pg_dump(version, name)
            # Everything in it goes by the environment, so that no password is seen in the list of processes.
            given = connection.info.get_parameters()
            environment = {"PGAPPNAME": "truing"} | {_VARIABLES[k]: v for k, v in given.items() if k in _VARIABLES}
            environment |= {"PGPASSWORD": connection.info.password} if connection.info.password else {}
    except psycopg.OperationalError as error:
        raise ConnectionFailedError(
            f"The base {name} cannot be reached: {redact(str(error).strip())}", hint=_DUMP
        ) from error
    # Whoever waits for a lock has others wait behind it.
    said = subprocess.run(
        [program.program("pg_dump"), "--schema-only", "--lock-wait-timeout=5s"],
        env=environment,
        capture_output=True,
        check=False,
    )
    if said.returncode:
        message = redact(said.stderr.decode(errors="replace").strip())
        raise ServerError(f"The schema of the base {name} cannot be read: {message}", hint=_DUMP)
    return Base(name=name, text=said.stdout.decode(), revisions=stamped)


_VARIABLES: Final = {
    "host": "PGHOST",
    "hostaddr": "PGHOSTADDR",
    "port": "PGPORT",
    "user": "PGUSER",
    "dbname": "PGDATABASE",
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
}


def _pg_dump(version: PostgresVersion, name: str) -> Binaries:
    fitting = [each for each in available() if each.version.major >= version.major]
    found = next((each for each in fitting if Path(each.program("pg_dump")).exists()), None)
    if found is None:
        raise ServerError(f"The base {name} is PostgreSQL {version}, and no pg_dump of that age is here.", hint=_DUMP)
    return found


def load(base: Base, workshop: Workshop, search_path: str = "") -> ScratchDatabase:
    """Build the base on a scratch database.

    Args:
        base: what to build.
        workshop: where.
        search_path: what unqualified names mean, until the SQL says otherwise.

    Raises:
        ConfigurationError: the SQL cannot be read, or a statement is refused; the line is in the message.
    """
    database = workshop.prepared(())
    with workshop.connect(database) as connection:
        if search_path:
            connection.execute("SELECT pg_catalog.set_config('search_path', %s, false)", [search_path])
        connection.execute("SET check_function_bodies = off")
        for piece in pieces(base.text, base.name):
            if piece.rows is not None:
                _copy(connection, piece, base)
                continue
            try:
                statements = sql.parse(piece.text)
            except SqlSyntaxError as error:
                line = piece.line + int(error.fields.get("line") or 1) - 1
                raise ConfigurationError(f"{base.name}, line {line}: {error.message}", hint=_DUMP) from error
            for statement in statements:
                if not _of_server(statement):
                    _execute(connection, statement, piece.line + statement.line - 1, base, workshop)
    return database


def _of_server(statement: sql.Statement) -> bool:
    """Tell whether a statement is about the server, or about a database by its name: never run, wherever we build."""
    if statement.kind in _OF_SERVER:
        return True
    kinds = [name for name in ("object_type", "objtype", "rename_type") if sql.has(statement.node, name)]
    return any(sql.enum_name(statement.node, name) == "OBJECT_DATABASE" for name in kinds)


def _execute(
    connection: psycopg.Connection[Any], statement: sql.Statement, line: int, base: Base, workshop: Workshop
) -> None:
    made: set[str] = set()
    while True:
        try:
            connection.execute(rewritten(statement.text, workshop.lacking).encode())
        except psycopg.Error as error:
            role = _NO_ROLE.search(str(error.diag.message_primary))
            if role is not None and role[1] not in made:
                made.add(role[1])
                connection.execute(f"CREATE ROLE {ident(role[1])} NOLOGIN".encode())
                continue
            unknown = statement.kind == "VariableSetStmt" and error.sqlstate == _UNKNOWN_SETTING
            if unknown or (statement.kind == "CreateSchemaStmt" and error.sqlstate == _SCHEMA_THERE):
                # A setting of another major, or the schema that every new database has.
                return
            workshop.refuse_without(str(error.diag.message_primary))
            raise _refused(error, line, base) from error
        return


def _copy(connection: psycopg.Connection[Any], piece: Piece, base: Base) -> None:
    try:
        with connection.cursor() as cursor, cursor.copy(piece.text.rstrip().rstrip(";").encode()) as copy:
            copy.write(piece.rows or "")
    except psycopg.Error as error:
        raise _refused(error, piece.line, base) from error


def _refused(error: psycopg.Error, line: int, base: Base) -> ConfigurationError:
    return ConfigurationError(
        f"{base.name}, line {line}: the scratch server refuses: {error.diag.message_primary or error}",
        hint="Does psql run the file on an empty database of that version?",
        sqlstate=error.sqlstate,
    )


def pieces(text: str, name: str) -> Iterator[Piece]:
    r"""Take a file apart: what psql does by itself goes, statements and the rows of COPY stay.

    Args:
        text: the file.
        name: of the file, for a message.

    Raises:
        ConfigurationError: it holds a command of psql that matters, such as ``\i``, or rows without an end.
    """
    lines = text.split("\n")
    kept: list[str] = []
    start, number, tag = 1, 0, ""
    while number < len(lines):
        line = lines[number]
        number += 1
        if not tag and line.startswith("\\"):
            if not _PASSED_OVER.match(line):
                raise ConfigurationError(
                    f"{name}, line {number}: {line.split()[0]} is a command of psql, which truing does not run.",
                    hint="Write plain SQL, or what the command would have read.",
                )
            line = ""
        elif not tag and _COPY.fullmatch(line):
            yield Piece(start, "\n".join(kept))
            kept, begun = [], number
            while number < len(lines) and lines[number] != "\\.":
                number += 1
            if number == len(lines):
                raise ConfigurationError(f"{name}, line {begun}: the rows of this COPY have no end.", hint=_DUMP)
            yield Piece(begun, line, "".join(f"{row}\n" for row in lines[begun:number]))
            number += 1
            start = number + 1
            continue
        # A line within a body, a text or a comment belongs to it, whatever it looks like.
        tag = _open_after(line, tag)
        kept.append(line)
    yield Piece(start, "\n".join(kept))


def _open_after(line: str, tag: str) -> str:
    """Say what is open at the end of a line, as what has opened it; empty for nothing."""
    at = 0
    while True:
        pattern = re.compile(_CLOSES.get(tag, f"({re.escape(tag)})")) if tag else _OPENS
        found = pattern.search(line, at)
        if found is None or found[0] == "--":
            return tag
        at = found.end()
        if not tag:
            tag = found[0].upper() if found[0] in {"e'", "E'"} else found[0]
        elif found[1]:
            tag = ""
