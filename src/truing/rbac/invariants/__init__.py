"""Does everything hold that must always hold? Each invariant is a query whose rows break it.

In: a connection. Out: for each invariant how many rows break it, and the first few. The same queries are written out
as plain SQL that answers in TAP, for whoever checks without Python. Nothing is written: all of it is rolled back.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import resources
from typing import Final

import msgspec
from sqlalchemy import Connection

from truing.names import QualifiedName, body, ident, literal
from truing.rbac.access.named import hidden_query, require_sight
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

TRIED: Final = "current_setting('truing.tried', true)"
"""Where ``first`` of an invariant leaves what it has tried, in words."""

_NAMED = re.compile(r"^-- name: ([a-z-]+)\n-- (.+)\n-- do: (.+)\n(?:-- first: (.+)\n)?", re.MULTILINE)
_PLACE = re.compile(r""":"(\w+)"|:'(\w+)'|:(triggers|functions|tables|shared)\b""")


class Invariant(msgspec.Struct, frozen=True):
    """A query whose rows, ``tenant`` and ``subject``, break a sentence that must hold.

    Attributes:
        name: for programs.
        sentence: what must hold.
        remedy: what to do where it does not.
        query: of what breaks it.
        first: a statement to run before the query, in a transaction that is rolled back.
    """

    name: str
    sentence: str
    remedy: str
    query: str
    first: str = ""


class Result(msgspec.Struct, frozen=True):
    """How an invariant stands: how many rows break it, the first of them, and what was tried to find out."""

    invariant: Invariant
    broken: int
    examples: tuple[tuple[str | None, str], ...]
    tried: str = ""


def _read(file: str) -> str:
    return resources.files(__name__).joinpath(file).read_text(encoding="utf-8")


@cache
def _source() -> tuple[str, tuple[Invariant, ...]]:
    """Read what the queries share, and the invariants."""
    _, *general = _NAMED.split(_read("invariants.sql"))
    shared, *isolation = _NAMED.split(_read("isolation.sql"))
    parts = general + isolation
    fields = zip(parts[::5], parts[1::5], parts[2::5], parts[3::5], parts[4::5], strict=True)
    return shared.strip(), tuple(
        Invariant(name, sentence, remedy, query.strip(), _read(first).strip() if first else "")
        for name, sentence, remedy, first, query in fields
    )


def invariants(
    *, schema: str = SCHEMA, program: str = PROGRAM, bind: Binding = "setting", claim: Claim = CLAIM
) -> tuple[Invariant, ...]:
    """List the invariants, with their queries for these schemas and this binding."""
    names = {"schema": ident(schema), "program": ident(program), "bind": bind}
    shared, found = _source()
    lists = {
        "triggers": ", ".join(f"({literal(each.table)}, {literal(each.name)})" for each in TRIGGERS),
        "functions": ", ".join(f"({literal(each)})" for each in functions(bind)),
        "tables": ", ".join(map(literal, TABLES)),
    }

    def fill(match: re.Match[str]) -> str:
        identifier, text, many = match.groups()
        # regnamespace reads an identifier, so that is what the literal holds.
        if many == "shared":
            return _PLACE.sub(fill, shared)
        return names[identifier] if identifier else literal(names[text]) if text else lists[many]

    def filled(each: Invariant) -> Invariant:
        first = f"DO {body(_PLACE.sub(fill, each.first))}" if each.first else ""
        return msgspec.structs.replace(each, query=_PLACE.sub(fill, each.query), first=first)

    every = tuple(map(filled, found))
    return (*every, *(_supabase(schema, program, claim) if bind == "supabase" else ()))


def _supabase(schema: str, program: str, claim: Claim) -> tuple[Invariant, ...]:
    """What must hold beside, in a database of Supabase."""
    around = binding.ways_around(schema, application=supabase.AUTHENTICATED)
    return (
        Invariant(
            "privileges-are-least",
            "Strangers (anon) may nothing, users (authenticated) only read, and the service role only writes rows.",
            "Revoke it, or run `truing rbac install`, which takes away what is too much.",
            "SELECT NULL::text AS tenant,"
            " COALESCE(u.grantee, 'PUBLIC') || ': ' || u.privilege || ' on ' || u.name AS subject"
            f" FROM ({supabase.unwanted(schema, program)}) u",
        ),
        Invariant(
            "users-cannot-rise",
            "No role of strangers or users is one that row security does not hold for, or can become one.",
            "Take BYPASSRLS or SUPERUSER, or the membership, from the role (REVOKE ... FROM ...).",
            supabase.above(),
        ),
        Invariant(
            "policies-ask-for-the-tenant",
            "No policy shows users rows without asking current_tenant().",
            "Drop the policy, or give it to service_role: ALTER POLICY ... TO service_role.",
            f"SELECT NULL::text AS tenant, w.policy || ' on ' || w.rel AS subject FROM ({around}) w",
        ),
        Invariant(
            "users-are-followed",
            "The triggers of auth.users are there and switched on.",
            "Run `truing rbac install` as a role that may make triggers on auth.users.",
            supabase.not_followed(program),
        ),
        Invariant(
            "users-have-profiles",
            "Whoever was given a tenant (app_metadata) has a profile in it.",
            "Insert the profile, with the id of the user, or correct the user's app_metadata.",
            supabase.without_profile(schema, claim),
        ),
    )


def verify(connection: Connection, *, schema: str = SCHEMA, program: str = PROGRAM) -> tuple[Result, ...]:
    """Ask every invariant, within the connection's transaction, in which nothing is changed.

    Raises:
        UsageError: the login does not see every row, so that what it counts proves nothing.
    """
    bound = binding.said(connection.exec_driver_sql(binding.question(program).replace("%", "%%")).scalar_one())
    every = invariants(schema=schema, program=program, bind=bound.bind, claim=bound.claim)
    require_sight(connection, [QualifiedName(schema, each).sql for each in TABLES])
    if connection.exec_driver_sql(f"SELECT to_regclass({literal(supabase.USERS)})").scalar_one() is None:
        every = tuple(each for each in every if each.name != "users-have-profiles")
    return tuple(_ask(connection, each) for each in every)


def _ask(connection: Connection, each: Invariant) -> Result:
    query = f"SELECT count(*) OVER (), x.tenant, x.subject FROM ({each.query}) x ORDER BY 2, 3 LIMIT {SHOWN}"
    tried = ""
    savepoint = connection.begin_nested()
    try:
        if each.first:
            connection.exec_driver_sql(each.first.replace("%", "%%"))
            tried = connection.exec_driver_sql(f"SELECT {TRIED}").scalar_one()
        rows = connection.exec_driver_sql(query.replace("%", "%%")).all()
    finally:
        savepoint.rollback()
    return Result(each, rows[0][0] if rows else 0, tuple((row[1], row[2]) for row in rows), tried)


def as_sql(*, schema: str = SCHEMA, program: str = PROGRAM, bind: Binding = "setting") -> str:
    """Write the invariants as SQL for psql, which answers in TAP.

    A line each, ``ok`` or ``not ok`` with the number of rows; then, as comments, what to do and what was tried.
    """
    every = invariants(schema=schema, program=program, bind=bind)
    tables = ", ".join(literal(QualifiedName(schema, each).sql) for each in TABLES)
    bail = (
        "-- Who does not see every row counts too few.\n"
        "SELECT 'Bail out! Row security hides rows from this login: ' || tables\n"
        f"FROM (\n{hidden_query(f'ARRAY[{tables}]')}\n) AS hidden(tables) WHERE tables IS NOT NULL;"
    )
    parts = [f"SELECT '1..{len(every)}';", bail]
    for number, each in enumerate(every, 1):
        said, remedy = literal(f" {number} - {each.name}"), literal(f"\n# do: {each.remedy}")
        ask = (
            f"SELECT CASE WHEN count(*) = 0 THEN 'ok' ELSE 'not ok' END || {said}\n"
            f"       || CASE WHEN count(*) = 0 THEN '' ELSE ' # broken by ' || count(*) || {remedy} END\n"
            f"FROM (\n{each.query}\n) AS broken;"
        )
        if each.first:
            ask = f"BEGIN;\n{each.first};\n{ask}\nSELECT '# ' || translate({TRIED}, E'\\n\\r', '  ');\nROLLBACK;"
        parts.append(f"-- {each.sentence}\n-- {each.remedy}\n{ask}")
    return "-- psql -XAtq -f verify.sql: each line is TAP, as pg_prove and prove read it.\n" + "\n\n".join(parts) + "\n"
