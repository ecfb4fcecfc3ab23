"""What ties a transaction to its tenant? Four answers, which are four bodies of ``current_tenant()``.

``setting``: what the transaction says, so that whoever can run SQL of their own can say another one. ``role``: the
login, in a table that an administrator writes. ``signed``: what the transaction says, with a signature that the
application makes and the database checks. ``supabase``: the claims of a token that PostgREST has verified, for a user
who has a profile in that tenant. In: a binding. Out: statements.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, Literal, get_args
from uuid import UUID

import msgspec

from truing.errors import UsageError
from truing.names import QualifiedName, block, ident, literal

Binding = Literal["setting", "role", "signed", "supabase"]

BINDINGS: Final[tuple[Binding, ...]] = get_args(Binding)

TABLES: Final[Mapping[Binding, str]] = {"role": "tenant_roles", "signed": "tenant_keys"}
"""The table of a binding, which nobody but the functions' owner can read."""

INDEXES: Final[Mapping[Binding, str]] = {"role": "tenant_roles_index"}
"""What makes the index of that table."""

NOBODY: Final = "nobody"
"""The policy of that table."""

SETTING: Final = "app.tenant_id"
"""The setting that holds a transaction's tenant, unless another is named."""

_SAID: Final = "Bound by: "

USERS_OWN: Final = frozenset({"user_metadata", "raw_user_meta_data"})
"""What a user of Supabase writes about itself, at sign-up and at any time after."""


class Claim(msgspec.Struct, frozen=True):
    """The claim of a token that names the tenant.

    Attributes:
        path: the names that lead to it, from the outside in.
    """

    path: tuple[str, ...]

    @classmethod
    def parse(cls, dotted: str) -> Claim:
        """Read names with dots between them.

        Raises:
            UsageError: a name is empty, or the user could write the claim.
        """
        path = tuple(dotted.split("."))
        if not all(path):
            raise UsageError(f"{dotted!r} names no claim.", hint="Write the names with dots: app_metadata.tenant_id")
        if USERS_OWN & set(path):
            raise UsageError(
                f"The claim {dotted} is written by the user, who would choose the tenant.",
                hint="Take one of app_metadata, which only the service role writes: app_metadata.tenant_id",
            )
        return cls(path)

    @property
    def dotted(self) -> str:
        """The names with dots between them."""
        return ".".join(self.path)

    def of(self, tenant: UUID, user: UUID) -> dict[str, Any]:
        """Make the claims that say this: as much of a token as the database reads."""
        inner: Any = str(tenant)
        for name in reversed(self.path):
            inner = {name: inner}
        return {"sub": str(user), "role": "authenticated", **inner}

    def read(self, claims: Mapping[str, Any]) -> Any:
        """Return what the claim says; None where there is none."""
        found: Any = claims
        for name in self.path:
            found = found.get(name) if isinstance(found, Mapping) else None
        return found

    @property
    def in_claims(self) -> str:
        """Where the claims have it, as PostgreSQL writes an array."""
        return _array(self.path)

    @property
    def in_metadata(self) -> str:
        """Where ``raw_app_meta_data`` has it: there, ``app_metadata`` is what it is in itself."""
        return _array(self.path[1:] if self.path[0] == "app_metadata" and len(self.path) > 1 else self.path)


CLAIM: Final = Claim(("app_metadata", "tenant_id"))
"""The claim that names the tenant, unless another is named."""


def _array(names: tuple[str, ...]) -> str:
    return "{" + ",".join('"' + re.sub(r'(["\\\\])', r"\\\1", name) + '"' for name in names) + "}"


def current(program: str) -> QualifiedName:
    """Name the function that says whose transaction it is."""
    return QualifiedName(program, "current_tenant")


def keep(program: str) -> str:
    """Write the statement that fails where a tenant is bound more tightly than by the setting.

    Bringing the functions up to date must not loosen it by the way.
    """
    asked = f"pg_catalog.to_regprocedure({literal(current(program).sql + '()')})"
    tight = " OR ".join(
        f"pg_catalog.starts_with(pg_catalog.obj_description({asked}, 'pg_proc'), {literal(_SAID + each)})"
        for each in BINDINGS
        if each != "setting"
    )
    return block(
        "BEGIN"
        f" IF {tight} THEN"
        " RAISE EXCEPTION 'the tenant is bound more tightly here than by a setting'"
        " USING HINT = 'Say how it is to be bound: --bind role, signed or supabase, or --bind setting to loosen it.';"
        " END IF; END"
    )


def remember(program: str, bind: Binding, claim: Claim, setting: str) -> str:
    """Write the statement that says in the catalog how the tenant is bound, and by which claim or unusual setting."""
    by = claim.dotted if bind == "supabase" else setting
    what = _SAID + bind if by == SETTING else f"{_SAID}{bind} {by}"
    return f"COMMENT ON FUNCTION {current(program).sql}() IS {literal(what)}"


def question(program: str) -> str:
    """Write the question how the tenant is bound, for :func:`said`."""
    name = literal(current(program).sql + "()")
    return f"SELECT pg_catalog.obj_description(pg_catalog.to_regprocedure({name}), 'pg_proc')"


class Bound(msgspec.Struct, frozen=True):
    """How the tenant is bound, and the claim and the setting by which."""

    bind: Binding = "setting"
    claim: Claim = CLAIM
    setting: str | None = None


def said(comment: str | None) -> Bound:
    """Read the answer: by the setting, where the catalog says nothing else."""
    word, _, by = (comment or "").removeprefix(_SAID).partition(" ")
    bind: Binding | None = next((each for each in BINDINGS if word == each), None)
    if bind is None or not by:
        return Bound(bind or "setting")
    return Bound(bind, claim=Claim.parse(by)) if bind == "supabase" else Bound(bind, setting=by)


def close(table: str, *, application: str | None, owner: str | None) -> tuple[str, ...]:
    """Write the statements that let nobody but its owner read a table of a binding.

    Row security keeps it closed even where somebody grants ``SELECT ON ALL TABLES``, and its policy even where somebody
    adds another one.
    """
    closed = f"""
        BEGIN
          IF NOT EXISTS (SELECT FROM pg_catalog.pg_policy WHERE polrelid = {literal(table)}::regclass
                         AND polname = {literal(NOBODY)}) THEN
            CREATE POLICY {NOBODY} ON {table} AS RESTRICTIVE USING (false);
          END IF;
        END
    """
    return (
        f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
        block(closed),
        f"REVOKE ALL ON TABLE {table} FROM PUBLIC",
        *([f"REVOKE ALL ON TABLE {table} FROM {ident(application)}"] if application else []),
        *([f"ALTER TABLE {table} OWNER TO {ident(owner)}"] if owner else []),
    )


def drop_table(program: str, bind: Binding, *, emptied: bool = False) -> str:
    """Write the statement that drops the table of a binding, where it is there and ours.

    Args:
        program: its schema.
        bind: the binding.
        emptied: only where no row is in it: what an administrator wrote there cannot be had again.
    """
    table = QualifiedName(program, TABLES[bind]).sql
    rows = f"EXECUTE {literal(f'SELECT EXISTS (SELECT FROM {table})')} INTO used;" if emptied else ""
    dropped = f"""
        DECLARE used boolean := false; BEGIN
          IF EXISTS (SELECT FROM pg_catalog.pg_constraint WHERE conname = {literal(f"pk_{TABLES[bind]}")}
                     AND conrelid = pg_catalog.to_regclass({literal(table)})) THEN
            {rows}
            IF NOT used THEN
              DROP TABLE {table};
            END IF;
          END IF;
        END
    """
    return block(dropped)


def refuse_ways_around(
    schema: str, *, application: str | None, administrator: str | None = None, known: tuple[str, ...] = ()
) -> str:
    """Write the statement that fails where a policy shows the application rows without asking ``current_tenant()``.

    Permissive policies are joined by OR, so that one which reads another setting makes the tightest binding worth
    nothing.

    Args:
        schema: of the tables.
        application: the role.
        administrator: a role that such a policy may be given to.
        known: the names of policies that will be gone.
    """
    give = literal(f"ALTER POLICY %I ON %s TO {ident(administrator or 'rbac_admin').replace('%', '%%')};")
    return block(
        "DECLARE around text; fixes text; BEGIN"
        " SELECT pg_catalog.string_agg(pg_catalog.format('%I on %s', w.policy, w.rel), ', ' ORDER BY w.policy),"
        f" pg_catalog.string_agg(pg_catalog.format({give}, w.policy, w.rel), ' ') INTO around, fixes"
        f" FROM ({ways_around(schema, application=application)}) w"
        f" WHERE w.policy <> ALL (ARRAY[{', '.join(map(literal, known))}]::text[]);"
        " IF around IS NOT NULL THEN"
        " RAISE EXCEPTION 'a tenant that is bound could be left through policies that ask something else: %', around"
        " USING HINT = 'Drop each, or give it to a role that is not the application''s: ' || fixes;"
        " END IF; END"
    )


def ways_around(schema: str, *, application: str | None) -> str:
    """Write the query of the policies that show the application rows without asking ``current_tenant()``."""
    known = f"pg_catalog.pg_has_role({literal(application)}, r, 'USAGE')" if application else "false"
    return (
        "SELECT p.polname AS policy, p.polrelid::pg_catalog.regclass AS rel"
        " FROM pg_catalog.pg_policy p JOIN pg_catalog.pg_class c ON c.oid = p.polrelid"
        f" WHERE c.relnamespace = pg_catalog.to_regnamespace({literal(ident(schema))})"
        " AND p.polpermissive"
        f" AND EXISTS (SELECT FROM pg_catalog.unnest(p.polroles) r WHERE r = 0 OR {known})"
        " AND pg_catalog.strpos(pg_catalog.pg_get_expr(p.polqual, p.polrelid), 'current_tenant()') = 0"
    )
