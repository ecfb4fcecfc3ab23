"""`truing revision`: what it writes, what it says, and that what it wrote ends at the models and comes back."""

from __future__ import annotations

import json

import pytest

from tests.project import make_project
from truing.cli.app import run

MODELS = """
import sqlalchemy as sa
metadata = sa.MetaData()
sa.Table("tenants", metadata, sa.Column("id", sa.Uuid, primary_key=True))
sa.Table(
    "profiles",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("tenant_id", sa.Uuid, sa.ForeignKey("tenants.id", name="fk_tenant"), nullable=True),
    sa.Index("ix_tenant", "tenant_id"),
)
"""
TABLES = """
op.create_table("tenants", sa.Column("id", sa.Uuid, primary_key=True))
op.create_table("profiles", sa.Column("id", sa.Integer, primary_key=True), sa.Column("tenant_id", sa.Text))
"""
TEMPLATE = '''"""${message}"""
from alembic import op
import sqlalchemy as sa
revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}


def upgrade():
    ${upgrades if upgrades else "pass"}


def downgrade():
    ${downgrades if downgrades else "pass"}
'''


@pytest.fixture
def ini(tmp_path, database, monkeypatch):
    for name in ("TRUING_DATABASE_URL", "DATABASE_URL", "ALEMBIC_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    url = database.url.replace("postgresql://", "postgresql+psycopg://", 1)
    options = "include_object=__import__('truing').include_object,"
    path = make_project(tmp_path, {"start": TABLES}, url=url, models=MODELS, metadata="metadata", options=options)
    (path.parent / "migrations" / "script.py.mako").write_text(TEMPLATE)
    return path


def answer(capsys, *arguments):
    capsys.readouterr()
    code = run([*arguments, "--output-format", "json"])
    return code, json.loads(capsys.readouterr().out)


def test_what_it_writes_runs_online_ends_at_the_models_and_is_written_once(ini, database, capsys):
    run(["upgrade"])
    code, said = answer(capsys, "revision", "-m", "profiles refer to their tenant", "--rev-id", "two")
    assert code == 0
    file = ini.parent / said["facts"]["written"]
    assert [(row["statement"], row["how"]) for row in said["tables"][0]["rows"]] == [
        ("convert public.profiles.tenant_id", "online"),
        ("create index public.ix_tenant on public.profiles", "online"),
        ("add foreign key fk_tenant to public.profiles", "online"),
    ]
    assert [row["line"] for row in said["tables"][0]["rows"]] == [
        number
        for number, line in enumerate(file.read_text().splitlines(), 1)
        if "_online(" in line and "drop_" not in line and "revert_" not in line
    ]
    database.execute("INSERT INTO profiles VALUES (1, NULL)")
    assert run(["upgrade"]) == 0
    code, said = answer(capsys, "revision", "-m", "nothing")
    assert (code, said["facts"], said["summary"]) == (
        0,
        {},
        "Nothing to write: models and database do not differ for Alembic.",
    )
    assert sorted(each.name for each in file.parent.glob("*.py")) == sorted([file.name, "start.py"])
    assert run(["downgrade", "start"]) == 0
    assert database.execute("SELECT format_type(atttypid, -1) FROM pg_attribute WHERE attname = 'tenant_id'") == [
        ("text",)
    ]


def test_what_truing_keeps_for_the_way_back_is_never_dropped_also_without_include_object(ini, database, capsys):
    """The old column holds the originals; dropping it would lose them and break every write."""
    env = ini.parent / "migrations" / "env.py"
    env.write_text(env.read_text().replace("include_object=__import__('truing').include_object,", ""))
    run(["upgrade"])
    database.execute(
        "INSERT INTO profiles VALUES (1, ' 6F1C0C5E-3D7C-4F6E-9D1F-0F4F3C1B2A10 '); CREATE INDEX ix_old ON profiles (tenant_id)"
    )
    database.execute("INSERT INTO tenants VALUES ('6f1c0c5e-3d7c-4f6e-9d1f-0f4f3c1b2a10')")
    run(["revision", "-m", "profiles refer to their tenant", "--rev-id", "two"])
    assert run(["upgrade"]) == 0
    kept = "SELECT count(*) FROM pg_attribute WHERE attrelid = 'profiles'::regclass AND attname LIKE '\\_\\_truing%' AND NOT attisdropped"
    assert database.execute(kept) == [(1,)]
    code, said = answer(capsys, "revision", "-m", "again")
    assert (code, said["facts"]) == (0, {}), said
    assert run(["downgrade", "start"]) == 0
    assert database.execute("SELECT tenant_id FROM profiles") == [(" 6F1C0C5E-3D7C-4F6E-9D1F-0F4F3C1B2A10 ",)]


def test_an_empty_one_needs_no_database(ini, capsys):
    ini.write_text(ini.read_text().replace("sqlalchemy.url", "# sqlalchemy.url"))
    code, said = answer(capsys, "revision", "-m", "seed", "--empty", "--rev-id", "two")
    assert (code, said["summary"], said["tables"]) == (0, "An empty revision is written.", [])
    assert "down_revision = 'start'" in (ini.parent / said["facts"]["written"]).read_text()


@pytest.mark.parametrize(
    ("change", "arguments", "words"),
    [
        ("", ["-m", "x"], "Target database is not up to date"),
        ("", ["-m", "x", "--empty", "--head", "nowhere"], "nowhere"),
        ("target_metadata=metadata", ["-m", "x"], "env.py has no target_metadata"),
        ("", [], "Missing option '-m'"),
    ],
)
def test_what_cannot_be_done_is_said_and_writes_nothing(ini, capsys, change, arguments, words):
    env = ini.parent / "migrations" / "env.py"
    env.write_text(env.read_text().replace(change, "target_metadata=None") if change else env.read_text())
    assert run(["revision", *arguments]) == 2
    said = capsys.readouterr().err
    assert words in said
    assert "Traceback" not in said
    assert [each.name for each in (ini.parent / "migrations" / "versions").glob("*.py")] == ["start.py"]
