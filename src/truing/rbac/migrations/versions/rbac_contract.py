"""What the way back and the release before needed goes: the old text column, and what only text had a use for.

Run it with the release after the one that reads UUIDs and knows ``is_global``. The original texts that differ are kept
aside, so that the downgrade still restores every one of them.

Revision ID: rbac_contract
Revises: rbac_foreign_key_implementation
"""

from __future__ import annotations

from alembic import op

from truing.rbac import place

revision = "rbac_contract"
down_revision = "rbac_foreign_key_implementation"
branch_labels = None
depends_on = None

NIL = "00000000-0000-0000-0000-000000000000"

UNGUARD = (
    "DROP TRIGGER IF EXISTS trg_sidebar_features_scope ON sidebar_features",
    "DROP FUNCTION IF EXISTS sidebar_features_scope()",
)
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
)


def upgrade() -> None:
    """Drop the old column; a UUID has no case and is never 'undefined', and a row without a tenant is an error now."""
    place.tenant_keys_need()
    op.contract_column_online("profiles", "tenant_id")
    op.execute_online("profiles", ["ALTER TABLE profiles ALTER COLUMN tenant_id DROP DEFAULT"])
    op.drop_index_online("idx_profiles_tenant_lower", "profiles")
    op.drop_check_online("profiles", "ck_profiles_tenant_defined")
    op.execute_online("sidebar_features", UNGUARD)
    op.finish_column_online("sidebar_features", "is_global")


def downgrade() -> None:
    """Bring the old column back with its original texts, and what the release before needs."""
    op.finish_column_online("sidebar_features", "is_global", default="false", on_insert="NEW.tenant_id IS NULL")
    op.execute_online("sidebar_features", GUARD)
    op.add_check_online("profiles", "ck_profiles_tenant_defined", "tenant_id::text <> 'undefined'")
    op.create_index_online(
        "idx_profiles_tenant_lower", "profiles", [], expressions=["lower(left(tenant_id::text, 36))"]
    )
    op.execute_online("profiles", [f"ALTER TABLE profiles ALTER COLUMN tenant_id SET DEFAULT '{NIL}'"])
    op.restore_column_online("profiles", "tenant_id")
