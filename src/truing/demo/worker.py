"""One writer (or the probe) as a process of its own: an application that does not know that it is being migrated.

In: a :class:`Job` as JSON, the first line of standard input; it works until standard input ends. Out: ``ready``, then a
:class:`Report` as JSON. Operations are scheduled at a fixed rate (an open loop): latency counts from when an operation
was due, so that a stall is seen by every operation that it delays.
"""

from __future__ import annotations

import random
import sys
import threading
import time
import uuid
from typing import Any, Final, Literal

import msgspec
import psycopg

_SPELLINGS: Final = (
    str,
    lambda value: str(value).upper(),
    lambda value: "{" + str(value) + "}",
    lambda value: value.hex,
    lambda value: "{" + str(value).upper() + "}",
)
"""Ways to write a UUID that both text and uuid columns take, and that mean the same."""


_SHARES: Final = {"_move": 25, "_rename": 30, "_insert": 15, "_delete": 5, "_grant": 7, "_look": 18}
"""How often each operation is chosen."""
_SEVERAL: Final = 0.15
"""Share of operations that touch several rows, in any order."""


class Job(msgspec.Struct, frozen=True):
    """What a worker does.

    Attributes:
        dsn: the database.
        kind: ``service`` sees every row and writes ids in many spellings; ``tenant`` is an application session of one
            tenant under row level security; ``probe`` only looks, and reports any row it must not see.
        number: the writer's number.
        seed: makes its choices.
        rate: operations per second.
        tenants: the tenants it works with.
        profiles: profile -> tenant, the rows it owns (for the probe: the rows it must see, no more and no fewer).
        role: the role of a tenant's session.
        roles: role ids that may be granted, by tenant.
    """

    dsn: str
    kind: Literal["service", "tenant", "probe"]
    number: int
    seed: int
    rate: float
    tenants: tuple[uuid.UUID, ...]
    profiles: dict[uuid.UUID, uuid.UUID]
    role: str = "app_user"
    roles: dict[uuid.UUID, int] = {}


class Failure(msgspec.Struct, frozen=True):
    """A statement that failed."""

    sqlstate: str
    message: str
    operation: str
    at: float


class Report(msgspec.Struct):
    """What a worker saw.

    Attributes:
        kind, number: of the job.
        reads: operations that only read.
        writes: operations that wrote.
        latencies: of every operation: when it was due (seconds since the epoch), how much later it was done (ms).
        failures: statements that failed.
        disconnects: times the connection was lost.
        foreign: probe only: rows seen that belong to somebody else.
        missing: probe only: own rows not seen.
    """

    kind: str
    number: int
    reads: int = 0
    writes: int = 0
    latencies: list[tuple[float, float]] = []
    failures: list[Failure] = []
    disconnects: int = 0
    foreign: int = 0
    missing: int = 0


class Worker:
    """Carries a job out until it is told to stop."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.report = Report(job.kind, job.number, latencies=[], failures=[])
        self.random = random.Random(job.seed)  # noqa: S311 - reproducible, not secret
        self.profiles = dict(job.profiles)
        self.grants: dict[uuid.UUID, int] = {}
        self.mine: list[uuid.UUID] = []
        self.connection: psycopg.Connection[Any] | None = None

    def run(self, stop: threading.Event) -> Report:
        """Work until ``stop`` is set, and report."""
        due = time.monotonic()
        pause = 1 / self.job.rate
        while not stop.is_set():
            due += pause * self.random.uniform(0.5, 1.5)
            delay = due - time.monotonic()
            if delay > 0:
                stop.wait(delay)
            self._once(due)
        if self.connection is not None:
            self.connection.close()
        return self.report

    def _once(self, due: float) -> None:
        operation = self._choose()
        try:
            if self.connection is None or self.connection.closed:
                self.connection = self._connect()
            with self.connection.transaction():
                commit = operation(self.connection)
            if commit is not None:
                commit()
        except psycopg.OperationalError as error:
            if self.connection is None or self.connection.closed or error.sqlstate in {None, "57P01", "57P02", "57P03"}:
                self.report.disconnects += 1
                self._reconnect()
                return
            self._failed(error, operation.__name__)
        except psycopg.Error as error:
            self._failed(error, operation.__name__)
        latency = time.monotonic() - due
        self.report.latencies.append((round(time.time() - latency, 3), round(latency * 1000, 2)))
        if operation.__name__ in {"_look", "_probe"}:
            self.report.reads += 1
        else:
            self.report.writes += 1

    def _failed(self, error: psycopg.Error, operation: str) -> None:
        message = (error.diag.message_primary or str(error))[:200]
        failure = Failure(error.sqlstate or "", message, operation.strip("_"), round(time.time(), 3))
        self.report.failures.append(failure)

    def _reconnect(self) -> None:
        if self.connection is not None:
            self.connection.close()
        self.connection = None
        # What a lost commit did is known to the ledger only: ask it again.
        time.sleep(0.1)
        try:
            self.connection = self._connect()
            rows = self.connection.execute(
                "SELECT profile_id, tenant, deleted, grants, inserted FROM truing_demo.ledger WHERE writer = %s",
                (self.job.number,),
            ).fetchall()
        except psycopg.OperationalError:
            return
        if self.job.kind != "probe":
            self.profiles = {profile: tenant for profile, tenant, deleted, *_ in rows if not deleted}
            self.grants = {profile: grants for profile, _, deleted, grants, _ in rows if not deleted}
            self.mine = [profile for profile, _, deleted, _, inserted in rows if inserted and not deleted]

    def _connect(self) -> psycopg.Connection[Any]:
        # An application that keeps no prepared statements: what those meet at the swap is another test's matter.
        connection = psycopg.connect(self.job.dsn, autocommit=True, prepare_threshold=None, connect_timeout=10)
        connection.execute("SELECT set_config('application_name', %s, false)", (f"app {self.job.kind}",))
        return connection

    def _choose(self) -> Any:
        if self.job.kind == "probe":
            return self._probe
        if not self.profiles:
            return self._insert
        shares = dict(_SHARES)
        if self.job.kind == "tenant":
            del shares["_move"]  # row level security keeps a tenant's session from it
        if not self.mine:
            del shares["_delete"], shares["_grant"]
        return getattr(self, self.random.choices(list(shares), list(shares.values()))[0])

    # Each operation returns what to remember once it is committed.

    def _as_tenant(self, connection: psycopg.Connection[Any], tenant: uuid.UUID) -> None:
        if self.job.kind == "tenant":
            connection.execute(f"SET LOCAL ROLE {self.job.role}")
            connection.execute("SELECT set_config('app.tenant_id', %s, true)", (str(tenant),))

    def _some(self) -> list[uuid.UUID]:
        """Choose one row, sometimes a few in any order: a migration that waits on row locks would deadlock."""
        number = 3 if self.random.random() < _SEVERAL else 1
        rows = self.random.sample(list(self.profiles), min(number, len(self.profiles)))
        if self.job.kind == "tenant":
            rows = [row for row in rows if self.profiles[row] == self.profiles[rows[0]]]
        return rows

    def _move(self, connection: psycopg.Connection[Any]) -> Any:
        moved = {row: self.random.choice(self.job.tenants) for row in self._some()}
        for row, tenant in moved.items():
            text = self.random.choice(_SPELLINGS)(tenant)
            connection.execute("UPDATE profiles SET tenant_id = %s WHERE id = %s", (text, row))
            connection.execute("UPDATE truing_demo.ledger SET tenant = %s WHERE profile_id = %s", (tenant, row))
        return lambda: self.profiles.update(moved)

    def _rename(self, connection: psycopg.Connection[Any]) -> Any:
        rows = self._some()
        if not rows:
            return None
        self._as_tenant(connection, self.profiles[rows[0]])
        name = f"name {self.random.random()}"
        for row in rows:
            connection.execute("UPDATE profiles SET display_name = %s WHERE id = %s", (name, row))
            connection.execute("UPDATE truing_demo.ledger SET display_name = %s WHERE profile_id = %s", (name, row))
        return None

    def _insert(self, connection: psycopg.Connection[Any]) -> Any:
        row = uuid.UUID(int=self.random.getrandbits(128))
        tenant = self.random.choice(self.job.tenants)
        self._as_tenant(connection, tenant)
        spell = str if self.job.kind == "tenant" else self.random.choice(_SPELLINGS)
        connection.execute(
            "INSERT INTO profiles (id, tenant_id, email, display_name) VALUES (%s, %s, %s, 'new')",
            (row, spell(tenant), f"{row.hex}@example.com"),
        )
        connection.execute(
            "INSERT INTO truing_demo.ledger (profile_id, writer, tenant, display_name, inserted)"
            " VALUES (%s, %s, %s, 'new', true)",
            (row, self.job.number, tenant),
        )

        def remember() -> None:
            self.profiles[row] = tenant
            self.mine.append(row)

        return remember

    def _delete(self, connection: psycopg.Connection[Any]) -> Any:
        row = self.random.choice(self.mine)
        self._as_tenant(connection, self.profiles[row])
        connection.execute("DELETE FROM user_roles WHERE user_id = %s", (row,))
        connection.execute("DELETE FROM profiles WHERE id = %s", (row,))
        connection.execute("UPDATE truing_demo.ledger SET deleted = true WHERE profile_id = %s", (row,))

        def forget() -> None:
            self.mine.remove(row)
            del self.profiles[row]
            self.grants.pop(row, None)

        return forget

    def _grant(self, connection: psycopg.Connection[Any]) -> Any:
        row = self.random.choice(self.mine)
        tenant = self.profiles[row]
        if self.grants.get(row) or tenant not in self.job.roles:
            return None
        self._as_tenant(connection, tenant)
        connection.execute(
            "INSERT INTO user_roles (user_id, role_id, tenant_id) VALUES (%s, %s, %s)",
            (row, self.job.roles[tenant], tenant),
        )
        connection.execute("UPDATE truing_demo.ledger SET grants = grants + 1 WHERE profile_id = %s", (row,))
        return lambda: self.grants.__setitem__(row, 1)

    def _look(self, connection: psycopg.Connection[Any]) -> Any:
        row = self.random.choice(list(self.profiles))
        self._as_tenant(connection, self.profiles[row])
        connection.execute("SELECT id, tenant_id, display_name FROM profiles WHERE id = %s", (row,)).fetchall()

    def _probe(self, connection: psycopg.Connection[Any]) -> Any:
        """Look at everything as a session of one tenant, once by its setting, once by its token."""
        tenant = self.job.tenants[0]
        connection.execute(f"SET LOCAL ROLE {self.job.role}")
        by_setting = self.random.choice((True, False))
        # Never left empty: in the legacy database '' = '' shows rows without a tenant to whoever sets nothing.
        setting = str(tenant) if by_setting else "nobody"
        claims = "" if by_setting else f'{{"tenant_id": "{tenant}"}}'
        connection.execute(
            "SELECT set_config('app.tenant_id', %s, true), set_config('request.jwt.claims', %s, true)",
            (setting, claims),
        )
        seen = {row for (row,) in connection.execute("SELECT id FROM profiles").fetchall()}
        self.report.foreign += len(seen - self.profiles.keys())
        self.report.missing += len(self.profiles.keys() - seen)


def main() -> None:
    """Run the job on standard input."""
    job = msgspec.json.decode(sys.stdin.buffer.readline(), type=Job)
    worker, stop = Worker(job), threading.Event()
    worker.connection = worker._connect()  # noqa: SLF001 - so that `ready` means connected
    sys.stdout.write("ready\n")
    sys.stdout.flush()

    def until_input_ends() -> None:
        sys.stdin.buffer.read()
        stop.set()

    threading.Thread(target=until_input_ends, daemon=True).start()
    sys.stdout.write(msgspec.json.encode(worker.run(stop)).decode() + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
