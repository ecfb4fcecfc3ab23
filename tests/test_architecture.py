"""The house keeps its plan: layers, sizes, names, licences, and what an import costs."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
SOURCES = sorted(ROOT.joinpath("src").rglob("*.py"))
LONGEST_FILE = 400
LONGEST_FUNCTION = 50


def lint_imports(config: Path, source: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    program = shutil.which("lint-imports", path=Path(sys.executable).parent)
    assert program, "import-linter is not installed: pip install 'truing[test]'"
    return subprocess.run(
        [program, "--config", str(config), "--no-cache"],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(source), "COLUMNS": "200"},
    )


def test_imports_keep_to_the_layers(tmp_path):
    done = lint_imports(ROOT / "pyproject.toml", ROOT / "src", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("file", "statement", "contract"),
    [
        ("finding.py", "import truing.config", "Layers"),
        ("lint/engine.py", "import truing.report.document", "Layers"),
        ("sql/tags.py", "import truing.catalog.model", "Layers"),
        ("new_place.py", "x = 1", "Layers"),
        ("lint/engine.py", "import postgast", "Only sql/parse.py"),
        ("lint/engine.py", "import click", "Only cli"),
        ("cli/lint.py", "import rich", "Only report"),
        ("plan.py", "import psycopg", "The kernel"),
    ],
)
def test_the_contracts_notice(tmp_path, file, statement, contract):
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    target = tmp_path / "src" / "truing" / file
    with target.open("a") as added:
        added.write(f"\n{statement}\n")
    done = lint_imports(ROOT / "pyproject.toml", tmp_path / "src", tmp_path)
    broken = [line for line in done.stdout.splitlines() if " BROKEN" in line]
    assert done.returncode == 1, done.stdout
    assert any(line.startswith(contract) for line in broken), done.stdout


def test_importing_truing_loads_nothing_that_is_slow():
    code = "import sys, truing; print(sorted({'sqlalchemy', 'alembic', 'psycopg', 'rich', 'click', 'postgast'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", ["truing.config", "truing.rule", "truing.plan", "truing.changes"])
def test_the_kernel_is_the_standard_library_and_msgspec(name):
    code = (
        "import sys; before = set(sys.modules); import importlib; importlib.import_module(sys.argv[1])\n"
        "new = {each.partition('.')[0] for each in set(sys.modules) - before}\n"
        "print(sorted(new - set(sys.stdlib_module_names) - {'truing', 'msgspec', 'typing_extensions'}))"
    )
    done = subprocess.run([sys.executable, "-c", code, name], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_files_are_short():
    long = {
        str(file.relative_to(ROOT)): n for file in SOURCES if (n := len(file.read_text().splitlines())) > LONGEST_FILE
    }
    assert long == {}


def test_functions_are_short():
    long = {
        f"{file.relative_to(ROOT)}:{node.lineno} {node.name}": length
        for file in SOURCES
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (length := _lines(node)) > LONGEST_FUNCTION
    }
    assert long == {}


def _lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function without its docstring: documentation does not make code long."""
    body = node.body
    documentation = 0
    if (
        isinstance(body[0], ast.Expr)
        and isinstance(body[0].value, ast.Constant)
        and isinstance(body[0].value.value, str)
    ):
        documentation = (body[0].end_lineno or 0) - body[0].lineno + 1
    return (node.end_lineno or 0) - node.lineno + 1 - documentation


def test_every_module_says_what_it_is_for():
    assert [str(file) for file in SOURCES if not ast.get_docstring(ast.parse(file.read_text()))] == []


def test_no_module_is_named_after_nothing():
    empty = {"utils", "util", "helpers", "helper", "misc", "manager", "managers"}
    assert [str(file) for file in SOURCES if empty & {file.stem, *file.relative_to(ROOT).parts[:-1]}] == []


def closure(*roots: str) -> dict[str, str]:
    """Every installed distribution that these need -> what it says about its licence."""
    found: dict[str, str] = {}
    waiting = [Requirement(root) for root in roots]
    while waiting:
        requirement = waiting.pop()
        name = re.sub(r"[-_.]+", "-", requirement.name).lower()
        try:
            installed = distribution(name)
        except PackageNotFoundError:
            continue
        environments = [{"extra": extra} for extra in requirement.extras] or [{"extra": ""}]
        known = name in found
        metadata = installed.metadata
        said = [metadata.get("License-Expression"), metadata.get("License"), *(metadata.get_all("Classifier") or ())]
        found[name] = "\n".join(each.splitlines()[0] for each in said if each)
        if known and not requirement.extras:
            continue
        for text in installed.requires or ():
            needed = Requirement(text)
            if needed.marker is None or any(needed.marker.evaluate(each) for each in environments):
                waiting.append(needed)
    return found


COPYLEFT = re.compile(r"(?<![L\w])A?GPL|GNU (Affero )?General Public", re.IGNORECASE)


@pytest.mark.parametrize(
    ("licence", "refused"),
    [
        ("GPL-3.0-or-later", True),
        ("AGPL-3.0", True),
        ("License :: OSI Approved :: GNU General Public License v3 (GPLv3)", True),
        ("License :: OSI Approved :: GNU Affero General Public License v3", True),
        ("LGPL-3.0-only", False),
        ("License :: OSI Approved :: GNU Lesser General Public License v3 (LGPLv3)", False),
        ("BSD-3-Clause", False),
    ],
)
def test_the_licence_test_can_fail(licence, refused):
    assert bool(COPYLEFT.search(licence)) is refused


def test_no_dependency_is_under_gpl_or_agpl():
    found = closure("truing[embedded]")
    assert {"sqlalchemy", "alembic", "psycopg", "psycopg-binary", "msgspec", "click", "rich", "mako"} <= set(found)
    assert {name: text for name, text in found.items() if COPYLEFT.search(text)} == {}


def test_versions_agree():
    import truing  # noqa: PLC0415

    project = tomllib.loads(ROOT.joinpath("pyproject.toml").read_text())["project"]
    assert truing.__version__ == project["version"]


def test_every_change_note_is_of_a_known_kind():
    types = tomllib.loads(ROOT.joinpath("pyproject.toml").read_text())["tool"]["towncrier"]["type"]
    kinds = {f".{each['directory']}" for each in types}
    notes = [file for file in ROOT.joinpath("changelog.d").iterdir() if file.name != "README.md"]
    assert [file.name for file in notes if file.suffix != ".md" or file.with_suffix("").suffix not in kinds] == []
