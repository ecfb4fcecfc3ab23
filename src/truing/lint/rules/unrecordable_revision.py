"""TR003: a revision that cannot be read without running it."""

from __future__ import annotations

from collections.abc import Iterator

from truing.finding import Finding, Severity
from truing.lint.context import Context
from truing.lint.facts import UnrecordableRevision
from truing.rule import rule


@rule("TR003", "unrecordable-revision", on=UnrecordableRevision, severity=Severity.WARNING, since="0.1")
def unrecordable_revision(fact: UnrecordableRevision, _context: Context) -> Iterator[Finding]:
    """Find revisions that no check can look into.

    ## What it does
    Finds revisions whose statements cannot be recorded without a database, because they ask it something first.

    ## Why is this bad?
    What such a revision runs is only known when it runs, so no rule has looked at it.

    ## Example
    ```python
    rows = op.get_bind().execute(sa.text("SELECT count(*) FROM pg_class")).scalar_one()
    op.execute(f"COMMENT ON SCHEMA public IS '{rows + 1} relations'")
    ```
    Use instead:
    ```python
    op.execute("DO $$ BEGIN EXECUTE format('COMMENT ON SCHEMA public IS %L', 'relations'); END $$")
    ```
    """
    yield fact.problem
