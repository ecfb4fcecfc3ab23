"""What do `truing drift`, `truing orm` and `alembic check` say of other people's projects, and how long do they take?

A project of ``projects/`` is installed from PyPI into an environment of its own, with this checkout of truing beside
it, and the SQLAlchemy and Alembic that truing needs. Its own migrations are run on a private server, then the three
commands as its developers would run them. ``projects/NAME/`` holds what such a developer would write for that: the
smallest ``alembic.ini``, an ``env.py`` where the project's own needs its application around it, ``requirements.txt``.
``python benchmarks/real_projects.py optuna ihatemoney --folder real-projects``
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

from truing.server import Cluster, Scratch

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parent
PROJECTS = sorted(each.name for each in (HERE / "projects").iterdir())
NEEDED = ("sqlalchemy>=2.1", "alembic>=1.20.1", "psycopg2-binary")

# `alembic history` imports the revisions without env.py, which some of them cannot do without.
_REVISIONS = """
from pathlib import Path
from alembic.config import Config
from alembic.script import ScriptDirectory
places = ScriptDirectory.from_config(Config("alembic.ini"))._version_locations
print(sum("down_revision" in file.read_text() for place in places for file in Path(place).glob("*.py")))
"""


class Project:
    """A project with its environment and its database."""

    def __init__(self, name: str, folder: Path, url: str) -> None:
        self.name, self.url = name, url
        self.venv = folder / name
        self.folder = folder / f"{name}.work"
        # Apart from what it is about: in a project's folder, what is written counts as a change of the project.
        self.results = folder / f"{name}.results"

    def install(self, python: str) -> None:
        """Make the environment: the project first, then what truing needs, whatever the project pins."""
        if (self.venv / "ready").exists():
            return
        subprocess.run([python, "-m", "venv", str(self.venv)], check=True)
        self._pip("-r", str(HERE / "projects" / self.name / "requirements.txt"))
        self._pip("-e", f"{CHECKOUT}[embedded]", *NEEDED)
        (self.venv / "ready").touch()

    def _pip(self, *words: str) -> None:
        subprocess.run([str(self.venv / "bin" / "pip"), "install", "-q", *words], check=True)

    def write(self) -> None:
        """Copy the project's files, with the address of its database in them."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.results.mkdir(parents=True, exist_ok=True)
        for source in (HERE / "projects" / self.name).iterdir():
            text = source.read_text()
            for driver in ("psycopg2", "asyncpg", "psycopg"):
                text = text.replace(f"{{url+{driver}}}", self.url.replace("postgresql:", f"postgresql+{driver}:"))
            (self.folder / source.name).write_text(text.replace("{url}", self.url))

    def variables(self) -> dict[str, str]:
        """Read the environment variables that the project takes its address from."""
        file = self.folder / "environment"
        lines = file.read_text().split() if file.exists() else []
        return {name: value for name, _, value in (line.partition("=") for line in lines)}

    def head(self) -> str:
        """Read where its history ends, as ``alembic upgrade`` takes it."""
        file = self.folder / "pyproject.toml"
        return tomllib.loads(file.read_text())["tool"]["truing"]["head"] if file.exists() else "heads"

    def run(self, *words: str) -> tuple[subprocess.CompletedProcess[str], float]:
        """Run one of the environment's commands in the project's folder."""
        environment = {
            **os.environ,
            **self.variables(),
            "PATH": f"{self.venv / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "DATABASE_URL": self.url,
            "PYTHONPATH": str(self.folder),
            "XDG_CACHE_HOME": str(self.results / "cache"),
        }
        started = time.monotonic()
        done = subprocess.run(
            [str(self.venv / "bin" / words[0]), *words[1:]],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        return done, time.monotonic() - started

    def version(self) -> str:
        """The project's version, as pip knows it."""
        program = f"import importlib.metadata as m; print(m.version({self.name!r}))"
        return self.run("python", "-c", program)[0].stdout.strip()

    def measure(self) -> dict[str, Any]:
        """Migrate, and ask all three."""
        told: dict[str, Any] = {"project": self.name, "version": self.version()}
        migrated, told["upgrade, s"] = self.run("alembic", "upgrade", self.head())
        if migrated.returncode:
            return {**told, "upgrade": _last(migrated)}
        told["revisions"] = int(self.run("python", "-c", _REVISIONS)[0].stdout or 0)
        check, told["alembic check, s"] = self.run("alembic", "check")
        told["alembic check"] = _last(check)
        for name, words in {
            "drift": ("truing", "drift"),
            "drift again": ("truing", "drift"),
            "orm": ("truing", "orm"),
        }.items():
            done, told[f"{name}, s"] = self.run(*words, "--output-format", "json")
            (self.results / f"{name}.json").write_text(done.stdout)
            told[name] = _counts(done)
        return told


def _last(done: subprocess.CompletedProcess[str]) -> str:
    lines = f"{done.stdout}\n{done.stderr}".strip().splitlines()
    return f"exit {done.returncode}: {lines[-1] if lines else ''}"


def _counts(done: subprocess.CompletedProcess[str]) -> dict[str, int] | str:
    try:
        findings = json.loads(done.stdout)["findings"]
    except ValueError:
        return _last(done)
    return dict(Counter(_kind(each) for each in findings).most_common())


def _kind(finding: dict[str, Any]) -> str:
    """The rule, and of drift the tier."""
    tier = finding["message"].rpartition("[")[2].removesuffix("]") if finding["message"].endswith("]") else ""
    return f"{finding['severity']} {finding['rule']}{f' {tier}' if tier else ''}"


def main() -> None:
    """Measure the projects that are named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="+", choices=PROJECTS, metavar="PROJECT", help=", ".join(PROJECTS))
    parser.add_argument("--folder", type=Path, required=True, help="for environments and results; kept")
    parser.add_argument("--python", default=sys.executable, help="makes the environments; some need 3.12")
    options = parser.parse_args()
    folder: Path = options.folder.resolve()
    with Cluster(tcp=True, settings={"max_locks_per_transaction": 1024}) as cluster, Scratch(cluster) as scratch:
        for name in options.names:
            database = scratch.create()
            project = Project(name, folder, cluster.tcp_url(database.name))
            project.install(options.python)
            project.write()
            told = project.measure()
            (folder / f"{name}.json").write_text(json.dumps(told, indent=1))
            print(json.dumps(told, indent=1), flush=True)


if __name__ == "__main__":
    main()
