"""Which drift does ``env.py`` keep out of autogenerate? Drift goes in; what is hidden and what is not come out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from truing.catalog.model import Snapshot
from truing.drift.comparing.compare import Sides
from truing.drift.exchange import Candidate, Request, ask
from truing.drift.model import Drift, Verdict
from truing.names import ident
from truing.revisions.project import Project

Identity = tuple[str, str]

_CONSTRAINTS: Final = {"unique": "unique_constraint", "foreign-key": "foreign_key_constraint"}


def hide(
    drifts: tuple[Drift, ...],
    snapshots: Iterable[Snapshot],
    sides: Sides,
    *,
    project: Project | None,
    metadata: tuple[str, ...],
    folder: str,
    default_schema: str,
) -> tuple[tuple[Drift, ...], tuple[Drift, ...], tuple[str, ...]]:
    """Ask ``env.py`` about everything that drifts.

    What the migrations build is theirs to say, autogenerate or not: where the live database has it otherwise, it was
    edited by hand, and is not hidden.

    Args:
        drifts: from a comparison.
        snapshots: of the sides, to know what the names mean.
        sides: as they were compared.
        project: the Alembic project.
        metadata: as in :class:`truing.drift.options.Options`.
        folder: likewise.
        default_schema: the schema that Alembic knows as None.

    Returns:
        What is hidden, the rest, and the person's own files that decide it.
    """
    names: dict[Identity, Candidate] = {}
    for snapshot in snapshots:
        names |= dict(_candidates(snapshot))
    wanted = {drift: names[drift.identity] for drift in drifts if drift.identity in names}
    if not wanted:
        return (), drifts, ()
    request = Request(
        task="hidden",
        project=project,
        metadata=metadata,
        folder=folder,
        candidates=tuple(sorted({each for one in wanted.values() for each in (one, _table(one))})),
        default_schema=default_schema,
    )
    reply = ask(request)
    refused = set(reply.hidden)
    migrations = sides.head if sides.applied is None else sides.applied
    built = dict(_candidates(migrations)) if migrations is not None else {}
    tables = set(built.values())
    hidden, shown = [], []
    for drift in drifts:
        candidate = wanted.get(drift)
        if candidate is None or candidate not in refused:
            shown.append(drift)
            continue
        whole = _table(candidate)
        theirs = drift.identity in built or (whole in refused and whole in tables)
        edited = _edited(drift, behind=sides.applied is not None) if theirs else None
        if edited is not None:
            shown.append(edited)
        else:
            hidden.append(msgspec.structs.replace(drift, verdict=Verdict.HIDDEN))
    return tuple(hidden), tuple(shown), reply.files


def _table(candidate: Candidate) -> Candidate:
    """The table that a candidate belongs to."""
    if candidate.kind == "schema":
        return candidate
    return Candidate("table", candidate.schema, candidate.table, candidate.table)


def _edited(drift: Drift, *, behind: bool) -> Drift | None:
    """Say what the live database has otherwise than its migrations, of what models do not speak of."""
    if "live" not in drift.sides or (behind and drift.verdict is not Verdict.LIVE_EDITED):
        return None
    aspects = tuple(
        msgspec.structs.replace(each, models=None) for each in drift.aspects if behind or each.migrations != each.live
    )
    sides = tuple(side for side in drift.sides if side != "models")
    edited = msgspec.structs.replace(drift, verdict=Verdict.LIVE_EDITED, aspects=aspects, sides=sides)
    return edited if aspects else None


def _candidates(snapshot: Snapshot) -> Iterator[tuple[Identity, Candidate]]:
    """Name everything that Alembic would ask about, under the name that a drift has."""
    for schema in snapshot.schemas:
        yield ("schema", ident(schema.name)), Candidate("schema", schema.name, "", schema.name)
    for table in snapshot.tables:
        of = (table.name.schema, table.name.name)
        yield ("table", str(table.name)), Candidate("table", *of, table.name.name)
        for column in table.columns:
            yield ("column", f"{table.name}.{ident(column.name)}"), Candidate("column", *of, column.name)
        for index in table.indexes:
            title = f"{ident(table.name.schema)}.{ident(index.name)}"
            yield ("index", title), Candidate("index", *of, index.name, _known(index.columns))
        for constraint in table.constraints:
            # Alembic does not ask about the other kinds; they go with their table.
            kind = _CONSTRAINTS.get(constraint.kind, "table")
            name = constraint.name if kind != "table" else table.name.name
            yield (
                ("constraint", f"{ident(constraint.name)} on {table.name}"),
                Candidate(kind, *of, name, _known(constraint.columns)),
            )


def _known(columns: Iterable[str | None]) -> tuple[str, ...]:
    return tuple(column for column in columns if column is not None)
