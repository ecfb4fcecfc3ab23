"""The database as teams have it: text tenant ids, policies and views that read them, hardly a foreign key.

A new database passes through it on the way to head; a live one is compared with it and stamped (``truing rbac
adopt``). Nothing of schema ``auth`` is made here: it belongs to somebody else.

Revision ID: rbac_legacy_baseline
Revises:
"""

from __future__ import annotations

from alembic import op

from truing.rbac import place
from truing.rbac.roles import named

revision = "rbac_legacy_baseline"
down_revision = None
branch_labels = ("rbac",)
depends_on = None

_TABLES = (
    """
    CREATE TABLE tenants (
      id uuid NOT NULL DEFAULT gen_random_uuid(),
      name text NOT NULL,
      is_active boolean DEFAULT true,
      created_at timestamptz NOT NULL DEFAULT now(),
      updated_at timestamptz NOT NULL DEFAULT now(),
      CONSTRAINT tenants_pkey PRIMARY KEY (id))
    """,
    """
    CREATE TABLE profiles (
      id uuid NOT NULL DEFAULT gen_random_uuid(),
      tenant_id text DEFAULT 'default',
      email text,
      display_name text,
      role text DEFAULT 'member',
      created_at timestamptz NOT NULL DEFAULT now(),
      updated_at timestamptz NOT NULL DEFAULT now(),
      CONSTRAINT profiles_pkey PRIMARY KEY (id),
      CONSTRAINT ck_profiles_reachable CHECK (tenant_id IS NOT NULL OR email IS NOT NULL),
      CONSTRAINT ck_profiles_email CHECK (email IS NULL OR POSITION('@' IN email) > 1),
      CONSTRAINT ck_profiles_tenant_defined CHECK (tenant_id <> 'undefined'))
    """,
    """
    CREATE TABLE tenant_moves (
      id bigint GENERATED ALWAYS AS IDENTITY,
      profile_id uuid NOT NULL,
      from_tenant text,
      to_tenant text,
      moved_at timestamptz NOT NULL DEFAULT now(),
      CONSTRAINT tenant_moves_pkey PRIMARY KEY (id))
    """,
    """
    CREATE TABLE roles (
      id serial NOT NULL,
      tenant_id uuid NOT NULL,
      name text NOT NULL,
      description text,
      created_at timestamptz NOT NULL DEFAULT now(),
      CONSTRAINT roles_pkey PRIMARY KEY (id))
    """,
    """
    CREATE TABLE permissions (
      id uuid NOT NULL DEFAULT gen_random_uuid(),
      name text NOT NULL,
      description text,
      CONSTRAINT permissions_pkey PRIMARY KEY (id),
      CONSTRAINT permissions_name_key UNIQUE (name))
    """,
    """
    CREATE TABLE role_permissions (
      role_id integer NOT NULL,
      permission_id uuid NOT NULL,
      created_at timestamptz NOT NULL DEFAULT now(),
      CONSTRAINT role_permissions_pkey PRIMARY KEY (role_id, permission_id))
    """,
    """
    CREATE TABLE user_roles (
      id uuid NOT NULL DEFAULT gen_random_uuid(),
      user_id uuid NOT NULL,
      role_id integer NOT NULL,
      tenant_id uuid,
      created_at timestamptz NOT NULL DEFAULT now(),
      CONSTRAINT user_roles_pkey PRIMARY KEY (id),
      CONSTRAINT user_roles_user_id_role_id_key UNIQUE (user_id, role_id))
    """,
    """
    CREATE TABLE feature_flags (
      id uuid NOT NULL DEFAULT gen_random_uuid(),
      name text NOT NULL,
      description text,
      is_enabled boolean DEFAULT false,
      created_at timestamptz NOT NULL DEFAULT now(),
      CONSTRAINT feature_flags_pkey PRIMARY KEY (id),
      CONSTRAINT feature_flags_name_key UNIQUE (name))
    """,
    """
    CREATE TABLE tenant_features (
      id uuid NOT NULL DEFAULT gen_random_uuid(),
      tenant_id uuid NOT NULL,
      feature_id uuid NOT NULL,
      is_enabled boolean DEFAULT false,
      created_at timestamptz NOT NULL DEFAULT now(),
      CONSTRAINT tenant_features_pkey PRIMARY KEY (id),
      CONSTRAINT tenant_features_tenant_id_feature_id_key UNIQUE (tenant_id, feature_id))
    """,
    """
    CREATE TABLE sidebar_features (
      id uuid NOT NULL DEFAULT gen_random_uuid(),
      feature_id uuid,
      tenant_id uuid,
      sidebar_name text NOT NULL,
      url_path text NOT NULL,
      icon text,
      display_order integer NOT NULL DEFAULT 0,
      requires_permission text,
      created_at timestamptz NOT NULL DEFAULT now(),
      updated_at timestamptz NOT NULL DEFAULT now(),
      CONSTRAINT sidebar_features_pkey PRIMARY KEY (id))
    """,
)

_COMMENTS = (
    "COMMENT ON TABLE profiles IS 'Application users. auth.users holds their credentials.'",
    "COMMENT ON COLUMN profiles.tenant_id IS 'The tenant this user belongs to.'",
    "COMMENT ON COLUMN profiles.role IS 'Shown in the UI; grants nothing.'",
)

_INDEXES = (
    "CREATE INDEX idx_profiles_email ON profiles (email)",
    "CREATE INDEX idx_profiles_role ON profiles (role) WHERE tenant_id IS NOT NULL",
    # A B-tree refuses keys above a third of a page, so it holds only what a tenant id can be long.
    "CREATE INDEX idx_profiles_tenant_lower ON profiles (lower(left(tenant_id, 36)))",
)

# The setting is '' and not NULL once a transaction has set it locally, and ''::jsonb is an error.
_FUNCTIONS = (
    """
    CREATE FUNCTION jwt_tenant_id() RETURNS text LANGUAGE sql STABLE AS $$
      SELECT NULLIF(current_setting('request.jwt.claims', true), '')::jsonb ->> 'tenant_id'
    $$
    """,
    """
    CREATE FUNCTION touch_updated_at() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      NEW.updated_at := now();
      RETURN NEW;
    END $$
    """,
    # The casts make it work whether tenant_id is text or uuid. It writes to a table that nobody else may write to, and
    # the search path is kept with it so that it finds that table in whichever schema this is.
    """
    CREATE FUNCTION log_tenant_move() RETURNS trigger
      LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    BEGIN
      INSERT INTO tenant_moves (profile_id, from_tenant, to_tenant)
      VALUES (NEW.id, OLD.tenant_id::text, NEW.tenant_id::text);
      RETURN NULL;
    END $$
    """,
)

_TRIGGERS = (
    """
    CREATE TRIGGER trg_profiles_updated_at BEFORE UPDATE ON profiles
      FOR EACH ROW EXECUTE FUNCTION touch_updated_at()
    """,
    """
    CREATE TRIGGER trg_profiles_tenant_move AFTER UPDATE OF tenant_id ON profiles
      FOR EACH ROW WHEN (OLD.tenant_id IS DISTINCT FROM NEW.tenant_id) EXECUTE FUNCTION log_tenant_move()
    """,
)

_VIEWS = (
    """
    CREATE VIEW active_profiles AS
      SELECT p.id, p.tenant_id, t.name AS tenant_name, p.email, p.display_name, p.role
      FROM profiles p JOIN tenants t ON t.id::text = p.tenant_id
      WHERE t.is_active
    """,
    """
    CREATE VIEW tenant_profile_counts AS
      SELECT tenant_id, count(*) AS profiles FROM active_profiles GROUP BY tenant_id
    """,
    "COMMENT ON VIEW tenant_profile_counts IS 'Users per tenant, for billing.'",
)

_POLICIES = (
    "ALTER TABLE profiles ENABLE ROW LEVEL SECURITY",
    """
    CREATE POLICY profiles_tenant_isolation ON profiles
      USING (tenant_id = current_setting('app.tenant_id', true))
      WITH CHECK (tenant_id = current_setting('app.tenant_id', true))
    """,
    "CREATE POLICY profiles_jwt_read ON profiles FOR SELECT USING (tenant_id = jwt_tenant_id())",
    "ALTER TABLE sidebar_features ENABLE ROW LEVEL SECURITY",
    """
    CREATE POLICY sidebar_features_tenant_isolation ON sidebar_features
      USING (tenant_id IS NULL OR tenant_id::text = current_setting('app.tenant_id', true))
      WITH CHECK (tenant_id::text = current_setting('app.tenant_id', true))
    """,
    """
    CREATE POLICY sidebar_features_jwt_read ON sidebar_features FOR SELECT
      USING (tenant_id IS NULL OR tenant_id::text = jwt_tenant_id())
    """,
)

# Roles belong to the whole cluster: one that is there is used, one that may not be made is done without. Another
# database of the cluster may be making it at this moment.
_APP_USER = """
    DO $$
    BEGIN
      IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'app_user')
         AND (SELECT rolsuper OR rolcreaterole FROM pg_catalog.pg_roles WHERE rolname = current_user) THEN
        BEGIN
          CREATE ROLE app_user NOLOGIN;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
          NULL;
        END;
      END IF;
      IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'app_user') THEN
        IF NOT has_schema_privilege('app_user', current_schema(), 'USAGE') THEN
          EXECUTE format('GRANT USAGE ON SCHEMA %I TO app_user', current_schema());
        END IF;
        GRANT SELECT, INSERT, UPDATE, DELETE ON profiles, user_roles, sidebar_features TO app_user;
        GRANT SELECT ON tenants, roles, permissions, role_permissions, feature_flags, tenant_features TO app_user;
        GRANT SELECT ON tenant_profile_counts TO app_user;
      END IF;
    END $$
"""

_DROPS = (
    "DROP VIEW tenant_profile_counts",
    "DROP VIEW active_profiles",
    "DROP TABLE sidebar_features, tenant_features, feature_flags, user_roles, role_permissions, permissions, roles",
    "DROP TABLE tenant_moves, profiles, tenants",
    "DROP FUNCTION log_tenant_move()",
    "DROP FUNCTION touch_updated_at()",
    "DROP FUNCTION jwt_tenant_id()",
)


def upgrade() -> None:
    """Make the legacy tables and everything that hangs on them."""
    place.tenant_keys_need()
    # Until the end of the transaction: nothing is made elsewhere, and the function below that keeps its search path
    # keeps the same one whoever ran this. Temporary objects last, so that nobody can put one in front of a table.
    op.execute("SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true)")
    for group in (_TABLES, _COMMENTS, _INDEXES, _FUNCTIONS, _TRIGGERS, _VIEWS, _POLICIES):
        for statement in group:
            op.execute(statement)
    if not named().supabase:
        op.execute(_APP_USER)


def downgrade() -> None:
    """Remove them with their rows. Role app_user stays: other databases may use it."""
    for statement in _DROPS:
        op.execute(statement)
