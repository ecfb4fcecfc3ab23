"""The CI files that the documentation shows: they are YAML, and every truing command in them is one that there is."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any

import click
import pytest
from ruamel.yaml import YAML

from tests.pages import ROOT, read_page
from truing.cli.app import app

PAGE = read_page(ROOT / "docs" / "how-to" / "run-in-ci.md")
FILES = [YAML(typ="safe").load(block.text) for block in PAGE.blocks if block.language == "yaml"]
HOOKS = YAML(typ="safe").load((ROOT / ".pre-commit-hooks.yaml").read_text())


def values(node: Any, *keys: str) -> Iterator[Any]:
    """Everything below one of these keys, at any depth."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key in keys:
                yield from value if isinstance(value, list) else [value]
            yield from values(value, *keys)
    elif isinstance(node, list):
        for each in node:
            yield from values(each, *keys)


COMMANDS = [
    *(line for each in values(FILES, "run", "script") for line in each.splitlines() if line.startswith("truing ")),
    *values(HOOKS, "entry"),
]


def parse(line: str) -> None:
    _, name, *arguments = shlex.split(line)
    command = app.get_command(click.Context(app), name)
    assert command, f"there is no command {name}"
    command.make_context(name, arguments)


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_of_a_ci_file_can_be_called(line):
    parse(line)


def test_a_command_that_cannot_be_called_is_noticed():
    with pytest.raises(click.ClickException):
        parse("truing check --no-databse")
    assert len(COMMANDS) >= 8


def test_the_hooks_of_the_page_are_those_of_the_repository():
    assert set(values(FILES, "id")) == {hook["id"] for hook in HOOKS} == {"truing-lint", "truing-check"}
