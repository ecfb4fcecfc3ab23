"""Each rule's own page is its test: the bad example fires exactly this rule, the good one none; both run on PostgreSQL."""

from __future__ import annotations

import pytest
from alembic import command
from alembic.config import Config as AlembicConfig

from tests.project import make_project
from truing.config import Config
from truing.lint import rules
from truing.lint.context import make_context
from truing.lint.engine import lint, registry
from truing.lint.references.live import live_references, search_path
from truing.lint.references.recorded import revision_references
from truing.revisions.project import discover
from truing.revisions.record import record
from truing.rule import Block, Registry

BASELINE = """
CREATE SCHEMA auth;
CREATE TABLE auth.users (id uuid PRIMARY KEY);
CREATE TABLE profiles (id uuid PRIMARY KEY, code int, __truing_0a1b2c3d_old text);
"""

RULES = list(Registry.discover(rules, group="").values())


def run(folder, database, block: Block) -> list[str]:
    """Run an example as a revision on PostgreSQL, then lint the revision and what it left in the database."""
    assert block.language == "python", "examples are bodies of upgrade()"
    database.execute(BASELINE)
    url = database.url.replace("postgresql://", "postgresql+psycopg://", 1)
    ini = make_project(folder, {"example": block.code}, url=url)
    command.upgrade(AlembicConfig(str(ini)), "head")
    with database.connect() as connection:
        context = make_context(Config(), search_path(connection))
        facts = [revision_references(record(discover(config=ini))), live_references(connection, context.forbidden)]
    return [each.rule for each in lint(facts, context)]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_the_bad_example_fires_exactly_this_rule(rule, tmp_path, database):
    assert set(run(tmp_path, database, rule.docs.example)) == {rule.name}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_the_good_example_is_clean(rule, tmp_path, database):
    assert run(tmp_path, database, rule.docs.use_instead) == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_rule_is_in_the_file_of_its_name(rule):
    assert rule.check.__module__ == f"truing.lint.rules.{rule.name.replace('-', '_')}"
    assert rule.check.__name__ == rule.name.replace("-", "_")


def test_all_of_them_are_discovered():
    assert {each.name for each in RULES} <= set(registry())
    assert {"forbidden-table-reference", "unused-suppression"} <= {each.name for each in RULES}
