"""What would this view read like, had the scratch server printed it? Texts of one major go in, another's come out.

Of all that a snapshot holds only the queries of views are printed in other words by another major (16 left out the
table's name where there is one table). So a view is made again on the scratch server, on tables that have the
columns and types of its own, and read back: both sides then come from one printer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import msgspec
import psycopg

from truing.catalog.model import Snapshot, Table, UserType, View
from truing.catalog.read import read_snapshot
from truing.drift.building.workshop import Workshop
from truing.drift.stubs import rewritten
from truing.names import QualifiedName, ident, idents, literal

Texts = Mapping[QualifiedName, str]
"""The query of each view."""


class Alike(msgspec.Struct, frozen=True):
    """A snapshot as the scratch server prints it, and the views that it could not print."""

    snapshot: Snapshot
    unprinted: tuple[str, ...] = ()


def alike(live: Snapshot, built: Iterable[Snapshot], reprint: Callable[[Snapshot], Texts]) -> Alike:
    """Print the live database's views as the scratch server does.

    Args:
        live: read from a server of another major.
        built: read from the scratch server.
        reprint: makes the views of a snapshot again on the scratch server (:func:`reprinted`, perhaps from a cache).

    Returns:
        The live database with the scratch server's texts. Where a view cannot be made there, its text is what the
        scratch server says of the other side's, so that no difference is claimed; it is named.
    """
    built = tuple(built)
    if not _otherwise(live, built):
        return Alike(live)
    theirs, ours = reprint(live), [(each, reprint(each)) for each in built]
    views, unprinted = [], []
    for view in live.views:
        text = theirs.get(view.name)
        known = [(each, texts) for each, texts in ours if each.view(view.name) is not None]
        if text is None and known:
            unprinted.append(str(view.name))
        # A text that was read once is not always printed as it was (casts move), so that both are sent once round.
        same = [
            each.view(view.name) for each, texts in known if text is None or texts.get(view.name) == text is not None
        ]
        shown = next((each.definition for each in same if each is not None), text)
        views.append(msgspec.structs.replace(view, definition=shown or view.definition))
    return Alike(msgspec.structs.replace(live, views=tuple(views)), tuple(unprinted))


def _otherwise(live: Snapshot, built: tuple[Snapshot, ...]) -> bool:
    """Tell whether any view of the live database is in other words than on a side that was built."""
    return any(
        view.definition not in {other.definition for each in built if (other := each.view(view.name)) is not None}
        for view in live.views
    )


def reprinted(snapshot: Snapshot, workshop: Workshop) -> dict[QualifiedName, str]:
    """Make the views of a snapshot on the scratch server, and read what it prints.

    Returns:
        The queries; of a view that needs what is not made here (an operator of a person's own, say) there is none.
    """
    database = workshop.prepared(())
    try:
        with workshop.connect(database) as connection, connection.transaction():
            connection.execute("SET LOCAL check_function_bodies = off")
            connection.execute("SET LOCAL search_path = pg_catalog")
            _run(connection, [rewritten(each, workshop.lacking) for each in _statements(snapshot)])
            made = read_snapshot(connection)
    finally:
        workshop.scratch.drop(database)
    return {view.name: view.definition for view in made.views}


def _run(connection: psycopg.Connection[Any], waiting: list[str]) -> None:
    """Run statements in an order in which they can be run; those that never can are left."""
    while waiting:
        refused = []
        for statement in waiting:
            try:
                with connection.transaction():
                    connection.execute(statement.encode())
            except psycopg.Error:
                refused.append(statement)
        if len(refused) == len(waiting):
            return
        waiting = refused


def _statements(snapshot: Snapshot) -> Iterator[str]:
    """Write what the views stand on: as much of it as their queries can see."""
    texts = [*(view.definition for view in snapshot.views), *(each.definition for each in snapshot.functions)]
    text = "\n".join(texts)
    yield from (f"CREATE SCHEMA IF NOT EXISTS {ident(each.name)}" for each in snapshot.schemas)
    for extension in snapshot.extensions:
        yield f"CREATE EXTENSION IF NOT EXISTS {ident(extension.name)} WITH SCHEMA {ident(extension.schema)} CASCADE"
    yield from map(_type, snapshot.types)
    for sequence in snapshot.sequences:
        if str(sequence.name) in text:
            yield f"CREATE SEQUENCE {sequence.name}"
    yield from (_table(table) for table in snapshot.tables if str(table.name) in text)
    for function in snapshot.functions:
        if function.kind != "aggregate":
            yield function.definition
        else:
            yield f"CREATE AGGREGATE {function.name}({function.arguments}) (SFUNC = {_transition(function.definition)})"
    yield from map(_view, snapshot.views)


def _transition(definition: str) -> str:
    """What an aggregate takes and gives is all that a query can see of it."""
    words = dict(part.split(" ", 1) for part in definition.split(", ") if " " in part)
    final = f", FINALFUNC = {words['FINALFUNC']}" if words.get("FINALFUNC", "-") != "-" else ""
    return f"{words.get('SFUNC', '')}, STYPE = {words.get('STYPE', '')}{final}"


def _type(value: UserType) -> str:
    match value.kind:
        case "enum":
            return f"CREATE TYPE {value.name} AS ENUM ({', '.join(map(literal, value.labels))})"
        case "domain":
            return f"CREATE DOMAIN {value.name} AS {value.base}"
        case "range":
            return f"CREATE TYPE {value.name} AS RANGE (SUBTYPE = {value.base})"
    columns = ", ".join(f"{ident(each.name)} {each.type}" for each in value.columns)
    return f"CREATE TYPE {value.name} AS ({columns})"


def _table(table: Table) -> str:
    columns = [
        f"{ident(each.name)} {each.type}" + (f" COLLATE {each.collation}" if each.collation is not None else "")
        for each in table.columns
    ]
    key = table.primary_key
    if key is not None:
        # GROUP BY of a primary key lets a query name the other columns.
        columns.append(f"PRIMARY KEY ({idents(key.columns)})")
    return f"CREATE TABLE {table.name} ({', '.join(columns)})"


def _view(view: View) -> str:
    query = view.definition.rstrip().rstrip(";")
    if view.materialized:
        return f"CREATE MATERIALIZED VIEW {view.name} AS {query} WITH NO DATA"
    return f"CREATE VIEW {view.name} AS {query}"
