"""Small Alembic projects for tests: written into a folder, ready to be recorded or run."""

from __future__ import annotations

import textwrap
from pathlib import Path

ENV = """
from alembic import context
from sqlalchemy import create_engine, pool
{models}
def run(**options):
    context.configure(target_metadata={metadata}, include_schemas=True, {options} **options)
    with context.begin_transaction():
        context.run_migrations()

url = context.config.get_main_option("sqlalchemy.url")
if context.is_offline_mode():
    run(url=url, literal_binds=True)
else:
    with create_engine(url, poolclass=pool.NullPool).connect() as connection:
        run(connection=connection)
"""

REVISION = '''"""{revision}"""
import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = {down!r}


def upgrade():
{body}


def downgrade():
    pass
'''


def make_project(
    folder: Path,
    revisions: dict[str, str] | None = None,
    *,
    url: str = "",
    models: str = "",
    metadata: str = "None",
    options: str = "",
) -> Path:
    """Write a project; `revisions` are identifiers with the body of `upgrade()`, each after the one before.

    Returns its alembic.ini.
    """
    versions = folder / "migrations" / "versions"
    versions.mkdir(parents=True)
    env = ENV.format(models=textwrap.dedent(models), metadata=metadata, options=options)
    versions.parent.joinpath("env.py").write_text(env)
    versions.parent.joinpath("script.py.mako").write_text("")
    down = None
    for revision, body in (revisions or {}).items():
        text = REVISION.format(
            revision=revision, down=down, body=textwrap.indent(textwrap.dedent(body) or "pass", "    ")
        )
        versions.joinpath(f"{revision}.py").write_text(text)
        down = revision
    ini = folder / "alembic.ini"
    escaped = url.replace("%", "%%")
    ini.write_text(
        f"[alembic]\nscript_location = %(here)s/migrations\npath_separator = os\nsqlalchemy.url = {escaped}\n"
    )
    return ini
