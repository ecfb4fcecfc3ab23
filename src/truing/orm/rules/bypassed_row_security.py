"""TR339: policies that do not hold for the application."""

from __future__ import annotations

from collections.abc import Iterator

from truing.finding import Severity
from truing.names import ident
from truing.orm.context import Context
from truing.orm.subjects import (
    MappedTable,
)
from truing.rule import Problem, rule


@rule("TR339", "bypassed-row-security", on=MappedTable, severity=Severity.ERROR, since="0.1")
def bypassed_row_security(subject: MappedTable, context: Context) -> Iterator[Problem]:
    """Find policies that the application's own role is exempt from.

    ## What it does
    Finds tables with row-level security whose owner is the configured `application-role` and that are not FORCEd, and
    application roles with SUPERUSER or BYPASSRLS.

    ## Why is this bad?
    Policies do not hold for a table's owner, nor for such roles: the application sees every tenant's rows, and no test
    that looks at the policies notices.

    ## Example
    ```python
    class Project(Base):
        __tablename__ = "projects"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)


    op.execute("ALTER TABLE projects ENABLE ROW LEVEL SECURITY")
    op.execute("CREATE POLICY own ON projects USING (true)")
    op.execute("ALTER TABLE projects OWNER TO example_app")
    op.execute("GRANT USAGE ON SCHEMA public TO example_app")
    ```
    Use instead:
    ```python
    class Project(Base):
        __tablename__ = "projects"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)


    op.execute("ALTER TABLE projects ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE projects FORCE ROW LEVEL SECURITY")
    op.execute("CREATE POLICY own ON projects USING (true)")
    op.execute("ALTER TABLE projects OWNER TO example_app")
    op.execute("GRANT USAGE ON SCHEMA public TO example_app")
    ```
    """
    live, role = subject.live, context.usage.role
    if live is None or role is None or not live.row_security:
        return
    access = role.access.get(live.name)
    if role.bypasses_row_security:
        yield Problem(
            f"the policies of {subject.label} do not hold for {role.name}: it is SUPERUSER or BYPASSRLS.",
            remedy=f"ALTER ROLE {ident(role.name)} NOSUPERUSER NOBYPASSRLS;",
        )
    elif access is not None and access.owner and not live.force_row_security:
        yield Problem(
            f"the policies of {subject.label} do not hold for {role.name}, which owns the table.",
            remedy=f"ALTER TABLE {live.name.sql} FORCE ROW LEVEL SECURITY;",
        )
