"""Stop an operation at a step, to look at the state in which the application lives meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from truing.errors import InterruptedRunError
from truing.online.events import StepFinished, current_observer
from truing.online.run import stop_requested


def run_until(step: str, operation: Callable[[], Any]) -> None:
    """Run an operation until a step of it is done. Running it again goes on."""

    def observe(event: Any) -> None:
        if isinstance(event, StepFinished) and event.step.id == step:
            stop_requested.set()

    token = current_observer.set(observe)
    try:
        with pytest.raises(InterruptedRunError):
            operation()
    finally:
        current_observer.reset(token)
        stop_requested.clear()
