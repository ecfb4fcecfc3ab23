"""The policies decide, for the owner of the tables too; the application reads and nothing else.

Before it, see that every program has one of the roles and sets the tenant: it stops at a role that would be shut out.

Revision ID: rbac_row_security_forced
Revises: rbac_row_security
"""

from __future__ import annotations

from alembic import op

from truing.errors import UsageError
from truing.names import block, ident
from truing.rbac import place
from truing.rbac.program import supabase
from truing.rbac.program.binding import Binding, Bound, refuse_ways_around
from truing.rbac.roles import Roles, give_writes_back, named, refuse_shut_out, take_writes

revision = "rbac_row_security_forced"
down_revision = "rbac_row_security"
branch_labels = None
depends_on = None

TABLES = (
    "profiles",
    "roles",
    "role_permissions",
    "role_inherits",
    "role_grants",
    "user_roles",
    "tenant_features",
    "tenant_rbac_versions",
    "rbac_audit",
    "tenants",
    "sidebar_features",
)
# What the legacy database had: for everybody, and for writing too.
LEGACY = {
    "profiles": (
        "tenant_id::text = current_setting('app.tenant_id', true)",
        "tenant_id::text = current_setting('app.tenant_id', true)",
    ),
    "sidebar_features": (
        "is_global OR tenant_id::text = current_setting('app.tenant_id', true)",
        "tenant_id::text = current_setting('app.tenant_id', true)",
    ),
}
# The legacy database's, which ask a token's claims and nothing else.
JWT = {"profiles": "profiles_jwt_read", "sidebar_features": "sidebar_features_jwt_read"}
# What shows everybody everything until this revision.
TRANSITION = "truing_transition"
VIEWS = ("active_profiles", "tenant_profile_counts")
# Writes with its owner's rights, so whoever may execute it can have it called by a table of their own and forge moves.
# The trigger that is there goes on: it asks for the privilege only when it is made.
WRITES_AS_OWNER = "log_tenant_move"


def upgrade() -> None:
    """End the transition."""
    roles, bind = named(), _bind()
    if bind != "setting":
        around = refuse_ways_around(
            place.schema(),
            application=roles.application,
            administrator=roles.administrator,
            known=(TRANSITION, *JWT.values(), *map(_legacy, LEGACY)),
        )
        op.execute_online("tenants", [around], lock="ACCESS SHARE")
    if roles.supabase:
        op.execute_online("tenants", [_take(roles)], lock="ACCESS SHARE")
    op.execute_online("tenants", [refuse_shut_out(TABLES, roles)], lock="ACCESS SHARE")
    application = ident(roles.application)
    for view in VIEWS:
        op.execute_online(
            "profiles",
            [
                f"ALTER VIEW IF EXISTS {view} SET (security_invoker = true)",
                _if_there(view, f"GRANT SELECT ON {view} TO {application}"),
            ],
            lock="ACCESS SHARE",
        )
    for table in TABLES:
        op.execute_online(table, take_writes(table, roles), lock="ACCESS SHARE")
        op.finish_row_security_online(table, force=True)
    for table in LEGACY:
        op.execute_online(table, [f"DROP POLICY IF EXISTS {_legacy(table)} ON {table}"])
    op.execute_online("profiles", [_function(f"REVOKE EXECUTE ON FUNCTION {WRITES_AS_OWNER}() FROM PUBLIC")])
    if bind != "setting":
        # They would show whatever tenant a token names, to whoever has one.
        for table, name in JWT.items():
            op.execute_online(table, [_policy(table, name, ident(roles.administrator))])
    if roles.supabase:
        # Views too are readable now, and Supabase gives everything of them.
        op.execute_online("tenants", [_take(roles)], lock="ACCESS SHARE")


def downgrade() -> None:
    """Begin the transition again."""
    roles = named(down=True)
    if _there() != "setting":
        for table, name in JWT.items():
            op.execute_online(table, [_policy(table, name, "PUBLIC")])
    op.execute_online("profiles", [_function(f"GRANT EXECUTE ON FUNCTION {WRITES_AS_OWNER}() TO PUBLIC")])
    for table, (using, check) in LEGACY.items():
        name = _legacy(table)
        op.execute_online(
            table,
            [
                f"DROP POLICY IF EXISTS {name} ON {table}",
                f"CREATE POLICY {name} ON {table} USING ({using}) WITH CHECK ({check})",
            ],
        )
    for table in reversed(TABLES):
        transition = f"CREATE POLICY {TRANSITION} ON {table} USING (true) WITH CHECK (true)"
        again = [] if table in LEGACY else [f"DROP POLICY IF EXISTS {TRANSITION} ON {table}", transition]
        op.execute_online(table, [f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY", *again])
        op.execute_online(table, [give_writes_back(table)], lock="ACCESS SHARE")
    for view in VIEWS:
        undo = [f"ALTER VIEW IF EXISTS {view} RESET (security_invoker)"]
        if view == "active_profiles":
            undo.append(_if_there(view, f"REVOKE SELECT ON {view} FROM {ident(roles.application)}"))
        op.execute_online("profiles", undo, lock="ACCESS SHARE")
    op.execute_online("tenants", [roles.restore(place.schema(), place.program())], lock="ACCESS SHARE")


def _there() -> Binding:
    return (place.bound() or Bound()).bind


def _bind() -> Binding:
    """Say how a tenant is bound, which the revision before has decided.

    Raises:
        UsageError: another binding has been asked for since.
    """
    there, wanted = place.bound(), place.wanted(place.given())
    if there is not None and wanted is not None and wanted.bind != there.bind:
        raise UsageError(
            f"the tenant is bound by {there.bind} since rbac_row_security, and {wanted.bind} is asked for",
            hint=f'Write binding = "{there.bind}" into [tool.truing.rbac] until this revision is done, then'
            f" `truing rbac install --bind {wanted.bind}`; or go back to rbac_tenant_keys_contract and come again.",
        )
    return (there or wanted or Bound()).bind


def _legacy(table: str) -> str:
    return f"{table}_tenant_isolation"


def _take(roles: Roles) -> str:
    return supabase.take_privileges(place.schema(), place.program(), roles.application, roles.administrator)


def _policy(table: str, name: str, whom: str) -> str:
    there = f"SELECT FROM pg_policies WHERE schemaname = current_schema() AND tablename = '{table}'"
    return block(f"""
        BEGIN
          IF EXISTS ({there} AND policyname = '{name}') THEN ALTER POLICY {name} ON {table} TO {whom}; END IF;
        END
    """)


def _if_there(view: str, statement: str) -> str:
    return block(f"BEGIN IF to_regclass('{view}') IS NOT NULL THEN {statement}; END IF; END")


def _function(statement: str) -> str:
    return block(f"BEGIN IF to_regprocedure('{WRITES_AS_OWNER}()') IS NOT NULL THEN {statement}; END IF; END")
