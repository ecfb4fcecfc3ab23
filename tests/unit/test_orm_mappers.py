"""Which mappers belong to a MetaData, also where some class is not mapped yet."""

from __future__ import annotations

from sqlalchemy import MetaData
from sqlalchemy.ext.declarative import DeferredReflection
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from truing.drift.child.create import places
from truing.lint.references.models import model_references
from truing.revisions.models import mappers_of


def test_a_class_that_waits_for_reflection_has_none():
    class Base(DeclarativeBase):
        pass

    class User(Base):
        __tablename__ = "users"
        id: Mapped[int] = mapped_column(primary_key=True)

    class Legacy(DeferredReflection, Base):
        __tablename__ = "legacy"

    try:
        assert [each.class_ for each in mappers_of([Base.metadata])] == [User]
        assert mappers_of([MetaData()]) == ()
        assert {each.subject for each in model_references(Base.metadata).facts} >= {"users"}
        assert set(places([Base.metadata], "public", {})) == {"public.users", "public.users.id"}
    finally:
        Base.registry.dispose()
    assert Legacy.__tablename__ == "legacy"
