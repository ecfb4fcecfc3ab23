"""TR001: a suppression comment that nothing needs."""

from __future__ import annotations

from collections.abc import Iterator

from truing.finding import Severity
from truing.lint.context import Context
from truing.lint.facts import UnusedSuppression
from truing.rule import rule


@rule("TR001", "unused-suppression", on=UnusedSuppression, severity=Severity.WARNING, since="0.1")
def unused_suppression(fact: UnusedSuppression, _context: Context) -> Iterator[str]:
    """Find suppressions of findings that are not there.

    ## What it does
    Finds comments `truing: allow NAME -- reason`, and entries of `[[tool.truing.allow]]`, that suppress nothing.

    ## Why is this bad?
    A suppression that has outlived its reason, or whose name is misspelt, hides the next finding of that rule.

    ## Example
    ```python
    # truing: allow forbidden-table-reference -- the owner of auth agreed
    op.execute("CREATE TABLE badges (id bigint PRIMARY KEY)")
    ```
    Use instead:
    ```python
    op.execute("CREATE TABLE badges (id bigint PRIMARY KEY)")
    ```
    """
    if fact.known:
        yield f"nothing here needs {fact.rule} to be allowed: remove the suppression"
    else:
        yield f"there is no rule {fact.rule} to allow. {fact.advice}".strip()
