"""Which PostgreSQL can be used here, and a private one when none is given.

In: the environment of the machine, or the URL of a server that may be used. Out: :class:`Binaries`, :class:`Cluster`
(a server that lives as long as its owner and no longer) and :class:`Scratch` (throw-away databases on a server).
"""

from __future__ import annotations

from truing.server.binaries import Binaries, available, find
from truing.server.cluster import Cluster
from truing.server.scratch import Scratch, ScratchDatabase

__all__ = ["Binaries", "Cluster", "Scratch", "ScratchDatabase", "available", "find"]
