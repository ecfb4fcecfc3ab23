"""Which drift does ``env.py`` keep out of autogenerate? Drift goes in; what is hidden and what is not come out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from truing.catalog.model import Snapshot
from truing.drift.exchange import Candidate, Request, ask
from truing.drift.model import Drift, Verdict
from truing.names import ident
from truing.revisions.project import Project

_CONSTRAINTS: Final = {"unique": "unique_constraint", "foreign-key": "foreign_key_constraint"}


def hide(
    drifts: tuple[Drift, ...],
    snapshots: Iterable[Snapshot],
    *,
    project: Project | None,
    metadata: tuple[str, ...],
    folder: str,
    default_schema: str,
) -> tuple[tuple[Drift, ...], tuple[Drift, ...], tuple[str, ...]]:
    """Ask ``env.py`` about everything that drifts.

    Args:
        drifts: from a comparison.
        snapshots: of the sides, to know what the names mean.
        project: the Alembic project.
        metadata: as in :class:`truing.drift.options.Options`.
        folder: likewise.
        default_schema: the schema that Alembic knows as None.

    Returns:
        What is hidden, the rest, and the person's own files that decide it.
    """
    names: dict[tuple[str, str], Candidate] = {}
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
        candidates=tuple(sorted(set(wanted.values()))),
        default_schema=default_schema,
    )
    reply = ask(request)
    refused = set(reply.hidden)
    hidden = tuple(drift for drift in drifts if wanted.get(drift) in refused)
    return (
        tuple(msgspec.structs.replace(drift, verdict=Verdict.HIDDEN) for drift in hidden),
        tuple(drift for drift in drifts if drift not in hidden),
        reply.files,
    )


def _candidates(snapshot: Snapshot) -> Iterator[tuple[tuple[str, str], Candidate]]:
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
