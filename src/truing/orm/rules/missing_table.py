"""TR317: a mapped table that the database does not have."""

from __future__ import annotations

from collections.abc import Iterator

from truing.finding import Severity
from truing.orm.context import Context
from truing.orm.subjects import (
    MappedTable,
)
from truing.rule import Problem, rule


@rule("TR317", "missing-table", on=MappedTable, severity=Severity.ERROR, since="0.1")
def missing_table(subject: MappedTable, context: Context) -> Iterator[Problem]:
    """Find tables of the models that are not in the database.

    ## What it does
    Finds tables of the models that the database has neither as a table nor as a view, where the search path of the
    connection looks.

    ## Why is this bad?
    Every query of the class fails (`UndefinedTable`).

    ## Example
    ```python
    class Profile(Base):
        __tablename__ = "profiles"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)


    op.execute("DROP TABLE profiles")
    ```
    Use instead:
    ```python
    class Profile(Base):
        __tablename__ = "profiles"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    ```
    """
    if subject.exists:
        return
    elsewhere = sorted(each.sql for each in context.usage.relations if each.name == subject.name.name)
    hint = f" There is {', '.join(elsewhere)}: is the search path of this connection right?" if elsewhere else ""
    names = subject.class_names
    yield Problem(
        f"{names + ' is mapped to' if names else 'the models have'} {subject.name.sql}, which this database does not"
        f" have.{hint}",
        remedy='truing upgrade, where a revision makes it; else write that revision: truing revision -m "..."',
    )
