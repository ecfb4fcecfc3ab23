"""Which characters can be seen, and how is one written that cannot? One character goes in at a time.

Names, values and messages come from databases: terminal escapes, carriage returns that overwrite a line, marks that
turn the direction of writing. Whoever shows them, on a terminal or on a page, asks here.
"""

from __future__ import annotations

import unicodedata
from typing import Final

_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"})
"""Categories without a shape of their own. An NBSP is shown as ``\\xa0``: that is how a person finds it."""


def is_seen(character: str) -> bool:
    """Tell whether a character has a shape of its own; a blank has none, and stays a blank."""
    return unicodedata.category(character) not in _UNSEEN


def spelled(character: str) -> str:
    """Show a character: itself, or as a string of Python would have it, so that it can be pasted into one."""
    if character == " " or is_seen(character):
        return character
    return character.encode("unicode_escape").decode("ascii")
