"""TR357: a constraint that says nothing about the rows that are there."""

from __future__ import annotations

from collections.abc import Iterator

from truing.finding import Severity
from truing.names import ident
from truing.orm.context import Context
from truing.orm.subjects import (
    MappedTable,
)
from truing.rule import Problem, rule


@rule("TR357", "unvalidated-constraint", on=MappedTable, severity=Severity.WARNING, since="0.1")
def unvalidated_constraint(subject: MappedTable, _context: Context) -> Iterator[Problem]:
    """Find constraints that were never validated, or are not enforced.

    ## What it does
    Finds constraints that are NOT VALID, NOT ENFORCED, or whose triggers somebody disabled.

    ## Why is this bad?
    Rows that were there before may break it (NOT VALID), and any row may (NOT ENFORCED, DISABLE TRIGGER ALL). The
    planner does not use it either.

    ## Example
    ```python
    class Account(Base):
        __tablename__ = "accounts"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        balance: Mapped[int]


    op.execute("ALTER TABLE accounts ADD CONSTRAINT solvent CHECK (balance >= 0) NOT VALID")
    ```
    Use instead:
    ```python
    class Account(Base):
        __tablename__ = "accounts"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        balance: Mapped[int]


    op.execute("ALTER TABLE accounts ADD CONSTRAINT solvent CHECK (balance >= 0) NOT VALID")
    op.execute("ALTER TABLE accounts VALIDATE CONSTRAINT solvent")
    ```
    """
    live = subject.live
    for each in (*live.constraints, *live.not_nulls) if live else ():
        if live is None or each.inherited:
            continue
        name = ident(each.name)
        if not each.enforced:
            told, remedy = "is not enforced: any row may break it", f"ALTER CONSTRAINT {name} ENFORCED"
        elif each.triggers_disabled:
            told, remedy = "is switched off (DISABLE TRIGGER): any row may break it", "ENABLE TRIGGER ALL"
        elif not each.validated:
            told, remedy = "was never validated: rows may break it", f"VALIDATE CONSTRAINT {name}"
        else:
            continue
        yield Problem(
            f"{each.name} of {subject.label} {told}.",
            subject=f"{subject.label}.{each.name}",
            remedy=f"ALTER TABLE {live.name.sql} {remedy};",
        )
