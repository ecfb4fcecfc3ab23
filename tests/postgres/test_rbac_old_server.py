"""A server that is too old for head is refused in one message, before anything is changed."""

from __future__ import annotations

import pytest
from sqlalchemy import make_url

from truing.catalog.read import read_snapshot
from truing.errors import UnsupportedChangeError
from truing.rbac import script
from truing.rbac.adopt import init

pytestmark = pytest.mark.pg("<15")
REFUSED = r"rbac_tenant_keys .* needs PostgreSQL 15, and this is 14"
STAMP = "SELECT version_num FROM alembic_version"


def snapshot(database):
    with database.connect() as connection:
        return read_snapshot(connection, include=("public",))


def test_a_new_database_is_not_made(database):
    name = f"{database.name}_new"
    url = make_url(database.url).set(database=name)
    with pytest.raises(UnsupportedChangeError, match=REFUSED):
        init(url.render_as_string(hide_password=False))
    assert database.execute("SELECT FROM pg_database WHERE datname = %s", (name,)) == []


def test_one_that_is_there_stays_empty(database):
    with pytest.raises(UnsupportedChangeError, match=REFUSED):
        init(database.url, schema="app")
    assert database.execute("SELECT to_regnamespace('app'), to_regclass('alembic_version')") == [(None, None)]


@pytest.mark.parametrize("start", [script.LEGACY, "rbac_foreign_key_implementation", script.CONTRACT])
def test_an_upgrade_to_head_changes_nothing_and_one_to_what_it_can_goes(legacy, engine, database, start):
    with engine.connect() as connection:
        script.upgrade(connection, start)
    before, stamp = snapshot(database), database.execute(STAMP)
    with engine.connect() as connection, pytest.raises(UnsupportedChangeError, match=REFUSED):
        script.upgrade(connection)
    assert (snapshot(database), database.execute(STAMP)) == (before, stamp)
    with engine.connect() as connection:
        script.upgrade(connection, script.CONTRACT)
    with engine.connect() as connection:
        script.downgrade(connection, script.LEGACY)
