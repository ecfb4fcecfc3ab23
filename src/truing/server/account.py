"""As which user does a server run, and can that user reach what it needs?

PostgreSQL refuses to run as root, so root's servers run as ``nobody``. In: the user we are, a folder, an installation.
Out: :class:`Account` to start programs with, and programs that this account can execute. No user is ever created and
no permission of a folder that is not ours is ever changed.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import msgspec

from truing.errors import ServerError
from truing.server.binaries import Binaries

_NOBODY: Final = 65534
"""The user and group id that is nobody's where the account database does not list ``nobody``."""

_SHELL: Final = "/bin/sh"


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
    needed = [("-x", binaries.bin_dir / "postgres"), ("-x", binaries.bin_dir / "initdb")]
    if account.can(*needed, *([("-r", bootstrap)] if bootstrap else [])):
        return binaries
    if bootstrap is None or binaries.bin_dir.name != "bin":
        raise ServerError(
            f"{binaries.bin_dir} cannot be used by user {account.uid}, which the server has to run as.",
            hint="Install PostgreSQL where every user can read it, or run as a normal user.",
        )
    copy = folder / "postgresql"
    for part in ("bin", "lib", "share"):
        if (prefix / part).is_dir():
            shutil.copytree(prefix / part, copy / part, symlinks=True)
    _open_for_reading(copy)
    return msgspec.structs.replace(binaries, bin_dir=copy / "bin")


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
