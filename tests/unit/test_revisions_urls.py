"""Database URLs: read, translated, refused, and never shown with a password."""

from __future__ import annotations

import pytest
from psycopg.conninfo import conninfo_to_dict

from truing.errors import ProjectError
from truing.revisions.urls import conninfo, postgresql_url, redact, sqlalchemy_url


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://u:p@h:5433/d", {"user": "u", "password": "p", "host": "h", "port": "5433", "dbname": "d"}),
        ("postgres://u@h/d", {"user": "u", "host": "h", "dbname": "d"}),
        (
            "postgresql+asyncpg://u@h/d?ssl=require&command_timeout=3",
            {"user": "u", "host": "h", "dbname": "d", "sslmode": "require"},
        ),
        ("postgresql+psycopg2:///d?host=/var/run/pg&port=5433", {"host": "/var/run/pg", "port": "5433", "dbname": "d"}),
        ("postgresql://u:p%40%2F%3Aq@h/d%20b", {"user": "u", "password": "p@/:q", "host": "h", "dbname": "d b"}),
        ("postgresql://u@/d?host=a:5433&host=b:5434", {"user": "u", "host": "a,b", "port": "5433,5434", "dbname": "d"}),
        ("postgresql://u@[::1]:5433/d", {"user": "u", "host": "::1", "port": "5433", "dbname": "d"}),
        (
            "postgresql://h/d?sslmode=require&application_name=it's%20me",
            {"host": "h", "dbname": "d", "sslmode": "require", "application_name": "it's me"},
        ),
        ("postgresql://", {}),
    ],
)
def test_a_url_as_a_connection_string(url: str, expected: dict[str, str]) -> None:
    assert conninfo_to_dict(conninfo(url)) == expected


def test_more_parameters_win_over_the_urls_own() -> None:
    assert (
        conninfo_to_dict(conninfo("postgresql://h/d?application_name=x", application_name="truing"))["application_name"]
        == "truing"
    )


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgres://u:p@h/d", "postgresql+psycopg://u:p@h/d"),
        ("postgresql+asyncpg://u:p%40x@h/d?ssl=true", "postgresql+psycopg://u:p%40x@h/d?sslmode=require"),
        ("postgresql:///d?host=/tmp/x", "postgresql+psycopg:///d?host=/tmp/x"),
    ],
)
def test_a_url_for_sqlalchemy(url: str, expected: str) -> None:
    assert sqlalchemy_url(url).replace("%2F", "/") == expected


@pytest.mark.parametrize(
    "url",
    ["mysql://u:secret@h/d", "sqlite:///x.db", "oracle+cx://u:secret@h", "u:secret@h/d", "", "host=h password=secret"],
)
def test_other_urls_are_refused_without_their_password(url: str) -> None:
    with pytest.raises(ProjectError) as caught:
        postgresql_url(url)
    assert "secret" not in str(caught.value)
    assert "postgresql://" in str(caught.value)


def test_a_url_that_cannot_be_read_is_an_error() -> None:
    with pytest.raises(ProjectError) as caught:
        conninfo("postgresql://u:secret@h:port/d")
    assert "secret" not in str(caught.value)


def test_a_parameter_that_libpq_does_not_know_is_an_error_without_the_password() -> None:
    with pytest.raises(ProjectError, match="sslmod") as caught:
        conninfo("postgresql://u:secret@h/d?sslmod=require")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://u:secret@h/d", "postgresql://u:***@h/d"),
        ("postgresql+asyncpg://u:se/cr:et@h/d", "postgresql+asyncpg://u:***@h/d"),
        ("postgresql://u@h/d?password=secret&x=1", "postgresql://u@h/d?password=***&x=1"),
        ("host=h password='se cret' dbname=d", "host=h password=*** dbname=d"),
        ("connecting to postgres://u:secret@h:1/d failed", "connecting to postgres://u:***@h:1/d failed"),
        ("postgresql://u:s3cret@with@s3cret@h/d", "postgresql://u:***@h/d"),
        ("postgresql://u@h/d", "postgresql://u@h/d"),
        ("postgresql://h:5432/d", "postgresql://h:5432/d"),
    ],
)
def test_redact(text: str, shown: str) -> None:
    assert redact(text) == shown
