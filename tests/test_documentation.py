"""Does the documentation say what happens? Every command and every Python block of it is run, in order, page by page."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from tests.pages import ROOT, RUN, Shell, all_pages, commands, do, linked, matches, problems, read_page, setup
from tests.regenerate_docs import INTEGRITY, INTEGRITY_COMMAND, pages
from truing.cli.app import run
from truing.rbac.adopt import init
from truing.rbac.models import Base
from truing.revisions.urls import sqlalchemy_url

PAGES = [read_page(path) for path in all_pages()]
TO_DO = [page for page in PAGES if any(block.language in RUN for block in page.blocks)]


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, id=page.name, marks=[pytest.mark.slow] if page.marked("slow") is not None else [])
        for page in TO_DO
    ],
)
@pytest.mark.timeout(600)
def test_what_a_page_says_is_so(page, tmp_path, database):
    with Shell(tmp_path, DATABASE_URL=database.url, COLUMNS="80", NO_COLOR="1") as shell:
        name = page.marked("setup")
        if name is not None:
            setup(name, shell)
        do(page, shell)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_leads_nowhere_wrong(page):
    assert problems(page) == []


def test_every_page_can_be_reached():
    reached = linked(PAGES)
    assert [page.name for page in PAGES if page.path not in reached and page.name != "README.md"] == []


def write(tmp_path: Path, text: str):
    path = tmp_path / "page.md"
    path.write_text(text)
    return read_page(path)


@pytest.mark.parametrize(
    ("expected", "seen", "same"),
    [
        ("a\nb", "a\n\nb  \n", True),
        (" a b\n ──\n c", " a     b\n ───────\n c", True),
        ("a b", "ab", False),
        ("a", "a\nb", False),
        ("a\n...\nd", "a\nb\nc\nd", True),
        ("a\n...\nd", "a\nd", True),
        ("took ... s", "took 1.5 s", True),
        ("took ... s", "took 1.5 ms", False),
        ("a.c", "abc", False),
    ],
)
def test_what_counts_as_the_same_output(expected, seen, same):
    assert matches(expected, seen) is same


@pytest.mark.parametrize(
    "text",
    [
        "```console\n$ false\n```\n",
        "```bash\n$ false\n```\n",
        "```console\n$ echo one\ntwo\n```\n",
        "```python\nassert False\n```\n",
        "<!-- exit: 1 -->\n```console\n$ true\n```\n",
        "```console\n$ false\n$ true\n```\n",
        "<!--\n```console\n$ false\n```\n-->\n",
        "<!-- file: a/b.py -->\n```python\nprint(1)\n```\n\n```console\n$ python a/b.py\n2\n```\n",
    ],
)
def test_a_page_that_is_wrong_fails(tmp_path, text):
    with Shell(tmp_path) as shell, pytest.raises(AssertionError):
        do(write(tmp_path, text), shell)


def test_a_page_is_done_in_one_shell_and_one_folder(tmp_path):
    text = (
        "<!-- file: a/b.py -->\n```python\nimport os\nprint(os.environ['X'])\n```\n\n"
        "<!-- background -->\n```console\n$ sh -c 'echo ready; sleep 60'\nready\n```\n\n"
        "<!-- not run: it would end the world -->\n```console\n$ false\n```\n\n"
        "```console\n$ export X=\\\n> 17\n$ cd a && python b.py\n17\n$ read line\n```\n"
    ).replace("$ read line\n", "$ pwd\n.../a\n")
    with Shell(tmp_path) as shell:
        do(write(tmp_path, text), shell)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[x](nowhere.md)", "nowhere.md, which is not there"),
        ("# One\n[x](#two)", "no heading of the anchor two"),
        ("```sh\nls\n```", "write console or python"),
        ("<!-- not run -->\n```console\n$ ls\n```", "needs a reason"),
        ("see /home/me/file", "/home/me/file is a place"),
    ],
)
def test_what_is_wrong_without_running_is_found(tmp_path, text, said):
    (problem,) = problems(write(tmp_path, text + "\n"))
    assert said in problem


def test_what_is_right_is_not_found(tmp_path):
    text = "# One `two`: three\n[x](#one-two-three) [y](https://example.org/tmp/x) [z](page.md#one-two-three)\n"
    assert problems(write(tmp_path, text)) == []


@pytest.mark.parametrize("text", ["```console\n", "<!-- fiel: a -->\n", "<!-- file: a -->\nText\n"])
def test_a_page_that_cannot_be_read_is_refused(tmp_path, text):
    with pytest.raises(ValueError, match=r":[12]:"):
        write(tmp_path, text)


def test_a_console_block_begins_with_a_command(tmp_path):
    page = write(tmp_path, "```console\nls\n```\n")
    with pytest.raises(ValueError, match="begins with a command"):
        commands(page.blocks[0])


def test_the_example_is_that_of_the_tutorial():
    """Whoever copies the folder has what the tutorial ends with."""
    tutorial = read_page(ROOT / "docs" / "tutorial.md")
    told = {block.markers["file"]: block.text for block in tutorial.blocks if "file" in block.markers}
    example = ROOT / "examples" / "shop"
    there = {str(file.relative_to(example)): file.read_text() for file in example.rglob("*.py")}
    # What comes after the change is for the reader to write.
    assert {name: told.get(name) for name in there} == there


def test_the_reference_is_up_to_date(database):
    init(sqlalchemy_url(database.url))
    with database.connect() as connection:
        made = pages(connection)
    stale = [path.name for path, text in made.items() if not path.is_file() or path.read_text() != text]
    # Before 16, PostgreSQL prints the views of that page in other words.
    different = {INTEGRITY.name} if database.version.major < 16 else set()
    assert [name for name in stale if name not in different] == [], "run: python -m tests.regenerate_docs"
    unknown = set((ROOT / "docs" / "reference").glob("*.md")) - set(made)
    assert not unknown, "every page of the reference is generated"


@pytest.mark.pg(">=16")
def test_the_page_on_the_integrity_of_the_rbac_database_can_be_checked(database, capsys):
    """The page says of every relationship whether it agrees with its key; a key that changes makes it stale."""
    init(sqlalchemy_url(database.url))
    check = [*INTEGRITY_COMMAND, "--database-url", database.url, "--check", str(INTEGRITY)]
    assert run(check) == 0, capsys.readouterr().out
    text = INTEGRITY.read_text()
    for mapper in Base.registry.mappers:
        for each in mapper.relationships:
            if not each.viewonly and each.parent is mapper:
                assert f"`{mapper.class_.__name__}.{each.key}` → `{each.mapper.class_.__name__}`" in text
    assert "do not agree" not in text
    database.execute(
        "ALTER TABLE roles DROP CONSTRAINT fk_roles_tenant, ADD CONSTRAINT fk_roles_tenant"
        " FOREIGN KEY (tenant_id) REFERENCES tenants"
    )
    capsys.readouterr()
    assert run(check) == 1
    assert "the session deletes the rows that are loaded, the database refuses" in capsys.readouterr().out


def test_the_architecture_page_has_the_layers_of_the_contract():
    contract = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"][0]
    wanted = [set(re.findall(r"\w+", layer)) - {"__main__"} for layer in contract["layers"]]
    page = read_page(ROOT / "docs" / "explanation" / "architecture.md")
    told = next(block.text for block in page.blocks if "alembic_plugin" in block.text)
    # The page puts the two front ends on one line.
    told_layers = [set(re.findall(r"\w+", line)) for line in told.splitlines()]
    assert told_layers == [wanted[0] | wanted[1], *wanted[2:]]
