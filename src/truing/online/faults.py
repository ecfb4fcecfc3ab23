"""Faults on purpose, for tests that prove what survives a crash.

``TRUING_FAULTS=seed:probability[:kill|raise|stop:PID]`` makes each point that the runner passes fail with that
probability: ``kill`` ends the process as kill -9 does, ``raise`` raises, ``stop:PID`` stops the server whose postmaster
has that number at once, as ``pg_ctl stop -m immediate`` does. Without the variable a point costs one comparison.
"""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable
from functools import cache


class InjectedFaultError(Exception):
    """A fault that a test asked for."""


def _never(_name: str) -> None:
    """Pass a point without a fault."""


@cache
def from_environment() -> Callable[[str], None]:
    """Return the function that every runner of this process calls at each point, as ``TRUING_FAULTS`` says.

    Raises:
        ValueError: the variable is not ``seed:probability[:mode[:PID]]``.
    """
    setting = os.environ.get("TRUING_FAULTS")
    if not setting:
        return _never
    seed, probability, *mode = setting.split(":")
    chance, dice = float(probability), random.Random(seed)  # noqa: S311 - reproducible, not secret

    def point(name: str) -> None:
        if dice.random() < chance:
            match mode:
                case ["raise"]:
                    raise InjectedFaultError(name)
                case ["stop", pid]:
                    os.kill(int(pid), signal.SIGQUIT)
                case _:
                    os.kill(os.getpid(), signal.SIGKILL)

    return point
