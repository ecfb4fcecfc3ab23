"""The legacy database holds exactly the dirt that its inventory says, the same for the same seed."""

from __future__ import annotations

import uuid

import pytest
from sqlalchemy import create_engine

from truing.errors import UsageError
from truing.rbac.dirt import CLEAN, DIRTY_CLASSES
from truing.rbac.legacy import build_legacy
from truing.rbac.legacy_sql import profile_rows

ROWS = profile_rows(tenants=20, profiles=1_000, seed=7, parts_per_million=100_000)
FATES = {case.name: case.fate for case in (CLEAN, *DIRTY_CLASSES)}


def fate_of(raw: str | None, tenants: set[str]) -> str:
    """A judge of its own, in Python: what PostgreSQL's uuid_in reads, after outer blanks."""
    if raw is None:
        return "null"
    trimmed = raw.strip(" \t\r\n")
    if not trimmed:
        return "empty"
    bare = trimmed[1:-1] if trimmed[0] + trimmed[-1] == "{}" else trimmed
    digits = bare.replace("-", "")
    if len(digits) != 32 or not digits.isascii() or any(digit not in "0123456789abcdefABCDEF" for digit in digits):
        return "malformed"
    value = str(uuid.UUID(digits))
    if value not in tenants:
        return "orphan"
    return "clean" if raw == value else "normalised"


def test_every_class_is_planted_as_often_as_the_inventory_says(legacy, database):
    counted = dict(database.execute(f"SELECT class, count(*) FROM ({ROWS}) AS r JOIN profiles USING (id) GROUP BY 1"))
    assert counted == legacy.profiles
    assert all(counted.get(case.name, 0) >= 1 for case in DIRTY_CLASSES)
    assert sum(counted.values()) == 1_000


def test_every_row_has_the_fate_of_its_class(legacy, database):
    tenants = {str(id_) for (id_,) in database.execute("SELECT id FROM tenants")}
    rows = database.execute(
        f"SELECT r.class, p.tenant_id, p.tenant_id IS NOT DISTINCT FROM r.tenant_id"
        f" FROM profiles p JOIN ({ROWS}) AS r USING (id)"
    )
    wrong = {(name, raw[:50] if raw else raw) for name, raw, _ in rows if fate_of(raw, tenants) != FATES[name]}
    assert wrong == set()
    assert all(same for *_, same in rows)
    sums: dict[str, int] = {}
    for _, raw, _ in rows:
        sums[fate_of(raw, tenants)] = sums.get(fate_of(raw, tenants), 0) + 1
    assert sums == legacy.by_fate()


@pytest.mark.pg(">=16")
def test_the_server_agrees_about_what_is_malformed(legacy, database):
    said = database.execute(
        f"SELECT DISTINCT class FROM ({ROWS}) AS r WHERE NOT pg_input_is_valid(btrim(tenant_id, E' \\t\\r\\n'), 'uuid')"
        f" AND btrim(tenant_id, E' \\t\\r\\n') <> ''"
    )
    assert {name for (name,) in said} == {name for name, fate in FATES.items() if fate == "malformed"}


def test_normalised_rows_belong_to_their_true_tenant(legacy, database):
    """What the plan's regular expression throws away: it must come out as this tenant."""
    rows = database.execute(f"SELECT class, tenant_id, tenant FROM ({ROWS}) AS r")
    names = dict(database.execute("SELECT id::text, name FROM tenants"))
    seen = set()
    for name, raw, tenant in rows:
        if FATES[name] in {"clean", "normalised"}:
            seen.add(name)
            assert names[str(uuid.UUID(raw.strip(" \t\r\n").strip("{}")))] == f"Tenant {tenant}", name
    assert len(seen) == 10


def test_orphans_and_nulls_are_planted_everywhere(legacy):
    assert min(legacy.orphans.values()) == 7
    assert len(legacy.orphans) == 10
    assert min(legacy.nulls.values()) >= 1
    assert legacy.global_items == 6
    assert legacy.private_items == 57


def test_the_same_seed_makes_the_same_rows(legacy, database, make_database):
    digest = "SELECT md5(string_agg(md5(t::text), '' ORDER BY t.id)) FROM {} t"
    tables = ("tenants", "profiles", "user_roles", "tenant_features", "sidebar_features", "roles")
    digests = [[each.execute(digest.format(table)) for table in tables] for each in (database,)]
    for seed in (7, 8):
        other = make_database()
        engine = create_engine(other.url)
        with engine.connect() as connection:
            build_legacy(connection, tenants=20, profiles=1_000, seed=seed, dirty_fraction=0.1)
        engine.dispose()
        digests.append([other.execute(digest.format(table)) for table in tables])
    assert digests[0] == digests[1]
    assert all(same != different for same, different in zip(digests[0], digests[2], strict=True))


def test_rows_are_the_same_on_every_major(legacy, database):
    """A golden digest: md5 and integers only, so no version may differ."""
    rows = database.execute(
        "SELECT md5(string_agg(id::text || coalesce(tenant_id, '~'), '' ORDER BY id)) FROM profiles"
    )
    assert rows == [("810e6a3eb7a2ee1a05d90a81f7a4eab1",)]


def test_auth_belongs_to_somebody_else(legacy, database):
    assert database.execute("SELECT tableowner FROM pg_tables WHERE schemaname = 'auth' GROUP BY 1") == [
        ("supabase_auth_admin",)
    ]
    assert database.execute("SELECT count(*) FROM auth.users") == [(1_000,)]


@pytest.mark.parametrize(
    "numbers", [{"tenants": 0}, {"profiles": -1}, {"dirty_fraction": 1.5}], ids=["no-tenant", "negative", "over-one"]
)
def test_senseless_numbers_are_refused(engine, numbers):
    with engine.connect() as connection, pytest.raises(UsageError, match="cannot make"):
        build_legacy(connection, **numbers)


def test_an_open_transaction_is_refused_and_not_committed(engine):
    with engine.connect() as connection:
        connection.exec_driver_sql("CREATE TABLE theirs (a int)")
        with pytest.raises(UsageError, match="outside a transaction"):
            build_legacy(connection)
        connection.rollback()
        assert connection.exec_driver_sql("SELECT to_regclass('theirs')").scalar() is None


@pytest.mark.parametrize(("profiles", "fraction"), [(0, 0.5), (1, 1.0), (40, 1.0), (100, 0.0)])
def test_small_and_extreme_databases(engine, profiles, fraction):
    with engine.connect() as connection:
        made = build_legacy(connection, tenants=1, profiles=profiles, dirty_fraction=fraction)
    assert sum(made.profiles.values()) == profiles
    assert made.profiles["clean"] == round(profiles * (1 - fraction))
