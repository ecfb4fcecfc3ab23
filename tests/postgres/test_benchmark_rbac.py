"""Does the benchmark of the permission checks still run, on the database as it is made now?"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import psycopg
import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "rbac.py"


@pytest.fixture
def benchmark():
    spec = importlib.util.spec_from_file_location("benchmark_rbac", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def tiny(benchmark, rbac_database, cluster, monkeypatch):
    """The database of the benchmark, at its smallest, and what was done to it."""
    rbac_database._roles += [benchmark.APPLICATION, benchmark.UNSEEN]
    smallest = {"tenants": 12, "profiles": 300, "runs": 1, "seconds": 0, "checks": 30, "rules": ""}
    options = benchmark.read([f"--{name}={value}" for name, value in smallest.items()])
    return lambda: benchmark.measure(cluster, rbac_database.name, options)


@pytest.mark.skipif(not Path("/proc/self/schedstat").exists(), reason="the CPU of a server is read from /proc")
def test_it_measures_everything_at_its_smallest(benchmark, tiny, rbac_database):
    found = tiny()
    assert all(len(values) == 1 and values[0] > 0 for values in found.values()), found
    calls = [name for name in benchmark.CALLS if name != "primary key"]
    wanted = {f"{name} / primary key" for name in calls} | {
        f"{name}: with row security / without, {number} in a transaction"
        for name in ("can", "sidebar")
        for number in (1, 20)
    }
    assert wanted <= set(found)
    assert {name.split(",")[0] for name in found if name.endswith("checks/s")} == {"SQLAlchemy", "asyncio"}
    # Measured is what ships: keys and triggers are back, the masks are right, and the two who ask differ in one thing.
    assert rbac_database.execute("SELECT count(*) FROM pg_constraint WHERE conname = 'fk_user_roles_profile'") == [(1,)]
    assert rbac_database.execute("SELECT count(*) FROM rbac.wrong_masks()") == [(0,)]
    shown = {
        user: [seen_by(rbac_database, user, said) for said in ("", tenant_of(rbac_database))]
        for user in (benchmark.APPLICATION, benchmark.UNSEEN)
    }
    (none, own), (every, same) = shown.values()
    assert none == 0 < own < every == same == 300


def tenant_of(database):
    return str(database.execute("SELECT tenant_id FROM profiles LIMIT 1")[0][0])


def seen_by(database, user, tenant):
    with psycopg.connect(database.dsn, user=user) as connection:
        connection.execute("SELECT set_config('app.tenant_id', %s, true)", [tenant])
        return connection.execute("SELECT count(*) FROM profiles").fetchone()[0]
