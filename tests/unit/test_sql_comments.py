"""Suppression comments in SQL and in Python."""

from __future__ import annotations

import pytest

from truing.sql.comments import Suppression, python_suppressions, sql_suppressions


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("-- truing: allow a-rule -- it is small\nDROP TABLE t;", Suppression(("a-rule",), "it is small", 1, 2)),
        ("DROP TABLE t; -- truing: allow a-rule -- small", Suppression(("a-rule",), "small", 1, 1)),
        ("/* truing: allow a, b -- two */\n\n-- more\nDROP TABLE t", Suppression(("a", "b"), "two", 1, 4)),
        ("SELECT 'é';\n--truing:allow a -- x -- y\nSELECT 2", Suppression(("a",), "x -- y", 2, 3)),
    ],
    ids=["above", "behind", "block-and-blank-lines", "dense"],
)
def test_in_sql(source: str, expected: Suppression) -> None:
    assert sql_suppressions(source) == (expected,)


@pytest.mark.parametrize(
    "comment",
    ["-- truing: allow a-rule", "-- truing: allow a-rule --", "-- truing: allow -- why", "-- truing: ignore a -- b"],
)
def test_without_a_name_or_a_reason_nothing_is_allowed(comment: str) -> None:
    (one,) = sql_suppressions(f"{comment}\nDROP TABLE t")
    assert one.problem
    assert not one.allows("a-rule", 2)


@pytest.mark.parametrize(
    "source", ["SELECT '-- truing: allow a -- b'", "-- about truing: nothing", "SELECT 'open -- truing: allow a -- b"]
)
def test_other_text_is_no_suppression(source: str) -> None:
    assert sql_suppressions(source) == ()


def test_in_python() -> None:
    source = (
        "def upgrade():\n"
        "    # truing: allow one -- above\n"
        "    op.drop_table(\n"
        '        "t",  # truing: allow two -- inside\n'
        "    )\n"
        '    op.execute("# truing: allow no -- text")  # truing: allow three -- behind\n'
    )
    assert [(one.names[0], one.target) for one in python_suppressions(source)] == [("one", 3), ("two", 3), ("three", 6)]
    assert python_suppressions("def broken(:") == ()


def test_a_suppression_allows_its_own_rule_on_its_own_lines() -> None:
    one = Suppression(("a",), "why", 1, 5)
    assert one.allows("a", 5)
    assert one.allows("a", 3, 6)
    assert not one.allows("a", 6, 8)
    assert not one.allows("b", 5)
