"""TR002: a suppression comment that allows nothing, for want of a reason or a name."""

from __future__ import annotations

from collections.abc import Iterator

from truing.finding import Severity
from truing.lint.context import Context
from truing.lint.facts import UnusableSuppression
from truing.rule import rule


@rule("TR002", "unusable-suppression", on=UnusableSuppression, severity=Severity.ERROR, since="0.1")
def unusable_suppression(fact: UnusableSuppression, _context: Context) -> Iterator[str]:
    """Find suppressions that cannot be used.

    ## What it does
    Finds comments that begin with `truing:` but name no rule or give no reason.

    ## Why is this bad?
    Such a comment allows nothing. The reason is what the next person needs to decide whether it still holds.

    ## Example
    ```python
    # truing: allow forbidden-table-reference
    op.execute("CREATE TABLE badges (id bigint PRIMARY KEY)")
    ```
    Use instead:
    ```python
    op.execute("CREATE TABLE badges (id bigint PRIMARY KEY)")
    ```
    """
    yield f"this suppression allows nothing; {fact.problem}"
