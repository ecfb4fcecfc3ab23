"""An Alembic project in a folder, audited and then really run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from alembic import command

from tests.project import make_project
from truing.audit.model import Audit, AuditSettings, ClassCount
from truing.audit.run import Reading, audit, pending_revisions
from truing.finding import Severity
from truing.revisions.project import Project, discover


class Audited:
    """A database with a project whose revisions are pending."""

    def __init__(self, database: Any, folder: Path, **revisions: str) -> None:
        self.database = database
        url = database.url.replace("postgresql://", "postgresql+psycopg://")
        self.ini = make_project(folder, revisions, url=url, options="transaction_per_migration=True,")
        self.project: Project = discover(folder)

    def audit(
        self,
        url: str = "",
        on_table: Callable[[Reading], None] = lambda _: None,
        connection: Any = None,
        **settings: Any,
    ) -> Audit:
        import psycopg  # noqa: PLC0415

        from truing.revisions.urls import conninfo  # noqa: PLC0415

        connection = connection or psycopg.connect(conninfo(url or self.database.url), autocommit=True)
        with connection:
            connection.execute("SET default_transaction_read_only = on")
            revisions = pending_revisions(self.project, connection, default_schema=settings.get("default_schema"))
            return audit(connection, revisions, settings=AuditSettings(**settings), on_table=on_table)

    def upgrade(self) -> None:
        """Run the revisions as a person would, with plain Alembic."""
        with self.project.at_root():
            command.upgrade(self.project.configuration(), "heads")


def counts(result: Audit) -> dict[str, int]:
    """Rows by class of all changes, classes without rows and clean rows left out."""
    found: dict[str, int] = {}
    for each in classes(result):
        if each.count and each.row_class != "clean":
            found[each.row_class] = found.get(each.row_class, 0) + each.count
    return found


def classes(result: Audit) -> list[ClassCount]:
    return [each for table in result.tables for each in table.classes]


def rules(result: Audit, severity: Severity) -> set[str]:
    return {each.rule for each in result.findings if each.severity is severity}
