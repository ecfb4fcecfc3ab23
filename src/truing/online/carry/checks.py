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
from truing.online.facts import RowKey
from truing.plan import Concurrent, Settle, Step


def carry_check(target: Target, constraint: Constraint, key: RowKey | None) -> Part:
    """Carry a CHECK constraint.

    Args:
        target: what is converted.
        constraint: the constraint.
        key: the key by which rows that break it are named; None where the table has none.
    """
    name, old, new = constraint.name, target.old_name(constraint.name), target.new_name(constraint.name)

    def exchange(waiting: str) -> tuple[str, ...]:
        return (
            target.alter(f"DROP CONSTRAINT {ident(name)}"),
            target.alter(f"RENAME CONSTRAINT {ident(waiting)} TO {ident(name)}"),
            *comment_on(f"CONSTRAINT {ident(name)} ON {target.table.sql}", constraint.comment),
        )

    expression = new_expression(target, constraint)
    return Part(
        before=_add(target, target.before(), constraint, (new, "new"), key),
        swap=exchange(new),
        before_unswap=_add(target, target.on_old(), constraint, (old, "old"), key),
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


def _add(
    target: Target, rewriter: Rewriter, constraint: Constraint, called: tuple[str, str], key: RowKey | None
) -> tuple[Step, ...]:
    name, which = called
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
    look = (_look(target, constraint, called, expression, key),) if key is not None else ()
    return (*look, add, validate)


def _look(target: Target, constraint: Constraint, called: tuple[str, str], expression: str, key: RowKey) -> Step:
    """Return the step that looks for rows that break the CHECK, since from its addition on it is enforced on writes."""
    name, which = called
    row = ident(target.table.name)
    keys = ", ".join(f"{row}.{ident(column)}" for column in key.columns)
    wrong = f"SELECT {keys} FROM {target.table.sql} {row} WHERE ({expression}) IS FALSE"
    refusal = (
        f"values of {target.column_sql} as {target.changed.new_type if which == 'new' else target.changed.old_type}"
        f" break CHECK {ident(constraint.name)} ({expression})"
    )
    title = f"Look for rows that break CHECK {constraint.name} on the {which} column"
    return Step(f"look-{name}", title, Settle(wrong, key.columns, key.types, refusal=refusal))
