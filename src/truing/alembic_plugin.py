"""What Alembic loads: the online operations as ``op.*``, through the entry point ``alembic.plugins``.

Alembic imports this module while it imports itself, so nothing of Alembic may be imported at module level.
"""

from __future__ import annotations

from typing import Any


def setup(_plugin: Any = None) -> None:
    """Register the operations; called by Alembic once."""
    from truing.online.operations import register  # noqa: PLC0415 - see above

    register()


def __getattr__(name: str) -> Any:
    """Offer ``include_object`` to env.py without loading it here."""
    if name in {"include_object", "make_include_object"}:
        from truing.lint import include  # noqa: PLC0415 - see above

        return getattr(include, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
