"""Does everything hold that must always hold? Each invariant is a query whose rows break it.

In: a connection. Out: for each invariant how many rows break it, and the first few. The same queries are written out
as plain SQL that answers in TAP, for whoever checks without Python.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import resources
from typing import Final

import msgspec
from sqlalchemy import Connection

from truing.names import ident, literal
from truing.rbac.program import PROGRAM, SCHEMA, functions
from truing.rbac.program.triggers import TRIGGERS

SHOWN: Final = 5
"""So many of the rows that break an invariant are shown."""

_NAMED = re.compile(r"^-- name: ([a-z-]+)\n-- (.+)\n", re.MULTILINE)
_PLACE = re.compile(r""":"(\w+)"|:'(\w+)'|:(triggers|functions)\b""")


class Invariant(msgspec.Struct, frozen=True):
    """A query whose rows, ``tenant`` and ``subject``, break a sentence that must hold."""

    name: str
    sentence: str
    query: str


class Result(msgspec.Struct, frozen=True):
    """How an invariant stands: how many rows break it, and the first of them."""

    invariant: Invariant
    broken: int
    examples: tuple[tuple[str | None, str], ...]


@cache
def _source() -> tuple[Invariant, ...]:
    text = resources.files(__name__).joinpath("invariants.sql").read_text(encoding="utf-8")
    _, *parts = _NAMED.split(text)
    return tuple(
        Invariant(name, sentence, query.strip())
        for name, sentence, query in zip(parts[::3], parts[1::3], parts[2::3], strict=True)
    )


def invariants(*, schema: str = SCHEMA, program: str = PROGRAM) -> tuple[Invariant, ...]:
    """List the invariants, with their queries for these schemas."""
    names = {"schema": ident(schema), "program": ident(program)}
    lists = {
        "triggers": ", ".join(f"({literal(each.table)}, {literal(each.name)})" for each in TRIGGERS),
        "functions": ", ".join(f"({literal(each)})" for each in functions()),
    }

    def fill(match: re.Match[str]) -> str:
        identifier, text, many = match.groups()
        # regnamespace reads an identifier, so that is what the literal holds.
        return names[identifier] if identifier else literal(names[text]) if text else lists[many]

    return tuple(msgspec.structs.replace(each, query=_PLACE.sub(fill, each.query)) for each in _source())


def verify(connection: Connection, *, schema: str = SCHEMA, program: str = PROGRAM) -> tuple[Result, ...]:
    """Ask every invariant, within the connection's transaction."""
    found = []
    for each in invariants(schema=schema, program=program):
        query = f"SELECT count(*) OVER (), x.tenant, x.subject FROM ({each.query}) x ORDER BY 2, 3 LIMIT {SHOWN}"
        rows = connection.exec_driver_sql(query.replace("%", "%%")).all()
        found.append(Result(each, rows[0][0] if rows else 0, tuple((row[1], row[2]) for row in rows)))
    return tuple(found)


def as_sql(*, schema: str = SCHEMA, program: str = PROGRAM) -> str:
    """Write the invariants as SQL for psql: one line of TAP each, ``ok`` or ``not ok`` with the number of rows."""
    every = invariants(schema=schema, program=program)
    parts = [f"SELECT '1..{len(every)}';"]
    for number, each in enumerate(every, 1):
        said = literal(f" {number} - {each.name}")
        parts.append(
            f"-- {each.sentence}\n"
            f"SELECT CASE WHEN count(*) = 0 THEN 'ok' ELSE 'not ok' END || {said}\n"
            f"       || CASE WHEN count(*) = 0 THEN '' ELSE ' # ' || count(*) || ' rows' END\n"
            f"FROM (\n{each.query}\n) AS broken;"
        )
    return "-- psql -XAtq -f verify.sql: each line is TAP, as pg_prove and prove read it.\n" + "\n\n".join(parts) + "\n"
