"""What the runner tells while it works, and who listens.

Front ends pass an :class:`Observer`; tests pass a recording one. The runner never prints.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Protocol, TypeAlias

import msgspec

from truing.plan import Plan, Step


class PlanStarted(msgspec.Struct, frozen=True):
    """An operation begins, or goes on (``resumed``) at a later step."""

    plan: Plan
    resumed: bool


class PlanFinished(msgspec.Struct, frozen=True):
    """An operation is done. ``changed`` is False where the catalog said that there was nothing to do."""

    plan: Plan
    seconds: float
    changed: bool = True


class StepStarted(msgspec.Struct, frozen=True):
    """A step begins; ``number`` counts from 1."""

    plan: Plan
    step: Step
    number: int


class StepFinished(msgspec.Struct, frozen=True):
    """A step is done.

    Attributes:
        seconds: how long it took with all its tries.
        lock_held_ms: how long its strong locks were held; 0 where it takes none.
    """

    plan: Plan
    step: Step
    seconds: float
    lock_held_ms: float = 0.0


class BatchDone(msgspec.Struct, frozen=True):
    """A batch has been committed.

    Attributes:
        done: rows passed so far in this step.
        total: estimated rows of the step.
        milliseconds: how long the batch took.
    """

    plan: Plan
    step: Step
    done: int
    total: int
    milliseconds: float


class LockTried(msgspec.Struct, frozen=True):
    """A strong lock could not be had and will be tried again.

    Attributes:
        attempt: counts from 1.
        pause_s: until the next try.
        blockers: one line for each session in the way.
    """

    plan: Plan
    step: Step
    attempt: int
    pause_s: float
    blockers: tuple[str, ...]


Event: TypeAlias = PlanStarted | PlanFinished | StepStarted | StepFinished | BatchDone | LockTried


class Observer(Protocol):
    """Whoever wants to know."""

    def __call__(self, event: Event, /) -> None:
        """Take note of an event. Must be quick and must not raise."""


def _silent(_event: Event) -> None:
    """Listen to nothing."""


current_observer: ContextVar[Observer] = ContextVar("truing_observer", default=_silent)
"""The observer of this thread's runs. Alembic calls the operations, so that nothing can be passed through."""
