"""A database as Supabase hands it out: its roles, what they are given by default, `auth.users` and `auth.uid()`.

After supabase/postgres and supabase/auth, as far as an RBAC database meets it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from uuid import UUID, uuid4

import psycopg

from tests.fix_server import Database

ROLES = """
DO $$ DECLARE made text; BEGIN
  FOREACH made IN ARRAY ARRAY['anon NOLOGIN NOINHERIT', 'authenticated NOLOGIN NOINHERIT',
    'service_role NOLOGIN NOINHERIT BYPASSRLS', 'authenticator LOGIN NOINHERIT',
    'supabase_auth_admin LOGIN NOINHERIT CREATEROLE'] LOOP
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = split_part(made, ' ', 1)) THEN
      EXECUTE 'CREATE ROLE ' || made;
    END IF;
  END LOOP;
END $$;
GRANT anon, authenticated, service_role TO authenticator;
"""
AUTH = """
-- The legacy database of another test may have made it, and nobody logs in there.
ALTER ROLE supabase_auth_admin LOGIN NOINHERIT CREATEROLE;
CREATE SCHEMA auth AUTHORIZATION supabase_auth_admin;
CREATE TABLE auth.users (
  instance_id uuid, id uuid PRIMARY KEY, aud varchar(255), role varchar(255), email varchar(255),
  encrypted_password varchar(255), email_confirmed_at timestamptz, last_sign_in_at timestamptz,
  raw_app_meta_data jsonb, raw_user_meta_data jsonb, is_super_admin boolean, created_at timestamptz,
  updated_at timestamptz, phone text UNIQUE, banned_until timestamptz, deleted_at timestamptz,
  is_sso_user boolean NOT NULL DEFAULT false, is_anonymous boolean NOT NULL DEFAULT false);
ALTER TABLE auth.users OWNER TO supabase_auth_admin;
CREATE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql STABLE AS $$
  SELECT COALESCE(NULLIF(current_setting('request.jwt.claim.sub', true), ''),
    (NULLIF(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub'))::uuid $$;
CREATE FUNCTION auth.jwt() RETURNS jsonb LANGUAGE sql STABLE AS $$
  SELECT COALESCE(NULLIF(current_setting('request.jwt.claim', true), ''),
    NULLIF(current_setting('request.jwt.claims', true), ''))::jsonb $$;
GRANT USAGE ON SCHEMA auth TO anon, authenticated, service_role;
"""
DEFAULTS = """
GRANT USAGE ON SCHEMA public TO anon, authenticated, service_role;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON TABLES TO anon, authenticated, service_role;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON FUNCTIONS TO anon, authenticated, service_role;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON SEQUENCES TO anon, authenticated, service_role;
"""
EMPTY = ROLES + AUTH + DEFAULTS


def claims(user: UUID | str | None, tenant: UUID | str | None, role: str = "authenticated", **more: Any) -> str:
    """What PostgREST sets after it has verified a token."""
    app = {"provider": "email"} if tenant is None else {"provider": "email", "tenant_id": str(tenant)}
    given = {"role": role, "aud": role, "app_metadata": app, "user_metadata": {}} | more
    return json.dumps(given if user is None else {"sub": str(user)} | given)


@contextmanager
def request(database: Database, given: str | None, role: str = "authenticated") -> Iterator[psycopg.Connection[Any]]:
    """A transaction as PostgREST begins one, which is rolled back."""
    with psycopg.connect(database.dsn, user="authenticator") as connection:
        connection.execute("SELECT set_config('role', %s, true)", [role])
        if given is not None:
            connection.execute("SELECT set_config('request.jwt.claims', %s, true)", [given])
        yield connection
        connection.rollback()


def sign_up(
    database: Database, email: str | None, app: Mapping[str, Any] | None = None, user: Mapping[str, Any] | None = None
) -> UUID:
    """What GoTrue does: `app` is the service's, `user` whatever who signs up has sent."""
    made = uuid4()
    with psycopg.connect(database.dsn, user="supabase_auth_admin") as connection:
        connection.execute(
            "INSERT INTO auth.users (id, email, raw_app_meta_data, raw_user_meta_data) VALUES (%s, %s, %s, %s)",
            [made, email, json.dumps({"provider": "email", **(app or {})}), json.dumps(user or {})],
        )
    return made


def as_gotrue(database: Database, statement: str, *parameters: Any) -> None:
    with psycopg.connect(database.dsn, user="supabase_auth_admin") as connection:
        connection.execute(statement, parameters)
