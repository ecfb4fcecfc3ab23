"""One writer (or the probe) as a process of its own: an application that does not know that it is being migrated.

In: a :class:`Job` as JSON, the first line of standard input, then the name of each :data:`Release` that is deployed; it
works until standard input ends. Out: ``ready``, a line as each release is in use, then a :class:`Report` as JSON.
Operations are scheduled at a fixed rate (an open loop): latency counts from when an operation was due, so that a stall
is seen by every operation that it delays.
"""

from __future__ import annotations

import functools
import queue
import random
import sys
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any, Final

import msgspec
import psycopg

from truing.demo.job import Failure, Job, Refusal, Release, Report
from truing.demo.wrongs import WRONGS, Wrong, rightly

_SPELLINGS: Final = (
    str,
    lambda value: str(value).upper(),
    lambda value: "{" + str(value) + "}",
    lambda value: value.hex,
    lambda value: "{" + str(value).upper() + "}",
)
"""Ways to write a UUID that both text and uuid columns take, and that mean the same."""


_SHARES: Final = {"_move": 25, "_rename": 30, "_insert": 15, "_delete": 5, "_grant": 7, "_item": 3, "_look": 18}
"""How often each operation is chosen."""
_SEVERAL: Final = 0.15
"""Share of renamings that touch several rows, in any order."""

_CLOSED: Final = {
    **dict.fromkeys(
        (
            "profiles",
            "roles",
            "role_permissions",
            "role_inherits",
            "role_grants",
            "user_roles",
            "tenant_features",
            "tenant_rbac_versions",
            "rbac_audit",
        ),
        "tenant_id IS DISTINCT FROM %s",
    ),
    "tenants": "id IS DISTINCT FROM %s",
    "sidebar_features": "NOT is_global AND tenant_id IS DISTINCT FROM %s",
}
"""Each table that shows a tenant its own rows, and which rows are not its own."""
_NOBODY: Final = "ffffffff-ffff-ffff-ffff-ffffffffffff"
"""No tenant's id."""
_SHARE_OF_PROBE: Final = 4
"""How many times as long as a look took the probe waits at least: it reads a whole table."""


class Worker:
    """Carries a job out until it is told to stop."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.report = Report(job.kind, job.number)
        self.random = random.Random(job.seed)  # noqa: S311 - reproducible, not secret
        self.release: Release = "legacy"
        self.profiles = dict(job.profiles)
        self.mine: list[uuid.UUID] = []
        # Nobody has a grant of theirs: such a profile may move.
        self.free: set[uuid.UUID] = set()
        # Tenants for which the writer's own flag has no setting.
        self.unset = [] if job.flag is None else list(job.tenants)
        self.connection: psycopg.Connection[Any] | None = None
        self._owed: list[Wrong] = []
        self._committed: list[Callable[[], object]] = []

    def run(self, stop: threading.Event, deployed: queue.SimpleQueue[Release]) -> Report:
        """Work until ``stop`` is set, with what is deployed meanwhile, and report."""
        due = time.monotonic()
        pause = 1 / self.job.rate
        while not stop.is_set():
            due += pause * self.random.uniform(0.5, 1.5)
            delay = due - time.monotonic()
            if delay > 0:
                stop.wait(delay)
            while not deployed.empty():
                self.release = deployed.get()
                # Each kind at least once where all of them are refused.
                self._owed = list(filter(self._may, WRONGS)) if self.release == "isolated" and self.job.wrong else []
                say(self.release)
            self._once(due)
            if self.job.kind == "probe":
                took = self.report.latencies.pop()[1] / 1000 if self.report.latencies else 0.0
                due = max(due, time.monotonic() + _SHARE_OF_PROBE * took)
        if self.release == "isolated" and self.job.kind == "probe" and not self.report.closed_looks:
            self._once(time.monotonic())
        if self.connection is not None:
            self.connection.close()
        return self.report

    def _once(self, due: float) -> None:
        name, operation, wrong = self._choose()
        self._committed.clear()
        try:
            if self.connection is None or self.connection.closed:
                self.connection = self._connect()
            with self.connection.transaction():
                operation(self.connection)
            for remember in self._committed:
                remember()
        except psycopg.OperationalError as error:
            if self.connection is None or self.connection.closed or error.sqlstate in {None, "57P01", "57P02", "57P03"}:
                self.report.disconnects += 1
                self._reconnect()
                return
            self._failed(error, name)
        except psycopg.Error as error:
            if wrong is not None and self.connection is not None and rightly(wrong, error):
                self._refused(self.connection, wrong)
            else:
                self._failed(error, name)
        latency = time.monotonic() - due
        self.report.latencies.append((round(time.time() - latency, 3), round(latency * 1000, 2)))
        if name in {"look", "probe"}:
            self.report.reads += 1
        else:
            self.report.writes += 1

    def _refused(self, connection: psycopg.Connection[Any], wrong: Wrong) -> None:
        try:
            row = connection.execute("SELECT extract(epoch FROM clock_timestamp())::float8").fetchone()
        except psycopg.OperationalError:
            return  # Without its moment it says nothing; the next operation finds the connection lost.
        self.report.refusals.append(Refusal(wrong.name, wrong.refused_by, row[0] if row else 0.0))

    def _failed(self, error: psycopg.Error, operation: str) -> None:
        message = (error.diag.message_primary or str(error))[:200]
        failure = Failure(error.sqlstate or "", message, operation, round(time.time(), 3))
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
                "SELECT profile_id, tenant, grants, inserted FROM truing_demo.ledger WHERE writer = %s AND NOT deleted",
                (self.job.number,),
            ).fetchall()
        except psycopg.OperationalError:
            return
        if self.job.kind != "probe":
            self.profiles = {profile: tenant for profile, tenant, *_ in rows}
            self.free = {profile for profile, _, grants, _ in rows if grants == 0}
            self.mine = [profile for profile, *_, inserted in rows if inserted]

    def _connect(self) -> psycopg.Connection[Any]:
        # An application that keeps no prepared statements: what those meet at the swap is another test's matter.
        connection = psycopg.connect(self.job.dsn, autocommit=True, prepare_threshold=None, connect_timeout=10)
        connection.execute("SELECT set_config('application_name', %s, false)", (f"app {self.job.kind}",))
        return connection

    def _choose(self) -> tuple[str, Callable[[psycopg.Connection[Any]], object], Wrong | None]:
        if self.job.kind == "probe":
            return "probe", self._probe, None
        if self.profiles and (self._owed or self.random.random() < self.job.wrong):
            wrong = self._owed.pop() if self._owed else self.random.choice(list(filter(self._may, WRONGS)))
            return wrong.name, functools.partial(wrong.write, self), wrong
        shares = dict(_SHARES) if self.profiles else {"_insert": 1}
        if self.job.kind == "tenant":
            shares.pop("_move", None)  # row level security keeps a tenant's session from it
        if not self.mine:
            shares.pop("_delete", None)
        (name,) = self.random.choices(list(shares), list(shares.values()))
        return name.strip("_"), getattr(self, name), None

    def _may(self, wrong: Wrong) -> bool:
        if wrong.service_only and self.job.kind == "tenant" and self.release == "legacy":
            return False
        return self.release == "isolated" or not wrong.never_let_through

    # What an operation calls.

    def after_commit(self, remember: Callable[[], object]) -> None:
        """Have something done once the transaction is committed."""
        self._committed.append(remember)

    def as_application(self, connection: psycopg.Connection[Any], tenant: uuid.UUID) -> None:
        """Be the application's role in a tenant until the transaction ends."""
        connection.execute(f"SET LOCAL ROLE {self.job.role}")
        connection.execute("SELECT set_config('app.tenant_id', %s, true)", (str(tenant),))

    def writes_in(self, connection: psycopg.Connection[Any], tenant: uuid.UUID) -> None:
        """Become, for the rest of the transaction, who writes in a tenant in this release."""
        if self.release != "legacy":
            connection.execute(f"SET LOCAL ROLE {self.job.administrator}")
        elif self.job.kind == "tenant":
            self.as_application(connection, tenant)

    def _reads_in(self, connection: psycopg.Connection[Any], tenant: uuid.UUID) -> None:
        if self.release != "legacy" or self.job.kind == "tenant":
            self.as_application(connection, tenant)

    def forget(self, row: uuid.UUID) -> None:
        """Leave a profile alone from now on."""
        self.profiles.pop(row, None)
        self.free.discard(row)
        if row in self.mine:
            self.mine.remove(row)

    def item(self, connection: psycopg.Connection[Any], tenant: uuid.UUID, path: str) -> uuid.UUID:
        """Add an item to a tenant's sidebar."""
        made = uuid.UUID(int=self.random.getrandbits(128))
        connection.execute(
            "INSERT INTO sidebar_features (id, feature_id, tenant_id, sidebar_name, url_path)"
            " VALUES (%s, %s, %s, 'new', %s)",
            (made, self.job.flag, tenant, path),
        )
        return made

    # The operations.

    def _some(self) -> list[uuid.UUID]:
        """Choose one row, sometimes a few in any order: a migration that waits on row locks would deadlock."""
        number = 3 if self.random.random() < _SEVERAL else 1
        rows = self.random.sample(list(self.profiles), min(number, len(self.profiles)))
        if self.job.kind == "tenant":
            rows = [row for row in rows if self.profiles[row] == self.profiles[rows[0]]]
        return rows

    def _move(self, connection: psycopg.Connection[Any]) -> None:
        """Move somebody to another tenant; who has grants loses them first, in a transaction of its own."""
        row = self.random.choice(list(self.profiles))
        self.writes_in(connection, self.profiles[row])
        if row not in self.free:
            connection.execute("DELETE FROM user_roles WHERE user_id = %s", (row,))
            connection.execute("UPDATE truing_demo.ledger SET grants = 0 WHERE profile_id = %s", (row,))
            self.after_commit(lambda: self.free.add(row))
            return
        tenant = self.random.choice(self.job.tenants)
        text = self.random.choice(_SPELLINGS)(tenant)
        connection.execute("UPDATE profiles SET tenant_id = %s WHERE id = %s", (text, row))
        connection.execute("UPDATE truing_demo.ledger SET tenant = %s WHERE profile_id = %s", (tenant, row))
        self.after_commit(lambda: self.profiles.__setitem__(row, tenant))

    def _rename(self, connection: psycopg.Connection[Any]) -> None:
        rows = self._some()
        self.writes_in(connection, self.profiles[rows[0]])
        name = f"name {self.random.random()}"
        for row in rows:
            connection.execute("UPDATE profiles SET display_name = %s WHERE id = %s", (name, row))
            connection.execute("UPDATE truing_demo.ledger SET display_name = %s WHERE profile_id = %s", (name, row))

    def _insert(self, connection: psycopg.Connection[Any]) -> None:
        row = uuid.UUID(int=self.random.getrandbits(128))
        tenant = self.random.choice(self.job.tenants)
        self.writes_in(connection, tenant)
        spell = str if self.job.kind == "tenant" else self.random.choice(_SPELLINGS)
        connection.execute(
            "INSERT INTO profiles (id, tenant_id, email, display_name) VALUES (%s, %s, %s, 'new')",
            (row, spell(tenant), f"{row.hex}@example.com"),
        )
        connection.execute(
            "INSERT INTO truing_demo.ledger (profile_id, writer, tenant, display_name, inserted, grants)"
            " VALUES (%s, %s, %s, 'new', true, 0)",
            (row, self.job.number, tenant),
        )

        def remember() -> None:
            self.profiles[row] = tenant
            self.mine.append(row)
            self.free.add(row)

        self.after_commit(remember)

    def _delete(self, connection: psycopg.Connection[Any]) -> None:
        row = self.random.choice(self.mine)
        self.writes_in(connection, self.profiles[row])
        connection.execute("DELETE FROM user_roles WHERE user_id = %s", (row,))
        connection.execute("DELETE FROM profiles WHERE id = %s", (row,))
        connection.execute("UPDATE truing_demo.ledger SET deleted = true WHERE profile_id = %s", (row,))
        self.after_commit(lambda: self.forget(row))

    def _grant(self, connection: psycopg.Connection[Any]) -> None:
        able = [row for row in self.free if self.profiles[row] in self.job.roles]
        if not able:
            return
        row = self.random.choice(sorted(able))
        tenant = self.profiles[row]
        self.writes_in(connection, tenant)
        connection.execute(
            "INSERT INTO user_roles (user_id, role_id, tenant_id) VALUES (%s, %s, %s)",
            (row, self.job.roles[tenant], tenant),
        )
        connection.execute("UPDATE truing_demo.ledger SET grants = 1 WHERE profile_id = %s", (row,))
        self.after_commit(lambda: self.free.discard(row))

    def _item(self, connection: psycopg.Connection[Any]) -> None:
        tenant = self.random.choice(self.job.tenants)
        self.writes_in(connection, tenant)
        made = self.item(connection, tenant, f"/app/{self.random.getrandbits(64):x}")
        connection.execute("INSERT INTO truing_demo.item (id, tenant) VALUES (%s, %s)", (made, tenant))

    def _look(self, connection: psycopg.Connection[Any]) -> None:
        row = self.random.choice(list(self.profiles))
        self._reads_in(connection, self.profiles[row])
        seen = connection.execute("SELECT id, tenant_id, display_name FROM profiles WHERE id = %s", (row,)).fetchall()
        self.report.missing += not seen

    def _probe(self, connection: psycopg.Connection[Any]) -> None:
        """Look at everything as a session of one tenant, once by its setting, once by its token."""
        tenant = self.job.tenants[0]
        connection.execute(f"SET LOCAL ROLE {self.job.role}")
        by_setting = self.random.choice((True, False))
        # Never left empty: in the legacy database '' = '' shows rows without a tenant to whoever sets nothing.
        setting = str(tenant) if by_setting else _NOBODY
        claims = "" if by_setting else f'{{"tenant_id": "{tenant}"}}'
        connection.execute(
            "SELECT set_config('app.tenant_id', %s, true), set_config('request.jwt.claims', %s, true)",
            (setting, claims),
        )
        seen = {row for (row,) in connection.execute("SELECT id FROM profiles").fetchall()}
        self.report.foreign += len(seen - self.profiles.keys())
        self.report.missing += len(self.profiles.keys() - seen)
        if self.release == "isolated":
            for table, foreigners in _CLOSED.items():
                query = f"SELECT count(*) FROM {table} WHERE {foreigners}"
                (foreign,) = connection.execute(query, (tenant,)).fetchone() or (0,)
                self.report.foreign += foreign
            self.report.closed_looks += 1


def say(line: str) -> None:
    """Tell who started this process."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    """Run the job on standard input."""
    job = msgspec.json.decode(sys.stdin.buffer.readline(), type=Job)
    worker, stop, deployed = Worker(job), threading.Event(), queue.SimpleQueue[Release]()
    worker.connection = worker._connect()  # noqa: SLF001 - so that `ready` means connected
    say("ready")

    def until_input_ends() -> None:
        for line in sys.stdin.buffer:
            deployed.put(msgspec.convert(line.decode().strip(), Release))
        stop.set()

    threading.Thread(target=until_input_ends, daemon=True).start()
    say(msgspec.json.encode(worker.run(stop, deployed)).decode())


if __name__ == "__main__":
    main()
