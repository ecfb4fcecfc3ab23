"""What is built for a comparison, in which order, and what is known from before?

In: a project, what is asked for, a workshop, and what is around the live database. Out: what the migrations build, what
those of the live database build, and what the models build; each from the cache where nothing has changed.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import suppress
from subprocess import Popen
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import msgspec
import psycopg

from truing.catalog.model import Snapshot
from truing.drift.building import prefix
from truing.drift.building.ahead import Ahead
from truing.drift.building.base import load
from truing.drift.building.builds import Around, Built, build_migrations, build_models, fallback, models_need
from truing.drift.building.cache import Cache, Seen
from truing.drift.building.prefix import Kept, UnfitError
from truing.drift.building.workshop import Workshop
from truing.drift.exchange import Keep, Touch, Translate
from truing.drift.sources import key, unplaced
from truing.errors import RevisionError, UsageError
from truing.names import QualifiedName
from truing.revisions.project import Project
from truing.server import ScratchDatabase

if TYPE_CHECKING:
    from truing.drift.options import Options


class Builder:
    """The builds of one comparison; leaving the context ends those that still run."""

    def __init__(
        self,
        project: Project | None,
        options: Options,
        workshop: Workshop,
        around: Around,
        cache: Cache | None,
        stamped: tuple[str, ...] | None,
    ) -> None:
        """Describe them; nothing is built yet.

        Args:
            project: the Alembic project, where there is one.
            options: what is asked for.
            workshop: where.
            around: of the live database.
            cache: of earlier builds.
            stamped: the revisions that the live database is at; None where it does not say so, or there is none.
        """
        self._project, self._options, self._workshop, self._around = project, options, workshop, around
        self._cache, self._stamped = cache, stamped
        self._head = (project.head,) if project is not None else ()
        self._databases: dict[str, ScratchDatabase] = {}
        self._builds: dict[str, Built] = {}
        self._ahead: Ahead | None = None
        self._prefix = workshop.prefix
        self._halfway: Built | None = None
        self.from_cache: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._ahead is not None:
            self._ahead.stop()

    @property
    def helped(self) -> tuple[str, ...]:
        """The statements that the live database's revisions needed first."""
        applied = self._builds.get("migrations at live")
        return applied.helped if applied is not None else ()

    @property
    def imported(self) -> tuple[str, ...]:
        """The person's own files that the builds so far were made from."""
        return tuple(file for built in self._builds.values() for file in built.reply.files)

    def head(self) -> Built:
        """Build what all migrations build."""
        return self._migrations(self._head)

    def applied(self, head: Built) -> Built | None:
        """Build what the live database's revisions build, where these are not the newest."""
        stamped, known = self._stamped, set(head.reply.revisions)
        if not stamped or not set(stamped) <= known or set(stamped) == set(head.reply.heads):
            return None
        return self._migrations(stamped)

    def models(self, head: Built | None) -> Built:
        """Build the models, with what the migrations leave to them."""
        migrated, translate = (head.snapshot, head.reply.translate) if head is not None else (None, ())
        need = models_need(self._around, migrated)
        made = self._ahead.made(need, translate) if self._ahead is not None else None
        return self._kept(
            "models",
            self._model_parts(need, translate),
            lambda: made or self._create_models(migrated, translate),
            fallback(migrated),
        )

    def watched(self, watch: tuple[QualifiedName, ...]) -> Built:
        """Run the migrations once more, and look at these objects after each.

        Raises:
            RevisionError: they do not run while they are looked at.
        """
        # Its own word, too: an empty list of names is no other key than the migrations have.
        return self._kept("history", ("history", *self._migration_parts(self._head), watch), lambda: self._watch(watch))

    def migrated(self) -> ScratchDatabase:
        """Give a database in which all migrations have been run."""
        found = self._databases.get("migrations") or self._databases.get("history")
        if found is None:
            found, _ = self._run(self._head)
            self._databases["migrations"] = found
        return found

    def connection(self) -> psycopg.Connection[Any]:
        """Connect to any database of the server, in autocommit."""
        database = next(iter(self._databases.values()), None) or self._workshop.prepared(())
        return psycopg.connect(database.libpq_url, autocommit=True)

    def _migrations(self, revisions: tuple[str, ...]) -> Built:
        name = "migrations" if revisions == self._head else "migrations at live"
        build = self._build_head if revisions == self._head else lambda: self._run(revisions)
        return self._kept(name, self._migration_parts(revisions), build)

    def _migration_parts(self, revisions: tuple[str, ...]) -> tuple[Any, ...]:
        base = self._options.base
        where = (self._workshop.version, sorted(self._workshop.lacking))
        return "migrations", unplaced(self._named()), revisions, *where, self._around, base

    def _run(self, revisions: tuple[str, ...], **options: Any) -> tuple[ScratchDatabase, Built]:
        base = self._options.base
        if base is not None and "start" not in options:
            if "base" not in self._databases:
                self._databases["base"] = load(base, self._workshop, self._around.path)
            options |= {"start": self._databases["base"], "stamp": base.revisions}
        elif not options and self._prefix is not None:
            return self._run_on(revisions)
        return build_migrations(self._workshop, self._named(), revisions, around=self._around, **options)

    def _run_on(self, revisions: tuple[str, ...]) -> tuple[ScratchDatabase, Built]:
        """Run the migrations after those that were kept, and keep what the older ones build.

        Raises:
            UnfitError: that cannot be done with what the server began with.
        """
        options: dict[str, Any] = {"keep": Keep(copy=f"truing_kept_{secrets.token_hex(4)}", after=prefix.WORTH_S)}
        kept = self._workshop.began_with
        if kept is not None:
            onward = kept.onward
            if kept.asked != self._asked or onward is None:
                raise UnfitError
            options |= {"start": self._workshop.there(kept.halfway.database), "onward": onward}
        try:
            database, built = build_migrations(self._workshop, self._named(), revisions, around=self._around, **options)
        except RevisionError as error:
            if kept is None:
                raise
            raise UnfitError(error.message, failed=True) from error
        if kept is not None:
            built = msgspec.structs.replace(_with_files(built, kept.imported), helped=kept.helped)
            known = f"migrations up to {kept.halfway.revision} (of {kept.date})"
            self.from_cache += [known] if known not in self.from_cache else []
        if built.reply.halfway is not None:
            self._halfway = built
        return database, built

    def _watch(self, watch: tuple[QualifiedName, ...]) -> tuple[ScratchDatabase, Built]:
        """Look at objects after each revision; what those that are kept did is looked at once."""
        kept = self._workshop.began_with if self._prefix is not None else None
        if kept is None or kept.asked != self._asked or kept.onward is None:
            return self._watch_all(watch)
        start = self._workshop.there(kept.halfway.database)
        try:
            database, built = self._run(self._head, watch=watch, start=start, onward=kept.onward)
        except (UnfitError, RevisionError):
            return self._watch_all(watch)
        touched = {(each.kind, each.name): each for each in (*self._seen_before(kept, watch), *built.reply.touched)}
        reply = msgspec.structs.replace(built.reply, touched=tuple(touched[each] for each in sorted(touched)))
        return database, _with_files(msgspec.structs.replace(built, reply=reply), kept.imported)

    def _watch_all(self, watch: tuple[QualifiedName, ...]) -> tuple[ScratchDatabase, Built]:
        halfway = self._halfway.reply.halfway if self._halfway is not None else None
        database, built = self._run(self._head, watch=watch, mark=halfway.revision if halfway is not None else "")
        if halfway is not None and self._cache is not None:
            self._cache.put_seen(halfway.database, Seen(watched=watch, touched=built.reply.marked))
        return database, built

    def _seen_before(self, kept: Kept, watch: tuple[QualifiedName, ...]) -> tuple[Touch, ...]:
        """Say which of the revisions that are kept touched objects last."""
        seen = self._cache.seen(kept.halfway.database) if self._cache is not None else None
        new = set(watch) if seen is None else set(watch) - set(seen.watched)
        if new or seen is None:
            _, built = self._run((kept.halfway.revision,), watch=tuple(sorted(new)))
            earlier = Seen() if seen is None else seen
            seen = Seen(watched=(*earlier.watched, *sorted(new)), touched=(*earlier.touched, *built.reply.touched))
            if self._cache is not None:
                self._cache.put_seen(kept.halfway.database, seen)
        return seen.touched

    def keep(self) -> None:
        """Keep what the older revisions have built, if that took long. Nothing can be built afterwards."""
        built = self._halfway
        halfway = built.reply.halfway if built is not None else None
        data = None
        if self._prefix is not None and built is not None and halfway is not None:
            data = self._workshop.packed(halfway.database, halfway.shared, prefix.MOST)
            if data is not None:
                self._prefix.keep(
                    self._asked, halfway, self._workshop.binaries, data, helped=built.helped, imported=built.reply.files
                )
        if self._prefix is not None and data is None and self._prefix.refused:
            self._prefix.forget()

    @property
    def _asked(self) -> str:
        return key("prefix", self._migration_parts(()))

    def _build_head(self) -> tuple[ScratchDatabase, Built]:
        """Run all migrations; what the live database has of them first, since that is wanted by itself as well."""
        self._begin_models()
        stamped = self._stamped
        if stamped:
            with suppress(RevisionError):
                applied = self._migrations(stamped)
                database = self._databases.get("migrations at live")
                if database is not None and set(applied.reply.heads) == set(stamped):
                    return database, applied
                if database is not None:
                    made, head = self._run(self._head, start=database)
                    return made, _with_files(head, applied.reply.files)
        # Unknown there, or not to be run apart from the rest: all at once says what is wrong.
        return self._run(self._head)

    def _begin_models(self) -> None:
        """Build the models while the migrations run, as if these left nothing that the live database has not got."""
        need = models_need(self._around, None)
        if self._options.models and self._recalled(*self._model_parts(need, ())) is None:
            self._ahead = Ahead(self._workshop, lambda started: self._create_models(None, (), started), need)

    def _model_parts(self, need: tuple[str, ...], translate: Translate) -> tuple[Any, ...]:
        options, where = self._options, (self._workshop.version, sorted(self._workshop.lacking))
        return (
            "models",
            unplaced(self._project),
            options.metadata,
            options.folder,
            *where,
            self._around,
            need,
            translate,
        )

    def _create_models(
        self, migrated: Snapshot | None, translate: Translate, started: Callable[[Popen[bytes]], None] | None = None
    ) -> tuple[ScratchDatabase, Built]:
        return build_models(
            self._workshop,
            self._project,
            self._options.metadata,
            folder=self._options.folder,
            around=self._around,
            migrated=migrated,
            translate=translate,
            started=started,
        )

    def _kept(
        self,
        name: str,
        parts: tuple[Any, ...],
        build: Callable[[], tuple[ScratchDatabase, Built]],
        spare: tuple[str, ...] = (),
    ) -> Built:
        """Find a build in the cache, or make it; what was made whole does not depend on the spare statements."""
        if name in self._builds:
            return self._builds[name]
        built = self._recalled(*parts) or self._recalled(*parts, spare)
        if built is not None:
            self.from_cache += [name] if name != "history" else []
        else:
            self._databases[name], built = build()
            if self._cache is not None:
                entry = key(*parts) if built.reply.whole else key(*parts, spare)
                self._cache.put(entry, built, self._project)
        self._builds[name] = built
        return built

    def _recalled(self, *parts: Any) -> Built | None:
        return self._cache.get(key(*parts)) if self._cache is not None else None

    def _named(self) -> Project:
        if self._project is None:
            raise UsageError("Migrations need an Alembic project.", hint="Name it: -c path/to/alembic.ini")
        return self._project


def _with_files(built: Built, files: tuple[str, ...]) -> Built:
    """Add what only the revisions before have imported: the cache goes by that as well."""
    reply = msgspec.structs.replace(built.reply, files=tuple(sorted({*files, *built.reply.files})))
    return msgspec.structs.replace(built, reply=reply)
