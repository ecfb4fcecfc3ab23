"""The address of a scratch database is the one that SQLAlchemy would write, without loading it."""

from __future__ import annotations

import subprocess
import sys

import pytest
from sqlalchemy.engine import URL, make_url

from truing.drift.exchange import Server, url_of

HOSTILE = [
    "postgres",
    "o'neil",
    "a/b?c=d&e#f",
    "per%cent %20",
    "back\\slash",
    "ünïcödé",
    "plus + minus",
    "a@b:c",
    "[x]",
]


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("password", ["", *HOSTILE])
def test_any_user_password_and_folder(text, password):
    server = Server(host=f"/run/{text}", port=5433, user=text, dbname="truing_1_ab", password=password)
    query = {"host": server.host, "port": "5433"}
    meant = URL.create("postgresql+psycopg", text, password or None, database=server.dbname, query=query)
    assert make_url(url_of(server)) == meant
    start, mark, rest = meant.render_as_string(hide_password=False).partition("?")
    assert url_of(server) == f"{start}{mark}{rest.replace('%2F', '/')}"


def test_no_per_cent_sign_where_none_is_needed():
    server = Server(host="/run/truing-1/s", port=5432, user="postgres", dbname="truing_1_ab")
    assert url_of(server, "postgresql") == "postgresql://postgres@/truing_1_ab?host=/run/truing-1/s&port=5432"


def test_it_is_written_without_sqlalchemy():
    code = (
        "import sys; from truing.drift.exchange import Server, environment; "
        "environment({}, Server(host='h', port=1, user='u', dbname='d')); print('sqlalchemy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
