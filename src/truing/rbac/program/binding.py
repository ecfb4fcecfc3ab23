"""What ties a transaction to its tenant? Three answers, which are three bodies of ``current_tenant()``.

``setting``: what the transaction says, so that whoever can run SQL of their own can say another one. ``role``: the
login, in a table that an administrator writes. ``signed``: what the transaction says, with a signature that the
application makes and the database checks. In: a binding. Out: statements.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, get_args

from truing.names import QualifiedName, ident, literal

Binding = Literal["setting", "role", "signed"]

BINDINGS: Final[tuple[Binding, ...]] = get_args(Binding)

TABLES: Final[Mapping[Binding, str]] = {"role": "tenant_roles", "signed": "tenant_keys"}
"""The table of a binding, which nobody but the functions' owner can read."""

_SAID: Final = "Bound by: "


def current(program: str) -> QualifiedName:
    """Name the function that says whose transaction it is."""
    return QualifiedName(program, "current_tenant")


def keep(program: str) -> str:
    """Write the statement that fails where a tenant is bound more tightly than by the setting.

    Bringing the functions up to date must not loosen it by the way.
    """
    asked = f"pg_catalog.to_regprocedure({literal(current(program).sql + '()')})"
    tight = ", ".join(literal(_SAID + each) for each in TABLES)
    return (
        "DO $body$ BEGIN"
        f" IF pg_catalog.obj_description({asked}, 'pg_proc') IN ({tight}) THEN"
        " RAISE EXCEPTION 'the tenant is bound more tightly here than by a setting'"
        " USING HINT = 'Say how it is to be bound: --bind role, --bind signed, or --bind setting to loosen it.';"
        " END IF; END $body$"
    )


def remember(program: str, bind: Binding) -> str:
    """Write the statement that says in the catalog how the tenant is bound."""
    return f"COMMENT ON FUNCTION {current(program).sql}() IS {literal(_SAID + bind)}"


def question(program: str) -> str:
    """Write the question how the tenant is bound, for :func:`said`."""
    name = literal(current(program).sql + "()")
    return f"SELECT pg_catalog.obj_description(pg_catalog.to_regprocedure({name}), 'pg_proc')"


def said(comment: str | None) -> Binding:
    """Read the answer: by the setting, where the catalog says nothing else."""
    return next((each for each in BINDINGS if comment == _SAID + each), "setting")


def close(table: str, *, application: str | None, owner: str | None) -> tuple[str, ...]:
    """Write the statements that let nobody but its owner read a table of a binding.

    Row security without a policy keeps it closed even where somebody grants ``SELECT ON ALL TABLES``.
    """
    return (
        f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
        f"REVOKE ALL ON TABLE {table} FROM PUBLIC",
        *([f"REVOKE ALL ON TABLE {table} FROM {application}"] if application else []),
        *([f"ALTER TABLE {table} OWNER TO {owner}"] if owner else []),
    )


def refuse_ways_around(schema: str, *, application: str | None) -> str:
    """Write the statement that fails where a policy shows the application rows without asking ``current_tenant()``.

    Permissive policies are joined by OR, so that one which reads another setting makes the tightest binding worth
    nothing.
    """
    known = f"pg_catalog.pg_has_role({literal(application)}, r, 'USAGE')" if application else "false"
    return (
        "DO $body$ DECLARE around text; fixes text; BEGIN"
        " SELECT pg_catalog.string_agg(pg_catalog.format('%I on %s', p.polname,"
        " p.polrelid::pg_catalog.regclass), ', ' ORDER BY p.polname),"
        " pg_catalog.string_agg(pg_catalog.format('ALTER POLICY %I ON %s TO rbac_admin;', p.polname,"
        " p.polrelid::pg_catalog.regclass), ' ') INTO around, fixes"
        " FROM pg_catalog.pg_policy p JOIN pg_catalog.pg_class c ON c.oid = p.polrelid"
        f" WHERE c.relnamespace = pg_catalog.to_regnamespace({literal(ident(schema))})"
        " AND p.polpermissive"
        f" AND EXISTS (SELECT FROM pg_catalog.unnest(p.polroles) r WHERE r = 0 OR {known})"
        " AND pg_catalog.strpos(pg_catalog.pg_get_expr(p.polqual, p.polrelid), 'current_tenant()') = 0;"
        " IF around IS NOT NULL THEN"
        " RAISE EXCEPTION 'a tenant that is bound could be left through policies that ask something else: %', around"
        " USING HINT = 'Drop each, or give it to a role that is not the application''s: ' || fixes;"
        " END IF; END $body$"
    )
