"""TR332: a rewrite rule that takes away what an INSERT would return."""

from __future__ import annotations

import re
from collections.abc import Iterator

from truing.finding import Severity
from truing.names import ident
from truing.orm.context import Context
from truing.orm.subjects import (
    MappedClass,
)
from truing.rule import Problem, rule


@rule("TR332", "rule-without-returning", on=MappedClass, severity=Severity.WARNING, since="0.1")
def rule_without_returning(subject: MappedClass, _context: Context) -> Iterator[Problem]:
    """Find rewrite rules that break RETURNING.

    ## What it does
    Finds mapped tables and views with a rule `ON INSERT DO INSTEAD` (or UPDATE, DELETE) that has no RETURNING.

    ## Why is this bad?
    SQLAlchemy fetches keys and defaults with RETURNING. PostgreSQL refuses it on a relation whose rule has none
    (`cannot perform INSERT RETURNING`), and with DO INSTEAD NOTHING the row is silently gone.

    ## Example
    ```python
    class Entry(Base):
        __tablename__ = "entries"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)


    op.execute("CREATE TABLE entries_new (id uuid PRIMARY KEY)")
    op.execute("CREATE RULE moved AS ON INSERT TO entries DO INSTEAD INSERT INTO entries_new VALUES (NEW.id)")
    ```
    Use instead:
    ```python
    class Entry(Base):
        __tablename__ = "entries"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)


    op.execute("CREATE TABLE entries_new (id uuid PRIMARY KEY)")
    op.execute(
        "CREATE RULE moved AS ON INSERT TO entries DO INSTEAD INSERT INTO entries_new VALUES (NEW.id) RETURNING *"
    )
    ```
    """
    relation = subject.owner.live or subject.owner.view
    if relation is None or not subject.has_own_table:
        return
    for each in relation.rules:
        # Only a rule without condition replaces the statement, and with it what it returns.
        events = re.search(r" AS\s+ON (INSERT|UPDATE|DELETE) TO .*? DO INSTEAD", each.definition, re.DOTALL)
        if each.enabled == "disabled" or events is None or _HARMLESS.search(each.definition):
            continue
        yield Problem(
            f"rule {each.name} on {subject.owner.name.sql} replaces the {events[1]} of {subject.name} and returns"
            " nothing: flushing fails, or the row is gone.",
            remedy=f"add RETURNING to the rule, or use a trigger:\nDROP RULE {ident(each.name)} ON"
            f" {subject.owner.name.sql};",
        )


_HARMLESS = re.compile(r"\n\s+WHERE .* DO INSTEAD|\bRETURNING\b", re.DOTALL)
