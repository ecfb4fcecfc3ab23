"""What the rules say happens does happen: the bad examples, used."""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime

import pytest
from sqlalchemy import create_engine, insert, select, text
from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    IntegrityError,
    InvalidRequestError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
    SAWarning,
    StatementError,
)
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import Session
from sqlalchemy.orm.exc import FlushError, StaleDataError

from tests.orm_models import judged_models, loaded
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


TEXT_ENUM = """
class Order(Base):
    __tablename__ = "orders"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    state: Mapped[str] = mapped_column(Enum("open", "paid", name="order_state"))
op.execute("ALTER TABLE orders ALTER state TYPE {type}")
{more}
"""


@pytest.mark.parametrize(
    ("type_", "more", "fails"),
    [
        ("text", "", "every comparison fails"),
        ("varchar(9)", "", "every comparison fails"),
        ("varchar(9)", 'op.execute("DROP TYPE order_state")', "every INSERT and every comparison fails"),
    ],
)
def test_an_enum_over_text_is_stored_and_not_compared(tmp_path, database, type_, more, fails):
    async def use(module, action):
        engine = create_async_engine(database.url.replace("postgresql://", "postgresql+asyncpg://", 1))
        try:
            async with engine.begin() as connection:
                await connection.execute(action(module.Order))
        finally:
            await engine.dispose()

    with judged_models(tmp_path, database, TEXT_ENUM.format(type=type_, more=more)) as (module, findings):
        (message,) = [each.message for each in findings if each.rule == "mismatched-enum-type"]
        assert message.endswith(f"with asyncpg {fails}.")
        store = use(module, lambda order: insert(order).values(id=ONE, state="open"))
        if "INSERT" in fails:
            with pytest.raises(DBAPIError, match='type "order_state" does not exist'):
                asyncio.run(store)
        else:
            asyncio.run(store)
        with pytest.raises(DBAPIError, match="does not exist"):
            asyncio.run(use(module, lambda order: select(order).where(order.state == "open")))


def add(name, **values):
    return lambda session, m: session.add(
        getattr(m, name)(id=ONE, **{k: v(m) if callable(v) else v for k, v in values.items()})
    )


def read(name, *statements):
    def use(session, m):
        for each in statements:
            session.execute(text(each))
        session.scalars(select(getattr(m, name))).all()

    return use


def two_of_one_parent(session, m):
    session.add_all([m.User(id=ONE), m.Settings(id=ONE, user_id=ONE), m.Settings(id=TWO, user_id=ONE)])
    session.flush()
    session.expire_all()
    assert session.get(m.User, ONE).settings


def compare_with_an_aware_one(session, m):
    session.add(m.Profile(id=ONE, seen_at=datetime.now(UTC)))
    session.flush()
    session.expire_all()
    assert session.get(m.Profile, ONE).seen_at < datetime.now(UTC)


def delete_the_author(session, m):
    session.add_all([m.Author(id=ONE), m.Book(id=ONE, author_id=ONE)])
    session.flush()
    session.execute(text("DELETE FROM authors"))


def forget_the_balance(session, m):
    session.add(m.Account(id=ONE))
    session.flush()
    session.expire_all()
    session.delete(session.get(m.Account, ONE))


def add_the_other_side(session, m):
    tenant = m.Tenant(id=ONE)
    session.add_all([tenant, m.Profile(id=ONE, tenant=tenant)])
    assert tenant.profiles


FAILURES = {
    "missing-table": (read("Profile"), ProgrammingError, "profiles.* does not exist"),
    "missing-column": (read("Profile"), ProgrammingError, "nickname does not exist"),
    "unmapped-required-column": (add("Profile"), IntegrityError, "locale"),
    "nullable-in-model-only": (add("Profile"), IntegrityError, "email"),
    "missing-server-default": (lambda session, m: session.add(m.Profile()), IntegrityError, "null value"),
    "overlong-string": (add("Profile", email="x" * 101), DataError, "too long"),
    "unknown-enum-label": (add("Order", state="refunded"), DataError, "invalid input value for enum"),
    "enum-stored-by-name": (add("Order", state=lambda m: m.State.OPEN), DataError, "invalid input value for enum"),
    "unchecked-enum": (read("Order", "INSERT INTO orders VALUES (gen_random_uuid(), 'odd')"), LookupError, "odd"),
    "unstorable-polymorphic-identity": (add("Company"), IntegrityError, "check constraint"),
    "set-null-on-not-null": (delete_the_author, IntegrityError, "null value"),
    "scalar-without-unique": (two_of_one_parent, SAWarning, "Multiple rows"),
    "timezone-mismatch": (compare_with_an_aware_one, TypeError, "offset-naive"),
    "writable-view": (forget_the_balance, OperationalError, "cannot update view"),
    "unlinked-mirror-relationship": (add_the_other_side, AssertionError, "assert"),
    "instead-trigger-without-key": (
        lambda session, m: session.add(m.Person(name="a")),
        FlushError,
        "NULL identity key",
    ),
    "missing-privilege": (read("Project", "SET ROLE example_app"), ProgrammingError, "permission denied"),
}


@pytest.mark.parametrize("rule", FAILURES)
def test_the_bad_example_fails_as_its_page_says(rule, example, database):
    use, error, match = FAILURES[rule]
    if rule == "missing-privilege":
        database.role("NOLOGIN", "example_app")
    module, open_session = example(rule)

    def use_it(session):
        use(session, module)
        session.flush()

    with open_session() as session, pytest.raises(error, match=match):
        use_it(session)


def test_the_owner_sees_what_no_policy_lets_it_see(example, database):
    database.role("NOLOGIN", "example_app")
    _, open_session = example("bypassed-row-security")
    with open_session() as session:
        session.execute(text("INSERT INTO projects VALUES (gen_random_uuid())"))
        session.execute(text("ALTER POLICY own ON projects USING (false)"))
        session.execute(text("SET ROLE example_app"))
        assert session.scalar(text("SELECT count(*) FROM projects")) == 1
        session.execute(text("ALTER TABLE projects FORCE ROW LEVEL SECURITY"))
        assert session.scalar(text("SELECT count(*) FROM projects")) == 0
