"""Carry what depends on a converted column: it is bound to the old column's number and would stay with it.

PostgreSQL binds views, policies, indexes, constraints, triggers, defaults, grants and comments to a column's number,
not to its name. :func:`survey` reads them before anything is changed and returns a :class:`Carry`: what to build
beforehand, what to run inside the one swap transaction, and how to restore the original definitions on the way back.
"""

from truing.online.carry.model import Carried, Carry, Refusal
from truing.online.carry.survey import ConvertDefault, survey

__all__ = ["Carried", "Carry", "ConvertDefault", "Refusal", "survey"]
