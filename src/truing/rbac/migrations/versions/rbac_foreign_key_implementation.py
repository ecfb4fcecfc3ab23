"""Tenant ids become UUIDs, every reference a foreign key with an index, and the sidebar gets a scope; all online.

Nothing is thrown away: values without a place go to the inactive sentinel tenant or to quarantine with their originals,
and the downgrade brings them back. Within a table the order is: what decides the meaning of NULL, then NOT NULL, then
the index of a foreign key, then the key itself, so that no parent's DELETE ever scans the child.

Revision ID: rbac_foreign_key_implementation
Revises: rbac_legacy_baseline
"""

from __future__ import annotations

from alembic import op

from truing.rbac import place

revision = "rbac_foreign_key_implementation"
down_revision = "rbac_legacy_baseline"
branch_labels = None
depends_on = None

NIL = "00000000-0000-0000-0000-000000000000"
SENTINEL = {"null": "sentinel", "empty": "sentinel", "malformed": "sentinel", "orphan": "sentinel"}
HOLDING_TENANT = {"name": "Rows without a valid tenant", "is_active": "false"}

# What NULL meant in the legacy database: `WHERE is_active` and `if flag.is_enabled` take it for false.
FLAGS = (("tenants", "is_active"), ("feature_flags", "is_enabled"), ("tenant_features", "is_enabled"))

# table, column, referent, constraint, what becomes of orphans. A grant or a setting of something that does not exist is
# set aside; a role has grants of its own hanging on it, so it moves to the sentinel tenant rather than away.
KEYS = (
    ("profiles", "tenant_id", "tenants", "fk_profiles_tenant", "sentinel"),
    ("roles", "tenant_id", "tenants", "fk_roles_tenant", "sentinel"),
    ("role_permissions", "role_id", "roles", "fk_role_permissions_role", "quarantine-rows"),
    ("role_permissions", "permission_id", "permissions", "fk_role_permissions_permission", "quarantine-rows"),
    ("user_roles", "user_id", "profiles", "fk_user_roles_profile", "quarantine-rows"),
    ("user_roles", "role_id", "roles", "fk_user_roles_role", "quarantine-rows"),
    ("user_roles", "tenant_id", "tenants", "fk_user_roles_tenant", "quarantine-rows"),
    ("tenant_features", "tenant_id", "tenants", "fk_tenant_features_tenant", "quarantine-rows"),
    ("tenant_features", "feature_id", "feature_flags", "fk_tenant_features_feature", "quarantine-rows"),
    ("sidebar_features", "feature_id", "feature_flags", "fk_sidebar_features_feature", "quarantine-rows"),
)

# The primary key of role_permissions begins with role_id, the unique key of tenant_features with tenant_id.
INDEXED_BY_A_KEY = frozenset({("role_permissions", "role_id"), ("tenant_features", "tenant_id")})

POLICIES_BY_SCOPE = (
    """
    ALTER POLICY sidebar_features_tenant_isolation ON sidebar_features
      USING (is_global OR tenant_id::text = current_setting('app.tenant_id', true))
    """,
    """
    ALTER POLICY sidebar_features_jwt_read ON sidebar_features
      USING (is_global OR tenant_id::text = jwt_tenant_id())
    """,
)
POLICIES_BY_NULL = (
    """
    ALTER POLICY sidebar_features_tenant_isolation ON sidebar_features
      USING (tenant_id IS NULL OR tenant_id::text = current_setting('app.tenant_id', true))
    """,
    """
    ALTER POLICY sidebar_features_jwt_read ON sidebar_features
      USING (tenant_id IS NULL OR tenant_id::text = jwt_tenant_id())
    """,
)

# The release that does not know is_global gives an item that was everybody's to a tenant: then it is no longer
# everybody's. Never the other way about: NULL is also what ON DELETE SET NULL leaves behind.
GUARD = (
    """
    CREATE OR REPLACE FUNCTION sidebar_features_scope() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      NEW.is_global := NEW.is_global AND NEW.tenant_id IS NULL;
      RETURN NEW;
    END $$
    """,
    """
    CREATE OR REPLACE TRIGGER trg_sidebar_features_scope BEFORE UPDATE OF tenant_id ON sidebar_features
      FOR EACH ROW WHEN (NEW.tenant_id IS NOT NULL) EXECUTE FUNCTION sidebar_features_scope()
    """,
    "UPDATE sidebar_features SET is_global = false WHERE is_global AND tenant_id IS NOT NULL",
)
UNGUARD = (
    "DROP TRIGGER IF EXISTS trg_sidebar_features_scope ON sidebar_features",
    "DROP FUNCTION IF EXISTS sidebar_features_scope()",
)


# A downgrade that was killed runs again from its first line: by then the column may be gone.
HIDE = f"""
    DO $$ BEGIN
      IF EXISTS (SELECT FROM pg_attribute
                 WHERE attrelid = 'sidebar_features'::regclass AND attname = 'is_global' AND NOT attisdropped) THEN
        UPDATE sidebar_features SET tenant_id = '{NIL}' WHERE tenant_id IS NULL AND NOT is_global;
      END IF;
    END $$
"""


def upgrade() -> None:
    """Convert, constrain and scope."""
    place.tenant_keys_need()
    op.convert_column_online(
        "profiles",
        "tenant_id",
        "uuid",
        references="tenants.id",
        nullable=False,
        dirty=SENTINEL,
        parent=HOLDING_TENANT,
        sentinel=NIL,
    )
    for table, column in FLAGS:
        op.set_not_null_online(table, column, nulls={"value": "false"})
    op.set_not_null_online("user_roles", "tenant_id", nulls="quarantine-rows")
    op.set_not_null_online("sidebar_features", "feature_id", nulls="quarantine-rows")
    for table, column, referent, name, orphans in KEYS:
        if (table, column) not in INDEXED_BY_A_KEY:
            op.create_index_online(f"idx_{table}_{column}", table, [column])
        parent = HOLDING_TENANT if orphans == "sentinel" else None
        op.add_foreign_key_online(
            table, [column], referent, ["id"], name=name, ondelete="CASCADE", orphans=orphans, parent=parent
        )
    _scope_the_sidebar()


def _scope_the_sidebar() -> None:
    """Say in a column what NULL said, before ON DELETE SET NULL gives NULL a second meaning."""
    op.add_column_online(
        "sidebar_features",
        "is_global",
        "boolean",
        value="tenant_id IS NULL",
        default="false",
        on_insert="NEW.tenant_id IS NULL",
    )
    op.execute_online("sidebar_features", GUARD)
    op.add_check_online("sidebar_features", "ck_sidebar_features_scope", "NOT (is_global AND tenant_id IS NOT NULL)")
    op.execute_online("sidebar_features", POLICIES_BY_SCOPE)
    op.create_index_online("idx_sidebar_features_tenant_id", "sidebar_features", ["tenant_id"])
    op.add_foreign_key_online(
        "sidebar_features",
        ["tenant_id"],
        "tenants",
        ["id"],
        name="fk_sidebar_features_tenant",
        ondelete="SET NULL",
        orphans="null",
    )


def downgrade() -> None:
    """Undo it in reverse; quarantined rows and original values come back."""
    _unscope_the_sidebar()
    for table, column, _, name, _ in reversed(KEYS):
        op.drop_foreign_key_online(table, name)
        if (table, column) not in INDEXED_BY_A_KEY:
            op.drop_index_online(f"idx_{table}_{column}", table)
    op.drop_not_null_online("sidebar_features", "feature_id")
    op.drop_not_null_online("user_roles", "tenant_id")
    for table, column in reversed(FLAGS):
        op.drop_not_null_online(table, column)
    op.revert_column_online("profiles", "tenant_id")


def _unscope_the_sidebar() -> None:
    """Let NULL mean global again, but not for the items of tenants that were deleted meanwhile: they stay hidden."""
    op.drop_foreign_key_online("sidebar_features", "fk_sidebar_features_tenant")
    op.drop_index_online("idx_sidebar_features_tenant_id", "sidebar_features")
    # A sidebar is small, so both in one transaction: at no moment does a private item look like everybody's.
    op.execute_online("sidebar_features", [HIDE, *POLICIES_BY_NULL])
    op.drop_check_online("sidebar_features", "ck_sidebar_features_scope")
    op.execute_online("sidebar_features", UNGUARD)
    op.drop_column_online("sidebar_features", "is_global")
