"""What is happening right now? The runner's events in; a live bar out, or a line now and then without a terminal.

:class:`Progress` only keeps what was told and prints it; the arithmetic is :class:`Pace`, which needs no terminal.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from truing.online.events import BatchDone, Event, LockTried, PlanFinished, PlanStarted, StepFinished, StepStarted
from truing.online.run import stop_requested
from truing.plan import Locked, Step
from truing.report.clean import clean

PLAIN_INTERVAL_S: Final = 10.0
"""Without a terminal, a line about a running pass is printed at most this often."""


class Pace:
    """How fast does a pass go, and when will it be done? Measured over the last while, since the pace changes."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, window_s: float = 15.0) -> None:
        self._clock = clock
        self._window = window_s
        self._marks: deque[tuple[float, int]] = deque()
        self.done = 0
        self.total = 0

    def start(self) -> None:
        """Begin a new pass."""
        self._marks.clear()
        self.done = self.total = 0

    def advance(self, done: int, total: int) -> None:
        """Take note of how far the pass is. ``total`` is an estimate and may be less than ``done``."""
        now = self._clock()
        self.done, self.total = done, max(total, done)
        self._marks.append((now, done))
        while len(self._marks) > 2 and now - self._marks[0][0] > self._window:  # noqa: PLR2004 - two make a pace
            self._marks.popleft()

    @property
    def rate(self) -> float:
        """Rows a second; 0 while nothing can be said."""
        if len(self._marks) < 2:  # noqa: PLR2004
            return 0.0
        (start, before), (end, after) = self._marks[0], self._marks[-1]
        return (after - before) / (end - start) if end > start else 0.0

    @property
    def eta_s(self) -> float | None:
        """Seconds until the pass is done; None while nothing can be said."""
        return (self.total - self.done) / self.rate if self.rate > 0 else None

    def __str__(self) -> str:
        share = f" ({self.done / self.total:.0%})" if self.total else ""
        text = f"{self.done:,} of about {self.total:,} rows{share}"
        if self.rate:
            text += f", {self.rate:,.0f} rows/s"
        return text if self.eta_s is None else f"{text}, {duration(self.eta_s)} left"


def duration(seconds: float) -> str:
    """Return a length of time as people say it: ``350 ms``, ``4.2 s``, ``3 min 05 s``, ``2 h 10 min``."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:  # noqa: PLR2004 - what would be printed as 60.0 s
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"  # noqa: PLR2004


class _Sum:
    """What operations came to, added up."""

    def __init__(self) -> None:
        self.plans = 0
        self.lock_ms = self.longest_lock_ms = 0.0


class Progress:
    """An observer of runs that shows them. Use it as a context manager; it never raises while it listens."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic, *, brief: bool = False) -> None:
        """Show on a console.

        Args:
            console: where to.
            clock: tells the time in seconds.
            brief: say nothing of single operations, only :meth:`sum_up`.
        """
        self._console = console
        self._brief = brief
        self._sum = _Sum()
        self._clock = clock
        self._live_on = console.is_terminal and not console.is_dumb_terminal
        self._printed_at = float("-inf")
        self.pace = Pace(clock)
        self.title = ""
        self.step: Step | None = None
        self.position = ""
        self.waiting = ""
        self.longest_lock_ms = 0.0
        self.plans_done = 0
        self._stopping = False
        # It asks for something to show at once, so that it comes last.
        self._live = Live(get_renderable=self.render, console=console, refresh_per_second=8, transient=True)

    def __enter__(self) -> Self:
        if self._live_on:
            self._live.start(refresh=False)
        return self

    def close(self) -> None:
        """End the live display, before results are printed; a second time does nothing."""
        if self._live_on:
            self._live.stop()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def phase(self, name: str) -> None:
        """Say that something else begins."""
        self.step = None
        self._line(name, "bold")

    def sum_up(self, what: str, seconds: float) -> None:
        """Say in one line what the operations since the last time came to.

        Args:
            what: they were.
            seconds: how long it took.
        """
        done, self._sum = self._sum, _Sum()
        plans = "1 operation" if done.plans == 1 else f"{done.plans} operations"
        # Two lines: with the names of revisions as people write them, one would be wider than a terminal.
        self._line(f"  {what}: {plans} in {duration(seconds)}")
        if done.plans:
            self._line(f"    strong locks: {done.longest_lock_ms:.0f} ms at most, {done.lock_ms:.0f} ms in all")

    def __call__(self, event: Event) -> None:
        """Take note of an event and show it."""
        self._say_if_stopping()
        match event:
            case PlanStarted(plan, resumed):
                self.title = clean(plan.title)
                if not self._brief:
                    self._line(f"{self.title}{' (goes on where it was)' if resumed else ''}", "bold")
            case StepStarted(plan, step, number):
                self.step, self.position, self.waiting = step, f"{number}/{len(plan.steps)}", ""
                self.pace.start()
            case BatchDone(done=done, total=total):
                self.pace.advance(done, total)
                self._now_and_then()
            case LockTried(step=step, attempt=attempt, pause_s=pause, blockers=blockers):
                who = f": {clean('; '.join(blockers), longest=300)}" if blockers else ""
                self.waiting = f"lock not free (try {attempt}), again in {duration(pause)}{who}"
                if not self._brief:
                    self._line(f"  {clean(step.title)}: {self.waiting}", "yellow")
            case StepFinished():
                self._step_finished(event)
            case PlanFinished(plan, seconds, changed):
                self.plans_done += 1
                self._sum.plans += changed
                self.step = None
                if not self._brief:
                    self._line(f"  done in {duration(seconds)}" if changed else "  already so; nothing to do", "green")

    def _say_if_stopping(self) -> None:
        if stop_requested.is_set() and not self._stopping:
            self._stopping = True
            self._line("Stopping after this batch; press ctrl-C again to stop at once.", "bold yellow")

    def _step_finished(self, event: StepFinished) -> None:
        self.longest_lock_ms = max(self.longest_lock_ms, event.lock_held_ms)
        self._sum.lock_ms += event.lock_held_ms
        self._sum.longest_lock_ms = max(self._sum.longest_lock_ms, event.lock_held_ms)
        self.waiting = ""
        if self._brief:
            return
        held = f", lock held {event.lock_held_ms:.0f} ms" if event.lock_held_ms else ""
        rows = f", {self.pace.done:,} rows" if self.pace.done else ""
        self._line(f"  {self.position}  {clean(event.step.title)}: {duration(event.seconds)}{rows}{held}")

    def _now_and_then(self) -> None:
        if self._live_on or self.step is None or self._clock() - self._printed_at < PLAIN_INTERVAL_S:
            return
        self._line(f"  {self.position}  {clean(self.step.title)}: {self.pace}")

    def _line(self, text: str, style: str = "") -> None:
        self._printed_at = self._clock()
        # Without a terminal a line is one line, however long: logs are searched, not looked at.
        self._console.print(Text(text, style), soft_wrap=not self._live_on)

    def render(self) -> RenderableType:
        """Build what a terminal shows at this moment."""
        if self.step is None:
            return Text("")
        head = Text.assemble((f"  {self.position}  ", "dim"), clean(self.step.title))
        lines: list[RenderableType] = [head]
        if self.pace.total:
            bar = Table.grid(padding=(0, 1))
            bar.add_row(
                "      ", ProgressBar(total=self.pace.total, completed=self.pace.done, width=30), str(self.pace)
            )
            lines.append(bar)
        locks = self.step.action.locks if isinstance(self.step.action, Locked) else ()
        state = ", ".join(map(str, locks)) or "no table lock"
        lines.append(Text(f"      {clean(state)}; longest lock so far {self.longest_lock_ms:.0f} ms", "dim"))
        if self.waiting:
            lines.append(Text(f"      {self.waiting}", "yellow"))
        return Group(*lines)
