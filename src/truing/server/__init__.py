"""Which PostgreSQL can be used here, and a private one when none is given.

In: the environment of the machine, or the URL of a server that may be used. Out: :class:`Binaries`, :class:`Cluster`
(a server that lives as long as its owner and no longer) and :class:`Scratch` (throw-away databases on a server).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from truing.server.binaries import Binaries, available, find
    from truing.server.cluster import Cluster
    from truing.server.scratch import Scratch, ScratchDatabase

__all__ = ["Binaries", "Cluster", "Scratch", "ScratchDatabase", "available", "find"]

_PLACES: Final = {"Cluster": "cluster", "Scratch": "scratch", "ScratchDatabase": "scratch"}


def __getattr__(name: str) -> Any:
    """Load what starts servers on first use: whoever only asks what is installed needs none of it."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PLACES.get(name, 'binaries')}"), name)
