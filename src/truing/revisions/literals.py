"""On which line of a source file does this line of a string stand? Python source goes in; line numbers come out."""

from __future__ import annotations

import ast
from pathlib import Path


class Literals:
    """The string literals of a Python file that keep their lines.

    Strings put together from several literals, with escaped line breaks or with values in them have no line of their
    own for each line of text.
    """

    def __init__(self, file: str) -> None:
        self._lines: dict[str, list[int]] = {}
        try:
            tree = ast.parse(Path(file).read_bytes())
        except (OSError, SyntaxError, ValueError):
            return
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                spread = (node.end_lineno or node.lineno) - node.lineno
                if spread == node.value.count("\n"):
                    self._lines.setdefault(node.value, []).append(node.lineno)

    def line(self, text: str, called: int, within: int) -> int:
        """Find the source line of a line of a text.

        Args:
            text: the text that was used; blanks around it do not matter.
            called: the line of the call that used it.
            within: the line inside ``text``, from 1, after blanks at its beginning were cut off.

        Returns:
            The line of the literal nearest to the call, else ``called``.
        """
        places = [
            (first + value[: len(value) - len(value.lstrip())].count("\n") + within - 1)
            for value, lines in self._lines.items()
            if value.strip().rstrip(";") == text.strip().rstrip(";") and text.strip()
            for first in lines
        ]
        return min(places, key=lambda line: abs(line - called), default=called)
