"""How are CHECK constraints carried? Twins are added NOT VALID and validated beforehand; the swap drops and renames.

The old CHECK does not stay on the old column: it sees values there that the application no longer writes itself.
"""

from __future__ import annotations

from truing.catalog.model import Constraint
from truing.names import ident
from truing.online.carry import statements
from truing.online.carry.model import Carried, Part
from truing.online.carry.rewrite import Rewriter
from truing.online.carry.target import Target, comment_on
from truing.plan import Concurrent, Step


def carry_check(target: Target, constraint: Constraint) -> Part:
    """Carry a CHECK constraint."""
    name, old, new = constraint.name, target.old_name(constraint.name), target.new_name(constraint.name)

    def exchange(waiting: str) -> tuple[str, ...]:
        return (
            target.alter(f"DROP CONSTRAINT {ident(name)}"),
            target.alter(f"RENAME CONSTRAINT {ident(waiting)} TO {ident(name)}"),
            *comment_on(f"CONSTRAINT {ident(name)} ON {target.table.sql}", constraint.comment),
        )

    expression = new_expression(target, constraint)
    return Part(
        before=_add(target, target.before(), constraint, new, "new"),
        swap=exchange(new),
        before_unswap=_add(target, target.on_old(), constraint, old, "old"),
        unswap=exchange(old),
        after_unswap=(
            target.locked(
                f"drop-check-{new}",
                f"Drop {name} of the new column",
                target.alter(f"DROP CONSTRAINT IF EXISTS {ident(new)}"),
            ),
        ),
        carried=(
            Carried(
                "check constraint",
                f"{ident(name)} on {target.table.sql}",
                "a twin is added and validated beforehand; the swap exchanges them",
                f"CHECK ({expression})",
            ),
        ),
    )


def new_expression(target: Target, constraint: Constraint) -> str:
    """Return the condition as it is after the swap."""
    return statements.expression(target.after(), constraint.expression or "true", target.table)


def _add(target: Target, rewriter: Rewriter, constraint: Constraint, name: str, which: str) -> tuple[Step, ...]:
    expression = statements.expression(rewriter, constraint.expression or "true", target.table)
    no_inherit = " NO INHERIT" if constraint.no_inherit else ""
    # One that is not enforced is not valid either, and cannot be validated.
    state = " NOT VALID" if constraint.enforced else " NOT ENFORCED"
    add = target.locked(
        f"add-{name}",
        f"Add CHECK {constraint.name} on the {which} column, not yet valid",
        target.alter(f"ADD CONSTRAINT {ident(name)} CHECK ({expression}){no_inherit}{state}"),
        probe=target.constraint_exists(name),
    )
    if not (constraint.validated and constraint.enforced):
        return (add,)
    validate = Step(
        f"validate-{name}",
        f"Validate CHECK {constraint.name} on the {which} column",
        Concurrent(target.alter(f"VALIDATE CONSTRAINT {ident(name)}")),
        target.constraint_exists(name, "convalidated"),
    )
    return (add, validate)
