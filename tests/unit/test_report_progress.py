"""Progress shows where a run is: live on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from tests.unit.test_report_text import HOSTILE, plan
from truing.online.events import BatchDone, LockTried, PlanFinished, PlanStarted, StepFinished, StepStarted
from truing.report.progress import PLAIN_INTERVAL_S, Pace, Progress, duration


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_pace_is_rows_a_second_and_time_left():
    clock = Clock()
    pace = Pace(clock)
    pace.advance(0, 10_000)
    clock.now = 2.0
    pace.advance(1_000, 10_000)
    assert (pace.rate, pace.eta_s) == (500.0, 18.0)
    assert str(pace) == "1,000 of about 10,000 rows (10%), 500 rows/s, 18.0 s left"


def test_pace_forgets_what_is_long_ago():
    clock = Clock()
    pace = Pace(clock, window_s=10)
    for second in range(100):
        clock.now = second
        pace.advance(second * (1 if second < 50 else 10), 10_000)
    assert pace.rate == pytest.approx(10, rel=0.2)


def test_pace_says_nothing_it_does_not_know():
    pace = Pace(Clock())
    assert (pace.rate, pace.eta_s) == (0.0, None)
    pace.advance(5, 0)
    pace.advance(5, 0)
    assert (pace.total, pace.rate, pace.eta_s) == (5, 0.0, None)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0123, "12 ms"), (4.2, "4.2 s"), (59.96, "1 min 00 s"), (185, "3 min 05 s"), (7800, "2 h 10 min")],
)
def test_durations(seconds, text):
    assert duration(seconds) == text


def tell(progress: Progress, clock: Clock) -> None:
    """One operation with a pass of 30 s, in batches of a second."""
    work = plan("Convert " + HOSTILE)
    progress(PlanStarted(work, resumed=True))
    progress(StepStarted(work, work.steps[0], 1))
    progress(LockTried(work, work.steps[0], 2, 0.5, (f"pid 7 {HOSTILE}",)))
    progress(StepFinished(work, work.steps[0], 1.5, lock_held_ms=12.0))
    progress(StepStarted(work, work.steps[2], 3))
    for second in range(30):
        clock.now += 1
        progress(BatchDone(work, work.steps[2], second * 100, 3000, 40.0))
    progress(StepFinished(work, work.steps[2], 30.0))
    progress(PlanFinished(work, 31.5))
    progress(PlanFinished(work, 0.0, changed=False))


def test_without_a_terminal_there_is_a_line_now_and_then():
    clock, out = Clock(), io.StringIO()
    with Progress(Console(file=out, width=80, markup=False, highlight=False), clock) as progress:
        tell(progress, clock)
    lines = out.getvalue().splitlines()
    assert "goes on where it was" in lines[0]
    assert r"\x1b[31mred" in lines[0]
    assert "lock not free (try 2), again in 500 ms: pid 7" in lines[1]
    assert lines[2] == "  1/6  Step 0: 1.5 s, lock held 12 ms"
    passes = [line for line in lines if "rows/s" in line]
    assert len(passes) == 30 // int(PLAIN_INTERVAL_S)
    assert lines[-1] == "  already so; nothing to do"
    assert "\x1b" not in out.getvalue()


def test_in_brief_operations_are_summed_up():
    clock, out = Clock(), io.StringIO()
    with Progress(Console(file=out, width=80, markup=False, highlight=False), clock, brief=True) as progress:
        tell(progress, clock)
        progress.sum_up("rbac_foreign_key_implementation", 31.5)
        progress.sum_up("0002", 0.1)
    lines = [line for line in out.getvalue().splitlines() if "3,000 rows" not in line]
    assert lines == [
        "  rbac_foreign_key_implementation: 1 operation in 31.5 s",
        "    strong locks: 12 ms at most, 12 ms in all",
        "  0002: 0 operations in 100 ms",
    ]


def test_on_a_terminal_the_bar_has_rows_rate_time_left_and_lock():
    clock, out = Clock(), io.StringIO()
    terminal = Console(file=out, width=100, force_terminal=True, color_system=None, markup=False, highlight=False)
    progress = Progress(terminal, clock)
    work = plan()
    progress(StepStarted(work, work.steps[0], 1))
    progress(LockTried(work, work.steps[0], 2, 0.5, ("pid 7",)))
    terminal.print(progress.render())
    assert "ACCESS EXCLUSIVE on app.profiles" in out.getvalue()
    assert "lock not free (try 2)" in out.getvalue()
    progress(StepFinished(work, work.steps[0], 1.5, lock_held_ms=12.0))
    progress(StepStarted(work, work.steps[2], 3))
    progress(BatchDone(work, work.steps[2], 0, 3000, 40.0))
    clock.now = 1
    progress(BatchDone(work, work.steps[2], 1000, 3000, 40.0))
    terminal.print(progress.render())
    shown = out.getvalue()
    assert "1,000 of about 3,000 rows (33%), 1,000 rows/s, 2.0 s left" in shown
    assert "longest lock so far 12 ms" in shown


def test_the_live_display_ends_and_leaves_the_lines():
    clock, out = Clock(), io.StringIO()
    terminal = Console(file=out, width=100, force_terminal=True, color_system=None, markup=False, highlight=False)
    with Progress(terminal, clock) as progress:
        tell(progress, clock)
    assert "done in 31.5 s" in out.getvalue()
    assert "\x1b[?25h" in out.getvalue(), "the cursor is shown again"
