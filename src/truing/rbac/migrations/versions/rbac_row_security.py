"""Roles, the functions that answer, and policies on every table of a tenant; nobody notices yet.

Until the next revision a policy named ``truing_transition`` shows everybody every row of the tables that had no row
security, so that each release, job and report can be given its role and its setting first.

Revision ID: rbac_row_security
Revises: rbac_tenant_keys_contract
"""

from __future__ import annotations

from typing import Any

from alembic import op

from truing.names import QualifiedName, block, ident
from truing.rbac import place, program
from truing.rbac.program import binding
from truing.rbac.program.binding import CLAIM
from truing.rbac.roles import Roles, make, named

revision = "rbac_row_security"
down_revision = "rbac_tenant_keys_contract"
branch_labels = None
depends_on = None

# table -> which of its rows are a tenant's.
OF_TENANT = {
    "profiles": "tenant_id = {tenant}",
    "roles": "tenant_id = {tenant}",
    "role_permissions": "tenant_id = {tenant}",
    "role_inherits": "tenant_id = {tenant}",
    "role_grants": "tenant_id = {tenant}",
    "user_roles": "tenant_id = {tenant}",
    "tenant_features": "tenant_id = {tenant}",
    "tenant_rbac_versions": "tenant_id = {tenant}",
    "rbac_audit": "tenant_id = {tenant}",
    "tenants": "id = {tenant}",
    # In this order: of an item that is everybody's, the tenant is not asked.
    "sidebar_features": "is_global OR tenant_id = {tenant}",
}
# These had policies before, which go on deciding until the next revision.
HAD_POLICIES = frozenset({"profiles", "sidebar_features"})
EVERYBODYS = ("permissions", "feature_flags")
# Written by the program alone.
TRAIL = frozenset({"tenant_rbac_versions", "rbac_audit"})

# A few tenants at a time. Whoever is killed in between begins again.
COMPILE = """
    DECLARE done uuid; BEGIN
      LOOP
        done := (SELECT n.last FROM {program}.rebuild_next(done, {tenants}) n);
        EXIT WHEN done IS NULL;
        COMMIT;
      END LOOP;
    END
"""

# The program has let the numbers of permissions begin anew at their end.
COUNT_NO_FURTHER = """
    DO $$ BEGIN
      EXECUTE format('ALTER SEQUENCE %s NO CYCLE', pg_get_serial_sequence('permissions', 'bit_no'));
    END $$
"""

PROGRAM_GOES = """
    BEGIN
      DROP FUNCTION IF EXISTS {schema}.current_tenant();
      DROP SCHEMA IF EXISTS {schema};
    EXCEPTION WHEN dependent_objects_still_exist THEN
      NULL;
    END
"""


def policies(table: str, roles: Roles) -> list[dict[str, Any]]:
    """Return the policies of a table."""
    tenant = QualifiedName(place.program(), "current_tenant").sql + "()"
    of_tenant = OF_TENANT[table].format(tenant=tenant)
    isolation: dict[str, Any] = {
        "name": "tenant_isolation",
        "roles": [roles.application],
        "using": of_tenant,
        "command": "SELECT",
    }
    everything = {"using": "true", "check": "true"}
    return [
        isolation,
        {"name": "rbac_admin_all", "roles": [roles.administrator], **everything},
        {"name": "rbac_migration_all", "roles": [roles.migration], **everything},
    ]


def upgrade() -> None:
    """Make roles, functions and policies, and say who may read and write."""
    roles, bound = named(), place.wanted(place.given()) or place.bound()
    schema, where = place.schema(), place.program()
    op.execute_online("tenants", roles.remember(schema, where), lock="ACCESS SHARE")
    op.execute_online("tenants", make(roles), lock="ACCESS SHARE")
    statements = program.statements(
        schema=schema,
        program=where,
        setting=place.setting(),
        application=roles.application,
        administrator=roles.administrator,
        bind=bound.bind if bound is not None else None,
        claim=bound.claim if bound is not None else CLAIM,
        transition=True,
    )
    functions = statements[: -len(program.TRIGGERS)]
    op.execute_online("tenants", functions, lock="ACCESS SHARE")
    for table in dict.fromkeys(trigger.table for trigger in program.TRIGGERS):
        made = [t.create(schema=schema, program=where) for t in program.TRIGGERS if t.table == table]
        op.execute_online(table, made, lock="SHARE ROW EXCLUSIVE")
    with op.get_context().autocommit_block():
        # A colon in a name is no parameter.
        op.execute(block(COMPILE.format(program=ident(where), tenants=program.SLICE)).replace(":", r"\:"))
    for table in (*OF_TENANT, *EVERYBODYS):
        write = "SELECT" if table in TRAIL else "SELECT, INSERT, UPDATE, DELETE"
        op.execute_online(
            table,
            [
                f"GRANT SELECT ON {table} TO {ident(roles.application)}",
                f"GRANT {write} ON {table} TO {ident(roles.administrator)}",
            ],
            lock="ACCESS SHARE",
        )
    names = f"{ident(roles.application)}, {ident(roles.administrator)}"
    op.execute_online(
        "roles",
        [
            f"GRANT USAGE ON SCHEMA {ident(schema)} TO {names}",
            f"GRANT USAGE ON SEQUENCE roles_id_seq TO {ident(roles.administrator)}",
        ],
        lock="ACCESS SHARE",
    )
    for table in OF_TENANT:
        op.enable_row_security_online(table, policies(table, roles))


def downgrade() -> None:
    """Take policies and functions away. The roles stay: other databases may use them."""
    roles = named(down=True)
    schema, where = place.schema(), place.program()
    for table in reversed(OF_TENANT):
        gone = [str(policy["name"]) for policy in policies(table, roles)]
        op.disable_row_security_online(table, gone, keep=table in HAD_POLICIES)
    op.execute_online(
        "roles", [f"REVOKE ALL ON SEQUENCE roles_id_seq FROM {ident(roles.administrator)}"], lock="ACCESS SHARE"
    )
    for table in (*OF_TENANT, *EVERYBODYS):
        op.execute_online(table, [f"REVOKE ALL ON {table} FROM {ident(roles.administrator)}"], lock="ACCESS SHARE")
    for table in (*TRAIL, "role_inherits", "role_grants"):
        op.execute_online(table, [f"REVOKE ALL ON {table} FROM {ident(roles.application)}"], lock="ACCESS SHARE")
    for table in dict.fromkeys(trigger.table for trigger in program.TRIGGERS):
        gone = [trigger.drop(schema=schema) for trigger in program.TRIGGERS if trigger.table == table]
        op.execute_online(table, gone)
    functions = program.drop_statements(schema=schema, program=where)[len(program.TRIGGERS) :]
    kept = [binding.drop_table(where, each) for each in binding.TABLES]
    op.execute_online(
        "tenants", [*functions, *kept, block(PROGRAM_GOES.format(schema=ident(where)))], lock="ACCESS SHARE"
    )
    op.execute_online(
        "roles", [f"REVOKE USAGE ON SCHEMA {ident(schema)} FROM {ident(roles.administrator)}"], lock="ACCESS SHARE"
    )
    op.execute_online("tenants", [roles.restore(schema, where, exactly=True)], lock="ACCESS SHARE")
    op.execute_online("permissions", [COUNT_NO_FURTHER])
