"""Each rule's page is its test: the bad models fire exactly this rule, the good ones none, on a real database."""

from __future__ import annotations

import inspect
import re

import pytest

from tests.orm_models import check_models
from truing.online import ops
from truing.orm import rules
from truing.orm.engine import registry
from truing.rule import Registry

RULES = list(Registry.discover(rules, group="").values())
ROLE = "example_app"
"""The role in examples; only those that name it are about an application's role."""


def run(folder, database, block):
    assert block.language == "python", "examples are models, and op.execute() for what the database has instead"
    config = {"tenant_column": "tenant_id"}
    if ROLE in block.code:
        database.role("NOLOGIN", ROLE)
        config["application_role"] = ROLE
    return check_models(folder, database, block.code, **config)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_the_bad_example_fires_exactly_this_rule(rule, tmp_path, database):
    found = run(tmp_path, database, rule.docs.example)
    assert {each.rule for each in found} == {rule.name}, found
    for each in found:
        assert each.location is not None or rule.name == "mapper-warning", each
        assert each.remedy, each
        assert_is_called_as_it_is_written(each.remedy)


def assert_is_called_as_it_is_written(remedy: str) -> None:
    """An online operation in a remedy is one that there is, with the arguments that it takes."""
    for name, arguments in re.findall(r"op\.(\w+_online)(\(.*\))", remedy):
        function = getattr(ops, name)
        bind = inspect.signature(function).bind
        # The first argument stands for the operations of the running revision.
        eval(f"bind(None, {arguments[1:]}", {"bind": bind})  # noqa: S307 - the remedy is our own


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_the_good_example_is_clean(rule, tmp_path, database, monkeypatch):
    # What PostgreSQL refuses is no good example, and would leave nothing to find.
    monkeypatch.setattr("tests.orm_models.create", lambda metadata, engine: metadata.create_all(engine))
    assert run(tmp_path, database, rule.docs.use_instead) == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_rule_is_in_the_file_of_its_name(rule):
    assert rule.check.__module__ == f"truing.orm.rules.{rule.name.replace('-', '_')}"
    assert rule.check.__name__ == rule.name.replace("-", "_")


def test_all_of_them_are_discovered():
    assert {each.name for each in RULES} <= set(registry())
