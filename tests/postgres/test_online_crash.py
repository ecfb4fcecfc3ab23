"""Kill the migration, or the server, at random points while an application writes: it always ends clean.

A bounded number of points in an ordinary run; TRUING_CRASHES=200 makes it the full proof.
"""

from __future__ import annotations

import os
import subprocess
import sys

import psycopg
import pytest
from alembic import command
from sqlalchemy import NullPool, create_engine

from truing.demo import ledger
from truing.demo.workload import PROBE_ROWS, Workload
from truing.rbac import script
from truing.rbac.legacy import build_legacy

FORCED = "rbac_row_security_forced"
CRASHES = int(os.environ.get("TRUING_CRASHES", "12"))

MIGRATE = """
import sys
from sqlalchemy import create_engine, NullPool
from truing.rbac import script
url, direction, target = sys.argv[1:]
with create_engine(url, poolclass=NullPool).connect() as connection:
    (script.upgrade if direction == "up" else script.downgrade)(connection, target)
"""

UNTOUCHED = """
SELECT md5(string_agg(concat_ws('|', p.id, coalesce(p.tenant_id::text, '<null>'), p.email, p.display_name, p.role, p.created_at,
  p.updated_at), ',' ORDER BY p.id)) FROM profiles p WHERE NOT EXISTS (SELECT FROM truing_demo.ledger l WHERE l.profile_id = p.id)
"""
REST = """
SELECT (SELECT md5(string_agg(s::text, ',' ORDER BY id)) FROM
    (SELECT id, feature_id, tenant_id, url_path FROM sidebar_features WHERE sidebar_name <> 'new') s),
  (SELECT md5(string_agg(t::text, ',' ORDER BY id)) FROM tenants t),
  (SELECT md5(string_agg(r::text, ',' ORDER BY id)) FROM roles r),
  (SELECT md5(string_agg(u::text, ',' ORDER BY id)) FROM user_roles u WHERE NOT EXISTS
    (SELECT FROM truing_demo.ledger l WHERE l.profile_id = u.user_id))
"""


def start(database, direction, target, faults=""):
    environment = {**os.environ, "TRUING_FAULTS": faults}
    return subprocess.Popen(
        [sys.executable, "-c", MIGRATE, database.url, direction, target],
        env=environment,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )


def until_done(database, direction, target, seed, crashes, mode):
    """Run with faults until so many have hit, then without; return how many hit."""
    hit = 0
    while True:
        fault = "kill" if mode == "client" else f"stop:{database.cluster.pid}"
        faults = f"{seed}-{direction}-{hit}:{0.05 if hit < crashes else 0}:{fault}"
        process = start(database, direction, target, faults)
        _, errors = process.communicate(timeout=120)
        if mode == "server":
            # It may be on its way down still, also where the last statement had passed.
            database.cluster.restart("immediate")
        if process.returncode == 0:
            return hit
        assert process.returncode == (-9 if mode == "client" else 1), errors.decode()
        hit += 1


@pytest.fixture
def legacy_database(database):
    engine = create_engine(database.url)
    with engine.connect() as connection:
        build_legacy(connection, tenants=10, profiles=1_500, seed=3, dirty_fraction=0.2)
    engine.dispose()
    return database


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("mode", ["client", "server"])
def test_killed_at_any_point_and_run_again_it_ends_at_head_and_back_with_a_clean_ledger(legacy_database, mode):
    """kill -9 of the migration, and an immediate stop of the server, at seeded random points on the way up and down."""
    sql, dsn = legacy_database.execute, legacy_database.dsn
    before = sql("SELECT count(*) FROM profiles")[0][0] + PROBE_ROWS
    hit = 0
    with Workload(dsn, writers=4, rate=10) as workload:
        digest, rest = sql(UNTOUCHED), sql(REST)
        while hit < CRASHES:
            hit += until_done(legacy_database, "up", script.CONTRACT, hit, CRASHES - hit, mode)
            assert sql("SELECT version_num FROM alembic_version") == [("rbac_contract",)]
            hit += until_done(legacy_database, "down", script.LEGACY, hit, CRASHES - hit, mode)
            assert sql("SELECT version_num FROM alembic_version") == [("rbac_legacy_baseline",)]
            assert sql(UNTOUCHED) == digest
            assert sql(REST) == rest
        traffic = workload.stop()
    assert traffic.failures == ()
    assert (traffic.disconnects > 0) == (mode == "server")
    assert traffic.probes
    assert (traffic.foreign, traffic.missing) == (0, 0)
    with psycopg.connect(dsn, autocommit=True) as connection:
        verdict = ledger.check(connection, profiles_before=before)
    assert verdict.clean, verdict
    assert verdict.checked > 500


# Of each table that the application writes to, the rows that are none of its doing.
NOT_THE_WRITERS = {
    "profiles": "NOT EXISTS (SELECT FROM truing_demo.ledger l WHERE l.profile_id = t.id)",
    "user_roles": "NOT EXISTS (SELECT FROM truing_demo.ledger l WHERE l.profile_id = t.user_id)",
    "tenant_moves": "NOT EXISTS (SELECT FROM truing_demo.ledger l WHERE l.profile_id = t.profile_id)",
    "sidebar_features": "t.sidebar_name <> 'new'",
}


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("mode", ["client", "server"])
def test_killed_between_contract_and_head_it_ends_there_and_back(legacy_database, mode):
    """The keys that hold the tenant and the row security, under an application that is deployed anew between them."""
    sql = legacy_database.execute

    def every_row():
        tables = "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY 1"
        rows = (
            "SELECT md5(string_agg(r, ',' ORDER BY r)) FROM (SELECT to_jsonb(t)::text AS r FROM public.{} t WHERE {}) x"
        )
        return {name: sql(rows.format(name, NOT_THE_WRITERS.get(name, "true"))) for (name,) in sql(tables)}

    def leftovers():
        return sql(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relname LIKE 'zzzz_truing%'"
            " UNION ALL SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid"
            " UNION ALL SELECT conname FROM pg_constraint WHERE NOT convalidated"
        )

    def go(direction, target):
        done = until_done(legacy_database, direction, target, hit, CRASHES - hit, mode)
        assert sql("SELECT version_num FROM alembic_version") == [(target,)]
        return done

    hit = CRASHES
    count = sql("SELECT count(*) FROM profiles")[0][0] + PROBE_ROWS
    with Workload(legacy_database.dsn, writers=4, rate=10, wrong=0.2) as workload:
        go("up", script.CONTRACT)
        before, hit = every_row(), 0
        while hit < CRASHES:
            hit += go("up", script.ROW_SECURITY)
            workload.deploy("roles")
            hit += go("up", FORCED)
            workload.deploy("isolated")
            assert leftovers() == []
            with create_engine(legacy_database.url, poolclass=NullPool).connect() as connection:
                command.check(script.configuration(connection))
            with legacy_database.connect() as connection:
                assert [each for each in ledger.wrongs(connection, ()) if each.rows != each.settled] == []
            workload.deploy("roles")
            hit += go("down", script.ROW_SECURITY)
            workload.deploy("legacy")
            hit += go("down", script.CONTRACT)
            assert every_row() == before
        traffic = workload.stop()
    assert traffic.failures == ()
    assert (traffic.disconnects > 0) == (mode == "server")
    assert traffic.closed_looks
    assert (traffic.foreign, traffic.missing) == (0, 0)
    assert {refusal.by for refusal in traffic.refusals} > {"fk_user_roles_profile", "fk_user_roles_role", "type uuid"}
    with legacy_database.connect() as connection:
        verdict = ledger.check(connection, profiles_before=count)
    assert verdict.clean, verdict
    assert verdict.checked > 500
    assert until_done(legacy_database, "down", script.LEGACY, 0, 0, mode) == 0
