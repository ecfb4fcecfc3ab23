"""What of a trigger's function runs for an INSERT, and what for an UPDATE."""

from __future__ import annotations

import re

import pytest

from truing.orm.branches import branches_of


@pytest.mark.parametrize(
    ("body", "insert", "update"),
    [
        ("a; IF TG_OP = 'INSERT' THEN b; END IF; c;", "abc", "ac"),
        ("IF tg_op <> 'INSERT' THEN a; ELSE b; END IF;", "b", "a"),
        ("IF (TG_OP IN ('INSERT', 'DELETE')) THEN a; ELSIF TG_OP = 'UPDATE' THEN b; ELSE c; END IF; d;", "ad", "bd"),
        ("IF TG_OP = 'INSERT' AND x THEN a; ELSE b; END IF;", "ab", "b"),
        ("IF x OR TG_OP = 'INSERT' THEN a; ELSE b; END IF;", "ab", "ab"),
        ("IF x THEN IF TG_OP = 'UPDATE' THEN a; END IF; b; ELSE c; END IF;", "bc", "abc"),
        ("IF TG_OP = 'INSERT' THEN IF x THEN a; ELSE b; END IF; ELSE c; END IF;", "ab", "c"),
        ("CASE TG_OP WHEN 'INSERT' THEN a; WHEN 'UPDATE' THEN b; ELSE c; END CASE; d;", "ad", "bd"),
        ("IF TG_OP = 'INSERT' THEN q := CASE WHEN x THEN CASE y WHEN 1 THEN 2 END ELSE 3 END; a; END IF;", "a", ""),
        ("IF TG_OP = 'UPDATE' THEN CASE WHEN x THEN a; ELSE b; END CASE; c; END IF;", "", "abc"),
        ("PERFORM 1 WHERE x; DROP TABLE IF EXISTS q; a;", "a", "a"),
        ("ELSE a; END IF; b;", "ab", "ab"),
    ],
)
def test_the_branches_of_an_event(body, insert, update):
    for event, expected in (("INSERT", insert), ("UPDATE", update)):
        assert "".join(re.findall(r"\b([a-d]);", branches_of(body, event))) == expected, event


def test_what_is_given_is_not_null():
    body = 'IF NEW.slug IS NULL THEN a; END IF; IF NEW."Odd" IS NULL AND x THEN b; END IF;'
    assert re.findall(r"\b([a-d]);", branches_of(body, "INSERT")) == ["a", "b"]
    assert re.findall(r"\b([a-d]);", branches_of(body, "INSERT", ("slug", "Odd"))) == []


def test_a_long_body_is_read_in_no_time():
    body = "CASE WHEN " * 300 + "IF x THEN " * 300 + '"' * 999 + "a;" * 5000
    assert branches_of(body, "INSERT")
