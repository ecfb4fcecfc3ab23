"""Database URLs: read, translated, refused, and never shown with a password."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy.engine import make_url

from truing.errors import ProjectError
from truing.redaction import redact
from truing.revisions.urls import _quickly_parsed, conninfo, postgresql_url, sqlalchemy_url


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
    [
        *("mysql://u:secret@h/d", "sqlite:///x.db", "oracle+cx://u:secret@h", "u:secret@h/d", ""),
        *("host=h password=secret", "postgresql://u:a secret@h/d", "postgresql://u:secret b@h/d"),
    ],
)
def test_other_urls_are_refused_without_their_password(url: str) -> None:
    with pytest.raises(ProjectError) as caught:
        postgresql_url(url)
    assert "secret" not in str(caught.value)
    assert "postgresql://" in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:secret@h:port/d",
        "postgresql://u:a@secret@h/d",
        "postgresql://u:a/b@secret@h/d",
        "postgresql://u:a@b:secret@h:5/d",
    ],
)
def test_a_url_that_cannot_be_read_is_an_error(url: str) -> None:
    with pytest.raises(ProjectError) as caught:
        conninfo(url)
    assert "secret" not in str(caught.value)
    assert "percent-encode" in str(caught.value)


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
        ("postgresql://u@corp:secret@h/d", "postgresql://u@corp:***@h/d"),
        ("failed to resolve host 'secret@with@h': no", "failed to resolve host '***@h': no"),
        ('could not translate host name "secret@h" to address', 'could not translate host name "***@h" to address'),
        ("postgresql://u@h/d", "postgresql://u@h/d"),
        ("postgresql://h:5432/d", "postgresql://h:5432/d"),
    ],
)
def test_redact(text: str, shown: str) -> None:
    assert redact(text) == shown


PIECES = ("postgresql", "+psycopg", "://", "u", ":", "@", "h.x", "localhost", "5432", "/", "d", "?", "=", "&", "host", "%40",
    "%2Fx", "%", "+", "#", "[::1]", "é", ",", ";", " ", ".", "-", "_", "a=1")  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=12).map(lambda rest: "postgresql://" + "".join(rest)))
@example("postgresql+psycopg://postgres@/d?host=/tmp/s&port=5432")
@example("postgresql://u:p%40%2F@h:5432/d%20b?host=a&host=b&host=c&x=")
@example("postgresql://:@/")
@example("postgresql:///d?a=1;b=2")
def test_what_is_read_without_sqlalchemy_is_what_sqlalchemy_reads(url: str) -> None:
    quick = _quickly_parsed(url)
    if quick is not None:
        parsed = make_url(url)
        for part in ("username", "password", "host", "port", "database"):
            assert getattr(quick, part) == getattr(parsed, part), part
        assert (list(quick.query.items()), quick.query) == (list(parsed.query.items()), dict(parsed.query))


def test_usual_urls_are_read_without_sqlalchemy() -> None:
    for url in ("postgresql://u:p@h:5433/d", "postgresql+psycopg://u@/d?host=/tmp/s&port=5432", "postgresql://h/d"):
        assert _quickly_parsed(url) is not None
