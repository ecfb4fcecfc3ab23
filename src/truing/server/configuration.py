"""How are settings spelled for a server? As a file that is read after the one that initdb made."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

Setting = str | int | float | bool
"""The value of a server setting."""

# A crash of the machine may cost these clusters their data, a crash of the server may not: commits are still written
# to the operating system, so that `stop("immediate")` and recovery behave as in production.
NOT_DURABLE: Final[dict[str, Setting]] = {"fsync": False, "full_page_writes": False}


def written(settings: Mapping[str, Setting], first: Path) -> str:
    """Write a configuration file.

    Args:
        settings: name -> value.
        first: the file whose settings these go before.
    """
    lines = [f"include {spelled(str(first))}", *(f"{name} = {spelled(value)}" for name, value in settings.items())]
    return "\n".join(lines) + "\n"


def spelled(value: Setting) -> str:
    """Spell a value for postgresql.conf (documentation: "Parameter Names and Values")."""
    text = ("on" if value else "off") if isinstance(value, bool) else str(value)
    return "'" + text.replace("\\", "\\\\").replace("'", "''").replace("\n", "\\n") + "'"
