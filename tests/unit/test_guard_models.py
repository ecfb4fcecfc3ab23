"""The guard over models: tables, string keys to tables that nobody mapped, relationships, mapped selectables."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from sqlalchemy import Column, ForeignKey, ForeignKeyConstraint, Integer, MetaData, Table
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from truing.config import Config
from truing.errors import ConfigurationError, ProjectError
from truing.lint.context import make_context
from truing.lint.engine import lint
from truing.lint.references.models import model_references
from truing.revisions.metadata import load_metadata


def findings(metadata, **config):
    return lint([model_references(metadata)], make_context(Config(**config)), everything=False)


def subjects(metadata, **config):
    return {each.subject for each in findings(metadata, **config)}


@pytest.mark.parametrize(
    ("target", "found"),
    [
        ("auth.users.id", True),
        ("users.id", True),
        ("public.users.id", True),
        ("users", True),
        ("other.users.id", False),
        ("app_users.id", False),
    ],
)
def test_string_keys_to_tables_that_nobody_mapped(target, found):
    metadata = MetaData()
    Table("profiles", metadata, Column("user_id", ForeignKey(target), primary_key=True), schema="app")
    assert subjects(metadata) == ({"app.profiles.user_id"} if found else set())


def test_a_default_schema_of_the_metadata_counts():
    metadata = MetaData(schema="auth")
    Table("x", metadata, Column("u", Integer, ForeignKey("users.id")))
    assert subjects(metadata, forbidden_tables=("auth.users",), unmanaged=()) == {"auth.x.u"}


def test_keys_by_column_and_composite_keys():
    metadata, theirs = MetaData(), MetaData()
    users = Table("users", theirs, Column("a", Integer), Column("b", Integer), schema="auth")
    Table("one", metadata, Column("Odd", Integer, ForeignKey(users.c.a)))
    Table(
        "two",
        metadata,
        Column("a", Integer),
        Column("b", Integer),
        ForeignKeyConstraint(["a", "b"], ["auth.users.a", "auth.users.b"]),
    )
    assert subjects(metadata) == {'one."Odd"', "two.a", "two.b"}


def test_describing_the_table_itself_is_a_finding_once():
    metadata = MetaData()
    Table(
        "users",
        metadata,
        Column("id", Integer, primary_key=True),
        Column("boss", ForeignKey("auth.users.id")),
        schema="auth",
    )
    (found,) = findings(metadata)
    assert found.subject == "auth.users"
    assert "is described as a table of ours" in found.message


def test_what_other_peoples_tables_refer_to_is_theirs():
    metadata = MetaData()
    Table("identities", metadata, Column("u", Integer, ForeignKey("auth.users.id")), schema="auth")
    assert subjects(metadata) == set()


def test_relationships_and_secondaries_across_metadata():
    class Theirs(DeclarativeBase):
        pass

    class Ours(DeclarativeBase):
        pass

    link = Table("users", Theirs.metadata, Column("p", Integer, primary_key=True))

    class AuthUser(Theirs):
        __tablename__ = "users"
        __table_args__ = ({"schema": "auth"},)
        id: Mapped[int] = mapped_column(primary_key=True)

    class Profile(Ours):
        __tablename__ = "profiles"
        id: Mapped[int] = mapped_column(primary_key=True)
        user: Mapped[AuthUser] = relationship(
            AuthUser, primaryjoin=lambda: Profile.id == AuthUser.id, foreign_keys=lambda: Profile.id
        )
        via: Mapped[list[Profile]] = relationship(
            lambda: Profile,
            secondary=link,
            primaryjoin=lambda: Profile.id == link.c.p,
            secondaryjoin=lambda: Profile.id == link.c.p,
            foreign_keys=[link.c.p],
            viewonly=True,
        )

    found = {each.subject: each for each in findings(Ours.metadata)}
    assert set(found) == {"Profile.user", "Profile.via"}
    assert "is a relationship to auth.users" in found["Profile.user"].message
    assert "is a relationship through users" in found["Profile.via"].message
    place = found["Profile.user"].location
    assert place.file.endswith("test_guard_models.py")
    assert Path(__file__).read_text().splitlines()[place.line - 1].strip() == "class Profile(Ours):"


def test_models_that_cannot_be_configured_are_said_so():
    class Base(DeclarativeBase):
        pass

    class A(Base):
        __tablename__ = "a"
        id: Mapped[int] = mapped_column(primary_key=True)
        b = relationship("NoSuchClass")

    with pytest.raises(ProjectError, match=r"cannot be configured.*NoSuchClass"):
        model_references(Base.metadata)
    Base.registry.dispose()


MODELS = """
from sqlalchemy import Column, ForeignKey, Integer
from sqlalchemy.orm import DeclarativeBase

class Base(DeclarativeBase):
    pass

class Holder:
    base = Base

number = 17

class Profile(Base):
    __tablename__ = "profiles"
    id = Column(Integer, primary_key=True)
    {comment}
    user_id = Column(Integer, ForeignKey("auth.users.id"))
"""


@pytest.fixture
def models(tmp_path):
    def write(comment: str = "# none") -> str:
        name = f"models_{tmp_path.name.replace('-', '_')}"
        tmp_path.joinpath(f"{name}.py").write_text(MODELS.format(comment=comment))
        return name

    path, modules = list(sys.path), set(sys.modules)
    yield write
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if name.startswith("models_"):
            del sys.modules[name]


@pytest.mark.parametrize(
    ("comment", "rules"),
    [
        ("# none", {"forbidden-table-reference"}),
        ("# truing: allow forbidden-table-reference -- agreed", set()),
        ("# truing: allow forbidden-table-reference", {"forbidden-table-reference", "unusable-suppression"}),
        ("# truing: allow unrecordable-revision -- x", {"forbidden-table-reference", "unused-suppression"}),
    ],
)
def test_comments_in_the_class_allow_its_findings(models, tmp_path, comment, rules):
    metadata = load_metadata(f"{models(comment)}:Holder.base", tmp_path)
    assert {each.rule for each in findings(metadata)} == rules


@pytest.mark.parametrize("attribute", ["Base", "Base.metadata", "Holder.base"])
def test_metadata_is_named_by_module_and_attribute(models, tmp_path, attribute):
    assert set(load_metadata(f"{models()}:{attribute}", tmp_path).tables) == {"profiles"}


@pytest.mark.parametrize("attribute", ["Nothing", "number"])
def test_a_name_that_is_no_metadata_is_refused(models, tmp_path, attribute):
    with pytest.raises(ConfigurationError, match=attribute):
        load_metadata(f"{models()}:{attribute}", tmp_path)


def test_a_module_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="no_such_module_here"):
        load_metadata("no_such_module_here:Base", tmp_path)
