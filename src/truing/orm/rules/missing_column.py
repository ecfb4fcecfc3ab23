"""TR318: a mapped column that the database does not have."""

from __future__ import annotations

from collections.abc import Iterator

from truing.finding import Severity
from truing.orm.context import Context
from truing.orm.subjects import (
    MappedColumn,
)
from truing.rule import Problem, rule


@rule("TR318", "missing-column", on=MappedColumn, severity=Severity.ERROR, since="0.1")
def missing_column(subject: MappedColumn, _context: Context) -> Iterator[Problem]:
    """Find columns of the models that are not in the database.

    ## What it does
    Finds columns of the models that the table or view of the database does not have.

    ## Why is this bad?
    Every query of the class names all its columns, so every query fails (`UndefinedColumn`).

    ## Example
    ```python
    class Profile(Base):
        __tablename__ = "profiles"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        nickname: Mapped[str | None]


    op.execute("ALTER TABLE profiles DROP COLUMN nickname")
    ```
    Use instead:
    ```python
    class Profile(Base):
        __tablename__ = "profiles"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        nickname: Mapped[str | None]


    op.execute("ALTER TABLE profiles ADD COLUMN IF NOT EXISTS nickname varchar")
    ```
    """
    # Of a relation that the snapshot leaves out (a member of an extension, a catalog) no column is known.
    known = subject.owner.live or subject.owner.view
    if subject.live is not None or known is None or subject.column.system or subject.column.name in _SYSTEM:
        return
    yield Problem(
        f"{subject.label} is mapped to {subject.path}, which this database does not have.",
        remedy="truing upgrade, where a revision adds it; else write that revision: truing revision -m"
        f' "add {subject.column.name}"',
    )


_SYSTEM = ("tableoid", "xmin", "cmin", "xmax", "cmax", "ctid")
