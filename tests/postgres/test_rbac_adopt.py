"""Adoption says every difference from the baseline and stamps only what fits; init makes a new database at head."""

from __future__ import annotations

import re
import shlex

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import ProgrammingError

from truing.cli.app import run
from truing.errors import ConnectionFailedError, UsageError
from truing.finding import Severity
from truing.rbac import program, script
from truing.rbac.adopt import adopt, init


@pytest.fixture
def scratch_engine(make_database):
    engine = create_engine(make_database().url)
    yield engine
    engine.dispose()


@pytest.fixture
def unstamped(legacy, database):
    """The legacy database as it was before it ever heard of Alembic."""
    database.execute("DROP TABLE alembic_version")


def judge(engine, scratch_engine, **options):
    with engine.connect() as live, scratch_engine.connect() as scratch:
        return adopt(live, scratch, **options)


def test_the_baseline_fits_itself_and_is_stamped(unstamped, engine, scratch_engine, database):
    adoption = judge(engine, scratch_engine)
    assert adoption.findings == ()
    assert adoption.stamped
    assert database.execute("SELECT version_num FROM alembic_version") == [(script.LEGACY,)]
    with pytest.raises(UsageError, match="already"):
        judge(engine, scratch_engine)


DIFFERENCES = [
    ("ALTER TABLE user_roles DROP COLUMN tenant_id", "public.user_roles.tenant_id", Severity.ERROR),
    ("ALTER TABLE roles ALTER tenant_id TYPE text", "public.roles.tenant_id", Severity.ERROR),
    ("ALTER TABLE user_roles ALTER role_id DROP NOT NULL", "public.user_roles.role_id", Severity.ERROR),
    ("ALTER TABLE profiles ALTER tenant_id SET DEFAULT 'none'", "public.profiles.tenant_id", Severity.ERROR),
    ("DROP TABLE tenant_moves CASCADE", "public.tenant_moves", Severity.ERROR),
    ("ALTER TABLE profiles DISABLE ROW LEVEL SECURITY", "public.profiles", Severity.ERROR),
    (
        "DROP POLICY sidebar_features_jwt_read ON sidebar_features",
        "public.sidebar_features.sidebar_features_jwt_read",
        Severity.ERROR,
    ),
    (
        "ALTER POLICY profiles_jwt_read ON profiles USING (true)",
        "public.profiles.profiles_jwt_read",
        Severity.ERROR,
    ),
    (
        "ALTER TABLE profiles DISABLE TRIGGER trg_profiles_updated_at",
        "public.profiles.trg_profiles_updated_at",
        Severity.ERROR,
    ),
    ("DROP INDEX idx_profiles_email", "public.profiles.idx_profiles_email", Severity.ERROR),
    ("CREATE INDEX theirs ON profiles (display_name)", "public.profiles.theirs", Severity.WARNING),
    ("ALTER TABLE profiles ADD avatar_url text", "public.profiles.avatar_url", Severity.WARNING),
    ("DROP VIEW tenant_profile_counts", "public.tenant_profile_counts", Severity.WARNING),
    ("COMMENT ON TABLE profiles IS 'ours'", "public.profiles", Severity.INFO),
    ("GRANT SELECT ON profiles TO PUBLIC", "public.profiles", Severity.INFO),
]


@pytest.mark.usefixtures("unstamped")
@pytest.mark.parametrize("difference", DIFFERENCES, ids=[each[0] for each in DIFFERENCES])
def test_every_difference_is_said(engine, scratch_engine, database, difference):
    change, subject, severity = difference
    database.execute(change)
    adoption = judge(engine, scratch_engine)
    assert (severity, subject) in {(finding.severity, finding.subject) for finding in adoption.findings}
    assert adoption.stamped == adoption.fits == (severity is not Severity.ERROR)
    assert database.execute("SELECT to_regclass('alembic_version') IS NOT NULL") == [(adoption.stamped,)]


def test_other_tables_are_nobodys_business(unstamped, engine, scratch_engine, database):
    database.execute("CREATE TABLE orders (id int); CREATE VIEW v AS SELECT * FROM orders")
    assert judge(engine, scratch_engine).findings == ()


def test_column_order_means_nothing(unstamped, engine, scratch_engine, database):
    database.execute(
        "ALTER TABLE roles RENAME description TO old; ALTER TABLE roles ADD description text;"
        "ALTER TABLE roles DROP COLUMN old"
    )
    assert judge(engine, scratch_engine).findings == ()


def test_comparing_alone_writes_nothing(unstamped, engine, scratch_engine, database):
    adoption = judge(engine, scratch_engine, stamp=False)
    assert adoption.fits
    assert not adoption.stamped
    assert database.execute("SELECT to_regclass('alembic_version')") == [(None,)]


def test_another_projects_versions_stay(unstamped, engine, scratch_engine, database):
    database.execute("CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY)")
    database.execute("INSERT INTO alembic_version VALUES ('theirs')")
    adoption = judge(engine, scratch_engine)
    assert adoption.stamped
    assert sorted(database.execute("SELECT version_num FROM alembic_version")) == [(script.LEGACY,), ("theirs",)]
    assert str(script.VERSIONS) in adoption.findings[-1].remedy


def test_another_schema(engine, scratch_engine, database):
    database.execute('CREATE SCHEMA "My App"')
    with engine.connect() as connection:
        script.upgrade(connection, script.LEGACY, schema="My App")
    database.execute('DROP TABLE "My App".alembic_version; DROP INDEX "My App".idx_profiles_email')
    (finding,) = judge(engine, scratch_engine, schema="My App").findings
    assert finding.subject == '"My App".profiles.idx_profiles_email'
    database.execute('CREATE INDEX idx_profiles_email ON "My App".profiles (email)')


def test_an_open_transaction_is_refused(unstamped, engine, scratch_engine):
    with engine.connect() as live, scratch_engine.connect() as scratch:
        live.exec_driver_sql("SELECT 1")
        with pytest.raises(UsageError, match="outside a transaction"):
            adopt(live, scratch)


def test_init_refuses_a_database_in_use(unstamped, database):
    with pytest.raises(UsageError, match="not new"):
        init(database.url)


def test_init_says_what_the_server_said(database):
    with pytest.raises(ConnectionFailedError):
        init(database.url.replace(database.name, database.name).replace("postgres@", "nobody_such@"))


def test_functions_that_work_for_other_tables_are_not_taken_from_them(rbac_database, world):
    tenant = world.tenant("acme")
    world.permission("write")
    person = world.profile(tenant, world.role(tenant, "editor", "write"))
    with pytest.raises(UsageError, match="schema rbac are those of the tables in schema public") as refused:
        init(rbac_database.url, schema="s two")
    assert "--program" in refused.value.advice
    assert rbac_database.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 's two'") == [(0,)]
    # Nor by installing for tables that nothing guards yet: the statements themselves refuse.
    with world.engine.connect() as connection, pytest.raises(ProgrammingError, match="those of the tables in schema"):
        program.install(connection, schema="s two")
    assert world.can(tenant, person, "write")
    init(rbac_database.url, schema="s two", program="r two")
    assert world.can(tenant, person, "write")
    assert rbac_database.execute("SELECT count(*) FROM \"r two\".versions_of('{}')") == [(0,)]


def test_a_second_time_the_hint_is_one_that_works(engine, legacy, database, monkeypatch, capsys):
    with engine.connect() as live, pytest.raises(UsageError) as raised:
        adopt(live, live)
    said = re.search("Bring it up: truing (upgrade -c .*)", str(raised.value))
    assert said is not None
    monkeypatch.setenv("TRUING_DATABASE_URL", database.url)
    monkeypatch.setenv("COLUMNS", "400")
    assert run([*shlex.split(said[1]), "--plan"]) == 0
    seen = capsys.readouterr().out
    assert "Pending revisions: 6." in seen
    # Without the project, the next command would not find it.
    assert f"next: truing {said[1]}\n" in seen


def test_a_second_time_beside_another_project_it_is_that_one_that_goes_on(engine, legacy):
    with engine.connect() as live:
        live.execute(text("INSERT INTO alembic_version VALUES ('theirs')"))
        live.commit()
        with pytest.raises(
            UsageError, match=r"(?s)project that has theirs: alembic upgrade rbac@head, once .*versions is"
        ):
            adopt(live, live)


def test_where_there_is_nothing_to_adopt_it_is_init_that_is_wanted(database, monkeypatch, capsys):
    database.execute("CREATE TABLE other (id int)")
    monkeypatch.setenv("TRUING_DATABASE_URL", database.url)
    assert run(["rbac", "adopt", "--compare"]) == 2
    said = capsys.readouterr().err
    assert "no table of the RBAC in the schema public" in said
    assert "`truing rbac init` makes a new RBAC database" in said
