"""Is the verdict about a relationship true? Every combination is carried out, through the session and through SQL."""

from __future__ import annotations

from itertools import product

import pytest
from sqlalchemy import Column, ForeignKey, Integer, Table, create_engine, pool, select, text
from sqlalchemy.exc import IntegrityError, InvalidRequestError
from sqlalchemy.orm import Session, registry, relationship

from truing.catalog.read import read_snapshot
from truing.catalog.usage import read_usage
from truing.config import Config
from truing.orm.agreement import agreements, of_database, of_session, unmapped_keys
from truing.orm.context import Context
from truing.revisions.models import mappers_of
from truing.revisions.urls import sqlalchemy_url

ACTIONS = ["CASCADE", "SET NULL", "SET DEFAULT", "RESTRICT", "NO ACTION"]
MODES = [
    pytest.param({}, id="default"),
    pytest.param({"passive_deletes": True}, id="passive"),
    pytest.param({"passive_deletes": "all"}, id="passive-all"),
    pytest.param({"cascade": "all, delete-orphan"}, id="owned"),
    pytest.param({"cascade": "all, delete-orphan", "passive_deletes": True}, id="owned-passive"),
    pytest.param({"lazy": "write_only"}, id="write-only"),
    pytest.param({"lazy": "write_only", "cascade": "all, delete-orphan"}, id="write-only-owned"),
]


@pytest.fixture
def models():
    made = registry()
    yield made
    made.dispose()


@pytest.fixture
def engine(database):
    engine = create_engine(sqlalchemy_url(database.url), poolclass=pool.NullPool)
    yield engine
    engine.dispose()


def judge(models, connect):
    connection = connect()
    mappers = mappers_of([models.metadata])
    return Context(Config(), read_snapshot(connection), read_usage(connection, None), [models.metadata], mappers)


def family(models, action, *, nullable, **options):
    @models.mapped
    class Parent:
        __tablename__ = "parents"
        id = Column(Integer, primary_key=True)
        children = relationship("Child", **options)

    @models.mapped
    class Child:
        __tablename__ = "children"
        id = Column(Integer, primary_key=True)
        parent_id = Column(ForeignKey("parents.id", ondelete=action), nullable=nullable, server_default=text("2"))

    # The registry itself holds its classes only weakly.
    return Parent, Child


def outcome(engine, delete):
    """Delete parent 1 of a fresh family, see what becomes of its child, and take it back."""
    with engine.connect() as connection:
        connection.execute(text("INSERT INTO parents VALUES (1), (2)"))
        connection.execute(text("INSERT INTO children (id, parent_id) VALUES (7, 1)"))
        try:
            delete(connection)
            rows = connection.execute(text("SELECT parent_id FROM children WHERE id = 7")).all()
        except (IntegrityError, InvalidRequestError):
            return "refused"
        finally:
            connection.rollback()
    return {(): "deleted", ((None,),): "emptied", ((2,),): "defaulted", ((1,),): "left"}[tuple(map(tuple, rows))]


def by_sql(connection):
    connection.execute(text("DELETE FROM parents WHERE id = 1"))


def by_session(class_, *, loaded):
    def delete(connection):
        with Session(connection, join_transaction_mode="create_savepoint") as session:
            parent = session.scalars(select(class_).where(class_.id == 1)).one()
            if loaded and class_.children.property.lazy != "write_only":
                assert len(parent.children) == 1
            session.delete(parent)
            session.commit()

    return delete


@pytest.mark.parametrize("options", MODES)
@pytest.mark.parametrize("nullable", [True, False], ids=["nullable", "required"])
@pytest.mark.parametrize("action", ACTIONS)
def test_a_verdict_is_what_happens(models, engine, connect, action, nullable, options):
    parent, _child = family(models, action, nullable=nullable, **options)
    models.metadata.create_all(engine)
    context = judge(models, connect)
    (one,) = context.relationships
    database = outcome(engine, by_sql)
    loaded, unloaded = (outcome(engine, by_session(parent, loaded=each)) for each in (True, False))
    assert of_database(one, context) == database
    assert of_session(one, context, database) == (loaded, unloaded)
    (verdict,) = agreements(context)
    assert verdict.agrees == (database == loaded == unloaded)
    assert (verdict.on_delete, verdict.table.name, verdict.direction) == (action, "children", "one to many")


@pytest.mark.parametrize(("action", "passive"), list(product(["CASCADE", "NO ACTION"], [True, False])))
def test_a_verdict_about_a_secondary_is_what_happens(models, engine, connect, action, passive):
    ties = Table(
        "ties",
        models.metadata,
        Column("parent_id", ForeignKey("parents.id", ondelete=action), primary_key=True),
        Column("friend_id", ForeignKey("friends.id"), primary_key=True),
    )

    @models.mapped
    class Parent:
        __tablename__ = "parents"
        id = Column(Integer, primary_key=True)
        children = relationship("Friend", secondary=ties, passive_deletes=passive)

    @models.mapped
    class Friend:
        __tablename__ = "friends"
        id = Column(Integer, primary_key=True)

    models.metadata.create_all(engine)
    context = judge(models, connect)

    def of(delete):
        with engine.connect() as connection:
            connection.execute(text("INSERT INTO parents VALUES (1)"))
            connection.execute(text("INSERT INTO friends VALUES (3)"))
            connection.execute(text("INSERT INTO ties VALUES (1, 3)"))
            try:
                delete(connection)
                rows = connection.execute(text("SELECT FROM ties")).all()
            except IntegrityError:
                return "refused"
            finally:
                connection.rollback()
        return "left" if rows else "deleted"

    seen = [of(by_sql), *(of(by_session(Parent, loaded=each)) for each in (True, False))]
    (one,) = context.relationships
    (verdict,) = agreements(context)
    assert [of_database(one, context), *of_session(one, context, seen[0])] == seen
    assert verdict.agrees == (len(set(seen)) == 1)
    assert [key.columns for _, key in unmapped_keys(context)] == []


def test_a_parent_that_goes_with_its_child_is_no_agreement(models, engine, connect):
    @models.mapped
    class Parent:
        __tablename__ = "parents"
        id = Column(Integer, primary_key=True)

    @models.mapped
    class Child:
        __tablename__ = "children"
        id = Column(Integer, primary_key=True)
        parent_id = Column(ForeignKey("parents.id"))
        other_id = Column(ForeignKey("parents.id"))
        parent = relationship("Parent", foreign_keys=[parent_id], cascade="all")

    models.metadata.create_all(engine)
    context = judge(models, connect)
    (verdict,) = agreements(context)
    assert not verdict.agrees
    assert verdict.why == "deleting a Child deletes its Parent in the session, and in the database not"
    assert (verdict.cascade, verdict.direction) == ("all", "many to one")
    assert [key.columns for _, key in unmapped_keys(context)] == [("other_id",)]
    with Session(engine) as session:
        session.add(Child(parent=Parent()))
        session.commit()
        session.delete(session.scalars(select(Child)).one())
        session.commit()
        assert session.scalars(select(Parent)).all() == []


def test_a_key_that_is_not_there_leaves_the_rows(models, engine, connect):
    parent, _child = family(models, "CASCADE", nullable=True, cascade="all")
    models.metadata.create_all(engine)
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE children DROP CONSTRAINT children_parent_id_fkey"))
    context = judge(models, connect)
    (one,) = context.relationships
    (verdict,) = agreements(context)
    assert outcome(engine, by_sql) == of_database(one, context) == "left"
    assert outcome(engine, by_session(parent, loaded=False)) == "deleted"
    assert (verdict.key, verdict.agrees) == (None, False)
    assert verdict.why == "the session deletes the rows, the database leaves the rows as they are"
