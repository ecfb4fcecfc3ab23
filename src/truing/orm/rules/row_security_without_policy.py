"""TR338: row-level security that lets nobody see anything."""

from __future__ import annotations

from collections.abc import Iterator

from truing.catalog.parts import PUBLIC, Policy
from truing.finding import Severity
from truing.orm.context import Context
from truing.orm.subjects import (
    MappedTable,
)
from truing.rule import Problem, rule


@rule("TR338", "row-security-without-policy", on=MappedTable, severity=Severity.WARNING, since="0.1")
def row_security_without_policy(subject: MappedTable, _context: Context) -> Iterator[Problem]:
    """Find row-level security without a policy.

    ## What it does
    Finds mapped tables with row-level security enabled and no (permissive) policy. A restrictive one that is `false`
    says that nobody is meant to see a row, and is no finding.

    ## Why is this bad?
    Without a policy nobody but the owner sees or writes a row: queries give nothing, without an error.

    ## Example
    ```python
    class Project(Base):
        __tablename__ = "projects"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)


    op.execute("ALTER TABLE projects ENABLE ROW LEVEL SECURITY")
    ```
    Use instead:
    ```python
    class Project(Base):
        __tablename__ = "projects"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)


    op.execute("ALTER TABLE projects ENABLE ROW LEVEL SECURITY")
    op.execute("CREATE POLICY everybody ON projects USING (true)")
    ```
    """
    live = subject.live
    if live is not None and live.row_security and not any(each.permissive or _nobody(each) for each in live.policies):
        yield Problem(
            f"{subject.label} has row-level security and no policy: nobody but its owner sees a row, without an error.",
            remedy=f"CREATE POLICY ... ON {live.name.sql} ...;",
        )


def _nobody(policy: Policy) -> bool:
    return policy.command == "ALL" and policy.using == "false" and policy.roles == (PUBLIC,)
