"""The RBAC database is in true at head: in a schema of its own, and brought there from the legacy database."""

from __future__ import annotations

import pytest

from truing.drift.live import take
from truing.drift.options import Options
from truing.drift.run import run
from truing.rbac import script
from truing.rbac.adopt import init
from truing.revisions.project import discover


@pytest.fixture
def compare(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    ini = tmp_path / "alembic.ini"
    ini.write_text(f"[alembic]\nscript_location = {script.MIGRATIONS}\n")

    def compared(database, schema="public"):
        with database.connect(options=f"-c search_path={schema}") as connection:
            return run(discover(config=ini), Options(unmanaged=("auth.*",)), take(connection))

    return compared


def test_one_in_a_schema_of_its_own_is_in_true_where_the_search_path_leads_there(database, compare):
    init(database.url, schema="tenancy")
    (help_needed,) = compare(database, "tenancy").findings
    # Nobody but `init` makes the schema, which is no drift.
    assert (help_needed.rule, help_needed.subject) == ("migrations-need-help", "CREATE SCHEMA tenancy")
    database.execute("DROP INDEX tenancy.idx_profiles_tenant_id")
    assert [drift.name for drift in compare(database, "tenancy").drifts] == ["tenancy.idx_profiles_tenant_id"]


def test_a_legacy_one_that_was_migrated_there_back_and_there_is_in_true(legacy, engine, database, compare):
    for bring, target in (
        (script.upgrade, script.HEAD),
        (script.downgrade, script.LEGACY),
        (script.upgrade, script.HEAD),
    ):
        with engine.connect() as connection:
            bring(connection, target)
    outcome = compare(database)
    assert [finding.message for finding in outcome.findings] == []
    assert outcome.left_out["unmanaged: auth.*"] == ["auth.identities", "auth.users"]
    database.execute("DROP INDEX idx_profiles_tenant_id")
    assert [drift.name for drift in compare(database).drifts] == ["public.idx_profiles_tenant_id"]
