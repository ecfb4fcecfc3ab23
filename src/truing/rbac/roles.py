"""Which database roles are there, and what may each do? None of them logs in; those that do are their members.

In: their names, from what the revision is told (``app_role``, ``admin_role``, ``migration_role``); under the binding
``supabase`` they are those of Supabase unless named. Out: the statements that make or
adopt them, that say who would be shut out, and that give and take what each may do.
"""

from __future__ import annotations

from typing import Any

import msgspec

from truing.names import block, ident, literal
from truing.rbac import place
from truing.rbac.program import privileges, supabase
from truing.rbac.program.binding import Binding, Bound


class Roles(msgspec.Struct, frozen=True):
    """The names of the roles.

    Attributes:
        application: reads its tenant's rows, and asks what its people may do.
        administrator: writes, in every tenant.
        migration: sees every row; the tables' owner is its member, so that forcing row security on the owner too does
            not hide rows from a backfill, a COPY or the functions that keep masks and versions.
        supabase: whether this is a database of Supabase, whose tenant comes out of the claims of a token.
    """

    application: str = "app_user"
    administrator: str = "rbac_admin"
    migration: str = "rbac_migration"
    supabase: bool = False

    @property
    def known(self) -> tuple[str, ...]:
        """All of them: whoever is a member of one is shown something by a policy."""
        more = (supabase.SIGNUP,) if self.supabase else ()
        return (self.application, self.administrator, self.migration, *more)

    def remember(self, schema: str, program: str) -> tuple[str, ...]:
        """Return the statements that keep what they may, for the way back."""
        return privileges.remember(schema, program, self._given, everybody=self.supabase)

    def restore(self, schema: str, program: str, *, exactly: bool = False) -> str:
        """Return the statement that gives back what was kept, and, exactly, takes what was given since."""
        return privileges.restore(schema, program, self._given, everybody=self.supabase, exactly=exactly)

    @property
    def _given(self) -> tuple[str, ...]:
        """Those whom the revisions give privileges, or take them from."""
        more = (supabase.ANON, supabase.AUTHENTICATED, supabase.SERVICE) if self.supabase else ()
        return tuple(dict.fromkeys((self.application, self.administrator, *more)))


def named(*, down: bool = False) -> Roles:
    """Return the roles of the running revision.

    Args:
        down: on the way back, where what is there counts more than what is to be there.
    """
    given, there = place.given(), place.bound()
    wanted = place.wanted(given)
    bound = (there or wanted) if down else (wanted or there)
    return roles_of(given, (bound or Bound()).bind)


def roles_of(told: dict[str, Any], bind: Binding) -> Roles:
    """Return the roles under a binding: those that are told, else the usual ones."""
    default = Roles(supabase.AUTHENTICATED, supabase.SERVICE, supabase=True) if bind == "supabase" else Roles()
    return Roles(
        str(told.get("app_role") or default.application),
        str(told.get("admin_role") or default.administrator),
        str(told.get("migration_role") or default.migration),
        default.supabase,
    )


def make(roles: Roles) -> tuple[str, ...]:
    """Return the statements that make the roles, or take those that are there, and join the owner to the migration's.

    Roles belong to the whole cluster: another database may be making one at this moment.
    """
    named_ones = (roles.application, roles.administrator, roles.migration)
    each = [supabase.make_role(name, supabase.ATTRIBUTES.get(name, "NOLOGIN")) for name in named_ones]
    if roles.supabase:
        each += supabase.make_roles()
    migration = literal(roles.migration)
    join = block(f"""
        BEGIN
          IF NOT (SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user)
             AND NOT pg_has_role(current_user, {migration}, 'USAGE') THEN
            BEGIN
              EXECUTE format('GRANT %I TO %I', {migration}, current_user);
            EXCEPTION WHEN insufficient_privilege THEN
              NULL;
            END;
            IF NOT pg_has_role(current_user, {migration}, 'USAGE') THEN
              RAISE EXCEPTION 'role % would see no row of its own tables once row security is forced', current_user
                USING HINT = format('Have an administrator run: GRANT %I TO %I;', {migration}, current_user);
            END IF;
          END IF;
        END
    """)
    return (*each, join)


def refuse_shut_out(tables: tuple[str, ...], roles: Roles) -> str:
    """Return the statement that stops where a role may use a table and no policy would show it anything."""
    listed = ", ".join(map(literal, tables))
    known = ", ".join(map(literal, roles.known))
    return block(f"""
        DECLARE shut text; BEGIN
          SELECT string_agg(DISTINCT format('%s (%s)', COALESCE(r.rolname, 'PUBLIC'), c.relname), ', ') INTO shut
          FROM pg_class c CROSS JOIN aclexplode(c.relacl) a LEFT JOIN pg_roles r ON r.oid = a.grantee
          WHERE c.oid = ANY (ARRAY[{listed}]::regclass[]) AND a.grantee <> c.relowner
            AND a.privilege_type IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
            AND NOT COALESCE(r.rolsuper OR r.rolbypassrls, false)
            AND NOT EXISTS (SELECT FROM unnest(ARRAY[{known}]) k WHERE r.oid IS NOT NULL
                            AND pg_has_role(r.oid, k, 'USAGE'));
          IF shut IS NOT NULL THEN
            RAISE EXCEPTION 'no policy would show them anything: %', shut
              USING HINT = 'Make each a member of one of the roles, give it BYPASSRLS, or revoke what it has.';
          END IF;
        END
    """)


def take_writes(table: str, roles: Roles) -> tuple[str, ...]:
    """Return the statements that leave the application nothing but reading, and keep what it had for the way back."""
    role, of = literal(roles.application), literal(table)
    keep = f"""
        INSERT INTO _truing.rbac_revoked (rel, privilege, grantee)
        SELECT {of}::regclass::oid::bigint, a.privilege_type, {role} FROM pg_class c CROSS JOIN aclexplode(c.relacl) a
        WHERE c.oid = {of}::regclass AND a.privilege_type <> 'SELECT'
          AND a.grantee = (SELECT oid FROM pg_roles WHERE rolname = {role})
        ON CONFLICT DO NOTHING
    """
    return (
        """
        CREATE TABLE IF NOT EXISTS _truing.rbac_revoked (
          rel bigint NOT NULL, privilege text NOT NULL, grantee text NOT NULL, PRIMARY KEY (rel, privilege, grantee))
        """,
        keep,
        f"REVOKE INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER ON {table} FROM {ident(roles.application)}",
    )


def give_writes_back(table: str) -> str:
    """Return the statement that gives back what :func:`take_writes` took."""
    of = literal(table)
    return block(f"""
        DECLARE kept record; BEGIN
          IF to_regclass('_truing.rbac_revoked') IS NOT NULL THEN
            FOR kept IN DELETE FROM _truing.rbac_revoked WHERE rel = {of}::regclass::oid::bigint RETURNING * LOOP
              EXECUTE format('GRANT %s ON {table} TO %I', kept.privilege, kept.grantee);
            END LOOP;
          END IF;
        END
    """)
