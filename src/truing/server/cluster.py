"""How does one get a PostgreSQL server that is private, quick to start and never left behind?

In: the programs to run and settings. Out: a running server in its own temporary folder, reached through a Unix socket
(or, when asked, through loopback TCP). It works for any user, root included, whose servers run as ``nobody``. It ends
with its owner: on leaving the context, at the interpreter's exit, and by a watchdog process however the owner dies.
"""

from __future__ import annotations

import atexit
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, Self

from truing.errors import ServerError
from truing.server import address
from truing.server.account import Account, make_folder, memory_folder, reachable
from truing.server.binaries import Binaries, find
from truing.server.configuration import NOT_DURABLE, Setting, written
from truing.server.guard import Guard
from truing.versions import PostgresVersion

SUPERUSER: Final = "postgres"
_SOCKET_PORT: Final = 5432
_LOG_LINES: Final = 15
_STOP_SIGNALS: Final = {"fast": signal.SIGINT, "immediate": signal.SIGQUIT}


class Cluster:
    """A private PostgreSQL server.

    Used as a context manager it runs inside the ``with`` block and is gone after it. It can be stopped and started
    in between, which keeps its data.
    """

    def __init__(
        self,
        binaries: Binaries | None = None,
        *,
        settings: Mapping[str, Setting] | None = None,
        durable: bool = False,
        autovacuum: bool = True,
        tcp: bool = False,
        memory: bool = False,
        seed: Callable[[Path], None] | None = None,
        start_timeout: float = 60.0,
    ) -> None:
        """Describe a cluster; nothing happens before :meth:`start`.

        Args:
            binaries: the installation to run; None takes what :func:`truing.server.find` finds.
            settings: server settings, which go before the ones this class chooses.
            durable: whether commits must survive a crash of the machine (``fsync`` on); benchmarks want that.
            autovacuum: whether autovacuum runs.
            tcp: whether the server listens on 127.0.0.1 as well, on a free port and with a password.
            memory: whether the data may be in memory, where there is room; nothing says so if there is not.
            seed: fills the data directory in place of initdb, for a server of these binaries with this superuser and no
                password; where it raises, or no server starts on what it gives, initdb does.
            start_timeout: how many seconds initdb and the start may each take.
        """
        self.binaries = find() if binaries is None else binaries
        self._programs = self.binaries
        self._settings: dict[str, Setting] = {
            "timezone": "UTC",
            "log_timezone": "UTC",
            "autovacuum": autovacuum,
            **({} if durable else NOT_DURABLE),
            **(settings or {}),
        }
        self._tcp = tcp
        self._memory = memory
        self._seed = seed
        self._seeded = False
        self._patience = start_timeout
        self._account = Account.current()
        self._folder: Path | None = None
        self._store: Path | None = None
        self._server: subprocess.Popen[bytes] | None = None
        self._guard = Guard()
        self._owner = os.getpid()
        self._password = secrets.token_urlsafe(18) if tcp else ""
        self._port = _SOCKET_PORT

    # What it is

    @property
    def version(self) -> PostgresVersion:
        """The version of the server's programs."""
        return self.binaries.version

    @property
    def folder(self) -> Path:
        """The folder that holds everything of this cluster.

        Raises:
            ServerError: the cluster was never started, or is closed.
        """
        if self._folder is None:
            raise ServerError("The private PostgreSQL server is not there: it was never started, or is closed.")
        return self._folder

    @property
    def socket_dir(self) -> Path:
        """The folder of the Unix socket; only the server's user (and root) can enter it."""
        return self.folder / "s"

    @property
    def data_dir(self) -> Path:
        """The data directory."""
        return (self._store or self.folder) / "data"

    @property
    def in_memory(self) -> bool:
        """Whether the data is in memory."""
        return self._store is not None

    @property
    def is_seeded(self) -> bool:
        """Whether the data began with what the seed gave."""
        return self._seeded

    @property
    def pid(self) -> int | None:
        """The process id of the running server, None when it does not run."""
        return self._server.pid if self._server is not None and self._server.poll() is None else None

    @property
    def log(self) -> str:
        """What the server and initdb have said so far."""
        return (self.folder / "log").read_text(errors="replace")

    def url(self, database: str = "postgres", user: str = SUPERUSER) -> str:
        """The address of a database, in the form that psycopg, asyncpg and SQLAlchemy accept.

        Args:
            database: its name, whatever it holds.
            user: the role to connect as; roles other than the superuser need no password either.
        """
        return address.socket_url(str(self.socket_dir), self._port, database, user)

    def tcp_url(self, database: str = "postgres") -> str:
        """The address of a database through TCP, for the superuser.

        Raises:
            ServerError: the cluster was not made with ``tcp=True``.
        """
        if not self._tcp:
            raise ServerError("This private server does not listen on TCP.", hint="Make it with Cluster(tcp=True).")
        return address.tcp_url("127.0.0.1", self._port, database, SUPERUSER, self._password)

    def dsn(self, database: str = "postgres", user: str = SUPERUSER) -> str:
        """The address of a database as a libpq conninfo string."""
        from psycopg.conninfo import make_conninfo  # noqa: PLC0415 - psycopg only where a connection is meant

        return make_conninfo(host=str(self.socket_dir), port=self._port, dbname=database, user=user)

    # What it does

    def start(self) -> None:
        """Start the server; the first time, make its folder and its data first. No effect while it runs.

        Raises:
            ServerError: it does not come up; the end of its log is in the message.
        """
        if self.pid is not None:
            return
        new = self._folder is None
        try:
            if new:
                self._create()
            self._forget_server()
            try:
                self._start_server()
            except ServerError:
                if not (new and self._seeded):
                    raise
                self._make_data()
                self._start_server()
        except BaseException:
            if new:
                self.close()
            raise

    def stop(self, mode: Literal["fast", "immediate"] = "fast", *, timeout: float = 60.0) -> None:
        """Stop the server and keep its data. No effect when it does not run.

        Args:
            mode: ``fast`` ends the sessions and writes a checkpoint, ``immediate`` is a crash of the server.
            timeout: how long to wait before the server is killed.
        """
        if self._server is not None and self._server.poll() is None:
            self._server.send_signal(_STOP_SIGNALS[mode])
            try:
                self._server.wait(timeout)
            except subprocess.TimeoutExpired:
                self._server.kill()
                self._server.wait()
        self._forget_server()

    def shorten_log(self) -> bool:
        """Leave of the write-ahead log what a server needs that was stopped as it should be: one small file.

        Returns:
            Whether that could be done; if not, nothing has changed.
        """
        return self._runs([self._programs.program("pg_resetwal"), "--wal-segsize=1", "-D", str(self.data_dir)])

    def restart(self, mode: Literal["fast", "immediate"] = "fast") -> None:
        """Stop the server and start it again, with the data it had."""
        self.stop(mode)
        self.start()

    def close(self) -> None:
        """Stop the server and remove everything of it. No effect the second time, nor in a forked child."""
        if os.getpid() != self._owner:
            return
        atexit.unregister(self.close)
        folders = [each for each in (self._folder, self._store) if each is not None]
        self._folder = self._store = None
        # Nothing of the data is kept, so that a checkpoint would be wasted time.
        self.stop("immediate")
        self._guard.close()
        for folder in folders:
            # The watchdog has done it, unless somebody killed the watchdog.
            shutil.rmtree(folder, ignore_errors=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self._folder is None else "stopped" if self.pid is None else f"running, pid {self.pid}"
        return f"<Cluster {self.version} {state}>"

    # How it does it

    def _create(self) -> None:
        self._guard.watch()
        atexit.register(self.close)
        self._folder = make_folder(self._account, self._guard.announce)
        # Programs and socket stay in the other folder: memory may be closed to programs.
        self._store = memory_folder(self._account, self._guard.announce) if self._memory else None
        self._programs = reachable(self.binaries, self._account, self.folder)
        self.socket_dir.mkdir(mode=0o700)
        self._account.give(self.socket_dir)
        if not self._sow():
            self._make_data()
        self._write_configuration()

    def _sow(self) -> bool:
        """Fill the data directory with what is given."""
        if self._seed is None:
            return False
        data = self.data_dir
        data.mkdir(mode=0o700)
        try:
            self._seed(data)
        except (OSError, ServerError):
            return False
        # It is ours until all of it is there, so that no other process of the account can put a link into it.
        for place, folders, files in os.walk(data, topdown=False):
            for name in (*folders, *files):
                self._account.give(Path(place, name))
        self._account.give(data)
        self._seeded = True
        return True

    def _make_data(self) -> None:
        self._seeded = False
        if self.data_dir.exists():
            shutil.rmtree(self.data_dir)
        self.data_dir.mkdir(mode=0o700)
        self._account.give(self.data_dir)
        for locale in ("C.UTF-8", "C"):
            if self._initdb(locale):
                break
        else:
            raise self._failure("initdb could not make a data directory.")

    def _initdb(self, locale: str) -> bool:
        arguments = [
            *(self._programs.program("initdb"), "-D", str(self.data_dir), "-U", SUPERUSER),
            *("-E", "UTF8", f"--locale={locale}", "--no-sync", "--no-instructions"),
            *("--auth-local=trust", "--auth-host=scram-sha-256"),
        ]
        secret = self.folder / "password"
        if self._password:
            secret.touch(mode=0o600)
            secret.write_text(self._password)
            self._account.give(secret)
            arguments.append(f"--pwfile={secret}")
        try:
            return self._runs(arguments)
        finally:
            secret.unlink(missing_ok=True)

    def _spawn(self, arguments: list[str]) -> subprocess.Popen[bytes]:
        try:
            return self._guard.spawn(arguments, self._account, self.folder / "log")
        except OSError as error:
            raise self._failure(f"{arguments[0]} could not be run: {error}.") from error

    def _runs(self, arguments: list[str]) -> bool:
        """Run a program of PostgreSQL to its end, and tell whether it did what it should."""
        process = self._spawn(arguments)
        try:
            return process.wait(self._patience) == 0
        except subprocess.TimeoutExpired:
            name = Path(arguments[0]).name
            raise self._failure(f"{name} has not finished in {self._patience:g} s.") from None
        finally:
            process.kill()
            process.wait()
            self._guard.ended(process)

    def _write_configuration(self) -> None:
        """Write our settings into a file of their own.

        Not on the command line, where they would go before ``ALTER SYSTEM``; and not below the data directory, which is
        another user's when we are root.
        """
        settings = {
            "listen_addresses": "127.0.0.1" if self._tcp else "",
            "unix_socket_directories": str(self.socket_dir),
            **self._settings,
        }
        (self.folder / "truing.conf").write_text(written(settings, self.data_dir / "postgresql.conf"))
        (self.folder / "truing.conf").chmod(0o644)

    def _start_server(self) -> None:
        arguments = [
            self._programs.program("postgres"),
            *("-D", str(self.data_dir), "-c", f"config_file={self.folder / 'truing.conf'}"),
            *("-c", f"hba_file={self.data_dir / 'pg_hba.conf'}", "-c", f"ident_file={self.data_dir / 'pg_ident.conf'}"),
        ]
        for attempt in range(5 if self._tcp else 1):
            if self._tcp and (attempt or self._port == _SOCKET_PORT):
                # Another process may take the port between this look and the start; then another one is tried. A
                # restart tries the port it had, so that addresses stay what they were.
                self._port = _free_port()
            self._server = self._spawn([*arguments, "-c", f"port={self._port}"])
            if self._wait_until_ready(self._server):
                return
            self._forget_server()
        raise self._failure("The server ended while it was starting.")

    def _wait_until_ready(self, server: subprocess.Popen[bytes]) -> bool:
        """Wait as pg_ctl does: for the status line of ``postmaster.pid``."""
        deadline = time.monotonic() + self._patience
        status = self.data_dir / "postmaster.pid"
        while time.monotonic() < deadline:
            with suppress(OSError, IndexError):
                lines = status.read_text().splitlines()
                # The first line is the process id, the eighth the status (src/include/utils/pidfile.h).
                if lines[0] == str(server.pid) and lines[7:8] and lines[7].strip() == "ready":
                    return True
            if server.poll() is not None:
                return False
            time.sleep(0.01)
        self.stop("immediate")
        raise self._failure(f"The server was not ready after {self._patience:g} s.")

    def _forget_server(self) -> None:
        if self._server is not None:
            self._guard.ended(self._server)
            self._server = None

    def _failure(self, message: str) -> ServerError:
        """Make an error that shows the end of the log, which is removed with the folder."""
        log = ""
        with suppress(OSError, ServerError):
            log = "".join(f"\n    {line}" for line in self.log.splitlines()[-_LOG_LINES:])
        return ServerError(f"{message}{log and ' The end of its log:'}{log}", binaries=self.binaries)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
