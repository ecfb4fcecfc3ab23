"""What runs inside the database: the functions that answer, and the triggers that keep the answers right.

In: the names of the schemas and of the setting that holds the tenant. Out: statements, in order, which may be run
again and again. The functions are in ``program/sql``, each after a comment ``-- name:``; the triggers are the table in
:mod:`truing.rbac.program.triggers`. Names are written there as psql would have them, ``:"schema"`` and ``:'setting'``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources
from typing import Final

from sqlalchemy import Connection, text

from truing.names import QualifiedName, block, body, ident, literal
from truing.rbac.program import binding, supabase
from truing.rbac.program.binding import CLAIM, Binding, Bound, Claim
from truing.rbac.program.questions import QUESTIONS
from truing.rbac.program.triggers import TRIGGERS

SCHEMA: Final = "public"
"""Where the tables are, unless said otherwise."""

PROGRAM: Final = "rbac"
"""The schema of the functions, which is also the channel of their notifications."""

SETTING: Final = binding.SETTING
"""The setting that holds a transaction's tenant."""

FILES: Final = ("tenant", "versions", "compile", "audit", "guard", "granting", "asking")
"""The files of ``program/sql``, in the order to run them: a body may name what comes later, a signature may not."""

SLICE: Final = 10
"""How many tenants are compiled in one transaction, whose writers wait for it."""

KEEP_COUNTING: Final = "keep_counting"
"""The one statement of the files that makes no function."""

_NAMED = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)
_PLACE = re.compile(r""":"\w+"|:'\w+'""")


def functions(bind: Binding = "setting") -> Mapping[str, str]:
    """Return the functions: name -> statement, with the places of the names still open."""
    others = {KEEP_COUNTING, *binding.TABLES.values(), *binding.INDEXES.values()}
    return {name: piece for name, piece in _pieces(bind).items() if name not in others}


@cache
def _pieces(bind: Binding) -> Mapping[str, str]:
    found: dict[str, str] = {}
    own = () if bind == "setting" else (f"bind_{bind}",)
    for file in (*own, *FILES):
        source = resources.files(__name__).joinpath("sql", f"{file}.sql").read_text(encoding="utf-8")
        _, *pieces = _NAMED.split(source)
        for name, piece in zip(pieces[::2], pieces[1::2], strict=True):
            # The first one counts: a binding's own current_tenant() stands for that of the setting.
            found.setdefault(name, piece.strip())
    return found


def statements(
    *,
    schema: str = SCHEMA,
    program: str = PROGRAM,
    setting: str = SETTING,
    application: str | None = None,
    administrator: str | None = None,
    owner: str | None = None,
    bind: Binding | None = None,
    claim: Claim = CLAIM,
    transition: bool = False,
) -> tuple[str, ...]:
    """Write the program as statements, one each, that may be run in one transaction and any number of times.

    Args:
        schema: where the tables are.
        program: where the functions go; made when missing.
        setting: the setting that holds the tenant.
        application: a role that may ask; nobody but the owner may without it.
        administrator: a role that may call everything.
        owner: the role that the functions are to belong to, and with whose rights the triggers write. Row security
            that is forced holds for a table's owner as well, so it must be a role that sees every tenant.
        bind: what ties a transaction to its tenant: its ``setting``, the login's ``role``, a setting that is
            ``signed``, or the claims that ``supabase`` verifies. Without it the setting does, and the statements fail
            where it is bound more tightly already.
        claim: that names the tenant, under ``supabase``; the application and the administrator are then its
            ``authenticated`` and ``service_role`` unless others are named.
        transition: leave alone, for now, what would go around the binding: policies and privileges of before.

    Returns:
        The statements, in order.
    """
    if bind == "supabase":
        application, administrator = application or supabase.AUTHENTICATED, administrator or supabase.SERVICE
    names = {
        ':"schema"': ident(schema),
        ':"program"': ident(program),
        ":'setting'": literal(setting),
        ":'channel'": literal(program),
        ":'permissions'": literal(QualifiedName(schema, "permissions").sql),
        ":'claim'": literal(claim.in_claims),
        ":'metadata'": literal(claim.in_metadata),
    }
    made = [*_begun(bind, schema, program)]
    if bind is not None and bind != "setting" and not transition:
        made.append(binding.refuse_ways_around(schema, application=application, administrator=administrator))
    if bind is not None and bind in binding.TABLES:
        table = binding.TABLES[bind]
        made += [_filled(_pieces(bind)[name], names) for name in (table, binding.INDEXES.get(bind)) if name]
        made += binding.close(QualifiedName(program, table).sql, application=application, owner=owner)
    for name, statement in functions(bind or "setting").items():
        where = f"{ident(program)}.{ident(name)}"
        made += [_filled(statement, names), f"REVOKE EXECUTE ON FUNCTION {where} FROM PUBLIC"]
        made += _rights(name, where, application, administrator, owner)
    made += [
        f"GRANT USAGE ON SCHEMA {ident(program)} TO {ident(role)}"
        for role in (application, administrator, owner)
        if role is not None
    ]
    if bind == "supabase" and application is not None and administrator is not None:
        made += supabase.follow_users(schema, program)
        made += () if transition else supabase.tighten(schema, program, application, administrator)
    made += [
        binding.remember(program, bind or "setting", claim, setting),
        _filled(_pieces("setting")[KEEP_COUNTING], names),
    ]
    return (*made, *(trigger.create(schema=schema, program=program) for trigger in TRIGGERS))


def _filled(piece: str, names: Mapping[str, str]) -> str:
    """Put the names into their places. A name may hold the very tag that the files quote bodies with."""
    parts = [_PLACE.sub(lambda place: names[place[0]], part) for part in piece.split("$body$")]
    if len(parts) == 1:
        return parts[0]
    before, inside, after = parts
    return f"{before}{body(inside)}{after}"


def tables_of(program: str, schema: str) -> str:
    """Write the query of another schema whose tables these functions work for; NULL where there is none."""
    watched = ", ".join(map(literal, dict.fromkeys(trigger.table for trigger in TRIGGERS)))
    return f"""
        SELECT min(n.nspname::text) FROM pg_catalog.pg_trigger g
        JOIN pg_catalog.pg_proc p ON p.oid = g.tgfoid JOIN pg_catalog.pg_namespace f ON f.oid = p.pronamespace
        JOIN pg_catalog.pg_class c ON c.oid = g.tgrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE f.nspname = {literal(program)} AND n.nspname <> {literal(schema)} AND c.relname IN ({watched})
    """


def _refuse_others(schema: str, program: str) -> str:
    """Write the statement that fails where functions would be taken from other tables, which would go unguarded."""
    return block(f"""
        DECLARE other text; BEGIN
          other := ({tables_of(program, schema)});
          IF other IS NOT NULL THEN
            RAISE EXCEPTION 'the functions in schema % are those of the tables in schema %', {literal(program)}, other
              USING HINT = 'Give these tables functions of their own: --program NAME (with alembic -x program=NAME).';
          END IF;
        END
    """)


def _rights(
    name: str, where: str, application: str | None, administrator: str | None, owner: str | None
) -> Iterator[str]:
    """Say whose a function is, and who may call it."""
    if name == supabase.FOLLOW:
        # Another role's, and nobody's to call: see follow_users().
        return
    if owner is not None:
        yield f"ALTER FUNCTION {where} OWNER TO {ident(owner)}"
    if application is not None and name in QUESTIONS:
        yield f"GRANT EXECUTE ON FUNCTION {where} TO {ident(application)}"
    if administrator is not None:
        yield f"GRANT EXECUTE ON FUNCTION {where} TO {ident(administrator)}"


def _begun(bind: Binding | None, schema: str, program: str) -> tuple[str, ...]:
    return (
        _refuse_others(schema, program),
        f"CREATE SCHEMA IF NOT EXISTS {ident(program)}",
        *_rebind(bind, schema, program),
    )


def _rebind(bind: Binding | None, schema: str, program: str) -> tuple[str, ...]:
    """Take away what another binding has left, and make what this one needs; without one, fail where it is tighter."""
    if bind is None:
        return (binding.keep(program),)
    gone = {each for other in binding.BINDINGS for each in functions(other)} - set(functions(bind))
    return (
        *(supabase.make_roles() if bind == "supabase" else supabase.unfollow_users(schema, program)),
        *(f"DROP FUNCTION IF EXISTS {ident(program)}.{ident(each)}" for each in sorted(gone)),
        *(binding.drop_table(program, each, emptied=True) for each in binding.TABLES if each != bind),
    )


def drop_statements(*, schema: str = SCHEMA, program: str = PROGRAM) -> tuple[str, ...]:
    """Write the way back: no trigger and no function is left, the tables stay as they are.

    ``current_tenant`` and what it reads stay as well, for a policy may use it; whoever drops the policies drops them
    after.
    """
    triggers = [trigger.drop(schema=schema) for trigger in TRIGGERS]
    every = dict.fromkeys(name for bind in reversed(binding.BINDINGS) for name in reversed(list(functions(bind))))
    dropped = [f"DROP FUNCTION IF EXISTS {ident(program)}.{ident(name)}" for name in every if name != "current_tenant"]
    return (*triggers, *supabase.unfollow_users(schema, program), *dropped)


def bound(connection: Connection, program: str = PROGRAM) -> Bound:
    """Say how the tenant is bound in a database; by the setting where there is no program yet."""
    return binding.said(connection.exec_driver_sql(binding.question(program).replace("%", "%%")).scalar_one())


def left_over(connection: Connection, program: str = PROGRAM) -> tuple[str, ...]:
    """Name the tables of other bindings that are still there, because somebody has written something into them."""
    bind = bound(connection, program).bind
    tables = [QualifiedName(program, table).sql for each, table in binding.TABLES.items() if each != bind]
    asked = "SELECT pg_catalog.to_regclass({}) IS NOT NULL"
    return tuple(
        table
        for table in tables
        if connection.exec_driver_sql(asked.format(literal(table)).replace("%", "%%")).scalar_one()
    )


def held(connection: Connection, schema: str = SCHEMA) -> dict[str, str]:
    """Say which roles the policies are for, as ``application`` and ``administrator``; of one that has none, nothing."""
    profiles = literal(QualifiedName(schema, "profiles").sql)
    rows = connection.exec_driver_sql(
        f"""
        SELECT CASE p.polname WHEN 'tenant_isolation' THEN 'application' ELSE 'administrator' END, min(r.rolname::text)
        FROM pg_catalog.pg_policy p JOIN pg_catalog.pg_roles r ON r.oid = ANY (p.polroles)
        WHERE p.polrelid = pg_catalog.to_regclass({profiles}) AND p.polname IN ('tenant_isolation', 'rbac_admin_all')
        GROUP BY 1
        """.replace("%", "%%")
    )
    return {str(which): str(role) for which, role in rows}


def install(
    connection: Connection,
    *,
    schema: str = SCHEMA,
    program: str = PROGRAM,
    setting: str | None = None,
    application: str | None = None,
    administrator: str | None = None,
    owner: str | None = None,
    bind: Binding | None = None,
    claim: Claim | None = None,
    compiling: bool = True,
) -> int:
    """Bring the program into a database, or up to date there, and compile every role.

    Runs in the connection's transaction, which the caller commits; see :func:`statements` for the arguments. Without
    ``bind``, the tenant stays bound as it is; without ``claim`` and ``setting``, by the same ones. Without
    ``compiling`` the roles are left to :func:`compile_in_slices`, for which nobody waits long.

    Returns:
        How many roles had masks that were not what their grants say.
    """
    there = bound(connection, program)
    for statement in statements(
        schema=schema,
        program=program,
        setting=setting or there.setting or SETTING,
        application=application,
        administrator=administrator,
        owner=owner,
        bind=bind or there.bind,
        claim=claim or there.claim,
    ):
        connection.exec_driver_sql(statement.replace("%", "%%"))
    if not compiling:
        return 0
    changed: int = connection.execute(text(f"SELECT {_called(program)}.rebuild_masks()")).scalar_one()
    return changed


def compile_in_slices(connection: Connection, program: str = PROGRAM) -> int:
    """Compile every role, a few tenants in each transaction, and commit each; run again, it does so again.

    Returns:
        How many roles had masks that were not what their grants say.
    """
    following = text(f"SELECT last, changed FROM {_called(program)}.rebuild_next(:after, :tenants)")
    after, changed = None, 0
    while True:
        with connection.begin():
            after, of_these = connection.execute(following, {"after": after, "tenants": SLICE}).one()
        if after is None:
            return changed
        changed += of_these


def _called(program: str) -> str:
    # A colon in a name is no parameter.
    return ident(program).replace(":", r"\:")


def uninstall(connection: Connection, *, schema: str = SCHEMA, program: str = PROGRAM) -> None:
    """Take the program out of a database, in the connection's transaction."""
    for statement in drop_statements(schema=schema, program=program):
        connection.exec_driver_sql(statement.replace("%", "%%"))
