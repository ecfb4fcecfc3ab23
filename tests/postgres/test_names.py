"""Our quoting against the server's own: quote_ident(), and literals and bodies that come back as they went."""

from __future__ import annotations

import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from truing.names import QualifiedName, body, ident, idents, literal, parse_qualified

# The connection serves all examples of one test, so that the fixture's scope is right.
real = settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])

# Anything that PostgreSQL's text can hold, with a liking for what quoting is about.
texts = st.text(
    st.one_of(
        st.sampled_from("\"'\\$;-_/* \n\r\tabzABZ09éßİ\u00a0\u200b\ufeff💥"),
        st.characters(exclude_characters="\0", exclude_categories=["Cs"]),
    ),
    max_size=40,
)
names = texts.filter(lambda name: 0 < len(name.encode()) <= 63)


@pytest.fixture
def connection(connect):
    return connect(client_encoding="utf8")


def test_every_keyword_is_quoted_as_the_server_does(connection):
    words = connection.execute("SELECT word, quote_ident(word) FROM pg_get_keywords() ORDER BY word").fetchall()
    assert len(words) > 400
    # Our list serves every major, so it may quote what this one need not; never the other way round.
    unquoted = [word for word, quoted in words if quoted != word and ident(word) == word]
    assert unquoted == []


@pytest.mark.pg(">=18")
def test_no_keyword_is_quoted_that_the_newest_server_leaves_alone(connection):
    words = connection.execute("SELECT word FROM pg_get_keywords() WHERE quote_ident(word) = word").fetchall()
    assert [word for (word,) in words if ident(word) != word] == []


@real
@given(name=names)
@example(name="_a1")
@example(name="1a")
@example(name="a$b")
@example(name="A")
@example(name="é")
@example(name='"')
def test_identifiers_are_quoted_as_the_server_does(connection, name):
    (quoted,) = connection.execute("SELECT quote_ident(%s)", [name]).fetchone()
    assert ident(name) == quoted


@real
@given(schema=names, name=names)
@example(schema="select", name="table")
@example(schema='"', name="'")
def test_qualified_names_are_resolved_by_the_server_to_their_parts(connection, schema, name):
    qualified = QualifiedName(schema, name)
    assert connection.execute("SELECT parse_ident(%s)", [qualified.sql]).fetchone() == ([schema, name],)


@real
@given(schema=names, name=names)
def test_a_typed_name_means_to_us_what_it_means_to_the_server(schema, name):
    # Quoted, any name can be typed.
    assert parse_qualified(QualifiedName(schema, name).sql) == QualifiedName(schema, name)
    assert parse_qualified(ident(name)) == QualifiedName("public", name)


@pytest.mark.parametrize(
    "text", ["profiles", "App.Profiles", '"We""Ird"."x.y"', "  app . t ", 'a."B"', "täble", "Ä.b", "_x$1.y"]
)
def test_names_as_people_type_them_are_read_as_the_server_reads_them(connection, text):
    (parts,) = connection.execute("SELECT parse_ident(%s)", [text]).fetchone()
    assert parse_qualified(text) == QualifiedName(*([] if len(parts) == 2 else ["public"]), *parts)


@pytest.mark.parametrize(
    "text", ["a.b.c", "a..b", ".a", "a.", '"a', 'a"', "", "  ", '""', "a b", "1a", "a-b", "a;b", "$x"]
)
def test_what_the_server_refuses_as_a_name_we_refuse(connection, text):
    try:
        (parts,) = connection.execute("SELECT parse_ident(%s)", [text]).fetchone()
    except psycopg.errors.InvalidParameterValue:
        parts = None
    assert parts is None or len(parts) > 2, "the server reads this; the test is wrong"
    with pytest.raises(ValueError, match="not a table name"):
        parse_qualified(text)


@real
@given(value=texts)
@example(value="\\")
@example(value="\\'; DROP TABLE t; --")
@example(value="'")
@example(value="")
@pytest.mark.parametrize("conforming", ["on", "off"])
def test_literals_come_back_as_they_went(connection, conforming, value):
    connection.execute(f"SET standard_conforming_strings = {conforming}; SET escape_string_warning = off".encode())
    assert connection.execute(f"SELECT {literal(value)}::text".encode()).fetchone() == (value,)
    # Next to a word, where E'...' could become part of it.
    assert connection.execute(f"SELECT 1 WHERE {literal(value)}={literal(value)}".encode()).fetchone() == (1,)
    assert connection.execute(f"SELECT{literal(value)}AS a".encode()).fetchone() == (value,)


def test_null_is_a_literal(connection):
    assert connection.execute(f"SELECT {literal(None)}::text".encode()).fetchone() == (None,)


@real
@given(
    source=st.one_of(
        texts, st.lists(st.sampled_from(["$truing$", "$truing1$", "$truing", "truing$", "$", "$$"])).map("".join)
    )
)
@example(source="$truing$ $truing1$")
@example(source="ends with $truing")
@example(source="ends with $")
def test_bodies_come_back_as_they_went(connection, source):
    assert connection.execute(f"SELECT {body(source)}".encode()).fetchone() == (source,)


def test_tables_with_hostile_names_are_made_and_found(connection):
    hostile = ['we"ird', "o'neil", "li\nne", "select", "Ünï", "e" * 63, " ", "$1", "a.b", "%s", "--", "💥"]
    for schema in hostile:
        connection.execute(f"CREATE SCHEMA {ident(schema)}".encode())
        for name in hostile[:4]:
            table = QualifiedName(schema, name)
            connection.execute(f"CREATE TABLE {table.sql} ({idents(hostile, ' int, ')} int)".encode())
            found = connection.execute(
                "SELECT array_agg(attname::text ORDER BY attnum) FROM pg_attribute"
                f" WHERE attnum > 0 AND attrelid = {literal(table.sql)}::regclass".replace("%", "%%").encode(),
                [],
            ).fetchone()
            assert found == (hostile,)
