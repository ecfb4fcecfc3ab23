"""TR340: something that the application may not do."""

from __future__ import annotations

from collections.abc import Iterator

from truing.finding import Severity
from truing.names import ident
from truing.orm.context import Context
from truing.orm.subjects import (
    MappedTable,
)
from truing.rule import Problem, rule


@rule(
    "TR340",
    "missing-privilege",
    on=MappedTable,
    severity=Severity.ERROR,
    since="0.1",
    varies="warning where it may read, but not write",
)
def missing_privilege(subject: MappedTable, context: Context) -> Iterator[Problem]:
    """Find privileges that the application lacks.

    ## What it does
    Finds mapped tables that the configured `application-role` may not read (`error`) or write (`warning`: it may be
    meant), schemas that it may not use, and sequences that it may not advance.

    ## Why is this bad?
    The first query of the class fails in production (`permission denied`), where the tests ran as the owner.

    ## Example
    ```python
    class Project(Base):
        __tablename__ = "projects"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)


    op.execute("GRANT USAGE ON SCHEMA public TO example_app")
    ```
    Use instead:
    ```python
    class Project(Base):
        __tablename__ = "projects"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)


    op.execute("GRANT USAGE ON SCHEMA public TO example_app")
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON projects TO example_app")
    ```
    """
    role = context.usage.role
    access = role.access.get(subject.name) if role else None
    if role is None or access is None or not (subject.mappers or subject.secondary_of):
        return
    to = ident(role.name)
    # Nobody writes to what cannot be written.
    missing = [each for each in access.missing if each == "SELECT" or subject.writable]
    if access.hidden:
        yield Problem(
            f"{role.name} may not use the schema of {subject.label}: every query fails.",
            remedy=f"GRANT USAGE ON SCHEMA {ident(subject.name.schema)} TO {to};",
        )
    if missing:
        yield Problem(
            f"{role.name} may not {', '.join(missing)} on {subject.label}.",
            remedy=f"GRANT {', '.join(missing)} ON {subject.name.sql} TO {to};",
            severity=None if "SELECT" in missing else Severity.WARNING,
        )
    for _, sequence in context.counters.get(subject.name, ()):
        held = role.access.get(sequence.name)
        # An identity's sequence is the table's own and needs no privilege.
        if (sequence.owned_by and sequence.owned_by.identity) or "INSERT" in access.missing:
            continue
        if held is not None and held.unusable:
            yield Problem(
                f"{role.name} may INSERT into {subject.label}, but not advance {sequence.name.sql}: the INSERT fails.",
                remedy=f"GRANT USAGE ON SEQUENCE {sequence.name.sql} TO {to};",
            )
