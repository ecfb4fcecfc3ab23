"""What the release before needed goes: the old name of a flag, the keys and indexes that leave the tenant out.

Run it with the release that writes ``role_permissions.tenant_id`` and ``feature_flags.default_enabled``.

Revision ID: rbac_tenant_keys_contract
Revises: rbac_tenant_keys
"""

from __future__ import annotations

from alembic import op

from truing.rbac import place

revision = "rbac_tenant_keys_contract"
down_revision = "rbac_tenant_keys"
branch_labels = None
depends_on = None

# Each is the beginning of a key that is there.
INDEXES = (
    ("idx_user_roles_tenant_id", "user_roles", ["tenant_id"]),
    ("idx_user_roles_role_id", "user_roles", ["role_id"]),
    ("idx_roles_tenant_id", "roles", ["tenant_id"]),
)

ONE_NAME = (
    "DROP TRIGGER IF EXISTS trg_feature_flags_both_names ON feature_flags",
    "DROP FUNCTION IF EXISTS feature_flags_both_names()",
)
BOTH_NAMES = (
    "ALTER TABLE feature_flags ADD COLUMN IF NOT EXISTS is_enabled boolean NOT NULL DEFAULT false",
    "UPDATE feature_flags SET is_enabled = default_enabled WHERE is_enabled <> default_enabled",
    """
    CREATE OR REPLACE FUNCTION feature_flags_both_names() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      IF TG_OP = 'INSERT' THEN
        NEW.default_enabled := NEW.default_enabled OR NEW.is_enabled;
      ELSIF NEW.is_enabled IS DISTINCT FROM OLD.is_enabled THEN
        NEW.default_enabled := NEW.is_enabled;
      END IF;
      NEW.is_enabled := NEW.default_enabled;
      RETURN NEW;
    END $$
    """,
    """
    CREATE OR REPLACE TRIGGER trg_feature_flags_both_names BEFORE INSERT OR UPDATE ON feature_flags
      FOR EACH ROW EXECUTE FUNCTION feature_flags_both_names()
    """,
)


def upgrade() -> None:
    """Drop what only the release before knows."""
    op.add_primary_key_online(
        "role_permissions",
        "pk_role_permissions",
        ["tenant_id", "role_id", "permission_id"],
        replaces="role_permissions_pkey",
    )
    op.finish_column_online("role_permissions", "tenant_id")
    op.drop_unique_online("user_roles", "user_roles_user_id_role_id_key")
    for name, table, _ in INDEXES:
        op.drop_index_online(name, table)
    op.execute_online("feature_flags", ONE_NAME)
    op.drop_column_online("feature_flags", "is_enabled")


def downgrade() -> None:
    """Bring it back."""
    op.execute_online("feature_flags", BOTH_NAMES)
    for name, table, columns in reversed(INDEXES):
        op.create_index_online(name, table, columns)
    op.add_unique_online("user_roles", "user_roles_user_id_role_id_key", ["user_id", "role_id"])
    roles = place.table("roles")
    op.finish_column_online(
        "role_permissions", "tenant_id", on_insert=f"(SELECT r.tenant_id FROM {roles} r WHERE r.id = NEW.role_id)"
    )
    op.add_primary_key_online(
        "role_permissions", "role_permissions_pkey", ["role_id", "permission_id"], replaces="pk_role_permissions"
    )
