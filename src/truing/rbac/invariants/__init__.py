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
from truing.rbac.program import PROGRAM, SCHEMA, binding, functions, supabase
from truing.rbac.program.binding import CLAIM, Binding, Claim
from truing.rbac.program.triggers import TRIGGERS

SHOWN: Final = 5
"""So many of the rows that break an invariant are shown."""

TABLES: Final = (
    *("tenants", "profiles", "roles", "role_permissions", "role_inherits", "role_grants", "user_roles"),
    *("tenant_features", "sidebar_features", "tenant_rbac_versions", "rbac_audit"),
)
"""The tables of a tenant's rows, which row security holds for."""

_NAMED = re.compile(r"^-- name: ([a-z-]+)\n-- (.+)\n", re.MULTILINE)
_PLACE = re.compile(r""":"(\w+)"|:'(\w+)'|:(triggers|functions|tables)\b""")


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


def invariants(
    *, schema: str = SCHEMA, program: str = PROGRAM, bind: Binding = "setting", claim: Claim = CLAIM
) -> tuple[Invariant, ...]:
    """List the invariants, with their queries for these schemas and this binding."""
    names = {"schema": ident(schema), "program": ident(program), "bind": bind}
    lists = {
        "triggers": ", ".join(f"({literal(each.table)}, {literal(each.name)})" for each in TRIGGERS),
        "functions": ", ".join(f"({literal(each)})" for each in functions(bind)),
        "tables": ", ".join(map(literal, TABLES)),
    }

    def fill(match: re.Match[str]) -> str:
        identifier, text, many = match.groups()
        # regnamespace reads an identifier, so that is what the literal holds.
        return names[identifier] if identifier else literal(names[text]) if text else lists[many]

    every = tuple(msgspec.structs.replace(each, query=_PLACE.sub(fill, each.query)) for each in _source())
    return (*every, *(_supabase(schema, program, claim) if bind == "supabase" else ()))


def _supabase(schema: str, program: str, claim: Claim) -> tuple[Invariant, ...]:
    """What must hold beside, in a database of Supabase."""
    around = binding.ways_around(schema, application=supabase.AUTHENTICATED)
    return (
        Invariant(
            "privileges-are-least",
            "Strangers (anon) may nothing, users (authenticated) only read, and the service role only writes rows.",
            "SELECT NULL::text AS tenant,"
            " COALESCE(u.grantee, 'PUBLIC') || ': ' || u.privilege || ' on ' || u.name AS subject"
            f" FROM ({supabase.unwanted(schema, program)}) u",
        ),
        Invariant(
            "users-cannot-rise",
            "No role of strangers or users is one that row security does not hold for, or can become one.",
            supabase.above(),
        ),
        Invariant(
            "policies-ask-for-the-tenant",
            "No policy shows users rows without asking current_tenant().",
            f"SELECT NULL::text AS tenant, w.policy || ' on ' || w.rel AS subject FROM ({around}) w",
        ),
        Invariant(
            "users-are-followed",
            "The triggers of auth.users are there and switched on.",
            supabase.not_followed(program),
        ),
        Invariant(
            "users-have-profiles",
            "Whoever was given a tenant (app_metadata) has a profile in it.",
            supabase.without_profile(schema, claim),
        ),
    )


def verify(connection: Connection, *, schema: str = SCHEMA, program: str = PROGRAM) -> tuple[Result, ...]:
    """Ask every invariant, within the connection's transaction."""
    bound = binding.said(connection.exec_driver_sql(binding.question(program).replace("%", "%%")).scalar_one())
    every = invariants(schema=schema, program=program, bind=bound.bind, claim=bound.claim)
    if connection.exec_driver_sql(f"SELECT to_regclass({literal(supabase.USERS)})").scalar_one() is None:
        every = tuple(each for each in every if each.name != "users-have-profiles")
    found = []
    for each in every:
        query = f"SELECT count(*) OVER (), x.tenant, x.subject FROM ({each.query}) x ORDER BY 2, 3 LIMIT {SHOWN}"
        rows = connection.exec_driver_sql(query.replace("%", "%%")).all()
        found.append(Result(each, rows[0][0] if rows else 0, tuple((row[1], row[2]) for row in rows)))
    return tuple(found)


def as_sql(*, schema: str = SCHEMA, program: str = PROGRAM, bind: Binding = "setting") -> str:
    """Write the invariants as SQL for psql: one line of TAP each, ``ok`` or ``not ok`` with the number of rows."""
    every = invariants(schema=schema, program=program, bind=bind)
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
