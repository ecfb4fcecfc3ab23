"""Run the revisions of somebody's project with Alembic: progress is shown, and ctrl-C stops between two steps.

Alembic calls the online operations, so the observer, the settings and the wish to stop reach them through the context.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from truing.cli.database import project, url_of
from truing.cli.options import Invocation

if TYPE_CHECKING:
    from types import FrameType

    from truing.report.document import Cell


class Outcome(msgspec.Struct, frozen=True):
    """What a run has done.

    Attributes:
        before: the revisions that the database was at.
        after: those it is at now.
        seconds: how long it took.
        operations: how many online operations were carried out.
        longest_lock_ms: the longest that a strong lock was held.
    """

    before: tuple[str, ...]
    after: tuple[str, ...]
    seconds: float
    operations: int
    longest_lock_ms: float

    def facts(self) -> dict[str, Cell]:
        """The outcome for a report."""
        return {
            "before": ", ".join(self.before) or "(base)",
            "after": ", ".join(self.after) or "(base)",
            "online operations": self.operations,
            "longest lock held (ms)": self.longest_lock_ms,
            "seconds": self.seconds,
        }


def migrate(invocation: Invocation, direction: Literal["upgrade", "downgrade"], revision: str) -> Outcome:
    """Run revisions.

    Args:
        invocation: the project and the database.
        direction: up or down.
        revision: where to.

    Raises:
        TruingError: the run cannot go on; what is done so far is kept.
        CommandError: Alembic knows no such revision.
    """
    from truing.online.events import current_observer
    from truing.online.settings import OnlineSettings
    from truing.report.progress import Progress

    settings = invocation.config.section("online", OnlineSettings)
    start = time.monotonic()
    with Progress(invocation.log) as progress, _stopping_politely(invocation):
        token = current_observer.set(progress)
        try:
            before, after = _run(invocation, direction, revision, {"truing_settings": settings})
        finally:
            current_observer.reset(token)
    seconds = time.monotonic() - start
    return Outcome(before, after, seconds, progress.plans_done, progress.longest_lock_ms)


def _run(
    invocation: Invocation, direction: str, revision: str, options: dict[str, Any]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    from alembic.runtime.environment import EnvironmentContext

    found = project(invocation)
    # env.py is asked to go where the person pointed; where nobody did, it finds its own way as ever.
    config = found.configuration(url_of(invocation) if invocation.database_url else None)
    script = found.script(config)
    # What `alembic upgrade` itself calls; it has no public name.
    plan = script._upgrade_revs if direction == "upgrade" else script._downgrade_revs  # noqa: SLF001
    seen: list[tuple[str, ...]] = []

    def steps(current: Any, _context: Any) -> Any:
        seen.append(tuple(current))
        return plan(revision, current)

    def heads(current: Any, _context: Any) -> list[Any]:
        seen.append(tuple(current))
        return []

    work: Callable[[Any, Any], Any]
    with found.at_root():
        for work in (steps, heads):
            with EnvironmentContext(config, script, fn=work, destination_rev=revision, **options):
                script.run_env()
    return seen[0], seen[-1]


@contextmanager
def _stopping_politely(invocation: Invocation) -> Iterator[None]:
    """Let the first ctrl-C stop between two steps, and the second at once."""
    from truing.online.run import stop_requested

    stop_requested.clear()

    def ask(_number: int, _frame: FrameType | None) -> None:
        if stop_requested.is_set():
            raise KeyboardInterrupt
        stop_requested.set()
        invocation.say("Stopping after this batch; press ctrl-C again to stop at once.")

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        stop_requested.clear()
