"""The hooks of this repository, run by the real pre-commit in a project of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.project import make_project

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed"),
    pytest.mark.skipif(
        not (BIN / "pre-commit").is_file(), reason="pre-commit is not installed: pip install pre-commit"
    ),
]


@pytest.fixture
def hook(tmp_path):
    """A function that runs a hook on a project of one revision; returns the exit code and what was said."""
    folder = tmp_path / "project"
    folder.mkdir()
    environment = {
        "PATH": os.pathsep.join((str(BIN), os.environ.get("PATH", os.defpath))),
        "HOME": str(tmp_path),
        "PRE_COMMIT_HOME": str(tmp_path / "cache"),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "GIT_CONFIG_NOSYSTEM": "1",
        # The clone that the tests run in may belong to somebody else.
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "safe.directory",
        "GIT_CONFIG_VALUE_0": "*",
        "COLUMNS": "100",
        **{name: os.environ[name] for name in ("TMPDIR", "TRUING_PG_BIN") if name in os.environ},
    }

    def run(name: str, body: str) -> tuple[int, str]:
        shutil.rmtree(folder / "migrations", ignore_errors=True)
        models = "from sqlalchemy import *\nmetadata = MetaData()\nTable('t', metadata, Column('id', BigInteger, primary_key=True))"
        make_project(folder, {"r1": body}, models=models, metadata="metadata")
        # A copy of the hooks' repository: pre-commit clones it, and what is not committed yet counts as well.
        source = tmp_path / "hooks"
        if not source.exists():
            source.mkdir()
            shutil.copy(ROOT / ".pre-commit-hooks.yaml", source)
            git(source, "init", "-q")
            git(source, "add", "-A")
            git(source, "-c", "user.name=x", "-c", "user.email=x@example.org", "commit", "-qm", "Hooks")
        git(folder, "init", "-q")
        git(folder, "add", "-A")
        done = subprocess.run(
            [BIN / "pre-commit", "try-repo", source, name, "--all-files", "--verbose"],
            cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=200,
        )  # fmt: skip
        return done.returncode, done.stdout + done.stderr

    def git(where: Path, *arguments: str) -> None:
        subprocess.run(["git", *arguments], cwd=where, env=environment, check=True, capture_output=True)  # noqa: S607

    return run


TABLE = "op.create_table('t', sa.Column('id', sa.BigInteger, primary_key=True))"


def test_the_lint_hook(hook):
    code, said = hook("truing-lint", TABLE)
    assert (code, "Passed" in said) == (0, True), said
    code, said = hook("truing-lint", f"{TABLE}\nop.drop_table('users')")
    assert (code, "Failed" in said) == (1, True), said
    assert "forbidden-table-reference" in said


def test_the_check_hook(hook):
    code, said = hook("truing-check", TABLE)
    assert (code, "Passed" in said) == (0, True), said
    code, said = hook("truing-check", f"{TABLE}\nop.add_column('t', sa.Column('extra', sa.Integer))")
    assert (code, "Failed" in said) == (1, True), said
    assert "column public.t.extra" in said
