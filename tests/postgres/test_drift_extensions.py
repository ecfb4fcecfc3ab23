"""An extension that the scratch server has not got: another server, a stand-in, or a clear word."""

from __future__ import annotations

import json

import psycopg
import pytest

from tests.project import make_project
from truing.catalog.read import read_snapshot
from truing.cli.app import run
from truing.drift.building import workshop
from truing.drift.stubs import KNOWN, missing, rewritten, unloadable
from truing.names import ident
from truing.server import Binaries, Cluster, available, find

MODELS = """
from sqlalchemy import *
metadata = MetaData()
Table("t", metadata, Column("id", Uuid, primary_key=True, server_default=text("uuid_generate_v4()")),
      Column("secret", LargeBinary, server_default=text("digest('x', 'sha256')")))
"""
REVISION = """
op.execute('CREATE EXTENSION IF NOT EXISTS "uuid-ossp"')
op.execute("CREATE EXTENSION pgcrypto WITH SCHEMA public")
op.create_table("t", sa.Column("id", sa.Uuid, primary_key=True, server_default=sa.text("uuid_generate_v4()")),
                sa.Column("secret", sa.LargeBinary, server_default=sa.text("digest('x', 'sha256')")))
op.execute("INSERT INTO t DEFAULT VALUES")
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name in ("TRUING_DATABASE_URL", "DATABASE_URL", "ALEMBIC_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def only(monkeypatch):
    """A function that lets there be one PostgreSQL on this machine."""

    def choose(binaries: Binaries) -> None:
        monkeypatch.setattr(workshop, "available", lambda: (binaries,))
        monkeypatch.setattr(workshop, "find", lambda _major=None: binaries)

    return choose


def lacking(*names):
    found = [each for each in available() if not set(names) & each.extensions]
    if not found:
        pytest.skip(f"every server here has one of {names}")
    return found[0]


def answer(capsys, *arguments):
    capsys.readouterr()
    code = run(["drift", *arguments, "--output-format", "json"])
    out = capsys.readouterr()
    return code, json.loads(out.out) if out.out else {}, out.err


def said(document):
    return [f"{each['severity']} {each['rule']}: {each['subject']}" for each in document["findings"]]


def test_well_known_extensions_have_a_stand_in(folder, only, capsys):
    only(lacking("uuid-ossp", "pgcrypto"))
    make_project(folder, {"r1": REVISION}, models=MODELS, metadata="metadata")
    code, document, error = answer(capsys, "--models", "--migrations")
    assert (code, error) == (0, "")
    expected = ['info extension-not-here: extension "uuid-ossp"', "info extension-not-here: extension pgcrypto"]
    assert said(document) == expected
    # Also where the builds come from the cache.
    assert said(answer(capsys, "--models", "--migrations")[1]) == expected


def test_a_server_that_has_the_extension_goes_first(folder, capsys):
    having = [each for each in available() if {"uuid-ossp", "pgcrypto"} <= each.extensions]
    if not having or {"uuid-ossp", "pgcrypto"} <= find().extensions:
        pytest.skip("needs a usual server without the extensions, and another one with them")
    make_project(folder, {"r1": REVISION}, models=MODELS, metadata="metadata")
    code, document, _ = answer(capsys, "--models", "--migrations")
    if loads(having[0], "uuid-ossp"):
        assert (code, said(document)) == (0, [])
        assert document["facts"]["server"] == f"PostgreSQL {having[0].version} (scratch)"
    else:
        # Another one, or the same with a stand-in.
        same = document["facts"]["server"] == f"PostgreSQL {having[0].version} (scratch)"
        expected = ['info extension-not-here: extension "uuid-ossp"'] if same else []
        assert (code, said(document)) == (0, expected)


def loads(binaries, extension):
    """The control file is there; the library may need one that the machine has not got."""
    with Cluster(binaries) as cluster, psycopg.connect(cluster.dsn(), autocommit=True) as connection:
        try:
            connection.execute(f"CREATE EXTENSION {ident(extension)}")
        except psycopg.errors.UndefinedFile as error:
            return unloadable(str(error)) != extension
        return True


def test_a_library_that_is_not_there_is_no_extension_that_is_not_there():
    said = 'could not load library "/usr/lib/x y/uuid-ossp.so": libossp-uuid.so.16: cannot open shared object file'
    assert (unloadable(said), missing(said)) == ("uuid-ossp", None)
    said = 'extension "uuid-ossp" is not available'
    assert (unloadable(said), missing(said)) == (None, "uuid-ossp")


def test_an_extension_of_which_only_the_name_counts(folder, only, capsys):
    only(lacking("postgis"))
    make_project(
        folder,
        {"r1": 'op.execute("CREATE EXTENSION postgis; CREATE TABLE t (id integer)")'},
        models=MODELS,
        metadata="MetaData()",
    )
    _, document, _ = answer(capsys, "--models", "--migrations")
    assert "warning extension-not-here: extension postgis" in said(document)
    (finding,) = [each for each in document["findings"] if each["rule"] == "extension-not-here"]
    assert "postgresql-NN-postgis-3" in finding["remedy"]


def test_what_needs_the_extension_itself_is_one_clear_error(folder, only, capsys):
    only(lacking("postgis"))
    make_project(folder, {"r1": 'op.execute("CREATE EXTENSION postgis")\nop.execute("CREATE TABLE t (at geometry)")'})
    code, _, error = answer(capsys, "--models", "--migrations")
    assert code == 2
    assert 'type "geometry" does not exist' in error
    assert "has no extension postgis" in error
    assert "postgresql-NN-postgis-3" in error
    assert "r1.py" in error
    assert "Traceback" not in error


def test_a_server_that_is_not_ours_gets_no_stand_in(folder, cluster, capsys):
    if "postgis" in cluster.binaries.extensions:
        pytest.skip("this server has postgis")
    make_project(folder, {"r1": 'op.execute("CREATE EXTENSION postgis")'})
    code, _, error = answer(capsys, "--models", "--migrations", "--scratch-url", cluster.url())
    assert code == 2
    assert "has no extension postgis" in error
    assert "--scratch-url" in error


@pytest.mark.parametrize("name", sorted(KNOWN | {'odd "name" é'}))
def test_a_stand_in_is_an_extension_like_any(database, name):
    quoted = '"' + name.replace('"', '""') + '"'
    create = f'CREATE EXTENSION IF NOT EXISTS {quoted} WITH SCHEMA "Other é" CASCADE; SELECT 1'
    database.execute('CREATE SCHEMA "Other é"')
    before = read_snapshot(database.connect())
    for _ in range(2):
        database.execute(rewritten(create, {name}))
    after = read_snapshot(database.connect())
    assert [each.name for each in after.extensions if each.name != "plpgsql"] == [name]
    # Whatever it brings belongs to it.
    assert (after.tables, after.functions, after.schemas) == (before.tables, before.functions, before.schemas)
    members = database.execute(
        "SELECT count(*) FROM pg_depend AS d JOIN pg_extension AS e ON e.oid = d.refobjid"
        " WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND e.extname = %s",
        [name],
    )
    assert (members[0][0] > 3) == (name in KNOWN)
    database.execute(f"DROP EXTENSION {quoted}")
    assert read_snapshot(database.connect()).extensions == before.extensions


def test_the_message_of_every_major_is_understood(database):
    with pytest.raises(psycopg.errors.FeatureNotSupported) as error:
        database.execute('CREATE EXTENSION "not ""there"""')
    assert missing(str(error.value)) == 'not "there"'
    # Without the server's PostgreSQL 14, whose words these are.
    old = 'could not open extension control file "/usr/share/postgresql/14/extension/postgis.control": No such file'
    assert missing(old) == "postgis"


def test_only_the_extensions_that_are_lacking_are_replaced():
    text = "CREATE EXTENSION citext; create extension if not exists PostGIS with schema x version '3' cascade; SELECT 1"
    assert rewritten(text, {"other"}) == text
    changed = rewritten(text, {"postgis"})
    assert changed.startswith("CREATE EXTENSION citext; DO ")
    assert changed.endswith("; SELECT 1")
