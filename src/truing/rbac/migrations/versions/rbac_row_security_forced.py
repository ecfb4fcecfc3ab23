"""The policies decide, for the owner of the tables too; the application reads and nothing else.

Before it, see that every program has one of the roles and sets the tenant: it stops at a role that would be shut out.

Revision ID: rbac_row_security_forced
Revises: rbac_row_security
"""

from __future__ import annotations

from alembic import op

from truing.names import ident
from truing.rbac import place
from truing.rbac.program import supabase
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
VIEWS = ("active_profiles", "tenant_profile_counts")
# Writes with its owner's rights, so whoever may execute it can have it called by a table of their own and forge moves.
# The trigger that is there goes on: it asks for the privilege only when it is made.
WRITES_AS_OWNER = "log_tenant_move"


def upgrade() -> None:
    """End the transition."""
    roles = named()
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
        op.execute_online(table, [f"DROP POLICY IF EXISTS {table}_tenant_isolation ON {table}"])
    op.execute_online("profiles", [_function(f"REVOKE EXECUTE ON FUNCTION {WRITES_AS_OWNER}() FROM PUBLIC")])
    if roles.supabase:
        # They would show whatever tenant a token names, to whoever has one.
        for table, name in JWT.items():
            op.execute_online(table, [_policy(table, name, ident(roles.administrator))])
        # Views too are readable now, and Supabase gives everything of them.
        op.execute_online("tenants", [_take(roles)], lock="ACCESS SHARE")


def downgrade() -> None:
    """Begin the transition again."""
    roles = named()
    if roles.supabase:
        for table, name in JWT.items():
            op.execute_online(table, [_policy(table, name, "PUBLIC")])
    op.execute_online("profiles", [_function(f"GRANT EXECUTE ON FUNCTION {WRITES_AS_OWNER}() TO PUBLIC")])
    for table, (using, check) in LEGACY.items():
        name = f"{table}_tenant_isolation"
        op.execute_online(
            table,
            [
                f"DROP POLICY IF EXISTS {name} ON {table}",
                f"CREATE POLICY {name} ON {table} USING ({using}) WITH CHECK ({check})",
            ],
        )
    for table in reversed(TABLES):
        transition = f"CREATE POLICY truing_transition ON {table} USING (true) WITH CHECK (true)"
        again = [] if table in LEGACY else [f"DROP POLICY IF EXISTS truing_transition ON {table}", transition]
        op.execute_online(table, [f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY", *again])
        op.execute_online(table, [give_writes_back(table)], lock="ACCESS SHARE")
    for view in VIEWS:
        undo = [f"ALTER VIEW IF EXISTS {view} RESET (security_invoker)"]
        if view == "active_profiles":
            undo.append(_if_there(view, f"REVOKE SELECT ON {view} FROM {ident(named().application)}"))
        op.execute_online("profiles", undo, lock="ACCESS SHARE")
    if roles.supabase:
        back = supabase.restore_privileges(place.schema(), place.program(), exactly=False)
        op.execute_online("tenants", [back], lock="ACCESS SHARE")


def _take(roles: Roles) -> str:
    return supabase.take_privileges(place.schema(), place.program(), roles.application, roles.administrator)


def _policy(table: str, name: str, whom: str) -> str:
    there = f"SELECT FROM pg_policies WHERE schemaname = current_schema() AND tablename = '{table}'"
    return f"""
        DO $$ BEGIN
          IF EXISTS ({there} AND policyname = '{name}') THEN ALTER POLICY {name} ON {table} TO {whom}; END IF;
        END $$
    """


def _if_there(view: str, statement: str) -> str:
    return f"DO $$ BEGIN IF to_regclass('{view}') IS NOT NULL THEN {statement}; END IF; END $$"


def _function(statement: str) -> str:
    return f"DO $$ BEGIN IF to_regprocedure('{WRITES_AS_OWNER}()') IS NOT NULL THEN {statement}; END IF; END $$"
