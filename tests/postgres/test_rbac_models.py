"""The models tell the truth: deleting through the ORM does what the database does, and one statement for each table."""

from __future__ import annotations

import uuid
from collections import Counter
from contextlib import contextmanager

import pytest
from sqlalchemy import Uuid, event, inspect, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from truing.rbac.models import (
    Base,
    FeatureFlag,
    Permission,
    Profile,
    Role,
    RolePermission,
    SidebarFeature,
    Tenant,
    TenantFeature,
    UserRole,
)


@pytest.fixture
def session(engine):
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        yield session


@pytest.fixture
def acme(session):
    """A tenant with some of everything, and another one."""
    flag, permission = FeatureFlag(name="reports"), Permission(name="reports:read")
    acme, other = Tenant(name="Acme"), Tenant(name="Other")
    for tenant in (acme, other):
        role = Role(name="owner", role_permissions=[RolePermission(permission=permission)])
        tenant.roles.append(role)
        for number in range(3):
            profile = Profile(email=f"{number}@x", tenant=tenant, user_roles=[UserRole(role=role, tenant=tenant)])
            tenant.profiles.append(profile)
        tenant.tenant_features.append(TenantFeature(feature=flag, is_enabled=True))
        tenant.sidebar_features += [SidebarFeature(feature=flag, sidebar_name="s", url_path=f"/{n}") for n in range(2)]
    session.add_all([acme, other, SidebarFeature(feature=flag, sidebar_name="g", url_path="/g", is_global=True)])
    session.commit()
    session.refresh(acme)
    return acme


@contextmanager
def statements(session):
    """Count the statements that reach the server, by their first words."""
    seen: Counter[str] = Counter()

    def note(_connection, _cursor, statement, _parameters, _context, _many):
        words = statement.split()
        seen[" ".join(words[:3]) if words[0] == "DELETE" else " ".join(words[:2])] += 1

    event.listen(session.get_bind(), "before_cursor_execute", note)
    yield seen
    event.remove(session.get_bind(), "before_cursor_execute", note)


def rows(session, model):
    return session.execute(text(f"SELECT count(*) FROM {model.__tablename__}")).scalar_one()


def left(session):
    return {model.__tablename__: rows(session, model) for model in (Profile, Role, UserRole, TenantFeature)}


ONE_TENANTS_ROWS = {"profiles": 3, "roles": 1, "user_roles": 3, "tenant_features": 1}


def test_mappers_agree_with_each_other():
    # Only these: an example of another test may be half gone.
    Base.registry.configure()
    for mapper in Base.registry.mappers:
        for relationship in mapper.relationships:
            assert relationship.back_populates, relationship


def test_deleting_a_tenant_is_one_statement(session, acme):
    with statements(session) as seen:
        session.delete(acme)
        session.flush()
    assert seen == {"DELETE FROM tenants": 1}
    assert left(session) == ONE_TENANTS_ROWS


def test_deleting_a_tenant_that_is_loaded_is_one_statement_for_each_table(session, acme):
    for collection in (acme.profiles, acme.roles, acme.user_roles, acme.tenant_features, acme.sidebar_features):
        assert collection
    for profile in acme.profiles:
        assert profile.user_roles
    with statements(session) as seen:
        session.delete(acme)
        session.flush()
    assert seen == {
        "DELETE FROM tenants": 1,
        "DELETE FROM profiles": 1,
        "DELETE FROM roles": 1,
        "DELETE FROM user_roles": 1,
        "DELETE FROM tenant_features": 1,
        "UPDATE sidebar_features": 1,
    }
    assert left(session) == ONE_TENANTS_ROWS


@pytest.mark.parametrize("loaded", [False, True], ids=["unloaded", "loaded"])
def test_deleting_a_profile_takes_its_grants(session, acme, loaded):
    profile = session.scalars(select(Profile).where(Profile.tenant_id == acme.id).limit(1)).one()
    if loaded:
        assert profile.user_roles
    with statements(session) as seen:
        session.delete(profile)
        session.flush()
    assert seen == ({"DELETE FROM profiles": 1, "DELETE FROM user_roles": 1} if loaded else {"DELETE FROM profiles": 1})
    assert rows(session, UserRole) == 5


def test_deleting_a_role_or_a_flag_takes_what_hangs_on_it(session, acme):
    session.delete(session.scalars(select(Role).where(Role.tenant_id == acme.id)).one())
    session.delete(session.scalars(select(FeatureFlag)).one())
    session.flush()
    assert rows(session, UserRole) == 3
    assert rows(session, RolePermission) == 1
    assert rows(session, SidebarFeature) == rows(session, TenantFeature) == 0


@pytest.mark.parametrize("how", ["orm", "orm-loaded", "sql"])
def test_a_deleted_tenants_items_are_seen_by_nobody(session, acme, how):
    """ON DELETE SET NULL empties tenant_id; the item must not become everybody's."""
    other = session.scalars(select(Tenant).where(Tenant.name == "Other")).one()

    def visible(tenant_id):
        query = select(SidebarFeature.sidebar_name).where(SidebarFeature.visible_to(tenant_id))
        return sorted(session.scalars(query))

    acme_id, other_id = acme.id, other.id
    assert visible(acme_id) == visible(other_id) == ["g", "s", "s"]
    if how == "sql":
        session.execute(text("DELETE FROM tenants WHERE id = :id"), {"id": acme_id})
    else:
        if how == "orm-loaded":
            assert acme.sidebar_features
        session.delete(acme)
    session.flush()
    assert session.execute(text("SELECT count(*) FROM sidebar_features WHERE tenant_id IS NULL")).scalar() == 3
    assert visible(other_id) == ["g", "s", "s"]
    assert visible(acme_id) == visible(uuid.uuid4()) == ["g"]


def test_an_item_cannot_be_private_and_global(session, acme):
    session.execute(text("SAVEPOINT s"))
    with pytest.raises(IntegrityError, match="ck_sidebar_features_scope"):
        session.execute(text("UPDATE sidebar_features SET is_global = true"))


def test_moving_a_profile_keeps_it_but_not_its_grants(session, acme):
    other = session.scalars(select(Tenant).where(Tenant.name == "Other")).one()
    profile = acme.profiles[0]
    profile.email = "moved@x"
    other.profiles.append(profile)
    with pytest.raises(IntegrityError, match="fk_user_roles_profile"):
        session.flush()
    session.rollback()
    profile.user_roles.clear()
    session.flush()
    profile.email = "moved@x"
    other.profiles.append(profile)
    session.commit()
    assert profile.tenant_id == other.id
    assert rows(session, Profile) == 6


def test_values_come_back_as_uuid(session, acme):
    profile = acme.profiles[0]
    assert isinstance(profile.tenant_id, uuid.UUID)
    assert profile.tenant is acme


def test_names_are_those_of_the_plan(session):
    inspector = inspect(session.connection())
    keys = {
        key["name"]: key["options"].get("ondelete")
        for table in Base.metadata.tables
        for key in inspector.get_foreign_keys(table)
    }
    assert keys == {
        "fk_profiles_tenant": "CASCADE",
        "fk_user_roles_profile": "CASCADE",
        "fk_user_roles_role": "CASCADE",
        "fk_user_roles_tenant": "CASCADE",
        "fk_roles_tenant": "CASCADE",
        "fk_role_permissions_role": "CASCADE",
        "fk_role_permissions_permission": "CASCADE",
        "fk_tenant_features_tenant": "CASCADE",
        "fk_tenant_features_feature": "CASCADE",
        "fk_sidebar_features_feature": "CASCADE",
        "fk_sidebar_features_tenant": "SET NULL",
        "fk_sidebar_features_requires_permission": "RESTRICT",
        "fk_sidebar_features_requires_feature": "CASCADE",
        "fk_profiles_role": "SET NULL (role)",
        "fk_role_inherits_role": "CASCADE",
        "fk_role_inherits_parent": "CASCADE",
        "fk_role_grants_role": "CASCADE",
        "fk_role_grants_grantable": "CASCADE",
        "fk_tenant_rbac_versions_tenant": "CASCADE",
    }
    columns = {column["name"]: column for column in inspector.get_columns("profiles")}
    assert isinstance(columns["tenant_id"]["type"], Uuid)
    assert columns["id"]["default"] == "gen_random_uuid()"
    assert {index["name"] for index in inspector.get_indexes("profiles")} >= {"idx_profiles_tenant_id"}
    assert {index["name"] for index in inspector.get_indexes("user_roles")} >= {"idx_user_roles_user_id"}


def test_an_index_begins_with_every_foreign_key(session):
    bare = session.execute(
        text(
            "SELECT conname FROM pg_constraint c WHERE contype = 'f' AND NOT EXISTS (SELECT FROM pg_index i"
            " WHERE i.indrelid = c.conrelid AND i.indkey[0] = c.conkey[1] AND (i.indpred IS NULL"
            " OR pg_get_expr(i.indpred, i.indrelid) LIKE '(%IS NOT NULL)'))"
        )
    ).all()
    assert bare == []


def test_every_constraint_has_a_name_that_fits():
    for table in Base.metadata.tables.values():
        for thing in (*table.constraints, *table.indexes):
            assert thing.name, thing
            assert len(str(thing.name)) <= 63
