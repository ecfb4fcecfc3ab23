"""As which user does a server run, and can that user reach what it needs?

PostgreSQL refuses to run as root, so root's servers run as ``nobody``. In: the user we are, an installation. Out:
:class:`Account` to start programs with, a folder that it can reach, and programs that it can execute. No user is ever
created and no permission of a folder that is not ours is ever changed.
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec

from truing.errors import ServerError
from truing.server.binaries import Binaries

_NOBODY: Final = 65534
"""The user and group id that is nobody's where the account database does not list ``nobody``."""

MEMORY: Final = Path("/dev/shm")  # noqa: S108 - nobody can guess the name that is made there
"""Where Linux keeps files in memory."""

_ROOM: Final = 4 * 1024**3
"""In bytes; a scratch database of 1,000 tables takes about 100 MB."""

_GROUP: Final = Path("/sys/fs/cgroup")
_GROUP_FILES: Final = (
    (_GROUP / "memory.max", _GROUP / "memory.current"),
    (_GROUP / "memory" / "memory.limit_in_bytes", _GROUP / "memory" / "memory.usage_in_bytes"),
)

_SHELL: Final = "/bin/sh"

_LONGEST_SOCKET_PATH: Final = 103
"""In bytes, on macOS; Linux takes 107."""


class Account(msgspec.Struct, frozen=True):
    """The user that a server runs as.

    Attributes:
        uid: its user id.
        gid: its group id.
        dropped: whether that is another user than the one we are, because we are root.
    """

    uid: int
    gid: int
    dropped: bool

    @classmethod
    def current(cls) -> Account:
        """The user we are; ``nobody`` when we are root."""
        if os.geteuid() != 0:
            return cls(os.geteuid(), os.getegid(), dropped=False)
        try:
            entry = pwd.getpwnam("nobody")
        except KeyError:
            return cls(_NOBODY, _NOBODY, dropped=True)
        return cls(entry.pw_uid, entry.pw_gid, dropped=True)

    @property
    def spawn(self) -> dict[str, Any]:
        """The arguments of :class:`subprocess.Popen` that start a program as this user and nothing more."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []} if self.dropped else {}

    def give(self, folder: Path) -> None:
        """Make the account the owner of a folder that we have made."""
        if self.dropped:
            os.chown(folder, self.uid, self.gid)

    def can(self, *tests: tuple[str, Path]) -> bool:
        """Ask the system, as this user, whether paths can be used.

        Args:
            tests: pairs of an operator of the shell's ``test`` (``-x``, ``-r``, ``-w``) and a path.

        Raises:
            ServerError: this process may not start programs as that user.
        """
        if not self.dropped:
            modes = {"-x": os.X_OK, "-r": os.R_OK, "-w": os.W_OK}
            return all(os.access(path, modes[operator]) for operator, path in tests)
        # Permissions of every parent folder and access lists all count, so that asking is the only sure way.
        script = 'while [ $# -gt 0 ]; do test "$1" "$2" || exit 1; shift 2; done'
        words = [str(word) for test in tests for word in test]
        try:
            return (
                subprocess.run([_SHELL, "-c", script, "sh", *words], cwd="/", check=False, **self.spawn).returncode == 0
            )
        except OSError as error:
            raise ServerError(
                f"PostgreSQL does not run as root, and this process may not become user {self.uid}: {error}.",
                hint="Run as a normal user, or give a running server with --scratch-url.",
            ) from error


def make_folder(account: Account, announce: Callable[[Path], None]) -> Path:
    """Make a temporary folder where the path of a socket is short enough and the account can reach it.

    Args:
        account: who has to reach it.
        announce: is told each path before it is made, so that it can be removed whatever happens to us.

    Raises:
        ServerError: there is none such on this machine.
    """
    # Nobody can guess or have this name, so that whoever is told it may remove what is there.
    name = f"truing-{secrets.token_hex(8)}"
    longest = len(f"/{name}/s/.s.PGSQL.65535")
    refused = []
    for parent in dict.fromkeys((tempfile.gettempdir(), "/tmp", "/var/tmp")):  # noqa: S108 - mkdir refuses what exists
        folder = Path(parent, name).absolute()
        if "\n" in parent:
            refused.append(f"{parent!r} (a line break in its name)")
            continue
        if len(os.fsencode(folder.parent)) + longest > _LONGEST_SOCKET_PATH:
            refused.append(f"{parent} (too long for the path of a Unix socket)")
            continue
        try:
            announce(folder)
            folder.mkdir(mode=0o700)
        except OSError as error:
            refused.append(f"{parent} ({error.strerror})")
            continue
        # The folder stays ours, so that another process of `nobody` cannot replace what is in it; the account only
        # passes through it, into the two folders that are its own.
        folder.chmod(0o711 if account.dropped else 0o700)
        if account.can(("-x", folder)):
            return folder
        folder.rmdir()
        refused.append(f"{parent} (closed to user {account.uid}, which the server runs as)")
    raise ServerError(f"No temporary folder can be used: {'; '.join(refused)}.", hint="Set TMPDIR to a usable folder.")


def memory_folder(account: Account, announce: Callable[[Path], None]) -> Path | None:
    """Make a folder in memory, where files cost a fraction of what they cost on a disk.

    Args:
        account: who has to reach it.
        announce: is told the path before it is made, as in :func:`make_folder`.

    Returns:
        The folder; None where there is no such place, it is not roomy, or somebody has chosen one (TMPDIR).
    """
    if os.environ.get("TMPDIR") or not is_roomy(MEMORY):
        return None
    folder = MEMORY / f"truing-{secrets.token_hex(8)}"
    try:
        announce(folder)
        folder.mkdir(mode=0o700)
    except OSError:
        return None
    folder.chmod(0o711 if account.dropped else 0o700)
    if account.can(("-x", folder)):
        return folder
    folder.rmdir()
    return None


def is_roomy(memory: Path, room: int = _ROOM) -> bool:
    """Tell whether a file system in memory has room, and the machine and this process's control group have memory."""
    try:
        place = os.statvfs(memory)
        text = Path("/proc/meminfo").read_text(encoding="ascii", errors="replace")
        available = next(int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("MemAvailable:"))
    except (OSError, ValueError, IndexError, StopIteration):
        return False
    return min(place.f_bavail * place.f_frsize, available, _left_to_the_group()) >= room


def _left_to_the_group() -> float:
    """How many bytes this process's control group may still take (a container's limit); infinite where none is set."""
    for limit, taken in _GROUP_FILES:
        try:
            return int(limit.read_text(encoding="ascii")) - int(taken.read_text(encoding="ascii"))
        except (OSError, ValueError):
            # There is no such file outside a group, and version 2 says "max" where there is no limit.
            continue
    return float("inf")


def reachable(binaries: Binaries, account: Account, folder: Path) -> Binaries:
    """Give programs that the account can execute: the installation itself, or a copy of it.

    A virtual environment below ``/root`` is closed to ``nobody``; opening it is not ours to do, so that the
    installation (which can be moved, as PostgreSQL finds its files from where its programs are) is copied.

    Args:
        binaries: the installation.
        account: who will run it.
        folder: where a copy may be made, a folder of ours that the account can reach.

    Raises:
        ServerError: the account cannot reach the installation and it cannot be copied as a whole.
    """
    prefix = binaries.bin_dir.parent
    bootstrap = _bootstrap_file(prefix)
    # A wheel keeps the libraries that its programs are linked with beside its package (auditwheel) or in it (delocate).
    package = prefix.parent
    beside = package.parent / f"{package.name}.libs"
    bundled = [path for path in (beside, package / ".dylibs") if path.is_dir()]
    programs = (binaries.bin_dir / "postgres", binaries.bin_dir / "initdb")
    files = [bootstrap] if bootstrap else []
    if account.can(*(("-x", path) for path in (*programs, *bundled)), *(("-r", path) for path in (*files, *bundled))):
        return binaries
    if bootstrap is None or binaries.bin_dir.name != "bin" or not account.dropped:
        raise ServerError(
            f"{binaries.bin_dir} cannot be used by user {account.uid}, which the server has to run as.",
            hint="Install PostgreSQL where every user can read it, or run as a normal user.",
        )
    copy = folder / "postgresql"
    parts = [path for part in ("bin", "lib", "share") if (path := prefix / part).is_dir()]
    for source in (*parts, *bundled):
        # The programs look for their libraries relative to where they are, so that the arrangement must stay.
        shutil.copytree(source, copy / source.relative_to(package.parent), symlinks=True)
    _open_for_reading(copy)
    return msgspec.structs.replace(binaries, bin_dir=copy / binaries.bin_dir.relative_to(package.parent))


def _bootstrap_file(prefix: Path) -> Path | None:
    """The file that ``initdb`` needs first; where it is tells an installation that stands below one folder."""
    candidates = (prefix / "share" / "postgres.bki", prefix / "share" / "postgresql" / "postgres.bki")
    return next((path for path in candidates if path.exists()), None)


def _open_for_reading(tree: Path) -> None:
    for folder, _, files in os.walk(tree):
        Path(folder).chmod(0o755)
        for name in files:
            path = Path(folder, name)
            if not path.is_symlink():
                path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
