"""TR328: a value for every UPDATE that only Python writes."""

from __future__ import annotations

from collections.abc import Iterator

from truing.finding import Severity
from truing.names import ident
from truing.orm.context import Context
from truing.orm.subjects import (
    MappedColumn,
)
from truing.orm.triggers import may_write
from truing.rule import Problem, rule


@rule("TR328", "python-only-onupdate", on=MappedColumn, severity=Severity.INFO, since="0.1")
def python_only_onupdate(subject: MappedColumn, context: Context) -> Iterator[Problem]:
    """Find values that are kept up to date by Python alone.

    ## What it does
    Finds columns with `onupdate=` in the model that no BEFORE UPDATE trigger writes.

    ## Why is this bad?
    An UPDATE that does not come from this model leaves the column as it was: `updated_at` then says something wrong,
    and caches and syncs that go by it miss the change.

    ## Example
    ```python
    class Profile(Base):
        __tablename__ = "profiles"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        updated_at: Mapped[dt.datetime | None] = mapped_column(DateTime(timezone=True), onupdate=func.now())
    ```
    Use instead:
    ```python
    class Profile(Base):
        __tablename__ = "profiles"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        updated_at: Mapped[dt.datetime | None] = mapped_column(
            DateTime(timezone=True), server_onupdate=FetchedValue()
        )


    op.execute(
        "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN NEW.updated_at := now(); RETURN NEW; END $$"
    )
    op.execute("CREATE TRIGGER touch BEFORE UPDATE ON profiles FOR EACH ROW EXECUTE FUNCTION touch()")
    ```
    """
    column, live, table = subject.column, subject.live, subject.owner.live
    if live is None or table is None or column.onupdate is None or may_write(context, table, live.name, "UPDATE"):
        return
    yield Problem(
        f"{subject.label} is renewed by Python alone; any other UPDATE leaves {subject.path} as it was.",
        remedy=f"a BEFORE UPDATE trigger that sets NEW.{ident(live.name)}, and\n"
        f"{subject.key} = mapped_column(..., server_onupdate=FetchedValue())",
    )
