"""Whoever sees a snapshot sees no password, token or key, and still sees what is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from truing.redaction import HIDDEN, option, shown

SECRETS = """
password PASSWORD sslpassword user_password passwd pwd db_pwd passphrase user_pass secret client_secret secretKey
secret_id aws_secret_access_key aws_access_key_id api_key apikey apiKey api-key access_keys key account_key sa_key
vault_access_key_id private_key encryption_key token accessToken auth_token refresh_token bearer_token credential
credentials service_account_credentials authorization basic_auth jwt app.settings.jwt_secret cookie signature sas
""".split()  # noqa: SIM905 - one name per line would be a page
OTHERS = """
host port dbname user username schema_name table_name tablename use_remote_estimate fetch_size key_column key_columns
token_column password_column secret_name password_file passfile token_url token_ttl auth_type auth_method
primary_key partition_key partitionkey sort_key row_key singleton_key tablekeyset tablekeyprefix tokenizer_path
password_required password_encryption app.settings.jwt_exp work_mem search_path keyspace keystore bypass
""".split()  # noqa: SIM905 - one name per line would be a page


@pytest.mark.parametrize("name", SECRETS)
def test_the_value_of_a_secret_is_hidden(name: str) -> None:
    assert shown(name, "hunter2") == HIDDEN
    assert option(f"{name}=hunter=2") == f"{name}={HIDDEN}"


@pytest.mark.parametrize("name", OTHERS)
def test_the_value_of_another_is_shown(name: str) -> None:
    assert shown(name, "hunter2") == "hunter2"


@pytest.mark.parametrize("value", ["true", "FALSE", "on", "no", ""])
def test_yes_no_and_nothing_are_no_secrets(value: str) -> None:
    """``key 'true'`` is how several wrappers mark a column of the key."""
    assert shown("key", value) == value


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("host=a password=b dbname=c", "host=a password=*** dbname=c"),
        ("host=a password = 'b c' dbname=d", "host=a password = *** dbname=d"),
        ("postgresql://u:p%40x@h/d?sslmode=require", "postgresql://u:***@h/d?sslmode=require"),
        ("https://h/p?api_key=abc&page=2", "https://h/p?api_key=***&page=2"),
        ("Driver=x;Server=s;Uid=u;Pwd={a b};Port=1", "Driver=x;Server=s;Uid=u;Pwd=***;Port=1"),
        ("AccountName=a;AccountKey=QWxh==;Suffix=s", "AccountName=a;AccountKey=***;Suffix=s"),
        ('{"host": "h", "password": "a\\"b", "port": 5}', '{"host": "h", "password": "***", "port": 5}'),
        ("Authorization: Bearer abc.def", "Authorization: *** ***"),
        ("X-Header: Basic dXNlcg==", "X-Header: Basic ***"),
        (
            "-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabc\n-----END RSA PRIVATE KEY-----",
            "-----BEGIN RSA PRIVATE KEY-----***-----END RSA PRIVATE KEY-----",
        ),
        ("key_column=id primary_key=id key=true", "key_column=id primary_key=id key=true"),
        ("//host:1521/service", "//host:1521/service"),
    ],
)
def test_a_secret_within_a_value_is_hidden(value: str, expected: str) -> None:
    assert shown("dbserver", value) == expected


@given(
    st.text(max_size=40),
    st.sampled_from(["password", "api_key", "Pwd"]),
    st.text("abcdefXYZ0123", min_size=8, max_size=12),
    st.text(max_size=40),
)
def test_whatever_stands_around_a_password_it_is_not_seen(before: str, name: str, secret: str, after: str) -> None:
    value = f"{before} {name}={secret} {after}"
    once = shown("connection", value)
    assert f"={secret}" not in once
    assert shown("connection", once) == once
