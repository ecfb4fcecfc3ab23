"""An answer is given again while everything is as it was, and never when anything is not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from typing import ClassVar

import pytest

from tests.project import make_project
from truing.cli.app import run
from truing.drift import live
from truing.drift import run as running
from truing.drift.building import workshop
from truing.drift.building.workshop import Workshop
from truing.drift.model import Outcome
from truing.drift.sources import key
from truing.server import Cluster

MODELS = """
from sqlalchemy import *
metadata = MetaData()
Table("a", metadata, Column("id", Integer, primary_key=True), Column("name", Text))
"""
ONE = 'op.execute("CREATE TABLE a (id serial PRIMARY KEY, name text)")'
UP = (
    "CREATE TABLE a (id serial PRIMARY KEY, name text); CREATE TABLE alembic_version"
    " (version_num varchar(32) CONSTRAINT alembic_version_pkc PRIMARY KEY); INSERT INTO alembic_version VALUES ('one')"
)
REMEMBERED = "the comparison of "


@pytest.fixture
def project(tmp_path, database, monkeypatch):
    """A project whose database is at head."""
    for name in ("TRUING_DATABASE_URL", "DATABASE_URL", "ALEMBIC_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    url = database.url.replace("postgresql://", "postgresql+psycopg://", 1)
    make_project(tmp_path, {"one": ONE}, url=url, models=MODELS, metadata="metadata")
    database.execute(UP)
    return tmp_path


class Comparisons:
    """Stands in for the comparison, of which each run counts."""

    def __init__(self):
        self.count, self.meanwhile, self.imported = 0, lambda: None, ()

    def __call__(self, *_):
        self.count += 1
        self.meanwhile()
        facts = {"compared": "models, migrations, live", "from the cache": "nothing"}
        return Outcome(drifts=(), hidden=(), findings=(), left_out={}, facts=facts, imported=self.imported)


@pytest.fixture
def comparisons(monkeypatch):
    """The comparisons that were run."""
    instead = Comparisons()
    monkeypatch.setattr(running, "run", instead)
    return instead


def answer(capsys, *arguments, code=0):
    capsys.readouterr()
    assert run(["drift", *arguments, "--output-format", "json"]) == code
    return json.loads(capsys.readouterr().out)


def remembers(capsys, *arguments):
    """Whether an answer was given again."""
    return REMEMBERED in answer(capsys, *arguments)["facts"]["from the cache"]


def test_the_answer_is_given_again_until_the_database_changes(project, database, capsys, monkeypatch):
    first = answer(capsys)
    with monkeypatch.context() as patch:
        # Nothing is read, built or compared.
        for place in (running, live):
            patch.delattr(place, "run" if place is running else "take")
        again = answer(capsys)
    assert again["findings"] == first["findings"] == []
    assert again["facts"]["from the cache"].startswith("models, migrations, the comparison of 20")
    assert again["facts"]["live database"] == "unchanged since then, by the digest of its catalog"
    assert "live database" not in first["facts"]
    database.execute("ALTER TABLE a ADD COLUMN by_hand text")
    changed = [answer(capsys, code=1) for _ in range(2)]
    assert [REMEMBERED in each["facts"]["from the cache"] for each in changed] == [False, True]
    (finding,) = changed[0]["findings"]
    assert (finding["rule"], finding["subject"]) == ("live-edited-by-hand", "column public.a.by_hand")
    assert changed[0]["findings"] == changed[1]["findings"]
    # What decides which drift is hidden counts as well.
    (project / "migrations" / "env.py").write_text(
        (project / "migrations" / "env.py")
        .read_text()
        .replace("metadata, include", "metadata, include_name=lambda name, *_: name != 'by_hand', include")
    )
    assert answer(capsys)["findings"] == []


CHANGES = {
    "a row of alembic_version": "UPDATE alembic_version SET version_num = 'gone'",
    "no alembic_version": "ALTER TABLE alembic_version RENAME TO former",
    "a default": "ALTER TABLE a ALTER name SET DEFAULT 'x'",
    "a name": "ALTER TABLE a RENAME name TO other",
    "a comment": "COMMENT ON DATABASE {database} IS 'x'",
    "a search path": "ALTER DATABASE {database} SET search_path = pg_catalog, public",
    "a right": "GRANT SELECT ON a TO PUBLIC",
    "an owner": "ALTER TABLE a OWNER TO pg_database_owner",
}


def test_a_change_of_the_database_ends_it(project, database, comparisons, capsys):
    assert [remembers(capsys) for _ in range(2)] == [False, True]
    for change, statement in CHANGES.items():
        database.execute(statement.format(database=f'"{database.name}"'))
        assert [remembers(capsys) for _ in range(2)] == [False, True], change
    assert comparisons.count == 1 + len(CHANGES)


def test_a_change_of_the_project_or_the_question_ends_it(project, comparisons, capsys, monkeypatch):
    helper = project / "helper.py"
    helper.write_text("import os\nLANGUAGE = os.environ.get('SPOKEN')\n")
    comparisons.imported = (str(helper),)
    assert [remembers(capsys) for _ in range(2)] == [False, True]
    revision = project / "migrations" / "versions" / "one.py"
    revision.with_name("data.sql").write_text("SELECT 1")
    revision.write_text(revision.read_text() + "\n")
    assert [remembers(capsys) for _ in range(2)] == [False, True]
    monkeypatch.setenv("SPOKEN", "one")
    for change in (
        lambda: helper.write_text(helper.read_text() + "\n"),
        lambda: helper.with_name("beside.py").touch(),
        helper.unlink,
        lambda: revision.write_text(revision.read_text() + "\n"),
        lambda: revision.with_name("two.py").touch(),
        lambda: revision.with_name("data.sql").write_text("SELECT 2"),
        lambda: (project / "pyproject.toml").write_text('[tool.truing]\nunmanaged = ["x"]\n'),
    ):
        change()
        assert [remembers(capsys) for _ in range(2)] == [False, True]
    helper.write_text("import os\nLANGUAGE = os.environ.get('SPOKEN')\n")
    assert [remembers(capsys) for _ in range(2)] == [False, True]
    monkeypatch.setenv("SPOKEN", "two")
    assert [remembers(capsys) for _ in range(2)] == [False, True]
    # Each question has an answer of its own; two that there is no answer to keep.
    assert [remembers(capsys, "-x", "tenant=a") for _ in range(2)] == [False, True]
    assert [remembers(capsys, "--migrations", "--live") for _ in range(2)] == [False, True]
    assert [remembers(capsys, "--no-fixes") for _ in range(2)] == [False, True]
    assert [remembers(capsys, "--no-cache") for _ in range(2)] == [False, False]
    assert remembers(capsys)


def test_what_a_revision_or_a_model_reads_counts_wherever_it_is(project, capsys):
    (project / "sql").mkdir()
    one, two = project / "sql" / "one.sql", project / "sql" / "names.list"
    one.write_text("CREATE TABLE a (id serial PRIMARY KEY, name text)")
    two.write_text("name")
    make_again = """
    import pathlib
    for each in sorted(pathlib.Path("sql").glob("*.sql")):
        op.execute(each.read_text())
    """
    revision = project / "migrations" / "versions" / "one.py"
    revision.write_text(revision.read_text().replace(f"    {ONE}\n", make_again))
    env = project / "migrations" / "env.py"
    env.write_text(env.read_text().replace('Column("name", Text)', 'Column(open("sql/names.list").read(), Text)'))
    between = ("--models", "--migrations")
    cached = [answer(capsys, *between)["facts"]["from the cache"] for _ in range(2)]
    assert cached == ["nothing", "migrations, models"]
    one.write_text("CREATE TABLE a (id serial PRIMARY KEY, other text)")
    (finding,) = answer(capsys, *between, code=1)["findings"]
    assert finding["subject"] == "column public.a.name"
    two.write_text("other")
    assert answer(capsys, *between)["findings"] == []
    one.with_name("two.sql").write_text("ALTER TABLE a ADD COLUMN more text")
    assert [each["subject"] for each in answer(capsys, *between, code=1)["findings"]] == ["column public.a.more"]


def test_a_package_of_ones_own_that_is_installed_again_ends_it(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    index, own = (tmp_path / f"{name}-1.0.dist-info" for name in ("theirs", "mine"))
    for each in (index, own):
        each.mkdir()
        (each / "RECORD").write_text("models.py,sha256=1,1\n")
    (own / "direct_url.json").write_text('{"dir_info": {}, "url": "file:///app"}')
    before = key("x")
    (index / "RECORD").write_text("models.py,sha256=2,1\n")
    assert key("x") == before
    (own / "RECORD").write_text("models.py,sha256=2,1\n")
    assert key("x") != before


def test_what_changes_during_the_comparison_is_not_kept(project, database, comparisons, capsys, monkeypatch):
    env = project / "migrations" / "env.py"
    comparisons.meanwhile = lambda: env.write_text(env.read_text())
    assert [remembers(capsys) for _ in range(2)] == [False, False]
    comparisons.meanwhile = lambda: None
    take, number = live.take, iter(range(9))

    def disturbed(connection, *table):
        taken = take(connection, *table)
        database.execute(f"COMMENT ON TABLE a IS '{next(number)}'")
        return taken

    with monkeypatch.context() as patch:
        patch.setattr(live, "take", disturbed)
        assert [remembers(capsys) for _ in range(2)] == [False, False]
    assert [remembers(capsys) for _ in range(2)] == [False, True]


def test_another_database_is_another_question(project, make_database, comparisons, capsys):
    other = make_database()
    other.execute(UP)
    assert [remembers(capsys) for _ in range(2)] == [False, True]
    assert [remembers(capsys, "--database-url", other.url) for _ in range(2)] == [False, True]
    assert remembers(capsys)
    # One that has come in its place is not the one that was there.
    other.execute("DROP TABLE a; CREATE TABLE a (id serial PRIMARY KEY, name text)")
    assert not remembers(capsys, "--database-url", other.url)


def test_a_damaged_answer_is_none(project, comparisons, capsys):
    def kept():
        return [each for each in (project / "cache").rglob("*.json") if b'"glance"' in each.read_bytes()]

    assert [remembers(capsys) for _ in range(2)] == [False, True]
    (file,) = kept()
    whole = file.read_bytes()
    assert file.stat().st_mode & 0o077 == 0
    for damaged in (
        b"",
        whole[: len(whole) // 2],
        whole[:-1],
        b"[]",
        b'{"glance": 1}',
        b"\xff\xfe",
        whole.replace(b'"catalog"', b'"other"'),
    ):
        file.write_bytes(damaged)
        assert [remembers(capsys) for _ in range(2)] == [False, True], damaged[:20]
    (file.parent / "salt.json").unlink()
    assert [remembers(capsys) for _ in range(2)] == [False, True]
    assert kept() == [file]


def test_a_server_that_cannot_hash_is_read(project, comparisons, capsys, monkeypatch):
    monkeypatch.setattr("truing.catalog.digest._hash", lambda *_: "md5(1 / 0)")
    assert [remembers(capsys) for _ in range(2)] == [False, False]


def test_a_version_table_of_another_name_is_asked_for_once(project, database, comparisons, capsys, monkeypatch):
    env = project / "migrations" / "env.py"
    env.write_text(env.read_text().replace("metadata, include", "metadata, version_table='versions', include"))
    database.execute("ALTER TABLE alembic_version RENAME TO versions")
    assert not remembers(capsys)
    monkeypatch.delattr("truing.drift.exchange.subprocess")
    assert [remembers(capsys) for _ in range(2)] == [False, True]
    database.execute("UPDATE versions SET version_num = 'gone'")
    assert not remembers(capsys)


def test_it_loads_neither_sqlalchemy_nor_alembic(project, comparisons, capsys):
    answer(capsys)
    code = (
        "import sys; from truing.cli.app import run; code = run(['drift', '--output-format', 'json'])\n"
        "print(code, sorted({'sqlalchemy', 'alembic', 'postgast', 'rich', 'truing.drift.run'} & set(sys.modules)))"
    )
    # As the test is run: with the same packages and the same path.
    path = os.pathsep.join(each for each in sys.path if each)
    done = subprocess.run(
        [sys.executable, "-P", "-c", f"import sys; sys.path[:] = {sys.path!r}\n{code}"],
        capture_output=True, text=True, check=False, env=os.environ | {"PYTHONPATH": path},
    )  # fmt: skip
    document, _, rest = done.stdout.rpartition("}\n")
    assert rest.strip() == "0 []", done.stderr
    assert REMEMBERED in json.loads(document + "}")["facts"]["from the cache"]


class Servers(Cluster):
    """Counts the scratch servers that are started."""

    started: ClassVar[list[str]] = []

    def start(self):
        self.started.append(threading.current_thread().name)
        super().start()


def test_the_server_is_started_while_the_live_database_is_read_where_files_have_changed(
    project, database, capsys, monkeypatch
):
    monkeypatch.setattr(workshop, "Cluster", Servers)
    monkeypatch.setattr(Servers, "started", [])
    background = ["truing scratch server"]
    assert answer(capsys)["findings"] == []
    assert Servers.started == background
    assert answer(capsys)["findings"] == []
    database.execute("ALTER TABLE a ADD COLUMN by_hand text; ALTER TABLE a DROP COLUMN by_hand")
    assert not remembers(capsys)
    # Nothing was to be built, and nothing had to be asked.
    assert Servers.started == background
    env = project / "migrations" / "env.py"
    env.write_text(env.read_text() + "# changed\n")
    assert answer(capsys)["findings"] == []
    assert Servers.started == background * 2


def test_a_server_that_does_not_suit_is_left_for_another_one(project, capsys, monkeypatch):
    monkeypatch.setattr(workshop, "Cluster", Servers)
    monkeypatch.setattr(Servers, "started", [])
    monkeypatch.setattr(Workshop, "suits", lambda *_: False)
    assert answer(capsys)["findings"] == []
    assert len(Servers.started) == 2
    assert Servers.started[0] == "truing scratch server"
