"""What is found is found where it is, and said of the right thing; what a person allows is not said."""

from __future__ import annotations

import pytest

from tests.orm_models import PRELUDE, check_models
from truing.errors import ConfigurationError
from truing.finding import Severity

ID = "id: Mapped[uuid.UUID] = mapped_column(primary_key=True)"
FIRST = PRELUDE.count("\n") + 1
"""The line of the file on which a test's own code begins."""


def found(tmp_path, database, code, **config):
    return [(each.rule, each.subject) for each in check_models(tmp_path, database, code, **config)]


def parent_and_child(relationship, key='ForeignKey("parents.id", ondelete="CASCADE"), index=True', type_="uuid.UUID"):
    return f"""
        class Parent(Base):
            __tablename__ = "parents"
            {ID}
            kids: Mapped[list["Kid"]] = relationship({relationship})
        class Kid(Base):
            __tablename__ = "kids"
            {ID}
            parent_id: Mapped[{type_}] = mapped_column({key})
        """


NULLABLE = "uuid.UUID | None"
SET_NULL = 'ForeignKey("parents.id", ondelete="SET NULL"), index=True'
NOTHING = 'ForeignKey("parents.id"), index=True'
RESTRICT = NOTHING.replace(")", ', ondelete="RESTRICT")', 1)
OWNED = 'cascade="all, delete-orphan"'


@pytest.mark.parametrize(
    ("relationship", "key", "type_", "expected"),
    [
        ("", None, "uuid.UUID", ("nullified-database-cascade", Severity.ERROR)),
        ("", None, NULLABLE, ("nullified-database-cascade", Severity.WARNING)),
        ("passive_deletes=True", None, "uuid.UUID", ("nullified-database-cascade", Severity.ERROR)),
        ('passive_deletes="all"', None, "uuid.UUID", None),
        (OWNED, None, "uuid.UUID", ("loaded-database-cascade", Severity.INFO)),
        (OWNED + ", passive_deletes=True", None, "uuid.UUID", None),
        (OWNED + ", passive_deletes=True", NOTHING, "uuid.UUID", ("passive-deletes-without-cascade", Severity.ERROR)),
        ("passive_deletes=True", NOTHING, NULLABLE, ("passive-deletes-without-cascade", Severity.ERROR)),
        ('passive_deletes="all"', NOTHING, "uuid.UUID", None),
        ("", NOTHING, "uuid.UUID", ("undeletable-parent", Severity.WARNING)),
        ("", NOTHING, NULLABLE, None),
        (OWNED, NOTHING, "uuid.UUID", None),
        (OWNED, RESTRICT, "uuid.UUID", ("session-only-delete-cascade", Severity.WARNING)),
        (OWNED, SET_NULL, NULLABLE, ("deleted-despite-set-null", Severity.WARNING)),
        (OWNED + ", passive_deletes=True", SET_NULL, NULLABLE, ("deleted-despite-set-null", Severity.ERROR)),
        ("", SET_NULL, NULLABLE, None),
        ("passive_deletes=True", SET_NULL, NULLABLE, None),
        ("viewonly=True", None, "uuid.UUID", None),
    ],
)
def test_what_deleting_a_parent_does(tmp_path, database, relationship, key, type_, expected):
    arguments = (relationship, key, type_) if key else (relationship,)
    code = parent_and_child(*arguments) if key else parent_and_child(relationship, type_=type_)
    findings = check_models(tmp_path, database, code)
    assert [(each.rule, each.severity) for each in findings] == ([expected] if expected else [])
    assert all(each.subject == "Parent.kids" for each in findings)


@pytest.mark.parametrize("key", [None, NOTHING, RESTRICT, SET_NULL])
@pytest.mark.parametrize("owned", ["", OWNED + ", "])
def test_a_write_only_collection_cannot_be_loaded_for_a_delete(tmp_path, database, key, owned):
    code = parent_and_child(owned + 'lazy="write_only"', *([key, NULLABLE] if key else []))
    findings = check_models(tmp_path, database, code.replace("Mapped[list[", "WriteOnlyMapped[").replace('"]]', '"]'))
    assert [(each.rule, each.severity) for each in findings] == [("undeletable-parent", Severity.ERROR)]


def test_a_finding_names_the_line_of_the_attribute(tmp_path, database):
    (finding,) = check_models(tmp_path, database, parent_and_child("", NOTHING))
    assert finding.location.file.endswith(".py")
    assert finding.location.line == FIRST + 4


def test_a_mixin_s_line_is_the_mixin_s(tmp_path, database):
    code = f"""
        class Stamped:
            seen_at: Mapped[dt.datetime | None]
        class Person(Stamped, Base):
            __tablename__ = "people"
            {ID}
        """
    (finding,) = check_models(tmp_path, database, code)
    assert (finding.rule, finding.subject, finding.location.line) == ("naive-timestamp", "Person.seen_at", FIRST + 2)


def test_a_comment_allows_it(tmp_path, database):
    code = f"""
        class Person(Base):
            __tablename__ = "people"
            {ID}
            # truing: allow naive-timestamp -- local time is what is meant
            opens_at: Mapped[dt.datetime | None]
            closes_at: Mapped[dt.datetime | None]
        """
    assert found(tmp_path, database, code) == [("naive-timestamp", "Person.closes_at")]


def test_a_comment_above_a_decorator_allows_it(tmp_path, database):
    code = f"""
        class Opened:
            # truing: allow naive-timestamp -- local time is what is meant
            @declared_attr
            def opens_at(cls) -> Mapped[dt.datetime]:
                return mapped_column()
        class Person(Opened, Base):
            __tablename__ = "people"
            {ID}
        """
    assert found(tmp_path, database, code) == []


def test_a_comment_that_allows_nothing_is_said(tmp_path, database):
    code = f"""
        class Person(Base):
            __tablename__ = "people"
            {ID}
            # truing: allow naive-timestamp -- local time is what is meant
            opens_at: Mapped[dt.datetime | None] = mapped_column(DateTime(timezone=True))
        """
    ((rule, subject),) = found(tmp_path, database, code)
    assert rule == "unused-suppression"
    assert subject.endswith(f":{FIRST + 4}")
    assert found(tmp_path, database, code.replace("people", "p2"), ignore=("naive-timestamp",)) == []


def test_an_entry_of_the_configuration_allows_it(tmp_path, database):
    from truing.config import Allowed  # noqa: PLC0415

    code = parent_and_child("", NOTHING)
    allow = (Allowed(rule="undeletable-parent", subject="Parent.kids", reason="never deleted"),)
    assert found(tmp_path, database, code, allow=allow) == []


def test_a_missing_table_says_no_more_than_that(tmp_path, database):
    code = parent_and_child("", NOTHING) + '\n        op.execute("DROP TABLE kids")'
    assert found(tmp_path, database, code) == [("missing-table", "public.kids")]


def test_a_table_in_another_schema_is_hinted_at(tmp_path, database):
    code = f"""
        class Person(Base):
            __tablename__ = "people"
            {ID}
        op.execute("CREATE SCHEMA app")
        op.execute("ALTER TABLE people SET SCHEMA app")
        """
    (finding,) = check_models(tmp_path, database, code)
    assert finding.rule == "missing-table"
    assert "app.people" in finding.message


def test_the_search_path_finds_tables(tmp_path, database):
    code = f"""
        class Person(Base):
            __tablename__ = "people"
            {ID}
        op.execute("CREATE SCHEMA app")
        op.execute("ALTER TABLE people SET SCHEMA app")
        op.execute('''DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = app, public', current_database()); END $$''')
        """
    assert found(tmp_path, database, code) == []


def test_a_key_of_several_columns_is_unique_as_a_whole_only(tmp_path, database):
    code = f"""
        class Person(Base):
            __tablename__ = "people"
            {ID}
            seat: Mapped[Optional["Seat"]] = relationship(back_populates="person")
        class Seat(Base):
            __tablename__ = "seats"
            __table_args__ = (UniqueConstraint("person_id", "row"),)
            {ID}
            person_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("people.id"))
            row: Mapped[str]
            person: Mapped[Person | None] = relationship(back_populates="seat")
        """
    assert ("scalar-without-unique", "Person.seat") in found(tmp_path, database, code)


def test_mirrors_through_a_secondary(tmp_path, database):
    code = f"""
        both = Table("both", Base.metadata, Column("a_id", ForeignKey("a.id"), primary_key=True),
            Column("b_id", ForeignKey("b.id"), primary_key=True, index=True))
        class A(Base):
            __tablename__ = "a"
            {ID}
            bs: Mapped[list["B"]] = relationship(secondary=both)
        class B(Base):
            __tablename__ = "b"
            {ID}
            as_: Mapped[list[A]] = relationship(secondary=both)
        """
    assert [rule for rule, _ in found(tmp_path, database, code)] == ["unlinked-mirror-relationship"]
    assert (
        found(
            tmp_path,
            database,
            code.replace(
                "secondary=both)\n        class B", 'secondary=both, overlaps="as_")\n        class B'
            ).replace(
                "list[A]] = relationship(secondary=both)", 'list[A]] = relationship(secondary=both, overlaps="bs")'
            ),
        )
        == []
    )


def test_a_check_without_a_value_is_found_in_text_enums(tmp_path, database):
    code = f"""
        class Order(Base):
            __tablename__ = "orders"
            {ID}
            state: Mapped[str] = mapped_column(Enum("open", "paid", "it's", native_enum=False, length=20))
        op.execute("ALTER TABLE orders ADD CHECK (state IN ('open', 'paid', 'gone'))")
        """
    assert found(tmp_path, database, code) == [
        ("unknown-enum-label", "Order.state"),
        ("unreadable-enum-label", "Order.state"),
    ]


def test_privileges_of_sequences_and_members(tmp_path, database):
    group, role = database.role("NOLOGIN"), database.role("NOLOGIN")
    code = f"""
        class Thing(Base):
            __tablename__ = "things"
            id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
        op.execute("GRANT {group} TO {role}")
        op.execute("GRANT USAGE ON SCHEMA public TO {group}")
        op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON things TO {group}")
        """
    (finding,) = check_models(tmp_path, database, code, application_role=role)
    assert finding.remedy == f"GRANT USAGE ON SEQUENCE public.things_id_seq TO {role};"


def test_a_role_that_is_not_there_is_one_clear_error(tmp_path, database):
    with pytest.raises(ConfigurationError, match="no role"):
        check_models(tmp_path, database, "", application_role="nobody's")


def test_a_narrower_key_and_a_wider_one(tmp_path, database):
    code = f"""
        class A(Base):
            __tablename__ = "a"
            id: Mapped[str] = mapped_column(String(20), primary_key=True)
        class B(Base):
            __tablename__ = "b"
            {ID}
            narrow: Mapped[str | None] = mapped_column(String(10), ForeignKey("a.id"), index=True)
            wide: Mapped[str | None] = mapped_column(Text, ForeignKey("a.id"), index=True)
        """
    assert found(tmp_path, database, code) == [("foreign-key-type-mismatch", "public.b.b_narrow_fkey")]


def test_a_nullable_tenant_switches_the_check_off(tmp_path, database):
    code = f"""
        class Tenant(Base):
            __tablename__ = "tenants"
            {ID}
        class Role(Base):
            __tablename__ = "roles"
            __table_args__ = (UniqueConstraint("org_id", "id"),)
            {ID}
            org_id: Mapped[uuid.UUID]
        class UserRole(Base):
            __tablename__ = "user_roles"
            __table_args__ = (ForeignKeyConstraint(["org_id", "role_id"], ["roles.org_id", "roles.id"], name="fk"),
                Index(None, "org_id", "role_id"))
            {ID}
            org_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("tenants.id"), index=True)
            role_id: Mapped[uuid.UUID]
        """
    assert ("partly-nullable-foreign-key", "public.user_roles.fk") in found(tmp_path, database, code)


@pytest.mark.pg(">=15")
def test_nulls_not_distinct_is_enough(tmp_path, database):
    code = f"""
        class Folder(Base):
            __tablename__ = "folders"
            __table_args__ = (UniqueConstraint("parent_id", "name", postgresql_nulls_not_distinct=True),)
            {ID}
            parent_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("folders.id"))
            name: Mapped[str]
        """
    assert found(tmp_path, database, code) == []


def test_a_joined_child_that_a_cascade_would_leave_half(tmp_path, database):
    code = f"""
        class Firm(Base):
            __tablename__ = "firms"
            {ID}
            people: Mapped[list["Person"]] = relationship(cascade="all, delete-orphan")
        class Party(Base):
            __tablename__ = "parties"
            __mapper_args__ = {{"polymorphic_on": "kind", "polymorphic_identity": "party"}}
            {ID}
            kind: Mapped[str] = mapped_column(CheckConstraint("kind IN ('party', 'person')"))
        class Person(Party):
            __tablename__ = "people"
            __mapper_args__ = {{"polymorphic_identity": "person"}}
            id: Mapped[uuid.UUID] = mapped_column(ForeignKey("parties.id", ondelete="CASCADE"), primary_key=True)
            firm_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("firms.id", ondelete="CASCADE"), index=True)
        """
    # passive_deletes would be wrong here: the database would leave the parties' rows behind.
    assert found(tmp_path, database, code) == []


def test_classes_of_one_name_are_told_apart(tmp_path, database):
    code = f"""
        class Shop:
            class Item(Base):
                __tablename__ = "shop_items"
                {ID}
                box_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("boxes.id"), index=True)
        class Item(Base):
            __tablename__ = "items"
            {ID}
            box_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("boxes.id"), index=True)
        class Box(Base):
            __tablename__ = "boxes"
            {ID}
            theirs: Mapped[list[Shop.Item]] = relationship(Shop.Item)
            ours: Mapped[list[Item]] = relationship(Item)
        op.execute("ALTER TABLE items DROP COLUMN box_id CASCADE")
        op.execute("ALTER TABLE shop_items DROP COLUMN box_id CASCADE")
        """
    subjects = {subject for rule, subject in found(tmp_path, database, code) if rule == "missing-column"}
    assert len(subjects) == 2
    assert all(each.endswith((".Shop.Item.box_id", ".Item.box_id")) for each in subjects)


def test_a_warning_of_sqlalchemy_s_is_about_the_relationship_that_it_names_first(tmp_path, database):
    code = f"""
        class Tenant(Base):
            __tablename__ = "tenants"
            {ID}
        class Profile(Base):
            __tablename__ = "profiles"
            {ID}
            tenant_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("tenants.id"), index=True)
            tenant: Mapped[Tenant | None] = relationship()
            owner: Mapped[Tenant | None] = relationship()
        """
    (finding,) = check_models(tmp_path, database, code)
    assert finding.message.startswith(f"relationship '{finding.subject}' ")


def test_a_sequence_that_a_default_asks_counts_as_the_column_s(tmp_path, database):
    role = database.role("NOLOGIN")
    code = f"""
        numbers = Sequence("it's numbers", maxvalue=100)
        class Thing(Base):
            __tablename__ = "things"
            id: Mapped[int] = mapped_column(BigInteger, numbers, primary_key=True, server_default=numbers.next_value())
        op.execute("SELECT setval('\\"it''s numbers\\"', 90)")
        op.execute("GRANT USAGE ON SCHEMA public TO {role}")
        op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON things TO {role}")
        """
    assert found(tmp_path, database, code, application_role=role) == [
        ("missing-privilege", "public.things"),
        ("nearly-exhausted-sequence", "Thing.id"),
    ]


def test_the_limit_of_an_array_is_that_of_its_elements(tmp_path, database):
    code = f"""
        class Thing(Base):
            __tablename__ = "things"
            {ID}
            tags: Mapped[list[str]] = mapped_column(ARRAY(String(50)))
            codes: Mapped[list[str]] = mapped_column(ARRAY(String(5)))
        op.execute("ALTER TABLE things ALTER tags TYPE varchar(5)[]")
        """
    (finding,) = check_models(tmp_path, database, code)
    assert (finding.rule, finding.subject) == ("overlong-string", "Thing.tags")
    assert finding.remedy == "ALTER TABLE public.things ALTER COLUMN tags TYPE varchar(50)[];"


@pytest.mark.parametrize("model", ["template", None], ids=["a schema of the models", "the search path"])
def test_a_tenant_s_schema_stands_for_that_of_the_models(model, tmp_path, database):
    schema = f'"schema": "{model}"' if model else ""
    code = f"""
        op.before = "CREATE SCHEMA template"
        class Parent(Base):
            __tablename__ = "parents"
            __table_args__ = {{{schema}}}
            {ID}
            kind: Mapped[str] = mapped_column(Enum("a", name="kind"{', schema="template"' if model else ""}))
            kids: Mapped[list["Kid"]] = relationship()
        class Kid(Base):
            __tablename__ = "kids"
            __table_args__ = {{{schema}}}
            {ID}
            parent_id: Mapped[uuid.UUID] = mapped_column(ForeignKey(Parent.id), index=True)
        class Shared(Base):
            __tablename__ = "shared"
            {ID}
        op.execute("CREATE SCHEMA tenant_1")
        for thing in ("TABLE {{0}}.parents", "TABLE {{0}}.kids", "TYPE {{0}}.kind"):
            op.execute(f"ALTER {{thing.format('{model or "public"}')}} SET SCHEMA tenant_1")
        """
    settings = {"tenant_schemas": "tenant_*", **({"tenant_model_schema": model} if model else {})}
    assert found(tmp_path, database, code, **settings) == [("undeletable-parent", "Parent.kids")]


def test_a_table_without_a_class_has_its_own_line_and_suppressions(tmp_path, database):
    code = f"""
        class Tag(Base):
            __tablename__ = "tags"
            {ID}
        # truing: allow non-unique-secondary -- imported as it is
        post_tags = Table(
            "post_tags", Base.metadata,
            Column("post_id", ForeignKey("posts.id"), index=True),
            Column("tag_id", ForeignKey("tags.id"), index=True),
        )
        class Post(Base):
            __tablename__ = "posts"
            {ID}
            tags: Mapped[list[Tag]] = relationship(secondary=post_tags)
        """
    assert found(tmp_path, database, code) == []
    (finding,) = check_models(tmp_path, database, code.replace("truing:", ""))
    assert (finding.rule, finding.location.line) == ("non-unique-secondary", FIRST + 5)
