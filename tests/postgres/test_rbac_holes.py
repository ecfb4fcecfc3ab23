"""Is each hole that the schema had before closed by something that has a name?

Each line is a statement that used to succeed, as the owner of the tables, whom no policy and no privilege holds back.
"""

from __future__ import annotations

import psycopg
import pytest
from psycopg.errors import CheckViolation, ForeignKeyViolation, NotNullViolation, UniqueViolation

ROLE = "(SELECT id FROM roles WHERE tenant_id = {other} AND name = 'boss')"
PROFILE = "(SELECT id FROM profiles WHERE tenant_id = {own})"
OWN_ROLE = "(SELECT id FROM roles WHERE tenant_id = {own} AND name = 'boss')"
GRANT = "INSERT INTO user_roles (tenant_id, user_id, role_id) VALUES "
ITEM = "INSERT INTO sidebar_features (feature_id, tenant_id, sidebar_name, url_path{more}) SELECT id, {own}, 'x', {path}{value} FROM feature_flags"
NIL = "'00000000-0000-0000-0000-000000000000'"

HOLES = {
    "a user of one tenant is given a role of another": (
        f"{GRANT} ({{own}}, {PROFILE}, {ROLE})", ForeignKeyViolation, "fk_user_roles_role"),
    "the same, in the tenant of the role": (
        f"{GRANT} ({{other}}, {PROFILE}, {ROLE})", ForeignKeyViolation, "fk_user_roles_profile"),
    "a grant is moved to a role of another tenant": (
        f"UPDATE user_roles SET role_id = {ROLE} WHERE tenant_id = {{own}}", ForeignKeyViolation, "fk_user_roles_role"),
    "a grant of a tenant that is not there": (
        f"{GRANT} (gen_random_uuid(), {PROFILE}, {OWN_ROLE})", ForeignKeyViolation, "fk_user_roles_tenant"),
    "a grant of no tenant": (f"{GRANT} (NULL, {PROFILE}, {OWN_ROLE})", NotNullViolation, "tenant_id"),
    "a profile of no tenant": ("UPDATE profiles SET tenant_id = NULL", NotNullViolation, "tenant_id"),
    "a profile of a tenant that is not there": (
        "INSERT INTO profiles (tenant_id) VALUES (gen_random_uuid())", ForeignKeyViolation, "fk_profiles_tenant"),
    "a profile moves and keeps its grants": (
        "UPDATE profiles SET tenant_id = {other}, email = NULL, role = NULL WHERE tenant_id = {own}",
        ForeignKeyViolation, "fk_user_roles_profile"),
    "a role moves and keeps its grants": (
        "UPDATE roles SET tenant_id = {other}, name = 'moved' WHERE tenant_id = {own} AND name = 'reader'",
        ForeignKeyViolation, "fk_"),
    "a role inherits from one of another tenant": (
        f"INSERT INTO role_inherits VALUES ({{own}}, {OWN_ROLE}, {ROLE})", ForeignKeyViolation, "fk_role_inherits_parent"),
    "a role hands out one of another tenant": (
        f"INSERT INTO role_grants VALUES ({{own}}, {OWN_ROLE}, {ROLE})", ForeignKeyViolation, "fk_role_grants_grantable"),
    "a role inherits from itself": (
        f"INSERT INTO role_inherits VALUES ({{own}}, {OWN_ROLE}, {OWN_ROLE})", CheckViolation, "ck_role_inherits_self"),
    "a permission for a role of another tenant": (
        f"INSERT INTO role_permissions (tenant_id, role_id, permission_id) SELECT {{own}}, {ROLE}, id FROM permissions",
        ForeignKeyViolation, "fk_role_permissions_role"),
    "a role is shown that is not there": (
        "UPDATE profiles SET role = 'GOD_MODE'", ForeignKeyViolation, "fk_profiles_role"),
    "a role is shown that only another tenant has": (
        "INSERT INTO roles (tenant_id, name) VALUES ({other}, 'theirs'); UPDATE profiles SET role = 'theirs' WHERE tenant_id = {own}",
        ForeignKeyViolation, "fk_profiles_role"),
    "a permission that is not there is required": (
        ITEM.format(more=", requires_permission", value=", 'doc.raed'", path="'/x'", own="{own}"),
        ForeignKeyViolation, "fk_sidebar_features_requires_permission"),
    "a required permission is deleted": (
        "UPDATE sidebar_features SET requires_permission = 'doc.read'; DELETE FROM permissions",
        psycopg.errors.RestrictViolation, "fk_sidebar_features_requires_permission"),
    "a feature that is not there is required": (
        ITEM.format(more=", requires_feature", value=", gen_random_uuid()", path="'/x'", own="{own}"),
        ForeignKeyViolation, "fk_sidebar_features_requires_feature"),
    "an item twice": (
        ITEM.format(more="", value="", path="'/s'", own="{own}"), UniqueViolation, "uq_sidebar_features_scope_path"),
    "an item of everybody twice": (
        "INSERT INTO sidebar_features (feature_id, is_global, sidebar_name, url_path) SELECT id, true, 'x', '/g' FROM feature_flags",
        UniqueViolation, "uq_sidebar_features_scope_path"),
    "an item of a tenant and of everybody": (
        "UPDATE sidebar_features SET is_global = true WHERE tenant_id = {own}", CheckViolation, "ck_sidebar_features_scope"),
    **{
        f"an item that leads to {path}": (
            ITEM.format(more="", value="", path=f"'{path}'", own="{own}"), CheckViolation, "ck_sidebar_features_url")
        for path in ("javascript:alert(1)", "//evil.example", "/\\evil.example", "https://evil.example", "", " /x")
    },
    "a flag that is neither on nor off": (
        "UPDATE tenant_features SET is_enabled = NULL", NotNullViolation, "is_enabled"),
    "a flag with no default": ("UPDATE feature_flags SET default_enabled = NULL", NotNullViolation, "default_enabled"),
    "a flag for 101 percent": (
        "UPDATE tenant_features SET rollout_percentage = 101", CheckViolation, "ck_tenant_features_rollout"),
    "an effect that is neither": (
        "UPDATE role_permissions SET effect = 'maybe'", CheckViolation, "ck_role_permissions_effect"),
    "a grant that ends before it begins": (
        "UPDATE user_roles SET valid_from = now(), expires_at = now()", CheckViolation, "ck_user_roles_window"),
    "the nil tenant comes alive": (
        f"INSERT INTO tenants (id, name, slug) VALUES ({NIL}, 'x', 'x')", CheckViolation, "ck_tenants_not_nil"),
    "a role twice": (
        "INSERT INTO roles (tenant_id, name) VALUES ({own}, 'boss')", UniqueViolation, "uq_role_name_tenant"),
    "a grant twice": (
        f"{GRANT} ({{own}}, {PROFILE}, (SELECT id FROM roles WHERE tenant_id = {{own}} AND name = 'reader'))",
        UniqueViolation, "uq_user_roles_tenant_user_role"),
    "an address twice, in other letters": (
        "INSERT INTO profiles (tenant_id, email) VALUES ({own}, 'X@Example.org')", UniqueViolation, "uq_profiles_tenant_email"),
}  # fmt: skip


@pytest.mark.parametrize("hole", HOLES)
def test_a_hole_is_closed_by_name(isolated, hole):
    it = isolated()
    statement, error, name = HOLES[hole]
    tenants = {side: f"'{tenant}'::uuid" for side, tenant in it.tenants.items()}
    # Before PostgreSQL 18, RESTRICT has no SQLSTATE of its own.
    also = (ForeignKeyViolation,) if error is psycopg.errors.RestrictViolation else ()
    with pytest.raises((error, *also)) as caught:
        it.admin.execute(statement.format(**tenants))
    told = caught.value.diag
    assert (told.constraint_name or told.column_name).startswith(name)


def test_the_items_of_a_deleted_tenant_are_nobodys(isolated):
    """ON DELETE SET NULL used to make them everybody's."""
    it = isolated()
    it.admin.execute("DELETE FROM tenants WHERE id = %s", [it.tenants["other"]])
    orphans = it.rows("SELECT count(*) FROM sidebar_features WHERE tenant_id IS NULL AND NOT is_global")
    assert orphans == [(2,)]
    with it.within("own") as connection:
        assert connection.execute("SELECT count(*) FROM sidebar_features WHERE tenant_id IS NULL").fetchone() == (1,)
