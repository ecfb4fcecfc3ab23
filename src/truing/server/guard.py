"""Who knows of every program and folder of a cluster before it is there, whenever we are killed? The watchdog.

In: folders that will be made, programs that will be started. Out: running programs, each known to the watchdog process.
"""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from truing.server import watchdog
from truing.server.account import Account


class Guard:
    """A watchdog process, and the pipe that it listens at."""

    def __init__(self) -> None:
        """Nothing is started yet."""
        self._folders: list[Path] = []
        self._pipe: int | None = None
        self.watchdog: subprocess.Popen[bytes] | None = None

    def watch(self) -> None:
        """Start the watchdog, before there is anything that would have to be cleaned up."""
        self._close_pipe()
        end, self._pipe = os.pipe()  # neither end is inherited by programs that anybody starts
        self.watchdog = subprocess.Popen(
            [sys.executable, "-I", "-S", watchdog.__file__, str(os.getpid())],
            stdin=end,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            # A Ctrl-C at the terminal goes to every process of our group; the watchdog must see the end of ours.
            start_new_session=True,
        )
        os.close(end)
        for folder in self._folders:
            self._tell(os.fsencode(folder) + b"\n")

    def announce(self, folder: Path) -> None:
        """Tell of a folder that will be made."""
        self._folders.append(folder)
        self._tell(os.fsencode(folder) + b"\n")

    def spawn(self, arguments: list[str], account: Account, log: Path) -> subprocess.Popen[bytes]:
        """Start a program of PostgreSQL, known to the watchdog before it runs.

        The shell writes its process id, which becomes that of the program, into the watchdog's pipe and only then turns
        into the program. So there is no moment at which we could be killed and leave a program that nobody knows of;
        until then the shell itself holds the pipe open.

        Raises:
            OSError: it cannot be run.
        """
        if self.watchdog is None or self.watchdog.poll() is not None:
            self.watch()
        environment = {key: value for key, value in os.environ.items() if not key.startswith("PG")}
        environment |= {"LC_ALL": "C", "TZ": "UTC"}
        with log.open("ab") as opened:
            return subprocess.Popen(
                ["/bin/sh", "-c", 'echo $$; exec "$@" >&2', "sh", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=self._pipe,
                stderr=opened,
                cwd="/",
                env=environment,
                start_new_session=True,
                **account.spawn,
            )

    def ended(self, process: subprocess.Popen[bytes]) -> None:
        """Tell that a process id is free again, and may become somebody else's."""
        self._tell(b"-%d\n" % process.pid)

    def close(self) -> None:
        """Let the watchdog clean up, and wait for it."""
        ending, self.watchdog = self.watchdog, None
        self._folders.clear()
        self._close_pipe()
        if ending is not None:
            try:
                ending.wait(20)
            except subprocess.TimeoutExpired:
                ending.kill()
                ending.wait()

    def _tell(self, line: bytes) -> None:
        if self._pipe is not None:
            with suppress(BrokenPipeError):
                os.write(self._pipe, line)

    def _close_pipe(self) -> None:
        pipe, self._pipe = self._pipe, None
        if pipe is not None:
            os.close(pipe)
