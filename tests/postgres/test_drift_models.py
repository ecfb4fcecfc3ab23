"""Models against the tables that they themselves have made: nothing to say, whatever they are."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import create_engine

from tests.postgres import drift_models
from truing.drift.live import take
from truing.drift.options import Options
from truing.drift.run import run

HERE = Path(__file__).parent
OTHER = 'CREATE SCHEMA "Other ""schema"""'


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def live(database):
    database.execute(OTHER)
    engine = create_engine(database.url)
    drift_models.Base.metadata.create_all(engine)
    engine.dispose()
    return database


def options(**others):
    return Options(metadata=("drift_models:Base",), folder=str(HERE), migrations=False, **others)


def test_nothing_is_said_of_models_and_their_own_tables(live):
    assert len(drift_models.Base.metadata.tables) >= 60
    with live.connect() as connection:
        outcome = run(None, options(), take(connection))
    assert [finding.message for finding in outcome.findings if finding.rule != "unstamped-database"] == []


def test_the_second_time_it_comes_from_the_cache(live, monkeypatch):
    with live.connect() as connection:
        first, second = (run(None, options(), take(connection)) for _ in range(2))
    assert (first.facts["from the cache"], second.facts["from the cache"]) == ("nothing", "models")
    assert first.findings == second.findings


def test_a_single_change_among_them_is_all_that_is_said(live):
    live.execute("ALTER TABLE parent ALTER region DROP NOT NULL")
    with live.connect() as connection:
        (drift,) = run(None, options(), take(connection)).drifts
    assert (drift.name, drift.aspects[0].attribute, drift.aspects[0].models) == (
        "public.parent.region",
        "not null",
        "yes",
    )
    assert drift.location is not None
    assert drift.location.file.endswith("drift_models.py")
    line = Path(drift.location.file).read_text().splitlines()[drift.location.line - 1]
    assert line.strip().startswith("region")


def test_models_that_postgresql_refuses_are_said_and_the_rest_is_compared(database, tmp_path):
    (tmp_path / "refused.py").write_text(
        "from sqlalchemy import *\nmetadata = MetaData()\n"
        "Table('good', metadata, Column('id', Integer, primary_key=True), Column('n', Text))\n"
        "Table('bad', metadata, Column('id', Integer, primary_key=True), Column('k', Text, ForeignKey('good.n')))\n"
        "Table('ugly', metadata, Column('doc', Text), Index('ugly_gin', 'doc', postgresql_using='gin'))\n"
    )
    database.execute("CREATE TABLE good (id serial PRIMARY KEY, n text)")
    with database.connect() as connection:
        outcome = run(
            None, Options(metadata=("refused:metadata",), folder=str(tmp_path), migrations=False), take(connection)
        )
    refused = [finding for finding in outcome.findings if finding.rule == "model-not-creatable"]
    assert sorted(finding.message.partition(": ")[2][:25] for finding in refused) == [
        "data type text has no def", "there is no unique constr",
    ]  # fmt: skip
    assert {drift.name for drift in outcome.drifts} == {"public.bad", "public.ugly"}
