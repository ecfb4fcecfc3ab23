"""TR365: a view whose trigger keeps the new row's key to itself."""

from __future__ import annotations

from collections.abc import Iterator

from truing.finding import Severity
from truing.orm.context import Context
from truing.orm.subjects import MappedClass
from truing.orm.triggers import instead
from truing.rule import Problem, rule


@rule("TR365", "instead-trigger-without-key", on=MappedClass, severity=Severity.ERROR, since="0.1")
def instead_trigger_without_key(subject: MappedClass, context: Context) -> Iterator[Problem]:
    """Find views whose INSTEAD OF trigger does not give back the key.

    ## What it does
    Finds classes mapped to a view with an `INSTEAD OF INSERT` trigger, whose key the database makes up (an
    autoincrementing key, a `server_default`), where the trigger assigns no `NEW.key`.

    ## Why is this bad?
    `INSERT ... RETURNING` on a view returns the trigger's `NEW`. Where its key is still NULL, every flush of a new
    object fails (`FlushError: Instance has a NULL identity key`), after the row was written.

    ## Example
    ```python
    class Person(Base):
        __tablename__ = "people"

        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]


    op.execute("DROP TABLE people")
    op.execute("CREATE TABLE parties (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text)")
    op.execute("CREATE VIEW people AS SELECT id, name FROM parties")
    op.execute('''CREATE FUNCTION add_person() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO parties (name) VALUES (NEW.name);
        RETURN NEW;
    END $$''')
    op.execute(
        "CREATE TRIGGER added INSTEAD OF INSERT ON people FOR EACH ROW EXECUTE FUNCTION add_person()"
    )
    ```
    Use instead:
    ```python
    class Person(Base):
        __tablename__ = "people"

        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]


    op.execute("DROP TABLE people")
    op.execute("CREATE TABLE parties (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text)")
    op.execute("CREATE VIEW people AS SELECT id, name FROM parties")
    op.execute('''CREATE FUNCTION add_person() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO parties (name) VALUES (NEW.name) RETURNING id INTO NEW.id;
        RETURN NEW;
    END $$''')
    op.execute(
        "CREATE TRIGGER added INSTEAD OF INSERT ON people FOR EACH ROW EXECUTE FUNCTION add_person()"
    )
    ```
    """
    view, table = subject.owner.view, subject.owner.table
    made = [
        column
        for column in table.primary_key
        if column.default is None and (column.server_default is not None or column is table.autoincrement_column)
    ]
    if view is None or not subject.has_own_table:
        return
    for trigger, written in instead(context, view):
        kept = [str(column.name) for column in made if written is not None and column.name not in written]
        if kept:
            yield Problem(
                f"no {subject.name} can be flushed: {trigger.function.sql} of trigger {trigger.name} on {view.name.sql}"
                f" does not set NEW.{kept[0]}, and SQLAlchemy gets NULL for the key.",
                remedy=f"INSERT ... RETURNING {kept[0]} INTO NEW.{kept[0]}; in {trigger.function.sql}()",
            )
