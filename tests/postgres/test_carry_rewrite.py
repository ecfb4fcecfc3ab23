"""A rewritten expression has the value that it had, for any expression, and so has one that was rewritten back."""

from __future__ import annotations

import re
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.fix_server import Database
from truing.errors import SqlSyntaxError
from truing.names import QualifiedName
from truing.online.carry import statements
from truing.online.carry.rewrite import Rewriter
from truing.online.carry.scope import Changed

OLD, NEW = QualifiedName("a", "t"), QualifiedName("b", "t")
COLUMNS = {OLD: ("id", "C c", "n"), NEW: ("id", "C c", "n")}.get
FORTH = Rewriter({OLD: {"C c": Changed("text", "uuid")}}, COLUMNS)
BACK = Rewriter({OLD: {"C c": Changed("uuid", "text")}}, COLUMNS)
VALUES = ("aaaaaaaa-0000-0000-0000-000000000001", "bbbbbbbb-0000-0000-0000-000000000002")

LEAVES = ('"C c"', 't."C c"', "n::text", *(f"'{value}'::text" for value in VALUES), "''::text", "NULL::text")
TEXTS = (
    "({0} || {1})",
    "upper({0})",
    "md5({0})",
    "left({0}, {n})",
    "CASE WHEN {p} THEN {0} ELSE {1} END",
    "CASE {0} WHEN {1} THEN {0} END",
    "coalesce({0}, {1})",
    "nullif({0}, {1})",
    '({0} COLLATE "C")',
    "(ARRAY[{0}, {1}])[2]",
    '(SELECT max(x."C c" || {0}) FROM a.t x WHERE x.id <= t.id)',
    "(SELECT y.z || y.z FROM (SELECT {0} AS z) y)",
    '(SELECT string_agg(s.k, \'\' ORDER BY s.k DESC) FROM (SELECT "C c" AS k FROM a.t GROUP BY "C c") s)',
    '(WITH w AS (SELECT "C c" FROM a.t x WHERE x.n = t.n) SELECT min("C c" || n) FROM w)',
)
CONDITIONS = (
    "({0} = {1})",
    "({0} < {1})",
    "({0} >= {1})",
    "({0} LIKE {1} || '%')",
    "({0} IS DISTINCT FROM {1})",
    "({0} IN ({1}, 'x'))",
    '({0} IN (SELECT x."C c" FROM a.t x WHERE x."C c" <> t."C c"))',
    '({0} = ANY (ARRAY(SELECT "C c" FROM a.t)))',
    "(({0}, {n}) = ({1}, {n}))",
    "({0} BETWEEN {1} AND {0})",
    "({0} IS NULL)",
    "({p} AND NOT {p})",
    "({p} OR {p})",
    f"(\"C c\"::uuid = '{VALUES[0]}'::uuid)",
    'EXISTS (SELECT 1 FROM a.t x WHERE x."C c" = t."C c" AND x.id <> t.id)',
)
NUMBERS = ("n", "id", "3", "length({0})", "({n} - {n})")


@st.composite
def expressions(draw: st.DrawFn, depth: int = 3, forms: tuple[str, ...] = TEXTS) -> str:
    """A small random expression over the columns of a.t."""
    if depth == 0:
        leaves = LEAVES if forms is TEXTS else CONDITIONS[-2:] if forms is CONDITIONS else NUMBERS[:3]
        return draw(st.sampled_from(leaves))
    form = draw(st.sampled_from(forms))

    def part(field: str) -> str:
        some = {"p": CONDITIONS, "n": NUMBERS}.get(field, TEXTS)
        return draw(expressions(draw(st.integers(0, depth - 1)), some))

    pieces = re.split(r"\{([01pn])\}", form)
    return "".join(part(piece) if place % 2 else piece for place, piece in enumerate(pieces))


@pytest.fixture
def connection(database: Database) -> psycopg.Connection[Any]:
    connection = database.connect()
    for schema, type_ in (("a", "text"), ("b", "uuid")):
        connection.execute(f'CREATE SCHEMA {schema}; CREATE TABLE {schema}.t (id int, "C c" {type_}, n int)')
        rows = f"(1, '{VALUES[0]}', 5), (2, '{VALUES[1]}', 5), (3, NULL, 7), (4, '{VALUES[0]}', NULL)"
        connection.execute(f"INSERT INTO {schema}.t VALUES {rows}")
    return connection


@given(expression=st.one_of(expressions(), expressions(forms=CONDITIONS)))
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_an_expression_keeps_its_value(connection: psycopg.Connection[Any], expression: str) -> None:
    def value(text: str, table: QualifiedName) -> list[tuple[Any, ...]] | str:
        # After the swap the very same table has the other type; here it is the one in the other schema.
        query = f"SELECT id, {text} FROM a.t ORDER BY id".replace("a.t", f"{table.schema}.t")
        try:
            return connection.execute(query.encode()).fetchall()
        except psycopg.errors.DataError as error:
            return str(error.sqlstate)

    # What the parser's writer cannot write is refused (see below), never written otherwise. PostgreSQL prints no BETWEEN.
    assume(not ("BETWEEN" in expression and "COLLATE" in expression))
    forth = statements.expression(FORTH, expression, OLD)
    before, after = value(expression, OLD), value(forth, NEW)
    assert after == before
    back = statements.expression(BACK, forth, OLD)
    assert value(back, OLD) == before


def test_what_the_writer_writes_wrongly_is_refused() -> None:
    with pytest.raises(SqlSyntaxError, match="cannot be written back"):
        statements.expression(FORTH, '("C c" BETWEEN ("C c" COLLATE "C") AND "C c")', OLD)


def test_the_rewriter_would_be_caught(connection: psycopg.Connection[Any]) -> None:
    """Without rewriting, the same comparison fails: the property above can fail."""
    with pytest.raises(psycopg.errors.UndefinedFunction):
        connection.execute('SELECT "C c" || n FROM b.t WHERE upper("C c") = \'x\'')
