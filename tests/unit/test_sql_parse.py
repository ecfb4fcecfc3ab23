"""Reading and writing SQL with PostgreSQL's grammar."""

from __future__ import annotations

import pytest

from truing.errors import SqlSyntaxError
from truing.sql import parse as sql
from truing.sql.relations import bodies, relations


def test_lines_and_texts_are_right_behind_non_ascii_text_and_comments() -> None:
    source = "-- é ü 🐘\nSELECT 'é';\n\n/* ü\n */ SELECT 2 ;;\n  UPDATE \"tä\" SET x = 1\n"
    found = sql.parse(source)
    assert [(one.text, one.line, one.kind) for one in found] == [
        ("SELECT 'é'", 2, "SelectStmt"),
        ("SELECT 2", 5, "SelectStmt"),
        ('UPDATE "tä" SET x = 1', 6, "UpdateStmt"),
    ]
    assert all(source.encode()[one.offset :].decode().startswith(one.text) for one in found)


def test_a_location_inside_a_statement_gives_its_line() -> None:
    (statement,) = sql.parse("SELECT 'éé',\n a\nFROM\n  t")
    (table,) = sql.range_vars(statement.node)
    assert statement.line_at(table.location) == 4
    assert statement.line_at(-1) == 1


@pytest.mark.parametrize("text", ["", "  \n", "-- only\n/* comments */", ";;"], ids=repr)
def test_no_statement_is_no_error(text: str) -> None:
    assert sql.parse(text) == ()


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("SELECT FROM FROM", 1, 13),
        ("SELECT 'éé' form t", 1, 18),
        ("SELECT 1;\n -- é\n SELEKT 2", 3, 2),
        ("SELECT 'open", 1, 8),
        ("SELECT 1;\nSELECT '\0'", 2, 1),
    ],
    ids=["plain", "characters-not-bytes", "second-line", "open-quote", "nul"],
)
def test_a_syntax_error_says_where(text: str, line: int, column: int) -> None:
    with pytest.raises(SqlSyntaxError) as caught:
        sql.parse(text)
    assert (caught.value.fields["line"], caught.value.fields["column"]) == (line, column)


@pytest.mark.parametrize(
    "text",
    [
        'SELECT "A".b, x.y.* FROM "T ""q""" WHERE a IN (1, 2)',
        "CREATE TABLE t (x int REFERENCES auth.users (id))",
        "SELECT 'it''s', E'back\\\\slash'",
        "ALTER TABLE t VALIDATE CONSTRAINT c",
    ],
)
def test_a_statement_survives_being_written_and_read_again(text: str) -> None:
    (first,) = sql.parse(text)
    (again,) = sql.parse(sql.deparse(first))
    assert sql.deparse(again) == sql.deparse(first) == sql.deparse(first.node)


def test_an_expression_of_hundreds_of_operators_is_read_and_written() -> None:
    text = " || ".join(["a"] * 400)
    node = sql.parse_expression(text)
    assert len(list(sql.column_refs(node))) == 400
    assert sql.deparse_expression(node).replace("(", "").replace(")", "") == text


def test_a_monstrous_nesting_is_an_error_and_not_a_crash() -> None:
    with pytest.raises(SqlSyntaxError, match="nested too deeply"):
        sql.parse("SELECT " + "||".join(["a"] * 20_000))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1; DROP TABLE x",
        "1 AS y",
        "a b",
        "1 FROM x",
        "1, 2",
        "1 LIMIT 1",
        "1) , (2",
        "DISTINCT 1",
        "1 UNION SELECT 2",
        "a +",
    ],
    ids=repr,
)
def test_what_is_not_one_expression_is_refused(text: str) -> None:
    with pytest.raises(SqlSyntaxError):
        sql.parse_expression(text)


@pytest.mark.parametrize(
    "text",
    [
        "tenant_id = ANY (ARRAY['a'::text, 'é'::text])",
        "(SELECT x FROM y WHERE y.a = z)",
        "a IS NOT NULL -- why",
        "CASE WHEN a THEN 1 END",
    ],
)
def test_expressions_come_back_with_the_same_meaning(text: str) -> None:
    written = sql.deparse_expression(sql.parse_expression(text))
    assert sql.deparse_expression(sql.parse_expression(written)) == written


def test_column_references_are_replaced_everywhere_and_once() -> None:
    def change(node: sql.Node) -> sql.Node | None:
        if sql.kind(node) == "ColumnRef" and sql.parts(node)[-1] == "a":
            # The new text holds `a` again, which must not be replaced once more.
            return sql.parse_expression("a::text")
        return None

    root = sql.parse_expression("a = lower(b) AND EXISTS (SELECT 1 FROM y WHERE y.a = c)")
    assert sql.deparse_expression(sql.replace(root, change)) == (
        "a::text = lower(b) AND EXISTS (SELECT 1 FROM y WHERE a::text = c)"
    )
    assert sql.deparse_expression(sql.replace(sql.parse_expression("a"), change)) == "a::text"
    assert sql.deparse_expression(sql.column_ref("t", "we ird")) == 't."we ird"'


def test_children_are_replaced_before_their_parents() -> None:
    def change(node: sql.Node) -> sql.Node | None:
        if sql.kind(node) == "ColumnRef":
            return sql.column_ref("new")
        if sql.kind(node) == "NullTest":
            outer = sql.parse_expression("f(x)")
            outer.func_call.args[0].null_test.CopyFrom(node)
            return outer
        return None

    assert sql.deparse_expression(sql.replace(sql.parse_expression("old IS NULL"), change)) == "f(new IS NULL)"


def test_the_names_of_a_star_and_a_type_are_read() -> None:
    refs = list(sql.column_refs(sql.parse('SELECT t.*, "X".y')[0].node))
    assert [sql.parts(ref) for ref in refs] == [("t", "*"), ("X", "y")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SELECT * FROM a, c.d JOIN e ON true", [(None, "a"), ("c", "d"), (None, "e")]),
        ("WITH a AS (SELECT * FROM b), b AS (SELECT * FROM a) SELECT * FROM a, b, p.a", [(None, "b"), ("p", "a")]),
        ("WITH RECURSIVE a AS (SELECT * FROM b), b AS (SELECT * FROM a) SELECT * FROM a", []),
        ("SELECT * FROM (WITH a AS (SELECT 1) SELECT * FROM a) q, a", [(None, "a")]),
        ("WITH a AS (SELECT 1) INSERT INTO a SELECT * FROM a", [(None, "a")]),
        ("WITH a AS (DELETE FROM z RETURNING *) UPDATE t SET x = 1 FROM a", [(None, "z"), (None, "t")]),
        ("CREATE TABLE t (x int REFERENCES auth.users)", [(None, "t"), ("auth", "users")]),
        ("ALTER TABLE p ADD FOREIGN KEY (u) REFERENCES auth.users (id)", [(None, "p"), ("auth", "users")]),
        ("DROP TABLE q.w, e", [("q", "w"), (None, "e")]),
        ("DROP POLICY p ON auth.users", [("auth", "users")]),
        ("DROP FUNCTION auth.uid()", []),
        ("COMMENT ON COLUMN a.b.c IS 'x'", [("a", "b")]),
        ("COMMENT ON TABLE a.b IS 'x'", [("a", "b")]),
        ("CREATE POLICY p ON t USING (u IN (SELECT id FROM auth.users))", [(None, "t"), ("auth", "users")]),
        ("SELECT 'auth.users'::regclass, '\"We Ird\"'::regclass", [("auth", "users"), (None, "We Ird")]),
        ("SELECT 'not a name('::regclass", []),
        ("GRANT SELECT ON auth.users TO x", [("auth", "users")]),
        ("CREATE VIEW v AS SELECT * FROM auth.users", [(None, "v"), ("auth", "users")]),
        ("SELECT users.id, 'auth.users' FROM t", [(None, "t")]),
    ],
)
def test_relations(text: str, expected: list[tuple[str | None, str]]) -> None:
    (statement,) = sql.parse(text)
    assert sorted((str(one.schema), one.name) for one in relations(statement)) == sorted(
        (str(s), n) for s, n in expected
    )


def test_a_relation_has_its_place_in_bytes() -> None:
    (statement,) = sql.parse("SELECT 'é' FROM auth.users")
    (relation,) = relations(statement)
    assert statement.source.encode()[relation.location :] == b"auth.users"


def test_program_texts_are_found_with_their_language() -> None:
    function, block, atomic = sql.parse(
        "CREATE FUNCTION f() RETURNS int LANGUAGE SQL AS 'SELECT 1'; DO $$BEGIN END$$;"
        "CREATE FUNCTION g() RETURNS int BEGIN ATOMIC SELECT 1 FROM t; END"
    )
    assert [one[:2] for one in bodies(function)] == [("sql", "SELECT 1")]
    assert [one[:2] for one in bodies(block)] == [("plpgsql", "BEGIN END")]
    assert bodies(atomic) == ()
    assert [one.name for one in relations(atomic)] == ["t"]


def test_comments_are_found_outside_of_quotes_only() -> None:
    found = sql.comments("-- é\nSELECT '-- no', $$-- no$$ /* yes\n */\n-- last")
    assert [(one.text, one.line) for one in found] == [("-- é", 1), ("/* yes\n */", 2), ("-- last", 4)]
    with pytest.raises(SqlSyntaxError):
        sql.comments("SELECT 'open")
