"""truing: keep the models, the migrations and the live PostgreSQL database in true.

``import truing`` loads no SQLAlchemy: the public names are resolved on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    "Finding": "truing.finding",
    "Plan": "truing.plan",
    "SchemaChangedError": "truing.online.application",
    "Severity": "truing.finding",
    "TransitionalUUID": "truing.online.application",
    "TruingError": "truing.errors",
    "include_object": "truing.alembic_plugin",
    "make_retryable": "truing.online.application",
    "retry_on_schema_change": "truing.online.application",
}

__all__ = [*_PUBLIC, "__version__"]  # noqa: PLE0604 - the names are strings, resolved by __getattr__


def __getattr__(name: str) -> Any:
    """Resolve a public name on first use (PEP 562)."""
    try:
        module = _PUBLIC[name]
    except KeyError:
        raise AttributeError(f"module 'truing' has no attribute {name!r}") from None
    return getattr(import_module(module), name)
