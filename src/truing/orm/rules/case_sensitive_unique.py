"""TR349: a value that is looked up without regard to case and unique with it."""

from __future__ import annotations

from collections.abc import Iterator

from truing.finding import Severity
from truing.names import ident
from truing.orm.context import Context
from truing.orm.subjects import (
    MappedTable,
)
from truing.rule import Problem, rule


@rule("TR349", "case-sensitive-unique", on=MappedTable, severity=Severity.WARNING, since="0.1")
def case_sensitive_unique(subject: MappedTable, _context: Context) -> Iterator[Problem]:
    """Find columns that are looked up by lower() and unique only as written.

    ## What it does
    Finds columns with a plain unique key beside an index on `lower(column)` (or `upper`) that is not unique.

    ## Why is this bad?
    The index shows that people are looked up without regard to case. `Ann@x.org` and `ann@x.org` are both let in, and
    the lookup finds two rows where the code expects one.

    ## Example
    ```python
    class Profile(Base):
        __tablename__ = "profiles"
        __table_args__ = (Index("profiles_lower_email", text("lower(email)")),)

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        email: Mapped[str] = mapped_column(Text, unique=True)
    ```
    Use instead:
    ```python
    class Profile(Base):
        __tablename__ = "profiles"
        __table_args__ = (Index("profiles_lower_email", text("lower(email)"), unique=True),)

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        email: Mapped[str] = mapped_column(Text)
    ```
    """
    live = subject.live
    if live is None:
        return
    single = {each.columns[0] for each in live.indexes if each.unique and len(each.columns) == 1 and not each.primary}
    folded = {each.elements[0]: each for each in live.indexes if len(each.elements) == 1 and each.columns == (None,)}
    for name in sorted(filter(None, single)):
        column = ident(name)
        texts = [f"{function}({to})" for function in ("lower", "upper") for to in (column, f"({column})::text")]
        found = [folded[text] for text in texts if text in folded]
        if found and not any(each.unique for each in found):
            yield Problem(
                f"{subject.column_name(name)} is unique as written, but {found[0].name} looks it up by"
                f" {found[0].elements[0]}: values that differ in case only are both let in.",
                subject=f"{subject.label}.{found[0].name}",
                remedy=f"CREATE UNIQUE INDEX CONCURRENTLY ON {live.name.sql} ({found[0].elements[0]});",
            )
