"""The child process of :mod:`truing.drift.exchange`: a request on standard input, a reply on standard output.

Run as ``python -P -m truing.drift.child`` in the project's folder. What the project's own programs print goes to
standard error.
"""

from __future__ import annotations

import gc
import importlib.machinery
import os
import sys
import sysconfig
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec
from alembic import command
from alembic.runtime.migration import MigrationContext
from alembic.util import CommandError

from truing.drift.child import guard
from truing.drift.child.halfway import Pause, unfit
from truing.drift.child.touched import Watch
from truing.drift.exchange import Halfway, Reply, Request, configured
from truing.errors import RevisionError, TruingError
from truing.revisions.answering import answer_channel
from truing.revisions.failure import failure


def main() -> None:
    """Answer one request."""
    # Models are hundreds of thousands of objects that all stay; looking through them again and again for what has gone
    # is a fourth of the time.
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
    sys.addaudithook(_note)
    request = msgspec.json.decode(sys.stdin.buffer.read(), type=Request)
    answer = answer_channel()
    try:
        reply = _reply(request)
    except TruingError as error:
        lost, parted = (bool(error.fields.get(name)) for name in ("unfit", "parted"))
        state = _sqlstate(error)
        reply = Reply(error=error.message, hint=error.advice, sqlstate=state, unfit=lost, parted=parted)
    except CommandError as error:
        reply = Reply(error=str(error), hint=_hint(request))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - other people's code raises anything
        reply = Reply(error=failure(error).sentence, hint=_hint(request), sqlstate=_sqlstate(error))
    with answer:
        answer.write(msgspec.json.encode(reply))


def _reply(request: Request) -> Reply:
    if request.server is not None:
        guard.install(request.server, request.search_path)
    if request.lacking:
        guard.stand_in(request.lacking)
    if request.task == "migrations":
        return _migrations(request)
    if request.task == "options":
        return _options(request)
    if request.task == "climb":
        from truing.drift.child import climb  # noqa: PLC0415 - nor is this

        return climb.climb(request)
    from truing.drift.child import create, filters  # noqa: PLC0415 - models are not needed to run migrations

    if request.task == "hidden":
        return Reply(hidden=filters.hidden(request), files=own_files())
    reply = create.build(request)
    return msgspec.structs.replace(reply, files=own_files())


def _migrations(request: Request) -> Reply:
    """Run ``alembic upgrade``, and say which table Alembic keeps its versions in."""
    project, config = configured(request)
    seen: list[dict[str, Any]] = []
    translate: list[tuple[str | None, str | None]] = []
    server = request.server
    watch = Watch(server, request.watch, request.mark) if request.watch is not None and server is not None else None
    looking: list[Watch | Pause] = [watch] if watch is not None else []
    start = MigrationContext.__init__

    def noting(self: MigrationContext, dialect: Any, connection: Any, opts: dict[str, Any], *rest: Any) -> None:
        seen.append(opts)
        if connection is not None and len(seen) == 1:
            translate.extend((connection.get_execution_options().get("schema_translate_map") or {}).items())
        for each in looking:
            each.attach(opts, connection)
        start(self, dialect, connection, opts, *rest)

    MigrationContext.__init__ = noting  # type: ignore[assignment,method-assign]
    with project.at_root():
        script = project.script(config)
        heads = project.heads(script)
        known = tuple(each.revision for each in script.walk_revisions())
        if request.stamp:
            _stamp(config, script, request)
        halfway = _upgrade(config, script, request, looking) if known else None
    options = seen[0] if seen else {}
    return Reply(
        version_table=options.get("version_table") or "alembic_version",
        version_schema=options.get("version_table_schema"),
        heads=heads,
        branches={head: _labels(script, head) for head in heads},
        revisions=known,
        files=own_files(each.path for each in script.walk_revisions()),
        translate=tuple(translate),
        touched=watch.touches if watch is not None else (),
        marked=watch.marked if watch is not None else (),
        halfway=halfway,
    )


def _upgrade(config: Any, script: Any, request: Request, looking: list[Watch | Pause]) -> Halfway | None:
    """Run the revisions; with a pause before the newest, where what the others build is to be kept.

    Raises:
        RevisionError: the database is at a revision from which one cannot go on.
    """
    if request.onward is not None and (why := unfit(script, request.revisions, request.onward)):
        raise RevisionError(why, unfit=True)
    if request.keep is None or request.server is None:
        for revision in request.revisions:
            command.upgrade(config, revision)
        return None
    pause = Pause(request.keep, request.server, script, request.revisions)
    looking.append(pause)
    try:
        for revision in request.revisions:
            command.upgrade(config, revision)
        halfway = pause.copied()
        if pause.paused:
            command.upgrade(config, request.revisions[0])
    except (Exception, SystemExit) as error:
        if not pause.paused:
            raise
        # Also what env.py does after the revisions may need the newest.
        raise RevisionError(failure(error).sentence, hint=_hint(request), parted=True) from error
    return halfway


def _stamp(config: Any, script: Any, request: Request) -> None:
    """Say what the database is at already.

    Raises:
        RevisionError: what is wanted is before that.
    """
    below = {each.revision for each in script.iterate_revisions(request.stamp, "base")}
    for revision in request.revisions:
        if revision in below - set(request.stamp):
            raise RevisionError(
                f"revision {revision} is below the base's ({', '.join(request.stamp)}), so its state cannot be built",
                hint="Take the base of an earlier revision: base and base-revision in [tool.truing].",
            )
    command.stamp(config, list(request.stamp))


def _labels(script: Any, revision: str) -> str:
    return ", ".join(sorted(getattr(script.get_revision(revision), "branch_labels", ())))


def _options(request: Request) -> Reply:
    if request.project is None:
        return Reply()
    options = request.project.context_options()
    table = options.get("version_table") or "alembic_version"
    return Reply(version_table=table, version_schema=options.get("version_table_schema"), files=own_files())


_READ: Final[set[str]] = set()
"""The files that were read in this process."""
_OF_THE_SYSTEM: Final = ("/dev/", "/proc/", "/sys/")


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    """Note which files a person's programs read: what is built depends on them."""
    if event == "open" and isinstance(arguments[0], str) and not arguments[2] & (os.O_WRONLY | os.O_RDWR):
        with suppress(OSError):  # the folder that it would be in may be gone
            _READ.add(os.path.abspath(arguments[0]))  # noqa: PTH100 - for every file there is


def own_files(others: Iterable[str] = ()) -> tuple[str, ...]:
    """List the files that were imported or read and belong to no installed package: the ones that a person changes.

    Args:
        others: files that were imported without becoming a module: Alembic's revisions.
    """
    paths = sysconfig.get_paths()
    installed = [Path(paths[name]) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    found = {
        each
        for each in sorted(_READ)
        if not each.startswith(_OF_THE_SYSTEM)
        and not each.endswith(tuple(importlib.machinery.BYTECODE_SUFFIXES))
        and not any(folder in Path(each).parents for folder in installed)
        and Path(each).is_file()
    }
    for file in (*(getattr(module, "__file__", None) for module in list(sys.modules.values())), *others):
        if isinstance(file, str) and file.endswith(tuple(importlib.machinery.SOURCE_SUFFIXES)):
            path = Path(file).absolute()
            if not any(folder in path.parents for folder in installed):
                found.add(str(path))
    return tuple(sorted(found))


def _hint(request: Request) -> str:
    return f"The project is {request.project.name}." if request.project else ""


def _sqlstate(error: BaseException | None) -> str:
    """Find the SQLSTATE in an error or in what it was made from: drivers and SQLAlchemy wrap each other."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        for one in (error, getattr(error, "orig", None)):
            state = getattr(one, "sqlstate", None) or getattr(one, "pgcode", None)
            if isinstance(state, str):
                return state
        error = error.__cause__ or error.__context__
    return ""


if __name__ == "__main__":
    main()
