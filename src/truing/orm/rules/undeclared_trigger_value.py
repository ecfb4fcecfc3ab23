"""TR331: a value that a trigger changes behind the session's back."""

from __future__ import annotations

from collections.abc import Iterator

from truing.finding import Severity
from truing.orm.context import Context
from truing.orm.subjects import (
    MappedColumn,
)
from truing.orm.triggers import written
from truing.rule import Problem, rule


@rule("TR331", "undeclared-trigger-value", on=MappedColumn, severity=Severity.WARNING, since="0.1")
def undeclared_trigger_value(subject: MappedColumn, context: Context) -> Iterator[Problem]:
    """Find columns that a trigger writes and the model does not say so.

    ## What it does
    Finds columns that a BEFORE trigger assigns (`NEW.column := ...`), where the model has no `server_onupdate`
    (for UPDATE) or no `server_default` (for INSERT), nor an `onupdate` or `default` that is SQL: what comes of that is
    fetched as well.

    ## Why is this bad?
    After a flush the session believes in the value that it sent. Until the object is refreshed or the transaction ends,
    the attribute is stale, and an object that is detached stays so.

    ## Example
    ```python
    class Profile(Base):
        __tablename__ = "profiles"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        updated_at: Mapped[dt.datetime | None] = mapped_column(DateTime(timezone=True))


    op.execute(
        "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN NEW.updated_at := now(); RETURN NEW; END $$"
    )
    op.execute("CREATE TRIGGER touch BEFORE UPDATE ON profiles FOR EACH ROW EXECUTE FUNCTION touch()")
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

    ## When it is quiet
    Where the assignment is in a branch for another event (`IF TG_OP = 'INSERT'`), puts back what was there
    (`NEW.x := OLD.x`), or fills in what is missing (`COALESCE(NEW.x, ...)`, `IF NEW.x IS NULL`) while the model always
    gives a value.
    """
    column, live, table = subject.column, subject.live, subject.owner.live
    if live is None or table is None or live.generated:
        return
    # What is given as SQL is fetched after the statement, as what the database gives by itself.
    expressions = [
        each if each is not None and each.is_clause_element else None for each in (column.default, column.onupdate)
    ]
    declared = {"INSERT": column.server_default or expressions[0], "UPDATE": column.server_onupdate or expressions[1]}
    told = {"INSERT": "server_default=FetchedValue()", "UPDATE": "server_onupdate=FetchedValue()"}
    for event in ("INSERT", "UPDATE"):
        sent = column.default is not None or (event == "UPDATE" and not column.nullable)
        trigger = written(context, table, event, (live.name,) if sent else ()).get(live.name)
        if trigger is None or declared[event] is not None:
            continue
        yield Problem(
            f"{subject.label} is stale after an {event}: trigger {trigger.name} writes {subject.path}, and the session"
            " does not know.",
            remedy=f"{subject.key} = mapped_column(..., {told[event]})",
        )
        return
