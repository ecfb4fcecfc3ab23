"""The swap of a column under a view on a view and a policy of another table, while sessions read through all of them."""

from __future__ import annotations

import threading
from typing import Any

import psycopg

from tests.fix_server import Database
from tests.postgres.carrying import expand, plan
from tests.postgres.test_carry_round_trip import TABLE, A, C, db, sql
from truing.locks import LockMode, TableLock
from truing.names import ident
from truing.online.locking import run_locked
from truing.online.settings import OnlineSettings

__all__ = ["db"]


def test_readers_of_views_and_policies_never_deadlock_with_the_swap(db: Database) -> None:
    app = db.role("LOGIN")
    db.execute(
        sql(
            """
        CREATE VIEW {s}.v AS SELECT id, {c} FROM {t};
        CREATE VIEW {s}.w AS SELECT id FROM {s}.v WHERE {c} = current_setting('app.tenant', true);
        ALTER TABLE {u} ENABLE ROW LEVEL SECURITY;
        CREATE POLICY p ON {u} USING (t_id IN (SELECT id FROM {t} WHERE {t}.{c} = current_setting('app.tenant', true)));
        GRANT USAGE ON SCHEMA {s} TO {app}; GRANT SELECT ON ALL TABLES IN SCHEMA {s} TO {app};
        """,
            app=ident(app),
        )
    )
    connection = db.connect()
    carry = plan(connection, TABLE, C, "uuid")
    expand(connection, carry)
    stop, errors, reads = threading.Event(), list[Any](), [0, 0, 0]

    def read(number: int) -> None:
        with psycopg.connect(db.url_as(app), autocommit=True, prepare_threshold=None) as reader:
            reader.execute("SELECT set_config('app.tenant', %s, false)", (A,))
            while not stop.is_set():
                try:
                    even = reader.execute(sql("SELECT count(*), bool_and(id % 2 = 0) FROM {s}.w")).fetchone()
                    own = reader.execute(sql("SELECT count(*) FROM {u}")).fetchone()
                    assert (even, own) == ((10, True), (1,))
                    reads[number] += 1
                except (psycopg.Error, AssertionError) as error:
                    errors.append(error)

    readers = [threading.Thread(target=read, args=(number,)) for number in range(3)]
    for thread in readers:
        thread.start()
    column, new, old = ident(C), ident(carry.new_column), ident(carry.old_column)
    renames = (f"{column} TO {old}", f"{new} TO {column}"), (f"{column} TO {new}", f"{old} TO {column}")
    tries = []
    try:
        for _ in range(3):
            for (first, second), statements in zip(renames, (carry.swap, carry.unswap), strict=True):
                run_locked(
                    connection,
                    (*carry.locks, TableLock(TABLE, LockMode.ACCESS_EXCLUSIVE)),
                    tuple(f"ALTER TABLE {TABLE.sql} RENAME COLUMN {rename}" for rename in (first, second)) + statements,
                    OnlineSettings(lock_budget_s=60),
                    prelude=carry.view_locks,
                    on_attempt=tries.append,
                    point=lambda _: None,
                )
    finally:
        stop.set()
        for thread in readers:
            thread.join()
    assert not errors, errors[:3]
    assert min(reads) > 10
    assert len(tries) < 20
