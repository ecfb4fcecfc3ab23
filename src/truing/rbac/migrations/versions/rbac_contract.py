"""What the way back needed goes: the old text column, and the index and check that only text had a use for.

Run it with the release after the one that reads UUIDs. The original texts that differ are kept aside, so that the
downgrade still restores every one of them.

Revision ID: rbac_contract
Revises: rbac_foreign_key_implementation
"""

from __future__ import annotations

from alembic import op

revision = "rbac_contract"
down_revision = "rbac_foreign_key_implementation"
branch_labels = None
depends_on = None

NIL = "00000000-0000-0000-0000-000000000000"


def upgrade() -> None:
    """Drop the old column; a UUID has no case, and is never 'undefined'; no tenant is no longer a tenant."""
    op.execute_online("profiles", ["ALTER TABLE profiles ALTER COLUMN tenant_id DROP DEFAULT"])
    op.contract_column_online("profiles", "tenant_id")
    op.drop_index_online("idx_profiles_tenant_lower", "profiles")
    op.drop_check_online("profiles", "ck_profiles_tenant_defined")


def downgrade() -> None:
    """Bring the old column back with its original texts."""
    op.add_check_online("profiles", "ck_profiles_tenant_defined", "tenant_id::text <> 'undefined'")
    op.create_index_online("idx_profiles_tenant_lower", "profiles", ["lower(left(tenant_id::text, 36))"])
    op.restore_column_online("profiles", "tenant_id")
    op.execute_online("profiles", [f"ALTER TABLE profiles ALTER COLUMN tenant_id SET DEFAULT '{NIL}'"])
