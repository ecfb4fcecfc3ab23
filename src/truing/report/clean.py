"""How can text from a database be shown without harm?

Names, values and server messages are hostile: terminal escapes, carriage returns that overwrite a line, bidirectional
marks that reorder it, a megabyte in one value. Text comes in; what goes out has one meaning on every terminal. Rich
markup needs no escaping, since reporters only ever build :class:`rich.text.Text`, which does not read markup.
"""

from __future__ import annotations

import re
from typing import Final

from truing.visible import spelled

LONGEST_CELL: Final = 120
LONGEST_TEXT: Final = 4_000

_LOG_COMMAND: Final = re.compile(
    r":(?=:\s*(?:add-mask|add-matcher|add-path|debug|echo|endgroup|error|group|notice|remove-matcher|save-state|set-env"
    r"|set-output|stop-commands|warning)\b[^\n]*?::)|#(?=#\w*\[)",
    re.IGNORECASE,
)
"""What the log of a CI job would obey: ``::error::`` of GitHub, ``##vso[`` of Azure, ``##teamcity[``. Only the first
character is spelled out, and only of commands that there are: ``::text`` is a cast."""


def clean(text: str, *, multiline: bool = False, longest: int = LONGEST_TEXT) -> str:
    r"""Make text from outside harmless and visible.

    Args:
        text: anything.
        multiline: keep line breaks (statements, remedies); else they are shown as ``\n``.
        longest: characters to keep; the rest is counted.

    Returns:
        Text of printable characters and plain blanks.
    """
    kept = text if len(text) <= longest else text[:longest]
    shown = "".join(_visible(character, multiline=multiline) for character in kept)
    shown = _LOG_COMMAND.sub(lambda found: f"\\x{ord(found[0]):02x}", shown)
    return shown if kept is text else f"{shown}... ({len(text):,} characters)"


def _visible(character: str, *, multiline: bool) -> str:
    if character == "\n" and multiline:
        return character
    if character == "\t" and multiline:
        return "    "
    return spelled(character)
