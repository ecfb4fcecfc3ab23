"""Is a tenant isolated from another, whatever the application's role tries, and whatever is added to the schema?"""

from __future__ import annotations

import re

import pytest

from tests.pages import ROOT
from tests.rbac_isolation import Kind, deviations
from truing.rbac import program

OWN = "tenant_id = {tenant}"

# The matrix: what the application's role may do. It reads, and every way of reading shows the same rows; it writes,
# locks and changes nothing, and is told the same about a row of another tenant and one that is not there.
RELATIONS = {
    # relation                     in its tenant it sees             of whom
    "tenants": Kind("id = {tenant}", "id"),
    "profiles": Kind(OWN, "tenant_id"),
    "roles": Kind(OWN, "tenant_id"),
    "role_permissions": Kind(OWN, "tenant_id"),
    "role_inherits": Kind(OWN, "tenant_id"),
    "role_grants": Kind(OWN, "tenant_id"),
    "user_roles": Kind(OWN, "tenant_id"),
    "tenant_features": Kind(OWN, "tenant_id"),
    "tenant_rbac_versions": Kind(OWN, "tenant_id"),
    "rbac_audit": Kind(OWN, "tenant_id"),
    "active_profiles": Kind(OWN, "tenant_id"),
    "tenant_profile_counts": Kind(OWN, "tenant_id"),
    "sidebar_features": Kind(f"{OWN} OR is_global", "tenant_id"),
    "permissions": Kind("true"),
    "feature_flags": Kind("true"),
    "tenant_moves": Kind(None),
    "alembic_version": Kind(None),
    "tenant_keys": Kind(None),
    "tenant_roles": Kind(None),
}


def whose(it, side, about, seen):
    return seen == [(it.tenants[side],)]


def nobody(it, side, about, seen):
    return seen == [(None,)]


def actor(it, side, about, seen):
    """Who acts is said by the claims, where there are any."""
    return seen == [(it.users[side] if it.bind == "supabase" else None,)]


def token(it, side, about, seen):
    return seen[0][0]["sub"] == str(it.users[side])


def memberships(it, side, about, seen):
    """Asked before a tenant is chosen, of a profile whose id one has to know."""
    return [row[0] for row in seen] == [it.tenants[about]]


def versions(it, side, about, seen):
    """A number for a tenant whose id one has to know."""
    return [row[0] for row in seen] == [it.tenants[about]]


# Function -> what it answers about a tenant that is not the transaction's, or what decides that; or "refused".
FUNCTIONS = dict.fromkeys(
    {name for bind in program.binding.BINDINGS for name in program.functions(bind)} - set(program.QUESTIONS), "refused"
) | {
    "current_tenant": whose,
    "current_actor": actor,
    "mask_of": [(None,)],
    "can": [(False,)],
    "can_many": [("doc.read", False)],
    "permissions_of": [],
    "who_can": [],
    "sidebar": [],
    "why": [],
    "state_of": [(None, None, True)],
    "standing": [],
    "catalogue": [],
    "may_grant": [(False,)],
    # By design these two see past one tenant.
    "tenants_of": memberships,
    "versions_of": versions,
}

CLOSED = frozenset({"_truing"})
FUNCTIONS |= {
    # From before there was a program. This one writes to tenant_moves with its owner's rights, from any table.
    "log_tenant_move": "refused",
    "touch_updated_at": "trigger",
    "jwt_tenant_id": nobody,
}
# Supabase's own.
RELATIONS["users"] = Kind(None)
FUNCTIONS |= {"uid": actor, "jwt": token}
MATRIX = RELATIONS, FUNCTIONS, CLOSED


@pytest.mark.parametrize("bind", program.binding.BINDINGS)
def test_the_matrix_holds(isolated, bind):
    tried, found = deviations(isolated(bind), MATRIX)
    assert "\n".join(found) == ""
    assert tried > 1_500


@pytest.mark.parametrize("bind", [*program.binding.TABLES, "supabase"])
def test_a_tenant_is_checked_once_for_a_scan_and_not_for_each_row(isolated, bind):
    it = isolated(bind)
    for side in ("own", "other"):
        it.admin.execute("INSERT INTO profiles (tenant_id) SELECT %s FROM generate_series(1, 5000)", [it.tenants[side]])
    it.admin.execute("ANALYZE")
    with it.within("own") as connection:
        plan = "\n".join(row[0] for row in connection.execute("EXPLAIN SELECT count(email) FROM profiles").fetchall())
    assert "Index Cond: (tenant_id = rbac.current_tenant())" in plan
    assert "Filter" not in plan


NEW_TABLE = "CREATE TABLE invoices (tenant_id uuid); GRANT SELECT ON invoices TO app_user; {fill}"
INVOICES = "INSERT INTO invoices SELECT id FROM tenants;"
DEFINER = (
    "CREATE FUNCTION rbac.all_of(p_tenant uuid) RETURNS SETOF uuid LANGUAGE sql SECURITY DEFINER AS"
    " 'SELECT id FROM public.profiles WHERE tenant_id = p_tenant'; GRANT EXECUTE ON FUNCTION rbac.all_of TO app_user;"
)


@pytest.mark.parametrize(
    ("broken", "extra", "named"),
    [
        (
            "ALTER TABLE profiles DISABLE ROW LEVEL SECURITY",
            {},
            "public.profiles · SELECT · own: shows 1 rows too many",
        ),
        ("CREATE POLICY x ON user_roles USING (true)", {}, "public.user_roles · COPY TO · none: shows 2 rows too many"),
        ("DROP POLICY tenant_isolation ON roles", {}, "public.roles · SELECT · own: shows 0 rows too many, 2 too few"),
        (
            "ALTER VIEW active_profiles SET (security_invoker = false)",
            {},
            "public.active_profiles · security_invoker: is not set",
        ),
        (
            "ALTER VIEW active_profiles SET (security_invoker = false)",
            {},
            "public.active_profiles · SELECT · own: shows",
        ),
        ("GRANT INSERT ON roles TO app_user", {}, "public.roles · COPY FROM · own: fails otherwise"),
        (
            "GRANT UPDATE (name) ON permissions TO PUBLIC",
            {},
            "public.permissions · SELECT FOR UPDATE · none: is allowed",
        ),
        ("GRANT INSERT ON feature_flags TO app_user", {}, "public.feature_flags · INSERT · none: "),
        ("GRANT DELETE ON tenant_features TO app_user", {}, "public.tenant_features · DELETE · other: is allowed"),
        ("GRANT TRUNCATE ON tenant_features TO app_user", {}, "public.tenant_features · TRUNCATE · own: is allowed"),
        ("GRANT USAGE ON SEQUENCE roles_id_seq TO app_user", {}, "public.roles_id_seq · nextval · own: is allowed"),
        ("GRANT SELECT ON roles_id_seq TO app_user", {}, "public.roles_id_seq · SELECT · own: shows 1 rows, and must"),
        ("GRANT EXECUTE ON FUNCTION rbac.rebuild_masks TO app_user", {}, "rbac.rebuild_masks() · EXECUTE: is allowed"),
        ("ALTER FUNCTION rbac.can SECURITY DEFINER", {}, "rbac.can() · about other, from own: answers [(True,)]"),
        ("REVOKE EXECUTE ON FUNCTION rbac.can FROM app_user", {}, "rbac.can() · EXECUTE: is refused"),
        ("GRANT USAGE ON SCHEMA _truing TO app_user", {}, "schema _truing · USAGE: is allowed"),
        (DEFINER, {}, "rbac.all_of() · entry: is missing. Write what"),
        (DEFINER, {"all_of": []}, "rbac.all_of() · about other, from own: answers"),
        (NEW_TABLE.format(fill=INVOICES), {}, "public.invoices · entry: is missing. Write which rows"),
        (
            NEW_TABLE.format(fill=INVOICES),
            {"invoices": Kind(OWN, "tenant_id")},
            "public.invoices · SELECT · own: shows",
        ),
        (
            NEW_TABLE.format(fill=""),
            {"invoices": Kind(OWN, "tenant_id")},
            "public.invoices · rows: has no row of the tenant own",
        ),
    ],
)
def test_what_is_broken_is_named(isolated, broken, extra, named):
    it = isolated()
    it.admin.execute(broken)
    only = re.match(r"[\w.]*", named)[0]
    _, found = deviations(it, (RELATIONS | extra, FUNCTIONS | extra, CLOSED), only)
    assert [line for line in found if line.startswith(named)], found


def test_the_page_has_the_same_matrix():
    page = (ROOT / "docs" / "explanation" / "tenant-isolation.md").read_text()
    told = {}
    for line in page.splitlines():
        cells = line.strip("|").split("|")
        if len(cells) == 3:
            told |= dict.fromkeys(re.findall(r"`(\w+)`", cells[0]), cells[1].strip())
    words = {None: "it is refused", "true": "every row", f"{OWN} OR is_global": "its own items and everybody's"}
    expected = {name: words.get(kind.sees, "its own rows") for name, kind in RELATIONS.items()}
    # The page says "the tables of a binding".
    told |= dict.fromkeys(program.binding.TABLES.values(), "it is refused")
    told["users"] = "it is refused"
    assert {name: told.get(name) for name in RELATIONS} == expected
    across = {name for name, answer in FUNCTIONS.items() if answer in (memberships, versions)}
    assert {name for name, said in told.items() if "about any" in said} == across
