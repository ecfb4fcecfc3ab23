"""The models of `drift_zoo` against the tables that they themselves have made: nothing to say, of any of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import create_engine

from tests.postgres import drift_zoo
from truing.drift.live import take
from truing.drift.options import Options
from truing.drift.run import run
from truing.names import QualifiedName, ident

HERE = Path(__file__).parent


@pytest.fixture
def metadata(database):
    """The names of the MetaData that this server can hold."""
    return ("plain", "named", "elsewhere", *(["newer"] if database.version.major >= 18 else []))


@pytest.fixture
def live(database, metadata, tmp_path, monkeypatch):
    """A database with the tables of the zoo, made as people make them."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    database.execute(f"CREATE SCHEMA {ident(drift_zoo.SCHEMA)}")
    engine = create_engine(database.url)
    for name in metadata:
        getattr(drift_zoo, name).create_all(engine)
    engine.dispose()
    return database


def compared(live, metadata):
    """What drift says, and the models' tables."""
    options = Options(metadata=tuple(f"drift_zoo:{each}" for each in metadata), folder=str(HERE), migrations=False)
    with live.connect() as connection:
        return run(None, options, take(connection))


def test_nothing_is_said_and_every_table_was_compared(live, metadata):
    tables = [
        # PostgreSQL cuts a name at 63 bytes, which SQLAlchemy counts as characters.
        QualifiedName(table.schema or "public", table.name.encode()[:63].decode(errors="ignore"))
        for each in metadata
        for table in getattr(drift_zoo, each).tables.values()
        if table is not drift_zoo.loud.table
    ]
    assert len(tables) >= 120
    outcome = compared(live, metadata)
    assert [finding.message for finding in outcome.findings if finding.rule != "unstamped-database"] == []
    # That nothing is said is worth something only if it would be: one change of each table is noticed, of each by name.
    for name in tables:
        live.execute(f"COMMENT ON TABLE {name} IS 'changed by hand'")
    changed = compared(live, metadata).drifts
    assert {(each.kind, each.name, each.aspects[0].attribute) for each in changed} == {
        ("table", str(name), "comment") for name in tables
    }
