"""How long does a check of models, migrations and database take, beside ``alembic check``?

Both are run as whole processes on the same project, in turns, and reported as ratios with min / median / max.
``truing drift`` compares models, migrations and the live database, once from nothing (its cache emptied) and once with
unchanged models and migrations. ``alembic check`` compares models with a database that somebody has brought to head
before; what the migrations themselves build it can only say after an ``alembic upgrade`` of an empty database, as a
continuous integration does it, so that is a case of its own.

``python benchmarks/drift.py --tables 1000 --runs 3`` for one size; ``--tables 100 400 1000 4000`` for the growth.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from truing.server import Cluster, Scratch, find

COLUMNS = 14
MODELS = """
from sqlalchemy import *

metadata = MetaData()
for number in range({tables}):
    Table(
        f"table_{{number:05}}", metadata,
        Column("id", BigInteger, Identity(), primary_key=True),
        Column("name", String(50), nullable=False, index=True),
        Column("amount", Numeric(10, 2), server_default="0"),
        Column("made", DateTime(timezone=True), server_default=func.now(), nullable=False),
        Column("doc", JSON),
        Column("parent_id", ForeignKey(f"table_{{max(number - 1, 0):05}}.id"), index=True),
        *(Column(f"value_{{other}}", (Integer, Text, Boolean, Date)[other % 4]) for other in range({others})),
        CheckConstraint("amount >= 0", name=f"positive_{{number:05}}"),
    )
"""
ENV = """
from alembic import context
from sqlalchemy import create_engine, pool
from bench_models import metadata

url = context.config.get_main_option("sqlalchemy.url")
if context.is_offline_mode():
    context.configure(url=url, target_metadata=metadata, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()
else:
    with create_engine(url, poolclass=pool.NullPool).connect() as connection:
        context.configure(connection=connection, target_metadata=metadata)
        with context.begin_transaction():
            context.run_migrations()
"""
REVISION = """
from alembic import op
from bench_models import metadata

revision = "one"
down_revision = None

def upgrade():
    metadata.create_all(op.get_bind())
"""

INI = """[alembic]
script_location = %(here)s/migrations
path_separator = os
sqlalchemy.url = {url}
"""
CHECK, BUILT = "alembic check", "alembic upgrade, then check"
NOTHING, UNCHANGED = "truing drift, from nothing", "truing drift, unchanged"


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tables", type=int, nargs="+", default=[1000])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {find().version}")
    # Its locks are for create_all, which is one transaction.
    settings = {"max_locks_per_transaction": 4096, "fsync": False}
    with Cluster(find(), settings=settings) as cluster:
        cluster.start()
        sizes = [measured(cluster, tables, arguments.runs) for tables in arguments.tables]
    if arguments.json:
        arguments.json.write_text(json.dumps(sizes, indent=1))


def measured(cluster: Cluster, tables: int, runs: int) -> dict[str, list[float]]:
    """Measure one size: case -> seconds of each run."""
    with tempfile.TemporaryDirectory() as name, Scratch(cluster) as scratch:
        folder = Path(name)
        database = scratch.create()
        project(folder, database.url, tables)
        environment = os.environ | {"XDG_CACHE_HOME": str(folder / "cache"), "PYTHONPATH": str(folder)}
        # What is installed was compiled once; without that both would compile their own modules in each run.
        for variable in ("DATABASE_URL", "TRUING_DATABASE_URL", "ALEMBIC_CONFIG", "PYTHONDONTWRITEBYTECODE"):
            environment.pop(variable, None)

        def run(*command: str) -> tuple[float, float]:
            started, worked = time.perf_counter(), processor()
            done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=False)
            took = time.perf_counter() - started, processor() - worked
            if done.returncode:
                # Neither may find a difference: what is measured is a check that passes.
                sys.exit(f"{command} answers {done.returncode}:\n{(done.stdout + done.stderr).decode()[-2000:]}")
            return took

        alembic = (sys.executable, "-m", "alembic")
        truing = (sys.executable, "-m", "truing", "drift", "--output-format", "json")
        run(*alembic, "upgrade", "head")

        def built_and_checked() -> tuple[float, float]:
            with scratch.database() as empty:
                (folder / "empty.ini").write_text(INI.format(url=address(empty.url)))
                ran = [run(*alembic, "-c", "empty.ini", *rest) for rest in (("upgrade", "head"), ("check",))]
            return sum(took for took, _ in ran), sum(worked for _, worked in ran)

        cases: dict[str, Callable[[], tuple[float, float]]] = {
            CHECK: lambda: run(*alembic, "check"),
            BUILT: built_and_checked,
            NOTHING: lambda: (shutil.rmtree(folder / "cache", ignore_errors=True), run(*truing))[1],
            UNCHANGED: lambda: run(*truing),
        }
        seconds: dict[str, list[float]] = {case: [] for case in cases}
        work: dict[str, list[float]] = {case: [] for case in cases}
        for _ in range(runs):
            for case, once in cases.items():
                took, worked = once()
                seconds[case].append(took)
                work[case].append(worked)
    said(tables, seconds, work)
    return {"tables": [float(tables)], **seconds, **{f"{case}, processor": each for case, each in work.items()}}


def processor() -> float:
    """Seconds of processor time of all that was started here and has ended: scratch servers, but not the live one."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def project(folder: Path, url: str, tables: int) -> None:
    """Write the project."""
    (folder / "migrations" / "versions").mkdir(parents=True)
    (folder / "bench_models.py").write_text(MODELS.format(tables=tables, others=COLUMNS - 6))
    (folder / "migrations" / "env.py").write_text(ENV)
    (folder / "migrations" / "versions" / "one.py").write_text(REVISION)
    (folder / "alembic.ini").write_text(INI.format(url=address(url)))


def address(url: str) -> str:
    """Write a URL for SQLAlchemy in an ini file."""
    return url.replace("postgresql://", "postgresql+psycopg://", 1).replace("%", "%%")


def said(tables: int, seconds: dict[str, list[float]], work: dict[str, list[float]]) -> None:
    """Print a size."""
    print(f"\n{tables} tables, {tables * COLUMNS} columns: seconds; of processor time, without the live server's")
    for case, took in seconds.items():
        print(f"  {case:32} {spread(took):24} {spread(work[case])}")
    print("run by run, how many times faster")
    for case, peer in ((UNCHANGED, CHECK), (NOTHING, BUILT), (NOTHING, CHECK)):
        ratios = [one / other for one, other in zip(seconds[peer], seconds[case], strict=True)]
        print(f"  {case:32} {spread(ratios):24} than {peer}")


def spread(values: list[float]) -> str:
    """Write min / median / max."""
    return " / ".join(f"{value:.2f}" for value in (min(values), statistics.median(values), max(values)))


if __name__ == "__main__":
    main()
