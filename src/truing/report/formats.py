"""In which forms can a document be written? The one place where a reporter is registered; loading it loads none.

A new form is one module in this package and one line here: every command then has it as ``--output-format``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, Final, Literal, TypeAlias, get_args

import msgspec

from truing.rule import Rule

Format: TypeAlias = Literal["full", "concise", "json", "sarif", "github", "gitlab", "junit", "markdown"]
FORMATS: Final[tuple[Format, ...]] = get_args(Format)

Rules: TypeAlias = Callable[[], Mapping[str, Rule]]
"""The rules there are, by name; gathering them loads every slice, so only who needs them asks."""


class Reporter(msgspec.Struct, frozen=True):
    """Where a form is made.

    Attributes:
        module: within this package.
        function: what makes it.
        takes: ``console`` (document and a rich console, which it prints on), ``document`` (it returns the text) or
            ``rules`` (document and rules, likewise).
    """

    module: str
    function: str
    takes: Literal["console", "document", "rules"]

    def load(self) -> Callable[..., Any]:
        """Import the function."""
        loaded: Callable[..., Any] = getattr(import_module(f"truing.report.{self.module}"), self.function)
        return loaded


REPORTERS: Final[Mapping[Format, Reporter]] = {
    "full": Reporter("terminal", "render_full", "console"),
    "concise": Reporter("terminal", "render_concise", "console"),
    "json": Reporter("json", "encode", "document"),
    "sarif": Reporter("sarif", "encode", "rules"),
    "github": Reporter("github", "encode", "document"),
    "gitlab": Reporter("gitlab", "encode", "document"),
    "junit": Reporter("junit", "encode", "document"),
    "markdown": Reporter("markdown", "encode", "document"),
}
