"""Do they agree? A project, and what is to be compared, go in; drift, findings and what was left out come out.

Builds come from the cache where nothing has changed; whole answers do in :mod:`truing.drift.memory`.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Final

import msgspec
import psycopg

from truing.catalog.model import Brought, Snapshot
from truing.catalog.read import read_brought
from truing.drift import findings as say
from truing.drift.building.builder import Builder
from truing.drift.building.builds import (
    Around,
    Built,
    around,
    default_schema,
)
from truing.drift.building.cache import Cache
from truing.drift.building.prefix import Prefix, UnfitError, prefix_of
from truing.drift.building.printer import Texts, alike, reprinted
from truing.drift.building.workshop import Workshop
from truing.drift.comparing import brought
from truing.drift.comparing.blame import owners, with_places, with_revisions
from truing.drift.comparing.compare import Sides, compare_sides
from truing.drift.comparing.equivalent import Judge
from truing.drift.comparing.hiding import hide
from truing.drift.comparing.platforms import PLATFORMS, prepared, without
from truing.drift.comparing.scope import aside, managed, names_of, version_tables
from truing.drift.comparing.tenants import Group, grouped, of_groups, summary
from truing.drift.exchange import Reply
from truing.drift.model import Drift, LeftOut, Outcome
from truing.drift.options import Options
from truing.drift.roles import spoken_as
from truing.drift.snapshots import Taken
from truing.drift.sources import key
from truing.errors import MissingExtensionError, RevisionError, TruingError, UsageError
from truing.finding import Finding
from truing.names import QualifiedName
from truing.patterns import table_patterns
from truing.revisions.project import Project

_RUNNER: Final = "postgres"


def run(project: Project | None, options: Options, live: Taken | None = None, begun: Workshop | None = None) -> Outcome:
    """Compare.

    Args:
        project: the Alembic project; None where only named models meet a live database.
        options: what to compare, and how.
        live: the live database, or a snapshot of it.
        begun: a workshop for the live database, which is closed here.

    Raises:
        UsageError: fewer than two sides are asked for.
        ProjectError: the project or the models cannot be loaded.
        RevisionError: the migrations do not run.
        ServerError: there is no server to build on.
    """
    asked = [options.models, options.migrations, live is not None]
    if sum(asked) < 2:  # noqa: PLR2004 - one alone agrees with itself
        raise UsageError(
            "There is only one side, so there is nothing to compare.",
            hint="Choose two of --models, --migrations and --live URL (or --snapshot FILE).",
        )
    major = live.snapshot.version.major if live is not None else None
    extensions = frozenset(each.name for each in live.snapshot.extensions) if live is not None else frozenset[str]()
    memory, prefix = True, prefix_of(project, options)
    unloadable: frozenset[tuple[str, str]] = frozenset()
    if begun is not None and not begun.suits(major, extensions):
        begun.close()
        begun = None
    while True:
        workshop = begun or Workshop(
            major=major,
            scratch_url=options.scratch_url,
            extensions=extensions,
            memory=memory,
            prefix=prefix,
            unloadable=unloadable,
        )
        begun = None
        with workshop:
            try:
                return _Run(project, options, live, workshop).outcome()
            except UnfitError as error:
                # As if nothing had been kept. What fails now may not fail when all is run in one transaction; what is
                # kept stays for when it is mended.
                failed = bool(error.fields.get("failed"))
                prefix = Prefix(project, refused=True) if project is not None and not failed else None
                continue
            except MissingExtensionError as error:
                name = str(error.fields["extension"])
                there = (str(workshop.version), name)
                known = there in unloadable if error.fields.get("unloadable") else name in extensions
                if options.scratch_url is not None or known:
                    raise
                unloadable |= {there} if error.fields.get("unloadable") else set()
            except (TruingError, psycopg.Error):
                # What went wrong may be that nothing more could be written; a disk has more room.
                if not workshop.crowded:
                    raise
                memory = False
                continue
        # Another server may have it; where none has, ours gets a stand-in.
        extensions |= {name}


class _Run:
    """One comparison, step by step."""

    def __init__(self, project: Project | None, options: Options, live: Taken | None, workshop: Workshop) -> None:
        self._project, self._options, self._workshop = project, options, workshop
        self._groups: tuple[Group, ...] = ()
        self._tenant_schema = options.tenant_model_schema or (live.search_path[:1] or ("public",))[0] if live else ""
        if live is not None and options.tenant_schemas:
            pattern, runner = options.tenant_schemas, live.runner or _RUNNER
            self._groups = grouped(live.snapshot, pattern, self._tenant_schema, runner)
            live = msgspec.structs.replace(live, snapshot=self._groups[0].live)
        self._live = live
        self._platform = PLATFORMS[options.platform] if options.platform is not None else None
        self._runner = live.runner if live is not None and live.runner else _RUNNER
        self._around = Around()
        if live is not None:
            more = prepared(live.snapshot, self._platform, self._runner) if self._platform is not None else ((), ())
            self._around = around(live.snapshot, live.search_path, *more)
        self._cache = Cache() if options.cache else None
        self._builder = Builder(
            project, options, workshop, self._around, self._cache, live.revisions if live is not None else None
        )
        path = self._around.search_path or options.search_path
        self._unmanaged = table_patterns(options.unmanaged, path, source="unmanaged")
        self._ours: frozenset[QualifiedName] = frozenset()
        self._built: list[Snapshot] = []
        self._untold: Mapping[brought.Place, str] = {}
        self._deciding: tuple[str, ...] = ()

    def outcome(self) -> Outcome:
        with self._builder:
            outcome = self._outcome()
        # What cannot be kept is built again, and the answer is known.
        with suppress(TruingError, psycopg.Error, OSError):
            self._builder.keep()
        return outcome

    def _outcome(self) -> Outcome:
        started = time.monotonic()
        head = self._builder.head() if self._options.migrations else None
        applied = self._builder.applied(head) if head is not None else None
        models = self._builder.models(head) if self._options.models else None
        sides, left = self._sides(models, head, applied)
        judge = Judge(self._builder.connection)
        try:
            compared = compare_sides(sides, judge)
            hidden, drifts = self._hidden(self._of_tenants(compared.drifts, sides, judge), sides, models, head)
            drifts = self._blamed(with_places(drifts, models.reply.places if models else {}), sides, head)
            drifts = self._fixed(drifts, sides, head, judge)
        finally:
            judge.close()
        found = self._findings(drifts, models, head)
        out = say.left_out(left)
        if compared.left_to_migrations:
            out |= {
                f"left to the migrations: {kind}": list(names) for kind, names in compared.left_to_migrations.items()
            }
        if hidden:
            out["hidden by include_object"] = [f"{each.kind} {each.name}" for each in hidden]
        facts: dict[str, str | int | float] = {
            "compared": ", ".join(sides.names),
            "server": f"PostgreSQL {self._workshop.version} (scratch)",
            "from the cache": ", ".join(self._builder.from_cache) or "nothing",
            "seconds": round(time.monotonic() - started, 2),
        }
        if self._groups:
            facts["tenants"] = summary(self._groups, self._options.tenant_schemas or "")
        there = {name for side in (sides.models, sides.head, sides.live) if side is not None for name in names_of(side)}
        if nearly := "; ".join(self._unmanaged.nearly(there)):
            facts["unmanaged"] = nearly
        imported = tuple(sorted({*self._builder.imported, *self._deciding}))
        return Outcome(drifts=drifts, hidden=hidden, findings=found, left_out=out, facts=facts, imported=imported)

    # -- comparing

    def _sides(self, models: Built | None, head: Built | None, applied: Built | None) -> tuple[Sides, list[LeftOut]]:
        reply = next((each.reply for each in (head, models) if each is not None), Reply())
        self._ours = version_tables(reply.version_table, reply.version_schema, self._around.search_path)
        if self._groups:
            self._ours |= version_tables(reply.version_table, self._tenant_schema, ())
        left: list[LeftOut] = []
        self._built = [each.snapshot for each in (applied, head, models) if each is not None]
        live = self._printed(self._live.snapshot, left) if self._live is not None else None
        sides = Sides(
            named=frozenset(models.reply.names) if models else None,
            refused=frozenset(each.about for each in models.reply.refusals) if models else frozenset(),
            models=self._side(models.snapshot, left) if models else None,
            head=self._side(head.snapshot, left, built=True) if head else None,
            applied=self._side(applied.snapshot, left, built=True) if applied else None,
            live=self._side(live, left) if live is not None else None,
        )
        if sides.live is None:
            return sides, left
        migrated = {"applied": sides.applied, "head": sides.head}
        built = {name: side for name, side in migrated.items() if side is not None}
        self._untold = brought.untold(sides.live, built.values(), self._workshop.lacking, self._came)
        left += brought.left_out(self._untold)
        left += aside(self._live.snapshot, built.values()) if self._live is not None else ()
        told = {name: brought.without(side, self._untold) for name, side in {**built, "live": sides.live}.items()}
        return msgspec.structs.replace(sides, **told), left

    def _came(self, names: Collection[str]) -> tuple[Brought, ...]:
        """Ask the scratch server what privileges something has there."""
        if not names:
            return ()
        with self._builder.connection() as connection:
            return read_brought(connection, names)

    def _of_tenants(self, drifts: tuple[Drift, ...], sides: Sides, judge: Judge) -> tuple[Drift, ...]:
        """Compare the tenants that are not like most of them as well."""
        if len(self._groups) < 2:  # noqa: PLR2004 - most of them were compared
            return drifts

        def compared(live: Snapshot) -> tuple[Drift, ...]:
            if live is self._groups[0].live:
                return drifts
            return compare_sides(
                msgspec.structs.replace(sides, live=self._side(self._printed(live, []), [])), judge
            ).drifts

        return of_groups(self._groups, compared)

    def _printed(self, live: Snapshot, left: list[LeftOut]) -> Snapshot:
        """Have the live database's definitions printed as the scratch server does, where it is of another major."""
        version = self._workshop.version
        if live.version.major == version.major:
            return live
        printed = alike(live, self._built, self._reprinted)
        reason = f"printed by PostgreSQL {live.version.major}, and {version.major} cannot make it alone"
        left.extend(LeftOut(reason, name) for name in printed.unprinted)
        return printed.snapshot

    def _reprinted(self, snapshot: Snapshot) -> Texts:
        entry = key("printed", self._workshop.version, snapshot) if self._cache is not None else ""
        found = self._cache.text(entry) if self._cache is not None else None
        if found is not None:
            return {QualifiedName(schema, name): text for schema, name, text in found}
        texts = reprinted(snapshot, self._workshop)
        if self._cache is not None:
            self._cache.put_text(entry, [(name.schema, name.name, text) for name, text in texts.items()])
        return texts

    def _side(self, snapshot: Snapshot, left: list[LeftOut], *, built: bool = False) -> Snapshot:
        kept, out = managed(snapshot, self._unmanaged, self._ours)
        left.extend(out)
        kept = brought.without(spoken_as(kept, _RUNNER, self._runner) if built else kept, self._untold)
        if self._platform is not None:
            kept, out = without(kept, self._platform, self._runner)
            left.extend(out)
        return kept

    def _blamed(self, drifts: tuple[Drift, ...], sides: Sides, head: Built | None) -> tuple[Drift, ...]:
        """Add the revision that touched each object last; the migrations are run once more for it, and looked at."""
        if not drifts or head is None or not head.reply.revisions:
            return drifts
        watch = owners(drifts, [each for each in (sides.models, sides.head, sides.applied, sides.live) if each])
        try:
            built = self._builder.watched(watch)
        except RevisionError:
            # They have run before. What does not run while it is looked at has no history, and that is all.
            return drifts
        return with_revisions(drifts, {(each.kind, each.name): each.revision for each in built.reply.touched})

    def _fixed(self, drifts: tuple[Drift, ...], sides: Sides, head: Built | None, judge: Judge) -> tuple[Drift, ...]:
        """Add the fixes that were tried; what was tried before on the same states is known from the cache."""
        if not drifts or head is None or not self._options.fixes:
            return drifts
        from truing.drift.fixing.prove import remedies, with_remedies  # noqa: PLC0415 - it loads Alembic, for drift only

        entry = key("fixes", sides, [each.identity for each in drifts])
        found = self._cache.text(entry) if self._cache is not None else None
        if found is None:
            url = self._builder.migrated().url
            texts = remedies(
                [each for each in drifts if not each.schemas],
                sides,
                url,
                lambda snapshot: self._side(snapshot, [], built=True),
                judge,
            )
            found = [(*told, text) for told, text in texts.items()]
            if self._cache is not None:
                self._cache.put_text(entry, found)
        return with_remedies(drifts, {(kind, name, verdict): text for kind, name, verdict, text in found})

    def _hidden(
        self, drifts: tuple[Drift, ...], sides: Sides, models: Built | None, head: Built | None
    ) -> tuple[tuple[Drift, ...], tuple[Drift, ...]]:
        if models is None or not models.reply.filters or not drifts:
            return (), drifts
        others = (head.snapshot if head else None, self._live.snapshot if self._live else None)
        snapshots = [models.snapshot, *(each for each in others if each is not None)]
        hidden, drifts, self._deciding = hide(
            drifts,
            snapshots,
            sides,
            project=self._project,
            metadata=self._options.metadata,
            folder=self._options.folder,
            default_schema=default_schema(self._around),
        )
        return hidden, drifts

    # -- saying

    def _findings(self, drifts: tuple[Drift, ...], models: Built | None, head: Built | None) -> tuple[Finding, ...]:
        found = say.findings(drifts)
        if models is not None:
            found += say.refusals(models.reply.refusals)
        if head is not None:
            found += say.helped(dict.fromkeys((*self._builder.helped, *head.helped)))
            applied = self._live.revisions if self._live is not None else head.reply.heads
            found += say.revisions(applied, head.reply.heads, head.reply.revisions, head.reply.branches)
        made = {each.name for built in (models, head) if built is not None for each in built.snapshot.extensions}
        found += say.stand_ins(sorted(self._workshop.lacking & made), str(self._workshop.version))
        if self._live is not None:
            found += say.unread({each.catalog: each.count for each in self._live.snapshot.unread})
        return tuple(found)
