"""Tests as people write them, for mypy: what a database may be, and what can be asked about it."""

import psycopg
from sqlalchemy import Connection, Engine, ForeignKey
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship, scoped_session

from truing.names import QualifiedName
from truing.testing import (
    assert_column,
    assert_foreign_key,
    assert_index,
    assert_primary_key,
    assert_relationship,
    assert_unique,
)


class Base(DeclarativeBase):
    pass


class Tenant(Base):
    __tablename__ = "tenants"
    id: Mapped[int] = mapped_column(primary_key=True)
    profiles: Mapped[list["Profile"]] = relationship(back_populates="tenant")


class Profile(Base):
    __tablename__ = "profiles"
    id: Mapped[int] = mapped_column(primary_key=True)
    tenant_id: Mapped[int] = mapped_column(ForeignKey("tenants.id"))
    tenant: Mapped[Tenant] = relationship(back_populates="profiles")


def every_kind_of_database(
    connection: Connection,
    engine: Engine,
    session: Session,
    sessions: scoped_session[Session],
    driver: psycopg.Connection[tuple[object, ...]],
) -> None:
    for database in (connection, engine, session, sessions, driver):
        assert_column(database, "profiles", "tenant_id", type="uuid", nullable=False, default=None)
    assert_column("postgresql://localhost/app", "profiles", "id")  # type: ignore[arg-type]


def every_question(connection: Connection) -> None:
    assert_column(connection, QualifiedName("app", "profiles"), "id", identity="always", generated=None, comment="x")
    assert_column(connection, "profiles", "id", identity="sometimes")  # type: ignore[arg-type]
    assert_column(connection, "profiles", "id", type=None)  # type: ignore[arg-type]
    assert_foreign_key(connection, "profiles", ["tenant_id"], "tenants", ["id"], on_delete="CASCADE", validated=True)
    assert_foreign_key(connection, "profiles", ["tenant_id"], "tenants", ["id"], on_delete="DELETE")  # type: ignore[arg-type]
    assert_foreign_key(connection, "profiles", ["tenant_id"], "tenants")  # type: ignore[call-arg]
    assert_primary_key(connection, "profiles", ["id"], name="profiles_pkey")
    assert_unique(connection, "profiles", ("tenant_id", "email"), nulls_not_distinct=True)
    assert_index(connection, "profiles", ["lower(email)"], unique=True, where=None, include=["id"])
    assert_relationship(Profile.tenant, target=Tenant, back_populates="profiles", uselist=False)
    assert_relationship(Tenant.profiles, target="Profile", secondary=None)
    assert_relationship(Profile.tenant, nonsense=True)  # type: ignore[call-arg]
