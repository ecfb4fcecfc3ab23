"""What real projects do, in small: each of these was once said wrongly, or twice, or too loudly, of one of them."""

from __future__ import annotations

import pytest

from tests.project import make_project
from truing.drift.model import Outcome, Tier
from truing.drift.options import Options
from truing.drift.run import run
from truing.finding import Severity
from truing.revisions.project import discover

OPTIONS = "include_object=include_object,"


def drift(folder, models: str, revisions: dict[str, str], options: str = "") -> Outcome:
    make_project(folder, revisions, url="postgresql+psycopg://", models=models, metadata="metadata", options=options)
    return run(discover(folder), Options(cache=False))


def said(outcome: Outcome) -> list[tuple[str, str, Tier]]:
    return [(each.kind, each.name, each.tier) for each in outcome.drifts]


START = "from sqlalchemy import *\nmetadata = MetaData()\n"


def test_a_key_whose_columns_stand_in_another_order_is_said_once_as_its_index(tmp_path):
    models = (
        START
        + 'Table("tag", metadata, Column("key", Integer), Column("owner", Integer), Column("word", Text),'
        + (' PrimaryKeyConstraint("owner", "key", name="tag_pk"), UniqueConstraint("word", "key", name="tag_word"))')
    )
    one = (
        'op.execute("CREATE TABLE tag (key int, owner int, word text, CONSTRAINT tag_pk PRIMARY KEY (key, owner),'
        ' CONSTRAINT tag_word UNIQUE (key, word))")'
    )
    assert said(drift(tmp_path, models, {"one": one})) == [
        ("constraint", "tag_pk on public.tag", Tier.PERFORMANCE),
        ("constraint", "tag_word on public.tag", Tier.PERFORMANCE),
    ]


def test_a_name_that_the_models_leave_to_postgresql_is_no_difference(tmp_path):
    models = (
        START
        + 'Table("a", metadata, Column("id", Integer, primary_key=True), Column("b", Integer),'
        + (' Column("c", Integer), UniqueConstraint("b"), UniqueConstraint("c", name="named_by_us"))')
    )
    one = (
        'op.execute("CREATE TABLE a (id serial CONSTRAINT pk_a PRIMARY KEY, b int CONSTRAINT uq_a_b UNIQUE,'
        ' c int CONSTRAINT named_by_them UNIQUE)")'
    )
    assert said(drift(tmp_path, models, {"one": one})) == [("constraint", "named_by_them on public.a", Tier.NAME)]


def test_a_default_that_only_the_migrations_have_is_a_warning_and_one_that_they_lack_an_error(tmp_path):
    models = (
        START
        + 'Table("a", metadata, Column("id", Integer, primary_key=True), Column("b", Text, nullable=False),'
        + (' Column("c", Text, server_default="x", nullable=False))')
    )
    one = "op.execute(\"CREATE TABLE a (id serial PRIMARY KEY, b text NOT NULL DEFAULT 'new', c text NOT NULL)\")"
    outcome = drift(tmp_path, models, {"one": one})
    assert said(outcome) == [
        ("column", "public.a.c", Tier.BREAKS_WRITES),
        ("column", "public.a.b", Tier.UNDECLARED),
    ]
    assert outcome.findings[1].severity is Severity.WARNING
    assert "server_default=sa.text(\"'new'::text\")" in outcome.findings[1].remedy


def test_what_postgresql_refuses_of_the_models_is_not_missing_from_them_as_well(tmp_path):
    """Nor does an enum of the migrations, made to help, stand in the way of the models' own."""
    models = START + (
        'Table("a", metadata, Column("id", Integer, primary_key=True), Column("name", String),'
        ' Column("mood", Enum("good", "bad", name="mood")), Index("a_name", "name", postgresql_using="gin"))\n'
        'Table("b", metadata, Column("id", Integer, primary_key=True), Column("mood", Enum("good", "bad", name="mood")))'
    )
    one = (
        "op.execute(\"CREATE TYPE mood AS ENUM ('good')\")\n"
        'op.execute("CREATE TABLE a (id serial PRIMARY KEY, name varchar, mood mood)")\n'
        'op.execute("CREATE TABLE b (id serial PRIMARY KEY, mood mood)")\n'
        'op.execute("CREATE INDEX a_name ON a (name)")'
    )
    outcome = drift(tmp_path, models, {"one": one})
    assert [(each.rule, each.subject) for each in outcome.findings] == [
        ("migration-missing", "type public.mood"),
        ("model-not-creatable", "CREATE INDEX a_name ON a USING gin (name)"),
    ]


def test_what_env_py_hides_by_its_columns_is_hidden_although_it_has_no_name(tmp_path):
    models = START + (
        'Table("a", metadata, Column("id", Integer, primary_key=True))\n'
        'Table("b", metadata, Column("a_id", ForeignKey("a.id")), Column("x", Integer))\n'
        "def include_object(object, name, type_, reflected, compare_to):\n"
        "    columns = [column.name for column in getattr(object, 'columns', ())]\n"
        "    return (type_, columns) not in (('foreign_key_constraint', ['a_id']), ('index', ['x']))\n"
    )
    one = (
        'op.execute("CREATE TABLE a (id serial PRIMARY KEY)")\n'
        'op.execute("CREATE TABLE b (a_id int CONSTRAINT k REFERENCES a ON DELETE CASCADE, x int)")\n'
        'op.execute("CREATE INDEX b_x ON b (x)")'
    )
    outcome = drift(tmp_path, models, {"one": one}, OPTIONS)
    assert said(outcome) == []
    assert len(outcome.left_out["hidden by include_object"]) == 3


def test_many_defaults_in_the_same_other_words_are_one_finding(tmp_path):
    columns = ", ".join(f'Column("c{number}", DateTime, server_default=func.now())' for number in range(6))
    models = f'{START}Table("a", metadata, Column("id", Integer, primary_key=True), {columns})'
    columns = ", ".join(f"c{number} timestamp DEFAULT CURRENT_TIMESTAMP" for number in range(6))
    outcome = drift(tmp_path, models, {"one": f'op.execute("CREATE TABLE a (id serial PRIMARY KEY, {columns})")'})
    assert len(outcome.drifts) == 6
    (finding,) = outcome.findings
    assert finding.message.startswith("6 times the same default of a column")
    assert all(f"public.a.c{number}" in finding.evidence[0].value for number in range(6))


@pytest.mark.parametrize(("labels", "expected"), [(("expand", "contract"), set()), (("", ""), {"several-heads"})])
def test_heads_of_branches_with_labels_are_meant_to_be_several(tmp_path, labels, expected):
    make_project(tmp_path, {"one": "pass"}, url="postgresql+psycopg://", models=START, metadata="metadata")
    for label in labels:
        name = label or f"unlabelled_{len(list((tmp_path / 'migrations' / 'versions').iterdir()))}"
        (tmp_path / "migrations" / "versions" / f"{name}.py").write_text(
            f"revision = 'r_{name}'\ndown_revision = 'one'\nbranch_labels = {label or None!r}\n"
            "def upgrade(): pass\ndef downgrade(): pass\n"
        )
    outcome = run(discover(tmp_path), Options(cache=False))
    assert {each.rule for each in outcome.findings} == expected
