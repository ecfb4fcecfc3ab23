"""Statements and the changes they stand for."""

from __future__ import annotations

import pytest

from truing import changes as c
from truing.names import QualifiedName
from truing.sql.lower import lower
from truing.sql.parse import parse

T = QualifiedName("app", "t")
P = QualifiedName("app", "p")


def changes(text: str) -> list[c.AnyChange]:
    return [change for statement in parse(text) for change in lower(statement, "app")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("DROP TABLE t, a.b", [c.DropTable(T), c.DropTable(QualifiedName("a", "b"))]),
        ("ALTER TABLE t RENAME TO q", [c.RenameTable(T, "q")]),
        ("ALTER TABLE t RENAME a TO b", [c.RenameColumn(T, "a", "b")]),
        ("ALTER TABLE t DROP a, DROP COLUMN IF EXISTS b", [c.DropColumn(T, "a"), c.DropColumn(T, "b")]),
        ("ALTER TABLE t ALTER a TYPE uuid USING a::uuid", [c.AlterColumnType(T, "a", "uuid", "a::uuid")]),
        ("ALTER TABLE t ALTER a SET NOT NULL", [c.SetNotNull(T, "a")]),
        ("ALTER TABLE t ALTER a DROP NOT NULL", [c.DropNotNull(T, "a")]),
        ("ALTER TABLE t ALTER a SET DEFAULT now()", [c.SetDefault(T, "a", "now()")]),
        ("ALTER TABLE t ALTER a DROP DEFAULT", [c.SetDefault(T, "a", None)]),
        ("ALTER TABLE t VALIDATE CONSTRAINT v", [c.ValidateConstraint(T, "v")]),
        ("ALTER TABLE t DROP CONSTRAINT v", [c.DropConstraint(T, "v")]),
        ("ALTER TABLE t ADD CONSTRAINT n NOT NULL a", [c.SetNotNull(T, "a")]),
        (
            'ALTER TABLE t ADD CONSTRAINT n NOT NULL "A" NOT VALID',
            [c.AddCheck(T, "n", '"A" IS NOT NULL', validated=False)],
        ),
        ("ALTER TABLE t ADD CHECK (a > 0)", [c.AddCheck(T, None, "a > 0")]),
        ("ALTER TABLE t ADD CONSTRAINT k CHECK (a > 0) NOT VALID", [c.AddCheck(T, "k", "a > 0", validated=False)]),
        ("ALTER TABLE t ADD CHECK (a > 0) NOT ENFORCED", [c.AddCheck(T, None, "a > 0", validated=False)]),
        (
            "ALTER TABLE t ADD UNIQUE NULLS NOT DISTINCT (a, b)",
            [c.AddUnique(T, None, ("a", "b"), nulls_not_distinct=True)],
        ),
        (
            "ALTER TABLE t ADD CONSTRAINT k PRIMARY KEY USING INDEX i",
            [c.AddUnique(T, "k", (), primary=True, using_index="i")],
        ),
        (
            "DROP INDEX CONCURRENTLY a.i, j",
            [
                c.DropIndex(QualifiedName("a", ""), "i", concurrently=True),
                c.DropIndex(QualifiedName("app", ""), "j", concurrently=True),
            ],
        ),
        ("CREATE INDEX ON t (a)", [c.CreateIndex(T, None, ("a",))]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_change_for_each_statement(text: str, expected: list[c.AnyChange]) -> None:
    assert changes(text) == expected


@pytest.mark.parametrize(
    ("clause", "fields"),
    [
        ("", {}),
        ("(id)", {"referenced_columns": ("id",)}),
        (
            "(id) ON DELETE CASCADE ON UPDATE SET DEFAULT",
            {"referenced_columns": ("id",), "on_delete": "CASCADE", "on_update": "SET DEFAULT"},
        ),
        ("ON DELETE RESTRICT", {"on_delete": "RESTRICT"}),
        ("ON DELETE SET NULL", {"on_delete": "SET NULL"}),
        ("MATCH FULL", {"match_full": True}),
        ("DEFERRABLE", {"deferrable": True}),
        ("DEFERRABLE INITIALLY DEFERRED", {"deferrable": True, "initially_deferred": True}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_foreign_keys_are_the_same_however_they_are_written(clause: str, fields: dict[str, object]) -> None:
    key = c.AddForeignKey(T, None, ("a",), P, **fields)
    assert changes(f"ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES p {clause}") == [key]
    assert changes(f"ALTER TABLE t ADD COLUMN a int REFERENCES p {clause}") == [c.AddColumn(T, "a", "integer"), key]
    assert changes(f"CREATE TABLE t (a int REFERENCES p {clause})") == [c.CreateTable(T), key]
    assert changes(f"CREATE TABLE t (a int, FOREIGN KEY (a) REFERENCES p {clause})") == [c.CreateTable(T), key]


def test_a_foreign_key_with_everything() -> None:
    (key,) = changes(
        'ALTER TABLE t ADD CONSTRAINT "F k" FOREIGN KEY (a, b) REFERENCES x.p (c, d) ON DELETE SET NULL (b) NOT VALID'
    )
    assert key == c.AddForeignKey(
        T,
        "F k",
        ("a", "b"),
        QualifiedName("x", "p"),
        ("c", "d"),
        on_delete="SET NULL",
        on_delete_columns=("b",),
        validated=False,
    )


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ("a text", c.AddColumn(T, "a", "text")),
        (
            "a varchar(5) NOT NULL DEFAULT 'é'",
            c.AddColumn(T, "a", "character varying(5)", nullable=False, default="'é'"),
        ),
        ("a uuid DEFAULT gen_random_uuid()", c.AddColumn(T, "a", "uuid", default="gen_random_uuid()")),
        ("a bigserial", c.AddColumn(T, "a", "bigint", nullable=False, default="nextval('app.t_a_seq'::regclass)")),
    ],
)
def test_new_columns(column: str, expected: c.AddColumn) -> None:
    assert changes(f"ALTER TABLE t ADD {column}") == [expected]


def test_a_new_column_with_constraints_is_several_changes() -> None:
    found = changes("ALTER TABLE t ADD a int PRIMARY KEY CHECK (a > 0) UNIQUE")
    assert found == [
        c.AddColumn(T, "a", "integer", nullable=False),
        c.AddUnique(T, None, ("a",), primary=True),
        c.AddCheck(T, None, "a > 0"),
        c.AddUnique(T, None, ("a",)),
    ]


@pytest.mark.parametrize("clause", ["GENERATED ALWAYS AS (b + 1) STORED", "GENERATED BY DEFAULT AS IDENTITY"])
def test_where_a_columns_values_come_from_is_not_passed_over(clause: str) -> None:
    _, other = changes(f"ALTER TABLE t DROP z, ADD a int {clause}")[1:]
    assert isinstance(other, c.OtherStatement)
    assert clause.partition(" ")[0] in other.sql
    assert "DROP" not in other.sql


def test_an_index_with_everything() -> None:
    text = (
        'CREATE UNIQUE INDEX CONCURRENTLY i ON x.y USING gist (lower(a) COLLATE "C" text_ops DESC NULLS LAST, (b + 1), "c d")'
        " INCLUDE (e) NULLS NOT DISTINCT WHERE a > '1'"
    )
    assert changes(text) == [
        c.CreateIndex(
            QualifiedName("x", "y"),
            "i",
            ('lower(a) COLLATE "C" text_ops DESC NULLS LAST', "(b + 1)", '"c d"'),
            unique=True,
            method="gist",
            include=("e",),
            where="a > '1'",
            nulls_not_distinct=True,
            concurrently=True,
        )
    ]


@pytest.mark.parametrize(
    ("text", "tag", "table"),
    [
        ("UPDATE a.b SET x = 1", "UPDATE", QualifiedName("a", "b")),
        ("DO $$ BEGIN DROP TABLE t; END $$", "DO", QualifiedName("", "")),
        ("CREATE FUNCTION f() RETURNS void LANGUAGE sql AS 'DROP TABLE t'", "CREATE FUNCTION", QualifiedName("", "")),
        ("ALTER VIEW t RENAME a TO b", "ALTER VIEW", T),
        ("ALTER INDEX t RENAME TO u", "ALTER INDEX", T),
        ("ALTER TABLE t RENAME CONSTRAINT a TO b", "ALTER TABLE", T),
        ("DROP VIEW t", "DROP VIEW", T),
        ("ALTER TABLE t ADD EXCLUDE USING gist (a WITH =)", "ALTER TABLE", T),
        ("SET lock_timeout = '1s'", "SET", QualifiedName("", "")),
    ],
)
def test_everything_else_stays_visible(text: str, tag: str, table: QualifiedName) -> None:
    (change,) = changes(text)
    assert isinstance(change, c.OtherStatement)
    assert (change.tag, change.table) == (tag, table)


def test_only_the_unknown_part_of_an_alter_table_is_another_statement() -> None:
    known, unknown = changes("ALTER TABLE t DROP a, ENABLE ROW LEVEL SECURITY")
    assert known == c.DropColumn(T, "a")
    assert unknown == c.OtherStatement(T, "ALTER TABLE t ENABLE ROW LEVEL SECURITY", "ALTER TABLE")


def test_new_tables_of_other_kinds() -> None:
    assert changes("CREATE TEMP TABLE x (a int NOT NULL)") == [c.CreateTable(QualifiedName("pg_temp", "x"))]
    made, copied = changes("CREATE TABLE t AS SELECT * FROM p")
    assert (made, type(copied)) == (c.CreateTable(T), c.OtherStatement)
    made, parent = changes("CREATE TABLE t PARTITION OF p DEFAULT")
    assert (made, parent.table) == (c.CreateTable(T), P)
    _, excluded, like = changes("CREATE TABLE t (a int, EXCLUDE USING gist (a WITH =), LIKE p)")
    assert {type(excluded), type(like)} == {c.OtherStatement}


def test_the_default_schema_is_public_and_only_for_unqualified_names() -> None:
    (statement,) = parse('ALTER TABLE "T" ADD FOREIGN KEY (a) REFERENCES "X".p')
    (key,) = lower(statement)
    assert (key.table, key.references) == (QualifiedName("public", "T"), QualifiedName("X", "p"))
