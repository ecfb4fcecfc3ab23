"""Can the models be built while the migrations still run? Yes, with a guess of what the migrations will leave to them.

In: what :func:`~truing.drift.building.builds.build_models` takes, but for what the migrations build. Out: the same as
if it had been known, or nothing where the guess or anything else was wrong: whoever asked builds them afterwards then.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from threading import Lock, Thread

from truing.drift.building.builds import Built
from truing.drift.building.workshop import Workshop
from truing.drift.exchange import Translate
from truing.server import ScratchDatabase

Build = Callable[[Callable[["subprocess.Popen[bytes]"], None]], tuple[ScratchDatabase, Built]]
"""A build, which tells the process that it has started."""


class Ahead:
    """A build in a thread of its own."""

    def __init__(self, workshop: Workshop, build: Build, helped: tuple[str, ...]) -> None:
        """Begin.

        Args:
            workshop: where.
            build: the build.
            helped: the statements that it runs first.
        """
        self._workshop, self._build, self._helped = workshop, build, helped
        self._lock, self._stopped = Lock(), False
        self._child: subprocess.Popen[bytes] | None = None
        self._made: tuple[ScratchDatabase, Built] | None = None
        self._roles_put_aside = workshop.roles_put_aside
        # A daemon: a build that hangs must not keep the interpreter from ending.
        self._thread = Thread(target=self._run, name="truing models", daemon=True)
        self._thread.start()

    def made(self, helped: tuple[str, ...], translate: Translate) -> tuple[ScratchDatabase, Built] | None:
        """Wait for the build, and take it if it is what would be built now.

        Args:
            helped: the statements that are to be run first, as is known now.
            translate: the ``schema_translate_map``.
        """
        if helped != self._helped or translate:
            self.stop()
        self._thread.join()
        if self._made is None or self._roles_put_aside != self._workshop.roles_put_aside:
            return None
        # What had to be made piece by piece might have been helped by what the migrations make.
        return self._made if self._made[1].reply.whole and helped == self._helped and not translate else None

    def stop(self) -> None:
        """End the build, and wait until it has ended. No effect when it has."""
        with self._lock:
            self._stopped = True
            if self._child is not None and self._child.poll() is None:
                self._child.kill()
        self._thread.join()

    def _run(self) -> None:
        try:
            self._made = self._build(self._started)
        except Exception:  # noqa: BLE001 - it is built again, and then it is said
            self._made = None

    def _started(self, child: subprocess.Popen[bytes]) -> None:
        with self._lock:
            self._child = child
            if self._stopped:
                child.kill()
