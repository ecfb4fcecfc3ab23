"""How are row-level security policies carried? ALTER POLICY replaces their expressions; they are never dropped.

A policy that reads a view which the swap makes anew denies everything until the view is back, all inside the one
transaction: should a statement ever be left out, the table is closed rather than open.
"""

from __future__ import annotations

from truing.catalog.model import Policy
from truing.locks import LockMode, TableLock
from truing.names import QualifiedName, ident
from truing.online.carry import statements
from truing.online.carry.model import Carried, Part
from truing.online.carry.rewrite import Rewriter


def carry_policy(
    rewriter: Rewriter, policy: Policy, table: QualifiedName, *, converted: QualifiedName, reads_view: bool
) -> Part:
    """Carry a policy.

    Args:
        rewriter: knows every column that changes, also of views.
        policy: the policy.
        table: its table.
        converted: the table whose column is converted.
        reads_view: whether it reads a view that is made anew.
    """
    using, check = (new_expression(rewriter, text, table) for text in (policy.using, policy.check))
    closed = (_alter(policy, table, "false", "false"),) if reads_view else ()
    return Part(
        locks=(TableLock(table, LockMode.ACCESS_EXCLUSIVE),) if table != converted else (),
        swap_first=closed,
        swap_last=(_alter(policy, table, using, check),),
        unswap_first=closed,
        unswap_last=(_alter(policy, table, policy.using, policy.check),),
        notes=_slower(policy, table, using, check),
        carried=(
            Carried(
                "policy",
                f"{ident(policy.name)} on {table.sql}",
                "ALTER POLICY in the swap; never absent",
                " ".join(_clauses(policy, using, check)),
            ),
        ),
    )


def new_expression(rewriter: Rewriter, text: str | None, table: QualifiedName) -> str | None:
    """Return a policy's expression as it is after the swap."""
    return None if text is None else statements.expression(rewriter, text, table)


def _alter(policy: Policy, table: QualifiedName, using: str | None, check: str | None) -> str:
    return f"ALTER POLICY {ident(policy.name)} ON {table.sql} {' '.join(_clauses(policy, using, check))}"


def _clauses(policy: Policy, using: str | None, check: str | None) -> list[str]:
    clauses = [f"USING ({using})"] if policy.using is not None else []
    return [*clauses, f"WITH CHECK ({check})"] if policy.check is not None else clauses


def _slower(policy: Policy, table: QualifiedName, using: str | None, check: str | None) -> tuple[str, ...]:
    """Say so when a policy goes on comparing values of the old type, which an index on the new one cannot serve."""
    if (using, check) == (policy.using, policy.check):
        return ()
    said = (
        f"policy {ident(policy.name)} on {table.sql} goes on comparing values of the old type, so that it means the"
        " same; an index on the converted column does not serve that. Let it compare values of the new type in a"
        " revision of its own once every caller passes them."
    )
    return (said,)
