"""How does a child process answer, whatever the project's own programs print or ask for meanwhile?"""

from __future__ import annotations

import os
from typing import BinaryIO


def answer_channel() -> BinaryIO:
    """Keep standard output for the answer: what is printed from here on goes to standard error, and nothing is read.

    Returns:
        What standard output was.
    """
    answer = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    with open(os.devnull) as nothing:  # noqa: PTH123 - a descriptor is wanted, not a path
        os.dup2(nothing.fileno(), 0)
    return answer
