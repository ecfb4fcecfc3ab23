"""What the rules say happens does happen: the bad examples, used."""

from __future__ import annotations

import asyncio
import uuid

import pytest
from sqlalchemy import create_engine, insert, select, text
from sqlalchemy.exc import (
    DBAPIError,
    IntegrityError,
    InvalidRequestError,
    NotSupportedError,
    ProgrammingError,
    StatementError,
)
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import Session
from sqlalchemy.orm.exc import StaleDataError

from tests.orm_models import loaded
from truing.orm.engine import registry

ONE, TWO = uuid.UUID(int=1), uuid.UUID(int=2)


@pytest.fixture
def example(tmp_path, database):
    """Build the database of a rule's bad example: gives its module and a session factory."""
    stack = []

    def build(rule):
        context = loaded(tmp_path, registry()[rule].docs.example.code)
        module, _, _ = context.__enter__()
        engine = create_engine(database.url)
        stack.append((context, engine))
        module.Base.metadata.create_all(engine)
        for statement in module.op.statements:
            database.execute(statement)
        return module, lambda: Session(engine)

    yield build
    for context, engine in stack:
        engine.dispose()
        context.__exit__(None, None, None)


def test_two_rows_with_one_identity_become_one_object(example):
    module, open_session = example("non-unique-mapper-key")
    with open_session() as session:
        session.execute(text("INSERT INTO invoices VALUES ('1'), ('1')"))
        assert len({id(each) for each in session.scalars(select(module.Invoice)).all()}) == 1


def test_a_pair_that_is_there_twice_cannot_be_removed(example):
    module, open_session = example("non-unique-secondary")
    with open_session() as session:
        post = module.Post(id=ONE, tags=[module.Tag(id=TWO)])
        session.add(post)
        session.flush()
        session.execute(text("INSERT INTO post_tags SELECT * FROM post_tags"))
        session.expire_all()
        post.tags.clear()
        with pytest.raises(StaleDataError):
            session.flush()


@pytest.mark.parametrize(
    "rule", ["nullified-database-cascade", "passive-deletes-without-cascade", "undeletable-parent"]
)
def test_a_parent_cannot_be_deleted(rule, example):
    module, open_session = example(rule)
    relationship = next(
        each for mapper in module.Base.registry.mappers for each in mapper.relationships if each.uselist
    )
    child = relationship.mapper.class_
    with open_session() as session:
        parent = relationship.parent.class_(id=ONE)
        session.add_all([parent, child(id=TWO, **{each.key: parent for each in child.__mapper__.relationships})])
        session.commit()
        session.expire_all()
        session.delete(parent)
        with pytest.raises(IntegrityError):
            session.flush()


def test_generated_column_refuses_every_insert(example):
    module, open_session = example("undeclared-generated-column")
    with open_session() as session:
        session.add(module.Line(id=ONE, amount=1))
        with pytest.raises(ProgrammingError, match="total"):
            session.flush()


def test_a_row_without_a_discriminator_cannot_be_loaded(example):
    module, open_session = example("nullable-discriminator")
    with open_session() as session:
        session.execute(text("INSERT INTO parties VALUES (gen_random_uuid(), NULL)"))
        with pytest.raises(InvalidRequestError, match="discriminator"):
            session.scalars(select(module.Party)).all()


def test_a_row_without_a_version_cannot_be_updated(example):
    module, open_session = example("nullable-version-column")
    with open_session() as session:
        session.execute(text("INSERT INTO documents VALUES (gen_random_uuid(), NULL)"))
        document = session.scalars(select(module.Document)).one()
        document.id = TWO
        with pytest.raises(StatementError, match="version"):
            session.flush()


def test_a_label_that_the_model_does_not_know_cannot_be_loaded(example):
    module, open_session = example("unreadable-enum-label")
    with open_session() as session:
        session.execute(text("INSERT INTO orders VALUES (gen_random_uuid(), 'refunded')"))
        with pytest.raises(LookupError):
            session.scalars(select(module.Order)).all()


def test_a_value_that_a_trigger_wrote_is_stale(example):
    module, open_session = example("undeclared-trigger-value")
    with open_session() as session:
        profile = module.Profile(id=ONE)
        session.add(profile)
        session.flush()
        profile.id = TWO
        session.flush()
        assert profile.updated_at is None
        session.refresh(profile)
        assert profile.updated_at is not None


def test_an_identity_that_no_class_has_cannot_be_loaded(example):
    module, open_session = example("unchecked-discriminator")
    with open_session() as session:
        session.execute(text("INSERT INTO parties VALUES (gen_random_uuid(), 'other')"))
        with pytest.raises(AssertionError, match="polymorphic_identity"):
            session.scalars(select(module.Party)).all()


def test_a_rule_without_returning_breaks_the_insert(example):
    module, open_session = example("rule-without-returning")
    with open_session() as session, pytest.raises(NotSupportedError, match="INSERT RETURNING"):
        session.execute(insert(module.Entry).values(id=ONE).returning(module.Entry.id))


def test_what_cannot_be_created_is_refused(tmp_path, database):
    code = registry()["uncreatable-model"].docs.example.code
    engine = create_engine(database.url)
    try:
        with loaded(tmp_path, code) as (module, _, _), pytest.raises(ProgrammingError, match="gin"):
            module.Base.metadata.create_all(engine)
    finally:
        engine.dispose()


def test_the_first_row_of_a_required_cycle_is_refused(example):
    _, open_session = example("required-foreign-key-cycle")
    with open_session() as session, pytest.raises(IntegrityError):
        session.execute(text("INSERT INTO members VALUES (gen_random_uuid(), gen_random_uuid())"))


def test_an_enum_of_another_name_fails_with_a_driver_that_names_the_type(example, database):
    module, open_session = example("mismatched-enum-type")
    with open_session() as session:
        session.add(module.Order(id=ONE, state="open"))
        session.commit()

    async def read():
        engine = create_async_engine(database.url.replace("postgresql://", "postgresql+asyncpg://", 1))
        try:
            async with engine.connect() as connection:
                await connection.execute(select(module.Order).where(module.Order.state == "open"))
        finally:
            await engine.dispose()

    with pytest.raises(DBAPIError, match='type "order_state" does not exist'):
        asyncio.run(read())
