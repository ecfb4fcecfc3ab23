"""Who cleans up after a process that was killed? This program does; it is started once for each cluster.

In: lines on standard input, one for each folder that the cluster is about to make (its path), each program that it
starts (``pid``) and each that has ended (``-pid``); the owner's process id as the argument. When the input ends (the
owner closed it, or died of anything, SIGKILL included) it ends the programs that are left and removes the folders.
Standard library only, and no import from truing: it is run as a file, isolated from the environment.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path


def main() -> None:
    """Wait for the owner's end, then clean up."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # What ends the owner (or its terminal) must not end its watchdog before it has done its work.
        signal.signal(number, signal.SIG_IGN)
    folders, running = read_until_end(int(sys.argv[1]))
    for pid in running:
        end(pid, [folder / "data" / "postmaster.pid" for folder in folders])
    for folder in folders:
        remove(folder)


def read_until_end(owner: int) -> tuple[list[Path], list[int]]:
    """Follow which folders there are and which programs run until the owner is gone.

    Args:
        owner: the process id of the owner, our parent. A child that it forked holds a copy of the pipe's other end,
            which keeps the pipe open after the owner's death; so its death is looked for as well.

    Returns:
        The folders, and the programs that still run, the last started first.
    """
    text = b""
    while True:
        readable, _, _ = select.select([0], [], [], 1.0)
        if readable:
            chunk = os.read(0, 4096)
            if not chunk:
                break
            text += chunk
        elif os.getppid() != owner:
            break
    folders: list[Path] = []
    pids: list[int] = []
    # A line that was cut (by the owner's death) is not followed.
    for line in text.split(b"\n")[:-1]:
        if line.startswith(b"/"):
            folders.append(Path(os.fsdecode(line)))
        elif not line.startswith(b"-"):
            pids.append(int(line))
        elif -int(line) in pids:
            pids.remove(-int(line))
    return folders, pids[::-1]


def end(pid: int, pid_files: list[Path]) -> None:
    """End one program: at once, but so that PostgreSQL can give its shared memory back; by force after 5 seconds."""
    for number, patience in ((signal.SIGQUIT, 5.0), (signal.SIGKILL, 1.0)):
        had_file = any(pid_file.exists() for pid_file in pid_files)
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            # In a container nobody may collect the dead: a server without its pid file has ended, too.
            if not alive(pid) or (had_file and not any(map(Path.exists, pid_files))):
                return
            time.sleep(0.02)


def alive(pid: int) -> bool:
    """Tell whether a process exists and is not merely waiting to be collected."""
    with suppress(OSError):
        # Linux; the state follows the name, which may itself hold parentheses.
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0] != "Z"
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def remove(folder: Path) -> None:
    """Remove the folder, also when a program that is just ending still writes into it."""
    for _ in range(50):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(0.1)


if __name__ == "__main__":
    main()
