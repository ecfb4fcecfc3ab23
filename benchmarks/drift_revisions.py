"""How long does ``truing drift`` take after a revision was added or written anew, beside all of them run again?

A project whose revisions each make a table with an index or add a column, and whose models agree with them; whole
processes of ``truing drift --models --migrations``, reported as min / median / max. What is kept of whole results is
removed before each, so that models and revisions are built; what is kept of the older revisions stays where it is said.

``python benchmarks/drift_revisions.py --revisions 300 --runs 5``
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
from pathlib import Path

from drift import ENV

from truing.server import find

MODELS = """
from sqlalchemy import *

metadata = MetaData()
for number in range(0, {revisions}, 2):
    Table(
        f"table_{{number}}", metadata,
        Column("id", BigInteger, primary_key=True),
        Column("name", String(50), nullable=False, index=True),
        Column("made", DateTime(timezone=True), server_default=func.now()),
        *((Column("added", Integer),) if number + 1 < {revisions} else ()),
    )
"""
REVISION = """
import sqlalchemy as sa
from alembic import op

revision = "r{number}"
down_revision = {down!r}

def upgrade():
    {body}
"""
TABLE = """op.create_table(
        "table_{number}",
        sa.Column("id", sa.BigInteger, primary_key=True),
        sa.Column("name", sa.String(50), nullable=False),
        sa.Column("made", sa.DateTime(timezone=True), server_default=sa.func.now()),
    )
    op.create_index("ix_table_{number}_name", "table_{number}", ["name"])"""
COLUMN = 'op.add_column("table_{number}", sa.Column("added", sa.Integer))'


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--revisions", type=int, default=300)
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {find().version}")
    with tempfile.TemporaryDirectory() as name:
        took = measured(Path(name), arguments.revisions, arguments.runs)
    print(f"\n{arguments.revisions} revisions: seconds, and seconds of processor time; min / median / max")
    for case, runs in took.items():
        seconds, work = zip(*runs, strict=True)
        print(f"  {case:48} {spread(seconds)}   {spread(work)}")


def measured(folder: Path, revisions: int, runs: int) -> dict[str, list[tuple[float, float]]]:
    """Measure: case -> seconds and processor time of each run."""
    (folder / "migrations" / "versions").mkdir(parents=True)
    (folder / "migrations" / "env.py").write_text(ENV)
    (folder / "alembic.ini").write_text("[alembic]\nscript_location = %(here)s/migrations\npath_separator = os\n")
    for number in range(revisions):
        write(folder, number)
    took: dict[str, list[tuple[float, float]]] = {}

    def once(case: str, *, kept: bool, expected: str) -> None:
        forget(folder, kept=kept)
        known, *seconds = checked(folder)
        if not known.startswith(expected):
            sys.exit(f"{case}: from the cache is {known}, and not {expected}")
        took.setdefault(case, []).append((seconds[0], seconds[1]))

    for _ in range(runs):
        models(folder, revisions)
        once("all of them, nothing kept", kept=False, expected="nothing")
        write(folder, revisions - 1, "  # again")
        once("the newest written anew, with what was kept", kept=True, expected="migrations up to")
        once("the newest written anew, without", kept=False, expected="nothing")
        # Models that changed are built from nothing, and so is what depends on them.
        models(folder, revisions + 1)
        write(folder, revisions)
        once("one more, and a table of the models", kept=True, expected="nothing")
        write(folder, revisions, "  # again")
        once("that one written anew, with what was kept", kept=True, expected="migrations up to")
        (folder / "migrations" / "versions" / f"r{revisions}.py").unlink()
    return took


def write(folder: Path, number: int, more: str = "") -> None:
    """Write a revision."""
    body = (COLUMN if number % 2 else TABLE).format(number=number - number % 2) + more
    down = f"r{number - 1}" if number else None
    text = REVISION.format(number=number, down=down, body=body)
    (folder / "migrations" / "versions" / f"r{number}.py").write_text(text)


def models(folder: Path, revisions: int) -> None:
    """Write the models that agree with so many revisions."""
    (folder / "bench_models.py").write_text(MODELS.format(revisions=revisions))


def forget(folder: Path, *, kept: bool) -> None:
    """Remove the results that were kept; with ``kept`` all but what the older revisions have built."""
    if not kept:
        shutil.rmtree(folder / "cache", ignore_errors=True)
    for file in (folder / "cache").rglob("*.json"):
        file.unlink()


def checked(folder: Path) -> tuple[str, float, float]:
    """Run the check: what came from the cache, seconds, and processor time."""
    environment = os.environ | {"XDG_CACHE_HOME": str(folder / "cache"), "PYTHONPATH": str(folder)}
    for variable in ("DATABASE_URL", "TRUING_DATABASE_URL", "ALEMBIC_CONFIG", "PYTHONDONTWRITEBYTECODE"):
        environment.pop(variable, None)
    command = (sys.executable, "-m", "truing", "drift", "--models", "--migrations", "--output-format", "json")
    started, worked = time.perf_counter(), processor()
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=False)
    took = time.perf_counter() - started, processor() - worked
    if done.returncode:
        sys.exit(f"{command} answers {done.returncode}:\n{(done.stdout + done.stderr).decode()[-2000:]}")
    return json.loads(done.stdout)["facts"]["from the cache"], *took


def processor() -> float:
    """Seconds of processor time of all that was started here and has ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def spread(values: tuple[float, ...]) -> str:
    """Write min / median / max."""
    return " / ".join(f"{value:.2f}" for value in (min(values), statistics.median(values), max(values)))


if __name__ == "__main__":
    main()
