"""What do the RBAC commands say and do, with which exit code, and does a policy survive its file?"""

from __future__ import annotations

import json
import random
import shutil
import subprocess

import psycopg
import pytest
from sqlalchemy import make_url

from tests.rbac_policies import NAMES
from truing.cli.app import run
from truing.errors import UsageError
from truing.rbac import invariants, program
from truing.rbac.policies.apply import apply, changes
from truing.rbac.policies.document import Policy, Role, Tenant, dump, parse
from truing.rbac.policies.read import read_policy


@pytest.fixture
def call(world, rbac_database, capsys, monkeypatch):
    """Run a command; gives its exit code and what it printed."""
    monkeypatch.setenv("TRUING_DATABASE_URL", rbac_database.url)
    monkeypatch.setenv("COLUMNS", "100")

    def call(*arguments):
        code = run(["rbac", *arguments])
        seen = capsys.readouterr()
        return code, seen.out + seen.err

    return call


@pytest.fixture
def acme(world, call):
    assert call("tenant", "add", "acme", "--title", "Acme Ltd")[0] == 0
    tenant = world.one("SELECT id FROM tenants WHERE name = 'Acme Ltd'")
    assert call("profile", "add", "acme", "Ann@example.org")[0] == 0
    assert call("role", "add", "acme", "editor", "--allow", "doc.read", "--allow", "page.*")[0] == 0
    assert (
        call("role", "add", "acme", "chief", "--inherits", "editor", "--may-grant", "editor", "--deny", "doc.purge")[0]
        == 0
    )
    return tenant


def test_a_role_is_granted_explained_and_taken_back(world, call, acme):
    assert call("grant", "acme", "ann@example.org", "chief", "--until", "2099-01-01") == (
        0,
        "ann@example.org has the role chief of acme.\n",
    )
    as_json = call("grant", "acme", "ann@example.org", "chief", "--until", "2099-01-01", "--output-format", "json")[1]
    assert json.loads(as_json)["facts"]["version"] == world.version(acme)
    code, said = call("why", "acme", "ann@example.org", "doc.read")
    assert code == 0
    assert "chief > editor" in said
    assert "ann@example.org may doc.read. Allowed by chief > editor: allow doc.read." in said
    code, said = call("why", str(acme), "ann@example.org", "doc.purge", "--output-format", "json")
    assert code == 1
    assert json.loads(said)["facts"] == {"allowed": False}
    assert call("revoke", "acme", "ann@example.org", "chief")[0] == 0
    assert call("why", "acme", "ann@example.org", "doc.read")[0] == 1
    code, said = call("why", "acme", "ann@example.org", "doc.raed")
    assert (code, "There is no permission doc.raed. Did you mean doc.read?" in said) == (1, True)
    assert "Did you mean" not in call("why", "acme", "ann@example.org", "qqqqqqqq")[1]
    assert "did not have" in call("revoke", "acme", "ann@example.org", "chief")[1]
    actors = world.run("SELECT DISTINCT actor FROM rbac_audit WHERE table_name = 'user_roles'")
    assert all(actor.startswith("truing (") for (actor,) in actors)


def test_a_profile_has_the_id_of_its_login_and_may_be_inactive(world, call, acme):
    identity = "5b5a3f0e-7c61-4a53-9d8e-2f4f4c6b8a11"
    code, said = call("profile", "add", "acme", "--id", identity, "--inactive", "--display-name", "Bob")
    assert (code, identity in said) == (0, True)
    assert world.run("SELECT display_name, active FROM profiles WHERE id = :id", id=identity) == [("Bob", False)]
    assert f"There is a profile {identity} already." in call("profile", "add", "acme", "--id", identity)[1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["tenant", "add", "acme"], "There is a tenant acme already."),
        (["tenant", "add", "Ac me"], "'Ac me' cannot be a tenant's slug."),
        (["role", "add", "acm", "x"], "Did you mean acme?"),
        (["role", "add", "acme", "chief", "--inherits", "edito"], "Did you mean editor?\n"),
        (["role", "add", "acme", "chief", "--allow", "doc.purge"], "both allows and denies doc.purge"),
        (["role", "add", "acme", "x", "--allow", "No Such"], "'No Such' is not like doc.read"),
        (["grant", "acme", "bob@example.org", "chief"], "no profile 'bob@example.org'"),
        (["grant", "acme", "ann@example.org", "nobody"], "The tenant acme has no role 'nobody'."),
        (["grant", "acme", "ann@example.org", "chef"], "Did you mean chief?"),
        (["revoke", "acme", "ann@example.org", "nobody"], "The tenant acme has no role 'nobody'."),
        (["grant", "acme", "ann@example.org", "chief", "--until", "2020-01-01"], "is past"),
        (
            ["grant", "acme", "ann@example.org", "chief", "--from", "2099-02-01", "--until", "2099-01-01"],
            "is not after --from",
        ),
        (["profile", "add", "acme", "ann@example.org"], "The tenant has a profile ann@example.org already."),
        (["profile", "add", "acme"], "Give an address, or --id"),
        (["profile", "add", "acme", "a\x1b[31m@b.c"], "cannot be a profile's address."),
        (["profile", "add", "acme", "b@b.c", "--display-name", "\n"], "characters that cannot be seen"),
        (["tenant", "add", "t", "--title", "a\x1b[31m"], "characters that cannot be seen"),
        (["role", "add", "acme", ""], "The role '' of acme cannot be made."),
        (["role", "add", "acme", "a\nb"], "The role 'a\\nb' of acme cannot be made."),
        (["why", "acme", "ann@example.org", " "], "No permission is named."),
        (["role", "add", "00000000-0000-0000-0000-00000000000z", "x"], "A tenant is named by its slug or its id."),
        (["export", "-o", "/nowhere/policy.yaml"], "/nowhere/policy.yaml cannot be written: No such file or directory"),
        (["verify", "--sql", "-o", "/nowhere/x"], "/nowhere/x cannot be written: No such file or directory"),
        (["profile", "add", "acme", "ann"], "'ann' cannot be a profile's address."),
        (["profile", "add", "acme", "--id", "x"], "'x' is not a valid UUID"),
        (["adopt", "--compare"], "That is rbac@head: nothing is left to do."),
        (
            ["grant", "acme", "ann@example.org", "chief", "--until", "tomorrow"],
            "'tomorrow' is no time: write 2030-01-31",
        ),
        (["install", "--application", "nosuchrole"], "Make it first: CREATE ROLE nosuchrole NOLOGIN;"),
        (["install", "--owner", "rbac_admim"], "Did you mean rbac_admin?"),
        (["export", "--tenant", "nowhere"], "There is no tenant nowhere."),
        (["import", "nowhere.yaml"], "No such file"),
        (["verify", "--schema", "nowhere"], "no RBAC tables in the schema nowhere"),
        (["why", "acme", "ann@example.org", "x", "--program", "nowhere"], "install them with `truing rbac install`"),
    ],
    ids=" ".join,
)
def test_a_mistake_is_named_and_changes_nothing(world, call, acme, arguments, said):
    before = world.one("SELECT count(*) FROM rbac_audit")
    code, seen = call(*arguments)
    assert code == 2
    assert said in seen
    assert "Traceback" not in seen
    assert world.one("SELECT count(*) FROM rbac_audit") == before


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("permissions: [", "is not YAML"),
        ("permissions: {a: null, a: null}", "duplicate key"),
        ("tenants: {acme: {nam: A}}", "unknown field `nam`"),
        ("permissions: {No: null}", "'No' is not like doc.read"),
        ("tenants: {acme: {name: A, roles: {r: {allow: [b]}}}}", "names b, which is not named among the permissions."),
        (
            "tenants: {acme: {name: A, roles: {r: {inherits: [s]}}}}",
            "inherits s, which is not named among the roles of acme",
        ),
        ("tenants: {acme: {name: A, roles: {r: {inherits: [r]}}}}", "inherits from itself"),
        (
            "tenants: {acme: {name: A, roles: {a: {inherits: [b]}, b: {inherits: [c]}, c: {inherits: [a]}}}}",
            "the role . of acme inherits from itself: . <- . <- . <- .",
        ),
        ("tenants: {A: {name: A}}", "'A' is not a slug"),
        ("3", "is not a policy"),
        (b"a\n\xff", ":2 is not text in UTF-8."),
        ("{}\n---\n{}", "expected a single document in the stream, but found another document"),
        ("", "is empty"),
        (
            "tenants: {acme: {name: A, roles: {r: {alow: [b]}}}}",
            "the role r of acme: Object contains unknown field `alow`",
        ),
        ("tenants: {acme: {roles: {}}}", "the tenant acme: Object missing required field `name`"),
    ],
)
def test_a_file_that_is_wrong_is_refused(written, said):
    with pytest.raises(UsageError, match="(?s)policy.yaml.*" + said):
        parse(written, "policy.yaml")


def test_a_word_that_yaml_once_took_for_a_boolean_is_a_name():
    policy = parse("permissions: {no: null, on: null}\ntenants: {acme: {name: yes, roles: {off: {allow: [no]}}}}")
    assert policy.tenants["acme"] == Tenant("yes", True, {"off": Role(allow=("no",))})
    assert parse(dump(policy)) == policy


def test_an_import_shows_what_it_does_and_does_no_more(world, call, acme, tmp_path):
    file = tmp_path / "policy.yaml"
    assert call("export", "-o", str(file))[0] == 0
    assert "The database has this policy." in call("import", str(file))[1]
    file.write_text(
        "permissions: {doc.read: null, x: new}\ntenants: {acme: {name: Acme, roles: {editor: {allow: [doc.read, x]}}}}"
    )
    code, dry = call("import", str(file), "--dry-run")
    assert code == 0
    assert "5 changes would be made." not in dry
    assert "4 changes would be made." in dry
    assert "3 that the file does not name are left" in dry
    assert world.one("SELECT name FROM tenants WHERE slug = 'acme'") == "Acme Ltd"
    assert "4 changes made." in call("import", str(file))[1]
    assert "3 changes made." in call("import", str(file), "--prune")[1]
    assert call("export")[1] == (
        "permissions: {doc.read: null, x: new}\n"
        "tenants:\n  acme:\n    name: Acme\n    roles:\n      editor:\n        allow: [doc.read, x]\n"
    )
    assert world.wrong() == []


def some_policy(chance):
    names = chance.sample(NAMES, chance.randint(1, 8))
    tenants = {}
    for slug in chance.sample(["a", "b", "c"], chance.randint(0, 3)):
        roles = chance.sample(["on", "Chief é", 'we"ird', "r"], chance.randint(0, 4))

        def some(of):
            return tuple(sorted(chance.sample(of, chance.randint(0, len(of)))))

        made = {}
        for role in roles:
            allow = some(names)
            deny = tuple(name for name in some(names) if name not in allow)
            made[role] = Role(chance.choice([None, "x: y"]), some(list(made)), allow, deny, some(roles))
        tenants[slug] = Tenant(chance.choice(["A", "B"]), chance.random() < 0.8, dict(sorted(made.items())))
    return Policy({name: chance.choice([None, "why"]) for name in names}, tenants)


def test_any_policy_is_reached_from_any_other(world):
    """Applied and read back it is the file's, and applied once more it changes nothing."""
    chance = random.Random(5)
    connection = world.connection
    for _ in range(40):
        wanted = parse(dump(some_policy(chance)))
        apply(connection, changes(read_policy(connection), wanted, prune=True))
        connection.commit()
        seen = read_policy(connection)
        assert changes(seen, wanted, prune=True) == ()
        assert {slug: seen.tenants[slug] for slug in wanted.tenants} == wanted.tenants
        assert seen.permissions == wanted.permissions
        connection.rollback()
    assert world.wrong() == []


BREAK = {
    "masks-are-compiled": "UPDATE roles SET allow_mask = ~allow_mask",
    "grants-stay-in-the-tenant": "UPDATE user_roles SET tenant_id = gen_random_uuid()",
    "role-permissions-stay-in-the-tenant": "UPDATE role_permissions SET tenant_id = gen_random_uuid()",
    "inheritance-stays-in-the-tenant": "UPDATE role_grants SET grantable_role_id = -1",
    "no-role-inherits-from-itself": "INSERT INTO role_inherits SELECT tenant_id, parent_id, role_id FROM role_inherits",
    "shown-roles-exist": "UPDATE profiles SET role = 'GOD_MODE'",
    "no-nil-tenant-is-active": "ALTER TABLE tenants DROP CONSTRAINT ck_tenants_not_nil; UPDATE tenants SET is_active = true",
    "every-tenant-has-a-version": "DELETE FROM tenant_rbac_versions",
    "sidebar-items-can-be-reached": "INSERT INTO sidebar_features (feature_id, sidebar_name, url_path, requires_permission) VALUES (gen_random_uuid(), 'x', '/x', 'typo')",
    "bits-are-distinct": "ALTER TABLE permissions DROP CONSTRAINT uq_permissions_bit_no; UPDATE permissions SET bit_no = 1",
    "triggers-are-on": "ALTER TABLE user_roles DISABLE TRIGGER trg_guard",
    "functions-are-there": "GRANT EXECUTE ON FUNCTION rbac.rebuild_masks TO PUBLIC",
    "foreign-keys-are-validated": "ALTER TABLE profiles ADD CONSTRAINT c CHECK (id IS NOT NULL) NOT VALID",
    "row-security-is-forced": "ALTER TABLE roles NO FORCE ROW LEVEL SECURITY",
    "tenants-are-isolated": "CREATE POLICY oops ON profiles FOR SELECT TO public USING (true)",
    "policies-are-as-declared": "ALTER POLICY rbac_admin_all ON roles USING (false)",
    "application-only-reads": "GRANT INSERT ON user_roles TO app_user",
    "logins-are-held": "GRANT app_user TO {login}; ALTER ROLE {login} BYPASSRLS",
    "others-rows-are-hidden": "ALTER POLICY tenant_isolation ON profiles USING (tenant_id = rbac.current_tenant() OR true)",
}


@pytest.fixture
def secured(world, call, acme):
    call("grant", "acme", "ann@example.org", "chief")
    world.run("DO $$ DECLARE t text; BEGIN FOR t IN SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
              " LOOP EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY; ALTER TABLE %I FORCE ROW LEVEL SECURITY', t, t); END LOOP; END $$")  # fmt: skip


def test_the_program_is_installed_again_and_shown(world, call, acme, rbac_database):
    role = rbac_database.role()
    program.uninstall(world.connection)
    world.connection.commit()
    code, said = call("install", "--application", role)
    assert code == 0
    assert "compiled  0" in said
    assert world.one("SELECT has_function_privilege(:r, 'rbac.can(uuid, uuid, text)', 'EXECUTE')", r=role)
    program.uninstall(world.connection)
    world.connection.commit()
    shown = call("install", "--show")[1]
    rbac_database.execute(shown)
    assert world.wrong() == []
    assert call("install", "--schema", "nowhere")[0] == 2


def test_a_database_that_is_right_is_verified(call, secured):
    code, said = call("verify")
    assert "finding" not in said
    assert f"{len(invariants.invariants())} invariants hold." in said
    assert code == 0


@pytest.mark.parametrize("name", BREAK)
def test_every_invariant_can_be_broken_and_is_then_found(world, call, secured, name, rbac_database, tmp_path):
    how = BREAK[name].format(login=rbac_database.role())
    world.run(f"SET session_replication_role = replica; {how}; SET session_replication_role = DEFAULT")
    code, said = call("verify", "--output-format", "json")
    (table,) = json.loads(said)["tables"]
    assert code == 1
    # In what CI reads, a broken invariant is a finding like any other.
    remedy = next(each.remedy for each in invariants.invariants() if each.name == name)
    assert (f"rbac-{name}", remedy) in {(each["rule"], each["remedy"]) for each in json.loads(said)["findings"]}
    assert next(row["broken"] for row in table["rows"] if row["name"] == name) > 0
    call("verify", "--sql", "-o", str(tmp_path / "verify.sql"))
    lines = tap(tmp_path / "verify.sql", rbac_database.dsn)
    assert lines[0] == f"1..{len(BREAK)}"
    assert [line for line in lines if line.startswith("not ok") and f"- {name} # broken by " in line]
    assert f"# do: {remedy}" in lines
    assert "# Tried as app_user on 13 tables and views: without a tenant, " in "\n".join(lines)


def test_who_does_not_see_every_row_is_told_so(call, acme, rbac_database, monkeypatch, tmp_path):
    """Counting what row security shows would find nothing wrong, and export would be an empty policy."""
    asking, granting = rbac_database.role("LOGIN IN ROLE app_user"), rbac_database.role("LOGIN IN ROLE rbac_admin")
    rbac_database.execute(
        f"GRANT USAGE ON SCHEMA rbac TO {asking}, {granting}; GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA rbac TO {asking}, {granting}"
    )
    call("verify", "--sql", "-o", str(tmp_path / "verify.sql"))

    def by(login, *arguments):
        monkeypatch.setenv("TRUING_DATABASE_URL", str(make_url(rbac_database.url).set(username=login)))
        return call(*arguments)

    hint = "Connect as a member of rbac_admin, or as the tables' owner."
    for arguments in (["verify"], ["export"], ["why", "acme", "ann@example.org", "doc.read"]):
        code, said = by(asking, *arguments)
        assert (code, hint in said, "ow security hides" in said) == (2, True, True)
    assert by(granting, "export")[0] == 0
    assert by(granting, "verify")[0] == 0
    code, said = by(asking, "tenant", "add", "other")
    assert (code, "permission denied" in said, "Connect as a login that may" in said) == (2, True, True)
    for login, bails in ((asking, True), (granting, False)):
        seen = tap(tmp_path / "verify.sql", psycopg.conninfo.make_conninfo(rbac_database.dsn, user=login))
        assert ("Bail out! Row security hides rows from this login: profiles" in "\n".join(seen)) == bails


def tap(file, dsn):
    """What psql answers; skips where there is none."""
    psql = shutil.which("psql")
    if psql is None:
        pytest.skip("there is no psql")
    command = [psql, "-XAtq", "-v", "ON_ERROR_STOP=1", "-f", str(file), dsn]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def test_every_invariant_is_broken_once():
    assert set(BREAK) == {each.name for each in invariants.invariants()}


def test_tables_of_an_older_revision_are_named_as_such(legacy, database, monkeypatch, capsys):
    monkeypatch.setenv("TRUING_DATABASE_URL", database.url)
    for command in (["install"], ["tenant", "add", "x"], ["export"], ["verify"]):
        assert run(["rbac", *command]) == 2
        said = capsys.readouterr().err
        assert "are those of an older revision" in said
        assert "Bring them up: truing upgrade -c " in said
