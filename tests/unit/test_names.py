"""Names that are made up fit and stay apart, and names that people type are read; what needs a server is in postgres/."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from truing.names import (
    MAX_IDENTIFIER_BYTES,
    QualifiedName,
    body,
    derived,
    ident,
    idents,
    is_own,
    literal,
    parse_qualified,
)

texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=80)


@given(op_id=texts, suffix=texts)
@example(op_id="op", suffix="💥" * 63)
@example(op_id="op", suffix="é" * 22)
def test_derived_names_fit_and_tell_whose_they_are(op_id, suffix):
    name = derived(op_id, suffix)
    assert len(name.encode()) <= MAX_IDENTIFIER_BYTES
    assert name.startswith("__truing_")
    assert derived(op_id, suffix) == name, "the same in every run"
    assert "\ufffd" not in name


@given(first=texts, second=texts, common=st.sampled_from(["", "x" * 40, "é" * 30, "💥" * 20]))
def test_derived_names_of_different_things_differ(first, second, common):
    if first != second:
        assert derived("op", common + first) != derived("op", common + second)
        assert derived(first, "new") != derived(second, "new")


def test_a_short_suffix_is_kept_whole():
    assert derived("op", "new").endswith("_new")
    assert derived("op", "x" * 45).endswith("_" + "x" * 45)
    assert len(derived("op", "x" * 45)) == MAX_IDENTIFIER_BYTES
    assert not derived("op", "x" * 46).endswith("_" + "x" * 45)


@pytest.mark.parametrize("name", ["", "a\0b"])
def test_what_no_name_can_be_is_refused(name):
    with pytest.raises(ValueError, match="not a PostgreSQL identifier"):
        ident(name)


def test_a_literal_cannot_hold_nul():
    with pytest.raises(ValueError, match="NUL"):
        literal("a\0b")


def test_quoting_is_done_only_where_it_is_needed():
    assert idents(["id", "order", "Name", 'a"b']) == 'id, "order", "Name", "a""b"'
    assert str(QualifiedName("auth", "users")) == "auth.users"
    assert QualifiedName("We ird", "user").sql == '"We ird"."user"'
    assert body("SELECT 1") == "$truing$SELECT 1$truing$"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("profiles", ("app", "profiles")),
        ("Auth.Users", ("auth", "users")),
        ('"Auth"."Us.ers"', ("Auth", "Us.ers")),
        ('"we""ird"', ("app", 'we"ird')),
        (' auth . "x" ', ("auth", "x")),
        ('"li\nne"', ("app", "li\nne")),
    ],
)
def test_typed_names(text, expected):
    assert parse_qualified(text, "app") == QualifiedName(*expected)


@pytest.mark.parametrize("text", ["", "a.b.c", "a.", '"a', "a b", "users; DROP TABLE x", "1st", '""', 'a"b"'])
def test_what_is_not_one_name_is_refused(text):
    with pytest.raises(ValueError, match="not a table name"):
        parse_qualified(text)


def test_what_an_operation_puts_on_a_table_is_known_by_its_name():
    column = derived("convert t.c", "old")
    assert is_own(column)
    assert is_own("zzzz_" + column.removeprefix("__"))
    assert [name for name in ("__truing_mine", "zzzz_truing_x", "x__truing_0a1b2c3d_old") if is_own(name)] == []
