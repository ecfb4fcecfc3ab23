"""What an application may ask of a TransitionalUUID column: the same answers before and after the swap, from each driver."""

from __future__ import annotations

import asyncio
import uuid

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Text, cast, insert, literal, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import joinedload, selectinload

from tests.postgres.swapping import BEFORE, RELEASE_A, TENANTS, convert, engine_of, run_unit
from truing.online.application import TransitionalUUID

Profile, Tenant = RELEASE_A.Profile, RELEASE_A.Tenant
COLUMN, TABLE = Profile.tenant_id, Profile.__table__
KNOWN = TENANTS[0]
NIL = uuid.UUID(int=0)


def ids(session, *conditions):
    return session.scalars(select(Profile.id).where(Profile.id <= 8, *conditions).order_by(Profile.id)).all()


def by_uuid(session):
    return ids(session, COLUMN == KNOWN)


def by_text(session):
    return ids(session, str(KNOWN) == COLUMN)


def by_list(session):
    return ids(session, COLUMN.in_([KNOWN, str(TENANTS[3])])) + ids(session, COLUMN.in_([]))


def by_negation(session):
    return ids(session, COLUMN.not_in([KNOWN, TENANTS[3]]), TENANTS[4] != COLUMN, COLUMN.is_not(None))


def by_literal(session):
    written = select(Profile.id).where(COLUMN == KNOWN, Profile.id <= 8).order_by(Profile.id)
    text = written.compile(dialect=session.get_bind().dialect, compile_kwargs={"literal_binds": True})
    return session.scalars(sa.text(str(text))).all()


def by_join_of_texts(session):
    query = select(Profile.id).join(Tenant, cast(Tenant.id, Text) == cast(COLUMN, Text)).where(Tenant.id == KNOWN)
    return session.scalars(query.where(Profile.id <= 8).order_by(Profile.id)).all()


def lazily(session):
    return [session.get_one(Profile, number).tenant.name for number in (4, 8)]


def eagerly_from_the_child(session):
    query = select(Profile).where(Profile.id.in_([4, 8])).options(selectinload(Profile.tenant))
    return [profile.tenant.name for profile in session.scalars(query)]


def eagerly_from_the_parent(session):
    tenant = session.scalars(select(Tenant).where(Tenant.id == KNOWN).options(selectinload(Tenant.profiles))).one()
    return sorted(profile.id for profile in tenant.profiles)[:2]


def added_together(session):
    added = [Profile(tenant_id=each, name=str(n)) for n, each in enumerate([KNOWN, str(KNOWN), TENANTS[1], TENANTS[4]])]
    session.add_all(added)
    session.flush()
    session.expire_all()
    seen = [(profile.name, profile.tenant_id) for profile in added]
    session.execute(sa.delete(Profile).where(Profile.id.in_([profile.id for profile in added]), TENANTS[2] != COLUMN))
    return seen


def returned(session):
    statement = insert(Profile).values([{"tenant_id": KNOWN, "name": "r"}, {"tenant_id": str(KNOWN), "name": "r"}])
    seen = session.execute(statement.returning(COLUMN)).all()
    session.execute(sa.delete(Profile).where(Profile.name == "r", COLUMN == KNOWN))
    return seen


def upserted(session):
    from sqlalchemy.dialects.postgresql import insert as upsert  # noqa: PLC0415 - beside the other insert

    statement = upsert(Profile).values(id=4, tenant_id=KNOWN)
    statement = statement.on_conflict_do_update(index_elements=["id"], set_={"tenant_id": statement.excluded.tenant_id})
    return session.execute(statement.returning(COLUMN)).all()


def executed_many(session):
    session.execute(insert(TABLE), [{"tenant_id": each, "name": "m"} for each in (KNOWN, str(TENANTS[1]))])
    seen = session.execute(select(COLUMN).where(Profile.name == "m").order_by(Profile.id)).all()
    session.execute(sa.delete(Profile).where(Profile.name == "m"))
    return seen


def grouped(session):
    query = select(COLUMN, sa.func.count()).where(COLUMN == KNOWN).group_by(COLUMN).order_by(COLUMN).distinct()
    return session.execute(query).all()


def chosen(session):
    query = select(sa.func.coalesce(COLUMN, literal(KNOWN, TransitionalUUID())), sa.null() == COLUMN)
    return session.execute(query.where(Profile.id == 4)).all()


QUERIES = {
    by_uuid: [4, 8],
    by_text: [4, 8],
    by_list: [4, 8],
    by_negation: [1, 2, 3, 5, 6, 7],
    by_literal: [4, 8],
    by_join_of_texts: [4, 8],
    lazily: ["tenant 0", "tenant 0"],
    eagerly_from_the_child: ["tenant 0", "tenant 0"],
    eagerly_from_the_parent: [4, 8],
    added_together: [("0", KNOWN), ("1", KNOWN), ("2", TENANTS[1]), ("3", TENANTS[4])],
    returned: [(KNOWN,), (KNOWN,)],
    upserted: [(KNOWN,)],
    executed_many: [(KNOWN,), (TENANTS[1],)],
    grouped: [(KNOWN, 100)],
    chosen: [(KNOWN, None)],
}


def answers(engine):
    """The answer of each query; a failed one answers with its error."""

    async def run():
        seen = {}
        for query in QUERIES:
            try:
                answer = run_unit(engine, query)
                seen[query] = await answer if asyncio.iscoroutine(answer) else answer
            except DBAPIError as error:
                seen[query] = str(error)
        if not isinstance(engine, sa.Engine):
            await engine.dispose()
        return seen

    return asyncio.run(run())


def forget(engine):
    """What is prepared is the concern of other tests."""
    if isinstance(engine, sa.Engine):
        engine.dispose()


@pytest.mark.parametrize("kind", ["psycopg", "asyncpg"])
def test_the_same_answers_before_and_after(op, database, sql, kind):
    sql(BEFORE)
    with engine_of(database, kind) as engine:
        assert answers(engine) == QUERIES
        convert(op)
        forget(engine)
        assert answers(engine) == QUERIES


@pytest.mark.parametrize("kind", ["psycopg", "asyncpg"])
def test_dirty_values_are_the_text_they_are_until_the_swap_and_can_be_written_back(op, database, sql, kind):
    sql(BEFORE)
    sql('ALTER TABLE "Åpp".profiles ALTER tenant_id DROP NOT NULL')
    sql('UPDATE "Åpp".profiles SET tenant_id = NULL WHERE id = 5')

    def read(session):
        return [session.get_one(Profile, number).tenant_id for number in range(1, 6)]

    def write_back(session):
        profile = session.get_one(Profile, 3)
        value, profile.tenant_id = profile.tenant_id, None
        session.flush()
        profile.tenant_id = value

    with engine_of(database, kind) as engine:

        def run(unit):
            async def run_here():
                try:
                    return await run_unit(engine, unit)
                finally:
                    await engine.dispose()

            return run_unit(engine, unit) if kind == "psycopg" else asyncio.run(run_here())

        assert run(read) == [TENANTS[1], TENANTS[2], "default", KNOWN, None]
        run(write_back)
        assert sql('SELECT tenant_id FROM "Åpp".profiles WHERE id = 3') == [("default",)]
        convert(op)
        forget(engine)
        assert run(read) == [TENANTS[1], TENANTS[2], NIL, KNOWN, None]
        assert all(isinstance(value, uuid.UUID) for value in run(read) if value is not None)


def test_two_columns_of_different_types_cannot_be_joined_before_the_swap(database, sql):
    """The limit that the how-to page names; the day it works without a cast, that page can be shorter."""
    sql(BEFORE)
    with engine_of(database, "psycopg") as engine:
        for query in (select(Profile.id).join(Tenant), select(Profile).options(joinedload(Profile.tenant))):
            with pytest.raises(DBAPIError, match=r"operator does not exist: (uuid = text|text = uuid)"):
                run_unit(engine, lambda session, query=query: session.execute(query).all())


def test_alembic_sees_no_difference_once_the_migration_is_at_its_head(op, database, sql):
    sql(BEFORE)
    convert(op)
    op.add_foreign_key_online(
        "profiles", ["tenant_id"], "tenants", ["id"], name="profiles_tenant_id_fkey", schema="Åpp"
    )
    op.contract_column_online("profiles", "tenant_id", schema="Åpp")
    with engine_of(database, "psycopg") as engine, engine.connect() as connection:
        options = {"include_schemas": True, "include_name": lambda name, kind, _: kind != "schema" or name == "Åpp"}
        context = MigrationContext.configure(connection, opts={**options, "compare_type": True})
        assert compare_metadata(context, RELEASE_A.Base.metadata) == []


def test_alembic_sees_the_difference_before(database, sql):
    sql(BEFORE)
    with engine_of(database, "psycopg") as engine, engine.connect() as connection:
        options = {"include_schemas": True, "include_name": lambda name, kind, _: kind != "schema" or name == "Åpp"}
        context = MigrationContext.configure(connection, opts={**options, "compare_type": True})
        assert "modify_type" in str(compare_metadata(context, RELEASE_A.Base.metadata))
