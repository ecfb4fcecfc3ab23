"""Write the revision that brings the database to the models, with the online operations where they apply.

In: an Alembic project, its database at head, and what ``alembic revision`` takes. Out: what was written; nothing where
models and database do not differ. Alembic and the person's ``env.py`` do the comparing and the writing.
"""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from truing.errors import ProjectError
from truing.online.autogenerate import online_directives
from truing.online.database import check_target, naming
from truing.revisions.environment import quiet_logging
from truing.revisions.project import Project
from truing.revisions.record import Revision
from truing.revisions.urls import sqlalchemy_url


def write(project: Project, message: str, *, autogenerate: bool = True, **options: Any) -> tuple[Revision, ...]:
    """Write a revision.

    Args:
        project: the Alembic project, which knows the database.
        message: what the revision is about.
        autogenerate: compare models and database; else an empty revision is written.
        options: further arguments of ``alembic.command.revision``: ``head``, ``splice``, ``branch_label``,
            ``version_path``, ``rev_id``, ``depends_on``.

    Returns:
        The revisions with their files; none where there is nothing to write.

    Raises:
        ProjectError: the project cannot be used, the database is not at head, or ``env.py`` goes to another database.
    """
    from alembic import command  # noqa: PLC0415 - loading it is slow

    def online(context: Any, revision: Any, directives: list[Any]) -> None:
        online_directives(context, revision, directives)
        if all(each.upgrade_ops is None or each.upgrade_ops.is_empty() for each in directives):
            directives.clear()

    url = project.url() if autogenerate else project.database_url or project.configured_url() or ""
    config = project.configuration(sqlalchemy_url(url) if url else None)
    hook = online if autogenerate else None
    # Alembic says on standard output that it writes a file; that is for what was asked.
    with project.errors(), naming(url), quiet_logging(), redirect_stdout(sys.stderr):
        if autogenerate:
            check_target(config, url)
        made = command.revision(
            config, message=message, autogenerate=autogenerate, process_revision_directives=hook, **options
        )
        scripts = made if isinstance(made, list) else [made]
        return tuple(
            Revision(revision=script.revision, path=str(Path(script.path).absolute()))
            for script in scripts
            if script is not None
        )


def compares(project: Project) -> None:
    """Make sure that ``env.py`` has models to compare.

    Raises:
        ProjectError: it has none.
    """
    if project.context_options().get("target_metadata") is None:
        raise ProjectError(
            "No models are known: env.py has no target_metadata.",
            hint="Set target_metadata in env.py, or write an empty revision with --empty.",
        )
