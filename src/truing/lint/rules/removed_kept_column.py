"""TR102: a revision removes the column that an online type change keeps for its way back."""

from __future__ import annotations

from collections.abc import Iterator

from truing.finding import Severity
from truing.lint.context import Context
from truing.lint.facts import ColumnRemoval
from truing.names import ident, is_derived
from truing.rule import Problem, rule

REMEDY = (
    "Leave it. When nobody will go back any more: op.contract_column_online(table, column), which keeps the few"
    " originals that the new values cannot be turned back into."
)


@rule("TR102", "removed-kept-column", on=ColumnRemoval, severity=Severity.ERROR, since="0.1")
def removed_kept_column(removal: ColumnRemoval, _context: Context) -> Iterator[Problem]:
    """Find revisions that drop or rename a column `__truing_...`.

    ## What it does
    Finds `DROP COLUMN` and `RENAME COLUMN` of a column that truing keeps: `__truing_`, eight hexadecimal digits, and a
    word. `truing audit` refuses such a revision too.

    ## Why is this bad?
    After an online type change the old column stays, under that name, and follows the new one: it holds every original
    value to the byte. Without it a downgrade cannot give them back, and refuses. Its triggers still write to it, so
    that every INSERT into the table fails.

    ## Example
    ```python
    op.drop_column("profiles", "__truing_0a1b2c3d_old")
    ```
    Use instead:
    ```python
    op.contract_column_online("profiles", "code")
    ```
    """
    if is_derived(removal.column):
        yield Problem(
            f"{removal.action} {removal.table}.{ident(removal.column)}, which keeps original values for the way back.",
            remedy=REMEDY,
            evidence=removal.evidence,
        )
