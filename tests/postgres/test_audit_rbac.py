"""The audit of the legacy RBAC database: it counts what was planted, and what then happens."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.rbac_refused import REFUSED_AT_HEAD
from truing.audit.model import Audit
from truing.audit.run import audit, pending_revisions
from truing.finding import Severity
from truing.rbac import script
from truing.rbac.script import MIGRATIONS
from truing.revisions.project import discover

KEYS = "rbac_foreign_key_implementation"


def rbac_audit(database, folder: Path) -> Audit:
    folder.joinpath("alembic.ini").write_text(f"[alembic]\nscript_location = {MIGRATIONS}\n")
    with database.connect() as connection:
        revisions = pending_revisions(discover(folder), connection)
        return audit(connection, revisions)


def found(result: Audit, table: str, column: str, name: str) -> int:
    return result.counts(f"public.{table}", column, KEYS).get(name, 0)


def test_it_counts_what_was_planted(legacy, database, tmp_path):
    result = rbac_audit(database, tmp_path)
    assert result.revisions[:3] == (KEYS, "rbac_contract", "rbac_tenant_keys")
    assert result.revisions[-1] == "rbac_row_security_forced"
    profiles = {name: count for name, count in legacy.by_fate().items() if count}
    assert result.counts("public.profiles", "tenant_id", KEYS) == profiles
    for name, count in legacy.orphans.items():
        assert found(result, *name.split("."), "orphan") == count, name
    for name, count in legacy.nulls.items():
        assert found(result, *name.split("."), "null") == count, name
    assert [each for each in result.findings if each.severity is Severity.ERROR] == []


@pytest.mark.parametrize("more", [(), REFUSED_AT_HEAD], ids=["as-planted", "and-what-head-refuses"])
def test_it_predicts_what_happens(legacy, engine, database, tmp_path, more):
    for statement in more:
        database.execute(statement)
    result = rbac_audit(database, tmp_path)
    predicted = result.quarantine()
    with engine.connect() as connection:
        script.upgrade(connection)
    happened = database.execute("SELECT rel, col, reason, count(*) FROM _truing.quarantine GROUP BY 1, 2, 3")
    assert predicted == {(table, column, reason): count for table, column, reason, count in happened}
    assert len(predicted) > 10


def test_a_row_that_is_moved_away_is_not_settled_twice(legacy, database, tmp_path):
    """Seven grants are orphans of every kind: the first of the keys moves them, the others count them as settled."""
    result = rbac_audit(database, tmp_path)
    orphans = {
        each.columns[0]: (each.count, each.settled)
        for table in result.tables
        for each in table.classes
        if str(each.table) == "public.user_roles" and each.row_class == "orphan" and each.source.revision == KEYS
    }
    assert orphans == {"user_id": (14, 0), "role_id": (14, 7), "tenant_id": (14, 7)}


def test_a_key_on_the_converted_column_is_asked_through_the_conversion(legacy, database, tmp_path):
    result = rbac_audit(database, tmp_path)
    (profiles,) = [each for each in result.tables if str(each.table) == "public.profiles"]
    key = {each.row_class: each.count for each in profiles.classes if "fk_profiles_tenant" in each.change}
    assert key == {"orphan": 0, "clean": 1_000}


def test_every_dependent_of_the_column_is_named(legacy, database, tmp_path):
    result = rbac_audit(database, tmp_path)
    (profiles,) = [each for each in result.tables if str(each.table) == "public.profiles"]
    kinds = {each.kind for each in profiles.dependents}
    assert {"policy", "view", "index", "check", "trigger", "default"} <= kinds
    assert not any(each.refused for each in profiles.dependents)


@pytest.mark.parametrize("name", ["malformed", "orphan", "normalised", "empty", "null"])
def test_the_query_lists_the_rows(legacy, database, tmp_path, name):
    result = rbac_audit(database, tmp_path)
    (profiles,) = [each for each in result.tables if str(each.table) == "public.profiles"]
    (count,) = [each for each in profiles.classes if each.row_class == name and "→ uuid" in each.change]
    rows = database.execute(count.query)
    assert len(rows) == count.count > 0
    keys = {str(row[0]) for row in rows}
    assert {sample.key for sample in count.samples} <= keys


def test_after_the_upgrade_nothing_is_pending(legacy, engine, database, tmp_path):
    with engine.connect() as connection:
        script.upgrade(connection)
    result = rbac_audit(database, tmp_path)
    assert (result.revisions, result.tables, result.findings) == ((), (), ())
