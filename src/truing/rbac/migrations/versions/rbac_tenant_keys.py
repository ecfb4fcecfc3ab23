"""Every edge inside a tenant becomes a key that holds the tenant, and every name a key that holds the name; all online.

A grant across tenants, a role or permission that does not exist, a duplicate, a path that leaves the site: each is
found and counted before anything is changed, settled by its policy and kept with its original; the downgrade brings it
back. The release before goes on writing: new columns have defaults, or a trigger that fills them.

Revision ID: rbac_tenant_keys
Revises: rbac_contract
"""

from __future__ import annotations

from alembic import op

from truing.rbac import place

revision = "rbac_tenant_keys"
down_revision = "rbac_contract"
branch_labels = None
depends_on = None

NIL = "00000000-0000-0000-0000-000000000000"

# What stops the upgrade, before anything is changed: only a person can say what is meant. Renaming a permission breaks
# the code that asks for it, and an active nil tenant may have people in it.
STOPPERS = (
    ("permissions", "ck_permissions_name", r"name ~ '^(\*|[a-z0-9_]+([.:][a-z0-9_]+)*([.:]\*)?)$'"),
    ("tenants", "ck_tenants_not_nil", f"id <> '{NIL}' OR NOT is_active"),
)

# table, column, type, default. The catalog keeps the default for the rows that are there; without one they hold NULL.
COLUMNS = (
    ("tenants", "description", "text", None),
    ("permissions", "created_at", "timestamptz", "now()"),
    ("permissions", "updated_at", "timestamptz", "now()"),
    ("feature_flags", "rollout_percentage", "numeric(5,2)", "100"),
    ("feature_flags", "archived_at", "timestamptz", None),
    ("feature_flags", "updated_at", "timestamptz", "now()"),
    ("roles", "is_system", "boolean", "false"),
    ("roles", "allow_mask", "bit(1024)", "0::bit(1024)"),
    ("roles", "deny_mask", "bit(1024)", "0::bit(1024)"),
    ("roles", "updated_at", "timestamptz", "now()"),
    ("profiles", "avatar_url", "text", None),
    ("profiles", "bio", "text", None),
    ("profiles", "active", "boolean", "true"),
    ("role_permissions", "effect", "text", "'allow'"),
    ("user_roles", "granted_by", "uuid", None),
    ("user_roles", "valid_from", "timestamptz", None),
    ("user_roles", "expires_at", "timestamptz", None),
    ("user_roles", "updated_at", "timestamptz", "now()"),
    ("tenant_features", "rollout_percentage", "numeric(5,2)", None),
    ("tenant_features", "expires_at", "timestamptz", None),
    ("tenant_features", "updated_at", "timestamptz", "now()"),
    ("sidebar_features", "group_name", "text", None),
    ("sidebar_features", "requires_feature", "uuid", None),
)

CHECKS = (
    ("tenants", "ck_tenants_slug", "slug ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'"),
    ("feature_flags", "ck_feature_flags_rollout", "rollout_percentage BETWEEN 0 AND 100"),
    ("tenant_features", "ck_tenant_features_rollout", "rollout_percentage BETWEEN 0 AND 100"),
    ("role_permissions", "ck_role_permissions_effect", "effect IN ('allow', 'deny')"),
    ("user_roles", "ck_user_roles_window", "expires_at > valid_from"),
)

# table, name, columns, what becomes of all but the first, which column. A role has grants of its own hanging on it, so
# it gets another name rather than moving away.
UNIQUE = (
    ("tenants", "uq_tenants_slug", ["slug"], "fail", None),
    ("permissions", "uq_permissions_bit_no", ["bit_no"], "fail", None),
    ("roles", "uq_roles_tenant_id_id", ["tenant_id", "id"], "fail", None),
    ("roles", "uq_role_name_tenant", ["tenant_id", "name"], {"value": "t.name || ' (' || t.id || ')'"}, "name"),
    ("profiles", "uq_profiles_tenant_id_id", ["tenant_id", "id"], "fail", None),
    ("user_roles", "uq_user_roles_tenant_user_role", ["tenant_id", "user_id", "role_id"], "fail", None),
)

# table, constraint, its own column (beside tenant_id), referent. A constraint keeps its name; while the one without the
# tenant is there too, that one has another.
REPLACED = (
    ("user_roles", "fk_user_roles_profile", "user_id", "profiles"),
    ("user_roles", "fk_user_roles_role", "role_id", "roles"),
    ("role_permissions", "fk_role_permissions_role", "role_id", "roles"),
)

PLAIN_INDEXES = (
    ("idx_user_roles_tenant_role", "user_roles", ["tenant_id", "role_id"], None),
    ("idx_profiles_tenant_role", "profiles", ["tenant_id", "role"], None),
    ("idx_sidebar_features_requires_feature", "sidebar_features", ["requires_feature"], "requires_feature IS NOT NULL"),
    (
        "idx_sidebar_features_requires_permission",
        "sidebar_features",
        ["requires_permission"],
        "requires_permission IS NOT NULL",
    ),
    ("idx_sidebar_features_global", "sidebar_features", ["display_order"], "is_global"),
)

# A role is shown, never read by what decides, so one that does not exist is emptied; an item whose permission does not
# exist is moved away, for without the condition everybody would see it.
DISPLAY_ROLE = "fk_profiles_role"
ITEM_KEYS = (
    (
        "fk_sidebar_features_requires_permission",
        "requires_permission",
        "permissions",
        "name",
        {"ondelete": "RESTRICT", "onupdate": "CASCADE", "orphans": "quarantine-rows"},
    ),
    (
        "fk_sidebar_features_requires_feature",
        "requires_feature",
        "feature_flags",
        "id",
        {"ondelete": "CASCADE", "orphans": "quarantine-rows"},
    ),
)

# A path of the site: not `javascript:`, not `//elsewhere`, not `/\elsewhere`, which browsers read as the same.
URL = r"url_path ~ '^/([^/\\]|$)'"

# A permission's place in the masks. There are at most 1,024 of them, so that the rewrite is one of a few pages.
BIT_NO = """
    ALTER TABLE permissions ADD COLUMN IF NOT EXISTS bit_no smallint NOT NULL
      GENERATED BY DEFAULT AS IDENTITY (MINVALUE 0 MAXVALUE 1023)
"""

# Two names for one thing until the release before is gone. An insert that says nothing leaves both false.
BOTH_NAMES = (
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
    "UPDATE feature_flags SET default_enabled = is_enabled WHERE default_enabled IS DISTINCT FROM is_enabled",
)
ONE_NAME = (
    "DROP TRIGGER IF EXISTS trg_feature_flags_both_names ON feature_flags",
    "DROP FUNCTION IF EXISTS feature_flags_both_names()",
)

TABLES = (
    """
    CREATE TABLE IF NOT EXISTS role_inherits (
      tenant_id uuid NOT NULL,
      role_id integer NOT NULL,
      parent_id integer NOT NULL,
      CONSTRAINT pk_role_inherits PRIMARY KEY (tenant_id, role_id, parent_id),
      CONSTRAINT ck_role_inherits_self CHECK (role_id <> parent_id),
      CONSTRAINT fk_role_inherits_role FOREIGN KEY (tenant_id, role_id)
        REFERENCES roles (tenant_id, id) ON DELETE CASCADE,
      CONSTRAINT fk_role_inherits_parent FOREIGN KEY (tenant_id, parent_id)
        REFERENCES roles (tenant_id, id) ON DELETE CASCADE)
    """,
    "CREATE INDEX IF NOT EXISTS idx_role_inherits_parent ON role_inherits (tenant_id, parent_id)",
    """
    CREATE TABLE IF NOT EXISTS role_grants (
      tenant_id uuid NOT NULL,
      role_id integer NOT NULL,
      grantable_role_id integer NOT NULL,
      CONSTRAINT pk_role_grants PRIMARY KEY (tenant_id, role_id, grantable_role_id),
      CONSTRAINT fk_role_grants_role FOREIGN KEY (tenant_id, role_id)
        REFERENCES roles (tenant_id, id) ON DELETE CASCADE,
      CONSTRAINT fk_role_grants_grantable FOREIGN KEY (tenant_id, grantable_role_id)
        REFERENCES roles (tenant_id, id) ON DELETE CASCADE)
    """,
    "CREATE INDEX IF NOT EXISTS idx_role_grants_grantable ON role_grants (tenant_id, grantable_role_id)",
)
VERSIONS = """
    CREATE TABLE IF NOT EXISTS tenant_rbac_versions (
      tenant_id uuid NOT NULL,
      version bigint NOT NULL DEFAULT 1,
      CONSTRAINT pk_tenant_rbac_versions PRIMARY KEY (tenant_id),
      CONSTRAINT fk_tenant_rbac_versions_tenant FOREIGN KEY (tenant_id) REFERENCES tenants (id) ON DELETE CASCADE)
      WITH (fillfactor = 50)
"""
# It outlives its tenant, so it has no foreign key, and a downgrade, which only puts it aside.
AUDIT = """
    DO $$ DECLARE aside text := '_truing.' || quote_ident('rbac_audit_' || left(md5(current_schema()), 8)); BEGIN
      IF to_regclass(aside) IS NOT NULL THEN
        EXECUTE format('ALTER TABLE %s SET SCHEMA %I', aside, current_schema());
        EXECUTE format('ALTER TABLE %I RENAME TO rbac_audit', 'rbac_audit_' || left(md5(current_schema()), 8));
      ELSE
        CREATE TABLE IF NOT EXISTS rbac_audit (
          tenant_id uuid NOT NULL,
          id bigint GENERATED ALWAYS AS IDENTITY,
          at timestamptz NOT NULL DEFAULT clock_timestamp(),
          actor text NOT NULL DEFAULT COALESCE(NULLIF(current_setting('app.actor', true), ''), session_user),
          impersonator text DEFAULT NULLIF(current_setting('app.impersonator', true), ''),
          txid xid8 NOT NULL DEFAULT pg_current_xact_id(),
          op text NOT NULL,
          table_name text NOT NULL,
          old_row jsonb,
          new_row jsonb,
          CONSTRAINT pk_rbac_audit PRIMARY KEY (tenant_id, id));
      END IF;
    END $$
"""
AUDIT_ASIDE = """
    DO $$ DECLARE aside text := 'rbac_audit_' || left(md5(current_schema()), 8); kept boolean; BEGIN
      IF to_regclass('rbac_audit') IS NOT NULL THEN
        EXECUTE 'SELECT EXISTS (SELECT FROM rbac_audit)' INTO kept;
        IF kept THEN
          EXECUTE format('ALTER TABLE rbac_audit RENAME TO %I', aside);
          EXECUTE format('ALTER TABLE %I SET SCHEMA _truing', aside);
        ELSE
          DROP TABLE rbac_audit;
        END IF;
      END IF;
    END $$
"""

# What only this schema can say, and what would be a grant without it: moved away by the downgrade, back by an upgrade.
UNSAYABLE = (
    ("role_permissions", "ck_role_permissions_sayable", "effect = 'allow'", "permission_id"),
    ("user_roles", "ck_user_roles_sayable", "valid_from IS NULL AND expires_at IS NULL", "user_id"),
)


def upgrade() -> None:
    """Look for what stops it; add columns, keys, and the new tables."""
    place.require(*place.TENANT_KEYS)
    for table, name, condition in STOPPERS:
        op.add_check_online(table, name, condition)
    _add_columns()
    for table, name, condition in CHECKS:
        op.add_check_online(table, name, condition)
    for table, name, columns, duplicates, column in UNIQUE:
        op.add_unique_online(table, name, columns, duplicates=duplicates, column=column)
    op.create_index_online(
        "uq_profiles_tenant_email",
        "profiles",
        ["tenant_id"],
        expressions=["lower(email)"],
        unique=True,
        where="email IS NOT NULL",
        duplicates="null",
        column="email",
        first=["created_at"],
    )
    for name, table, columns, where in PLAIN_INDEXES:
        op.create_index_online(name, table, columns, where=where)
    _key_the_grants()
    _key_the_names()
    op.execute_online("roles", TABLES, lock="SHARE ROW EXCLUSIVE")
    op.execute_online("tenants", [VERSIONS, AUDIT], lock="SHARE ROW EXCLUSIVE")
    for table, name, _, _ in UNSAYABLE:
        op.drop_check_online(table, name)


def _add_columns() -> None:
    for table, column, type_, default in COLUMNS:
        op.add_column_online(table, column, type_, default=default, nullable=default is None)
    # A random one is unique without asking anybody; people choose a better one.
    op.add_column_online("tenants", "slug", "text", value="t.id::text", default="gen_random_uuid()::text")
    op.execute_online("permissions", [BIT_NO])
    op.add_column_online("feature_flags", "default_enabled", "boolean", value="t.is_enabled", default="false")
    op.execute_online("feature_flags", BOTH_NAMES)
    roles = place.table("roles")
    op.add_column_online(
        "role_permissions",
        "tenant_id",
        "uuid",
        value=f"(SELECT r.tenant_id FROM {roles} r WHERE r.id = t.role_id)",
        on_insert=f"(SELECT r.tenant_id FROM {roles} r WHERE r.id = NEW.role_id)",
    )


def _key_the_grants() -> None:
    for table, name, column, referent in REPLACED:
        op.execute_online(table, [_rename(table, name, f"{name}_alone", columns=1)])
        op.add_foreign_key_online(
            table,
            ["tenant_id", column],
            referent,
            ["tenant_id", "id"],
            name=name,
            ondelete="CASCADE",
            orphans="quarantine-rows",
        )
        op.drop_foreign_key_online(table, f"{name}_alone")


def _rename(table: str, name: str, to: str, *, columns: int) -> str:
    return f"""
        DO $$ BEGIN
          IF EXISTS (SELECT FROM pg_constraint WHERE conrelid = '{table}'::regclass AND conname = '{name}'
                     AND cardinality(conkey) = {columns}) THEN
            ALTER TABLE {table} RENAME CONSTRAINT {name} TO {to};
          END IF;
        END $$
    """


def _key_the_names() -> None:
    # 'member' would be refused wherever a tenant has no such role; it grants nothing, so nothing is lost without it.
    op.execute_online("profiles", ["ALTER TABLE profiles ALTER COLUMN role DROP DEFAULT"])
    op.add_foreign_key_online(
        "profiles",
        ["tenant_id", "role"],
        "roles",
        ["tenant_id", "name"],
        name=DISPLAY_ROLE,
        onupdate="CASCADE",
        ondelete="SET NULL (role)",
        orphans="null",
    )
    op.add_check_online(
        "sidebar_features", "ck_sidebar_features_url", URL, violations="quarantine-rows", column="url_path"
    )
    for name, column, referent, key, options in ITEM_KEYS:
        op.add_foreign_key_online("sidebar_features", [column], referent, [key], name=name, **options)
    # The orphans of ON DELETE SET NULL are outside the predicate: nobody sees them, and several may be left.
    op.create_index_online(
        "uq_sidebar_features_scope_path",
        "sidebar_features",
        ["tenant_id", "url_path"],
        unique=True,
        nulls_not_distinct=True,
        where="tenant_id IS NOT NULL OR is_global",
        duplicates="quarantine-rows",
        first=["created_at"],
    )


def downgrade() -> None:
    """Undo it in reverse. A denial and a grant with an end would be grants without one, so they wait in quarantine."""
    for table, name, condition, column in UNSAYABLE:
        op.add_check_online(table, name, condition, violations="quarantine-rows", column=column)
    op.execute_online("tenants", ["DROP TABLE IF EXISTS tenant_rbac_versions", AUDIT_ASIDE])
    op.execute_online("roles", ["DROP TABLE IF EXISTS role_grants", "DROP TABLE IF EXISTS role_inherits"])
    op.drop_index_online("uq_sidebar_features_scope_path", "sidebar_features")
    for name, *_ in reversed(ITEM_KEYS):
        op.drop_foreign_key_online("sidebar_features", name)
    op.drop_check_online("sidebar_features", "ck_sidebar_features_url")
    op.drop_foreign_key_online("profiles", DISPLAY_ROLE)
    op.execute_online("profiles", ["ALTER TABLE profiles ALTER COLUMN role SET DEFAULT 'member'"])
    for table, name, column, referent in reversed(REPLACED):
        alone = f"{name}_alone"
        op.add_foreign_key_online(table, [column], referent, ["id"], name=alone, ondelete="CASCADE")
        op.drop_foreign_key_online(table, name, columns=["tenant_id", column])
        op.execute_online(table, [_rename(table, alone, name, columns=1)])
    for name, table, _, _ in reversed(PLAIN_INDEXES):
        op.drop_index_online(name, table)
    op.drop_index_online("uq_profiles_tenant_email", "profiles")
    for table, name, *_ in reversed(UNIQUE):
        op.drop_unique_online(table, name)
    for table, name, _ in reversed(CHECKS):
        op.drop_check_online(table, name)
    op.drop_column_online("role_permissions", "tenant_id")
    op.execute_online("feature_flags", ONE_NAME)
    op.drop_column_online("feature_flags", "default_enabled")
    op.drop_column_online("permissions", "bit_no")
    op.drop_column_online("tenants", "slug")
    for table, column, _, _ in reversed(COLUMNS):
        op.drop_column_online(table, column)
    for table, name, _ in reversed(STOPPERS):
        op.drop_check_online(table, name)
