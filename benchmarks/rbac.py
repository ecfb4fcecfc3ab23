"""What does a permission check cost, on the server, from Python and from memory, and what do others need for it?

Server: CPU of the backends for each call (``/proc``), as a ratio to a lookup by primary key measured in the same run;
with row security the whole transaction (BEGIN, set_config, call, COMMIT), as a ratio to the same without it. Python:
checks per second through SQLAlchemy on one connection; nanoseconds from the cache. Peers: pycasbin and cedarpy with the
same shape of policy (one third grants of permissions to roles, two thirds grants of roles to profiles) at several
sizes, as a ratio to our CPU for each check. Each is repeated, and reported as min / median / max.

Small: ``python benchmarks/rbac.py``. Full: ``python benchmarks/rbac.py --tenants 1000 --profiles 1000000 --runs 5
--seconds 4 --rules 1000,10000,100000``. Peers are measured where they are installed: ``pip install casbin cedarpy``.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import random
import statistics
import subprocess
import tempfile
import time
import timeit
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
from sqlalchemy import create_engine

from truing.names import ident
from truing.rbac import access, program
from truing.rbac.access.cache import Cache
from truing.rbac.adopt import init
from truing.revisions.urls import sqlalchemy_url
from truing.server import Cluster, find

ROLES = 12
PERMISSIONS = 200
PER_ROLE = 72
FLAGS = 50
LEAST = 3
APPLICATION = "rbac_benchmark"

# One tenant has a tenth of all profiles, nine have two hundredths each, the others share the rest. :n is a profile.
SKEW = "CASE WHEN {n} <= {p} / 10 THEN 1 WHEN {n} <= {p} * 28 / 100 THEN 2 + {n} % 9 ELSE 11 + {n} % ({t} - 10) END"
LOAD = """
INSERT INTO permissions (id, name, bit_no)
  SELECT md5('k' || n)::uuid, CASE WHEN n % 10 = 0 THEN 'a' || n / 10 || '.*' ELSE 'a' || n / 10 || '.p' || n END, n
  FROM generate_series(0, {k} - 1) n;
INSERT INTO tenants (id, name, slug) SELECT md5('t' || n)::uuid, 't' || n, 't' || n FROM generate_series(1, {t}) n;
INSERT INTO roles (id, tenant_id, name) SELECT (n - 1) * {r} + k, md5('t' || n)::uuid, 'r' || k
  FROM generate_series(1, {t}) n, generate_series(1, {r}) k;
INSERT INTO role_permissions (tenant_id, role_id, permission_id, effect)
  SELECT r.tenant_id, r.id, p.id, CASE WHEN (r.id + p.bit_no) % 40 = 0 THEN 'deny' ELSE 'allow' END
  FROM roles r, permissions p
  WHERE (r.id * 7 + p.bit_no * 11) % {k} < {x} AND (p.bit_no % 10 > 0 OR r.id % 6 = 0);
INSERT INTO profiles (id, tenant_id)
  SELECT md5('p' || n)::uuid, md5('t' || ({skew}))::uuid FROM generate_series(1, {p}) n;
INSERT INTO user_roles (tenant_id, user_id, role_id)
  SELECT md5('t' || s.t)::uuid, md5('p' || s.n)::uuid, (s.t - 1) * {r} + 1 + (s.n + k * 4) % {r}
  FROM (SELECT n, {skew} AS t FROM generate_series(1, {p}) n) s, generate_series(0, 2) k;
INSERT INTO feature_flags (id, name, default_enabled, rollout_percentage)
  SELECT md5('f' || n)::uuid, 'f' || n, n % 4 > 0, CASE WHEN n % 5 = 0 THEN 50 ELSE 100 END
  FROM generate_series(1, {f}) n;
INSERT INTO tenant_features (tenant_id, feature_id, is_enabled)
  SELECT md5('t' || t)::uuid, md5('f' || f)::uuid, (t + f) % 3 > 0
  FROM generate_series(1, {t}) t, generate_series(1, {f}, 5) f;
INSERT INTO sidebar_features (feature_id, tenant_id, is_global, sidebar_name, url_path, requires_permission)
  SELECT md5('f' || 1 + n % {f})::uuid, NULL, true, 'g' || n, '/g' || n, p.name
  FROM generate_series(1, 48) n LEFT JOIN permissions p ON p.bit_no = n AND n % 3 = 0
  UNION ALL SELECT md5('f' || 1 + n % {f})::uuid, md5('t' || t)::uuid, false, 's' || n, '/s' || n, NULL
  FROM generate_series(1, {t}) t, generate_series(1, 5) n;
"""
SECURE = """
ALTER TABLE {table} ENABLE ROW LEVEL SECURITY; ALTER TABLE {table} FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON {table} TO {role} USING ({column} = rbac.current_tenant());
GRANT SELECT ON {table} TO {role}
"""
TENANT_TABLES = (
    "profiles",
    "roles",
    "role_permissions",
    "role_inherits",
    "role_grants",
    "user_roles",
    "tenant_features",
)

WHO = "md5('t' || :t)::uuid, md5('p' || :n)::uuid"
TWENTY = "SELECT 'a' || n / 10 || '.p' || n FROM generate_series(:k, :k + 19) n"
CALLS = {
    "primary key": "SELECT active FROM profiles WHERE id = md5('p' || :n)::uuid",
    "can": f"SELECT rbac.can({WHO}, 'a' || :k / 10 || '.p' || :k)",
    "can_many (20)": f"SELECT count(*) FROM rbac.can_many({WHO}, ARRAY({TWENTY}))",
    "permissions_of": f"SELECT count(*) FROM rbac.permissions_of({WHO})",
    "sidebar": f"SELECT count(*) FROM rbac.sidebar({WHO})",
}


def build(connection: psycopg.Connection[Any], tenants: int, profiles: int) -> dict[str, float]:
    """Fill the tables without keys, then add the keys; the seconds of each."""
    took = {}
    keys = connection.execute(
        "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'f'"
        " AND connamespace = 'public'::regnamespace"
    ).fetchall()
    for table, name, _ in keys:
        connection.execute(f"ALTER TABLE {table} DROP CONSTRAINT {ident(name)}".encode())
    skew = SKEW.format(n="n", p=profiles, t=tenants)
    began = time.perf_counter()
    fill = {"t": tenants, "p": profiles, "r": ROLES, "k": PERMISSIONS, "x": PER_ROLE, "f": FLAGS, "skew": skew}
    connection.execute(LOAD.format(**fill).encode())
    took["load"] = time.perf_counter() - began
    began = time.perf_counter()
    for table, name, definition in keys:
        connection.execute(f"ALTER TABLE {table} ADD CONSTRAINT {ident(name)} {definition}".encode())
    took["add keys"] = time.perf_counter() - began
    return took


def secure(connection: psycopg.Connection[Any]) -> None:
    connection.execute(f"CREATE ROLE {APPLICATION} LOGIN".encode())
    for table in (*TENANT_TABLES, "tenants"):
        column = "id" if table == "tenants" else "tenant_id"
        connection.execute(SECURE.format(table=table, role=APPLICATION, column=column).encode())
    connection.execute(
        "ALTER TABLE sidebar_features ENABLE ROW LEVEL SECURITY;"
        f" CREATE POLICY sidebar_read ON sidebar_features TO {APPLICATION}"
        " USING (tenant_id = rbac.current_tenant() OR is_global);"
        f" GRANT SELECT ON sidebar_features, permissions, feature_flags TO {APPLICATION}".encode()
    )


class Server:
    """Runs pgbench, and reads what the backends used: the postmaster's account of its children that have ended."""

    def __init__(self, cluster: Cluster, database: str, tenants: int, profiles: int, seconds: int) -> None:
        self.cluster, self.database, self.seconds = cluster, database, seconds
        skew = SKEW.format(n=":n", p=profiles, t=tenants).replace("CASE", "(CASE") + " END)"
        self.draw = f"\\set n random(1, {profiles})\n\\set t {skew}\n\\set k random(1, {PERMISSIONS - 21})\n".replace(
            "END END)", "END)"
        )
        self.postmaster = int(cluster.data_dir.joinpath("postmaster.pid").read_text().split()[0])
        self.pgbench = next(
            path
            for path in (cluster.binaries.bin_dir / "pgbench", *Path("/usr/lib/postgresql").glob("*/bin/pgbench"))
            if path.exists() and os.access(path, os.X_OK)
        )

    def used(self) -> float:
        fields = Path(f"/proc/{self.postmaster}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")

    def run(self, call: str, *, user: str = "", transaction: bool = False) -> tuple[float, float]:
        """Run a call for some seconds; its microseconds of CPU each, and calls per second."""
        script = self.draw
        if transaction:
            script += (
                f"BEGIN;\nSELECT set_config('app.tenant_id', md5('t' || :t)::uuid::text, true);\n{call};\nCOMMIT;\n"
            )
        else:
            script += f"{call};\n"
        with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
            file.write(script)
            file.flush()
            before = self.used()
            command = [self.pgbench, "-n", "-M", "prepared", "-c4", "-j2", f"-T{self.seconds}", "-f", file.name]
            dsn = self.cluster.dsn(self.database, user) if user else self.cluster.dsn(self.database)
            done = subprocess.run([*map(str, command), dsn], capture_output=True, text=True, check=False)
            if done.returncode:
                raise SystemExit(done.stderr)
            # A backend ends a moment after its client.
            time.sleep(0.3)
        lines = dict(line.split(": ", 1) for line in done.stdout.splitlines() if ": " in line)
        number = int(lines["number of transactions actually processed"].split("/")[0])
        rate = next(float(line.split()[2]) for line in done.stdout.splitlines() if line.startswith("tps"))
        return (self.used() - before) / number * 1e6, rate


def measure_server(server: Server, runs: int) -> dict[str, list[float]]:
    """Take turns, so that what else the machine does hits each alike."""
    found: dict[str, list[float]] = {}
    for number in range(runs):
        cpu = {name: server.run(call)[0] for name, call in CALLS.items()}
        for name, used in cpu.items():
            found.setdefault(f"{name}: CPU µs", []).append(used)
            if name != "primary key":
                found.setdefault(f"{name} / primary key", []).append(used / cpu["primary key"])
        for name in ("can", "sidebar"):
            plain, _ = server.run(CALLS[name], transaction=True)
            secured, _ = server.run(CALLS[name], transaction=True, user=APPLICATION)
            found.setdefault(f"{name}: with row security / without", []).append(secured / plain)
        print(f"server, run {number + 1} of {runs}", flush=True)
    return found


def measure_python(url: str, asked: list[tuple[UUID, UUID, str]], runs: int) -> dict[str, list[float]]:
    engine = create_engine(url)
    found: dict[str, list[float]] = {}
    for _ in range(runs):
        with engine.connect() as connection:
            began = time.perf_counter()
            for question in asked:
                access.can(connection, *question)
            found.setdefault("SQLAlchemy, one connection: checks/s", []).append(
                len(asked) / (time.perf_counter() - began)
            )
            connection.rollback()
        with Cache(engine, staleness=60) as cache:
            tenant, profile, permission = asked[0]
            cache.can(tenant, profile, permission)
            took = timeit.timeit(lambda: cache.can(tenant, profile, permission), number=200_000) / 200_000  # noqa: B023 - called at once
            found.setdefault("from the cache: ns", []).append(took * 1e9)
    engine.dispose()
    return found


def policy(rules: int) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """One third grants of permissions to roles, ten each, two thirds grants of roles to profiles."""
    grants = [(f"r{n // 10}", f"p{n % 10}") for n in range(rules // 3)]
    members = [(f"u{n}", f"r{n % max(1, rules // 30)}") for n in range(rules - len(grants))]
    return grants, members


def casbin_check(rules: int) -> Callable[[str, str], bool]:
    import casbin  # noqa: PLC0415 - where it is installed

    text = """
[request_definition]
r = sub, dom, obj
[policy_definition]
p = sub, dom, obj
[role_definition]
g = _, _, _
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = g(r.sub, p.sub, r.dom) && r.dom == p.dom && r.obj == p.obj
"""
    model = casbin.Enforcer.new_model(text=text)
    enforcer = casbin.Enforcer(model)
    grants, members = policy(rules)
    enforcer.add_policies([[role, "d", name] for role, name in grants])
    enforcer.add_grouping_policies([[user, role, "d"] for user, role in members])
    return lambda user, name: enforcer.enforce(user, "d", name)


def cedar_check(rules: int) -> Callable[[str, str], bool]:
    import cedarpy  # noqa: PLC0415 - where it is installed

    grants, members = policy(rules)
    lines = [f'permit(principal in Role::"{role}", action == Action::"{name}", resource);' for role, name in grants]
    policies = cedarpy.PolicySet.from_str("\n".join(lines))
    held = [
        {"uid": {"type": "User", "id": user}, "attrs": {}, "parents": [{"type": "Role", "id": role}]}
        for user, role in members
    ]
    entities = cedarpy.Entities.from_json_str(json.dumps(held))

    def check(user: str, name: str) -> bool:
        request = {
            "principal": f'User::"{user}"',
            "action": f'Action::"{name}"',
            "resource": 'Tenant::"t"',
            "context": {},
        }
        return cedarpy.is_authorized(request, policies, entities).decision == cedarpy.Decision.Allow

    return check


PEERS = {"casbin": ("pycasbin", casbin_check), "cedarpy": ("cedarpy", cedar_check)}


def measure_peers(sizes: list[int], runs: int, ours: float, seconds: float = 1.0) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for module, (name, make) in PEERS.items():
        if importlib.util.find_spec(module) is None:
            print(f"{name} is not installed, so it is not measured", flush=True)
            continue
        for rules in sizes:
            check = make(rules)
            roles = max(1, rules // 30)
            # It must answer right, or its time means nothing.
            if not check("u0", "p0") or check("u0", "p10"):
                raise SystemExit(f"{name} answers wrong")
            chance = random.Random(1)
            for _ in range(runs):
                number, began = 0, time.process_time()
                while time.process_time() - began < seconds or number < LEAST:
                    check(f"u{chance.randrange(roles)}", f"p{chance.randrange(20)}")
                    number += 1
                used = (time.process_time() - began) / number * 1e6
                found.setdefault(f"{name}, {rules:,} rules: CPU µs", []).append(used)
                found.setdefault(f"{name}, {rules:,} rules / can", []).append(used / ours)
            print(f"{name}, {rules:,} rules", flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tenants", type=int, default=50)
    parser.add_argument("--profiles", type=int, default=20_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--rules", default="1000,10000")
    parser.add_argument("--checks", type=int, default=2_000)
    parser.add_argument("--pg", type=int)
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    settings = {"shared_buffers": "2GB", "max_wal_size": "16GB", "maintenance_work_mem": "512MB"}
    found: dict[str, list[float]] = {}
    with Cluster(find(options.pg), settings=settings, autovacuum=False) as cluster:
        init(sqlalchemy_url(cluster.url()))
        with psycopg.connect(cluster.dsn(), autocommit=True) as connection:
            # Masks, versions and the log come after the load.
            for statement in program.drop_statements():
                connection.execute(statement.encode())
            took = build(connection, options.tenants, options.profiles)
        engine = create_engine(cluster.url())
        with engine.begin() as making:
            began = time.perf_counter()
            took["compiled roles"] = program.install(making)
            took["install and compile"] = time.perf_counter() - began
        with psycopg.connect(cluster.dsn(), autocommit=True) as connection:
            secure(connection)
            with engine.begin() as making:
                program.install(making, application=APPLICATION)
            connection.execute("VACUUM ANALYZE")
            rows = connection.execute(
                "SELECT tenant_id, id, 'a' || b / 10 || '.p' || b"
                " FROM (SELECT *, 1 + hashtext(id::text) & 127 AS b FROM profiles"
                f" ORDER BY md5(id::text) LIMIT {options.checks}) x".encode()
            ).fetchall()
            counts = connection.execute(
                "SELECT relname, n_live_tup FROM pg_stat_user_tables WHERE n_live_tup > 0 ORDER BY 1"
            ).fetchall()
        engine.dispose()
        print(json.dumps({key: round(value, 1) for key, value in took.items()}), dict(counts), flush=True)
        server = Server(cluster, "postgres", options.tenants, options.profiles, options.seconds)
        found |= measure_server(server, options.runs)
        found |= measure_python(cluster.url(), rows, options.runs)
        version = str(cluster.version)
    ours = statistics.median(found["can: CPU µs"])
    found |= measure_peers([int(each) for each in options.rules.split(",")], options.runs, ours)
    width = max(map(len, found))
    print(f"\nPostgreSQL {version}, {platform.machine()}, {os.cpu_count()} cores; min / median / max of {options.runs}")
    for name, values in found.items():
        print(f"{name:{width}}  {min(values):>12,.2f} {statistics.median(values):>12,.2f} {max(values):>12,.2f}")
    if options.output:
        options.output.write_text(json.dumps({"options": vars(options) | {"output": ""}, "found": found}, indent=1))


if __name__ == "__main__":
    main()
