"""The online operations, one in each file: what it does, its plan, its Alembic spelling and its typed function."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules


def register() -> None:
    """Register every operation with Alembic, by importing the modules that define them."""
    for module in iter_modules(__path__):
        import_module(f"{__name__}.{module.name}")
