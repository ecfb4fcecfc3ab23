"""No secret that the catalog holds is in a snapshot: neither in its values, nor in a file, nor in what differs."""

from __future__ import annotations

import msgspec
import pytest

from truing.catalog.diff import compare
from truing.catalog.read import read_snapshot, read_table
from truing.drift.snapshots import Taken, encode
from truing.names import QualifiedName

FILLED = """
CREATE FOREIGN DATA WRAPPER w OPTIONS (api_token 'hunter2', region 'eu');
CREATE SERVER s FOREIGN DATA WRAPPER w OPTIONS (
    host 'a', "Secret Key" 'hunter2', dsn 'host=a password=''hunter2 b'' dbname=c', url 'https://u:hunter2@h/p', key_column 'id'
);
CREATE SCHEMA app;
CREATE FOREIGN TABLE app.far (
    id integer OPTIONS (key 'true', column_name 'ID'), note text OPTIONS (encryption_key 'hunter2')
) SERVER s OPTIONS (table_name 'far', apikey 'hunter2', headers 'Authorization: Bearer hunter2');
CREATE USER MAPPING FOR PUBLIC SERVER s OPTIONS ("user" 'u', password 'hunter2');
"""


@pytest.fixture
def filled(database):
    database.execute(FILLED)
    database.execute(f"ALTER DATABASE {database.name} SET app.jwt_secret = 'hunter2'")
    database.execute(f"ALTER DATABASE {database.name} SET app.jwt_exp = '3600'")
    return database


def test_no_secret_is_in_a_snapshot_nor_in_its_file(filled):
    snapshot = read_snapshot(filled.connect())
    assert "hunter2" not in repr(snapshot)
    assert b"hunter2" not in encode(Taken(snapshot=snapshot))
    assert "hunter2" not in repr(read_table(filled.connect(), QualifiedName("app", "far")))
    said = {(each.kind, each.name): each.definition for each in snapshot.others}
    assert said["foreign-data wrapper", "w"] == "OPTIONS (api_token '***', region 'eu')"
    assert said["foreign server", "s"] == (
        "FOREIGN DATA WRAPPER w OPTIONS (\"Secret Key\" '***', dsn 'host=a password=*** dbname=c', host 'a',"
        " key_column 'id', url 'https://u:***@h/p')"
    )
    assert said["database setting", "app.jwt_secret"] == "***"
    assert said["database setting", "app.jwt_exp"] == "3600"
    (table,) = snapshot.tables
    assert table.options == ("apikey=***", "headers=Authorization: *** ***", "table_name=far")
    assert [each.options for each in table.columns] == [("column_name=ID", "key=true"), ("encryption_key=***",)]


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ('ALTER SERVER s OPTIONS (DROP "Secret Key")', ["foreign server s: definition"]),
        ("ALTER SERVER s OPTIONS (ADD password 'hunter2')", ["foreign server s: definition"]),
        ("ALTER SERVER s OPTIONS (SET dsn 'host=b password=hunter2')", ["foreign server s: definition"]),
        ("ALTER FOREIGN DATA WRAPPER w OPTIONS (DROP api_token)", ["foreign-data wrapper w: definition"]),
        ("ALTER FOREIGN TABLE app.far OPTIONS (DROP apikey)", ["table app.far: options"]),
        ("ALTER FOREIGN TABLE app.far ALTER note OPTIONS (DROP encryption_key)", ["column app.far.note: options"]),
        # Another value of a secret is no difference: to say that it is another, something of it would have to be kept.
        ("ALTER SERVER s OPTIONS (SET \"Secret Key\" 'hunter3')", []),
    ],
)  # fmt: skip
def test_that_a_secret_is_set_is_noticed_and_what_it_is_is_not(filled, statement, said):
    connection = filled.connect()
    before = read_snapshot(connection)
    with connection.transaction(force_rollback=True):
        connection.execute(statement)
        found = compare(before, read_snapshot(connection))
    assert [f"{each.kind} {each.name}: {each.attribute}" for each in found] == said
    assert "hunter" not in repr([msgspec.to_builtins(each) for each in found])
