"""Which tables a pattern means, and which names a function's text mentions."""

from __future__ import annotations

import pytest

from truing.errors import ConfigurationError
from truing.lint.references.live import named_in_body
from truing.lint.references.text import mentioned
from truing.names import QualifiedName
from truing.patterns import fitting, table_patterns


@pytest.mark.parametrize(
    ("pattern", "schema", "name", "means"),
    [
        ("users", None, "users", True),
        ("users", "public", "users", True),
        ("users", "app", "users", True),
        ("users", "auth", "users", False),
        ("users", "public", "app_users", False),
        ("users", "public", "users2", False),
        ("auth.users", "auth", "users", True),
        ("auth.users", None, "users", False),
        ("auth.users", "xauth", "users", False),
        ("public.users", None, "users", True),
        ("auth.*", "auth", "identities", True),
        ("auth.*", "authx", "identities", False),
        ("auth.*", None, "identities", False),
        ("*.users", "anything", "users", True),
        ("*.users", None, "users", True),
        ("tmp_*", "public", "tmp_1", True),
        ("tmp_*", "other", "tmp_1", False),
        ("USERS", "public", "users", True),
        ("Users", "public", "Users", False),
        ('"Users"', "public", "Users", True),
        ('"Users"', "public", "users", False),
        ('auth."us*rs"', "auth", "users", False),
        ('auth."us*rs"', "auth", "us*rs", True),
        ('"we""ird.schema"."a.b"', 'we"ird.schema', "a.b", True),
        ("us.rs", None, "users", False),
        ('"line\nbreak"', None, "line\nbreak", True),
        ("a*", None, "a\nb", True),
        ("büro", None, "büro", True),
        ("u(se)rs", None, "users", False),
    ],
)
def test_patterns(pattern, schema, name, means):
    found = table_patterns([pattern], ("app", "public")).match(schema, name)
    assert (found is not None) is means
    if found:
        assert found.text == pattern


def test_with_an_empty_search_path_an_unqualified_pattern_means_unqualified_references_only():
    patterns = table_patterns(["users"], ())
    assert patterns.match(None, "users")
    assert not patterns.match("public", "users")


@pytest.mark.parametrize("text", ["tmp_?", "a?.b", "[a]b", "a.[b]*"])
def test_other_wildcards_are_refused_rather_than_taken_for_themselves(text):
    with pytest.raises(ConfigurationError, match=r"unmanaged: only \* stands for other characters"):
        table_patterns([text], source="unmanaged")
    assert table_patterns([f'"{text}"']).match("public", text)


@pytest.mark.parametrize(
    ("texts", "whole"),
    [
        (["auth.*"], True),
        (["au*.*"], True),
        (["*.*"], True),
        (["*"], False),
        (["auth.users"], False),
        (["auth.u*"], False),
        (['auth."*"'], False),
    ],
)
def test_a_whole_schema(texts, whole):
    assert (table_patterns(texts, ("auth",)).whole("auth") is not None) is whole


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tmp_*", ["tmp_* means public alone, and *.tmp_* would mean app.tmp_1 and 1 more too"]),
        ("Users", ['Users means lower case, and public."Users" has to be written with its quotes']),
        ("*.tmp_*", []),
        ('"Users"', []),
        ("nothing*", []),
    ],
)
def test_what_a_person_may_have_meant_is_said(text, said):
    there = [QualifiedName("app", "tmp_1"), QualifiedName("app", "tmp_2"), QualifiedName("public", "tmp_3")]
    there.append(QualifiedName("public", "Users"))
    assert list(table_patterns([text]).nearly(there)) == said


@pytest.mark.parametrize(
    ("text", "found"), [("t_*", ["t_1", "t_2"]), ("T_1", ["t_1"]), ('"T_3"', ["T_3"]), ('"t_*"', [])]
)
def test_a_pattern_of_schemas(text, found):
    assert fitting(text, ["t_1", "t_2", "T_3", "at_4"], source="tenant-schemas") == found


def test_a_pattern_of_schemas_has_one_part():
    with pytest.raises(ConfigurationError, match=r"tenant-schemas: a name without a dot is wanted: 'a\.b'"):
        fitting("a.b", [], source="tenant-schemas")


@pytest.mark.parametrize("text", ["", "a.b.c", "auth.", ".users", 'a"b', '"open'])
def test_what_is_no_table_is_refused_with_its_setting(text):
    with pytest.raises(ConfigurationError, match="forbidden-tables: not a table"):
        table_patterns([text])


@pytest.mark.parametrize(
    ("body", "names"),
    [
        ("BEGIN SELECT 1 FROM auth.users; END", [("auth", "users")]),
        ("insert INTO Users (a) VALUES (1)", [(None, "users")]),
        ("UPDATE ONLY users SET a = 1", [(None, "users")]),
        ("DELETE FROM users USING auth.users u", [(None, "users"), ("auth", "users")]),
        ("SELECT * FROM a, b x, c AS y WHERE a.d = 1, e", [(None, "a"), (None, "b"), (None, "c")]),
        ("SELECT * FROM a JOIN LATERAL (SELECT * FROM b) s ON true", [(None, "a"), (None, "b")]),
        (
            "DECLARE r users%ROWTYPE; v auth.users.id%TYPE; w t.c % type;",
            [(None, "users"), ("auth", "users"), (None, "t")],
        ),
        ('SELECT * FROM "auth" . "Us""ers"', [("auth", 'Us"ers')]),
        ("-- FROM users\n/* FROM users */ SELECT 'FROM users', E'\\'FROM users', $$FROM users$$", []),
        ("SELECT users FROM t WHERE users = 1 AND t.users > 2", [(None, "t")]),
        ("SELECT * FROM t WHERE x IN (SELECT y FROM auth.users)", [(None, "t"), ("auth", "users")]),
        ("TRUNCATE TABLE users; ALTER TABLE IF EXISTS t2 ADD x int", [(None, "users"), (None, "t2")]),
    ],
)
def test_text_mentions_where_sql_expects_a_relation(body, names):
    assert [(schema, name) for schema, name, _ in mentioned(body)] == names


def test_sql_bodies_are_parsed_so_that_ctes_are_not_tables():
    body = "WITH users AS (SELECT 1)\nSELECT * FROM users;\nSELECT * FROM auth.users"
    assert named_in_body("sql", body) == (("auth", "users", 3),)


def test_each_table_of_a_body_counts_once_with_its_first_line():
    assert named_in_body("plpgsql", "BEGIN\nPERFORM 1 FROM users;\nPERFORM 2 FROM users;\nEND") == ((None, "users", 2),)


def test_a_sql_body_that_does_not_parse_is_searched_as_text():
    assert named_in_body("sql", "SELECT !! FROM FROM users") == ((None, "users", 1),)
