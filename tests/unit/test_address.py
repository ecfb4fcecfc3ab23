"""Addresses of databases are read alike by SQLAlchemy and by libpq, whatever the names hold."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import make_url

from truing.errors import UsageError
from truing.server import address

# What a name in PostgreSQL can hold: anything but NUL, and UTF-8 has no surrogates.
names = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=63)


@given(database=names, user=names)
@example(database="a/b?c#d&e=f%20+ g", user="o'neil@corp:x")
@example(database="\n", user='"')
def test_socket_addresses_say_the_same_to_libpq_and_sqlalchemy(database, user):
    url = address.socket_url("/run/truing-x/s", 5432, database, user)
    said = {"host": "/run/truing-x/s", "port": "5432", "dbname": database, "user": user}
    assert conninfo_to_dict(url) == said
    dialect = make_url(url).get_dialect()()
    assert dialect.create_connect_args(make_url(url)) == ([], said)
    assert address.database_of(url) == database


@given(password=names)
def test_tcp_addresses_carry_any_password(password):
    url = address.tcp_url("127.0.0.1", 6000, "d", "u", password)
    assert conninfo_to_dict(url)["password"] == password
    assert make_url(url).password == password


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://u@h:1/old", "postgresql://u@h:1/new"),
        ("postgresql://h", "postgresql://h/new"),
        ("postgresql://", "postgresql:///new"),
        ("postgresql:///old?host=/s", "postgresql:///new?host=/s"),
        (
            "postgresql+psycopg://u:p%23#?w@h/old?sslmode=require",
            "postgresql+psycopg://u:p%23#?w@h/new?sslmode=require",
        ),
        ("postgres://u@[::1]:2/?dbname=old&port=3", "postgres://u@[::1]:2/new?port=3"),
        ("postgresql://u@h/a?dbname=old", "postgresql://u@h/new"),
    ],
)
def test_another_database_of_the_same_server(url, expected):
    assert address.with_database(url, "new") == expected


@given(old=names, new=names)
def test_any_name_replaces_any_name(old, new):
    url = address.with_database(address.socket_url("/s", 1, old, "u"), new)
    assert address.database_of(url) == new
    assert address.database_of(address.with_database("postgresql://h/x?dbname=y", new)) == new


@pytest.mark.parametrize(
    ("url", "database"), [("postgresql://h", ""), ("postgresql://h/d", "d"), ("postgresql://h/d?dbname=e%20f", "e f")]
)
def test_the_database_an_address_names(url, database):
    assert address.database_of(url) == database


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg", "postgresql+asyncpg"])
def test_libpq_gets_no_driver_name(scheme):
    assert address.libpq_url(f"{scheme}://postgres@/d?host=/s") == "postgresql://postgres@/d?host=/s"


@pytest.mark.parametrize("text", ["mysql://u:secret@h/d", "host=h password=secret", "", "postgresql:/u:secret@h"])
def test_what_is_no_address_is_refused_without_showing_it(text):
    for read in (address.libpq_url, address.database_of, lambda url: address.with_database(url, "d")):
        with pytest.raises(UsageError) as refusal:
            read(text)
        assert "secret" not in str(refusal.value)
