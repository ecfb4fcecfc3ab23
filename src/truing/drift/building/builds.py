"""What do the models build, and what do the migrations? Each on a scratch database, read back from its catalog.

In: a project or models, and what is known of the live database (its schemas, extensions and roles, which migrations
often take for granted). Out: a :class:`Built`: the snapshot, with what had to be helped along and what was refused.
"""

from __future__ import annotations

import re
import secrets
import subprocess
from collections.abc import Callable
from typing import Final

import msgspec

from truing.catalog.model import Snapshot
from truing.catalog.read import read_snapshot
from truing.drift.building.prefix import UnfitError
from truing.drift.building.workshop import Workshop
from truing.drift.exchange import Keep, Onward, Reply, Request, Translate, ask
from truing.drift.roles import roles_of
from truing.drift.stubs import KNOWN, WHERE
from truing.errors import ProjectError, RevisionError, TruingError
from truing.names import QualifiedName, derived, ident, literal
from truing.revisions.project import Project
from truing.server import ScratchDatabase

_ATTEMPTS: Final = 12
_UNLOADABLE: Final = re.compile(r"^\S+\.py:\d+: (?:SyntaxError|IndentationError|ImportError|ModuleNotFoundError): ")
_NO_ROLE: Final = re.compile(r'role "((?:[^"]|"")+)" does not exist')
_ROLE_THERE: Final = re.compile(r'role "((?:[^"]|"")+)" already exists')
_NO_SCHEMA: Final = re.compile(r'schema "((?:[^"]|"")+)" does not exist')
_NOWHERE: Final = "no schema has been selected to create in"
_UNKNOWN: Final = frozenset({"42704", "42883", "3F000", "42P01"})
"""An unknown type, function, schema or relation."""
_BUILT_IN: Final = frozenset({"plpgsql"})


class Around(msgspec.Struct, frozen=True, kw_only=True):
    """What is around the tables in the database that the migrations are written for.

    Attributes:
        schemas: its schemas.
        extensions: its extensions, as (name, schema).
        roles: the roles that own or may do something there.
        search_path: the schemas that unqualified names mean there.
        given: the statements that a new database there has been through.
    """

    schemas: tuple[str, ...] = ()
    extensions: tuple[tuple[str, str], ...] = ()
    roles: tuple[str, ...] = ()
    search_path: tuple[str, ...] = ()
    given: tuple[str, ...] = ()

    @property
    def path(self) -> str:
        """The search path as a setting."""
        return ", ".join(map(ident, self.search_path))


class Built(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a build.

    Attributes:
        snapshot: what the scratch database is afterwards.
        reply: what the child process said.
        helped: statements that had to be run first: schemas and extensions that nobody makes.
    """

    snapshot: Snapshot
    reply: Reply
    helped: tuple[str, ...] = ()


def around(
    snapshot: Snapshot, search_path: tuple[str, ...] = (), given: tuple[str, ...] = (), roles: tuple[str, ...] = ()
) -> Around:
    """Take from the live database what migrations may take for granted.

    Args:
        snapshot: of it.
        search_path: of it.
        given: the statements that a new database there has been through.
        roles: that these name.
    """
    return Around(
        schemas=tuple(schema.name for schema in snapshot.schemas),
        extensions=tuple((each.name, each.schema) for each in snapshot.extensions if each.name not in _BUILT_IN),
        roles=tuple(sorted(roles_of(snapshot) | set(roles))),
        search_path=search_path,
        given=given,
    )


def build_migrations(
    workshop: Workshop,
    project: Project,
    revisions: tuple[str, ...] = ("heads",),
    *,
    around: Around | None = None,
    start: ScratchDatabase | None = None,
    stamp: tuple[str, ...] = (),
    watch: tuple[QualifiedName, ...] | None = None,
    mark: str = "",
    keep: Keep | None = None,
    onward: Onward | None = None,
) -> tuple[ScratchDatabase, Built]:
    """Run the migrations on a scratch database.

    Args:
        workshop: where.
        project: the Alembic project.
        revisions: how far; several where there are several heads.
        around: of the live database.
        start: a database in which some of them were run already: it is copied, and they are not run again.
        stamp: what that database is at, though it does not say so.
        watch: relations, functions and types to look at after each revision.
        mark: a revision up to which it is also said separately what was seen.
        keep: whether what the older revisions build is to be kept.
        onward: where ``start`` is from, if it was kept; then nothing is helped along.

    Returns:
        The database, and what it is.

    Raises:
        UnfitError: one cannot go on from what was kept.
        RevisionError: a revision fails, or Alembic went to another database.
        ProjectError: the project cannot be used.
    """
    around = around or Around()
    workshop.make_roles(around.roles)
    request = Request(
        task="migrations",
        project=msgspec.structs.replace(project, database_url=None),
        folder=project.root,
        revisions=revisions,
        search_path=around.path,
        stamp=stamp,
        lacking=tuple(sorted(workshop.lacking)),
        watch=watch,
        mark=mark,
        keep=keep,
        onward=onward,
    )
    helped: tuple[str, ...] = ()
    roles: set[str] = set()
    for _ in range(_ATTEMPTS):
        database = workshop.prepared((*around.given, *helped), start)
        reply = ask(msgspec.structs.replace(request, server=workshop.server(database)))
        if not reply.error:
            _verify(workshop, database, reply, project)
            return database, Built(snapshot=_read(workshop, database), reply=reply, helped=helped)
        workshop.scratch.drop(database)
        workshop.refuse_without(reply.error)
        if onward is not None:
            break
        if reply.parted:
            # All in one transaction they may run, as they did before anything was kept.
            request = msgspec.structs.replace(request, keep=None)
        elif not roles_settled(reply.error, workshop, roles):
            cure = _cure(reply, around, helped)
            if not cure:
                break
            helped = (*helped, *cure)
    raise _refusal(reply, workshop, begun=start is not None)


def _refusal(reply: Reply, workshop: Workshop, *, begun: bool) -> TruingError:
    """Say why the migrations are not run."""
    if reply.unfit:
        return UnfitError(reply.error)
    # The models that env.py imports are no migration, and a module that does not load has run on nothing.
    loads = _UNLOADABLE.search(reply.error) is None
    where = f"do not run on {'their base' if begun else 'an empty database'}" if loads else "cannot be loaded"
    return RevisionError(
        f"the migrations {where}: {reply.error}",
        hint=_of_stand_ins(reply, workshop)
        or reply.hint
        or "truing runs `alembic upgrade` on a scratch database; does it need data or services?",
    )


def build_models(
    workshop: Workshop,
    project: Project | None,
    metadata: tuple[str, ...] = (),
    *,
    folder: str = "",
    around: Around | None = None,
    migrated: Snapshot | None = None,
    translate: Translate = (),
    started: Callable[[subprocess.Popen[bytes]], None] | None = None,
) -> tuple[ScratchDatabase, Built]:
    """Create the models' tables on a scratch database.

    Args:
        workshop: where.
        project: the Alembic project, whose ``env.py`` names the models unless ``metadata`` does.
        metadata: the models as ``module:attribute``.
        folder: where modules are looked for.
        around: of the live database.
        migrated: what the migrations build: its schemas and extensions are made first, and its functions help where
            PostgreSQL refuses the models without them.
        translate: the ``schema_translate_map`` of ``env.py``.
        started: is told the process that does it.

    Returns:
        The database, and what it is.

    Raises:
        ProjectError: there are no models, or they cannot be loaded.
    """
    around = around or Around()
    helped = models_need(around, migrated)
    workshop.make_roles(around.roles)
    database = workshop.prepared(helped)
    reply = ask(
        Request(
            task="models",
            server=workshop.server(database),
            project=project,
            metadata=metadata,
            folder=folder or (project.root if project else ""),
            search_path=around.path,
            fallback=fallback(migrated),
            default_schema=default_schema(around),
            translate=translate,
            lacking=tuple(sorted(workshop.lacking)),
        ),
        started=started,
    )
    for each in reply.refusals:
        workshop.refuse_without(each.message)
    if reply.error:
        workshop.scratch.drop(database)
        workshop.refuse_without(reply.error)
        raise ProjectError(f"the models cannot be built: {reply.error}", hint=reply.hint)
    return database, Built(snapshot=_read(workshop, database), reply=reply, helped=helped)


def default_schema(around: Around) -> str:
    """Name the schema that SQLAlchemy knows as None."""
    return around.search_path[0] if around.search_path else "public"


def models_need(around: Around, migrated: Snapshot | None) -> tuple[str, ...]:
    """Write what is made before the models: schemas and extensions, which ``create_all`` does not make."""
    extensions = around.extensions
    if migrated is not None:
        extensions = tuple((each.name, each.schema) for each in migrated.extensions if each.name not in _BUILT_IN)
    needed = {schema for _, schema in extensions} | set(around.search_path[:1])
    return (
        *(f"CREATE SCHEMA IF NOT EXISTS {ident(schema)}" for schema in sorted(needed)),
        *(_extension(*each) for each in extensions),
    )


def _extension(name: str, schema: str) -> str:
    return f"CREATE EXTENSION IF NOT EXISTS {ident(name)} WITH SCHEMA {ident(schema)} CASCADE"


def fallback(migrated: Snapshot | None) -> tuple[str, ...]:
    """Write what may help where ``create_all`` fails: types and functions that only the migrations make."""
    if migrated is None:
        return ()
    enums = [
        f"CREATE TYPE {each.name.sql} AS ENUM ({', '.join(map(literal, each.labels))})"
        for each in migrated.types
        if each.kind == "enum"
    ]
    schemas = [f"CREATE SCHEMA IF NOT EXISTS {ident(each.name)}" for each in migrated.schemas]
    return (
        *schemas,
        *enums,
        *(each.definition for each in migrated.functions if each.kind in {"function", "procedure"}),
    )


def _of_stand_ins(reply: Reply, workshop: Workshop) -> str:
    """Say which extension may be behind an unknown function, type or schema: one that is a name and nothing else."""
    empty = sorted(workshop.lacking - KNOWN) if reply.sqlstate in _UNKNOWN else []
    where = "; ".join(f"{name}: {WHERE[name]}" for name in empty if name in WHERE)
    return (
        f"The scratch server ({workshop.version}) has no extension {', '.join(map(ident, empty))}, which may have it."
        f" Install it{f' ({where})' if where else ''}, or give a server that has it: --scratch-url URL."
        if empty
        else ""
    )


def roles_settled(error: str, workshop: Workshop, done: set[str]) -> bool:
    """Make a role that the migrations miss; put one aside that an earlier build has made. Each is tried once."""
    missing, there = _NO_ROLE.search(error), _ROLE_THERE.search(error)
    if missing is not None and missing[1] not in done:
        done.add(missing[1])
        workshop.make_roles((missing[1],))
        return True
    if there is not None and f"{there[1]} again" not in done:
        done.add(f"{there[1]} again")
        # Builds before this one may have put aside theirs.
        aside = derived(f"{there[1]} {secrets.token_hex(4)}", "role")
        workshop.put_aside(there[1], aside)
        return True
    return False


def _cure(reply: Reply, around: Around, helped: tuple[str, ...]) -> tuple[str, ...]:
    """Say what would help the migrations on: what the live database has and they do not make."""
    schema = _NO_SCHEMA.search(reply.error)
    cure: tuple[str, ...] = ()
    if schema is not None and schema[1] in around.schemas:
        cure = (f"CREATE SCHEMA {ident(schema[1])}",)
    elif _NOWHERE in reply.error:
        # The first schema of the search path, which nobody makes.
        cure = tuple(f"CREATE SCHEMA {ident(each)}" for each in around.search_path[:1] if each in around.schemas)
    elif reply.sqlstate in _UNKNOWN:
        # Perhaps an extension's, which live has and nobody makes.
        cure = (
            *(f"CREATE SCHEMA IF NOT EXISTS {ident(each)}" for _, each in around.extensions),
            *(_extension(*each) for each in around.extensions),
        )
    return () if set(cure) <= set(helped) else cure


def _verify(workshop: Workshop, database: ScratchDatabase, reply: Reply, project: Project) -> None:
    """Make sure that the migrations went to the scratch database: Alembic's table must have appeared there."""
    if not reply.revisions:
        return
    with workshop.connect(database) as connection:
        found = connection.execute(
            "SELECT count(*) FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace"
            " WHERE c.relname = %s AND (%s::text IS NULL OR n.nspname = %s) AND n.nspname <> 'pg_catalog'",
            [reply.version_table, reply.version_schema, reply.version_schema],
        ).fetchone()
    if not found or not found[0]:
        raise RevisionError(
            f"`alembic upgrade` of {project.name} has left no {reply.version_table} in the scratch database",
            hint="Does env.py connect past SQLAlchemy, or never call context.run_migrations()? Nothing is compared.",
        )


def _read(workshop: Workshop, database: ScratchDatabase) -> Snapshot:
    with workshop.connect(database) as connection:
        return read_snapshot(connection)
