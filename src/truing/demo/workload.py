"""The application of the demo: several writers and a probe, each a process, started and stopped together.

In: a legacy database. Out: their reports, put together into one :class:`Traffic`.
"""

from __future__ import annotations

import subprocess
import sys
import uuid
from types import TracebackType
from typing import Any, Self

import msgspec
import psycopg

from truing.demo import ledger
from truing.demo.job import Failure, Job, Refusal, Release, Report
from truing.errors import TruingError

PROBE_ROWS = 20
OWNED_ROWS = 300
_TENANT = 2
"""Every third writer is the session of a tenant's user."""


class Latency(msgspec.Struct, frozen=True):
    """Latencies of the writers' operations in a span of time, from when they were due; milliseconds.

    Attributes:
        operations: how many there were.
        p50, p99, longest: quantiles and the maximum.
        worst_at: when the longest one was due, in seconds since the epoch.
    """

    operations: int
    p50: float
    p99: float
    longest: float
    worst_at: float


class Traffic(msgspec.Struct, frozen=True):
    """What the application saw, all processes together.

    Attributes:
        writes: operations that wrote.
        reads: operations that read.
        failures: statements that failed.
        refusals: wrongful writes that were refused as they must be.
        disconnects: lost connections.
        latencies: of every operation of the writers: when it was due and its latency, as in the reports.
        probes: looks of the probe.
        foreign: rows that the probe saw and must not.
        missing: rows that the probe or a writer did not see and must.
        closed_looks: looks of the probe at all tables, after they were closed.
    """

    writes: int
    reads: int
    failures: tuple[Failure, ...]
    refusals: tuple[Refusal, ...]
    disconnects: int
    latencies: tuple[tuple[float, float], ...]
    probes: int
    foreign: int
    missing: int
    closed_looks: int

    def latency(self, begin: float = 0.0, end: float = float("inf")) -> Latency:
        """Sum up the operations that were due between two moments (seconds since the epoch)."""
        chosen = sorted((taken, due) for due, taken in self.latencies if begin <= due < end)
        if not chosen:
            return Latency(0, 0.0, 0.0, 0.0, 0.0)

        def quantile(part: float) -> float:
            return chosen[min(len(chosen) - 1, int(part * len(chosen)))][0]

        return Latency(len(chosen), quantile(0.50), quantile(0.99), *chosen[-1])


class WorkerFailedError(TruingError):
    """A writer of the demo could not start."""


class Workload:
    """Writers and a probe on one database, from ``start`` to ``stop``.

    Args:
        dsn: the database.
        writers: how many write.
        rate: operations a second of each.
        seed: of their choices.
        probe: whether there is one.
        wrong: the share of operations that are wrongful; the rest never fail.
    """

    def __init__(
        self, dsn: str, *, writers: int = 4, rate: float = 50.0, seed: int = 1, probe: bool = True, wrong: float = 0.0
    ) -> None:
        self._dsn, self._writers, self._rate, self._seed, self._probe = dsn, writers, rate, seed, probe
        self._wrong = wrong
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._processes:
            process.kill()
            process.communicate()
        self._processes.clear()

    def start(self) -> None:
        """Prepare the ledger and start every process.

        Raises:
            WorkerFailedError: one of them did not come up.
        """
        with psycopg.connect(self._dsn, autocommit=True) as connection:
            ledger.setup(connection)
            jobs = self._jobs(connection)
        for job in jobs:
            process = subprocess.Popen(
                [sys.executable, "-m", "truing.demo.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                # Ctrl-C is for the migration: the application goes on writing.
                start_new_session=True,
            )
            self._processes.append(process)
            if process.stdin is None or process.stdout is None:  # pragma: no cover - both are pipes
                raise WorkerFailedError
            process.stdin.write(msgspec.json.encode(job) + b"\n")
            process.stdin.flush()
        for process in self._processes:
            if process.stdout is None or process.stdout.readline() != b"ready\n":
                raise WorkerFailedError

    def deploy(self, release: Release) -> None:
        """Replace what runs, one process after the other; return when the last one runs the new release.

        Raises:
            WorkerFailedError: one of them does not.
        """
        for process in self._processes:
            if process.stdin is None or process.stdout is None:  # pragma: no cover - both are pipes
                raise WorkerFailedError
            process.stdin.write(release.encode() + b"\n")
            process.stdin.flush()
            if process.stdout.readline().decode().strip() != release:
                raise WorkerFailedError

    def stop(self) -> Traffic:
        """Stop every process and put their reports together."""
        reports = []
        for process in self._processes:
            if process.stdin is not None:
                process.stdin.close()
        for process in self._processes:
            output = process.stdout.read() if process.stdout is not None else b""
            process.wait()
            if process.stdout is not None:
                process.stdout.close()
            reports.append(msgspec.json.decode(output, type=Report))
        self._processes.clear()
        return _together(reports)

    def _jobs(self, connection: psycopg.Connection[Any]) -> list[Job]:
        tenants = [
            row[0] for row in connection.execute("SELECT id FROM tenants WHERE is_active ORDER BY id").fetchall()
        ]
        roles: dict[uuid.UUID, int] = dict(
            connection.execute(
                "SELECT r.tenant_id, min(r.id) FROM roles r JOIN tenants t ON t.id = r.tenant_id GROUP BY 1"
            ).fetchall()
        )
        jobs = [
            self._writer(connection, number, tenants, roles, kind="tenant" if number % 3 == _TENANT else "service")
            for number in range(self._writers)
        ]
        if self._probe:
            jobs.append(self._prober(connection))
        return jobs

    def _writer(
        self,
        connection: psycopg.Connection[Any],
        number: int,
        tenants: list[uuid.UUID],
        roles: dict[uuid.UUID, int],
        *,
        kind: str,
    ) -> Job:
        # Each writer owns rows of its own: two of them never wait for each other.
        rows = connection.execute(
            "INSERT INTO truing_demo.ledger (profile_id, writer, tenant, display_name)"
            " SELECT p.id, %(number)s, t.id, p.display_name FROM profiles p JOIN tenants t ON t.id::text = p.tenant_id"
            " WHERE mod(('x' || substr(md5(p.id::text), 1, 7))::bit(28)::int, %(writers)s) = %(number)s"
            # Nobody whose grants do not fit: what becomes of those was predicted.
            " AND t.is_active AND NOT EXISTS (SELECT FROM user_roles u LEFT JOIN roles r ON r.id = u.role_id"
            " WHERE u.user_id = p.id AND (r.tenant_id IS DISTINCT FROM t.id OR u.tenant_id IS DISTINCT FROM t.id))"
            " ORDER BY p.id LIMIT %(rows)s RETURNING profile_id, tenant",
            {"number": number, "writers": self._writers, "rows": OWNED_ROWS},
        ).fetchall()
        flag = connection.execute(
            "INSERT INTO feature_flags (name, is_enabled) VALUES (%s, false) RETURNING id", (f"demo-{number}",)
        ).fetchone()
        return msgspec.convert(
            {
                "dsn": self._dsn,
                "kind": kind,
                "number": number,
                "seed": self._seed * 1000 + number,
                "rate": self._rate,
                "tenants": tuple(tenants),
                "profiles": dict(rows),
                "roles": roles,
                "wrong": self._wrong,
                "flag": flag[0] if flag else None,
            },
            Job,
        )

    def _prober(self, connection: psycopg.Connection[Any]) -> Job:
        """Make a tenant of the probe's own, whose rows nobody else touches."""
        tenant = uuid.uuid5(uuid.NAMESPACE_URL, f"truing demo probe {self._seed}")
        connection.execute(
            "INSERT INTO tenants (id, name, is_active) VALUES (%s, 'Tenant of the probe', false)", (tenant,)
        )
        # What profiles.role says by default.
        connection.execute("INSERT INTO roles (tenant_id, name) VALUES (%s, 'member')", (tenant,))
        rows = connection.execute(
            "INSERT INTO profiles (tenant_id, email, display_name)"
            " SELECT %s::text, 'probe' || n || '@example.com', 'probe' FROM generate_series(1, %s) n RETURNING id",
            (tenant, PROBE_ROWS),
        ).fetchall()
        profiles = {row: tenant for (row,) in rows}
        return Job(self._dsn, "probe", -1, self._seed, min(self._rate, 20.0), (tenant,), profiles)


def _together(reports: list[Report]) -> Traffic:
    writers = [report for report in reports if report.kind != "probe"]
    return Traffic(
        writes=sum(report.writes for report in reports),
        reads=sum(report.reads for report in writers),
        failures=tuple(failure for report in reports for failure in report.failures),
        refusals=tuple(refusal for report in reports for refusal in report.refusals),
        disconnects=sum(report.disconnects for report in reports),
        latencies=tuple(latency for report in writers for latency in report.latencies),
        probes=sum(report.reads for report in reports if report.kind == "probe"),
        foreign=sum(report.foreign for report in reports),
        missing=sum(report.missing for report in reports),
        closed_looks=sum(report.closed_looks for report in reports),
    )
