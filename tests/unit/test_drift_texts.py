"""What means the same, what a child process may know of other databases, and what a difference does."""

from __future__ import annotations

import os

import pytest
from alembic.config import Config
from sqlalchemy import make_url

from truing.catalog.diff import Difference
from truing.drift.comparing.equivalent import Judge, canonical, canonical_statement
from truing.drift.comparing.tiers import tier
from truing.drift.exchange import Server, environment, url_of
from truing.drift.findings import finding, revisions
from truing.drift.model import Aspect, Drift, Tier, Verdict
from truing.drift.shelf import Shelf

SERVER = Server(host="/run/s p", port=5433, user="postgres", dbname='a "b"')


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("now()", "CURRENT_TIMESTAMP"),
        ("now()", "transaction_timestamp()"),
        ("''::text", "''::character varying"),
        ("((mood)::text = ANY (ARRAY['a'::text, 'b'::text]))", "((mood)::text = ANY (ARRAY['b'::text, 'a'::text]))"),
        ("(mood <> ALL (ARRAY['a'::text, 'b'::text]))", "(mood <> ALL (ARRAY['b'::text, 'a'::text]))"),
        ("pg_catalog.now()", "now()"),
        ("'a'::bpchar", "'a'::text"),
    ],
)
def test_other_words_that_mean_the_same(one, other):
    assert canonical(one) == canonical(other) is not None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("now()", "clock_timestamp()"),
        ("now()", "app.now()"),
        ("'a '::bpchar", "'a '::text"),
        ("'a'::text", "'b'::text"),
        ("ARRAY['a', 'b']", "ARRAY['b', 'a']"),
        ("(x <> ALL (ARRAY['a', 'b']))", "(x = ANY (ARRAY['a', 'b']))"),
        ("'x'::character varying(1)", "'x'::character varying(2)"),
        ("a.b", "b"),
        ("1", "1::text"),
        ("'a'::character(5)", "('a'::character(5))::text"),
        ("LOCALTIMESTAMP", "now()"),
    ],
)
def test_words_that_do_not_mean_the_same(one, other):
    assert canonical(one) != canonical(other)


def test_a_check_keeps_what_comes_after_its_condition():
    one, other = "CHECK ((a = ANY (ARRAY[1, 2])))", "CHECK ((a = ANY (ARRAY[2, 1])))"
    assert canonical_statement(one) == canonical_statement(other)
    assert canonical_statement(one) != canonical_statement(f"{other} NOT VALID")


@pytest.mark.parametrize("text", ["nextval('s'::regclass)", "'now'::timestamp", "my.f(1)", "a", "'x'::my.domain"])
def test_nothing_but_a_constant_is_ever_evaluated(text):
    def connect():
        raise AssertionError("a server was asked")

    assert not Judge(connect)(Difference("column", "t.c", "default", text, f"{text}::text"))


def test_no_address_but_the_scratch_one_reaches_a_child():
    variables = {
        "PGHOST": "live", "PGPASSWORD": "secret", "PGSERVICE": "live", "DATABASE_URL": "postgres://u:secret@live/app",
        "APP_DSN": "postgresql+asyncpg://u:secret@live/app", "HOME": "/home/me",
    }  # fmt: skip
    seen = environment(variables, SERVER)
    assert "secret" not in repr(seen)
    assert "@live" not in repr(seen)
    assert (seen["PGHOST"], seen["PGPORT"], seen["PGDATABASE"], seen["HOME"]) == (
        "/run/s p",
        "5433",
        'a "b"',
        "/home/me",
    )
    assert seen["APP_DSN"].startswith("postgresql+asyncpg://postgres@/")
    assert seen["DATABASE_URL"].startswith("postgresql://postgres@/")


def test_an_env_py_may_hand_the_scratch_address_to_a_config_parser():
    url = url_of(Server(host="/run/truing/s", port=5432, user="postgres", dbname="truing_1"))
    config = Config()
    config.set_main_option("sqlalchemy.url", url)
    assert make_url(config.get_main_option("sqlalchemy.url")).query["host"] == "/run/truing/s"


@pytest.mark.parametrize(
    ("kind", "attribute", "before", "after", "expected"),
    [
        ("column", "not null", "yes", "no", Tier.BREAKS_WRITES),
        ("column", "default", "1", "2", Tier.BEHAVIOUR),
        ("column", "default", "1", None, Tier.BREAKS_WRITES),
        ("constraint", "", "CHECK (a)", None, Tier.WEAKER_INTEGRITY),
        ("constraint", "name", "a", "b", Tier.NAME),
        # Every query by the other name is refused.
        ("table", "name", "a", "b", Tier.BREAKS_WRITES),
        ("column", "name", "a", "b", Tier.BREAKS_WRITES),
        ("type", "name", "a", "b", Tier.BREAKS_WRITES),
        ("view", "name", "a", "b", Tier.BEHAVIOUR),
        ("constraint", "definition", "UNIQUE (a, b)", "UNIQUE (b, a)", Tier.PERFORMANCE),
        ("constraint", "definition", "UNIQUE (a, b)", "UNIQUE (b, a) DEFERRABLE", Tier.WEAKER_INTEGRITY),
        ("constraint", "definition", "UNIQUE (a, b)", "UNIQUE NULLS NOT DISTINCT (a, b)", Tier.WEAKER_INTEGRITY),
        ("index", "", "CREATE INDEX i ON t", None, Tier.PERFORMANCE),
        ("index", "", None, "CREATE UNIQUE INDEX i ON t", Tier.WEAKER_INTEGRITY),
        (
            "index",
            "definition",
            "CREATE UNIQUE INDEX ON t (a) WITH (fillfactor='50')",
            "CREATE UNIQUE INDEX ON t (a)",
            Tier.PERFORMANCE,
        ),
        (
            "index",
            "definition",
            "CREATE UNIQUE INDEX ON t (a, b)",
            "CREATE UNIQUE INDEX ON t (a)",
            Tier.WEAKER_INTEGRITY,
        ),
        ("trigger", "enabled", "origin", "disabled", Tier.BEHAVIOUR),
        ("policy", "using", "a", "b", Tier.SECURITY),
        ("table", "privileges of public", None, "SELECT", Tier.SECURITY),
        ("view", "comment", None, "x", Tier.COSMETIC),
    ],
)
def test_what_a_difference_does(kind, attribute, before, after, expected):
    assert tier(Difference(kind, "x", attribute, before, after)) is expected


@pytest.mark.parametrize(
    ("aspect", "said"),
    [
        (Aspect("", "integer", "integer", "integer"), "table public.t (there already)."),
        (Aspect("", None, None, None), "table public.t (gone already)."),
        (Aspect("comment", "x", "x", "x"), "table public.t (comment already)."),
    ],
)
def test_what_was_done_by_hand_before_its_revision_is_said_to_be(aspect, said):
    drift = Drift(
        kind="table",
        name="public.t",
        verdict=Verdict.LIVE_EDITED,
        aspects=(aspect,),
        sides=("models", "migrations", "live"),
    )
    assert said in finding(drift).message
    assert "stamp" in str(finding(drift).remedy)


def test_what_nobody_has_found_for_long_is_forgotten(tmp_path):
    shelf = Shelf(tmp_path)
    for name in ("unused", "used"):
        shelf.put(name, "x")
        os.utime(tmp_path / f"{name}.json", (0, 0))
    assert shelf.get("used", str) == "x"
    shelf.put("new", "x")
    assert [shelf.get(name, str) for name in ("unused", "used", "new")] == [None, "x", "x"]


def test_a_default_that_is_to_be_declared_is_the_default():
    aspects = (
        Aspect("comment", None, "a comment", "a comment", Tier.COSMETIC),
        Aspect("default", None, "'x'::text", "'x'::text", Tier.UNDECLARED),
    )
    drift = Drift(
        kind="column", name="public.t.c", verdict=Verdict.MIGRATION_MISSING, aspects=aspects, sides=("models", "live")
    )
    assert """server_default=sa.text("'x'::text")""" in str(finding(drift).remedy)


def test_a_project_without_revisions_has_nothing_to_be_stamped_with():
    assert list(revisions(None, (), (), {})) == []
    assert [each.rule for each in revisions(None, ("a",), ("a",), {})] == ["unstamped-database"]


@pytest.mark.parametrize(
    ("fix", "online"),
    [
        ("op.alter_column('t', 'c', type_=sa.Uuid(), postgresql_using='c::uuid')", "op.convert_column_online"),
        ("op.alter_column('t', 'c', type_=sa.String(9), existing_nullable=False)", "op.convert_column_online"),
        ("op.execute('ALTER TABLE a.t ALTER COLUMN c TYPE a.mood USING c::a.mood')", "op.convert_column_online"),
        ("op.create_index('ix', 't', ['c'], unique=False)", "op.create_index_online"),
        ("op.execute('CREATE UNIQUE INDEX ix ON a.t USING btree (lower(c))')", "op.create_index_online"),
        ("op.drop_index('ix', table_name='t')", "op.drop_index_online"),
        ("op.execute('ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (c) REFERENCES p(id)')", "op.add_foreign_key_online"),
        ("op.execute('ALTER TABLE t ADD CONSTRAINT k CHECK ((c > 0))')", "op.add_check_online"),
        ("op.execute('ALTER TABLE t ADD CONSTRAINT u UNIQUE (c)')", "op.add_unique_online"),
        ("op.alter_column('t', 'c', nullable=False)", "op.set_not_null_online"),
        ("op.alter_column('t', 'c', nullable=True)", ""),
        ("op.add_column('t', sa.Column('c', sa.Text(), nullable=True))", ""),
        ("op.create_table('t')\nop.create_index('ix', 't', ['c'])", ""),
    ],
)
def test_a_fix_that_blocks_names_the_operation_that_does_not(fix, online):
    aspect = Aspect("type", "uuid", "text", None)
    drift = Drift(
        kind="column",
        name="t.c",
        verdict=Verdict.MIGRATION_MISSING,
        aspects=(aspect,),
        sides=("models", "migrations"),
        remedy=f"In a new revision:\n{fix}",
    )
    remedy = finding(drift).remedy
    assert remedy.removeprefix(drift.remedy) == (
        f"\n# Where the table is in use, without blocking it: {online}." if online else ""
    )


COMMENT = ("comment", "a", "a", "b")
SECURITY = ("row security", "yes", "yes", "no")
THREE = ("models", "migrations", "live")


@pytest.mark.parametrize(
    ("aspects", "sides", "same"),
    [
        ([COMMENT], THREE, True),
        ([COMMENT], ("migrations", "live"), True),
        ([COMMENT, SECURITY], THREE, False),
        ([SECURITY], THREE, False),
        ([("comment", "a", "a", "c")], THREE, False),
        ([("comment", "a", "a", "x" * 1000)], THREE, False),
        ([("", "a", "a", None)], THREE, False),
    ],
    ids=["the same", "fewer sides", "one more", "another", "another value", "a long value", "not there"],
)
def test_who_knows_a_difference_does_not_know_the_next(aspects, sides, same):
    def fingerprint(aspects, sides):
        seen = [
            Aspect(name, *(text if side in sides else None for side, text in zip(THREE, texts, strict=True)))
            for name, *texts in aspects
        ]
        drift = Drift(kind="table", name="t", verdict=Verdict.LIVE_EDITED, aspects=tuple(seen), sides=sides)
        return finding(drift).fingerprint

    assert (fingerprint(aspects, sides) == fingerprint([COMMENT], THREE)) is same
    assert fingerprint(aspects, sides) == fingerprint(aspects[::-1], sides)


@pytest.mark.parametrize(
    ("aspect", "wanted"),
    [
        (Aspect("", None, "CREATE INDEX ix", "CREATE INDEX ix"), True),
        (Aspect("", "CREATE INDEX ix", None, None), False),
        (Aspect("comment", None, "x", "x"), False),
    ],
    ids=["not in the models", "in the models", "an attribute"],
)
def test_what_the_models_lack_may_be_wanted(aspect, wanted):
    fix = "In a new revision:\nop.drop_index('ix', table_name='t')"
    drift = Drift(
        kind="index", name="ix", verdict=Verdict.MIGRATION_MISSING, aspects=(aspect,), sides=THREE, remedy=fix
    )
    assert finding(drift).remedy.startswith("If it is wanted, declare it in the models.") is wanted
    assert fix in finding(drift).remedy
