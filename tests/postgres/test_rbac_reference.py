"""Do the reference, the SQL, the masks and the cache agree, on any policy?

`TRUING_POLICIES=10000` makes as many (the default is a hundred or so); `TRUING_SEED` begins elsewhere.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from tests.rbac_policies import Maker
from truing.rbac import reference
from truing.rbac.access import asking
from truing.rbac.access.answers import mask_of
from truing.rbac.access.cache import Cache
from truing.rbac.reference import Feature, Grant, Item, Policy, Profile, Role

POLICIES = int(os.environ.get("TRUING_POLICIES", "120"))
SEED = int(os.environ.get("TRUING_SEED", "1"))
AT_ONCE = 40


def disagreements(connection, batch, cache):
    """Each question that is not answered the same everywhere: tenant, profile, question, answers."""
    bits = dict(connection.execute("SELECT name, bit_no FROM permissions").fetchall())
    names = [*sorted(batch.permissions), "nothing", "doc.nothing"]
    ask = "SELECT n, rbac.can(%s, %s, n), (SELECT array_agg(permission) FROM rbac.permissions_of(%s, %s)) FROM unnest(%s::text[]) n"
    for tenant, policy in batch.policies.items():
        holders = {name: set() for name in names}
        for profile in [*policy.profiles, uuid4()]:
            rows = connection.execute(ask, (tenant, profile, tenant, profile, names)).fetchall()
            in_sql = {name: allowed for name, allowed, _ in rows}
            mask = mask_of(
                connection.execute("SELECT mask FROM rbac.standing(%s, %s)", (tenant, profile)).fetchone()[0]
            )
            listed = set(rows[0][2] or ())
            for name in names:
                expected = reference.can(policy, profile, name, batch.now)
                answers = (
                    expected,
                    in_sql[name],
                    name in bits and bool(mask >> bits[name] & 1),
                    name in listed,
                    cache.can(tenant, profile, name),
                )
                if expected:
                    holders[name].add(profile)
                if len(set(answers)) > 1:
                    yield tenant, profile, name, answers
            items = [
                row[0] for row in connection.execute("SELECT sidebar_name FROM rbac.sidebar(%s, %s)", (tenant, profile))
            ]
            if items != reference.sidebar(policy, profile, batch.now):
                yield tenant, profile, "sidebar", (reference.sidebar(policy, profile, batch.now), items)
        for name, expected in holders.items():
            found = {
                row[0] for row in connection.execute("SELECT profile_id FROM rbac.who_can(%s, %s)", (tenant, name))
            }
            if found != expected:
                yield tenant, None, f"who_can {name}", (expected, found)


@pytest.mark.timeout(7200)
def test_all_agree(world, rbac_database):
    connection = rbac_database.connect()
    allowed = questions = 0
    for number in range(max(1, POLICIES // AT_ONCE)):
        batch = Maker(connection, SEED * 1_000_003 + number).make(AT_ONCE)
        with Cache(world.engine, staleness=600, listen=False) as cache:
            wrong = list(disagreements(connection, batch, cache))
        assert wrong == [], f"TRUING_SEED={SEED}, batch {number}: {batch.policies[wrong[0][0]]}"
        assert connection.execute("SELECT * FROM rbac.wrong_masks()").fetchall() == []
        for policy in batch.policies.values():
            answers = [
                reference.can(policy, each, name, batch.now) for each in policy.profiles for name in batch.permissions
            ]
            allowed, questions = allowed + sum(answers), questions + len(answers)
    # A generator whose policies allow nothing, or everything, would prove nothing.
    assert 0.1 < allowed / questions < 0.9


def test_the_comparison_notices(world, rbac_database):
    connection = rbac_database.connect()
    for seed in range(20):
        batch = Maker(connection, seed).make(5)
        connection.execute("UPDATE role_permissions SET effect = CASE effect WHEN 'deny' THEN 'allow' ELSE 'deny' END")
        with Cache(world.engine, staleness=600, listen=False) as cache:
            if list(disagreements(connection, batch, cache)):
                return
    pytest.fail("policies turned upside down answered as before")


NOW = datetime(2026, 1, 1, tzinfo=UTC)
ANN = uuid4()


@pytest.mark.parametrize(
    ("grants", "allowed"),
    [
        ({"doc.read": "allow"}, True),
        ({"doc.*": "allow"}, True),
        ({"*": "allow"}, True),
        ({"docs.*": "allow"}, False),
        ({"doc.read": "deny"}, False),
        ({"*": "allow", "doc.*": "deny"}, False),
        ({"doc.read": "allow", "page.read": "deny"}, True),
        ({}, False),
    ],
)
@pytest.mark.parametrize("inherited", [False, True])
def test_the_rules_by_example(grants, allowed, inherited):
    roles = {"own": Role(grants)}
    if inherited:
        roles = {"own": Role({}, frozenset({"far"})), "far": Role(grants, frozenset({"own"}))}
    policy = Policy(
        frozenset({"doc.read", "doc.*", "*", "page.read"}), roles=roles, profiles={ANN: Profile(True, (Grant("own"),))}
    )
    assert reference.can(policy, ANN, "doc.read", NOW) is allowed


@pytest.mark.parametrize(
    ("first", "last", "held"),
    [(None, None, True), (0, None, True), (1, None, False), (None, 0, False), (None, 1, True), (-2, -1, False)],
)
def test_a_grant_begins_at_once_and_ends_before_its_end(first, last, held):
    edges = (None if each is None else NOW + timedelta(hours=each) for each in (first, last))
    policy = Policy(
        frozenset({"a"}), roles={"r": Role({"a": "allow"})}, profiles={ANN: Profile(True, (Grant("r", *edges),))}
    )
    assert reference.can(policy, ANN, "a", NOW) is held


def test_the_sidebar_by_example():
    on, off = Feature(uuid4(), True), Feature(uuid4(), False)
    items = (
        Item("b", "on"),
        Item("a", "on"),
        Item("c", "off"),
        Item("d", "on", 0, None, "off"),
        Item("e", "on", 0, "a"),
    )
    policy = Policy(frozenset({"a"}), profiles={ANN: Profile()}, features={"on": on, "off": off}, items=items)
    assert reference.sidebar(policy, ANN, NOW) == ["a", "b"]


def test_the_questions_are_all_asked():
    """A question that is added needs its place in the comparison."""
    compared = {"can", "permissions_of", "who_can", "sidebar", "standing"}
    elsewhere = {
        "can_once",
        "can_many",
        "tenants_of",
        "why",
        "catalogue",
        "versions_of",
        "grant",
        "revoke",
        "current_tenant",
    }
    assert set(asking._STATEMENTS) == compared | elsewhere
