"""What is in a schema that only one side has is said with the schema; what only sounds like it is not."""

from __future__ import annotations

import pytest

from truing.catalog.diff import Difference
from truing.drift.comparing.scope import folded

SCHEMA = Difference("schema", "app", "", None, "schema")


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (Difference("table", "app.t", "", None, "id integer"), False),
        (Difference("table", "app.t", "", "id integer", None), True),
        (Difference("table", "app2.t", "", None, "id integer"), True),
        (Difference("database setting", "app.tenant", "", None, "5"), True),
    ],
    ids=["within", "on the other side", "another schema", "a setting"],
)
def test_what_comes_with_a_schema(other, said):
    assert (other in folded((SCHEMA, other))) is said
