"""What the older revisions build is kept: it gives what all of them give, only the newest run, and in doubt all do."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from tests.project import make_project
from truing.catalog.diff import compare
from truing.drift import run as drift
from truing.drift.building import prefix
from truing.drift.building.builder import Builder
from truing.drift.building.builds import Around, build_migrations
from truing.drift.building.cache import Cache
from truing.drift.building.workshop import Workshop
from truing.drift.options import Options
from truing.errors import RevisionError
from truing.revisions.project import discover
from truing.server import find

TABLE = 'op.create_table("things", sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.Text))'
COLUMN = 'op.add_column("things", sa.Column("size", sa.Integer))'
INDEX = 'op.create_index("things_name", "things", ["name"])'


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache of the test's own, in which everything is worth being kept."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(prefix, "WORTH_S", 0.0)
    return tmp_path / "cache" / "truing" / "drift"


@pytest.fixture(scope="module", name="plain")
def _plain():
    """A server on which all revisions are run."""
    with Workshop(memory=True) as workshop:
        yield workshop


@pytest.fixture(name="chain")
def _chain(tmp_path, cache):
    """A chain of revisions to be written, each of which says in a file that it ran."""
    return Chain(tmp_path, cache)


class Chain:
    """A project whose revisions are written and rewritten."""

    def __init__(self, folder, cache):
        self.folder, self.log, self.cache = folder / "project", folder / "log", cache
        self.around = Around()

    def make(self, *bodies, **options):
        """Write revisions r1, r2 and so on."""
        revisions = {f"r{number}": self._noted(f"r{number}", body) for number, body in enumerate(bodies, 1)}
        self.project = discover(config=make_project(self.folder, revisions, **options))

    def file(self, revision):
        return self.folder / "migrations" / "versions" / f"{revision}.py"

    def write(self, revision, body, down):
        """Write one more revision, or another text of one."""
        lines = "\n".join(f"    {line}" for line in self._noted(revision, body).splitlines())
        self.file(revision).write_text(
            f"import sqlalchemy as sa\nfrom alembic import op\nrevision = {revision!r}\ndown_revision = {down!r}\n"
            f"def upgrade():\n{lines}\n"
        )

    def ran(self):
        """Name the revisions that were run since this was asked last."""
        lines = self.log.read_text().split() if self.log.exists() else []
        self.log.unlink(missing_ok=True)
        return lines

    def built(self, major=None, stamped=None):
        """Build what all migrations build, as a comparison does; begin again where that does, too.

        Gives it with what was known: "migrations up to" which revision.
        """
        kept = prefix.Prefix(self.project)
        while True:
            with Workshop(memory=True, major=major, prefix=kept) as workshop:
                builder = Builder(self.project, Options(models=False), workshop, self.around, Cache(), stamped)
                try:
                    with builder:
                        built = builder.head()
                except prefix.UnfitError as error:
                    kept = None if error.fields.get("failed") else prefix.Prefix(self.project, refused=True)
                    continue
                builder.keep()
                return built, [each.partition(" (of 20")[0] for each in builder.from_cache]

    def _noted(self, revision, body):
        return f'open({str(self.log)!r}, "a").write("{revision} ")\n{body}'


def same(one, other):
    """Compare what two builds built, object by object."""
    assert compare(one.snapshot, other.snapshot) == ()
    assert msgspec.structs.replace(one.snapshot, database=other.snapshot.database) == other.snapshot
    assert set(one.reply.heads) == set(other.reply.heads)
    assert one.helped == other.helped


# ruff: noqa: ISC004 - bodies of several lines
CHAINS = {
    "tables, rows, an enum that grows, quoted names": (
        (
            'sa.Enum("sad", "it\'s ok", name="Mood é").create(op.get_bind())\n' + TABLE,
            'op.bulk_insert(sa.table("things", sa.column("name")), [{"name": "a"}, {"name": None}])\n'
            'op.execute("UPDATE things SET name = \'b\' WHERE name IS NULL")',
            'op.alter_column("things", "name", nullable=False)\n'
            'op.create_table("a \\"b\\" %", sa.Column("sel é", sa.dialects.postgresql.ENUM(name="Mood é", create_type=False)))',
        ),
        'with op.get_context().autocommit_block():\n    op.execute("ALTER TYPE \\"Mood é\\" ADD VALUE \'glad\'")\n'
        'op.alter_column("a \\"b\\" %", "sel é", server_default="glad")',
        {"options": "transaction_per_migration=True,"},
    ),
    "an extension, a function, a version table elsewhere": (
        (
            'op.execute("CREATE EXTENSION citext")\nop.execute("CREATE ROLE prefix_reader")',
            TABLE.replace("sa.Text", "sa.dialects.postgresql.HSTORE")
            + '\nop.execute("GRANT SELECT ON things TO prefix_reader")',
            'op.execute("CREATE FUNCTION f(things) RETURNS text LANGUAGE sql RETURN ($1).name -> \'a\'")',
        ),
        'op.execute("CREATE VIEW v AS SELECT id, f(things) FROM things")\n'
        'op.execute("GRANT SELECT ON v TO prefix_reader")',
        {
            "options": 'version_table="Ver é", version_table_schema="other",',
            "models": 'from sqlalchemy import event\nfrom sqlalchemy.engine import Engine\n'
            'event.listen(Engine, "begin", lambda c: c.exec_driver_sql("CREATE SCHEMA IF NOT EXISTS other"))',
        },
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CHAINS)
def test_it_gives_what_all_revisions_give(chain, plain, case):
    older, newest, options = CHAINS[case]
    chain.make(*older, **options)
    # Which the live database has, and no revision makes: it is helped along, and that is said.
    chain.around = Around(extensions=(("hstore", "public"),))
    first, known = chain.built()
    assert known == []
    assert chain.ran()[-3:] == ["r1", "r2", "r3"]
    chain.write("r4", newest, "r3")
    second, known = chain.built()
    # Before the newest of then: that is what is most likely to be written anew.
    assert chain.ran() == ["r3", "r4"]
    assert known == ["migrations up to r2"]
    same(second, build_migrations(plain, chain.project, around=chain.around)[1])
    chain.ran()
    chain.write("r4", newest + "\n" + 'op.create_table("more")', "r3")
    third, known = chain.built()
    assert chain.ran() == ["r4"]
    assert known == ["migrations up to r3"]
    same(third, build_migrations(plain, chain.project, around=chain.around)[1])
    assert first.snapshot != second.snapshot != third.snapshot
    assert ("hstore" in str(third.helped)) is ("extension" in case)


def test_branches_that_meet_before_it_and_another_major(chain):
    major = 15
    if find(major).version.major != major:
        pytest.skip(f"there is no PostgreSQL {major} here")
    chain.make(TABLE)
    chain.write("left", COLUMN, "r1")
    chain.write("right", INDEX, "r1")
    chain.write("both", "pass", ("left", "right"))
    chain.write("last", "pass", "both")
    chain.built(major)
    assert sorted(chain.ran()) == ["both", "last", "left", "r1", "right"]
    chain.write("last", 'op.drop_column("things", "name")', "both")
    built, _ = chain.built(major)
    assert chain.ran() == ["last"]
    assert [each.name for each in built.snapshot.tables[1].columns] == ["id", "size"]
    # Another branch from before it: what is kept may have run in another order.
    chain.write("third", "pass", "r1")
    chain.write("all", "pass", ("last", "third"))
    chain.built(major)
    assert len(chain.ran()) == 7
    # A merge has two before it, and nothing is kept that would be of no use.
    assert not list(chain.cache.glob("*.prefix"))


def rewritten(file, old, new):
    """Change a file; gives what brings it back."""
    before = file.read_bytes()
    assert old in before
    file.write_bytes(before.replace(old, new, 1))
    return lambda: file.write_bytes(before)


def added(file):
    file.write_text("")
    return file.unlink


def test_it_is_not_used_where_it_may_be_wrong(chain, monkeypatch):
    helped = "import os\nimport helper\nos.environ.get('CHAIN_KIND')\n" + TABLE
    chain.make(helped, COLUMN, INDEX, models=f"import sys\nsys.path.insert(0, {str(chain.folder)!r})\n")
    (chain.folder / "helper.py").write_text("one = 1")
    chain.built()
    (file,) = chain.cache.glob("*.prefix")
    changes = {
        "an older revision": lambda: rewritten(chain.file("r1"), b"sa.Text", b"sa.UnicodeText"),
        "env.py": lambda: rewritten(chain.folder / "migrations" / "env.py", b"import", b"import os\nimport"),
        "a module": lambda: rewritten(chain.folder / "helper.py", b"1", b"2"),
        "the configuration": lambda: rewritten(chain.folder / "alembic.ini", b"[alembic]", b"[alembic]\na = b"),
        "an older form": lambda: rewritten(file, b'"halfway":', b'"midway":'),
        "no form at all": lambda: rewritten(file, b"{", b""),
    }
    for what, change in changes.items():
        assert prefix.Prefix(chain.project).kept is not None
        back = change()
        assert prefix.Prefix(chain.project).kept is None, what
        back()
    with monkeypatch.context() as patch:
        patch.setenv("CHAIN_KIND", "x")
        assert prefix.Prefix(chain.project).kept is None
    # These change nothing: what comes later, and what is said when one goes on.
    chain.write("r3", "pass", "r2")
    chain.write("r4", "pass", "r3")
    kept = prefix.Prefix(chain.project).kept
    assert kept.onward.files == tuple(os.path.realpath(chain.file(each)) for each in ("r3", "r4"))
    chain.ran()
    assert chain.built()[1] == ["migrations up to r2"]
    assert chain.ran() == ["r3", "r4"]
    # What only the older ones have imported counts for what came of it, too.
    (chain.folder / "helper.py").write_text("two = 2")
    assert chain.built()[1] == []
    assert chain.ran() == ["r1", "r2", "r3", "r4"]
    (chain.folder / "another.py").write_text("")
    assert chain.built()[1] == []
    assert chain.ran() == ["r1", "r2", "r3", "r4"]


TWICE = """
    with create_engine(url, poolclass=pool.NullPool).connect() as connection:
        for schema in ("public", "two"):
            connection.exec_driver_sql(f'CREATE SCHEMA IF NOT EXISTS {schema}')
            connection.exec_driver_sql(f'SET search_path = {schema}')
            connection.commit()
            run(connection=connection, version_table_schema=schema)
"""
AFTERWARDS = """
        run(connection=connection)
        connection.exec_driver_sql("COMMENT ON INDEX things_name IS 'x'")
        connection.commit()
"""


@pytest.mark.parametrize(
    ("env", "ran"),
    [
        # The first schema's newest runs after the second one's.
        pytest.param(TWICE, ["r1", "r2", "r1", "r2", "r3", "r3"], id="in several schemas"),
        pytest.param(AFTERWARDS, ["r1", "r2", "r1", "r2", "r3"], id="with the newest taken for granted afterwards"),
    ],
)
def test_an_environment_that_does_more_is_run_as_it_should(chain, plain, env, ran):
    chain.make(TABLE, COLUMN, INDEX)
    file = chain.folder / "migrations" / "env.py"
    text = file.read_text()
    old = "    with create_engine" if env is TWICE else "        run(connection=connection)"
    file.write_text(text[: text.index(old)] + env.lstrip("\n"))
    built, _ = chain.built()
    assert chain.ran() == ran
    same(built, build_migrations(plain, chain.project)[1])
    assert not list(chain.cache.glob("*.prefix"))


def test_an_archive_that_is_not_whole_is_not_there(chain):
    chain.make(TABLE, COLUMN, INDEX)
    chain.built()
    chain.ran()
    (file,) = chain.cache.glob("*.prefix")
    content = bytearray(file.read_bytes())
    content[-5000] ^= 1
    file.write_bytes(content)
    chain.write("r3", "pass", "r2")
    assert chain.built()[1] == []
    assert chain.ran() == ["r1", "r2", "r3"]
    chain.write("r3", INDEX, "r2")
    assert chain.built()[1] == ["migrations up to r2"]


DATABASE_SETTING = """
op.execute("DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET a.b = 1', current_database()); END $$")
"""
POOL = "poolclass=pool.NullPool"


@pytest.mark.parametrize(
    "bodies",
    [
        pytest.param((TABLE, "op.execute('SET search_path = pg_catalog, public')", INDEX), id="left in the session"),
        pytest.param((TABLE, "op.execute('CREATE TEMPORARY TABLE t ()')", INDEX), id="temporary"),
        pytest.param((TABLE, DATABASE_SETTING, INDEX), id="of the database"),
        pytest.param((TABLE, INDEX, "op.execute('CREATE ROLE prefix_newest')"), id="a role of the newest"),
    ],
)
def test_nothing_is_kept_where_no_copy_has_it_all(chain, bodies):
    chain.make(*bodies)
    chain.built()
    assert not list(chain.cache.glob("*.prefix"))


def test_connections_that_a_pool_keeps_do_not_matter(chain):
    chain.make(TABLE, INDEX)
    env = chain.folder / "migrations" / "env.py"
    text = env.read_text().replace("create_engine(url, poolclass=pool.NullPool)", "create_engine(url)")
    assert POOL not in text
    env.write_text(text)
    chain.built()
    chain.ran()
    chain.write("r2", "pass", "r1")
    assert chain.built()[1] == ["migrations up to r1"]
    assert chain.ran() == ["r2"]


def test_what_runs_only_in_one_transaction_is_run_in_one(chain):
    chain.make('op.execute("CREATE TYPE mood AS ENUM ()")', "pass", "pass")
    chain.built()
    chain.ran()
    (file,) = chain.cache.glob("*.prefix")
    # A label cannot be used in the transaction that adds it, unless that has made the type.
    body = "op.execute(\"ALTER TYPE mood ADD VALUE 'new'\")\nop.execute(\"CREATE TABLE t (m mood DEFAULT 'new')\")"
    chain.write("r3", body, "r2")
    assert chain.built()[1] == []
    # Once from what is kept, where it fails.
    assert chain.ran() == ["r3", "r1", "r2", "r3"]
    file.unlink()
    chain.write("r3", body + "  # again", "r2")
    assert chain.built()[1] == []
    assert chain.ran() == ["r1", "r2", "r3", "r1", "r2", "r3"]


def test_a_failure_of_the_newest_is_said_and_what_is_kept_stays(chain):
    chain.make(TABLE, COLUMN, INDEX)
    chain.built()
    chain.write("r3", "raise ValueError('on purpose')", "r2")
    with pytest.raises(RevisionError, match=r"do not run on an empty database: .*r3\.py:\d+: ValueError: on purpose"):
        chain.built()
    chain.write("r3", INDEX + "  # mended", "r2")
    assert chain.built()[1] == ["migrations up to r2"]


def test_where_the_live_database_is_counts(chain, plain):
    chain.make(TABLE, COLUMN, INDEX, "pass")
    built, _ = chain.built(stamped=("r2",))
    assert chain.ran() == ["r1", "r2", "r3", "r4"]
    chain.write("r4", 'op.drop_column("things", "name")', "r3")
    # It is what was kept, though the newest revision's own comes later.
    built, known = chain.built(stamped=("r2",))
    assert chain.ran() == ["r3", "r4"]
    assert known == ["migrations up to r2"]
    same(built, build_migrations(plain, chain.project)[1])
    chain.ran()
    # It has gone on.
    chain.write("r4", "pass", "r3")
    assert chain.built(stamped=("r4",))[1] == ["migrations up to r2"]
    assert chain.ran() == ["r3", "r4"]
    # It is older than what is kept.
    chain.write("r4", "pass  # again", "r3")
    assert chain.built(stamped=("r1",))[1] == []
    assert chain.ran() == ["r1", "r2", "r3", "r4"]


def test_what_is_not_written_whole_is_not_there(chain, monkeypatch):
    chain.make(TABLE, COLUMN, INDEX)
    chain.built()
    (file,) = chain.cache.glob("*.prefix")
    before = file.read_bytes()
    chain.write("r4", "pass", "r3")

    def killed(self, *_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            chain.built()
    assert file.read_bytes() == before
    (left,) = chain.cache.glob("*.new")
    assert left.stat().st_mode & 0o777 == 0o600
    chain.write("r4", INDEX.replace("things_name", "other"), "r3")
    chain.built()
    assert not left.exists()
    assert file.read_bytes() != before


def test_a_comparison_says_it_and_names_the_revision_that_did_something(chain):
    chain.make(TABLE, COLUMN, INDEX, models=MODELS, metadata="metadata")

    def compared():
        outcome = drift.run(chain.project, Options(fixes=False))
        return {each.name: each.revision for each in outcome.drifts}, outcome.facts["from the cache"], chain.ran()

    drifts, known, ran = compared()
    assert (drifts, known) == ({"public.things_name": "r3"}, "nothing")
    # Once to build, once to look.
    assert ran == ["r1", "r2", "r3"] * 2
    chain.write("r3", 'op.execute("ALTER TABLE things ALTER name SET DEFAULT 0")', "r2")
    drifts, known, ran = compared()
    assert drifts == {"public.things.name": "r3"}
    assert str(known).startswith("migrations up to r2 (of 20")
    assert ran == ["r3"] * 2
    chain.write("r3", 'op.execute("CREATE TABLE t (); ALTER TABLE things ALTER size SET DEFAULT 0")', "r2")
    drifts, _, ran = compared()
    assert drifts == {"public.things.size": "r3", "public.t": "r3"}
    # Nobody has looked what the older revisions did to the other table.
    assert ran == ["r3", "r3", "r1", "r2"]
    chain.write("r3", "op.execute('CREATE TABLE t ()')", "r2")
    models = chain.folder / "migrations" / "env.py"
    assert compared()[::2] == ({"public.t": "r3"}, ["r3", "r3"])
    # Models are part of what is kept, for env.py imports them.
    models.write_text(models.read_text().replace("Text", "String(9)"))
    drifts, known, _ = compared()
    assert drifts == {"public.t": "r3", "public.things.name": "r1"}
    assert known == "nothing"


MODELS = """
from sqlalchemy import *
metadata = MetaData()
Table("things", metadata, Column("id", Integer, primary_key=True), Column("name", Text), Column("size", Integer))
"""
