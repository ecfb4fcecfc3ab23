"""What PostgreSQL could not make of a model, found without asking it."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import Column, Index, Integer, MetaData, String, Table

from truing.orm.creation import problems

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
