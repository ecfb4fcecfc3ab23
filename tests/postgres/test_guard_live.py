"""The guard over a live catalog: everything of ours that refers to a forbidden table, and nothing else."""

from __future__ import annotations

import msgspec
import pytest

from truing.config import Allowed, Config
from truing.finding import Severity
from truing.lint.context import make_context
from truing.lint.engine import lint
from truing.lint.references.live import live_references, search_path

AUTH = """
CREATE SCHEMA auth;
CREATE TABLE auth.users (id uuid PRIMARY KEY, email text, boss uuid REFERENCES auth.users);
CREATE TABLE auth.identities (id int PRIMARY KEY, user_id uuid REFERENCES auth.users);
CREATE VIEW auth.active AS SELECT * FROM auth.users;
CREATE FUNCTION auth.me() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM auth.users';
CREATE FUNCTION auth.touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER touch BEFORE UPDATE ON auth.users FOR EACH ROW EXECUTE FUNCTION auth.touch();
ALTER TABLE auth.users ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON auth.users USING (EXISTS (SELECT FROM auth.users u WHERE u.id IS NULL));
CREATE INDEX ON auth.users (email);
CREATE SCHEMA app;
CREATE TABLE app.profiles (id uuid PRIMARY KEY);
"""


def findings(database, **config):
    with database.connect() as connection:
        context = make_context(Config(**config), search_path(connection))
        return lint([live_references(connection, context.forbidden)], context)


def subjects(database, **config):
    return {(each.subject, str(each.severity)) for each in findings(database, **config)}


def test_what_other_people_refer_to_among_themselves_is_theirs(database):
    database.execute(AUTH)
    assert findings(database) == ()


def test_a_table_with_a_trigger_from_its_own_schema_is_left_alone(database):
    database.execute(
        "CREATE TABLE users (id int PRIMARY KEY);"
        "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';"
        "CREATE TRIGGER touch BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION touch()"
    )
    assert findings(database) == ()


@pytest.mark.parametrize(
    ("statement", "subject", "words"),
    [
        (
            'CREATE TABLE app."b""x" (u uuid, CONSTRAINT "to users" FOREIGN KEY (u) REFERENCES auth.users)',
            'app."b""x"."to users"',
            "is a foreign key to",
        ),
        ("CREATE VIEW app.v AS SELECT 1 AS one WHERE EXISTS (SELECT FROM auth.users)", "app.v", "is a view that reads"),
        ("CREATE MATERIALIZED VIEW app.m AS SELECT * FROM auth.users", "app.m", "is a view that reads"),
        (
            "CREATE POLICY p ON app.profiles USING (id IN (SELECT id FROM auth.users))",
            "app.profiles.p",
            "is a policy that reads",
        ),
        (
            "CREATE RULE r AS ON INSERT TO app.profiles DO ALSO DELETE FROM auth.users",
            "app.profiles.r",
            "is a rule that uses",
        ),
        (
            (
                "CREATE FUNCTION app.new_user() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';"
                "CREATE TRIGGER on_new AFTER INSERT ON auth.users FOR EACH ROW EXECUTE FUNCTION app.new_user()"
            ),
            "auth.users.on_new",
            "is a trigger on",
        ),
        (
            "CREATE FUNCTION app.f(u auth.users) RETURNS int LANGUAGE sql AS 'SELECT 1'",
            "app.f",
            "is a function that uses",
        ),
        (
            "CREATE FUNCTION app.f(u auth.users[]) RETURNS int LANGUAGE sql AS 'SELECT 1'",
            "app.f",
            "is a function that uses",
        ),
        (
            "CREATE FUNCTION app.f() RETURNS bigint BEGIN ATOMIC SELECT count(*) FROM auth.users; END",
            "app.f",
            "is a function that uses",
        ),
        ("CREATE TABLE app.child () INHERITS (auth.users)", "app.child", "is a child table of"),
        (
            "CREATE TABLE app.d (r regclass DEFAULT 'auth.users'::regclass)",
            "app.d.r",
            "has a default that uses",
        ),
    ],
    ids=lambda value: None if len(value) > 25 or " " in value else value,
)
def test_each_kind_of_reference_is_found_once(database, statement, subject, words):
    database.execute(AUTH)
    database.execute(statement)
    (found,) = findings(database)
    assert (found.rule, found.severity, found.subject) == ("forbidden-table-reference", Severity.ERROR, subject)
    assert f"{words} auth.users" in found.message
    assert found.evidence[0].value


def test_keys_between_partitions_are_reported_at_their_root_only(database):
    database.execute(
        AUTH + "CREATE TABLE app.events (u uuid CONSTRAINT k REFERENCES auth.users, d int) PARTITION BY RANGE (d);"
        "CREATE TABLE app.events_1 PARTITION OF app.events FOR VALUES FROM (0) TO (1);"
    )
    assert subjects(database) == {("app.events.k", "error")}


@pytest.mark.parametrize(
    ("body", "language", "found"),
    [
        ("SELECT count(*) FROM auth.users", "sql", True),
        ("BEGIN RETURN (SELECT count(*) FROM auth.users); END", "plpgsql", True),
        ("WITH users AS (SELECT 1) SELECT count(*) FROM users", "sql", False),
        ("BEGIN RETURN 1; -- FROM auth.users\nEND", "plpgsql", False),
    ],
)
def test_texts_of_functions_are_hints(database, body, language, found):
    database.execute(AUTH)
    database.execute(
        "SET check_function_bodies = off; CREATE FUNCTION app.f(a int, OUT b bigint)"
        f" LANGUAGE {language} AS $$ {body} $$"
    )
    expected = {("app.f(a integer, OUT b bigint)", "info")} if found else set()
    assert subjects(database, forbidden_tables=("auth.users", "users")) == expected


def test_an_unqualified_pattern_means_the_search_path_of_the_database(database):
    database.execute(
        AUTH
        + "CREATE TABLE app.users (id int PRIMARY KEY); CREATE TABLE app.k (u int CONSTRAINT k REFERENCES app.users)"
    )
    assert subjects(database, forbidden_tables=("users",)) == set()
    database.execute(f'ALTER DATABASE "{database.name}" SET search_path = app')
    assert subjects(database, forbidden_tables=("users",)) == {("app.k.k", "error")}


def test_hostile_names(database):
    database.execute(
        'CREATE SCHEMA "a.b""c\n"; CREATE TABLE "a.b""c\n"."Üsers%s" (id int PRIMARY KEY);'
        'CREATE TABLE "select" ("from" int CONSTRAINT "x\'y" REFERENCES "a.b""c\n"."Üsers%s")'
    )
    assert subjects(database, forbidden_tables=('"a.b""c\n"."Üsers%s"',)) == {('public."select"."x\'y"', "error")}
    assert subjects(database, forbidden_tables=('"a.b""c\n".*',)) == {('public."select"."x\'y"', "error")}


def test_members_of_extensions_and_the_journal_are_not_looked_into(database):
    database.execute(
        AUTH + "SET check_function_bodies = off;"
        "CREATE FUNCTION app.member() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM auth.users';"
        "ALTER EXTENSION plpgsql ADD FUNCTION app.member();"
    )
    assert findings(database) == ()


def test_a_role_without_any_privilege_sees_the_same(database):
    database.execute(AUTH + "CREATE TABLE app.k (u uuid CONSTRAINT k REFERENCES auth.users)")
    role = database.role()
    import psycopg  # noqa: PLC0415

    with psycopg.connect(database.url_as(role), autocommit=True) as connection:
        context = make_context(Config(), search_path(connection))
        (found,) = lint([live_references(connection, context.forbidden)], context)
    assert found.subject == "app.k.k"


def test_single_findings_are_allowed_by_configuration_and_the_remedy_says_how(database):
    import tomllib  # noqa: PLC0415

    database.execute(AUTH + 'CREATE TABLE app.k (u uuid CONSTRAINT "k""\\x" REFERENCES auth.users)')
    (found,) = findings(database)
    toml = tomllib.loads(found.remedy[found.remedy.index("[[") :])
    allowed = msgspec.convert(toml["tool"]["truing"]["allow"][0], Allowed)
    assert findings(database, allow=(allowed,)) == ()


def test_an_allowance_that_nothing_needs_is_a_finding(database):
    database.execute(AUTH)
    stale = Allowed(rule="forbidden-table-reference", subject="app.gone", reason="was needed")
    unknown = Allowed(rule="forbiden-table-reference", subject="app.x", reason="typo")
    found = {each.subject: each.message for each in findings(database, allow=(stale, unknown))}
    assert "nothing here needs forbidden-table-reference" in found["app.gone"]
    assert "Did you mean forbidden-table-reference?" in found["app.x"]


def test_nothing_is_said_about_an_allowance_whose_rule_is_off(database):
    stale = Allowed(rule="forbidden-table-reference", subject="app.gone", reason="was needed")
    assert findings(database, allow=(stale,), ignore=("TR101",)) == ()


def test_reading_leaves_nothing_behind(database):
    database.execute(AUTH)
    with database.connect() as connection:
        live_references(connection, make_context(Config()).forbidden)
        assert connection.execute("SHOW transaction_read_only").fetchone() == ("off",)
        assert connection.info.transaction_status.name == "IDLE"
