"""An ORM client works on while its column is swapped: with release A nothing fails, without it things do."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from tests.postgres.swapping import (
    BEFORE,
    NEW_RELEASE,
    OLD_RELEASE,
    RELEASE_A,
    TENANTS,
    check_books,
    convert,
    engine_of,
    working,
)
from truing.online.application import SchemaChangedError, make_retryable

DRIVERS = ["psycopg", "psycopg autocommit", "asyncpg", "asyncpg autocommit"]


def column_type(sql):
    return sql("""SELECT format_type(atttypid, atttypmod) FROM pg_attribute
                  WHERE attrelid = '"Åpp".profiles'::regclass AND attname = 'tenant_id'""")[0][0]


def there_and_back(op, clients, sql):
    """Convert, contract, restore and revert, with some work after each."""
    for change in (
        lambda: convert(op),
        lambda: op.contract_column_online("profiles", "tenant_id", schema="Åpp"),
        lambda: op.restore_column_online("profiles", "tenant_id", schema="Åpp"),
        lambda: op.revert_column_online("profiles", "tenant_id", schema="Åpp"),
    ):
        change()
        for client in clients:
            client.work(40)
        yield column_type(sql)


@pytest.mark.parametrize("kind", DRIVERS)
def test_with_release_a_no_unit_of_work_fails_there_and_back(op, database, sql, kind):
    sql(BEFORE)
    with engine_of(database, kind) as engine, working(engine, RELEASE_A, retry=True) as clients:
        types = list(there_and_back(op, clients, sql))
    assert types == ["uuid", "uuid", "uuid", "text"]
    assert [failure for client in clients for failure in client.failures] == []
    # Seen to have mattered: statements did meet the change. The first to meet it renews the pool for all the others.
    assert any(client.retried for client in clients)
    check_books(clients, sql)


@pytest.mark.parametrize("kind", DRIVERS)
def test_without_the_retries_prepared_statements_fail(op, database, sql, kind):
    sql(BEFORE)
    with engine_of(database, kind) as engine, working(engine, RELEASE_A, retry=False) as clients:
        convert(op)
        for client in clients:
            client.work(40)
    failures = [failure for client in clients for failure in client.failures]
    assert failures
    assert all(isinstance(failure, DBAPIError) for failure in failures), failures
    check_books(clients, sql)


@pytest.mark.parametrize("kind", ["psycopg", "asyncpg"])
def test_the_old_release_fails_for_good_after_the_swap_with_retries_or_not(op, database, sql, kind):
    sql(BEFORE)
    with engine_of(database, kind) as engine, working(engine, OLD_RELEASE, retry=True) as clients:
        assert clients[0].failures == []
        convert(op)
        clients[0].work(10)
        seen = len(clients[0].failures)
        clients[0].work(20)
        assert len(clients[0].failures) > seen
        assert not isinstance(clients[0].failures[-1], SchemaChangedError)


@pytest.mark.parametrize("kind", ["psycopg", "asyncpg"])
def test_the_new_release_cannot_come_before_the_swap(database, sql, kind):
    sql(BEFORE)
    with engine_of(database, kind) as engine:
        query = sa.select(NEW_RELEASE.Profile.id).where(NEW_RELEASE.Profile.tenant_id == TENANTS[0])

        async def run():
            try:
                async with engine.connect() as connection:
                    await connection.execute(query)
            finally:
                await engine.dispose()

        def run_here():
            with engine.connect() as connection:
                connection.execute(query)

        with pytest.raises(DBAPIError, match="operator does not exist"):
            asyncio.run(run()) if kind == "asyncpg" else run_here()


def swapped_by_hand(sql):
    """The swap and nothing else: enough for what a driver has prepared."""
    sql("""BEGIN; ALTER TABLE "Åpp".profiles ADD COLUMN new_id uuid;
           ALTER TABLE "Åpp".profiles RENAME tenant_id TO old_id; ALTER TABLE "Åpp".profiles ALTER old_id DROP NOT NULL;
           ALTER TABLE "Åpp".profiles RENAME new_id TO tenant_id; COMMIT""")


STATEMENTS = {
    "result": sa.select(RELEASE_A.Profile.tenant_id).where(RELEASE_A.Profile.id == 1),
    "star": sa.text('SELECT * FROM "Åpp".profiles WHERE id = 1'),
    "where": sa.select(RELEASE_A.Profile.id).where(RELEASE_A.Profile.tenant_id == TENANTS[0]),
    "update": sa.update(RELEASE_A.Profile).where(RELEASE_A.Profile.id == 1).values(tenant_id=TENANTS[0]),
}


EACH_STATEMENT = pytest.mark.parametrize("statement", STATEMENTS.values(), ids=STATEMENTS)


def execute(engine, statement, connections=1):
    """Run and commit it on so many connections of the pool; return the servers' process ids."""
    pids = set()
    with ExitStack() as stack:
        for connection in [stack.enter_context(engine.connect()) for _ in range(connections)]:
            pids.add(connection.connection.driver_connection.info.backend_pid)
            connection.execute(statement)
            # psycopg forgets what it has prepared when a transaction is rolled back, not when it is committed.
            connection.commit()
    return pids


@EACH_STATEMENT
def test_under_autocommit_psycopg_fails_for_ever_unless_the_connection_is_thrown_away(database, sql, statement):
    sql(BEFORE)
    kind = "psycopg autocommit"
    with engine_of(database, kind, pool_size=1) as plain, engine_of(database, kind, pool_size=1) as retryable:
        make_retryable(retryable)
        before = [execute(engine, statement) for engine in (plain, retryable) for _ in range(8)]
        swapped_by_hand(sql)
        for _ in range(3):
            with pytest.raises(DBAPIError) as error:
                execute(plain, statement)
            assert error.value.orig.sqlstate in {"0A000", "42804", "42883"}
        with pytest.raises(SchemaChangedError) as error:
            execute(retryable, statement)
        assert error.value.connection_invalidated
        assert execute(retryable, statement) != before[-1]


@EACH_STATEMENT
def test_one_error_has_the_whole_pool_renewed(database, sql, statement):
    sql(BEFORE)
    with engine_of(database, "psycopg", pool_size=3) as plain, engine_of(database, "psycopg", pool_size=3) as retryable:
        make_retryable(retryable)
        for _ in range(8):
            execute(plain, statement, 3)
            before = execute(retryable, statement, 3)
        swapped_by_hand(sql)
        for engine in (plain, retryable):
            with pytest.raises(DBAPIError):
                execute(engine, statement)
        # Each connection has to fail for itself ...
        with pytest.raises(DBAPIError):
            execute(plain, statement, 3)
        # ... unless one tells the others.
        assert not before & execute(retryable, statement, 3)


def test_it_is_recognised_whatever_language_the_server_speaks(database, sql):
    sql(BEFORE)
    with engine_of(database, "psycopg", pool_size=1) as engine:
        make_retryable(engine)

        @sa.event.listens_for(engine, "handle_error", insert=True)
        def translate(context):
            context.original_exception.args = ("le plan en cache ne doit pas modifier le type en résultat",)

        for _ in range(8):
            execute(engine, STATEMENTS["result"])
        swapped_by_hand(sql)
        with pytest.raises(SchemaChangedError):
            execute(engine, STATEMENTS["result"])


@pytest.mark.parametrize("kind", ["psycopg", "psycopg autocommit"])
def test_an_error_of_the_application_s_own_stays_its_own(database, sql, kind):
    sql(BEFORE)
    with engine_of(database, kind, pool_size=1) as engine:
        make_retryable(engine)
        with engine.connect() as connection:
            pid = connection.connection.driver_connection.info.backend_pid
        wrong = {
            'SELECT id = tenant_id FROM "Åpp".profiles': "42883",
            "SELECT 1/0": "22012",
            "SELECT nothing": "42703",
            "SELECT 1 FOR UPDATE OF x": "42P01",
        }
        for text, state in wrong.items():
            expected = SchemaChangedError if state == "42883" and "autocommit" in kind else DBAPIError
            for _ in range(2):
                with pytest.raises(DBAPIError) as error, engine.connect() as connection:
                    connection.execute(sa.text(text))
                assert error.value.orig.sqlstate == state
                assert isinstance(error.value, SchemaChangedError) == (expected is SchemaChangedError), text
        with engine.connect() as connection:
            same = connection.connection.driver_connection.info.backend_pid == pid
        # Without a transaction the change could have come in between: one connection is the price of not being sure.
        assert same == (kind == "psycopg")


def test_a_function_of_the_application_that_kept_its_plans_is_retried_too(database, sql):
    sql(BEFORE)
    sql("""CREATE FUNCTION "Åpp".note() RETURNS trigger LANGUAGE plpgsql AS
           'BEGIN IF NEW.tenant_id <> '''' THEN NEW.name := NEW.tenant_id; END IF; RETURN NEW; END';
           CREATE TRIGGER note BEFORE UPDATE ON "Åpp".profiles FOR EACH ROW EXECUTE FUNCTION "Åpp".note()""")
    update = sa.text('UPDATE "Åpp".profiles SET name = NULL WHERE id = 1')
    with engine_of(database, "psycopg autocommit", pool_size=1) as engine:
        make_retryable(engine)
        for _ in range(8):
            execute(engine, update)
        sql('ALTER TABLE "Åpp".profiles ALTER tenant_id TYPE varchar(50)')
        with pytest.raises(SchemaChangedError, match="does not match that when preparing the plan"):
            execute(engine, update)
        execute(engine, update)


def test_a_whole_row_that_asyncpg_decodes_by_its_own_cache(database, sql):
    sql(BEFORE)
    query = sa.text('SELECT p FROM "Åpp".profiles p WHERE id = 1')
    with engine_of(database, "asyncpg", pool_size=1) as engine:
        make_retryable(engine)

        async def execute():
            async with engine.connect() as connection:
                return len((await connection.execute(query)).scalar_one())

        async def run():
            before = [await execute() for _ in range(8)]
            swapped_by_hand(sql)
            with pytest.raises(SchemaChangedError):
                await execute()
            after = await execute()
            await engine.dispose()
            return before, after

        assert asyncio.run(run()) == ([3] * 8, 4)
