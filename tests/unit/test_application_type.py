"""What TransitionalUUID sends, reads and writes down, and what the retries do; without a server."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import ClassVar
from uuid import UUID

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, create_engine, insert, select
from sqlalchemy.dialects.postgresql import asyncpg, psycopg
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.schema import CreateTable

from truing.online.application import SchemaChangedError, TransitionalUUID, make_retryable, retry_on_schema_change

VALUE = UUID("11111111-2222-3333-4444-55555555abcd")
DIALECTS = pytest.mark.parametrize("dialect", [psycopg.dialect(), asyncpg.dialect()], ids=["psycopg", "asyncpg"])
table = Table("t", MetaData(), Column("id", Integer, primary_key=True), Column("tenant_id", TransitionalUUID))


def compiled(statement, dialect, **options):
    return str(statement.compile(dialect=dialect, compile_kwargs=options)).replace("\n", "")


@DIALECTS
def test_no_cast_is_written(dialect):
    for other in (VALUE, str(VALUE)):
        assert "::" not in compiled(select(table).where(table.c.tenant_id == other), dialect)
        assert "::" not in compiled(select(table).where(table.c.tenant_id.in_([other])), dialect)
        assert "::" not in compiled(insert(table).values(tenant_id=other), dialect)


@DIALECTS
def test_literals_are_quoted_and_have_no_type(dialect):
    assert compiled(select(table.c.id).where(table.c.tenant_id == VALUE), dialect, literal_binds=True).endswith(
        f"t.tenant_id = '{VALUE}'"
    )
    hostile = compiled(select(table.c.id).where(table.c.tenant_id == "a'b"), dialect, literal_binds=True)
    assert hostile.endswith("t.tenant_id = 'a''b'")


@DIALECTS
def test_its_ddl_is_uuid(dialect):
    assert "tenant_id UUID" in compiled(CreateTable(table), dialect)


@pytest.mark.parametrize(
    ("driver_gives", "application_sees"),
    [
        (VALUE, VALUE),
        (str(VALUE), VALUE),
        (str(VALUE).upper(), VALUE),
        ("{" + VALUE.hex + "}", VALUE),
        (f" \t\r\n\f\v{VALUE} \v", VALUE),
        ("1111-1111-2222-3333-4444-5555-5555-abcd", VALUE),
        (None, None),
        ("", ""),
        ("default", "default"),
        # Python's UUID() would read these, PostgreSQL does not.
        (f"urn:uuid:{VALUE}", f"urn:uuid:{VALUE}"),
        ("{" + VALUE.hex, "{" + VALUE.hex),
        (VALUE.hex + "}", VALUE.hex + "}"),
        ("1" * 31 + "-1", "1" * 31 + "-1"),
        ("\u0661" * 32, "\u0661" * 32),
        (f"\u00a0{VALUE}", f"\u00a0{VALUE}"),
        (f"{VALUE}\n\n x", f"{VALUE}\n\n x"),
    ],
)
def test_what_postgresql_can_read_is_a_uuid_and_the_rest_the_text_it_is(driver_gives, application_sees):
    assert (
        TransitionalUUID().dialect_impl(psycopg.dialect()).result_processor(psycopg.dialect(), None)(driver_gives)
        == application_sees
    )


def test_what_is_bound():
    send = TransitionalUUID().dialect_impl(psycopg.dialect()).bind_processor(psycopg.dialect())
    assert send(VALUE) == str(VALUE)
    assert send("As Given") == "As Given"
    assert send(None) is None
    with pytest.raises(TypeError, match="not 5"):
        send(5)


def test_statements_with_it_are_cached():
    statement = select(table).where(table.c.tenant_id == VALUE)
    assert statement._generate_cache_key() == select(table).where(table.c.tenant_id == "x")._generate_cache_key()
    assert statement._generate_cache_key() is not None


def test_a_type_annotation_map_names_it_once():
    class Base(DeclarativeBase):
        type_annotation_map: ClassVar = {UUID: TransitionalUUID}

    class Profile(Base):
        __tablename__ = "profiles"
        id: Mapped[int] = mapped_column(primary_key=True)
        tenant_id: Mapped[UUID]
        other_id: Mapped[UUID | None]

    assert isinstance(Profile.__table__.c.tenant_id.type, TransitionalUUID)
    assert isinstance(Profile.__table__.c.other_id.type, TransitionalUUID)
    assert TransitionalUUID().python_type is UUID


@pytest.mark.slow
def test_type_checkers_see_a_uuid(tmp_path):
    pytest.importorskip("mypy")
    source = tmp_path / "models.py"
    source.write_text(
        "import uuid\nfrom typing import assert_type\n"
        "from sqlalchemy import select\n"
        "from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column\n"
        "from truing.online.application import TransitionalUUID, make_retryable, retry_on_schema_change\n"
        "from sqlalchemy import create_engine\nfrom sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine\n"
        "class Base(DeclarativeBase): ...\n"
        "class Profile(Base):\n"
        "    __tablename__ = 'p'\n"
        "    id: Mapped[int] = mapped_column(primary_key=True)\n"
        "    tenant_id: Mapped[uuid.UUID] = mapped_column(TransitionalUUID)\n"
        "assert_type(Profile().tenant_id, uuid.UUID)\n"
        "select(Profile).where(Profile.tenant_id == 'text', Profile.tenant_id == uuid.uuid4())\n"
        "assert_type(make_retryable(create_async_engine('x')), AsyncEngine)\n"
        "make_retryable(create_engine('x')).connect()\n"
        "@retry_on_schema_change\n"
        "def once(a: int) -> str: return str(a)\n"
        "@retry_on_schema_change(attempts=5)\n"
        "async def more(a: int) -> str: return str(a)\n"
        "assert_type(once(1), str)\n"
        "async def use() -> None: assert_type(await more(1), str)\n"
    )
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "cache"), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stdout


def changed():
    return SchemaChangedError("SELECT 1", {}, Exception("cached plan must not change result type"))


@pytest.mark.parametrize(("failures", "attempts", "good"), [(0, 1, True), (1, 2, True), (2, 3, True), (3, 3, False)])
def test_a_unit_of_work_is_run_again_as_often_as_asked(failures, attempts, good):
    runs = []

    @retry_on_schema_change(attempts=attempts)
    def work(first, *, second):
        """Does it."""
        runs.append((first, second))
        if len(runs) <= failures:
            raise changed()
        return "done"

    async def work_async(first, *, second):
        return work.__wrapped__(first, second=second)

    for call in (
        lambda: work(1, second=2),
        lambda: asyncio.run(retry_on_schema_change(work_async, attempts=attempts)(1, second=2)),
    ):
        runs.clear()
        if good:
            assert call() == "done"
        else:
            with pytest.raises(SchemaChangedError):
                call()
        assert runs == [(1, 2)] * min(failures + 1, attempts)
    assert work.__doc__ == "Does it."


def test_other_errors_are_not_retried():
    runs = []

    @retry_on_schema_change
    def work():
        runs.append(1)
        raise OperationalError("SELECT 1", {}, Exception("out of memory"))

    with pytest.raises(OperationalError):
        work()
    assert runs == [1]
    with pytest.raises(ValueError, match="at least 1"):
        retry_on_schema_change(work, attempts=0)


def test_the_error_says_that_it_can_be_retried_without_being_imported():
    assert isinstance(changed(), OperationalError)
    assert changed().retryable is True


def test_an_engine_is_made_retryable_once():
    engine = create_engine("postgresql+psycopg://")
    assert make_retryable(make_retryable(engine)) is engine
    assert len(engine.dialect.dispatch.handle_error) == 1
    assert len(engine.dispatch.after_cursor_execute) == 1


def test_it_needs_neither_a_driver_nor_greenlet():
    code = "import sys\nsys.modules.update(greenlet=None, asyncpg=None, psycopg=None)\nimport truing.online.application"
    subprocess.run([sys.executable, "-c", code], check=True)
