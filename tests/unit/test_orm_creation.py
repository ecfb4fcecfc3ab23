"""What PostgreSQL could not make of a model, found without asking it."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import (
    CheckConstraint,
    Column,
    Enum,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    text,
)

from truing.orm.creation import key_names, problems

NOWHERE: Any = SimpleNamespace(extensions=())


@pytest.mark.parametrize(
    ("index", "why"),
    [
        (Index("i"), "it is an index without columns"),
        (Index("i", "name", postgresql_using="gin").ddl_if(dialect="postgresql"), "no operator class for GIN"),
        (Index("i", "name", postgresql_using="gin").ddl_if(dialect="sqlite"), ""),
        (Index("i", "name", postgresql_using="gin").ddl_if(callable_=lambda *_, **__: False), ""),
        (Index("i", "name"), ""),
    ],
    ids=["no columns", "gin here", "gin elsewhere", "gin perhaps", "plain"],
)
def test_indexes_that_cannot_be_made(index: Index, why: str) -> None:
    table = Table("t", MetaData(), Column("id", Integer, primary_key=True), Column("name", String), index)
    found = [reason for _, reason in problems(table, NOWHERE, Counter())]
    assert len(found) == bool(why)
    assert all(why in reason for reason in found)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ((UniqueConstraint("a", name="q"), Index("q", "b")), ["q"]),
        ((UniqueConstraint("a", name="other"),), ["other"]),
        ((CheckConstraint("a > ''", name="c"), CheckConstraint("b > ''", name="c")), ["c"]),
        ((UniqueConstraint("a", name="q"), Index("i", "b"), CheckConstraint("a > ''", name="c")), []),
        (
            (
                Column("c", Enum("x", name="e", create_constraint=True)),
                Column("d", Enum("x", name="e", create_constraint=True)),
            ),
            [],
        ),
    ],
    ids=["key and index", "key and table", "two checks", "none", "checks of native enums"],
)
def test_names_that_cannot_be_shared(arguments: tuple[Any, ...], named: list[str]) -> None:
    metadata = MetaData()
    table = Table("t", metadata, Column("a", String, primary_key=True), Column("b", String), *arguments)
    Table("other", metadata, Column("id", Integer, primary_key=True))
    used = Counter((each.schema, name) for each in metadata.tables.values() for name in (each.name, *key_names(each)))
    assert [what for what, _ in problems(table, NOWHERE, used)] == named


@pytest.mark.parametrize(("where", "loose"), [({}, False), ({"postgresql_where": text("code > ''")}, True)])
def test_a_key_to_what_is_unique_in_part(where: dict[str, Any], loose: bool) -> None:
    metadata = MetaData()
    Table("p", metadata, Column("code", String, nullable=False), Index("u", "code", unique=True, **where))
    table = Table("t", metadata, Column("code", ForeignKey("p.code"), primary_key=True))
    assert [why for _, why in problems(table, NOWHERE, Counter())] == (["p (code) is not unique"] if loose else [])
