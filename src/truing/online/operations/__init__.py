"""The online operations, one in each file: what it does, its plan, its Alembic spelling and its typed function."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules


def register() -> None:
    """Register every operation with Alembic, by importing the modules that define them."""
    for module in iter_modules(__path__):
        import_module(f"{__name__}.{module.name}")


# Alembic loads this package through its plugin while it imports itself. Where one of our modules is imported first,
# Alembic has to come before it, or it would find that module half made.
import alembic  # noqa: E402, F401
