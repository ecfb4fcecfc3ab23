"""What do we ask a child process to build, and what does it answer? Values that travel as JSON between the two.

Models and migrations are each built in a process of their own: importing revisions can change a MetaData, and
other people's programs print, exit and hang.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import quote, quote_plus

import msgspec

from truing.catalog.diff import Difference
from truing.errors import ProjectError, RevisionError
from truing.finding import Location
from truing.names import QualifiedName
from truing.redaction import redact
from truing.revisions.project import Project

if TYPE_CHECKING:
    from alembic.config import Config

Translate = tuple[tuple[str | None, str | None], ...]
"""A ``schema_translate_map``, as pairs."""

TIMEOUT_S: Final = 1800.0
_URL_STARTS: Final = ("postgresql://", "postgres://", "postgresql+", "postgres+")


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """Where the scratch database is: the only one that a child may connect to."""

    host: str
    port: int
    user: str
    dbname: str
    password: str = ""


class Candidate(msgspec.Struct, frozen=True, order=True):
    """An object that ``include_name`` and ``include_object`` of ``env.py`` are asked about.

    Attributes:
        kind: as Alembic says it: ``schema``, ``table``, ``column``, ``index``, ``unique_constraint`` or
            ``foreign_key_constraint``.
        schema: its schema.
        table: its table; its own name for a table, empty for a schema.
        name: its name.
        columns: those of an index or a constraint.
    """

    kind: str
    schema: str
    table: str
    name: str
    columns: tuple[str, ...] = ()


class Keep(msgspec.Struct, frozen=True, kw_only=True):
    """How a run of the revisions may pause before the newest, so that what the others build can be kept.

    Attributes:
        copy: the name of the copy that is made then.
        after: how many seconds the others must have taken, so that it is worth it.
    """

    copy: str
    after: float


class Halfway(msgspec.Struct, frozen=True, kw_only=True):
    """A copy of the database as it was before the newest revision ran.

    Attributes:
        database: its name.
        revision: what it is at.
        below: that revision and all that was run before it.
        later: the files of all other revisions.
        shared: a digest of what all databases of the server had in common then.
    """

    database: str
    revision: str
    below: tuple[str, ...]
    later: tuple[str, ...]
    shared: str


class Onward(msgspec.Struct, frozen=True, kw_only=True):
    """Where a run begins that has such a copy.

    Attributes:
        revision: what it is at.
        below: that revision and all that was run before it.
        files: Python files beside its own that nobody knew then.
    """

    revision: str
    below: tuple[str, ...]
    files: tuple[str, ...]


class Touch(msgspec.Struct, frozen=True, order=True):
    """Which revision changed an object last: made it, altered it or dropped it."""

    kind: str
    name: str
    revision: str


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What a child is asked.

    Attributes:
        task: build the models, run the migrations, ask what ``env.py`` hides or configures, climb the revisions.
        server: the scratch database; None for what ``env.py`` hides or configures.
        project: the Alembic project, where there is one.
        metadata: the models as ``module:attribute``; empty for the ``target_metadata`` of ``env.py``.
        folder: where modules are looked for.
        revisions: how far the migrations go: these, one after the other.
        search_path: of the connections; empty for the server's own.
        fallback: statements that may help where ``create_all`` fails: functions and types that only migrations make.
        candidates: what to ask about.
        default_schema: the schema that Alembic knows as None.
        stamp: revisions that the database is at already, though it does not say so.
        lacking: extensions that get a stand-in where they would be created.
        translate: the ``schema_translate_map`` that the migrations' connection has, as pairs.
        watch: relations, functions and types to look at after each revision; None to look at nothing.
        mark: a revision up to which that is also said separately.
        keep: whether what the older revisions build is to be kept.
        onward: where the database comes from, if it was kept.
        start: when climbing, the revision up to which everything is only applied; empty to begin at the bottom.
        floor: when climbing, the oldest revision that is not taken back; empty for none.
        unmanaged: when climbing, the patterns of other people's tables, which do not count.
    """

    task: Literal["models", "migrations", "hidden", "options", "climb"]
    server: Server | None = None
    project: Project | None = None
    metadata: tuple[str, ...] = ()
    folder: str = ""
    revisions: tuple[str, ...] = ("heads",)
    search_path: str = ""
    fallback: tuple[str, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    default_schema: str = "public"
    stamp: tuple[str, ...] = ()
    lacking: tuple[str, ...] = ()
    translate: Translate = ()
    watch: tuple[QualifiedName, ...] | None = None
    mark: str = ""
    keep: Keep | None = None
    onward: Onward | None = None
    start: str = ""
    floor: str = ""
    unmanaged: tuple[str, ...] = ()


class Stair(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one revision that was applied, taken back, and applied again.

    Attributes:
        revision: its identifier.
        file: its file.
        failed: what could not be done; empty when all of it was.
        error: why; ``place`` is the line, where it is one of theirs.
        left: what its downgrade leaves: the database before the upgrade -> after the downgrade.
        changed: in what the second upgrade ends elsewhere than the first: after the first -> after the second.
    """

    revision: str
    file: str = ""
    failed: Literal["", "upgrade", "downgrade", "second upgrade"] = ""
    error: str = ""
    place: Location | None = None
    left: tuple[Difference, ...] = ()
    changed: tuple[Difference, ...] = ()


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """A statement of ``create_all`` that PostgreSQL refuses; ``about`` is what it would have made: kind and name."""

    statement: str
    message: str
    sqlstate: str = ""
    about: tuple[str, str] = ("", "")


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """What a child answers.

    Attributes:
        error: why there is nothing; empty when it went well.
        hint: what to do about it.
        sqlstate: the SQLSTATE behind the error, where PostgreSQL refused.
        refusals: statements that were left out.
        names: the names that the models give to constraints.
        places: where tables (``schema.table``) and columns (``schema.table.column``) are written in the models.
        files: the person's own modules that were imported: the cache depends on them.
        schemas_made: schemas that the models need and nobody makes for them.
        version_table: Alembic's table, and its schema.
        revisions: every revision of the project; ``heads`` are the newest of its history.
        branches: the labels of each head's branch; empty where it has none.
        filters: whether ``env.py`` has an ``include_object`` or ``include_name``.
        tables: how many tables the models have.
        whole: whether ``create_all`` did all of it in one transaction, so that nothing else was needed.
        hidden: the candidates that ``env.py`` keeps out of autogenerate.
        translate: the ``schema_translate_map`` of the connection that ``env.py`` gives to the migrations.
        touched: the last revision that changed each object that was watched.
        marked: the same for the revisions up to the mark.
        halfway: what was kept.
        unfit: whether the error is that the revisions cannot go on from what was kept.
        parted: whether it came after a pause, so that it may not come without one.
        stairs: the revisions that were climbed, in their order; the last one may have failed.
        bottom: what is left after all of them were taken back, down to the floor.
        fell: the revision that could not be taken back then, though it could on its own; ``fall`` says why.
    """

    error: str = ""
    hint: str = ""
    sqlstate: str = ""
    refusals: tuple[Refusal, ...] = ()
    names: tuple[str, ...] = ()
    places: dict[str, Location] = {}
    files: tuple[str, ...] = ()
    schemas_made: tuple[str, ...] = ()
    version_table: str = "alembic_version"
    version_schema: str | None = None
    heads: tuple[str, ...] = ()
    revisions: tuple[str, ...] = ()
    branches: dict[str, str] = {}
    filters: bool = False
    tables: int = 0
    whole: bool = False
    hidden: tuple[Candidate, ...] = ()
    translate: Translate = ()
    touched: tuple[Touch, ...] = ()
    marked: tuple[Touch, ...] = ()
    halfway: Halfway | None = None
    unfit: bool = False
    parted: bool = False
    stairs: tuple[Stair, ...] = ()
    bottom: tuple[Difference, ...] = ()
    fell: str = ""
    fall: str = ""


def ask(
    request: Request, timeout: float = TIMEOUT_S, *, started: Callable[[subprocess.Popen[bytes]], None] | None = None
) -> Reply:
    """Put a request to a child process.

    Args:
        request: what is asked.
        timeout: how many seconds it may take.
        started: is told the process, so that somebody else can end it.

    Raises:
        RevisionError: the child took too long or ended without an answer.
    """
    # -P: a folder `alembic/` of the person's must not be imported instead of Alembic.
    command = [sys.executable, "-P", "-m", "truing.drift.child"]
    folder = request.project.root if request.project else request.folder
    what = "the models" if request.task == "models" else "the migrations"
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, stdin=pipe, stdout=pipe, stderr=pipe, cwd=folder or None, env=environment(os.environ, request.server)
    ) as child:
        try:
            if started is not None:
                started(child)
            answer, errors = child.communicate(msgspec.json.encode(request), timeout)
        except subprocess.TimeoutExpired:
            raise RevisionError(
                f"building {what} took more than {timeout:g} seconds",
                hint="Does a revision, a model or env.py wait for something (a network, a prompt, a lock)?",
            ) from None
        finally:
            # Gone already, unless there was an exception: then nobody waits for it.
            child.kill()
    try:
        return msgspec.json.decode(answer, type=Reply)
    except msgspec.DecodeError:
        raise RevisionError(
            f"the process that builds {what} ended with status {child.returncode}",
            hint=redact(errors.decode(errors="replace").strip()[-800:]),
        ) from None


def environment(variables: Mapping[str, str], server: Server | None) -> dict[str, str]:
    """Write the environment of a child: nothing in it leads to a database other than the scratch one.

    Args:
        variables: ours.
        server: the scratch database; None where none may be connected to.

    Returns:
        The variables without libpq's own, and with every PostgreSQL URL replaced by that of the scratch database.
    """
    kept = {name: value for name, value in variables.items() if not name.startswith("PG")}
    kept["PYTHONIOENCODING"] = "utf-8"
    if server is None:
        return kept
    for name, value in kept.items():
        if value.startswith(_URL_STARTS):
            _, plus, driver = value.partition("://")[0].partition("+")
            kept[name] = url_of(server, f"postgresql{plus}{driver}")
    plain = url_of(server, "postgresql")
    kept |= {"PGHOST": server.host, "PGPORT": str(server.port), "PGUSER": server.user, "PGDATABASE": server.dbname}
    kept |= {"PGPASSWORD": server.password} if server.password else {}
    return kept | {"DATABASE_URL": kept.get("DATABASE_URL", plain), "TRUING_DATABASE_URL": plain}


def url_of(server: Server, driver: str = "postgresql+psycopg") -> str:
    """Write the URL of a scratch database for SQLAlchemy."""
    # As SQLAlchemy would write it, which takes long to load. A slash may stand in a query as it is, and there are many
    # env.py that hand their address to a ConfigParser, where a per cent sign means something else.
    login = quote(server.user, safe=" +") + (f":{quote(server.password, safe=' +')}" if server.password else "")
    query = f"host={quote_plus(server.host, safe='/')}&port={server.port}"
    return f"{driver}://{login}@/{quote(server.dbname, safe=' +/')}?{query}"


def configured(request: Request) -> tuple[Project, Config]:
    """Return the project of a request, and Alembic's configuration of it for the scratch database."""
    project, server = request.project, request.server
    if project is None or server is None:
        raise ProjectError("migrations need a project and a scratch database")
    # The driver that the project names stays: its env.py may need an async one.
    named = project.database_url or project.configured_url() or ""
    driver = named.partition("://")[0] if named.startswith("postgresql+") else "postgresql"
    return project, project.configuration(url_of(server, driver))
