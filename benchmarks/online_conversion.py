"""How long does an application stall while a text column becomes a uuid column?

Three contenders do the same work on copies of one database, one after the other, while the same open-loop writers
write; it is repeated, and reported as ratios with min / median / max:

``plain``  one ``ALTER TABLE profiles ALTER tenant_id TYPE uuid USING ...``
``plan``   the statements of a hand-written migration: that ALTER, three foreign keys, two indexes built concurrently
``truing`` ``op.convert_column_online`` (against plain), and with it the same keys and indexes online (against plan)

The database is the legacy RBAC one without the views, policies and triggers that would stop the first two outright,
and without orphans, which would stop the second. To run it:
``python benchmarks/online_conversion.py --profiles 1000000 --runs 3``
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from sqlalchemy import NullPool, create_engine

from truing.demo import ledger
from truing.demo.workload import Workload
from truing.rbac.legacy import build_legacy
from truing.revisions.urls import conninfo, sqlalchemy_url
from truing.server import Cluster, Scratch, find

NIL = "00000000-0000-0000-0000-000000000000"
SENTINEL = dict.fromkeys(("null", "empty", "malformed", "orphan"), "sentinel")
STRIP = f"""
DROP VIEW tenant_profile_counts; DROP VIEW active_profiles;
DROP POLICY profiles_tenant_isolation ON profiles; DROP POLICY profiles_jwt_read ON profiles;
ALTER TABLE profiles DISABLE ROW LEVEL SECURITY, ALTER tenant_id DROP DEFAULT,
  DROP CONSTRAINT ck_profiles_tenant_defined;
DROP TRIGGER trg_profiles_tenant_move ON profiles; DROP INDEX idx_profiles_tenant_lower;
INSERT INTO tenants (id, name, is_active) VALUES ('{NIL}', 'sentinel', false);
-- What the hand-written statements cannot convert at all, or only to a tenant that does not exist.
UPDATE profiles SET tenant_id = '{NIL}' WHERE tenant_id IS NULL OR NOT EXISTS (SELECT FROM tenants t
  WHERE t.id::text = lower(profiles.tenant_id));
DELETE FROM user_roles u WHERE NOT EXISTS (SELECT FROM profiles p WHERE p.id = u.user_id);
UPDATE sidebar_features s SET tenant_id = NULL WHERE NOT EXISTS (SELECT FROM tenants t WHERE t.id = s.tenant_id);
"""
CONVERT = f"""ALTER TABLE profiles ALTER COLUMN tenant_id TYPE uuid USING (CASE WHEN tenant_id ~
 '^[0-9a-fA-F]{{8}}-[0-9a-fA-F]{{4}}-[0-9a-fA-F]{{4}}-[0-9a-fA-F]{{4}}-[0-9a-fA-F]{{12}}$'
 THEN tenant_id::uuid ELSE '{NIL}'::uuid END)"""
KEYS = (
    ("profiles", "tenant_id", "tenants", "fk_profiles_tenant", "CASCADE"),
    ("user_roles", "user_id", "profiles", "fk_user_roles_profile", "CASCADE"),
    ("sidebar_features", "tenant_id", "tenants", "fk_sidebar_features_tenant", "SET NULL"),
)
INDEXES = (("idx_profiles_tenant_id", "profiles", "tenant_id"), ("idx_user_roles_user_id", "user_roles", "user_id"))


def plain(url: str) -> None:
    with psycopg.connect(conninfo(url), autocommit=True) as connection:
        connection.execute(CONVERT)


def plan(url: str) -> None:
    with psycopg.connect(conninfo(url), autocommit=True) as connection:
        with connection.transaction():
            connection.execute(CONVERT)
            for table, column, referent, name, action in KEYS:
                connection.execute(
                    f"ALTER TABLE {table} ADD CONSTRAINT {name} FOREIGN KEY ({column}) REFERENCES {referent}(id)"
                    f" ON DELETE {action}"
                )
        for name, table, column in INDEXES:
            connection.execute(f"CREATE INDEX CONCURRENTLY {name} ON {table} ({column})")


def operations(url: str, work: Callable[[Operations], None]) -> None:
    engine = create_engine(sqlalchemy_url(url), poolclass=NullPool)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"transaction_per_migration": True})
        with context.begin_transaction(_per_migration=True):
            work(Operations(context))


def convert(op: Any) -> None:
    op.convert_column_online("profiles", "tenant_id", "uuid", references="tenants.id", dirty=SENTINEL, nullable=True)


def everything(op: Any) -> None:
    convert(op)
    for name, table, column in INDEXES:
        op.create_index_online(name, table, [column])
    for table, column, referent, name, action in KEYS:
        op.add_foreign_key_online(table, [column], referent, ["id"], name=name, ondelete=action, orphans="fail")


CONTENDERS: dict[str, Callable[[str], None]] = {
    "plain": plain,
    "plan": plan,
    "truing (column)": lambda url: operations(url, convert),
    "truing (all)": lambda url: operations(url, everything),
}


def once(url: str, work: Callable[[str], None], writers: int, rate: float, seed: int) -> dict[str, float]:
    with psycopg.connect(conninfo(url), autocommit=True) as connection:
        # The copy of the database must be on the disk before anything is measured, or its writing is.
        connection.execute("CHECKPOINT")
        os.sync()
        time.sleep(5)
        rows = connection.execute("SELECT count(*) FROM profiles").fetchone()
        with Workload(conninfo(url), writers=writers, rate=rate, seed=seed, probe=False) as workload:
            time.sleep(5)
            before = connection.execute("SELECT pg_current_wal_lsn()::text").fetchone()
            began = time.monotonic()
            started = time.time()
            work(url)
            seconds, ended = time.monotonic() - began, time.time()
            wal = connection.execute("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), %s)", before).fetchone()
            time.sleep(1)
            traffic = workload.stop()
        latency = traffic.latency(started, ended)
        verdict = ledger.check(connection, profiles_before=rows[0] if rows else 0)
    return {
        "stall_ms": latency.longest,
        "stall_before_ms": traffic.latency(end=started).longest,
        "p99_ms": latency.p99,
        "seconds": seconds,
        "wal_mb": float(wal[0]) / 1e6 if wal else 0.0,
        "failed": len(traffic.failures),
        "writes": traffic.writes,
        "clean": float(verdict.clean),
    }


def spread(values: list[float]) -> str:
    return f"{min(values):.3g} / {statistics.median(values):.3g} / {max(values):.3g}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profiles", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--writers", type=int, default=4)
    parser.add_argument("--rate", type=float, default=15.0)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    results: dict[str, list[dict[str, float]]] = {name: [] for name in CONTENDERS}
    binaries = find()
    settings = {"shared_buffers": "1GB", "max_wal_size": "4GB", "checkpoint_timeout": "15min"}
    with Cluster(binaries, durable=True, settings=settings) as cluster, Scratch(cluster) as scratch:
        template = scratch.create("template_bench")
        with create_engine(sqlalchemy_url(template.url), poolclass=NullPool).connect() as connection:
            build_legacy(connection, tenants=1000, profiles=arguments.profiles, dirty_fraction=0.07)
        with psycopg.connect(conninfo(template.url), autocommit=True) as connection:
            connection.execute(STRIP)
            connection.execute("VACUUM (FULL, ANALYZE) profiles")
        print(f"PostgreSQL {binaries.version}, {platform.machine()}, {arguments.profiles:,} profiles", flush=True)
        for number in range(arguments.runs):
            for name, work in CONTENDERS.items():
                database = scratch.clone(template)
                measured = once(database.url, work, arguments.writers, arguments.rate, number + 1)
                scratch.drop(database)
                results[name].append(measured)
                print(
                    f"run {number + 1} {name:16} " + " ".join(f"{k}={v:.4g}" for k, v in measured.items()), flush=True
                )
    print("\nmin / median / max")
    for name, runs in results.items():
        figures = "  ".join(
            f"{key} {spread([run[key] for run in runs])}"
            for key in ("stall_ms", "stall_before_ms", "seconds", "wal_mb")
        )
        print(f"{name:16} {figures}")
    for slow, fast in (("plain", "truing (column)"), ("plan", "truing (all)")):
        pairs = list(zip(results[slow], results[fast], strict=True))
        print(
            f"{slow} against {fast}: stall {spread([a['stall_ms'] / b['stall_ms'] for a, b in pairs])} times shorter,"
            f" total {spread([b['seconds'] / a['seconds'] for a, b in pairs])} times longer,"
            f" WAL {spread([b['wal_mb'] / a['wal_mb'] for a, b in pairs])} times"
        )
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
